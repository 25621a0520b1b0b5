/* Changes and reconcile over real rows. The hooks are the test's: they note what is asked and
 * answer as the test wants, so that each way a change can go is gone. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "db/pool.h"
#include "lib/postgres.h"
#include "lib/test.h"
#include "lifecycle/lifecycle.h"

#define DIGEST "sha256:00000000000000000000000000000000000000000000000000000000000000aa"
#define SECOND "sha256:00000000000000000000000000000000000000000000000000000000000000bb"

#define ROOT "(SELECT id FROM users WHERE provider = 'system')"

/* A package of acme/tool; %s: version, entry's triplet. */
#define MANIFEST                                                                      \
	"{\"name\":\"acme/tool\",\"version\":\"%s\",\"display_name\":\"Tool\","       \
	"\"entry\":{\"" FACTS_TRIPLET "\":\"lib/tool.so\"},\"permissions\":[\"kv\"]," \
	"\"routes\":[{\"name\":\"ping\",\"method\":\"GET\",\"pattern\":\"/ping\","    \
	"\"scope\":\"tool.read\"}],\"files\":[{\"path\":\"lib/tool.so\",\"size\":1,"  \
	"\"mode\":\"0755\",\"sha256\":\"%064d\"}]}"

struct stand {
	uv_loop_t loop;
	char *url;
	struct db_pool *db;
	struct lifecycle *lc;
	struct lifecycle *earlier;
	struct text asked;  /* the hooks that were called, in order */
	const char *fails;  /* the hook that answers with an error; NULL: none */
	int code;           /* of that error */
	const char *filled; /* the configuration that the schema's defaults make */
	bool settled;
	int64_t ended;
	bool closed;
};

/* ---- hooks ---- */

struct later {
	uv_timer_t timer;
	lifecycle_done_cb done;
	void *arg;
	struct error err;
};

static void on_later_closed(uv_handle_t *handle)
{
	struct later *l = (struct later *)(void *)handle;

	l->done(l->arg, l->err.code ? &l->err : NULL);
	mem_free(l);
}

static void on_later(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_later_closed);
}

static void answer(
	struct stand *s, const char *hook, uint64_t ms, lifecycle_done_cb done, void *arg)
{
	struct later *l = mem_zalloc(sizeof(*l));

	l->done = done;
	l->arg = arg;
	if (s->fails && strcmp(s->fails, hook) == 0)
		(void)error_set(&l->err, s->code, "the test says no at %s", hook);
	(void)uv_timer_init(&s->loop, &l->timer);
	(void)uv_timer_start(&l->timer, on_later, ms, 0);
}

static void note(struct stand *s, const char *hook)
{
	text_printf(&s->asked, "%s ", hook);
}

static void hook_verify(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	(void)inst;
	note(user, "verify");
	answer(user, "verify", 0, done, arg);
}

struct configuring {
	struct stand *s;
	lifecycle_text_cb done;
	void *arg;
};

static void on_configured(void *arg, const struct error *err)
{
	struct configuring *c = arg;

	c->done(c->arg, err, err ? SPAN_NONE : span_of(c->s->filled));
	mem_free(c);
}

static void hook_configure(
	void *user, struct span manifest, struct span config, lifecycle_text_cb done, void *arg)
{
	struct configuring *c = mem_zalloc(sizeof(*c));

	(void)manifest;
	(void)config;
	c->s = user;
	c->done = done;
	c->arg = arg;
	answer(user, "configure", 0, on_configured, c);
}

static void hook_apply(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	text_printf(&((struct stand *)user)->asked, "apply%s ", inst->config);
	answer(user, "apply", 0, done, arg);
}

static void hook_revert(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	text_printf(&((struct stand *)user)->asked, "revert%s ", inst->config);
	answer(user, "revert", 0, done, arg);
}

static void hook_start(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	struct stand *s = user;

	note(s, "start");
	inst->running = s->fails && strcmp(s->fails, "start") == 0 ? NULL : s;
	answer(s, "start", 0, done, arg);
}

static void hook_keep(void *user, struct instance *inst)
{
	note(user, "keep");
	inst->running = user;
}

static void hook_gate(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	(void)inst;
	note(user, "gate");
	answer(user, "gate", 0, done, arg);
}

static void hook_publish(void *user, lifecycle_done_cb done, void *arg)
{
	note(user, "publish");
	if (done)
		answer(user, "publish", 0, done, arg);
}

static void hook_drain(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	EXPECT_FALSE(inst->routed);
	note(user, "drain");
	answer(user, "drain", 0, done, arg);
}

static void hook_stop(void *user, struct instance *inst, lifecycle_done_cb done, void *arg)
{
	note(user, "stop");
	inst->running = NULL;
	answer(user, "stop", 0, done, arg);
}

static void hook_clean(void *user, const char *installation, lifecycle_done_cb done, void *arg)
{
	EXPECT_UINT(strlen(installation), ==, 25);
	note(user, "clean");
	answer(user, "clean", 0, done, arg);
}

static void hook_after(void *user, uint64_t ms, lifecycle_done_cb done, void *arg)
{
	answer(user, "after", ms, done, arg);
}

static void hook_settled(void *user)
{
	((struct stand *)user)->settled = true;
}

static void hook_ended(void *user, int64_t number)
{
	((struct stand *)user)->ended = number;
}

static const struct lifecycle_hooks hooks = {
	.verify = hook_verify,
	.configure = hook_configure,
	.apply = hook_apply,
	.revert = hook_revert,
	.start = hook_start,
	.keep = hook_keep,
	.gate = hook_gate,
	.publish = hook_publish,
	.drain = hook_drain,
	.stop = hook_stop,
	.clean = hook_clean,
	.after = hook_after,
	.settled = hook_settled,
	.ended = hook_ended,
};

/* ---- the stand ---- */

static void sql(struct stand *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void sql(struct stand *s, const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	postgres_run(s->url, text);
}

static void expect_value(struct stand *s, const char *query, const char *wanted)
{
	CLEANUP(mem_freep) char *value = postgres_value(s->url, query);

	EXPECT_PTR(value);
	ck_assert_msg(strcmp(value, wanted) == 0, "%s: '%s' is not '%s'", query, value, wanted);
}

static void add_package(struct stand *s, const char *version, const char *digest)
{
	char manifest[2048];

	(void)snprintf(manifest, sizeof(manifest), MANIFEST, version, 0);
	sql(s,
		"SELECT * FROM package_register('seed', (SELECT fencing_token FROM nodes WHERE id "
		"= "
		"'seed'), '%s', '%s', 'e', 1, NULL, NULL, false)",
		digest, manifest);
}

static void set_up(struct stand *s)
{
	CLEANUP(mem_freep) char *supervisor = NULL;
	struct error err = { 0 };
	struct db_pool_options pool = { .application = "test" };
	const struct lifecycle_options options = {
		.node = "n1", .environment = "test", .hooks = &hooks, .user = s
	};
	struct lifecycle_options own = options;

	memset(s, 0, sizeof(*s));
	s->code = ERR_UNHEALTHY;
	s->filled = "{\"filled\":true}";
	EXPECT_INT(uv_loop_init(&s->loop), ==, 0);
	text_init(&s->asked);
	s->url = postgres_database();
	supervisor = postgres_url_as(s->url, "mortise_supervisor", "mortise_supervisor");
	pool.url = supervisor;
	EXPECT_OK(db_pool_start(&s->db, &s->loop, &pool, &err), &err);
	while (!db_pool_connected(s->db))
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	sql(s, "SELECT node_lease('seed', 'test', NULL, '1 hour')");
	sql(s, "SELECT bootstrap_admin('root', repeat('0', 64), 'mrt_000000')");
	add_package(s, "1.0.0", DIGEST);
	own.db = s->db;
	s->lc = lifecycle_new(&own);
}

/* Take the node: a life begins, and all that is to do is done. */
static void begin(struct stand *s)
{
	CLEANUP(mem_freep) char *token = NULL;

	sql(s, "SELECT node_lease('n1', 'test', NULL, '1 hour')");
	token = postgres_value(s->url, "SELECT fencing_token FROM nodes WHERE id = 'n1'");
	s->settled = false;
	lifecycle_begin(s->lc, atoll(token));
	while (!s->settled)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
}

static void open_change(struct stand *s, const char *action, const char *digest)
{
	sql(s,
		"INSERT INTO changes(action, plugin_name, environment, to_version, digest, "
		"parameters, "
		"actor_id) "
		"VALUES ('%s', 'acme/tool', 'test', '1.0.0', '%s', '{\"config\":{\"a\":1}}', " ROOT
		")",
		action, digest);
}

/* Open a change and see it through. */
static void change(struct stand *s, const char *action, const char *digest)
{
	open_change(s, action, digest);
	text_clear(&s->asked);
	s->ended = 0;
	lifecycle_wake(s->lc, false);
	while (s->ended == 0)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
}

static void wait_until(struct stand *s, const char *query, const char *wanted)
{
	for (;;) {
		CLEANUP(mem_freep) char *value = postgres_value(s->url, query);

		if (value && strcmp(value, wanted) == 0)
			return;
		(void)uv_run(&s->loop, UV_RUN_NOWAIT);
	}
}

static void on_closed(void *user)
{
	((struct stand *)user)->closed = true;
}

static void tear_down(struct stand *s)
{
	lifecycle_stop(s->lc);
	db_pool_close(s->db, on_closed, s);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EXPECT_TRUE(s->closed);
	list_for_each(struct instance, inst, lifecycle_instances(s->lc), link)
		inst->running = NULL;
	lifecycle_free(s->lc);
	lifecycle_free(s->earlier);
	EXPECT_INT(uv_loop_close(&s->loop), ==, 0);
	text_done(&s->asked);
	mem_free(s->url);
}

#define STATE  "SELECT state FROM plugin_instances WHERE node_id = 'n1'"
#define CHANGE "SELECT state FROM changes ORDER BY number DESC LIMIT 1"
#define REASON "SELECT error->>'code' FROM changes ORDER BY number DESC LIMIT 1"

/* ---- the ways of a change ---- */

TEST(lifecycle_change__an_install_goes_in_its_order_and_its_routes_come_last)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	EXPECT_STR(s.asked.data, "verify start gate publish ");
	expect_value(&s, STATE, "installed");
	expect_value(&s, CHANGE, "done");
	expect_value(&s,
		"SELECT string_agg(p->>'name' || '=' || (p->>'state'), ' ') FROM changes, "
		"jsonb_array_elements(phases) p",
		"verify=done start=done gate=done");
	expect_value(&s, "SELECT config->>'filled' FROM plugin_installations", "true");
	list_for_each(struct instance, inst, lifecycle_instances(s.lc), link) {
		EXPECT_TRUE(inst->routed);
		EXPECT_SPAN(inst->facts.routes[0].pattern, "/api/tool/ping");
		EXPECT_STR(inst->permissions, "kv");
	}
	tear_down(&s);
}

TEST(lifecycle_change__disable_enable_uninstall_and_again)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	change(&s, "disable", DIGEST);
	EXPECT_STR(s.asked.data, "drain stop ");
	expect_value(&s, STATE, "disabled");
	EXPECT_TRUE(list_empty(lifecycle_instances(s.lc)));
	change(&s, "enable", DIGEST);
	EXPECT_STR(s.asked.data, "verify start gate publish ");
	expect_value(&s, STATE, "installed");
	change(&s, "uninstall", DIGEST);
	EXPECT_STR(s.asked.data, "drain stop clean ");
	expect_value(&s, STATE, "available");
	change(&s, "install", DIGEST);
	expect_value(&s, STATE, "installed");
	tear_down(&s);
}

TEST(lifecycle_change__an_update_starts_beside_the_old_and_retires_it)
{
	struct stand s;
	unsigned count = 0;

	set_up(&s);
	add_package(&s, "2.0.0", SECOND);
	begin(&s);
	change(&s, "install", DIGEST);
	open_change(&s, "update", SECOND);
	sql(&s, "UPDATE changes SET to_version = '2.0.0' WHERE action = 'update'");
	text_clear(&s.asked);
	s.ended = 0;
	lifecycle_wake(s.lc, false);
	while (s.ended == 0)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_STR(s.asked.data, "verify start gate publish drain stop ");
	expect_value(&s, CHANGE, "done");
	expect_value(&s, "SELECT installed_version FROM plugin_installations", "2.0.0");
	list_for_each(struct instance, inst, lifecycle_instances(s.lc), link) {
		EXPECT_STR(inst->version, "2.0.0");
		count++;
	}
	EXPECT_UINT(count, ==, 1);
	tear_down(&s);
}

static void configure(struct stand *s, const char *filled)
{
	s->filled = filled;
	change(s, "configure", DIGEST);
}

static struct instance *only_instance(struct stand *s)
{
	struct instance *inst = LIST_FIRST(lifecycle_instances(s->lc), struct instance, link);

	EXPECT_PTR(inst);
	EXPECT_TRUE(inst->link.next == lifecycle_instances(s->lc));
	return inst;
}

#define CONFIG "SELECT config::text FROM plugin_installations"

TEST(lifecycle_change__a_plugin_takes_a_new_configuration_where_it_runs)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	configure(&s, "{\"a\":2}");
	EXPECT_STR(s.asked.data, "apply{\"a\":2} gate ");
	expect_value(&s, CHANGE, "done");
	expect_value(&s, CONFIG, "{\"a\": 2}");
	expect_value(&s, STATE, "installed");
	EXPECT_STR(only_instance(&s)->config, "{\"a\":2}");
	/* The rows are what it has: nothing follows. */
	text_clear(&s.asked);
	s.settled = false;
	lifecycle_wake(s.lc, true);
	while (!s.settled)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_STR(s.asked.data, "");
	tear_down(&s);
}

TEST(lifecycle_change__one_that_takes_none_starts_anew_beside_the_old)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	s.fails = "apply";
	s.code = ERR_UNSUPPORTED;
	configure(&s, "{\"a\":2}");
	EXPECT_STR(s.asked.data, "apply{\"a\":2} start gate publish drain stop ");
	expect_value(&s, CHANGE, "done");
	expect_value(&s, CONFIG, "{\"a\": 2}");
	EXPECT_STR(only_instance(&s)->config, "{\"a\":2}");
	EXPECT_TRUE(only_instance(&s)->routed);
	tear_down(&s);
}

TEST(lifecycle_change__a_configuration_that_is_refused_leaves_the_old_one)
{
	static const struct {
		const char *fails;
		const char *asked;
	} cases[] = {
		{ "configure", "" },
		{ "apply", "apply{\"a\":2} " },
		{ "gate", "apply{\"a\":2} gate revert{\"filled\":true} " },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stand s;

		set_up(&s);
		begin(&s);
		change(&s, "install", DIGEST);
		s.fails = cases[i].fails;
		configure(&s, "{\"a\":2}");
		EXPECT_STR(s.asked.data, cases[i].asked);
		expect_value(&s, CHANGE, "failed");
		expect_value(&s, CONFIG, "{\"filled\": true}");
		expect_value(&s, STATE, "installed");
		EXPECT_STR(only_instance(&s)->config, "{\"filled\":true}");
		tear_down(&s);
	}
}

TEST(lifecycle_change__a_disabled_plugin_is_configured_for_its_next_start)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	change(&s, "disable", DIGEST);
	configure(&s, "{\"a\":2}");
	EXPECT_STR(s.asked.data, "");
	expect_value(&s, CHANGE, "done");
	expect_value(&s, STATE, "disabled");
	change(&s, "enable", DIGEST);
	expect_value(&s, CONFIG, "{\"a\": 2}");
	tear_down(&s);
}

TEST(lifecycle_change__a_first_start_that_fails_leaves_failed_with_its_reason)
{
	static const char *const hooks_that_fail[] = { "start", "gate" };

	for (size_t i = 0; i < ARRAY_LENGTH(hooks_that_fail); i++) {
		struct stand s;

		set_up(&s);
		begin(&s);
		s.fails = hooks_that_fail[i];
		change(&s, "install", DIGEST);
		expect_value(&s, STATE, "failed");
		expect_value(&s, CHANGE, "failed");
		expect_value(&s, REASON, "MRT-3006");
		expect_value(&s,
			"SELECT (failure->>'text' LIKE 'the test says no%')::text FROM "
			"plugin_instances",
			"true");
		EXPECT_TRUE(list_empty(lifecycle_instances(s.lc)));
		/* And then it may be tried again. */
		s.fails = NULL;
		change(&s, "install", DIGEST);
		expect_value(&s, STATE, "installed");
		tear_down(&s);
	}
}

TEST(lifecycle_change__what_fails_before_the_wish_leaves_no_trace_but_the_change)
{
	static const char *const hooks_that_fail[] = { "configure", "verify" };

	for (size_t i = 0; i < ARRAY_LENGTH(hooks_that_fail); i++) {
		struct stand s;

		set_up(&s);
		begin(&s);
		s.fails = hooks_that_fail[i];
		change(&s, "install", DIGEST);
		expect_value(&s, CHANGE, "failed");
		expect_value(&s, "SELECT count(*)::text FROM plugin_installations", "0");
		tear_down(&s);
	}
}

TEST(lifecycle_change__an_enable_that_fails_is_disabled_again)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	change(&s, "disable", DIGEST);
	s.fails = "gate";
	change(&s, "enable", DIGEST);
	expect_value(&s, CHANGE, "failed");
	expect_value(&s, STATE, "disabled");
	expect_value(&s, "SELECT is_enabled::text FROM plugin_installations", "false");
	tear_down(&s);
}

/* ---- an earlier life ---- */

/* What a host that is gone had done: claimed, and perhaps wished. */
static void earlier_life(struct stand *s, const char *action, bool wished)
{
	open_change(s, action, DIGEST);
	sql(s, "SELECT node_lease('n1', 'test', NULL, '1 hour')");
	sql(s, "SELECT change_claim('n1', (SELECT fencing_token FROM nodes WHERE id = 'n1'))");
	if (wished)
		sql(s, "SELECT change_wish('n1', (SELECT fencing_token FROM nodes WHERE id = "
		       "'n1'), "
		       "(SELECT max(number) FROM changes))");
}

TEST(lifecycle_begin__an_install_without_a_wish_ends_failed_interrupted)
{
	struct stand s;

	set_up(&s);
	earlier_life(&s, "install", false);
	begin(&s);
	wait_until(&s, CHANGE, "failed");
	expect_value(&s, REASON, "MRT-3007");
	expect_value(&s, "SELECT count(*)::text FROM plugin_instances", "0");
	tear_down(&s);
}

TEST(lifecycle_begin__an_install_behind_its_wish_is_failed_and_keeps_the_reason)
{
	struct stand s;

	set_up(&s);
	earlier_life(&s, "install", true);
	begin(&s);
	wait_until(&s, CHANGE, "failed");
	expect_value(&s, STATE, "failed");
	expect_value(&s, "SELECT failure->>'code' FROM plugin_instances", "MRT-3007");
	EXPECT_NULL(strstr(s.asked.data, "start"));
	tear_down(&s);
}

/* Installed by an earlier life, which then began another change and died. */
static void installed_then(struct stand *s, const char *action)
{
	set_up(s);
	begin(s);
	change(s, "install", DIGEST);
	list_for_each(struct instance, inst, lifecycle_instances(s->lc), link)
		inst->running = NULL;
	lifecycle_stop(s->lc);
	s->earlier = s->lc; /* its last reads may still be on their way */
	s->lc = lifecycle_new(&(struct lifecycle_options){
		.db = s->db, .node = "n1", .environment = "test", .hooks = &hooks, .user = s });
	text_clear(&s->asked);
	if (action)
		earlier_life(s, action, true);
	begin(s);
}

TEST(lifecycle_begin__a_configure_behind_its_wish_leaves_the_old_configuration)
{
	struct stand s;

	installed_then(&s, "configure");
	wait_until(&s, CHANGE, "failed");
	expect_value(&s, REASON, "MRT-3007");
	expect_value(&s, CONFIG, "{\"filled\": true}");
	expect_value(&s, STATE, "installed");
	while (!strstr(s.asked.data, "keep"))
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	tear_down(&s);
}

TEST(lifecycle_begin__another_nodes_configuration_is_followed)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	text_clear(&s.asked);
	s.filled = "{\"b\":3}";
	sql(&s, "UPDATE plugin_installations SET config = '{\"b\":3}'");
	lifecycle_wake(s.lc, true);
	while (!strstr(s.asked.data, "gate"))
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_STR(s.asked.data, "apply{\"b\":3} gate ");
	EXPECT_STR(only_instance(&s)->config, "{\"b\":3}");
	tear_down(&s);
}

TEST(lifecycle_begin__what_is_installed_is_kept_running)
{
	struct stand s;

	installed_then(&s, NULL);
	EXPECT_STR(s.asked.data, "keep ");
	tear_down(&s);
}

TEST(lifecycle_begin__a_disable_behind_its_wish_goes_on)
{
	struct stand s;

	installed_then(&s, "disable");
	wait_until(&s, CHANGE, "done");
	expect_value(&s, STATE, "disabled");
	EXPECT_NULL(strstr(s.asked.data, "keep"));
	tear_down(&s);
}

TEST(lifecycle_begin__an_uninstall_behind_its_wish_goes_on)
{
	struct stand s;

	installed_then(&s, "uninstall");
	wait_until(&s, CHANGE, "done");
	expect_value(&s, STATE, "available");
	while (!strstr(s.asked.data, "clean"))
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	tear_down(&s);
}

TEST(lifecycle_begin__a_second_life_takes_over_what_the_first_was_doing)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	open_change(&s, "install", DIGEST);
	lifecycle_wake(s.lc, false);
	wait_until(&s, STATE, "installing");
	begin(&s); /* fenced off, and taken anew */
	wait_until(&s, CHANGE, "failed");
	expect_value(&s, REASON, "MRT-3007");
	expect_value(&s, STATE, "failed");
	tear_down(&s);
}

/* ---- reconcile ---- */

TEST(lifecycle_follow__what_another_node_installs_disables_and_removes_is_followed)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	open_change(&s, "install", DIGEST);
	sql(&s, "SELECT change_claim('seed', (SELECT fencing_token FROM nodes WHERE id = 'seed'))");
	sql(&s, "SELECT change_wish('seed', (SELECT fencing_token FROM nodes WHERE id = 'seed'), "
		"1)");
	sql(&s, "SELECT change_commit('seed', (SELECT fencing_token FROM nodes WHERE id = 'seed'), "
		"1)");
	lifecycle_wake(s.lc, true);
	wait_until(&s, STATE, "installed");
	EXPECT_CONTAINS(s.asked.data, "verify start gate ");
	sql(&s, "UPDATE plugin_installations SET is_enabled = false, disabled_at = now()");
	lifecycle_wake(s.lc, true);
	wait_until(&s, STATE, "disabled");
	sql(&s, "UPDATE plugin_installations SET uninstalled_at = now(), wished_version = NULL, "
		"wished_digest = NULL, installed_digest = NULL");
	lifecycle_wake(s.lc, true);
	wait_until(&s, STATE, "available");
	tear_down(&s);
}

TEST(lifecycle_read__no_rows_where_some_were_is_an_error_and_not_a_wish)
{
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	sql(&s, "UPDATE plugin_installations SET environment = 'elsewhere'");
	text_clear(&s.asked);
	s.settled = false;
	lifecycle_wake(s.lc, true);
	while (!s.settled)
		(void)uv_run(&s.loop, UV_RUN_ONCE);
	EXPECT_STR(s.asked.data, "");
	EXPECT_FALSE(list_empty(lifecycle_instances(s.lc)));
	tear_down(&s);
}

TEST(lifecycle_gave_up__the_instance_fails_and_keeps_the_reason)
{
	struct instance *inst;
	struct error err = { 0 };
	struct stand s;

	set_up(&s);
	begin(&s);
	change(&s, "install", DIGEST);
	inst = LIST_FIRST(lifecycle_instances(s.lc), struct instance, link);
	inst->running = NULL;
	(void)error_set(&err, ERR_WORKER_DIED, "it fell over");
	lifecycle_gave_up(s.lc, inst, &err);
	wait_until(&s, STATE, "failed");
	expect_value(&s, "SELECT failure->>'text' FROM plugin_instances", "it fell over");
	EXPECT_TRUE(list_empty(lifecycle_instances(s.lc)));
	tear_down(&s);
}
