#include <stdio.h>

#include "store/audit.h"
#include "store_fixture.h"

static struct {
	size_t n;
	char state[128], horizon[32], chain[32], id[32], xact[32], hash[SHA256_HEX_SIZE];
	char previous[32];
	int64_t sequence;
	bool inserted;
	struct store_audit_row row;
	char action[64], name[64];
} got;

static void on_unsealed(
	const struct error *err, const struct store_unsealed *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	COPY(got.state, rows->state);
	COPY(got.horizon, rows->horizon);
	COPY(got.chain, rows->chain);
	COPY(got.id, rows->columns[CHAIN_COLUMN_ID]);
	COPY(got.xact, rows->columns[CHAIN_COLUMN_XID]);
	if (rows->chain.data)
		chain_row(rows->columns, got.hash);
}

static void on_chains(const struct error *err, const struct store_chain *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	got.sequence = rows->sequence;
	COPY(got.hash, rows->hash);
	COPY(got.previous, rows->previous);
}

static void on_seals(const struct error *err, const struct store_seal *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	got.sequence = rows->sequence;
	COPY(got.hash, rows->row_hash);
	EXPECT_SPAN(rows->columns[CHAIN_COLUMN_ID], got.id);
}

static void on_strays(const struct error *err, const struct store_stray *rows, size_t n, void *user)
{
	got.n = n;
	if (fixture_answer(user, err) && n > 0)
		got.inserted = rows->inserted;
}

static void on_rows(
	const struct error *err, const struct store_audit_row *rows, size_t n, void *user)
{
	got.n = n;
	if (!fixture_answer(user, err) || n == 0)
		return;
	got.row = rows[0];
	COPY(got.action, rows->action);
	COPY(got.name, rows->resource_name);
}

static void ask_unsealed(struct fixture *f, unsigned limit)
{
	fixture_expect(f);
	store_audit_unsealed(f->supervisor, &f->fence, 5000, limit, on_unsealed, f);
	fixture_ok(f);
}

/* Seal the one row that was given, as sequence `sequence`. */
static void seal(struct fixture *f, const char *sequence, bool full)
{
	const struct span chain = span_of(got.chain), number = span_of(sequence),
			  id = span_of(got.id), xact = span_of(got.xact), hash = span_of(got.hash);
	const struct store_seals seals = { .state = span_of(got.state),
		.horizon = span_of(got.horizon),
		.full = full,
		.n = 1,
		.chains = &chain,
		.sequences = &number,
		.row_ids = &id,
		.xacts = &xact,
		.row_hashes = &hash,
		.chain_hashes = &hash };

	fixture_expect(f);
	store_audit_seal(f->supervisor, &f->fence, &seals, on_number, f);
	fixture_ok(f);
}

TEST(store_audit__rows_are_sealed_once_and_in_order)
{
	struct fixture f;
	char first[32], hash[SHA256_HEX_SIZE];

	fixture_init(&f);
	fixture_lease(&f);
	postgres_run(f.url, "SELECT audit_write('a', 'x', '1', NULL)");
	postgres_run(f.url, "SELECT audit_write('b', 'x', '2', NULL)");
	ask_unsealed(&f, 1);
	EXPECT_UINT(got.n, ==, 1);
	COPY(first, span_of(got.id));
	COPY(hash, span_of(got.hash));
	/* A chain begins with its first head, and stays as it began. */
	fixture_expect(&f);
	store_audit_chain_head(f.supervisor, &f.fence, span_of(got.chain), on_chains, &f);
	fixture_ok(&f);
	EXPECT_INT(got.sequence, ==, 0);
	EXPECT_STR(got.previous, "");
	COPY(got.hash, span_of(hash));
	seal(&f, "1", true);
	EXPECT_INT(f.number, ==, 1);
	/* The same state again: another was faster. */
	seal(&f, "2", true);
	EXPECT_INT(f.number, ==, 0);
	do {
		ask_unsealed(&f, 1);
		EXPECT_TRUE(strcmp(got.id, first) != 0);
		if (got.chain[0])
			seal(&f, got.id, false);
	} while (got.chain[0]);
	fixture_expect(&f);
	store_audit_chain_head(f.supervisor, &f.fence, SPAN("2099_01"), on_chains, &f);
	fixture_ok(&f);
	EXPECT_TRUE(got.previous[0] == '2'); /* linked to the chain that was sealed last */
	fixture_done(&f);
}

TEST(store_audit__only_administrators_read_it)
{
	struct store_audit_filter filter = { .action = SPAN("a.*"), .limit = 10 };
	struct fixture f;
	char chain[32];

	fixture_init(&f);
	fixture_lease(&f);
	postgres_run(f.url, "SELECT audit_write('a.one', 'x', '1', 'one')");
	postgres_run(f.url, "SELECT audit_write('b.two', 'x', '2', 'two')");
	ask_unsealed(&f, 1);
	COPY(chain, span_of(got.chain));
	fixture_expect(&f);
	store_audit_chain_head(f.supervisor, &f.fence, span_of(chain), on_chains, &f);
	fixture_ok(&f);
	ask_unsealed(&f, 1);
	seal(&f, "1", true);
	fixture_expect(&f);
	store_audit_chains(f.front, &f.as_admin, on_chains, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_audit_chain_page(f.front, &f.as_admin, span_of(chain), 0, 10, on_seals, &f);
	fixture_ok(&f);
	EXPECT_INT(got.sequence, ==, 1);
	fixture_expect(&f);
	store_audit_strays(f.front, &f.as_admin, span_of(chain), 0, 10, on_strays, &f);
	fixture_ok(&f);
	EXPECT_TRUE(got.n > 0);
	EXPECT_FALSE(got.inserted); /* they only wait */
	fixture_expect(&f);
	store_audit_search(f.front, &f.as_admin, &filter, on_rows, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 1);
	EXPECT_STR(got.action, "a.one");
	EXPECT_STR(got.name, "one");

	fixture_expect(&f);
	store_audit_search(f.front, &f.as_amy, &filter, on_rows, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_audit_chains(f.front, &f.as_amy, on_chains, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_audit_chain_page(f.front, NULL, span_of(chain), 0, 10, on_seals, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_expect(&f);
	store_audit_unsealed(f.front, &f.fence, 5000, 1, on_unsealed, &f);
	fixture_fails(&f, ERR_PERMISSION);
	fixture_done(&f);
}

TEST(store_audit__refusals_are_rows)
{
	struct store_audit_filter filter = { .action = SPAN("key.write"), .limit = 10 };
	struct fixture f;

	fixture_init(&f);
	fixture_expect(&f);
	store_audit_refusals(f.front,
		SPAN("[{\"action\":\"key.write\",\"status\":\"failure\",\"ip_address\":\"::1\"},"
		     "{\"action\":\"key.write\",\"status\":\"error\",\"ip_address\":\":::1:::\","
		     "\"user_id\":\"unknown\"}]"),
		on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 2);
	fixture_expect(&f);
	store_audit_search(f.front, &f.as_admin, &filter, on_rows, &f);
	fixture_ok(&f);
	EXPECT_UINT(got.n, ==, 2);
	/* What succeeded is written by who did it. */
	fixture_expect(&f);
	store_audit_refusals(
		f.front, SPAN("[{\"action\":\"x\",\"status\":\"success\"}]"), on_number, &f);
	fixture_fails(&f, ERR_INVALID);
	fixture_done(&f);
}
