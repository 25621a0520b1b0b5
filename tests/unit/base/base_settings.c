#include "base/settings.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lib/test.h"

TEST(base_settings__environment_overrides_the_default_and_a_flag_the_environment)
{
	struct settings s;
	struct error err;

	setenv("MORTISE_WORKER_STALL_MS", "123", 1);
	EXPECT_OK(settings_init(&s, &err), &err);
	EXPECT_UINT(s.worker_stall_ms, ==, 123);
	EXPECT_STR(s.listen, "127.0.0.1:7400");
	EXPECT_OK(settings_set(&s, "worker.stall_ms", "7", &err), &err);
	EXPECT_UINT(s.worker_stall_ms, ==, 7);
	EXPECT_INT(settings_set(&s, "worker.stall_ms", "7s", &err), ==, ERR_CONFIG);
	EXPECT_INT(settings_set(&s, "nothing", "7", &err), ==, ERR_NOT_FOUND);
	settings_done(&s);
}

TEST(base_settings__a_bad_variable_is_named)
{
	struct settings s;
	struct error err;

	setenv("MORTISE_FRONTS", "two", 1);
	EXPECT_INT(settings_init(&s, &err), ==, ERR_CONFIG);
	EXPECT_CONTAINS(err.text, "MORTISE_FRONTS");
}

TEST(base_settings__each_setting_spells_its_variable_and_flag)
{
	struct settings s;
	struct error err;
	struct setting one;
	char *value;
	size_t n = 0;

	EXPECT_OK(settings_init(&s, &err), &err);
	for (; settings_at(&s, n, &one, &value); n++) {
		EXPECT_TRUE(one.help[0] != '\0');
		EXPECT_INT(settings_set(&s, one.name, value, &err), ==, 0);
		if (strcmp(one.name, "worker.stall_ms") == 0) {
			EXPECT_STR(one.variable, "MORTISE_WORKER_STALL_MS");
			EXPECT_STR(one.flag, "--worker-stall-ms");
		}
		mem_free(value);
	}
	EXPECT_UINT(n, >, 10);
	settings_done(&s);
}
