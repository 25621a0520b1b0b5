#include "lifecycle/state.h"

#include "lib/test.h"

TEST(lifecycle_state__words_lead_back_to_their_state)
{
	for (unsigned s = 0; s < STATE_COUNT; s++)
		EXPECT_UINT(state_from(span_of(state_name((enum state)s))), ==, s);
	EXPECT_UINT(state_from(SPAN("broken")), ==, STATE_COUNT);
	EXPECT_UINT(state_from(SPAN("")), ==, STATE_COUNT);
}

TEST(lifecycle_state__the_table_is_the_drawing)
{
	/* One row a state, one column a state that may follow, in the order of the enum. */
	static const char *const rows[STATE_COUNT] = {
		[STATE_AVAILABLE] = ".x.....",
		[STATE_INSTALLING] = "x.x..x.",
		[STATE_INSTALLED] = "...xxx.",
		[STATE_UPDATING] = "..x..x.",
		[STATE_DISABLED] = "..x..xx",
		[STATE_FAILED] = ".x....x",
		[STATE_UNINSTALLING] = "x....x.",
	};

	for (unsigned from = 0; from < STATE_COUNT; from++)
		for (unsigned to = 0; to < STATE_COUNT; to++)
			EXPECT_INT(state_may_follow((enum state)from, (enum state)to), ==,
				rows[from][to] == 'x');
}

TEST(lifecycle_state__every_state_leads_to_available_and_back)
{
	for (unsigned start = 0; start < STATE_COUNT; start++) {
		unsigned reached = 1u << start, before = 0;

		while (reached != before) {
			before = reached;
			for (unsigned from = 0; from < STATE_COUNT; from++)
				for (unsigned to = 0; to < STATE_COUNT; to++)
					if (reached & (1u << from) &&
						state_may_follow((enum state)from, (enum state)to))
						reached |= 1u << to;
		}
		EXPECT_UINT(reached, ==, (1u << STATE_COUNT) - 1);
	}
}

TEST(lifecycle_state__a_move_assigns_and_staying_is_no_move)
{
	enum state state = STATE_AVAILABLE;

	state_move(&state, STATE_INSTALLING, "acme/hello");
	EXPECT_INT(state, ==, STATE_INSTALLING);
	state_move(&state, STATE_INSTALLING, "acme/hello");
	state_move(&state, STATE_INSTALLED, "acme/hello");
	EXPECT_INT(state, ==, STATE_INSTALLED);
}

TEST(lifecycle_state__only_installed_and_updating_serve)
{
	for (unsigned s = 0; s < STATE_COUNT; s++)
		EXPECT_INT(state_serves((enum state)s), ==,
			s == STATE_INSTALLED || s == STATE_UPDATING);
}
