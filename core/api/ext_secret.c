/* secret/1: secrets that only the plugin they were set for can read
 *
 * Three walls, each enough alone: secret_get() finds only what stands in the installation that the
 * call came from (the path of the worker's socket says which, not the plugin); the envelope is
 * bound to that installation and name, so one that was copied into another row does not open; and
 * the master key is in the supervisor. The subject has no part in it: a plugin needs its secrets in
 * its background work and in anybody's request alike. */
#include <stdio.h>

#include "api/ext_priv.h"
#include "store/secrets.h"

#define PLACE_MAX 160

struct opening {
	struct ext_work *work;
	char name[STORE_SECRET_NAME_MAX + 1];
	ext_secret_cb done;
	void *user;
	struct error err;
};

static void end_opening(struct opening *o, const struct error *err, struct span value)
{
	o->done(o->user, err, value);
	mem_free(o);
}

static void on_reported(const struct error *err, void *user)
{
	struct opening *o = user;

	(void)err; /* that it does not open is what the caller hears */
	end_opening(o, &o->err, SPAN_NONE);
}

static void on_opened(void *user, const struct error *err, struct span value)
{
	struct opening *o = user;

	if (!err) {
		end_opening(o, NULL, value);
		return;
	}
	if (err->code != ERR_SEALED && err->code != ERR_NOT_FOUND) {
		end_opening(o, err, SPAN_NONE);
		return;
	}
	(void)error_set(
		&o->err, ERR_SEALED, "the secret '%s' does not open: %s", o->name, err->text);
	store_secret_unreadable(o->work->api->options.db, &o->work->context, span_of(o->name),
		span_of(o->err.text), on_reported, o);
}

static void on_envelope(const struct error *err, struct span envelope, void *user)
{
	struct opening *o = user;
	struct api *api = o->work->api;
	char place[PLACE_MAX];

	if (err && err->code == ERR_NOT_FOUND) {
		(void)error_set(&o->err, ERR_NOT_FOUND, "no secret '%s' is set", o->name);
		err = &o->err;
	}
	if (err) {
		end_opening(o, err, SPAN_NONE);
		return;
	}
	(void)snprintf(place, sizeof(place), "plugin_installations.secrets:%.*s:%s",
		SPAN_ARG(o->work->installation), o->name);
	api->options.host->key_ring(
		api->options.host_user, KEY_RING_OPEN, span_of(place), envelope, on_opened, o);
}

int ext_secret_open(
	struct ext_work *work, struct span name, ext_secret_cb done, void *user, struct error *err)
{
	struct opening *o;

	if (!store_secret_name_valid(name))
		return error_set(err, ERR_INVALID, "'%.*s' is no name of a secret",
			(int)(name.len < STORE_SECRET_NAME_MAX ? name.len : STORE_SECRET_NAME_MAX),
			name.data);
	o = mem_zalloc(sizeof(*o));
	o->work = work;
	(void)snprintf(o->name, sizeof(o->name), "%.*s", SPAN_ARG(name));
	o->done = done;
	o->user = user;
	store_secret_get(work->api->options.db, &work->context, span_of(o->name), on_envelope, o);
	return 0;
}

static void on_value(void *user, const struct error *err, struct span value)
{
	struct ext_work *work = user;
	struct text json;

	if (err) {
		ext_fail(work, err);
		return;
	}
	text_init(&json);
	/* Each byte takes at most six in JSON; a text that grows leaves copies. */
	(void)text_reserve(&json, 6 * value.len + 32);
	text_append_string(&json, "{\"value\":");
	text_append_json(&json, value);
	text_append_char(&json, '}');
	ext_give_text(work, text_span(&json));
	mem_wipe(json.data, json.cap);
	text_done(&json);
}

int ext_secret_start(struct ext_work *work, struct error *err)
{
	if (strcmp(work->method->name, "get") == 0)
		return ext_secret_open(work, ext_string(work, "name"), on_value, work, err);
	return error_set(err, ERR_UNSUPPORTED, "secret/1 has no '%s' here", work->method->name);
}
