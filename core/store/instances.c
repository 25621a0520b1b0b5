#include "store/instances.h"

#include "base/assert.h"
#include "store/store_priv.h"

#define INSTANCE_COLUMNS                                                                    \
	"t.installation_id, t.node_id, t.state, t.version, t.digest, t.generation, t.pid, " \
	"t.health, t.health_detail, t.cpu_ns, t.cpu_percent::float8, t.memory_bytes, "      \
	"t.disk_bytes, t.restarts, t.failure, t.started_at, t.sampled_at, t.moved_at"

static void read_instance(struct db_row *r, struct store_instance *i)
{
	i->installation_id = db_row_text(r);
	i->node_id = db_row_text(r);
	i->state = db_row_text(r);
	i->version = db_row_text(r);
	i->digest = db_row_text(r);
	i->generation = db_row_int(r, 0);
	i->pid = db_row_int(r, 0);
	i->health = db_row_text(r);
	i->health_detail = db_row_text(r);
	i->cpu_ns = db_row_int(r, 0);
	i->cpu_percent = db_row_real(r, -1);
	i->memory_bytes = db_row_int(r, -1);
	i->disk_bytes = db_row_int(r, -1);
	i->restarts = db_row_int(r, 0);
	i->failure = db_row_text(r);
	i->started_at = db_row_time(r, 0);
	i->sampled_at = db_row_time(r, 0);
	i->moved_at = db_row_time(r, 0);
}
STORE_SHAPE(instance_shape, struct store_instance, read_instance, store_instances_cb);

static const struct db_statement instance_move = {
	.name = "instance_move",
	.sql = "SELECT " INSTANCE_COLUMNS
	       " FROM instance_move($1, $2, $3, $4::plugin_status, $5, $6, $7) t",
	.params = 7,
};

void store_instance_move(struct db_pool *db, const struct store_fence *fence,
	const struct store_instance_move *move, store_instances_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_TEXT(move->installation_id),
		DB_TEXT(move->state),
		store_text_or_null(move->version),
		store_text_or_null(move->digest),
		store_text_or_null(move->failure),
	};

	store_send(db, &(struct store_query){ .statement = &instance_move,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &instance_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement instance_started = {
	.name = "instance_started",
	.sql = "SELECT instance_started($1, $2, $3, $4)",
	.params = 4,
};

void store_instance_started(struct db_pool *db, const struct store_fence *fence,
	struct span installation_id, int64_t pid, store_number_cb done, void *user)
{
	const struct db_param params[] = {
		store_node(fence),
		store_token(fence),
		DB_TEXT(installation_id),
		DB_INT(pid),
	};

	store_send(db, &(struct store_query){ .statement = &instance_started,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

/* jsonb holds no NUL and no invalid UTF-8. */
static void append_foreign(struct text *json, struct span s)
{
	struct text clean;

	text_init(&clean);
	text_append_utf8(&clean, s);
	text_append_json(json, text_span(&clean));
	text_done(&clean);
}

static void append_int(struct text *json, const char *name, int64_t value)
{
	if (value != -1)
		text_printf(json, ",\"%s\":%lld", name, (long long)value);
}

static void append_text(struct text *json, const char *name, struct span value)
{
	if (!value.data)
		return;
	text_printf(json, ",\"%s\":", name);
	append_foreign(json, value);
}

static void append_sample(struct text *json, const struct store_sample *s)
{
	text_append_string(json, "{\"installation_id\":");
	append_foreign(json, s->installation_id);
	append_int(json, "generation", s->generation);
	append_text(json, "health", s->health);
	append_text(json, "health_detail", s->health_detail);
	append_int(json, "cpu_ns", s->cpu_ns);
	if (s->cpu_percent >= 0)
		text_printf(json, ",\"cpu_percent\":%.2f", s->cpu_percent);
	append_int(json, "memory_bytes", s->memory_bytes);
	append_int(json, "disk_bytes", s->disk_bytes);
	append_int(json, "restarts", s->restarts);
	text_append_char(json, '}');
}

static const struct db_statement instance_samples = {
	.name = "instance_samples",
	.sql = "SELECT instance_samples($1, $2, $3)",
	.params = 3,
};

static void write_json(struct db_pool *db, const struct db_statement *statement,
	const struct store_fence *fence, struct span json, store_number_cb done, void *user)
{
	const struct db_param params[] = { store_node(fence), store_token(fence), DB_TEXT(json) };

	store_send(db, &(struct store_query){ .statement = statement,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

void store_instance_samples(struct db_pool *db, const struct store_fence *fence,
	const struct store_sample *samples, size_t n, store_number_cb done, void *user)
{
	struct text json;

	ASSERT(n <= STORE_SAMPLES_MAX);
	text_init(&json);
	for (size_t i = 0; i < n; i++) {
		text_append_char(&json, i ? ',' : '[');
		append_sample(&json, &samples[i]);
	}
	text_append_string(&json, n ? "]" : "[]");
	write_json(db, &instance_samples, fence, text_span(&json), done, user);
	text_done(&json);
}

static const struct db_statement metrics_write = {
	.name = "metrics_write",
	.sql = "SELECT metrics_write($1, $2, $3)",
	.params = 3,
};

void store_metrics_write(struct db_pool *db, const struct store_fence *fence, struct span samples,
	store_number_cb done, void *user)
{
	write_json(db, &metrics_write, fence, samples, done, user);
}

static const struct db_statement instances_list = {
	.name = "instances_list",
	.sql = "SELECT " INSTANCE_COLUMNS " FROM plugin_instances t "
	       "WHERE t.installation_id = $1 ORDER BY t.node_id LIMIT $2",
	.params = 2,
	.flags = DB_STATEMENT_READS,
};

void store_instances_list(struct db_pool *db, const struct db_context *context,
	struct span installation_id, store_instances_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(installation_id), store_limit(0) };

	store_send(db, &(struct store_query){ .statement = &instances_list,
			       .context = context,
			       .params = params,
			       .shape = &instance_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement termination_write = {
	.name = "termination_write",
	.sql = "SELECT termination_write($1, $2, $3)",
	.params = 3,
};

void store_termination_write(struct db_pool *db, const struct store_fence *fence,
	const struct store_termination *record, store_number_cb done, void *user)
{
	struct text json;

	text_init(&json);
	text_append_string(&json, "{\"installation_id\":");
	append_foreign(&json, record->installation_id);
	append_int(&json, "generation", record->generation);
	append_text(&json, "version", record->version);
	append_text(&json, "digest", record->digest);
	append_text(&json, "kind", record->kind);
	append_text(&json, "callback", record->callback);
	if (record->request_ids.len)
		text_printf(&json, ",\"request_ids\":%.*s", SPAN_ARG(record->request_ids));
	append_int(&json, "signal", record->signal ? record->signal : -1);
	append_int(&json, "exit_status", record->exit_status);
	append_text(&json, "reason", record->reason);
	append_int(&json, "cpu_ns", record->cpu_ns);
	append_int(&json, "memory_bytes", record->memory_bytes);
	append_text(&json, "backtrace", record->backtrace);
	text_append_char(&json, '}');
	write_json(db, &termination_write, fence, text_span(&json), done, user);
	text_done(&json);
}

static void read_termination(struct db_row *r, struct store_termination *t)
{
	t->id = db_row_int(r, 0);
	t->installation_id = db_row_text(r);
	t->node_id = db_row_text(r);
	t->generation = db_row_int(r, 0);
	t->version = db_row_text(r);
	t->digest = db_row_text(r);
	t->kind = db_row_text(r);
	t->callback = db_row_text(r);
	t->request_ids = db_row_text(r);
	t->signal = db_row_int(r, 0);
	t->exit_status = db_row_int(r, -1);
	t->reason = db_row_text(r);
	t->cpu_ns = db_row_int(r, -1);
	t->memory_bytes = db_row_int(r, -1);
	t->backtrace = db_row_text(r);
	t->occurred_at = db_row_time(r, 0);
}
STORE_SHAPE(termination_shape, struct store_termination, read_termination, store_terminations_cb);

static const struct db_statement terminations_list = {
	.name = "terminations_list",
	.sql = "SELECT id, installation_id, node_id, generation, version, digest, kind, callback, "
	       "to_jsonb(request_ids), signal, exit_status, reason, cpu_ns, memory_bytes, "
	       "backtrace, occurred_at FROM plugin_terminations "
	       "WHERE installation_id = $1 AND ($2::bigint IS NULL OR id < $2) "
	       "ORDER BY id DESC LIMIT $3",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_terminations_list(struct db_pool *db, const struct db_context *context,
	struct span installation_id, int64_t before, unsigned limit, store_terminations_cb done,
	void *user)
{
	const struct db_param params[] = {
		DB_TEXT(installation_id),
		store_int_or_null(before, 0),
		store_limit(limit),
	};

	store_send(db, &(struct store_query){ .statement = &terminations_list,
			       .context = context,
			       .params = params,
			       .shape = &termination_shape,
			       .done = (store_fn)done,
			       .user = user });
}
