/* /v1/packages: bring a package to this host
 *
 * The body is spooled to a file without a name, so that nothing is left of it whatever happens, and
 * its descriptor goes to the supervisor, which has it checked. Not a byte of it is read here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "api/rest_priv.h"
#include "base/io.h"
#include "base/loop.h"
#include "channel/protocol.h"
#include "codec/json.h"
#include "http/server.h"
#include "identity/principal.h"
#include "store/packages.h"
#include "store/trust.h"

struct upload {
	struct rest_call *call;
	int fd;
	uint64_t size;
	bool writing;
	bool last;           /* all of the body has come */
	struct text waiting; /* came while a write was under way */
	struct text written; /* of the write under way */
	struct error err;    /* of a write */
	json_t *answer;
	char *key_id;
};

static void upload_free(void *state)
{
	struct upload *u = state;

	if (u->fd != -1)
		(void)close(u->fd);
	text_done(&u->waiting);
	text_done(&u->written);
	json_decref(u->answer);
	mem_free(u->key_id);
	mem_free(u);
}

static json_t *signer_of(const char *key_id, const struct store_trust_key *rows, size_t n)
{
	struct span name = SPAN_NONE;

	if (!key_id[0])
		return json_null();
	for (size_t i = 0; i < n; i++)
		if (span_is(rows[i].key_id, key_id))
			name = rows[i].name;
	return json_pack("{s:s, s:o}", "key_id", key_id, "name", rest_text(name));
}

static void on_keys(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	struct upload *u = user;
	struct rest_call *call = u->call;
	char location[128];

	if (!rest_end(call))
		return;
	/* The package is there; who signed it is known by the key's id in any case. */
	(void)json_object_set_new(u->answer, "signer", signer_of(u->key_id, rows, err ? 0 : n));
	(void)snprintf(location, sizeof(location), "/v1/packages/%s",
		json_string_value(json_object_get(u->answer, "digest")));
	rest_created(call, 201, location, json_incref(u->answer));
}

static json_t *lines_of(struct span lines)
{
	json_t *list = json_array();
	struct span line;

	while (lines.len && span_split(&lines, '\n', &line))
		(void)json_array_append_new(list, rest_text(line));
	return list;
}

static void on_staged(void *user, const struct front_staged *message)
{
	struct upload *u = user;
	struct rest_call *call = u->call;
	struct error err;

	if (!rest_end(call))
		return;
	if (!message) {
		(void)error_set(&err, ERR_UNAVAIL, "the host is restarting");
		rest_problem(call, &err);
		return;
	}
	if (message->rc != 0) {
		(void)error_set(
			&err, error_entry(message->rc)->code, "%.*s", SPAN_ARG(message->text));
		if (message->fix.len > 0)
			(void)error_fix(&err, "%.*s", SPAN_ARG(message->fix));
		rest_problem(call, &err);
		return;
	}
	u->answer = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "digest",
		rest_text(message->digest), "name", rest_text(message->name), "version",
		rest_text(message->version), "size", (json_int_t)u->size, "manifest",
		rest_raw(message->manifest), "warnings", lines_of(message->warnings));
	u->key_id = mem_printf("%.*s", SPAN_ARG(message->signer));
	rest_begin(call);
	store_trust_keys_list(call->api->options.db, &call->context, on_keys, u);
}

static void stage(struct upload *u)
{
	struct rest_call *call = u->call;
	const struct api_options *options = &call->api->options;

	rest_begin(call);
	options->host->stage(
		options->host_user, u->fd, u->size, span_of(call->who->user_id), on_staged, u);
}

static void write_piece(void *user)
{
	struct upload *u = user;

	(void)io_write_all(u->fd, u->written.data, u->written.len, &u->err);
}

static void write_next(struct upload *u);

static void on_piece_written(void *user, int cancelled)
{
	struct upload *u = user;
	struct rest_call *call = u->call;
	struct error err;

	(void)cancelled;
	u->writing = false;
	if (!rest_end(call))
		return;
	if (u->err.code) {
		(void)error_set(&err, ERR_INTERNAL, "the package cannot be spooled here");
		(void)error_fix(&err, "the host's disk may be full: see its log");
		rest_problem(call, &err);
		return;
	}
	http_body_consumed(call->request, u->written.len);
	text_clear(&u->written);
	write_next(u);
}

static void write_next(struct upload *u)
{
	struct text swap = u->written;

	if (u->writing)
		return;
	if (u->waiting.len == 0) {
		if (u->last)
			stage(u);
		return;
	}
	u->written = u->waiting;
	u->waiting = swap;
	u->size += u->written.len;
	u->writing = true;
	rest_begin(u->call);
	(void)work_submit(u->call->api->options.loop, write_piece, on_piece_written, u);
}

static void on_body(struct rest_call *call, struct span piece, bool last)
{
	struct upload *u = call->state;

	text_append_span(&u->waiting, piece);
	u->last = last;
	write_next(u);
}

static int open_spool(const char *folder, struct error *err)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd == -1 ? error_set(err, ERR_INTERNAL, "the package cannot be spooled here") : fd;
}

static void upload(struct rest_call *call)
{
	struct upload *u;
	struct error err;
	int fd, rc;

	if (!http_request_has_body(call->request)) {
		rest_invalid(call, "", "is empty: the body is the package");
		return;
	}
	fd = open_spool(call->api->spool_folder, &err);
	if (fd < 0) {
		rest_problem(call, &err);
		return;
	}
	u = mem_zalloc(sizeof(*u));
	u->call = call;
	u->fd = fd;
	text_init(&u->waiting);
	text_init(&u->written);
	call->state = u;
	call->state_free = upload_free;
	call->on_body = on_body;
	/* A large package over a slow line takes its time; http.min_rate is what bounds it. */
	http_request_deadline(call->request, 0);
	rc = http_body_read(call->request, call->api->options.package_bytes, &err);
	if (rc < 0)
		rest_problem(call, &err);
}

static void on_package(
	const struct error *err, const struct store_package *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err || n != 1) {
		rest_problem(call, err);
		return;
	}
	rest_json(call, 200,
		json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:b, s:o}", "digest",
			rest_text(rows[0].digest), "name", rest_text(rows[0].plugin_name),
			"version", rest_text(rows[0].version), "manifest",
			rest_raw(rows[0].manifest), "size", (json_int_t)rows[0].size, "key_id",
			rest_text(rows[0].key_id), "stored", rows[0].stored, "added_at",
			rest_time(rows[0].added_at)));
}

static void get(struct rest_call *call)
{
	char digest[80];

	if (!rest_param(call, "digest", digest, sizeof(digest)))
		return;
	rest_begin(call);
	store_package_get(call->api->options.db, &call->context, span_of(digest), on_package, call);
}

const struct rest_route rest_packages_routes[] = {
	REST_ROUTE("POST", "/v1/packages", PACKAGE_UPLOAD, NONE, STREAM, upload),
	REST_ROUTE("GET", "/v1/packages/{digest}", PACKAGE_READ, NONE, NONE, get),
	REST_ROUTES_END,
};
