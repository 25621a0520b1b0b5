#include "daemon/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/text.h"
#include "codec/random.h"
#include "daemon/data_folder.h"
#include "db/session.h"
#include "supervise/backoff.h"
#include "supervise/lines.h"
#include "supervise/plugin_log.h"
#include "supervise/process.h"

/* The cluster is initialised as DATA/pg.new and renamed, so DATA/pg is whole or not there. Its
 * superuser `postgres` makes the owner, a role without superuser rights, and its database; both
 * URLs are files that only we may read. Configuration is the command line: nothing of it can be
 * left over from an older version. */
#define POSTGRES_MAGIC  0x67706d72u
#define PASSWORD_DIGITS 32
#define ALPHABET        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define OWNER           "mortise_owner"
#define DATABASE        "mortise"
#define SUPERUSER_FILE  "superuser.url"
#define OWNER_FILE      "owner.url"
#define URL_MAX         4096
#define START_MS        120000 /* crash recovery may take a while */
#define OLD_SERVER_MS   20000
#define LOOK_MS         100
#define CONNECT_MS      2000
#define RESTART_WINDOW  60000
#define RESTART_MAX_MS  5000
#define FAST_MS         20000 /* a fast shutdown writes a checkpoint */
#define LOG_BYTES       (16u << 20)
#define TAIL_MAX        600 /* of its last words, for the error */

struct postgres {
	uint32_t magic;
	struct uv_loop_s *loop;
	const struct data_folder *folder;
	char *shim;
	char *program; /* postgres */
	char *cluster; /* DATA/pg */
	char *url;
	struct process *process; /* NULL: does not run */
	struct lines *lines;
	struct plugin_log *log;
	struct text tail;
	struct backoff backoff;
	uint64_t started_ns;
	uv_timer_t timer; /* of a restart, or of patience with a shutdown */
	bool closing;
	postgres_closed_cb closed;
	void *user;
};

static void on_line(void *user, struct span line)
{
	struct postgres *p = user;

	plugin_log_write(
		p->log, &(struct plugin_log_line){
				.level = LOG_LEVEL_INFO, .source = "postgres", .message = line });
	if (p->tail.len > TAIL_MAX)
		text_consume(&p->tail, p->tail.len - TAIL_MAX);
	text_append_utf8(&p->tail, line);
	text_append_string(&p->tail, "; ");
}

static void on_exited(void *user, const struct process_exit *exit);

/* Start program as the database user, its output into our log. */
static int launch(struct postgres *p, const char *program, const char *const *argv,
	process_exit_cb on_exit, struct error *err)
{
	const struct process_rights rights = { .shim = p->shim,
		.change = p->folder->root,
		.uid = p->folder->database_uid,
		.gid = p->folder->database_gid,
		/* Immediate: no server without its host, and the next start recovers. */
		.death_signal = SIGQUIT };
	struct process_fd fds[2];
	struct process_options options = { .path = program,
		.argv = argv,
		.rights = &rights,
		.fds = fds,
		.fd_count = ARRAY_LENGTH(fds) };
	int writer, rc;

	rc = lines_start(&p->lines, p->loop, on_line, p, &writer, err);
	if (rc < 0)
		return rc;
	fds[0] = (struct process_fd){ writer, 1 };
	fds[1] = (struct process_fd){ writer, 2 };
	rc = process_start(&p->process, p->loop, &options, on_exit, p, err);
	(void)close(writer);
	if (rc < 0) {
		lines_close(p->lines, NULL);
		p->lines = NULL;
		return rc;
	}
	p->started_ns = clock_ns();
	return 0;
}

static void on_initdb_exit(void *user, const struct process_exit *exit)
{
	struct postgres *p = user;

	p->process = NULL;
	lines_close(p->lines, NULL);
	p->lines = NULL;
	if (exit->code != 0)
		process_exit_text(exit, &p->tail);
	else
		text_clear(&p->tail);
}

static int run_initdb(struct postgres *p, const char *program, const char *folder,
	const char *password_file, struct error *err)
{
	/* PostgreSQL finds its own files by argv[0]. C.UTF-8 orders bytewise as C does, but
	 * PostgreSQL 15 does not know that and asks libc for each comparison. */
	const char *argv[] = { program, "-D", folder, "-U", "postgres", "-A", "scram-sha-256",
		"--pwfile", password_file, "--encoding=UTF8", "--locale=C.UTF-8", "--lc-collate=C",
		NULL };
	int rc = launch(p, program, argv, on_initdb_exit, err);

	if (rc < 0)
		return rc;
	while (p->process)
		(void)uv_run(p->loop, UV_RUN_ONCE);
	if (p->tail.len > 0)
		return error_set(err, ERR_POSTGRES, "initdb: %s", p->tail.data);
	return 0;
}

static void make_password(char out[static PASSWORD_DIGITS + 1])
{
	random_text(out, PASSWORD_DIGITS, ALPHABET);
}

/* "postgresql://user:password@/database?host=RUN/db"; the folder's path needs no escape but those
 * of a URL's query. */
static char *make_url(const struct data_folder *folder, const char *user, const char *password,
	const char *database)
{
	struct text url;
	char *out;

	text_init(&url);
	text_printf(&url, "postgresql://%s:%s@/%s?host=", user, password, database);
	for (const char *c = folder->run; *c; c++)
		if (strchr("%&=+#? ", *c))
			text_printf(&url, "%%%02X", (unsigned char)*c);
		else
			text_append_char(&url, *c);
	text_append_string(&url, "/db");
	out = text_take(&url);
	text_done(&url);
	return out;
}

static int write_secret(
	const struct data_folder *folder, const char *name, const char *text, struct error *err)
{
	CLEANUP(mem_freep) char *line = mem_printf("%s\n", text);
	int rc = io_write_file(folder->fd, name, span_of(line), 0600, err);

	mem_wipe(line, strlen(line));
	return rc;
}

static int read_secret(
	const struct data_folder *folder, const char *name, char **out, struct error *err)
{
	struct text text;
	int rc;

	text_init(&text);
	rc = io_read_file(folder->fd, name, URL_MAX, &text, err);
	if (rc == 0) {
		text.data[strcspn(text.data, "\n")] = '\0';
		*out = mem_strdup(text.data);
	}
	mem_wipe(text.data, text.len);
	text_done(&text);
	return rc;
}

/* The file that initdb reads the superuser's password from, in a folder only the database user may
 * read. */
static int write_password_file(
	struct postgres *p, const char *path, const char *password, struct error *err)
{
	int rc = io_write_file(AT_FDCWD, path, span_of(password), 0600, err);

	if (rc == 0 && p->folder->root &&
		chown(path, p->folder->database_uid, p->folder->database_gid) == -1)
		return error_set_errno(err, errno, "chown '%s'", path);
	return rc;
}

static int make_cluster(struct postgres *p, struct error *err)
{
	CLEANUP(mem_freep) char *building = mem_printf("%s.new", p->cluster);
	CLEANUP(mem_freep) char *file = mem_printf("%s/db/password", p->folder->run);
	CLEANUP(mem_freep) char *program = NULL;
	CLEANUP(mem_freep) char *url = NULL;
	char password[PASSWORD_DIGITS + 1];
	int rc;

	if (access(p->cluster, F_OK) == 0)
		return 0;
	rc = paths_postgres(&program, "initdb", err);
	if (rc == 0)
		rc = io_remove_tree(AT_FDCWD, building, err);
	if (rc < 0)
		return rc;
	if (mkdir(building, 0700) == -1 ||
		(p->folder->root &&
			chown(building, p->folder->database_uid, p->folder->database_gid) == -1))
		return error_set_errno(err, errno, "make folder '%s'", building);
	make_password(password);
	url = make_url(p->folder, "postgres", password, "postgres");
	rc = write_secret(p->folder, SUPERUSER_FILE, url, err);
	if (rc == 0)
		rc = write_password_file(p, file, password, err);
	if (rc == 0)
		rc = run_initdb(p, program, building, file, err);
	(void)unlink(file);
	mem_wipe(password, sizeof(password));
	mem_wipe(url, strlen(url));
	if (rc == 0 && rename(building, p->cluster) == -1)
		rc = error_set_errno(err, errno, "rename to '%s'", p->cluster);
	return rc < 0 ? rc : io_fsync(p->folder->fd, p->folder->path, err);
}

/* A cluster is run by the major version that made it, even when a newer one is installed. */
static int find_program(struct postgres *p, struct error *err)
{
	struct text version;
	int rc;

	text_init(&version);
	rc = io_read_file(p->folder->fd, "pg/PG_VERSION", 32, &version, err);
	if (rc == 0) {
		CLEANUP(mem_freep)
		char *path = mem_printf("/usr/lib/postgresql/%.*s/bin/postgres",
			(int)strcspn(version.data, "\n"), version.data);

		if (access(path, X_OK) == 0)
			p->program = TAKE(path);
		else
			rc = paths_postgres(&p->program, "postgres", err);
	}
	text_done(&version);
	return rc;
}

/* The server of an earlier life that did not hear of its host's death yet; the lock of the data
 * folder says that it is nobody else's. */
static pid_t old_server(struct postgres *p)
{
	char link[64], folder[PATH_MAX];
	struct text text;
	uint64_t pid = 0;
	ssize_t len;

	text_init(&text);
	if (io_read_file(p->folder->fd, "pg/postmaster.pid", 4096, &text, NULL) == 0)
		(void)span_u64(
			(struct span){ text.data, strcspn(text.data, "\n") }, INT32_MAX, &pid);
	text_done(&text);
	if (pid == 0)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	len = readlink(link, folder, sizeof(folder) - 1);
	if (len == -1)
		return errno == ENOENT ? -1 : (pid_t)pid;
	folder[len] = '\0';
	/* Another process has the number now: the file is stale. */
	return strcmp(folder, p->cluster) == 0 ? (pid_t)pid : -1;
}

/* Wait until that process ends; false: it does not. */
static bool await_end(int pidfd, int timeout_ms)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int rc;

	do
		rc = poll(&end, 1, timeout_ms);
	while (rc == -1 && errno == EINTR);
	return rc == 1;
}

static int await_old_server(struct postgres *p, struct error *err)
{
	pid_t pid = old_server(p);

	if (pid > 0) {
		CLEANUP(io_closep) int pidfd = pidfd_open(pid, 0);

		log_warn("the last host's PostgreSQL still runs, stopping it", LOG_INT("pid", pid));
		if (pidfd == -1 && errno != ESRCH)
			return error_set_errno(err, errno, "watch process %d", (int)pid);
		/* The descriptor first, then the look again: the number may be another's by now. */
		if (pidfd != -1 && old_server(p) == pid) {
			(void)pidfd_send_signal(pidfd, SIGQUIT, NULL, 0);
			if (!await_end(pidfd, OLD_SERVER_MS))
				return error_set(err, ERR_POSTGRES,
					"the last host's PostgreSQL (pid %d) does not end",
					(int)pid);
		}
	}
	if (pid != 0)
		(void)unlinkat(p->folder->fd, "pg/postmaster.pid", 0);
	return 0;
}

static int run_server(struct postgres *p, struct error *err)
{
	CLEANUP(mem_freep)
	char *sockets = mem_printf("unix_socket_directories=%s/db", p->folder->run);
	const char *argv[] = { p->program, "-D", p->cluster, "-c", sockets, "-c",
		"listen_addresses=", "-c",
		/* Its folder lets in whom it shall. */
		"unix_socket_permissions=0777", "-c", "password_encryption=scram-sha-256", "-c",
		"autovacuum=on", "-c", "autovacuum_max_workers=4", "-c", "autovacuum_naptime=30s",
		"-c", "shared_preload_libraries=pg_stat_statements", "-c", "logging_collector=off",
		"-c", "log_destination=stderr",
		/* A failed statement's parameters may hold what no log may. */
		"-c", "log_parameter_max_length_on_error=0", "-c", "log_min_error_statement=panic",
		"-c", "jit=off", "-c", "cluster_name=mortise", NULL };

	return launch(p, p->program, argv, on_exited, err);
}

static void on_restart(uv_timer_t *timer)
{
	struct postgres *p = CONTAINER_OF(timer, struct postgres, timer);
	struct error err = { 0 };
	uint64_t wait;

	ASSERT(p->magic == POSTGRES_MAGIC && !p->process);
	if (run_server(p, &err) == 0)
		return;
	log_error("PostgreSQL not started", LOG_ERR(&err));
	wait = backoff_next(&p->backoff, 0);
	(void)uv_timer_start(&p->timer, on_restart, wait, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct postgres *p = CONTAINER_OF(handle, struct postgres, timer);

	p->magic = 0;
	if (p->closed)
		p->closed(p->user);
	plugin_log_close(p->log);
	text_done(&p->tail);
	mem_free(p->shim);
	mem_free(p->program);
	mem_free(p->cluster);
	if (p->url)
		mem_wipe(p->url, strlen(p->url));
	mem_free(p->url);
	mem_free(p);
}

static void finish(struct postgres *p)
{
	if (!uv_is_closing((uv_handle_t *)&p->timer))
		uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

static void on_exited(void *user, const struct process_exit *exit)
{
	struct postgres *p = user;
	struct text how;
	uint64_t wait;

	ASSERT(p->magic == POSTGRES_MAGIC);
	p->process = NULL;
	lines_close(p->lines, NULL);
	p->lines = NULL;
	if (p->closing) {
		finish(p);
		return;
	}
	text_init(&how);
	process_exit_text(exit, &how);
	/* Before it was ever ready, postgres_start() reports it and decides. */
	if (p->url) {
		wait = backoff_next(&p->backoff, (clock_ns() - p->started_ns) / CLOCK_NS_PER_MS);
		log_error("PostgreSQL ended, starting it again", LOG_STR("how", how.data),
			LOG_INT("wait_ms", wait));
		(void)uv_timer_start(&p->timer, on_restart, wait, 0);
	}
	text_done(&how);
}

static void on_look(uv_timer_t *timer)
{
	(void)timer;
}

/* Wait until a login succeeds; *session is the caller's. Its log lines turn the loop, the last of
 * them when it is ready; the timer does for a line that is lost. */
static int await_answer(
	struct postgres *p, const char *url, struct db_session **session, struct error *err)
{
	uint64_t until = clock_ns() + START_MS * CLOCK_NS_PER_MS;
	struct error last = { 0 };
	int rc;

	(void)uv_timer_start(&p->timer, on_look, LOOK_MS, LOOK_MS);
	do {
		rc = db_session_open(session, url, CONNECT_MS, &last);
		if (rc == 0)
			break;
		(void)uv_run(p->loop, UV_RUN_ONCE);
	} while (p->process && clock_ns() < until);
	(void)uv_timer_stop(&p->timer);
	if (rc == 0)
		return 0;
	if (!p->process)
		return error_set(err, ERR_POSTGRES, "it ended while starting: %s", p->tail.data);
	return error_set(
		err, ERR_POSTGRES, "no answer within %d s: %s", START_MS / 1000, last.text);
}

static int query_exists(
	struct db_session *s, const char *sql, const char *name, bool *exists, struct error *err)
{
	const struct db_param params[] = { DB_STR(name) };
	struct db_result result;
	int rc = db_session_query(s, sql, params, 1, &result, err);

	if (rc < 0)
		return rc;
	*exists = result.rows > 0;
	db_session_clear(&result);
	return 0;
}

/* pg_stat_statements is not a trusted extension: only a superuser can make it. */
static int make_extension(const char *superuser, struct error *err)
{
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	CLEANUP(mem_freep) char *url = mem_strdup(superuser);
	char *database = strstr(url, "@/postgres?");
	CLEANUP(mem_freep) char *target = NULL;
	int rc;

	if (!database)
		return error_set(err, ERR_POSTGRES, "DATA/" SUPERUSER_FILE " is damaged");
	*database = '\0';
	target = mem_printf("%s@/" DATABASE "?%s", url, database + strlen("@/postgres?"));
	rc = db_session_open(&s, target, CONNECT_MS, err);
	if (rc == 0)
		rc = db_session_run(s, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements", err);
	mem_wipe(url, strlen(url));
	mem_wipe(target, strlen(target));
	return rc;
}

/* What the superuser does once; every step also holds when an earlier life did it, and the
 * owner's file comes last. */
static int make_owner(
	struct postgres *p, struct db_session *s, const char *superuser, struct error *err)
{
	char password[PASSWORD_DIGITS + 1];
	bool exists;
	int rc;

	rc = query_exists(s, "SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER, &exists, err);
	if (rc == 0 && !exists)
		rc = db_session_run(s, "CREATE ROLE " OWNER " LOGIN CREATEROLE", err);
	make_password(password);
	if (rc == 0)
		rc = db_session_set_password(s, OWNER, password, err);
	if (rc == 0)
		rc = query_exists(
			s, "SELECT 1 FROM pg_database WHERE datname = $1", DATABASE, &exists, err);
	if (rc == 0 && !exists)
		rc = db_session_run(s, "CREATE DATABASE " DATABASE " OWNER " OWNER, err);
	if (rc == 0)
		rc = make_extension(superuser, err);
	if (rc == 0) {
		CLEANUP(mem_freep) char *url = make_url(p->folder, OWNER, password, DATABASE);

		rc = write_secret(p->folder, OWNER_FILE, url, err);
		mem_wipe(url, strlen(url));
	}
	mem_wipe(password, sizeof(password));
	return rc;
}

static int prepare(struct postgres *p, struct error *err)
{
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	CLEANUP(mem_freep) char *superuser = NULL;
	CLEANUP(mem_freep) char *owner = NULL;
	int rc = read_secret(p->folder, SUPERUSER_FILE, &superuser, err);

	if (rc < 0)
		return rc;
	rc = await_answer(p, superuser, &s, err);
	if (rc < 0)
		return rc;
	rc = read_secret(p->folder, OWNER_FILE, &owner, NULL);
	if (rc == ERR_NOT_FOUND) {
		rc = make_owner(p, s, superuser, err);
		if (rc == 0)
			rc = read_secret(p->folder, OWNER_FILE, &owner, err);
	}
	mem_wipe(superuser, strlen(superuser));
	if (rc < 0)
		return rc;
	p->url = TAKE(owner);
	return 0;
}

static void on_gone(void *user)
{
	*(bool *)user = true;
}

int postgres_start(struct postgres **out, struct uv_loop_s *loop, const struct data_folder *folder,
	const char *shim, struct error *err)
{
	struct postgres *p = mem_zalloc(sizeof(*p));
	int rc;

	p->magic = POSTGRES_MAGIC;
	p->loop = loop;
	p->folder = folder;
	p->shim = mem_strdup(shim);
	p->cluster = mem_printf("%s/pg", folder->path);
	text_init(&p->tail);
	p->log = plugin_log_start(loop, folder->logs_fd, "postgresql", LOG_BYTES);
	(void)uv_timer_init(loop, &p->timer);
	backoff_init(&p->backoff, RESTART_WINDOW, RESTART_MAX_MS, 0);
	rc = make_cluster(p, err);
	if (rc == 0)
		rc = find_program(p, err);
	if (rc == 0)
		rc = await_old_server(p, err);
	if (rc == 0)
		rc = run_server(p, err);
	if (rc == 0)
		rc = prepare(p, err);
	if (rc < 0) {
		bool gone = false;

		(void)error_wrap(err, "embedded PostgreSQL");
		postgres_close(p, on_gone, &gone);
		while (!gone)
			(void)uv_run(loop, UV_RUN_ONCE);
		return rc;
	}
	*out = p;
	return 0;
}

const char *postgres_url(const struct postgres *p)
{
	return p->url;
}

static void on_patience_over(uv_timer_t *timer)
{
	struct postgres *p = CONTAINER_OF(timer, struct postgres, timer);

	if (p->process)
		process_kill(p->process, SIGQUIT);
}

void postgres_close(struct postgres *p, postgres_closed_cb closed, void *user)
{
	ASSERT(p->magic == POSTGRES_MAGIC);
	if (p->closing) {
		on_patience_over(&p->timer);
		return;
	}
	p->closing = true;
	p->closed = closed;
	p->user = user;
	if (!p->process) {
		finish(p);
		return;
	}
	process_kill(p->process, SIGINT);
	(void)uv_timer_start(&p->timer, on_patience_over, FAST_MS, 0);
}
