#include "supervise/key_ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "channel/protocol.h"
#include "lib/test.h"

#define PATH "ring"
#define HEX  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct key_ring *make(void)
{
	struct key_ring *ring = NULL;
	struct key_ring_entry key;
	struct error err;

	EXPECT_OK(key_ring_make(&ring, PATH, &err), &err);
	key_ring_entry(ring, 0, &key);
	EXPECT_OK(key_ring_use(ring, span_of(key.id), &err), &err);
	return ring;
}

static const char *id_of(const struct key_ring *ring, size_t i)
{
	static struct key_ring_entry key;

	key_ring_entry(ring, i, &key);
	return key.id;
}

static int serve(const struct key_ring *ring, uint32_t op, const char *place, struct span data,
	struct text *out)
{
	text_clear(out);
	return key_ring_serve(ring, op, span_of(place), data, out, NULL);
}

static void write_ring(const char *content, mode_t mode)
{
	struct error err;

	EXPECT_OK(io_write_file(AT_FDCWD, PATH, span_of(content), mode, &err), &err);
}

TEST(supervise_key_ring__a_new_ring_is_a_private_file_with_one_key)
{
	struct key_ring *ring = make(), *again = NULL;
	struct key_ring_entry a, b;
	struct error err;
	struct stat st;

	EXPECT_INT(stat(PATH, &st), ==, 0);
	EXPECT_INT(st.st_mode & 07777, ==, 0600);
	EXPECT_UINT(key_ring_count(ring), ==, 1);
	EXPECT_OK(key_ring_open(&again, PATH, &err), &err);
	key_ring_entry(ring, 0, &a);
	key_ring_entry(again, 0, &b);
	EXPECT_STR(a.id, b.id);
	EXPECT_STR(a.fingerprint, b.fingerprint);
	EXPECT_INT(strncmp(a.id, "k1-", 3), ==, 0);
	EXPECT_INT(strncmp(a.id + 3, a.fingerprint, 8), ==, 0);
	EXPECT_INT(memcmp(key_ring_login_secret(ring).data, key_ring_login_secret(again).data, 32),
		==, 0);
	EXPECT_STR(key_ring_used(again), "");
	key_ring_free(ring);
	key_ring_free(again);
}

TEST(supervise_key_ring__a_ring_that_is_there_is_not_made_again)
{
	struct key_ring *ring = make(), *other = NULL;

	EXPECT_INT(key_ring_make(&other, PATH, NULL), ==, ERR_CONFLICT);
	EXPECT_NULL(other);
	key_ring_free(ring);
}

TEST(supervise_key_ring__what_others_may_read_is_no_ring)
{
	struct key_ring *ring = make(), *again = NULL;

	EXPECT_INT(chmod(PATH, 0640), ==, 0);
	EXPECT_INT(key_ring_open(&again, PATH, NULL), ==, ERR_KEY_RING);
	EXPECT_INT(chmod(PATH, 0600), ==, 0);
	EXPECT_INT(symlink(PATH, "link"), ==, 0);
	EXPECT_INT(key_ring_open(&again, "link", NULL), <, 0);
	EXPECT_INT(key_ring_open(&again, "nothing", NULL), ==, ERR_NOT_FOUND);
	EXPECT_NULL(again);
	key_ring_free(ring);
}

TEST(supervise_key_ring__lines_of_another_form_are_refused_by_number_and_not_quoted)
{
	static const char *const contents[] = {
		"",
		"key k1-a 2026-11-23T23:55:00Z " HEX "\n",
		"login " HEX "\n",
		"login " HEX "\nlogin " HEX "\nkey a 2026-11-23T23:55:00Z " HEX "\n",
		"login " HEX "\nkey a:b 2026-11-23T23:55:00Z " HEX "\n",
		"login " HEX "\nkey a 2026 " HEX "\n",
		"login " HEX "\nkey a 2026-11-23T23:55:00Z " HEX "00\n",
		"login " HEX "\nkey a 2026-11-23T23:55:00Z " HEX " more\n",
		"login " HEX "\nkey a 2026-11-23T23:55:00Z " HEX "\nkey a 2026-11-23T23:55:00Z " HEX
		"\n",
		"login " HEX "\nretired a 2026-11-23T23:55:00Z " HEX "\n",
		"login " HEX "\nsecret\n",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(contents); i++) {
		struct key_ring *ring = NULL;
		struct error err = { 0 };

		write_ring(contents[i], 0600);
		EXPECT_INT(key_ring_open(&ring, PATH, &err), ==, ERR_KEY_RING);
		EXPECT_NULL(ring);
		EXPECT_NULL(strstr(err.text, "0001"));
	}
}

TEST(supervise_key_ring__nothing_is_sealed_before_it_is_said_with_what)
{
	struct key_ring *made = make(), *ring = NULL;
	struct text out;
	struct error err;

	text_init(&out);
	EXPECT_OK(key_ring_open(&ring, PATH, &err), &err);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "users.mfa_secret:u1", SPAN("x"), &out), ==,
		ERR_UNAVAIL);
	EXPECT_INT(key_ring_use(ring, SPAN("k9-nothing"), NULL), ==, ERR_NOT_FOUND);
	text_done(&out);
	key_ring_free(ring);
	key_ring_free(made);
}

TEST(supervise_key_ring__only_the_places_that_hold_secrets_are_served)
{
	static const struct {
		uint32_t op;
		const char *place;
		bool allowed;
	} cases[] = {
		{ KEY_RING_SEAL, "users.mfa_secret:cabc123", true },
		{ KEY_RING_SEAL, "users.mfa_secret:", false },
		{ KEY_RING_SEAL, "users.mfa_secret:a:b", false },
		{ KEY_RING_SEAL, "users.mfa_secret:a b", false },
		{ KEY_RING_SEAL, "users.password:cabc123", false },
		{ KEY_RING_SEAL, "", false },
		{ KEY_RING_SEAL, "users.mfa_backup_codes:cabc123", false },
		{ KEY_RING_DIGEST, "users.mfa_backup_codes:cabc123", true },
		{ KEY_RING_DIGEST, "users.mfa_secret:cabc123", false },
		{ KEY_RING_SEAL, "plugin_installations.secrets:c1:smtp.password_2-x", true },
		{ KEY_RING_SEAL, "plugin_installations.secrets:c1:", false },
		{ KEY_RING_SEAL, "plugin_installations.secrets:c1", false },
		{ KEY_RING_SEAL, "plugin_installations.secrets:c1:a:b", false },
		{ KEY_RING_SEAL, "plugin_installations.secrets::a", false },
		{ KEY_RING_OP_COUNT, "users.mfa_secret:cabc123", false },
		{ UINT32_MAX, "users.mfa_secret:cabc123", false },
	};
	struct key_ring *ring = make();
	struct text out;

	text_init(&out);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		EXPECT_INT(serve(ring, cases[i].op, cases[i].place, SPAN("x"), &out), ==,
			cases[i].allowed ? 0 : ERR_INVALID);
	text_done(&out);
	key_ring_free(ring);
}

TEST(supervise_key_ring__an_envelope_opens_in_its_place_alone)
{
	struct key_ring *ring = make();
	struct text envelope, out;

	text_init(&envelope);
	text_init(&out);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "plugin_installations.secrets:c1:a", SPAN("geheim"),
			   &envelope),
		==, 0);
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "plugin_installations.secrets:c1:a",
			   text_span(&envelope), &out),
		==, 0);
	EXPECT_STR(out.data, "geheim");
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "plugin_installations.secrets:c2:a",
			   text_span(&envelope), &out),
		==, ERR_SEALED);
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "plugin_installations.secrets:c1:b",
			   text_span(&envelope), &out),
		==, ERR_SEALED);
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "users.mfa_secret:c1", text_span(&envelope), &out),
		==, ERR_SEALED);
	EXPECT_UINT(out.len, ==, 0);
	text_done(&envelope);
	text_done(&out);
	key_ring_free(ring);
}

TEST(supervise_key_ring__secrets_have_a_length)
{
	static char long_text[KEY_RING_DATA_MAX + 1];
	struct key_ring *ring = make();
	struct text envelope, out;

	memset(long_text, 'x', sizeof(long_text));
	text_init(&envelope);
	text_init(&out);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "users.mfa_secret:u1",
			   (struct span){ long_text, KEY_RING_DATA_MAX }, &envelope),
		==, 0);
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "users.mfa_secret:u1", text_span(&envelope), &out),
		==, 0);
	EXPECT_UINT(out.len, ==, KEY_RING_DATA_MAX);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "users.mfa_secret:u1",
			   (struct span){ long_text, KEY_RING_DATA_MAX + 1 }, &out),
		==, ERR_TOO_LARGE);
	text_done(&envelope);
	text_done(&out);
	key_ring_free(ring);
}

TEST(supervise_key_ring__a_new_key_seals_and_the_old_one_still_opens)
{
	struct key_ring *ring = make(), *next = NULL;
	struct text old, fresh, out;
	struct span id;
	struct error err;

	text_init(&old);
	text_init(&fresh);
	text_init(&out);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "users.mfa_secret:u1", SPAN("seed"), &old), ==, 0);
	EXPECT_OK(key_ring_add(&next, ring, &err), &err);
	EXPECT_UINT(key_ring_count(next), ==, 2);
	EXPECT_STR(key_ring_used(next), key_ring_used(ring));
	EXPECT_INT(strncmp(id_of(next, 1), "k2-", 3), ==, 0);
	EXPECT_OK(key_ring_use(next, span_of(id_of(next, 1)), &err), &err);
	EXPECT_OK(key_ring_reseal(next, SPAN("users.mfa_secret:u1"), text_span(&old), &fresh, &err),
		&err);
	EXPECT_TRUE(seal_key_id(text_span(&fresh), &id));
	EXPECT_SPAN(id, key_ring_used(next));
	EXPECT_INT(
		serve(next, KEY_RING_OPEN, "users.mfa_secret:u1", text_span(&fresh), &out), ==, 0);
	EXPECT_STR(out.data, "seed");
	EXPECT_INT(serve(next, KEY_RING_OPEN, "users.mfa_secret:u1", text_span(&old), &out), ==, 0);
	/* The old ring has not heard of it. */
	EXPECT_INT(serve(ring, KEY_RING_OPEN, "users.mfa_secret:u1", text_span(&fresh), &out), ==,
		ERR_NOT_FOUND);
	text_done(&old);
	text_done(&fresh);
	text_done(&out);
	key_ring_free(ring);
	key_ring_free(next);
}

TEST(supervise_key_ring__a_retired_key_is_gone_but_for_its_digests)
{
	struct key_ring *ring = make(), *two = NULL, *one = NULL;
	struct text before, after, envelope, file;
	struct span rest, digest;
	struct error err;
	bool found = false;
	char first[SEAL_KEY_ID_MAX + 1];

	text_init(&before);
	text_init(&after);
	text_init(&envelope);
	text_init(&file);
	(void)snprintf(first, sizeof(first), "%s", id_of(ring, 0));
	EXPECT_INT(serve(ring, KEY_RING_DIGEST, "users.mfa_backup_codes:u1", SPAN("code"), &before),
		==, 0);
	EXPECT_UINT(before.len, ==, 64);
	EXPECT_INT(serve(ring, KEY_RING_SEAL, "users.mfa_secret:u1", SPAN("x"), &envelope), ==, 0);
	EXPECT_OK(key_ring_add(&two, ring, &err), &err);
	EXPECT_OK(key_ring_use(two, span_of(id_of(two, 1)), &err), &err);
	EXPECT_OK(key_ring_retire(&one, two, span_of(first), &err), &err);
	EXPECT_STR(key_ring_used(one), key_ring_used(two));
	EXPECT_INT(serve(one, KEY_RING_OPEN, "users.mfa_secret:u1", text_span(&envelope), &after),
		==, ERR_NOT_FOUND);
	/* Newest first. */
	EXPECT_INT(serve(one, KEY_RING_DIGEST, "users.mfa_backup_codes:u1", SPAN("code"), &after),
		==, 0);
	EXPECT_UINT(after.len, ==, 129);
	rest = text_span(&after);
	while (span_split(&rest, ' ', &digest))
		found = span_equal(digest, text_span(&before));
	EXPECT_TRUE(found);
	key_ring_free(two);
	EXPECT_OK(key_ring_reopen(&two, one, &err), &err);
	EXPECT_UINT(key_ring_count(two), ==, 2);
	EXPECT_INT(key_ring_use(two, span_of(first), NULL), ==, ERR_NOT_FOUND);
	EXPECT_OK(io_read_file(AT_FDCWD, PATH, 10000, &file, &err), &err);
	EXPECT_CONTAINS(file.data, "\nretired k1-");
	text_done(&before);
	text_done(&after);
	text_done(&envelope);
	text_done(&file);
	key_ring_free(ring);
	key_ring_free(two);
	key_ring_free(one);
}

TEST(supervise_key_ring__what_a_crash_left_of_a_write_goes_with_the_next)
{
	struct key_ring *ring = make(), *next = NULL;
	struct error err;

	EXPECT_OK(io_write_file(AT_FDCWD, PATH ".123.new", SPAN("half a ring"), 0600, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, PATH "er.new", SPAN("another's"), 0600, &err), &err);
	EXPECT_OK(key_ring_add(&next, ring, &err), &err);
	EXPECT_INT(access(PATH ".123.new", F_OK), ==, -1);
	EXPECT_INT(access(PATH "er.new", F_OK), ==, 0);
	key_ring_free(ring);
	key_ring_free(next);
}

TEST(supervise_key_ring__two_that_add_at_once_lose_no_key)
{
	struct key_ring *ring = make(), *a = NULL, *b = NULL;
	struct key_ring_entry first, second;
	struct error err;

	EXPECT_OK(key_ring_add(&a, ring, &err), &err);
	EXPECT_OK(key_ring_add(&b, ring, &err), &err); /* from a copy that has not seen it */
	EXPECT_UINT(key_ring_count(b), ==, 3);
	key_ring_entry(a, 1, &first);
	key_ring_entry(b, 1, &second);
	EXPECT_STR(first.fingerprint, second.fingerprint);
	key_ring_free(ring);
	key_ring_free(a);
	key_ring_free(b);
}

TEST(supervise_key_ring__a_full_ring_gives_up_retired_keys_and_no_others)
{
	struct key_ring *ring = make();
	struct error err;

	for (size_t i = 1; i < KEY_RING_KEYS_MAX; i++) {
		struct key_ring *next = NULL;

		EXPECT_OK(key_ring_add(&next, ring, &err), &err);
		key_ring_free(ring);
		ring = next;
	}
	for (int retired = 0; retired < 2; retired++) {
		struct key_ring *next = NULL;
		char id[SEAL_KEY_ID_MAX + 1];

		(void)snprintf(id, sizeof(id), "%s", id_of(ring, 3));
		EXPECT_INT(key_ring_add(&next, ring, NULL), ==, retired ? 0 : ERR_KEY_RING);
		if (!retired)
			EXPECT_OK(key_ring_retire(&next, ring, span_of(id), &err), &err);
		EXPECT_UINT(key_ring_count(next), ==, KEY_RING_KEYS_MAX);
		key_ring_free(ring);
		ring = next;
	}
	key_ring_free(ring);
}
