#include "store/second_factor.h"

#include <stdio.h>

#include "store_fixture.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static struct {
	bool enabled, owed, fresh, has_password, passed;
	char method[16], secret[64], destination[64], tell[64], pending[16];
	int64_t backup_codes, last_step, retry_after_s;
} got;

static void on_status(
	const struct error *err, const struct store_second_factor *rows, size_t n, void *user)
{
	if (!fixture_answer(user, err))
		return;
	EXPECT_UINT(n, ==, 1);
	got.enabled = rows->enabled;
	got.owed = rows->owed;
	got.backup_codes = rows->backup_codes;
	COPY(got.method, rows->method);
	COPY(got.pending, rows->pending);
	COPY(got.destination, rows->destination);
}

static void on_proof(
	const struct error *err, const struct store_second_factor_proof *rows, size_t n, void *user)
{
	(void)n;
	if (!fixture_answer(user, err))
		return;
	got.fresh = rows->fresh;
	got.enabled = rows->enabled;
	got.has_password = rows->has_password;
}

static void on_try(
	const struct error *err, const struct store_second_factor_try *rows, size_t n, void *user)
{
	(void)n;
	if (!fixture_answer(user, err))
		return;
	got.last_step = rows->last_step;
	got.retry_after_s = rows->retry_after_s;
	COPY(got.method, rows->method);
	COPY(got.secret, rows->secret);
}

static void on_verdict(const struct error *err, const struct store_second_factor_verdict *rows,
	size_t n, void *user)
{
	(void)n;
	if (!fixture_answer(user, err))
		return;
	got.passed = rows->passed;
	COPY(got.tell, rows->tell);
}

static void on_message(const struct error *err, const struct store_second_factor_message *rows,
	size_t n, void *user)
{
	(void)n;
	if (!fixture_answer(user, err))
		return;
	got.retry_after_s = rows->retry_after_s;
	COPY(got.destination, rows->destination);
}

/* Second factors belong to people; the fixture's users are accounts of the system. Their
 * seeds are sealed with the key 'k1'. */
static void begin(struct fixture *f)
{
	fixture_init(f);
	postgres_run(f->url, "UPDATE users SET provider = 'github'; "
			     "INSERT INTO key_ring_keys(id, fingerprint, state, current_at) "
			     "VALUES ('k1', '" HEX_A "', 'current', now())");
}

static void try_once(struct fixture *f)
{
	fixture_expect(f);
	store_second_factor_try(f->front, &f->as_amy, on_try, f);
	fixture_ok(f);
}

static bool judge(struct fixture *f, struct store_second_factor_shown shown)
{
	try_once(f);
	fixture_expect(f);
	store_second_factor_judge(f->front, &f->as_amy, &shown, on_verdict, f);
	fixture_ok(f);
	return got.passed;
}

static void status_of(struct fixture *f, const struct db_context *asker, const char *user)
{
	fixture_expect(f);
	store_second_factor_status(f->front, asker, span_of(user), on_status, f);
	fixture_ok(f);
}

/* amy enrols an authenticator with one backup code, HEX_A. */
static void enrol(struct fixture *f)
{
	fixture_expect(f);
	store_second_factor_enrol(f->front, &f->as_amy,
		&(struct store_second_factor_enrol){ .method = SPAN("TOTP"),
			.secret = SPAN("enc:v1:k1:AAAA"),
			.algorithm = SPAN("SHA256"),
			.digits = 8 },
		on_message, f);
	fixture_ok(f);
	fixture_expect(f);
	store_second_factor_enrolment(f->front, &f->as_amy, SPAN("TOTP"), on_try, f);
	fixture_ok(f);
	EXPECT_STR(got.secret, "enc:v1:k1:AAAA");
	fixture_expect(f);
	store_second_factor_confirm(f->front, &f->as_amy, SPAN("TOTP"),
		&(struct store_second_factor_shown){ .step = 0 }, SPAN(HEX_A), on_text, f);
	fixture_ok(f);
	EXPECT_STR(f->value, ""); /* no step: wrong */
	status_of(f, &f->as_amy, f->amy);
	EXPECT_FALSE(got.enabled);
	EXPECT_STR(got.pending, "TOTP");
	fixture_expect(f);
	store_second_factor_confirm(f->front, &f->as_amy, SPAN("TOTP"),
		&(struct store_second_factor_shown){ .step = 100 }, SPAN(HEX_A), on_text, f);
	fixture_ok(f);
	EXPECT_CONTAINS(f->value, "@");
}

TEST(store_second_factor__a_step_counts_once_and_never_after_a_newer_one)
{
	static const struct {
		uint64_t step;
		bool passed;
	} steps[] = { { 100, false }, { 102, true }, { 102, false }, { 101, false }, { 0, false },
		{ 103, true } };
	struct fixture f;

	begin(&f);
	enrol(&f);
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
		ck_assert_msg(
			judge(&f, (struct store_second_factor_shown){ .step = steps[i].step }) ==
				steps[i].passed,
			"step %llu", (unsigned long long)steps[i].step);
	fixture_done(&f);
}

TEST(store_second_factor__a_backup_code_counts_once_under_any_key_of_the_ring)
{
	struct fixture f;

	begin(&f);
	enrol(&f);
	status_of(&f, &f.as_amy, f.amy);
	EXPECT_INT(got.backup_codes, ==, 1);
	EXPECT_FALSE(judge(&f, (struct store_second_factor_shown){ .backup = SPAN(HEX_B) }));
	EXPECT_TRUE(
		judge(&f, (struct store_second_factor_shown){ .backup = SPAN(HEX_B " " HEX_A) }));
	EXPECT_FALSE(judge(&f, (struct store_second_factor_shown){ .backup = SPAN(HEX_A) }));
	fixture_expect(&f);
	store_second_factor_backup(f.front, &f.as_amy, SPAN(HEX_B " " HEX_C), on_text, &f);
	fixture_ok(&f);
	EXPECT_TRUE(judge(&f, (struct store_second_factor_shown){ .backup = SPAN(HEX_C) }));
	status_of(&f, &f.as_amy, f.amy);
	EXPECT_INT(got.backup_codes, ==, 1);
	fixture_done(&f);
}

TEST(store_second_factor__the_sixth_wrong_code_locks_and_tells_whom)
{
	struct fixture f;

	begin(&f);
	enrol(&f);
	for (int i = 1; i <= 6; i++) {
		EXPECT_FALSE(judge(&f, (struct store_second_factor_shown){ .step = 1 }));
		EXPECT_TRUE((got.tell[0] != '\0') == (i == 6));
	}
	try_once(&f);
	EXPECT_TRUE(got.retry_after_s > 0 && got.retry_after_s <= 60);
	EXPECT_STR(got.secret, ""); /* nothing to try with */
	fixture_done(&f);
}

TEST(store_second_factor__a_message_goes_to_the_proved_address_and_not_too_often)
{
	struct store_second_factor_enrol sms = { .method = SPAN("SMS"),
		.phone = SPAN("+14155550100"),
		.digests = SPAN(HEX_B " " HEX_C) };
	struct fixture f;

	begin(&f);
	fixture_expect(&f);
	store_second_factor_enrol(f.front, &f.as_amy,
		&(struct store_second_factor_enrol){
			.method = SPAN("SMS"), .digests = SPAN(HEX_B) },
		on_message, &f);
	fixture_fails(&f, ERR_FACTOR_ADDRESS);
	fixture_expect(&f);
	store_second_factor_enrol(f.front, &f.as_amy, &sms, on_message, &f);
	fixture_ok(&f);
	EXPECT_STR(got.destination, "+14155550100");
	EXPECT_INT(got.retry_after_s, ==, 0);
	fixture_expect(&f);
	store_second_factor_enrol(f.front, &f.as_amy, &sms, on_message, &f);
	fixture_ok(&f);
	EXPECT_TRUE(got.retry_after_s > 0);
	fixture_expect(&f);
	store_second_factor_confirm(f.front, &f.as_amy, SPAN("SMS"),
		&(struct store_second_factor_shown){ .message = SPAN(HEX_C " " HEX_B) },
		SPAN(HEX_A), on_text, &f);
	fixture_ok(&f);
	EXPECT_CONTAINS(f.value, "@");
	fixture_expect(&f);
	store_second_factor_send(f.front, &f.as_amy, SPAN("EMAIL"), SPAN(HEX_A), on_message, &f);
	fixture_fails(&f, ERR_FACTOR_NONE);
	fixture_expect(&f);
	store_second_factor_send(f.front, &f.as_amy, SPAN("SMS"), SPAN(HEX_C), on_message, &f);
	fixture_ok(&f);
	EXPECT_STR(got.destination, "+14155550100");
	EXPECT_TRUE(judge(&f, (struct store_second_factor_shown){ .message = SPAN(HEX_C) }));
	EXPECT_FALSE(judge(&f, (struct store_second_factor_shown){ .message = SPAN(HEX_C) }));
	fixture_done(&f);
}

TEST(store_second_factor__of_another_it_is_an_administrators_alone)
{
	struct fixture f;

	begin(&f);
	enrol(&f);
	fixture_expect(&f);
	store_second_factor_status(f.front, &f.as_bob, span_of(f.amy), on_status, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	fixture_expect(&f);
	store_second_factor_disable(f.front, &f.as_bob, span_of(f.amy), on_text, &f);
	fixture_fails(&f, ERR_NOT_FOUND);
	status_of(&f, &f.as_admin, f.amy);
	EXPECT_TRUE(got.enabled);
	fixture_expect(&f);
	store_second_factor_disable(f.front, &f.as_admin, span_of(f.amy), on_text, &f);
	fixture_ok(&f);
	status_of(&f, &f.as_admin, f.amy);
	EXPECT_FALSE(got.enabled);
	fixture_expect(&f);
	store_second_factor_try(f.front, &f.as_amy, on_try, &f);
	fixture_fails(&f, ERR_FACTOR_NONE);
	fixture_done(&f);
}

TEST(store_second_factor__without_a_session_nobody_is_fresh)
{
	struct fixture f;

	begin(&f);
	fixture_expect(&f);
	store_second_factor_proof(f.front, &f.as_amy, 600, on_proof, &f);
	fixture_ok(&f);
	EXPECT_FALSE(got.fresh);
	EXPECT_FALSE(got.enabled);
	fixture_done(&f);
}
