/* /v1/keys: bearer keys. The text of a key leaves this process once, in the answer that made it.
 *
 * A key gives no more than its maker has: a scope that his key does not hold, and where his key is
 * bound to addresses, origins, an hour's requests or an expiry, neither a wider place nor a later
 * end. What its owner may do is looked at with each use, not here. */
#include "api/rest_priv.h"
#include "base/clock.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "identity/key.h"
#include "identity/place.h"
#include "identity/principal.h"
#include "store/api_keys.h"

#define PLACES_MAX   32
#define NAME_MAX     255
#define ID_MAX       64
#define RATE_DEFAULT 1000
#define RATE_MAX     1000000000
#define LIST         "keys"

/* ---- what a key looks like ---------------------------------------------------------------------
 */

static json_t *key_of(const struct store_api_key *row)
{
	json_t *key = json_object();
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "id", rest_text(row->id) },
		{ "user_id", rest_text(row->user_id) },
		{ "team_id", rest_text(row->team_id) },
		{ "team", rest_text(row->team) },
		{ "name", rest_text(row->name) },
		{ "prefix", rest_text(row->key_prefix) },
		{ "scopes", rest_texts(row->scopes) },
		{ "rate_limit", json_integer(row->rate_limit) },
		{ "allowed_ips", rest_texts(row->allowed_ips) },
		{ "allowed_origins", rest_texts(row->allowed_origins) },
		{ "usage_count", json_integer(row->usage_count) },
		{ "last_used_at", rest_time(row->last_used_at) },
		{ "expires_at", rest_time(row->expires_at) },
		{ "active", json_boolean(row->active) },
		{ "revoked_at", rest_time(row->revoked_at) },
		{ "revoked_reason", rest_text(row->revoked_reason) },
		{ "created_at", rest_time(row->created_at) },
		{ "created_by", rest_text(row->created_by) },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
		(void)json_object_set_new_nocheck(key, members[i].name, members[i].value);
	return key;
}

static void on_key(const struct error *err, const struct store_api_key *rows, size_t n, void *user)
{
	struct rest_call *call = user;

	(void)n;
	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200, key_of(rows));
}

/* ---- reading what is wished --------------------------------------------------------------------
 */

struct wish {
	struct span name;
	struct span scopes[SCOPES_MAX], ips[PLACES_MAX], origins[PLACES_MAX];
	size_t n_scopes, n_ips, n_origins;
	int64_t rate_limit; /* -1: none was named */
	int64_t expires_at; /* 0: none was named, or none is wished */
};

/* Strings of an array of the body. */
static size_t read_strings(struct json_reader *reader, const char *name, enum json_need need,
	struct span *out, size_t max)
{
	const json_t *array = json_read_array(reader, name, need, max);
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(array); i++) {
		out[n] = json_span(json_array_get(array, i));
		if (!out[n].data)
			json_reader_fail(reader, name, "holds something that is no string");
		else
			n++;
	}
	return n;
}

static void read_wish(struct json_reader *reader, enum json_need need, struct wish *wish)
{
	bool scopes = need == JSON_REQUIRED || json_object_get(reader->object, "scopes");
	struct span expires;

	wish->name = json_read_text(reader, "name", need, NAME_MAX);
	if (need == JSON_OPTIONAL && wish->name.data && wish->name.len == 0)
		json_reader_fail(reader, "name", "is empty");
	wish->n_scopes = read_strings(
		reader, "scopes", scopes ? JSON_REQUIRED : JSON_OPTIONAL, wish->scopes, SCOPES_MAX);
	if (scopes && wish->n_scopes == 0)
		json_reader_fail(reader, "scopes", "is empty");
	wish->n_ips = read_strings(reader, "allowed_ips", JSON_OPTIONAL, wish->ips, PLACES_MAX);
	wish->n_origins =
		read_strings(reader, "allowed_origins", JSON_OPTIONAL, wish->origins, PLACES_MAX);
	wish->rate_limit = json_read_integer(reader, "rate_limit", JSON_OPTIONAL, 0, RATE_MAX, -1);
	expires = json_read_text(reader, "expires_at", JSON_OPTIONAL, CLOCK_TEXT_SIZE);
	if (expires.data && !clock_parse(expires, &wish->expires_at))
		json_reader_fail(reader, "expires_at", "is no time in RFC 3339 with 'Z'");
	else if (expires.data && wish->expires_at <= clock_real_us())
		json_reader_fail(reader, "expires_at", "is in the past");
}

static int check_forms(const struct wish *wish, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < wish->n_scopes && rc == 0; i++)
		if (!scope_valid(wish->scopes[i]))
			rc = error_set(
				err, ERR_INVALID, "'%.*s' is no scope", SPAN_ARG(wish->scopes[i]));
	for (size_t i = 0; i < wish->n_ips && rc == 0; i++)
		rc = network_check(wish->ips[i], err);
	for (size_t i = 0; i < wish->n_origins && rc == 0; i++)
		rc = origin_check(wish->origins[i], err);
	return rc;
}

static int beyond(struct error *err, const char *what)
{
	(void)error_set(err, ERR_PERMISSION, "%s is more than the key that asks has", what);
	(void)error_fix(err, "ask for no more than that, or with a session or a key that has it");
	return ERR_PERMISSION;
}

static int check_scopes(const struct principal *who, const struct wish *wish, struct error *err)
{
	for (size_t i = 0; i < wish->n_scopes; i++) {
		char what[SCOPE_TEXT_MAX + 16];

		if (scopes_hold(&who->scopes, wish->scopes[i]))
			continue;
		(void)snprintf(what, sizeof(what), "the scope '%.*s'", SPAN_ARG(wish->scopes[i]));
		return beyond(err, what);
	}
	return 0;
}

/* Where the asking key is bound, what is named must lie within; ips, origins and expires say
 * whether anything is to be set there, if only to nothing. */
static int check_bounds(const struct principal *who, const struct wish *wish, bool ips,
	bool origins, bool expires, struct error *err)
{
	bool wider = false;

	if (who->allowed_ips && ips) {
		wider = wish->n_ips == 0;
		for (size_t i = 0; i < wish->n_ips; i++)
			wider = wider || !networks_cover(span_of(who->allowed_ips), wish->ips[i]);
		if (wider)
			return beyond(err, "'allowed_ips'");
	}
	if (who->allowed_origins && origins) {
		wider = wish->n_origins == 0;
		for (size_t i = 0; i < wish->n_origins; i++)
			wider = wider ||
				!origins_hold(span_of(who->allowed_origins), wish->origins[i]);
		if (wider)
			return beyond(err, "'allowed_origins'");
	}
	if (who->rate_limit > 0 && (wish->rate_limit == 0 || wish->rate_limit > who->rate_limit))
		return beyond(err, "'rate_limit'");
	if (who->expires_us != 0 && expires &&
		(wish->expires_at == 0 || wish->expires_at > who->expires_us))
		return beyond(err, "'expires_at'");
	return 0;
}

/* A session is not a key: it has an end, and what it makes may outlive it. */
static bool by_key(const struct rest_call *call)
{
	return call->who->key_id[0] != '\0';
}

static bool wish_allowed(struct rest_call *call, const struct wish *wish)
{
	struct error err;
	int rc = check_forms(wish, &err);

	if (rc == 0)
		rc = check_scopes(call->who, wish, &err);
	if (rc == 0 && by_key(call))
		rc = check_bounds(call->who, wish, json_object_get(call->json, "allowed_ips"),
			json_object_get(call->json, "allowed_origins"),
			json_object_get(call->json, "expires_at"), &err);
	if (rc < 0)
		rest_problem(call, &err);
	return rc == 0;
}

/* ---- lists -------------------------------------------------------------------------------------
 */

struct page {
	struct rest_call *call;
	size_t limit;
	char *filters;
};

static void page_free(struct page *page)
{
	mem_free(page->filters);
	mem_free(page);
}

static void on_page(const struct error *err, const struct store_api_key *rows, size_t n, void *user)
{
	struct page *page = user;
	struct rest_call *call = page->call;
	size_t shown = n < page->limit ? n : page->limit;
	json_t *list;

	if (rest_end(call)) {
		if (err) {
			rest_problem(call, err);
		} else {
			list = json_array();
			for (size_t i = 0; i < shown; i++)
				(void)json_array_append_new(list, key_of(&rows[i]));
			rest_list(call, list, LIST, span_of(page->filters),
				n > shown ? rows[shown - 1].id : SPAN_NONE);
		}
	}
	page_free(page);
}

static struct span own_for_me(const struct rest_call *call, struct span user)
{
	return !user.data || span_is(user, "me") ? call->context.user_id : user;
}

static void list(struct rest_call *call)
{
	struct rest_query q;
	struct span user, team, before;
	struct page *page;
	unsigned limit;

	rest_query_init(&q, call);
	user = rest_query_text(&q, "user");
	team = rest_query_text(&q, "team");
	limit = (unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	before = rest_query_after(&q, LIST);
	if (user.data && team.data)
		(void)error_set(&q.err, ERR_INVALID, "'user' and 'team' are not asked for at once");
	if (rest_query_end(&q)) {
		page = mem_zalloc(sizeof(*page));
		page->call = call;
		page->limit = limit;
		page->filters = mem_printf("%.*s", SPAN_ARG(text_span(&q.filters)));
		rest_begin(call);
		store_api_keys_list(call->api->options.db, &call->context, own_for_me(call, user),
			team, before, limit + 1, on_page, page);
	}
	rest_query_done(&q);
}

static void get(struct rest_call *call)
{
	char id[ID_MAX];

	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_api_key_get(call->api->options.db, &call->context, span_of(id), on_key, call);
}

/* ---- making and changing -----------------------------------------------------------------------
 */

static void secret_free(void *state)
{
	mem_wipe(state, KEY_LEN + 1);
	mem_free(state);
}

static void on_created(
	const struct error *err, const struct store_api_key *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	char location[ID_MAX + 16];
	json_t *key;

	(void)n;
	if (!rest_end(call))
		return;
	if (err) {
		rest_problem(call, err);
		return;
	}
	(void)snprintf(location, sizeof(location), "/v1/keys/%.*s", SPAN_ARG(rows->id));
	key = key_of(rows);
	(void)json_object_set_new(key, "key", json_string(call->state));
	rest_created(call, 201, location, key);
}

/* What was asked for, to tell a repeated request from another one with the same key. */
static void hash_body(const struct rest_call *call, char out[static SHA256_HEX_SIZE])
{
	struct text body;

	text_init(&body);
	json_append(&body, call->json);
	sha256_hex(text_span(&body), out);
	text_done(&body);
}

/* What is not named is the asking key's own. */
static void inherit(const struct principal *who, struct wish *wish)
{
	struct span rest, item;

	if (wish->n_ips == 0 && who->allowed_ips) {
		rest = span_of(who->allowed_ips);
		while (wish->n_ips < PLACES_MAX && span_split(&rest, ',', &item))
			wish->ips[wish->n_ips++] = item;
	}
	if (wish->n_origins == 0 && who->allowed_origins) {
		rest = span_of(who->allowed_origins);
		while (wish->n_origins < PLACES_MAX && span_split(&rest, '\n', &item))
			wish->origins[wish->n_origins++] = item;
	}
	if (wish->expires_at == 0)
		wish->expires_at = who->expires_us;
	if (wish->rate_limit < 0 && who->rate_limit > 0 && who->rate_limit < RATE_DEFAULT)
		wish->rate_limit = who->rate_limit;
}

static void send_create(struct rest_call *call, struct wish *wish, struct span user,
	struct span team, struct span operation)
{
	char *secret = mem_zalloc(KEY_LEN + 1), hash[SHA256_HEX_SIZE], body[SHA256_HEX_SIZE];
	struct store_api_key_create key = {
		.user = user.data || !team.data ? own_for_me(call, user) : SPAN_NONE,
		.team = team,
		.name = wish->name,
		.scopes = wish->scopes,
		.n_scopes = wish->n_scopes,
		.rate_limit = wish->rate_limit < 0 ? RATE_DEFAULT : wish->rate_limit,
		.expires_at = wish->expires_at,
		.allowed_ips = wish->ips,
		.n_allowed_ips = wish->n_ips,
		.allowed_origins = wish->origins,
		.n_allowed_origins = wish->n_origins,
		.operation = operation,
	};

	call->state = secret;
	call->state_free = secret_free;
	key_make(KEY_API, secret);
	sha256_hex(span_of(secret), hash);
	hash_body(call, body);
	key.key_hash = span_of(hash);
	key.key_prefix = (struct span){ secret, KEY_PREFIX_LEN };
	key.body = operation.data ? span_of(body) : SPAN_NONE;
	rest_begin(call);
	store_api_key_create(call->api->options.db, &call->context, &key, on_created, call);
}

static void create(struct rest_call *call)
{
	struct wish wish = { 0 };
	struct json_reader reader;
	struct span user, team, operation;
	struct error err;

	if (!rest_operation_key(call, &operation))
		return;
	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	user = json_read_text(&reader, "user", JSON_OPTIONAL, NAME_MAX);
	team = json_read_text(&reader, "team", JSON_OPTIONAL, NAME_MAX);
	read_wish(&reader, JSON_REQUIRED, &wish);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!wish_allowed(call, &wish))
		return;
	if (by_key(call))
		inherit(call->who, &wish);
	send_create(call, &wish, user, team, operation);
}

static void change(struct rest_call *call)
{
	struct wish wish = { 0 };
	struct json_reader reader;
	struct text patch;
	struct error err;
	char id[ID_MAX];

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	read_wish(&reader, JSON_OPTIONAL, &wish);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!wish_allowed(call, &wish) || !rest_param(call, "id", id, sizeof(id)))
		return;
	text_init(&patch);
	json_append(&patch, call->json);
	rest_begin(call);
	store_api_key_change(call->api->options.db, &call->context, span_of(id), text_span(&patch),
		on_key, call);
	text_done(&patch);
}

static void on_revoked(const struct error *err, int64_t number, void *user)
{
	struct rest_call *call = user;

	if (!rest_end(call))
		return;
	if (err)
		rest_problem(call, err);
	else
		rest_json(call, 200,
			json_pack("{s:b, s:b}", "revoked", 1, "was_active", number != 0));
}

static void revoke(struct rest_call *call)
{
	struct json_reader reader;
	struct span reason;
	struct error err;
	char id[ID_MAX];

	json_reader_init(&reader, call->json, "body", ERR_INVALID, &err);
	reason = json_read_text(&reader, "reason", JSON_OPTIONAL, NAME_MAX);
	if (json_reader_end(&reader) < 0) {
		rest_problem(call, &err);
		return;
	}
	if (!rest_param(call, "id", id, sizeof(id)))
		return;
	rest_begin(call);
	store_api_key_revoke(
		call->api->options.db, &call->context, span_of(id), reason, on_revoked, call);
}

const struct rest_route rest_keys_routes[] = {
	REST_ROUTE("GET", "/v1/keys", KEY_READ, NONE, NONE, list),
	REST_ROUTE("POST", "/v1/keys", KEY_WRITE, NONE, JSON, create),
	REST_ROUTE("GET", "/v1/keys/{id}", KEY_READ, NONE, NONE, get),
	REST_ROUTE("PATCH", "/v1/keys/{id}", KEY_WRITE, NONE, JSON, change),
	REST_ROUTE("POST", "/v1/keys/{id}/revoke", KEY_WRITE, NONE, JSON, revoke),
	REST_ROUTES_END,
};
