/* mortised - the supervisor of a host: wiring
 *
 * Before the loop: settings, data folder, embedded PostgreSQL, schema, listeners. On the loop: the
 * supervisor, and the database's notifications. A first SIGTERM or SIGINT ends it in order, a
 * second one at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "daemon/data_folder.h"
#include "daemon/database.h"
#include "daemon/options.h"
#include "daemon/postgres.h"
#include "db/listen.h"
#include "db/pool.h"
#include "supervise/exec_as.h"
#include "supervise/key_ring.h"
#include "supervise/listener.h"
#include "supervise/supervisor.h"

#define FRONTS_DEFAULT_MAX 4
#define POOL_CONNECTIONS   4
#define OPEN_FILES         65536

struct daemon {
	struct options options;
	struct data_folder folder;
	uv_loop_t loop;
	uv_signal_t signals[2];
	struct key_ring *key_ring;
	char *key_ring_path;
	char *program; /* folder of the programs */
	char *self;
	struct postgres *postgres; /* NULL: the database is not ours */
	struct database_urls urls;
	int listeners[SUPERVISOR_FRONTS_MAX];
	size_t listener_count;
	struct text bound;
	struct db_pool *pool;
	struct db_listener *listener;
	struct supervisor *supervisor;
	bool stopping;
	int code;
};

/* ---- what happens, for whoever started us ---- */

static void tell(struct daemon *d, const char *line)
{
	if (d->options.ready_fd == -1)
		return;
	/* A starter that has gone is no reason to stop. */
	(void)dprintf(d->options.ready_fd, "%s\n", line);
}

static void tell_step(const char *name, const char *text, void *user)
{
	CLEANUP(mem_freep) char *line = mem_printf("step %s %s", name, text);

	log_info("start", LOG_STR("step", name), LOG_STR("text", text));
	tell(user, line);
}

static void tell_failure(struct daemon *d, const struct error *err)
{
	CLEANUP(mem_freep) char *line = mem_printf("error MRT-%d %s", -err->code, err->text);
	CLEANUP(mem_freep) char *fix = mem_printf("fix %s", error_advice(err));

	tell(d, line);
	tell(d, fix);
	log_error("cannot run", LOG_INT("code", -err->code), LOG_ERR(err),
		LOG_STR("fix", error_advice(err)));
}

/* ---- the end ---- */

static void on_signal_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void close_signals(struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LENGTH(d->signals); i++)
		uv_close((uv_handle_t *)&d->signals[i], on_signal_closed);
}

static void on_postgres_closed(void *user)
{
	struct daemon *d = user;

	d->postgres = NULL;
	close_signals(d);
}

static void on_pool_closed(void *user)
{
	struct daemon *d = user;

	d->pool = NULL;
	supervisor_free(d->supervisor);
	d->supervisor = NULL;
	if (d->postgres)
		postgres_close(d->postgres, on_postgres_closed, d);
	else
		close_signals(d);
}

static void on_listener_closed(void *user)
{
	struct daemon *d = user;

	d->listener = NULL;
	db_pool_close(d->pool, on_pool_closed, d);
}

static void on_supervisor_closed(void *user)
{
	struct daemon *d = user;

	db_listen_close(d->listener, on_listener_closed, d);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;

	log_info(d->stopping ? "stopping at once" : "stopping", LOG_INT("signal", number));
	if (d->supervisor)
		supervisor_close(d->supervisor, d->stopping);
	else if (d->postgres)
		postgres_close(d->postgres, on_postgres_closed, d);
	d->stopping = true;
}

/* ---- running ---- */

static void on_ready(void *user)
{
	struct daemon *d = user;

	log_info("ready", LOG_STR("listen", d->bound.data));
	tell(d, "ready");
	if (d->options.ready_fd != -1)
		(void)close(d->options.ready_fd);
	d->options.ready_fd = -1;
}

static void on_failed(void *user, const struct error *err)
{
	struct daemon *d = user;

	tell_failure(d, err);
	d->code = error_entry(err->code)->exit_code;
	d->stopping = true;
	supervisor_close(d->supervisor, true);
}

static void on_notify(struct span channel, struct span payload, void *user)
{
	struct daemon *d = user;

	if (d->supervisor)
		supervisor_notify(d->supervisor, channel, payload);
}

static void on_listener_state(bool connected, const struct error *reason, void *user)
{
	struct daemon *d = user;

	if (!connected)
		log_warn("no notifications from the database, trying again", LOG_ERR(reason));
	else if (d->supervisor)
		supervisor_look(d->supervisor);
}

static void on_database_state(bool connected, const struct error *reason, void *user)
{
	struct daemon *d = user;

	if (connected && d->supervisor)
		supervisor_connected(d->supervisor);
	if (connected)
		log_info("database connected");
	else
		log_error("the database is gone, what runs goes on", LOG_ERR(reason));
}

static int start_database(struct daemon *d, struct error *err)
{
	static const char *const channels[] = { "mortise_changes", "mortise_wishes",
		"mortise_authority", "mortise_catalog", "mortise_key_ring", NULL };
	const struct db_pool_options pool = { .url = d->urls.supervisor,
		.application = "mortised",
		.connections = POOL_CONNECTIONS,
		.state = on_database_state,
		.user = d };
	const struct db_listen_options listen = { .url = d->urls.supervisor,
		.application = "mortised listen",
		.channels = channels,
		.notify = on_notify,
		.state = on_listener_state,
		.user = d };
	int rc = db_pool_start(&d->pool, &d->loop, &pool, err);

	return rc < 0 ? rc : db_listen_start(&d->listener, &d->loop, &listen, err);
}

static int start_supervisor(struct daemon *d, struct error *err)
{
	const struct supervisor_options options = { .settings = &d->options.settings,
		.db = d->pool,
		.key_ring = &d->key_ring,
		.front_database = d->urls.front,
		.node = d->folder.node,
		.data = d->folder.path,
		.run = d->folder.run,
		.logs_fd = d->folder.logs_fd,
		.root = d->folder.root,
		.service_uid = d->folder.service_uid,
		.service_gid = d->folder.service_gid,
		.shim = d->self,
		.program = d->program,
		.listeners = d->listeners,
		.listener_count = d->listener_count,
		.on_ready = on_ready,
		.on_failed = on_failed,
		.on_closed = on_supervisor_closed,
		.user = d };

	return supervisor_start(&d->supervisor, &d->loop, &options, err);
}

/* ---- before the loop ---- */

static int find_programs(struct daemon *d, struct error *err)
{
	static const char *const programs[] = { "mortise-front", "mortise-worker", "mortise-stage",
		"mortise-fetch" };
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int rc = 0;

	if (len == -1)
		return error_set_errno(err, errno, "read /proc/self/exe");
	self[len] = '\0';
	d->self = mem_strdup(self);
	if (d->options.settings.program_dir[0])
		d->program = mem_strdup(d->options.settings.program_dir);
	else
		rc = paths_program(&d->program, err);
	for (size_t i = 0; i < ARRAY_LENGTH(programs) && rc == 0; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", d->program, programs[i]);

		if (access(path, X_OK) == -1)
			rc = error_set_errno(err, errno, "program '%s'", path);
	}
	/* They run under other users, too. */
	if (rc == 0 && d->folder.root)
		rc = data_folder_check_way(d->program, err);
	return rc;
}

static size_t front_count(const struct settings *settings)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (settings->fronts)
		return settings->fronts;
	if (cores < 1)
		return 1;
	return cores < FRONTS_DEFAULT_MAX ? (size_t)cores : FRONTS_DEFAULT_MAX;
}

static int open_listeners(struct daemon *d, struct error *err)
{
	CLEANUP(mem_freep) char *line = NULL;
	size_t count = front_count(&d->options.settings);
	int rc = listener_open(d->listeners, count, d->options.settings.listen, &d->bound, err);

	if (rc < 0)
		return rc;
	d->listener_count = count;
	/* Every front divides what all of them share by this. */
	d->options.settings.fronts = count;
	line = mem_printf("%s\n", d->bound.data);
	return io_write_file(d->folder.fd, "listen", span_of(line), 0644, err);
}

static int start_postgres(struct daemon *d, const char **url, struct error *err)
{
	int rc;

	*url = d->options.settings.database;
	if ((*url)[0]) {
		CLEANUP(mem_freep) char *line = mem_printf("%s\n", *url);

		rc = io_write_file(d->folder.fd, "owner.url", span_of(line), 0600, err);
		mem_wipe(line, strlen(line));
		return rc;
	}
	rc = postgres_start(&d->postgres, &d->loop, &d->folder, d->self, err);
	if (rc == 0) {
		*url = postgres_url(d->postgres);
		tell_step("database", "embedded PostgreSQL, Unix socket only", d);
	}
	return rc;
}

static void set_signals(struct daemon *d)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	for (size_t i = 0; i < ARRAY_LENGTH(d->signals); i++) {
		(void)uv_signal_init(&d->loop, &d->signals[i]);
		d->signals[i].data = d;
		(void)uv_signal_start(&d->signals[i], on_signal, numbers[i]);
	}
}

/* A database that has had a ring has to be given that one, so database_prepare() makes the first.
 */
static int open_key_ring(struct daemon *d, struct error *err)
{
	const char *setting = d->options.settings.key_ring;
	int rc;

	d->key_ring_path =
		setting[0] ? mem_strdup(setting) : mem_printf("%s/key-ring", d->folder.path);
	if (d->key_ring_path[0] != '/')
		return error_set(err, ERR_CONFIG, "setting 'key_ring': '%s' is no absolute path",
			d->key_ring_path);
	rc = key_ring_open(&d->key_ring, d->key_ring_path, err);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int start(struct daemon *d, struct error *err)
{
	const char *url;
	int rc;

	rc = data_folder_open(&d->folder, &d->options.settings, err);
	if (rc == 0)
		rc = find_programs(d, err);
	if (rc == 0)
		rc = open_key_ring(d, err);
	if (rc == 0)
		rc = open_listeners(d, err);
	if (rc == 0)
		rc = start_postgres(d, &url, err);
	if (rc == 0)
		rc = database_prepare(&d->urls, &d->key_ring,
			&(struct database_options){ .owner_url = url,
				.folder = &d->folder,
				.embedded = d->postgres != NULL,
				.key_ring_path = d->key_ring_path,
				.step = tell_step,
				.user = d },
			err);
	if (rc == 0 && d->options.settings.database_front[0])
		rc = database_front_by(&d->urls, d->options.settings.database_front, err);
	if (rc == 0)
		rc = start_database(d, err);
	if (rc == 0)
		rc = start_supervisor(d, err);
	if (rc == 0)
		tell_step("host", d->bound.data, d);
	return rc;
}

/* Nothing may be left behind: what was started is ended in the usual order. */
static void undo_start(struct daemon *d)
{
	ASSERT(!d->supervisor);
	if (d->listener)
		db_listen_close(d->listener, on_listener_closed, d);
	else if (d->pool)
		db_pool_close(d->pool, on_pool_closed, d);
	else if (d->postgres)
		postgres_close(d->postgres, on_postgres_closed, d);
	else
		close_signals(d);
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return;
	files.rlim_cur = files.rlim_max < OPEN_FILES ? files.rlim_max : OPEN_FILES;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

/* A host outlives the shell or the job that starts it: whatever else that had open is not held. */
static void close_inherited(int ready_fd)
{
	unsigned first = STDERR_FILENO + 1;

	if (ready_fd >= (int)first) {
		if (ready_fd > (int)first)
			(void)close_range(first, (unsigned)ready_fd - 1, 0);
		first = (unsigned)ready_fd + 1;
	}
	(void)close_range(first, ~0u, 0);
}

static int run(struct daemon *d)
{
	struct error err = { 0 };
	int rc;

	close_inherited(d->options.ready_fd);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	raise_limits();
	/* Keys and passwords stand in this memory: no core file, no reader under our uid. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	text_init(&d->bound);
	if (uv_loop_init(&d->loop) != 0)
		BUG("uv_loop_init");
	rc = start(d, &err);
	set_signals(d);
	if (rc < 0) {
		tell_failure(d, &err);
		d->code = error_entry(rc)->exit_code;
		undo_start(d);
	}
	(void)uv_run(&d->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&d->loop) != 0)
		log_error("handles are left at the end");
	database_urls_done(&d->urls);
	for (size_t i = 0; i < d->listener_count; i++)
		(void)close(d->listeners[i]);
	data_folder_close(&d->folder);
	key_ring_free(d->key_ring);
	mem_free(d->key_ring_path);
	text_done(&d->bound);
	mem_free(d->program);
	mem_free(d->self);
	if (rc == 0)
		log_info("stopped");
	return d->code;
}

int main(int argc, char **argv)
{
	struct daemon d = { .options = { .ready_fd = -1 } };
	struct error err = { 0 };
	int rc;

	if (argc > 1 && strcmp(argv[1], EXEC_AS_FLAG) == 0)
		return exec_as_main(argc - 2, argv + 2);
	log_init("mortised", LOG_LEVEL_INFO);
	rc = options_init(&d.options, argc, argv, &err);
	if (rc < 0) {
		tell_failure(&d, &err);
		return error_entry(rc)->exit_code;
	}
	if (d.options.help) {
		options_print_help(&d.options);
	} else if (d.options.version) {
		(void)printf("mortised %s\n", MORTISE_VERSION);
	} else {
		log_init("mortised", log_level_from(d.options.settings.log_level));
		rc = run(&d);
	}
	options_done(&d.options);
	return rc;
}
