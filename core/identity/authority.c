/* Why a cached entry is right: entries come from reads (fills) and go by what the feed names. A
 * confirmation reads every feed row of transactions from the last horizon on, so what changed
 * before it was sent is applied when it has come; it vouches for the cache as of the moment it
 * was sent. A fill that runs beside a confirmation may carry what the confirmation has just
 * declared old, so everything applied while any fill is out is kept in `moved`, and a fill that it
 * names, or that began before the cache was emptied, is used once and not cached. */
#include "identity/authority.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "identity/key.h"
#include "identity/principal.h"
#include "identity/uses.h"
#include "store/api_keys.h"
#include "store/feeds.h"
#include "store/installations.h"
#include "store/sessions.h"

#define ENTRIES_MAX     20000u
#define MOVED_MAX       4096u
#define PERMISSIONS_MAX 64u
/* How often the feed is read while keys are being used, as a part of stale_max. */
#define CONFIRM_PARTS 4u
/* Without a use for so long nothing is confirmed: an idle front asks nothing. */
#define WANTED_NS (5 * CLOCK_NS_PER_SEC)
#define FLUSH_NS  (5 * CLOCK_NS_PER_SEC)

struct entry {
	struct list by_age; /* least recently used first */
	uint8_t digest[SHA256_SIZE];
	struct principal *principal;
	int64_t uses;
	int64_t last_used_us; /* or when it was asked for */
};

struct waiter {
	struct list link;
	authority_cb done;
	void *user;
};

struct fill {
	struct authority *a;
	enum key_kind kind;
	uint8_t digest[SHA256_SIZE];
	uint64_t epoch;
	size_t moved_from;
	struct list waiters;
};

struct account {
	struct authority *a;
	char *permissions;
	authority_cb done;
	void *user;
};

struct authority {
	struct db_pool *db;
	uint64_t stale_max_ns;
	struct map entries; /* digest -> struct entry */
	struct list ages;
	struct map fills; /* digest -> struct fill: the newest of a key */
	size_t fills_out;
	struct uses uses; /* of entries that were dropped, and on their way */

	uint64_t epoch; /* of the cache: raised when it is emptied */
	char **moved;   /* keys that the feed named while fills were out */
	size_t moved_count;
	bool moved_lost;

	int64_t horizon; /* 0: the feed was never read */
	struct map seen; /* positions of feed rows that will come again */
	uint64_t confirmed_ns;
	uint64_t sent_ns;
	bool confirming;
	bool ring_again;
	uint64_t wanted_ns;
	uint64_t flushed_ns;
};

static struct span digest_span(const uint8_t *digest)
{
	return (struct span){ (const char *)digest, SHA256_SIZE };
}

struct authority *authority_new(struct db_pool *db, uint64_t stale_max_ms)
{
	struct authority *a = mem_zalloc(sizeof(*a));

	a->db = db;
	a->stale_max_ns = stale_max_ms * CLOCK_NS_PER_MS;
	map_init(&a->entries);
	list_init(&a->ages);
	map_init(&a->fills);
	uses_init(&a->uses, db);
	map_init(&a->seen);
	a->flushed_ns = clock_ns();
	return a;
}

/* ---- uses --------------------------------------------------------------------------------------
 */

static void take_uses(struct authority *a, struct entry *e)
{
	if (e->uses > 0)
		uses_add(&a->uses, e->principal, e->uses, e->last_used_us);
	e->uses = 0;
}

void authority_flush(struct authority *a)
{
	list_for_each(struct entry, e, &a->ages, by_age)
		take_uses(a, e);
	uses_flush(&a->uses);
	a->flushed_ns = clock_ns();
}

void authority_used(struct authority *a, const struct principal *p)
{
	uint8_t digest[SHA256_SIZE];
	struct entry *e;

	if (!hex_decode(span_of(p->key_hash), digest, sizeof(digest)))
		return;
	e = map_get(&a->entries, digest_span(digest));
	if (!e) {
		uses_add(&a->uses, p, 1, clock_real_us());
		return;
	}
	e->uses++;
	e->last_used_us = clock_real_us();
}

/* ---- the cache ---------------------------------------------------------------------------------
 */

static void drop(struct authority *a, struct entry *e)
{
	take_uses(a, e);
	list_remove(&e->by_age);
	(void)map_remove(&a->entries, digest_span(e->digest));
	principal_unref(e->principal);
	mem_free(e);
}

static void drop_all(struct authority *a)
{
	list_for_each_safe(struct entry, e, &a->ages, by_age)
		drop(a, e);
	a->epoch++;
}

static void forget_moved(struct authority *a)
{
	for (size_t i = 0; i < a->moved_count; i++)
		mem_free(a->moved[i]);
	mem_free(a->moved);
	a->moved = NULL;
	a->moved_count = 0;
	a->moved_lost = false;
}

void authority_free(struct authority *a)
{
	if (!a)
		return;
	drop_all(a);
	forget_moved(a);
	map_done(&a->entries);
	map_done(&a->fills);
	uses_done(&a->uses);
	map_done(&a->seen);
	mem_free(a);
}

static bool concerns(struct span id, const struct principal *p)
{
	return span_is(id, p->key_id) || span_is(id, p->session_id) || span_is(id, p->user_id) ||
	       span_is(id, p->team_id);
}

/* The feed says that something of this id (a key's, a session's or a user's) has changed. */
static void move(struct authority *a, struct span id)
{
	list_for_each_safe(struct entry, e, &a->ages, by_age)
		if (concerns(id, e->principal))
			drop(a, e);
	if (a->fills_out == 0)
		return;
	if (a->moved_count == MOVED_MAX) {
		a->moved_lost = true;
		return;
	}
	a->moved = mem_realloc(a->moved, (a->moved_count + 1) * sizeof(*a->moved));
	a->moved[a->moved_count++] = mem_printf("%.*s", SPAN_ARG(id));
}

static bool fill_counts(const struct fill *fill, const struct principal *p)
{
	const struct authority *a = fill->a;

	if (fill->epoch != a->epoch || a->moved_lost)
		return false;
	for (size_t i = fill->moved_from; i < a->moved_count; i++)
		if (concerns(span_of(a->moved[i]), p))
			return false;
	return true;
}

static void keep(struct authority *a, const struct fill *fill, struct principal *p)
{
	struct entry *e = map_get(&a->entries, digest_span(fill->digest));

	if (e)
		drop(a, e);
	if (a->entries.count >= ENTRIES_MAX)
		drop(a, LIST_FIRST(&a->ages, struct entry, by_age));
	e = mem_zalloc(sizeof(*e));
	memcpy(e->digest, fill->digest, sizeof(e->digest));
	e->principal = principal_ref(p);
	e->last_used_us = clock_real_us();
	list_append(&a->ages, &e->by_age);
	(void)map_put(&a->entries, digest_span(e->digest), e);
}

/* ---- confirming --------------------------------------------------------------------------------
 */

static void on_feed(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user);

static void confirm(struct authority *a)
{
	if (a->confirming) {
		a->ring_again = true;
		return;
	}
	a->confirming = true;
	a->ring_again = false;
	a->sent_ns = clock_ns();
	store_feed_read(a->db, STORE_FEED_AUTHORITY, a->horizon, on_feed, a);
}

/* Apply what was not applied before, and remember what will come again. */
static void apply(struct authority *a, const struct store_feed_row *rows, size_t n, int64_t horizon)
{
	struct map again;

	map_init(&again);
	for (size_t i = 0; i < n; i++) {
		uint64_t position = (uint64_t)rows[i].position;

		if (!map_get_u64(&a->seen, position))
			move(a, rows[i].key);
		if (rows[i].transaction >= horizon)
			(void)map_put_u64(&again, position, a);
	}
	map_done(&a->seen);
	a->seen = again;
}

static void on_feed(const struct error *err, int64_t horizon, const struct store_feed_row *rows,
	size_t n, void *user)
{
	struct authority *a = user;

	a->confirming = false;
	if (err && err->code == ERR_LIMIT) {
		a->horizon = 0;
		a->confirmed_ns = 0;
	}
	if (err)
		return;
	if (a->horizon == 0)
		drop_all(a); /* nobody has watched what it holds */
	apply(a, rows, n, horizon);
	a->horizon = horizon;
	a->confirmed_ns = a->sent_ns;
	if (a->ring_again)
		confirm(a);
}

void authority_ring(struct authority *a)
{
	if (a->entries.count > 0 || a->fills_out > 0)
		confirm(a);
}

void authority_tick(struct authority *a)
{
	uint64_t now = clock_ns();

	if (!a->confirming && now - a->wanted_ns < WANTED_NS && a->wanted_ns != 0 &&
		now - a->sent_ns >= a->stale_max_ns / CONFIRM_PARTS)
		confirm(a);
	if (now - a->flushed_ns >= FLUSH_NS)
		authority_flush(a);
}

/* ---- finding and asking ------------------------------------------------------------------------
 */

/* What the database would say of its times now; when it would say no, it is asked. */
static bool still_lasts(const struct entry *e)
{
	int64_t now = clock_real_us();

	if (e->principal->expires_us != 0 && e->principal->expires_us <= now)
		return false;
	return e->principal->idle_us == 0 || now - e->last_used_us < e->principal->idle_us;
}

int authority_find(struct authority *a, struct span key, struct principal **out)
{
	uint8_t digest[SHA256_SIZE];
	struct entry *e;
	uint64_t now;

	if (key.len != KEY_LEN)
		return ERR_KEY_MALFORMED;
	now = clock_ns();
	sha256_of(key, digest);
	e = map_get(&a->entries, digest_span(digest));
	/* What is cached has been looked at before. */
	if (!e && !key_well_formed(KEY_API, key) && !key_well_formed(KEY_SESSION, key))
		return ERR_KEY_MALFORMED;
	a->wanted_ns = now;
	if (!e || a->confirmed_ns == 0 || now - a->confirmed_ns > a->stale_max_ns)
		return ERR_AGAIN;
	if (!still_lasts(e))
		return ERR_AGAIN;
	list_remove(&e->by_age);
	list_append(&a->ages, &e->by_age);
	*out = e->principal;
	return 0;
}

static void copy_id(char out[static PRINCIPAL_ID_SIZE], struct span id)
{
	if (id.len > 0 && id.len < PRINCIPAL_ID_SIZE)
		memcpy(out, id.data, id.len);
}

static char *copy_text(struct span s)
{
	return mem_printf("%.*s", SPAN_ARG(s));
}

/* The items joined; NULL when there are none. */
static char *join(struct db_array items, char separator)
{
	struct text joined;
	struct span item;
	char *text;

	if (items.count == 0)
		return NULL;
	text_init(&joined);
	while (db_array_next(&items, &item)) {
		if (joined.len > 0)
			text_append_char(&joined, separator);
		text_append_span(&joined, item);
	}
	text = text_take(&joined);
	text_done(&joined);
	return text;
}

static struct principal *principal_of(
	const struct store_authority *row, const uint8_t digest[static SHA256_SIZE])
{
	struct principal *p = principal_new();
	struct db_array scopes = row->scopes;
	struct span list[SCOPES_MAX];
	size_t n = 0;

	copy_id(p->key_id, row->key_id);
	copy_id(p->user_id, row->user_id);
	copy_id(p->team_id, row->team_id);
	hex_encode(digest, SHA256_SIZE, p->key_hash);
	p->role = role_from(row->role);
	p->user_name = copy_text(row->user_name);
	p->user_provider = copy_text(row->user_provider);
	while (n < SCOPES_MAX && db_array_next(&scopes, &list[n]))
		n++;
	scopes_init(&p->scopes, list, n);
	p->rate_limit = row->rate_limit;
	p->expires_us = row->expires_at;
	p->allowed_ips = join(row->allowed_ips, ',');
	p->allowed_origins = join(row->allowed_origins, '\n');
	return p;
}

static void end_fill(struct fill *fill, int rc, struct principal *p, const struct error *err)
{
	struct authority *a = fill->a;

	if (map_get(&a->fills, digest_span(fill->digest)) == fill)
		(void)map_remove(&a->fills, digest_span(fill->digest));
	a->fills_out--;
	if (a->fills_out == 0)
		forget_moved(a);
	list_for_each_safe(struct waiter, w, &fill->waiters, link) {
		list_remove(&w->link);
		w->done(w->user, rc, p, err);
		mem_free(w);
	}
	mem_free(fill);
}

static struct principal *principal_of_session(
	const struct store_session_authority *row, const uint8_t digest[static SHA256_SIZE])
{
	static const struct span everything = { "*", 1 };
	struct principal *p = principal_new();

	copy_id(p->session_id, row->session_id);
	copy_id(p->user_id, row->user_id);
	hex_encode(digest, SHA256_SIZE, p->key_hash);
	p->role = role_from(row->role);
	p->half = row->half;
	p->by_cookie = row->by_cookie;
	p->user_name = copy_text(row->user_name);
	p->user_provider = copy_text(row->user_provider);
	scopes_init(&p->scopes, &everything, 1);
	p->expires_us = row->expires_at;
	p->idle_us = row->idle_us;
	return p;
}

/* p, which is given up, as the answer. */
static void end_found(struct fill *fill, struct principal *p)
{
	if (fill_counts(fill, p))
		keep(fill->a, fill, p);
	end_fill(fill, 0, p, NULL);
	principal_unref(p);
}

static void end_not_found(struct fill *fill, const struct error *err)
{
	struct error own;

	if (err && err->code != ERR_NOT_FOUND)
		(void)error_set(&own, ERR_UNAVAIL, "%s cannot be checked: %s",
			fill->kind == KEY_API ? "the API key" : "the session", err->text);
	else if (fill->kind == KEY_API)
		(void)error_set(&own, ERR_KEY_UNKNOWN,
			"the API key is unknown, expired or revoked, or its owner is inactive");
	else
		(void)error_set(&own, ERR_SESSION_UNKNOWN,
			"the session is over, or its token was replaced or has expired");
	end_fill(fill, own.code, NULL, &own);
}

/* What is of a newer schema, and cannot be read, is not trusted. */
static bool is_readable(const struct principal *p)
{
	return p->role != ROLE_COUNT && p->user_id[0] != '\0' &&
	       (p->key_id[0] != '\0' || p->session_id[0] != '\0');
}

static void end_with(struct fill *fill, struct principal *p)
{
	if (is_readable(p)) {
		end_found(fill, p);
		return;
	}
	principal_unref(p);
	end_not_found(fill, NULL);
}

static void on_key(
	const struct error *err, const struct store_authority *rows, size_t n, void *user)
{
	struct fill *fill = user;

	if (!err && n == 1)
		end_with(fill, principal_of(&rows[0], fill->digest));
	else
		end_not_found(fill, err);
}

static void on_session(
	const struct error *err, const struct store_session_authority *rows, size_t n, void *user)
{
	struct fill *fill = user;

	if (!err && n == 1)
		end_with(fill, principal_of_session(&rows[0], fill->digest));
	else
		end_not_found(fill, err);
}

static struct waiter *waiter_new(authority_cb done, void *user)
{
	struct waiter *w = mem_zalloc(sizeof(*w));

	list_init(&w->link);
	w->done = done;
	w->user = user;
	return w;
}

void authority_ask(struct authority *a, struct span key, authority_cb done, void *user)
{
	struct waiter *w = waiter_new(done, user);
	char hex[SHA256_HEX_SIZE];
	uint8_t digest[SHA256_SIZE];
	struct fill *fill;

	sha256_of(key, digest);
	fill = map_get(&a->fills, digest_span(digest));
	if (fill && fill->epoch == a->epoch) {
		list_append(&fill->waiters, &w->link);
		return;
	}
	fill = mem_zalloc(sizeof(*fill));
	fill->a = a;
	fill->kind = key_well_formed(KEY_SESSION, key) ? KEY_SESSION : KEY_API;
	memcpy(fill->digest, digest, sizeof(digest));
	fill->epoch = a->epoch;
	fill->moved_from = a->moved_count;
	list_init(&fill->waiters);
	list_append(&fill->waiters, &w->link);
	(void)map_put(&a->fills, digest_span(fill->digest), fill);
	a->fills_out++;
	if (!a->confirming && a->sent_ns + a->stale_max_ns / CONFIRM_PARTS <= clock_ns())
		confirm(a);
	hex_encode(digest, sizeof(digest), hex);
	if (fill->kind == KEY_SESSION)
		store_session_find(a->db, span_of(hex), on_session, fill);
	else
		store_api_key_find(a->db, span_of(hex), on_key, fill);
}

/* ---- accounts of plugins -----------------------------------------------------------------------
 */

static void on_account(const struct error *err, struct span text, void *user)
{
	struct account *account = user;
	struct principal *p = NULL;
	struct error own;

	if (err) {
		(void)error_set(&own, err->code == ERR_NOT_FOUND ? ERR_PERMISSION : ERR_UNAVAIL,
			"the plugin's own account: %s", err->text);
		account->done(account->user, own.code, NULL, &own);
	} else {
		struct span rest = span_of(account->permissions), list[PERMISSIONS_MAX];
		size_t n = 0;

		p = principal_new();
		p->account = true;
		p->role = ROLE_VIEWER;
		copy_id(p->user_id, text);
		p->user_name = mem_strdup("");
		p->user_provider = mem_strdup("plugin");
		while (n < PERMISSIONS_MAX && span_split(&rest, ' ', &list[n]))
			n++;
		scopes_init(&p->scopes, list, n);
		account->done(account->user, 0, p, NULL);
		principal_unref(p);
	}
	mem_free(account->permissions);
	mem_free(account);
}

void authority_account(struct authority *a, struct span installation, const char *permissions,
	authority_cb done, void *user)
{
	struct account *account = mem_zalloc(sizeof(*account));

	account->a = a;
	account->permissions = mem_strdup(permissions);
	account->done = done;
	account->user = user;
	store_installation_account(a->db, installation, on_account, account);
}
