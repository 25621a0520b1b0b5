#include "lib/test.h"

#include "../../../plugins/os-catalog/entity.h"

static const char *team(const char *maintainer)
{
	static char out[ENTITY_TEAM_MAX + 1];
	char text[ENTITY_TEAM_MAX];
	struct mortise_str name = entity_team(mortise_str_from(maintainer), text);

	(void)snprintf(out, sizeof(out), "%.*s", (int)name.size, name.data);
	return out;
}

TEST(os_catalog_entity__a_team_is_named_after_the_maintainer)
{
	struct mortise_str display = entity_team_display_name(
		MORTISE_STR("GNU Libc Maintainers <debian-glibc@lists.debian.org>"));

	EXPECT_STR(team("GNU Libc Maintainers <debian-glibc@lists.debian.org>"),
		"gnu-libc-maintainers");
	EXPECT_STR(team("gnu libc  maintainers"), "gnu-libc-maintainers");
	EXPECT_STR(team("J. R. \"Bob\" O'Neil-2 <x@y>"), "j-r-bob-o-neil-2");
	EXPECT_TRUE(mortise_str_equal(display, MORTISE_STR("GNU Libc Maintainers")));
	EXPECT_STR(team("<root@localhost>"), "root-localhost");
}

TEST(os_catalog_entity__what_a_team_name_loses_is_in_its_digest)
{
	char first[ENTITY_TEAM_MAX + 1], text[400];

	(void)snprintf(first, sizeof(first), "%s", team("\xc5\x81ukasz Kowalski <l@x>"));
	EXPECT_CONTAINS(first, "ukasz-kowalski-");
	EXPECT_STR(team("\xc5\x81ukasz Kowalski <other@x>"), first);
	EXPECT_TRUE(strcmp(team("\xc5\x82ukasz Kowalski <l@x>"), first) != 0);
	EXPECT_INT(strlen(team("\xe6\x97\xa5\xe6\x9c\xac")), ==, 16);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)snprintf(first, sizeof(first), "%s", team(text));
	EXPECT_INT(strlen(first), ==, ENTITY_TEAM_MAX);
	text[150] = 'b';
	EXPECT_TRUE(strcmp(team(text), first) != 0);
}

TEST(os_catalog_entity__a_package_becomes_a_service)
{
	static const char stanza[] =
		"Package: libfoo1\nVersion: 1.2-3\nSection: contrib/libs\nArchitecture: amd64\n"
		"Maintainer: The Foos <foo@example.org>\nHomepage: https://foo.example/\n"
		"Description: a foo\n First.\n .\n Second.\n\n";
	struct control_text t;
	struct mortise_json_writer w;
	struct mortise_str json;
	const char *at = stanza;

	control_text_init(&t);
	EXPECT_INT(control_text_read(&t, &at, stanza + sizeof(stanza) - 1, NULL), ==, 1);
	mortise_json_writer_init(&w);
	entity_write(&w, &t);
	EXPECT_INT(mortise_json_written(&w, &json), ==, 0);
	mortise_json_append(&w, "", 1);
	EXPECT_STR(w.data, "{\"key\":\"libfoo1\",\"name\":\"libfoo1\",\"description\":\"a "
			   "foo\\nFirst.\\n\\nSecond.\",\"type\":\"library\","
			   "\"version\":\"1.2-3\",\"tags\":[\"contrib/"
			   "libs\"],\"labels\":{\"architecture\":\"amd64\"},"
			   "\"homepage\":\"https://foo.example/"
			   "\",\"team\":\"the-foos\",\"team_display_name\":\"The Foos\"}");
	mortise_json_writer_done(&w);
	control_text_done(&t);
}
