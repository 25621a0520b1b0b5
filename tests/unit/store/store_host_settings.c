#include <stdio.h>

#include "store/host_settings.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char id[64], first[64], last[64], text[256];
	int64_t number;
} got;

static void on_settings(
	const struct error *err, const struct store_host_setting *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.first, rows->name);
	COPY(got.text, rows->value);
}

TEST(store_host_settings__settings_of_an_environment_win_over_the_defaults)
{
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_amy, SPAN(""), SPAN("catalog.visibility"),
		SPAN("\"everyone\""), on_done, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_admin, SPAN(""), SPAN("catalog.visibility"),
		SPAN("\"everyone\""), on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_host_setting_put(f.front, &f.as_admin, SPAN("test"), SPAN("catalog.visibility"),
		SPAN("\"team\""), on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_host_settings_list(f.front, &f.as_amy, SPAN("test"), on_settings, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.text, "\"team\"");
	fixture_expect(&f);
	store_host_settings_list(f.supervisor, NULL, SPAN("other"), on_settings, &f);
	fixture_ok(&f);
	EXPECT_STR(got.text, "\"everyone\"");
	fixture_done(&f);
}
