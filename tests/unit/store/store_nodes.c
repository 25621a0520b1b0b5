#include <stdio.h>

#include "store/changes.h"
#include "store/nodes.h"
#include "store_fixture.h"

TEST(store_nodes__a_node_that_was_taken_over_is_fenced)
{
	struct store_fence old;
	struct fixture f;

	fixture_init(&f);
	fixture_lease(&f);
	old = f.fence;
	fixture_expect(&f);
	store_lease_take(f.supervisor, &f.fence, SPAN("sealer"), 60000, on_number, &f);
	fixture_ok(&f);
	EXPECT_INT(f.number, ==, 1);
	fixture_lease(&f);
	fixture_expect(&f);
	store_lease_take(f.supervisor, &old, SPAN("sealer"), 60000, on_number, &f);
	fixture_fails(&f, ERR_FENCED);
	fixture_expect(&f);
	store_node_release(f.supervisor, &f.fence, on_done, &f);
	fixture_ok(&f);
	fixture_expect(&f);
	store_changes_claim(f.supervisor, &f.fence, on_changes, &f);
	fixture_fails(&f, ERR_FENCED);
	fixture_done(&f);
}
