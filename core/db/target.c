#include "db/target_priv.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/error.h"

/* What holds where the url says nothing. A dead peer is found within a minute, on idle connections
 * too. GSSAPI may ask name servers while it connects, on the loop. */
static const struct {
	const char *keyword;
	const char *value;
} defaults[] = {
	{ "client_encoding", "UTF8" },
	{ "gssencmode", "disable" },
	{ "keepalives", "1" },
	{ "keepalives_idle", "30" },
	{ "keepalives_interval", "10" },
	{ "keepalives_count", "3" },
	{ "tcp_user_timeout", "30000" },
};

static size_t find(const struct target *t, const char *keyword)
{
	size_t i = 0;

	while (i < t->n && strcmp(t->keywords[i], keyword) != 0)
		i++;
	return i;
}

const char *target_get(const struct target *t, const char *keyword)
{
	return t->values[find(t, keyword)];
}

static void free_value(char *value)
{
	if (value)
		mem_wipe(value, strlen(value));
	mem_free(value);
}

void target_set(struct target *t, const char *keyword, const char *value)
{
	size_t at = find(t, keyword);

	if (at == t->n) {
		t->n++;
		t->keywords = mem_realloc(t->keywords, (t->n + 1) * sizeof(char *));
		t->values = mem_realloc(t->values, (t->n + 1) * sizeof(char *));
		t->keywords[at] = mem_strdup(keyword);
		t->values[at] = NULL;
		t->keywords[t->n] = t->values[t->n] = NULL;
	}
	free_value(t->values[at]);
	t->values[at] = mem_strdup(value);
}

static struct target *new_target(void)
{
	struct target *t = mem_zalloc(sizeof(*t));

	t->keywords = mem_zalloc(sizeof(char *));
	t->values = mem_zalloc(sizeof(char *));
	return t;
}

/* Some of libpq's messages about a bad url quote it, and with it the password. */
static int refuse_url(struct error *err)
{
	error_set(err, ERR_CONFIG, "the database url is not valid");
	return error_fix(err, "write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with "
			      "special characters percent-encoded");
}

int target_new(struct target **out, const char *url, const char *application, struct error *err)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	struct target *t;

	if (!options) {
		refuse_url(err);
		return ERR_CONFIG;
	}
	t = new_target();
	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (o->val)
			target_set(t, o->keyword, o->val);
	PQconninfoFree(options);
	for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
		if (!target_get(t, defaults[i].keyword))
			target_set(t, defaults[i].keyword, defaults[i].value);
	target_set(t, "fallback_application_name", application);
	*out = t;
	return 0;
}

struct target *target_copy(const struct target *t)
{
	struct target *copy = new_target();

	for (size_t i = 0; i < t->n; i++)
		target_set(copy, t->keywords[i], t->values[i]);
	return copy;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		mem_free(t->keywords[i]);
		free_value(t->values[i]);
	}
	mem_free(t->keywords);
	mem_free(t->values);
	mem_free(t);
}
