# The shared objects of the package tests: one source, one fault each; tests/plugins/NAME.so in the
# build folder. Stripped and tightly laid out, so that a test can change each byte.
function(mortise_test_object name)
	cmake_parse_arguments(M "" "" "DEFINE;LINK;RPATH" ${ARGN})
	add_library(test_object_${name} MODULE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.c)
	set_target_properties(test_object_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
		LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/plugins C_VISIBILITY_PRESET hidden
		BUILD_RPATH "${M_RPATH}")
	target_include_directories(test_object_${name} PRIVATE ${PROJECT_SOURCE_DIR}/sdk/include)
	target_compile_definitions(test_object_${name} PRIVATE ${M_DEFINE})
	target_compile_options(test_object_${name} PRIVATE -Os -g0)
	target_link_options(test_object_${name} PRIVATE -nostdlib -Wl,-s -Wl,-z,noseparate-code
		-Wl,--build-id=none ${M_LINK})
	add_dependencies(test_package test_object_${name})
endfunction()

mortise_test_object(good)
mortise_test_object(exports DEFINE EXTRA_SYMBOLS)
mortise_test_object(nonote DEFINE NO_NOTE)
mortise_test_object(unknown DEFINE "INTERFACES=MORTISE_NEED(\"mortise.http/99\")")
mortise_test_object(rpath RPATH /opt/lib)
mortise_test_object(origin RPATH "$ORIGIN/../lib")
mortise_test_object(beside RPATH "$ORIGIN/deps")
mortise_test_object(execstack LINK -Wl,-z,execstack)
mortise_test_object(textrel DEFINE TEXT_RELOCATION LINK -Wl,-z,notext)
