# The one way to build a plugin with CMake, ours included.

# What a plugin is compiled and linked with: only mortise_plugin_v1 is exported, C++'s templates and the
# symbols of static libraries stay inside, and every symbol is resolved at link time.
function(mortise_plugin_target target include_dir)
	set_target_properties(${target} PROPERTIES
		INTERFACE_INCLUDE_DIRECTORIES "${include_dir}"
		INTERFACE_COMPILE_OPTIONS "-fvisibility=hidden"
		INTERFACE_LINK_OPTIONS "LINKER:-z,defs;LINKER:--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/exports.map")
endfunction()

# mortise_add_plugin(NAME SOURCES a.c ... [LIBS targets ...])
# Builds NAME.so and, beside it, the folder NAME.package that `mortise package build` takes as it is: the
# calling folder's manifest.json with `entry` set to what was built, its README.md and LICENSE if it has
# them, and the library under lib/<triplet>/.
function(mortise_add_plugin name)
	cmake_parse_arguments(PARSE_ARGV 1 M "" "" "SOURCES;LIBS")
	if(NOT M_SOURCES OR M_UNPARSED_ARGUMENTS)
		message(FATAL_ERROR "mortise_add_plugin(NAME SOURCES a.c ... [LIBS targets ...])")
	endif()
	add_library(${name} MODULE ${M_SOURCES})
	target_link_libraries(${name} PRIVATE Mortise::Plugin ${M_LIBS})
	set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so")

	set(triplet ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu)
	set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.package)
	set(manifest ${CMAKE_CURRENT_SOURCE_DIR}/manifest.json)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
	file(READ ${manifest} json)
	string(JSON json SET "${json}" entry "{\"${triplet}\":\"lib/${triplet}/${name}.so\"}")
	file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}.manifest.json "${json}\n")

	set(texts "")
	foreach(text README.md LICENSE)
		if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${text})
			list(APPEND texts ${CMAKE_CURRENT_SOURCE_DIR}/${text})
		endif()
	endforeach()
	set(copy_texts "")
	if(texts)
		set(copy_texts COMMAND ${CMAKE_COMMAND} -E copy ${texts} ${folder})
	endif()
	add_custom_command(TARGET ${name} POST_BUILD
		COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
		COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}/lib/${triplet}
		COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:${name}> ${folder}/lib/${triplet}/${name}.so
		COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_BINARY_DIR}/${name}.manifest.json ${folder}/manifest.json
		${copy_texts}
		VERBATIM)
endfunction()
