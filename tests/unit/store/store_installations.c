#include <stdio.h>

#include "store/installations.h"
#include "store_fixture.h"

TEST(store_installations__installations_are_listed_for_node_and_people)
{
	struct fixture f;
	char digest[72];

	fixture_init(&f);
	fixture_install(&f, digest);
	fixture_expect(&f);
	store_installations_of_node(f.supervisor, SPAN("n1"), SPAN("test"), SPAN("any"), SPAN_NONE,
		on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(installed.n, ==, 1);
	EXPECT_STR(installed.name, "acme/tool");
	EXPECT_STR(installed.state, "installed");
	EXPECT_STR(installed.mount, "tool");
	EXPECT_STR(installed.config, "{\"a\": 1}");
	fixture_expect(&f);
	store_installations_of_node(f.supervisor, SPAN("n1"), SPAN("test"), SPAN("any"),
		span_of(installed.id), on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(installed.n, ==, 0);
	fixture_expect(&f);
	store_installations_list(f.front, &f.as_admin,
		&(struct store_installations_filter){ .environment = SPAN("test") },
		on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(installed.n, ==, 1);
	EXPECT_STR(installed.state, "installed");
	EXPECT_TRUE(installed.cpu == -1);
	fixture_expect(&f);
	store_installations_list(f.front, &f.as_bob, &(struct store_installations_filter){ 0 },
		on_installations, &f);
	fixture_ok(&f);
	EXPECT_UINT(installed.n, ==, 0);
	fixture_expect(&f);
	store_installation_account(f.front, span_of(installed.id), on_text, &f);
	fixture_ok(&f);
	EXPECT_TRUE(f.value[0] == 'c');
	fixture_done(&f);
}

TEST(store_installations__a_plugin_reads_its_own_texts_and_no_others)
{
	struct fixture f;
	char digest[72];
	struct db_context own, other;

	fixture_init(&f);
	fixture_install(&f, digest);
	fixture_expect(&f);
	store_installations_list(f.front, &f.as_admin, &(struct store_installations_filter){ 0 },
		on_installations, &f);
	fixture_ok(&f);
	postgres_run(f.url, "UPDATE plugin_installations SET config = "
			    "'{\"url\": \"http://10.0.0.1/\", \"a\": 1, \"o\": {\"b\": \"c\"}}'");
	own = f.as_bob;
	own.plugin = span_of(installed.id);
	other = f.as_bob;
	other.plugin = SPAN("another");
	fixture_expect(&f);
	store_installation_config(f.front, &own, span_of(installed.id), SPAN("url"), on_text, &f);
	fixture_ok(&f);
	EXPECT_STR(f.value, "http://10.0.0.1/");
	for (size_t i = 0; i < 3; i++) {
		static const char *const none[] = { "a", "o", "missing" };

		fixture_expect(&f);
		store_installation_config(
			f.front, &own, span_of(installed.id), span_of(none[i]), on_text, &f);
		fixture_ok(&f);
		EXPECT_STR(f.value, "");
	}
	fixture_expect(&f);
	store_installation_config(f.front, &other, span_of(installed.id), SPAN("url"), on_text, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_done(&f);
}
