/* A repository in memory, and the client of tuf.h against it. */
#include "package/tuf.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/sign.h"
#include "lib/test.h"

#define KEYS 12
#define NOW  INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define SOON "2026-02-01T00:00:00Z"
#define PAST "2025-12-31T23:59:59Z"

/* Each of the four roles is signed by the key of its number; ROOT's second is KEY_ROOT2. */
enum { KEY_ROOT, KEY_TIMESTAMP, KEY_SNAPSHOT, KEY_TARGETS, KEY_ROOT2, KEY_A, KEY_B, KEY_FREE };

struct repository {
	struct sign_key *keys[KEYS];
	json_t *root, *timestamp, *snapshot, *targets; /* "signed", to be changed and published */
	struct map served;                             /* file -> char * */
	struct map kept;                               /* of the client: file -> char * */
	unsigned fetched;
	const char *full; /* a file whose saving fails */
	struct tuf_files files;
	struct tuf_source source;
};

static struct repository repo;

static void put(struct map *map, const char *name, const char *text)
{
	mem_free(map_put(map, span_of(name), mem_strdup(text)));
}

static int give(struct map *map, const char *name, size_t max, struct text *out, struct error *err)
{
	const char *text = map_get(map, span_of(name));

	if (!text)
		return error_set(err, ERR_NOT_FOUND, "no '%s'", name);
	if (strlen(text) > max)
		return error_set(err, ERR_TOO_LARGE, "'%s' is longer than %zu", name, max);
	text_append_string(out, text);
	return 0;
}

static int fetch(void *user, const char *name, size_t max, struct text *out, struct error *err)
{
	(void)user;
	repo.fetched++;
	return give(&repo.served, name, max, out, err);
}

static int load(void *user, const char *name, size_t max, struct text *out, struct error *err)
{
	(void)user;
	return give(&repo.kept, name, max, out, err);
}

static int save(void *user, const char *name, struct span bytes, struct error *err)
{
	CLEANUP(mem_freep) char *text = mem_printf("%.*s", SPAN_ARG(bytes));

	(void)user;
	if (repo.full && strcmp(repo.full, name) == 0)
		return error_set(err, ERR_INTERNAL, "no room for '%s'", name);
	put(&repo.kept, name, text);
	return 0;
}

static int remove_file(void *user, const char *name, struct error *err)
{
	(void)user;
	(void)err;
	mem_free(map_remove(&repo.kept, span_of(name)));
	return 0;
}

/* ---- what a repository writes ---------------------------------------------------------------- */

static void key_name(int key, char out[static SHA256_HEX_SIZE])
{
	sha256_hex((struct span){ (const char *)sign_key_public(repo.keys[key]), SIGN_PUBLIC_SIZE },
		out);
}

static json_t *key_json(int key)
{
	char hex[2 * SIGN_PUBLIC_SIZE + 1];

	hex_encode(sign_key_public(repo.keys[key]), SIGN_PUBLIC_SIZE, hex);
	return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval",
		"public", hex);
}

static void add_key(json_t *keys, json_t *role, int key)
{
	char id[SHA256_HEX_SIZE];

	key_name(key, id);
	json_object_set_new(keys, id, key_json(key));
	json_array_append_new(json_object_get(role, "keyids"), json_string(id));
}

static json_t *signers(json_t *keys, int64_t threshold, const int *key, size_t n)
{
	json_t *role = json_pack("{s:[], s:I}", "keyids", "threshold", (json_int_t)threshold);

	for (size_t i = 0; i < n; i++)
		add_key(keys, role, key[i]);
	return role;
}

static json_t *common(const char *type)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "_type", type, "spec_version", "1.0.34", "version",
		1, "expires", SOON);
}

static char *document(const json_t *body, const int *key, size_t n)
{
	json_t *signatures = json_array(), *whole;
	struct text message, out;
	char *taken;

	text_init(&message);
	text_init(&out);
	EXPECT_INT(json_append_canonical(&message, body, NULL), ==, 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t raw[SIGN_SIGNATURE_SIZE];
		char id[SHA256_HEX_SIZE], sig[2 * SIGN_SIGNATURE_SIZE + 1];

		sign_message(repo.keys[key[i]], text_span(&message), raw);
		hex_encode(raw, sizeof(raw), sig);
		key_name(key[i], id);
		json_array_append_new(signatures, json_pack("{s:s, s:s}", "keyid", id, "sig", sig));
	}
	whole = json_pack("{s:o, s:O}", "signatures", signatures, "signed", (json_t *)body);
	json_append(&out, whole);
	json_decref(whole);
	text_done(&message);
	taken = text_take(&out);
	text_done(&out);
	return taken;
}

static int64_t version(const json_t *body)
{
	return json_integer_value(json_object_get(body, "version"));
}

static void serve(const char *role, const json_t *body, bool versioned, const int *key, size_t n)
{
	CLEANUP(mem_freep) char *text = document(body, key, n);
	char name[300];

	if (versioned)
		(void)snprintf(name, sizeof(name), "%" PRId64 ".%s.json", version(body), role);
	else
		(void)snprintf(name, sizeof(name), "%s.json", role);
	put(&repo.served, name, text);
}

#define SIGNED_BY(...) (const int[]){ __VA_ARGS__ }, ARRAY_LENGTH(((const int[]){ __VA_ARGS__ }))

static void set_version(json_t *body, int64_t to)
{
	json_object_set_new(body, "version", json_integer(to));
}

static void set_meta(json_t *body, const char *file, int64_t to)
{
	json_object_set_new(
		json_object_get(body, "meta"), file, json_pack("{s:I}", "version", (json_int_t)to));
}

static void publish_root(void)
{
	serve("root", repo.root, true, SIGNED_BY(KEY_ROOT, KEY_ROOT2));
}

/* Everything but the root, each naming the other's present version. */
static void publish(void)
{
	set_meta(repo.snapshot, "targets.json", version(repo.targets));
	set_meta(repo.timestamp, "snapshot.json", version(repo.snapshot));
	serve("targets", repo.targets, true, SIGNED_BY(KEY_TARGETS));
	serve("snapshot", repo.snapshot, true, SIGNED_BY(KEY_SNAPSHOT));
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_TIMESTAMP));
}

static void bump(void)
{
	set_version(repo.targets, version(repo.targets) + 1);
	set_version(repo.snapshot, version(repo.snapshot) + 1);
	set_version(repo.timestamp, version(repo.timestamp) + 1);
	publish();
}

static json_t *target(const char *content)
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(span_of(content), hex);
	return json_pack(
		"{s:I, s:{s:s}}", "length", (json_int_t)strlen(content), "hashes", "sha256", hex);
}

static void map_free_texts(struct map *map)
{
	map_for_each(entry, map)
		mem_free(entry->value);
	map_done(map);
}

/* At the end of each TEST, and before it begins anew. */
static void end(void)
{
	if (!repo.root)
		return;
	for (size_t i = 0; i < KEYS; i++)
		sign_key_free(repo.keys[i]);
	json_decref(repo.root);
	json_decref(repo.timestamp);
	json_decref(repo.snapshot);
	json_decref(repo.targets);
	map_free_texts(&repo.served);
	map_free_texts(&repo.kept);
	repo.root = NULL;
}

static void begin(void)
{
	json_t *keys = json_object();
	struct error err;

	end();
	repo = (struct repository){ .files = { load, save, remove_file, NULL },
		.source = { fetch, NULL } };
	map_init(&repo.served);
	map_init(&repo.kept);
	for (size_t i = 0; i < KEYS; i++)
		sign_key_generate(&repo.keys[i]);
	repo.root = common("root");
	json_object_set_new(repo.root, "consistent_snapshot", json_true());
	json_object_set_new(repo.root, "roles",
		json_pack("{s:o, s:o, s:o, s:o}", "root",
			signers(keys, 2, SIGNED_BY(KEY_ROOT, KEY_ROOT2)), "timestamp",
			signers(keys, 1, SIGNED_BY(KEY_TIMESTAMP)), "snapshot",
			signers(keys, 1, SIGNED_BY(KEY_SNAPSHOT)), "targets",
			signers(keys, 1, SIGNED_BY(KEY_TARGETS))));
	json_object_set_new(repo.root, "keys", keys);
	repo.targets = common("targets");
	json_object_set_new(
		repo.targets, "targets", json_pack("{s:o}", "acme/hello.txt", target("hello")));
	repo.snapshot = common("snapshot");
	json_object_set_new(repo.snapshot, "meta", json_object());
	repo.timestamp = common("timestamp");
	json_object_set_new(repo.timestamp, "meta", json_object());
	publish_root();
	publish();
	EXPECT_OK(tuf_trust_root(
			  &repo.files, span_of(map_get(&repo.served, SPAN("1.root.json"))), &err),
		&err);
}

static struct error why;

/* One update: its result, its reason in why. */
static int update_at(int64_t now_us)
{
	CLEANUP(tuf_freep) struct tuf *t = NULL;
	int rc = tuf_open(&t, &repo.files, now_us, &why);

	return rc == 0 ? tuf_refresh(t, &repo.source, &why) : rc;
}

static int update(void)
{
	return update_at(NOW);
}

/* The version in the client's file; 0: there is none. */
static int64_t kept(const char *name)
{
	const char *text = map_get(&repo.kept, span_of(name));
	json_t *value = NULL;
	int64_t is;

	if (!text)
		return 0;
	EXPECT_INT(json_parse(&value, span_of(text), NULL, NULL), ==, 0);
	is = version(json_object_get(value, "signed"));
	json_decref(value);
	return is;
}

/* ---- the workflow ---------------------------------------------------------------------------- */

TEST(package_tuf__a_first_update_keeps_what_came_byte_for_byte)
{
	begin();
	EXPECT_OK(update(), &why);
	EXPECT_STR(map_get(&repo.kept, SPAN("targets.json")),
		map_get(&repo.served, SPAN("1.targets.json")));
	EXPECT_STR(map_get(&repo.kept, SPAN("timestamp.json")),
		map_get(&repo.served, SPAN("timestamp.json")));
	/* 2.root.json, timestamp, snapshot, targets; the second time only what may be new. */
	EXPECT_UINT(repo.fetched, ==, 4);
	EXPECT_OK(update(), &why);
	EXPECT_UINT(repo.fetched, ==, 6);
	bump();
	EXPECT_OK(update(), &why);
	EXPECT_INT(kept("snapshot.json"), ==, 2);
	EXPECT_INT(kept("targets.json"), ==, 2);
	end();
}

TEST(package_tuf__a_root_must_be_signed_by_itself_to_be_trusted)
{
	CLEANUP(mem_freep) char *one = NULL;
	struct error err;

	begin();
	one = document(repo.root, SIGNED_BY(KEY_ROOT));
	EXPECT_INT(tuf_trust_root(&repo.files, span_of(one), &err), ==, ERR_TUF_SIGNATURES);
	EXPECT_INT(tuf_trust_root(&repo.files, SPAN("{}"), &err), ==, ERR_TUF_FORM);
	EXPECT_OK(update(), &why);
	end();
}

static void set_root_keys(const int *key, size_t n)
{
	json_t *roles = json_object_get(repo.root, "roles");

	json_object_set_new(roles, "root", signers(json_object_get(repo.root, "keys"), 2, key, n));
}

TEST(package_tuf__four_rotations_later_with_all_keys_replaced_a_host_finds_its_way)
{
	begin();
	EXPECT_OK(update(), &why);
	/* While it is away: 2 by (ROOT ROOT2), 3 replaces one key, 4 the other, 5 adds a third. */
	set_version(repo.root, 2);
	publish_root();
	set_version(repo.root, 3);
	set_root_keys(SIGNED_BY(KEY_ROOT2, KEY_FREE));
	serve("root", repo.root, true, SIGNED_BY(KEY_ROOT, KEY_ROOT2, KEY_FREE));
	set_version(repo.root, 4);
	set_root_keys(SIGNED_BY(KEY_FREE, KEY_FREE + 1));
	serve("root", repo.root, true, SIGNED_BY(KEY_ROOT2, KEY_FREE, KEY_FREE + 1));
	set_version(repo.root, 5);
	set_root_keys(SIGNED_BY(KEY_FREE + 2, KEY_FREE + 3));
	serve("root", repo.root, true,
		SIGNED_BY(KEY_FREE, KEY_FREE + 1, KEY_FREE + 2, KEY_FREE + 3));
	EXPECT_OK(update(), &why);
	EXPECT_INT(kept("root.json"), ==, 5);
	end();
}

TEST(package_tuf__a_root_of_the_old_keys_or_of_the_new_ones_alone_is_refused)
{
	begin();
	set_version(repo.root, 2);
	set_root_keys(SIGNED_BY(KEY_FREE, KEY_FREE + 1));
	serve("root", repo.root, true, SIGNED_BY(KEY_FREE, KEY_FREE + 1));
	EXPECT_INT(update(), ==, ERR_TUF_SIGNATURES);
	serve("root", repo.root, true, SIGNED_BY(KEY_ROOT, KEY_ROOT2));
	EXPECT_INT(update(), ==, ERR_TUF_SIGNATURES);
	EXPECT_INT(kept("root.json"), ==, 1);
	EXPECT_INT(kept("timestamp.json"), ==, 0);
	serve("root", repo.root, true, SIGNED_BY(KEY_ROOT, KEY_ROOT2, KEY_FREE, KEY_FREE + 1));
	EXPECT_OK(update(), &why);
	end();
}

TEST(package_tuf__a_root_that_skips_a_version_is_refused)
{
	CLEANUP(mem_freep) char *third = NULL;

	begin();
	set_version(repo.root, 3);
	third = document(repo.root, SIGNED_BY(KEY_ROOT, KEY_ROOT2));
	put(&repo.served, "2.root.json", third);
	EXPECT_INT(update(), ==, ERR_TUF_VERSION);
	EXPECT_CONTAINS(why.text, "'2.root.json' holds version 3");
	end();
}

/* All roles at version 4, and trusted. */
static void begin_at_four(void)
{
	begin();
	for (int i = 0; i < 3; i++)
		bump();
	EXPECT_OK(update(), &why);
}

TEST(package_tuf__older_metadata_is_refused_whoever_signed_it)
{
	begin_at_four();
	set_version(repo.timestamp, 3);
	publish();
	EXPECT_INT(update(), ==, ERR_TUF_ROLLBACK);
	EXPECT_CONTAINS(why.text, "is version 3; version 4 was trusted");

	begin_at_four();
	set_version(repo.timestamp, 5);
	set_version(repo.snapshot, 3);
	publish();
	EXPECT_INT(update(), ==, ERR_TUF_ROLLBACK);
	EXPECT_CONTAINS(why.text, "names snapshot 3; 4 was trusted");
	EXPECT_INT(kept("timestamp.json"), ==, 4);

	begin_at_four();
	set_version(repo.timestamp, 5);
	set_version(repo.snapshot, 5);
	set_version(repo.targets, 3);
	publish();
	EXPECT_INT(update(), ==, ERR_TUF_ROLLBACK);
	EXPECT_INT(kept("snapshot.json"), ==, 4);
	EXPECT_INT(kept("targets.json"), ==, 4);
	end();
}

TEST(package_tuf__a_role_that_leaves_the_snapshot_is_a_rollback)
{
	begin();
	set_meta(repo.snapshot, "acme.json", 1);
	publish();
	EXPECT_OK(update(), &why);
	json_object_del(json_object_get(repo.snapshot, "meta"), "acme.json");
	bump();
	EXPECT_INT(update(), ==, ERR_TUF_ROLLBACK);
	EXPECT_CONTAINS(why.text, "no longer names 'acme.json'");
	end();
}

TEST(package_tuf__a_timestamp_of_the_trusted_version_is_no_news)
{
	begin();
	EXPECT_OK(update(), &why);
	set_meta(repo.timestamp, "snapshot.json", 9);
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_TIMESTAMP));
	EXPECT_OK(update(), &why);
	EXPECT_INT(kept("snapshot.json"), ==, 1);
	end();
}

TEST(package_tuf__versions_may_start_anew_when_their_keys_are_replaced)
{
	begin();
	set_version(repo.timestamp, 1000000);
	set_version(repo.snapshot, 1000000);
	publish();
	EXPECT_OK(update(), &why);

	/* A thief raised the versions; the operator takes his keys away. */
	set_version(repo.root, 2);
	json_object_set_new(json_object_get(repo.root, "roles"), "timestamp",
		signers(json_object_get(repo.root, "keys"), 1, SIGNED_BY(KEY_FREE)));
	publish_root();
	set_version(repo.timestamp, 2);
	set_version(repo.snapshot, 2);
	publish();
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_FREE));
	EXPECT_OK(update(), &why);
	EXPECT_INT(kept("timestamp.json"), ==, 2);
	EXPECT_INT(kept("snapshot.json"), ==, 2);
	end();
}

TEST(package_tuf__what_is_out_of_date_is_refused_role_by_role)
{
	json_t **const roles[] = { &repo.root, &repo.timestamp, &repo.snapshot, &repo.targets };
	static const char *const files[] = { "root.json", "timestamp.json", "1.snapshot.json",
		"1.targets.json" };

	for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
		begin();
		json_object_set_new(*roles[i], "expires", json_string(PAST));
		if (i == 0) {
			set_version(repo.root, 2);
			publish_root();
		}
		publish();
		EXPECT_INT(update(), ==, ERR_TUF_EXPIRED);
		EXPECT_CONTAINS(why.text, files[i]);
		EXPECT_CONTAINS(why.text, "2025-12-31T23:59:59");
	}
	end();
}

TEST(package_tuf__what_was_fresh_last_time_does_not_stay_so)
{
	begin();
	EXPECT_OK(update(), &why);
	EXPECT_INT(update_at(NOW + INT64_C(60) * 86400 * 1000000), ==, ERR_TUF_EXPIRED);
	end();
}

TEST(package_tuf__a_clock_that_was_set_back_is_refused)
{
	begin();
	EXPECT_OK(update(), &why);
	EXPECT_OK(update_at(NOW - INT64_C(1000000) * TUF_CLOCK_SLACK_S), &why);
	EXPECT_INT(update_at(NOW - INT64_C(86400) * 1000000), ==, ERR_TUF_CLOCK);
	EXPECT_CONTAINS(why.text, "2026-01-01T00:00:00");
	end();
}

TEST(package_tuf__files_longer_than_they_may_be_are_not_read)
{
	CLEANUP(mem_freep) char *endless = mem_alloc(TUF_TIMESTAMP_MAX + 2);

	memset(endless, ' ', TUF_TIMESTAMP_MAX + 1);
	endless[TUF_TIMESTAMP_MAX + 1] = '\0';
	begin();
	put(&repo.served, "timestamp.json", endless);
	EXPECT_INT(update(), ==, ERR_TOO_LARGE);
	end();
}

TEST(package_tuf__signed_lengths_and_digests_of_metadata_hold)
{
	json_t *meta;
	char hex[SHA256_HEX_SIZE];

	begin();
	meta = json_object_get(json_object_get(repo.timestamp, "meta"), "snapshot.json");
	sha256_hex(span_of(map_get(&repo.served, SPAN("1.snapshot.json"))), hex);
	json_object_set_new(meta, "hashes", json_pack("{s:s}", "sha256", hex));
	json_object_set_new(meta, "length",
		json_integer((json_int_t)strlen(map_get(&repo.served, SPAN("1.snapshot.json")))));
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_TIMESTAMP));
	EXPECT_OK(update(), &why);

	begin();
	meta = json_object_get(json_object_get(repo.timestamp, "meta"), "snapshot.json");
	json_object_set_new(meta, "hashes", json_pack("{s:s}", "sha256", hex));
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_TIMESTAMP));
	EXPECT_INT(update(), ==, ERR_TUF_DIGEST);
	EXPECT_CONTAINS(why.text, hex);

	json_object_del(meta, "hashes");
	json_object_set_new(meta, "length", json_integer(100));
	set_version(repo.timestamp, 2);
	serve("timestamp", repo.timestamp, false, SIGNED_BY(KEY_TIMESTAMP));
	EXPECT_INT(update(), ==, ERR_TOO_LARGE);
	end();
}

TEST(package_tuf__what_the_repository_names_and_lacks_is_told_from_a_failed_transfer)
{
	begin();
	mem_free(map_remove(&repo.served, SPAN("1.targets.json")));
	EXPECT_INT(update(), ==, ERR_TUF_MISSING);
	EXPECT_CONTAINS(why.text, "1.targets.json");
	EXPECT_INT(kept("snapshot.json"), ==, 1);
	end();
}

TEST(package_tuf__a_file_that_cannot_be_saved_leaves_the_one_that_was)
{
	begin();
	EXPECT_OK(update(), &why);
	bump();
	repo.full = "snapshot.json";
	EXPECT_INT(update(), ==, ERR_INTERNAL);
	EXPECT_INT(kept("snapshot.json"), ==, 1);
	repo.full = NULL;
	EXPECT_OK(update(), &why);
	EXPECT_INT(kept("targets.json"), ==, 2);
	end();
}

TEST(package_tuf__a_threshold_is_of_different_keys)
{
	CLEANUP(mem_freep) char *text = NULL;
	json_t *value = NULL, *signatures;

	begin();
	/* One signature twice under one id. */
	text = document(repo.timestamp, SIGNED_BY(KEY_TIMESTAMP, KEY_TIMESTAMP));
	put(&repo.served, "timestamp.json", text);
	EXPECT_INT(update(), ==, ERR_TUF_FORM);
	/* A signature of somebody else, and one that is none, are nothing. */
	mem_free(TAKE(text));
	text = document(repo.timestamp, SIGNED_BY(KEY_FREE, KEY_TIMESTAMP));
	put(&repo.served, "timestamp.json", text);
	EXPECT_OK(update(), &why);
	/* Bytes behind a signature. */
	begin();
	mem_free(TAKE(text));
	text = document(repo.timestamp, SIGNED_BY(KEY_TIMESTAMP));
	EXPECT_INT(json_parse(&value, span_of(text), NULL, NULL), ==, 0);
	signatures = json_array_get(json_object_get(value, "signatures"), 0);
	json_object_set_new(signatures, "sig",
		json_sprintf("%s00", json_string_value(json_object_get(signatures, "sig"))));
	mem_free(TAKE(text));
	text = json_dumps(value, 0);
	put(&repo.served, "timestamp.json", text);
	json_decref(value);
	EXPECT_INT(update(), ==, ERR_TUF_SIGNATURES);
	end();
}

TEST(package_tuf__one_key_under_two_ids_is_refused)
{
	json_t *keys, *role;

	begin();
	keys = json_object_get(repo.root, "keys");
	role = json_object_get(json_object_get(repo.root, "roles"), "timestamp");
	json_object_set_new(keys, "another", key_json(KEY_TIMESTAMP));
	json_array_append_new(json_object_get(role, "keyids"), json_string("another"));
	json_object_set_new(role, "threshold", json_integer(2));
	set_version(repo.root, 2);
	publish_root();
	EXPECT_INT(update(), ==, ERR_TUF_FORM);
	EXPECT_CONTAINS(why.text, "under another id too");
	end();
}

/* ---- strictness ------------------------------------------------------------------------------ */

static void change(json_t *body, const char *path, const char *json)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(path);
	json_t *at = body, *value = json_loads(json, JSON_DECODE_ANY, NULL);
	char *name = copy, *slash;

	EXPECT_PTR(value);
	while ((slash = strchr(name, '>'))) {
		*slash = '\0';
		at = json_object_get(at, name);
		EXPECT_PTR(at);
		name = slash + 1;
	}
	json_object_set_new(at, name, value);
}

TEST(package_tuf__metadata_in_a_lax_form_is_refused_though_it_is_signed)
{
	static const struct {
		char role;
		const char *path, *value;
	} cases[] = {
		{ 't', "expires", "\"2026-02-30T00:00:00Z\"" },
		{ 't', "expires", "\"2026-02-01\"" },
		{ 't', "expires", "\"2026-02-01T00:00:00+00:00\"" },
		{ 't', "expires", "\"2026-02-01T00:00:00.5Z\"" },
		{ 't', "expires", "\"2026-02-01T24:00:00Z\"" },
		{ 't', "expires", "\"\"" },
		{ 't', "expires", "4102444800" },
		{ 't', "version", "0" },
		{ 't', "version", "-1" },
		{ 't', "version", "9007199254740993" },
		{ 't', "version", "\"1\"" },
		{ 't', "spec_version", "\"2.0.0\"" },
		{ 't', "spec_version", "\"1\"" },
		{ 't', "spec_version", "\"1.0.x\"" },
		{ 't', "_type", "\"snapshot\"" },
		{ 't', "meta", "{}" },
		{ 't', "meta>snapshot.json", "{\"version\": 0}" },
		{ 't', "meta>snapshot.json", "{\"version\": 1, \"length\": 0}" },
		{ 't', "meta>snapshot.json", "{\"version\": 1, \"hashes\": {}}" },
		{ 't', "meta>snapshot.json",
			"{\"version\": 1, \"hashes\": {\"md5\": "
			"\"d41d8cd98f00b204e9800998ecf8427e\"}}" },
		{ 't', "meta>snapshot.json", "{\"version\": 1, \"hashes\": {\"sha256\": \"ab\"}}" },
		{ 's', "meta>targets", "{\"version\": 1}" },
		{ 's', "meta>.json", "{\"version\": 1}" },
		{ 's', "meta", "[]" },
		{ 'g', "targets", "[]" },
		{ 'g', "targets>/absolute", "{\"length\": 1, \"hashes\": {}}" },
		{ 'g', "targets>a", "{\"length\": -1, \"hashes\": {}}" },
		{ 'g', "targets>a", "{\"length\": 1, \"hashes\": {}}" },
		{ 'g', "targets>a",
			"{\"length\": 1, \"hashes\": {\"sha1\": "
			"\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"}}" },
		{ 'g', "delegations", "{\"keys\": {}}" },
		{ 'g', "delegations",
			"{\"keys\": {}, \"roles\": [{\"name\": \"root\", \"keyids\": [], "
			"\"threshold\": 1, \"terminating\": false, \"paths\": [\"*\"]}]}" },
		{ 'g', "delegations",
			"{\"keys\": {}, \"roles\": [{\"name\": \"a\", \"keyids\": [], "
			"\"threshold\": 0, \"terminating\": false, \"paths\": [\"*\"]}]}" },
		{ 'g', "delegations",
			"{\"keys\": {}, \"roles\": [{\"name\": \"a\", \"keyids\": [], "
			"\"threshold\": 1, \"paths\": [\"*\"]}]}" },
		{ 'g', "delegations",
			"{\"keys\": {}, \"roles\": [{\"name\": \"a\", \"keyids\": [], "
			"\"threshold\": 1, \"terminating\": true}]}" },
		{ 'g', "delegations",
			"{\"keys\": {\"k\": {\"keytype\": \"sphincs\", \"scheme\": \"sphincs\", "
			"\"keyval\": {\"public\": \"00\"}}}, \"roles\": []}" },
		{ 'r', "consistent_snapshot", "\"true\"" },
		{ 'r', "roles>targets>threshold", "0" },
		{ 'r', "roles>targets>keyids", "[\"nobody\"]" },
		{ 'r', "roles>targets", "null" },
		{ 'r', "keys", "[]" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		json_t *body;
		int rc;

		begin();
		body = cases[i].role == 'r'   ? repo.root
		       : cases[i].role == 't' ? repo.timestamp
		       : cases[i].role == 's' ? repo.snapshot
					      : repo.targets;
		set_version(repo.root, 2);
		change(body, cases[i].path, cases[i].value);
		publish_root();
		if (cases[i].role == 't') {
			serve("timestamp", body, false, SIGNED_BY(KEY_TIMESTAMP));
		} else if (cases[i].role == 's') {
			serve("snapshot", body, true, SIGNED_BY(KEY_SNAPSHOT));
		} else {
			publish();
		}
		rc = update();
		ck_assert_msg(rc == ERR_TUF_FORM, "%s: %s gave %d: %s", cases[i].path,
			cases[i].value, rc, why.text);
	}
	end();
}

TEST(package_tuf__json_that_has_two_meanings_is_refused)
{
	static const char *const texts[] = { "", "[]", "{\"signed\": {}, \"signed\": {}}",
		"{\"signed\": {\"a\": \"\xff\"}}", "{\"signed\": {}} x",
		"{\"signed\": {\"v\": NaN}}" };

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		begin();
		put(&repo.served, "timestamp.json", texts[i]);
		EXPECT_INT(update(), ==, ERR_TUF_FORM);
	}
	end();
}

/* ---- delegations ----------------------------------------------------------------------------- */

/* `by` delegates pattern to a role of that key; its metadata is the caller's to serve. */
static void delegate(json_t *by, const char *role, const char *pattern, int key, bool terminating)
{
	json_t *delegations = json_object_get(by, "delegations"), *entry;

	if (!delegations) {
		delegations = json_pack("{s:{}, s:[]}", "keys", "roles");
		json_object_set_new(by, "delegations", delegations);
	}
	entry = signers(json_object_get(delegations, "keys"), 1, SIGNED_BY(key));
	json_object_set_new(entry, "name", json_string(role));
	json_object_set_new(entry, "terminating", json_boolean(terminating));
	json_object_set_new(entry, "paths", json_pack("[s]", pattern));
	json_array_append_new(json_object_get(delegations, "roles"), entry);
}

static json_t *delegated(const char *path, const char *content)
{
	json_t *body = common("targets");

	json_object_set_new(body, "targets", json_object());
	if (path)
		json_object_set_new(json_object_get(body, "targets"), path, target(content));
	return body;
}

static int find(const char *path, char role[static 64])
{
	CLEANUP(tuf_freep) struct tuf *t = NULL;
	struct tuf_target found;
	int rc = tuf_open(&t, &repo.files, NOW, &why);

	if (rc == 0)
		rc = tuf_refresh(t, &repo.source, &why);
	if (rc == 0)
		rc = tuf_find(t, &repo.source, span_of(path), &found, &why);
	(void)snprintf(role, 64, "%s", rc == 0 ? found.role : "");
	return rc;
}

TEST(package_tuf__a_publisher_speaks_for_its_own_names_only)
{
	json_t *a, *b;
	char role[64];

	begin();
	a = delegated("acme/geo.txt", "geo");
	b = delegated("acme/evil.txt", "evil");
	delegate(repo.targets, "pub-acme", "acme/*", KEY_A, true);
	delegate(repo.targets, "pub-evil", "*/*", KEY_B, true);
	set_meta(repo.snapshot, "pub-acme.json", 1);
	set_meta(repo.snapshot, "pub-evil.json", 1);
	serve("pub-acme", a, true, SIGNED_BY(KEY_A));
	serve("pub-evil", b, true, SIGNED_BY(KEY_B));
	publish();
	EXPECT_OK(find("acme/hello.txt", role), &why);
	EXPECT_STR(role, "targets");
	EXPECT_OK(find("acme/geo.txt", role), &why);
	EXPECT_STR(role, "pub-acme");
	/* The first delegation ends the search. */
	EXPECT_INT(find("acme/evil.txt", role), ==, ERR_NOT_FOUND);
	/* A pattern's star does not cross a slash. */
	EXPECT_INT(find("acme/deep/geo.txt", role), ==, ERR_NOT_FOUND);
	json_decref(a);
	json_decref(b);
	end();
}

TEST(package_tuf__a_role_counts_by_the_keys_of_the_delegator_it_was_reached_by)
{
	json_t *parent_a, *parent_b, *shared;
	char role[64];

	begin();
	parent_a = delegated(NULL, NULL);
	parent_b = delegated(NULL, NULL);
	shared = delegated("a/x", "x");
	json_object_set_new(json_object_get(shared, "targets"), "b/x", target("x"));
	delegate(repo.targets, "parent-a", "a/*", KEY_FREE, false);
	delegate(repo.targets, "parent-b", "b/*", KEY_FREE + 1, false);
	delegate(parent_a, "shared", "a/*", KEY_A, false);
	delegate(parent_b, "shared", "b/*", KEY_B, false);
	set_meta(repo.snapshot, "parent-a.json", 1);
	set_meta(repo.snapshot, "parent-b.json", 1);
	set_meta(repo.snapshot, "shared.json", 1);
	serve("parent-a", parent_a, true, SIGNED_BY(KEY_FREE));
	serve("parent-b", parent_b, true, SIGNED_BY(KEY_FREE + 1));
	serve("shared", shared, true, SIGNED_BY(KEY_A));
	publish();
	EXPECT_OK(find("a/x", role), &why);
	EXPECT_STR(role, "shared");
	/* It is in our files by now; its keys are still not the ones of parent-b. */
	EXPECT_INT(find("b/x", role), ==, ERR_TUF_SIGNATURES);
	json_decref(parent_a);
	json_decref(parent_b);
	json_decref(shared);
	end();
}

TEST(package_tuf__delegations_in_a_circle_or_without_end_are_left)
{
	json_t *roles[TUF_VISITS_MAX + 2];
	char role[64], name[32], file[40];

	begin();
	delegate(repo.targets, "r0", "*", KEY_A, false);
	for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
		roles[i] = delegated(NULL, NULL);
		(void)snprintf(name, sizeof(name), "r%zu", i < 3 ? (i + 1) % 3 : i + 1);
		delegate(roles[i], name, "*", KEY_A, false);
		(void)snprintf(name, sizeof(name), "r%zu", i);
		(void)snprintf(file, sizeof(file), "%s.json", name);
		set_meta(repo.snapshot, file, 1);
		serve(name, roles[i], true, SIGNED_BY(KEY_A));
	}
	publish();
	EXPECT_INT(find("x", role), ==, ERR_NOT_FOUND);
	json_array_clear(json_object_get(json_object_get(roles[2], "delegations"), "roles"));
	delegate(roles[2], "r3", "*", KEY_A, false);
	serve("r2", roles[2], true, SIGNED_BY(KEY_A));
	remove_file(NULL, "r2.json", NULL);
	EXPECT_INT(find("x", role), ==, ERR_LIMIT);
	for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
		json_decref(roles[i]);
	end();
}

TEST(package_tuf__a_role_that_is_delegated_but_in_no_snapshot_is_not_even_fetched)
{
	char role[64];
	unsigned before;

	begin();
	delegate(repo.targets, "../acme", "acme/*", KEY_A, false);
	publish();
	EXPECT_OK(update(), &why);
	before = repo.fetched;
	EXPECT_INT(find("acme/x", role), ==, ERR_TUF_MISSING);
	EXPECT_UINT(repo.fetched, ==, before + 2); /* root and timestamp */
	end();
}

TEST(package_tuf__names_of_roles_lead_nowhere)
{
	json_t *a;
	char role[64];

	begin();
	a = delegated("acme/x", "x");
	delegate(repo.targets, "../a c", "acme/*", KEY_A, false);
	set_meta(repo.snapshot, "../a c.json", 1);
	serve("..%2Fa%20c", a, true, SIGNED_BY(KEY_A));
	publish();
	EXPECT_OK(find("acme/x", role), &why);
	EXPECT_INT(kept("..%2Fa%20c.json"), ==, 1);
	json_decref(a);
	end();
}

/* ---- targets --------------------------------------------------------------------------------- */

static int check_bytes(const struct tuf_target *t, const char *bytes)
{
	struct tuf_check check;
	int rc;

	tuf_check_init(&check, t);
	rc = tuf_check_update(&check, bytes, strlen(bytes), &why);
	if (rc == 0)
		rc = tuf_check_final(&check, &why);
	tuf_check_done(&check);
	return rc;
}

TEST(package_tuf__a_target_is_its_length_and_all_its_digests)
{
	CLEANUP(tuf_freep) struct tuf *t = NULL;
	struct tuf_target found;
	struct text file;

	begin();
	EXPECT_OK(tuf_open(&t, &repo.files, NOW, &why), &why);
	EXPECT_OK(tuf_refresh(t, &repo.source, &why), &why);
	EXPECT_OK(tuf_find(t, &repo.source, SPAN("acme/hello.txt"), &found, &why), &why);
	EXPECT_INT(check_bytes(&found, "hello"), ==, 0);
	EXPECT_INT(check_bytes(&found, "hellp"), ==, ERR_TUF_DIGEST);
	EXPECT_INT(check_bytes(&found, "hell"), ==, ERR_TUF_DIGEST);
	EXPECT_INT(check_bytes(&found, "hello "), ==, ERR_TUF_DIGEST);
	text_init(&file);
	tuf_target_file(t, &found, &file);
	EXPECT_STR(file.data,
		"acme/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
		".hello.txt");
	text_done(&file);
	EXPECT_INT(tuf_version(t, "root"), ==, 1);
	EXPECT_INT(tuf_expires(t, "timestamp"), ==, INT64_C(1769904000000000));
	end();
}
