#include "base/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

enum type { TYPE_TEXT, TYPE_NUMBER, TYPE_BOOLEAN };

static const struct {
	const char *name;
	enum type type;
	size_t offset;
	const char *fallback;
	const char *help;
} table[] = {
#define X(field, name, type, fallback, help) \
	{ name, TYPE_##type, offsetof(struct settings, field), fallback, help },
#include "base/settings.def"
#undef X
};

/* "worker.stall_ms" as "MORTISE_WORKER_STALL_MS" or "--worker-stall-ms". */
static void spell(
	const char *name, const char *prefix, char separator, int upper, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s", prefix);

	for (; *name && n + 1 < size; name++, n++) {
		char c = *name == '.' || *name == '_' ? separator : *name;

		out[n] = upper ? (char)toupper((unsigned char)c) : c;
	}
	ASSERT(n + 1 < size);
	out[n] = '\0';
}

static void describe(size_t index, struct setting *out)
{
	out->name = table[index].name;
	out->fallback = table[index].fallback;
	out->help = table[index].help;
	spell(out->name, "MORTISE_", '_', 1, out->variable, sizeof(out->variable));
	spell(out->name, "--", '-', 0, out->flag, sizeof(out->flag));
}

static int assign(struct settings *s, size_t index, const char *value, struct error *err)
{
	void *field = (char *)s + table[index].offset;
	bool yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

	switch (table[index].type) {
	case TYPE_TEXT:
		mem_free(*(char **)field);
		*(char **)field = mem_strdup(value);
		return 0;
	case TYPE_NUMBER:
		if (!span_u64(span_of(value), INT64_MAX, field))
			return error_set(err, ERR_CONFIG, "setting '%s': '%s' is not a number",
				table[index].name, value);
		return 0;
	case TYPE_BOOLEAN:
		if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
			return error_set(err, ERR_CONFIG, "setting '%s': '%s' is not true or false",
				table[index].name, value);
		*(bool *)field = yes;
		return 0;
	}
	BUG("a setting of no type");
}

int settings_init(struct settings *s, struct error *err)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
		struct setting setting;
		const char *value;
		int rc;

		rc = assign(s, i, table[i].fallback, err);
		ASSERT(rc == 0);
		describe(i, &setting);
		value = getenv(setting.variable);
		rc = value ? assign(s, i, value, err) : 0;
		if (rc < 0) {
			(void)error_wrap(err, "environment variable %s", setting.variable);
			settings_done(s);
			return rc;
		}
	}
	return 0;
}

void settings_done(struct settings *s)
{
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (table[i].type == TYPE_TEXT)
			mem_free(*(char **)((char *)s + table[i].offset));
	memset(s, 0, sizeof(*s));
}

int settings_set(struct settings *s, const char *name, const char *value, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return assign(s, i, value, err);
	return error_set(err, ERR_NOT_FOUND, "no setting '%s'", name);
}

bool settings_at(const struct settings *s, size_t index, struct setting *out, char **value)
{
	const void *field;

	if (index >= ARRAY_LENGTH(table))
		return false;
	describe(index, out);
	field = (const char *)s + table[index].offset;
	switch (table[index].type) {
	case TYPE_TEXT:
		*value = mem_strdup(*(char *const *)field);
		break;
	case TYPE_NUMBER:
		*value = mem_printf("%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case TYPE_BOOLEAN:
		*value = mem_strdup(*(const bool *)field ? "true" : "false");
		break;
	}
	return true;
}
