#include "identity/hash_pool.h"

#include <uv.h>

#include "base/mem.h"
#include "lib/test.h"

#define COST 4u

struct stand {
	uv_loop_t loop;
	struct hash_pool *pool;
	int made;
	int matched;
	int refused;
	int cancelled;
	int closed;
	char hash[PASSWORD_HASH_SIZE];
	char raised[PASSWORD_HASH_SIZE];
};

static void stand_init(struct stand *s, unsigned cost, unsigned parallel, unsigned waiting)
{
	memset(s, 0, sizeof(*s));
	EXPECT_INT(uv_loop_init(&s->loop), ==, 0);
	s->pool = hash_pool_new(&(struct hash_pool_options){
		.loop = &s->loop, .cost = cost, .parallel = parallel, .waiting = waiting });
}

static void on_closed(void *user)
{
	((struct stand *)user)->closed++;
}

static void stand_done(struct stand *s)
{
	hash_pool_close(s->pool, on_closed, s);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EXPECT_INT(s->closed, ==, 1);
	EXPECT_INT(uv_loop_close(&s->loop), ==, 0);
}

static void on_made(void *user, const struct error *err, const char *hash)
{
	struct stand *s = user;

	if (err) {
		EXPECT_INT(err->code, ==, ERR_CANCELLED);
		EXPECT_NULL(hash);
		s->cancelled++;
		return;
	}
	s->made++;
	memcpy(s->hash, hash, sizeof(s->hash));
}

static void on_compared(void *user, const struct error *err, bool matches, const char *raised)
{
	struct stand *s = user;

	EXPECT_NULL(err);
	if (matches)
		s->matched++;
	else
		s->refused++;
	s->raised[0] = '\0';
	if (raised)
		memcpy(s->raised, raised, sizeof(s->raised));
}

static void make(struct stand *s)
{
	struct error err;

	EXPECT_OK(hash_pool_enter(s->pool, &err), &err);
	hash_pool_make(s->pool, SPAN("correct horse"), on_made, s);
}

static void compare(
	struct stand *s, const char *password, const char *hash, bool prehashed, bool deny)
{
	const struct password_stored stored = { span_of(hash), prehashed };
	struct error err;

	EXPECT_OK(hash_pool_enter(s->pool, &err), &err);
	hash_pool_compare(s->pool, span_of(password), &stored, deny, on_compared, s);
	EXPECT_INT(s->matched + s->refused, ==, 0); /* never before the call has returned */
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EXPECT_INT(s->matched + s->refused, ==, 1);
}

TEST(identity_hash_pool__a_match_of_another_cost_or_origin_is_raised)
{
	static const struct {
		unsigned cost;
		bool prehashed;
		bool raised;
	} cases[] = { { 5, true, false }, { 4, true, true }, { 6, true, true },
		{ 5, false, true } };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char hash[PASSWORD_HASH_SIZE];
		struct stand s;

		stand_init(&s, 5, 2, 4);
		password_hash(SPAN("correct horse"), cases[i].cost, hash);
		compare(&s, "correct horse", hash, cases[i].prehashed, false);
		EXPECT_INT(s.matched, ==, 1);
		EXPECT_INT(s.raised[0] != '\0', ==, cases[i].raised);
		if (cases[i].raised)
			EXPECT_UINT(password_hash_cost(span_of(s.raised)), ==, 5);
		stand_done(&s);
	}
}

/* Unknown user, wrong password, inactive user, blocked user with the right password, hash from
 * elsewhere: the same work for each. */
TEST(identity_hash_pool__every_refusal_costs_the_same)
{
	char own[PASSWORD_HASH_SIZE], cheap[PASSWORD_HASH_SIZE];
	const struct {
		const char *password;
		const char *hash;
		bool prehashed;
		bool deny;
	} cases[] = {
		{ "correct horse", NULL, true, true },
		{ "correct horse", NULL, true, false },
		{ "wrong horse", own, true, false },
		{ "correct horse", own, true, true },
		{ "correct horse", cheap, false, true },
		{ "wrong horse", cheap, false, false },
		{ "correct horse", "", false, false },
		{ "correct horse", "$2b$nonsense", false, false },
	};

	password_hash(SPAN("correct horse"), 6, own);
	password_hash(SPAN("correct horse"), 4, cheap);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stand s;

		stand_init(&s, 6, 1, 4);
		compare(&s, cases[i].password, cases[i].hash, cases[i].prehashed, cases[i].deny);
		EXPECT_INT(s.matched, ==, 0);
		EXPECT_STR(s.raised, "");
		EXPECT_UINT(hash_pool_rounds(s.pool), ==, 1u << 6);
		stand_done(&s);
	}
}

TEST(identity_hash_pool__what_does_not_fit_is_refused_before_anything_is_computed)
{
	struct stand s;
	struct error err;

	stand_init(&s, COST, 2, 3);
	for (int i = 0; i < 5; i++)
		make(&s);
	EXPECT_INT(hash_pool_enter(s.pool, &err), ==, ERR_LOGINS_BUSY);
	(void)uv_run(&s.loop, UV_RUN_DEFAULT);
	EXPECT_INT(s.made, ==, 5);
	EXPECT_UINT(hash_pool_rounds(s.pool), ==, 5u << COST);
	for (int i = 0; i < 5; i++)
		EXPECT_OK(hash_pool_enter(s.pool, &err), &err);
	EXPECT_INT(hash_pool_enter(s.pool, &err), ==, ERR_LOGINS_BUSY);
	for (int i = 0; i < 5; i++)
		hash_pool_leave(s.pool);
	make(&s);
	(void)uv_run(&s.loop, UV_RUN_DEFAULT);
	EXPECT_INT(s.made, ==, 6);
	stand_done(&s);
}

TEST(identity_hash_pool__closing_ends_what_runs_and_cancels_what_waits)
{
	struct stand s;

	stand_init(&s, COST, 1, 8);
	for (int i = 0; i < 4; i++)
		make(&s);
	stand_done(&s);
	EXPECT_INT(s.made, ==, 1);
	EXPECT_INT(s.cancelled, ==, 3);
}
