/* mortise-worker - the process that holds one plugin
 *
 * Descriptors: 3 the control channel to its supervisor, 4 its listening socket, 5 the black box,
 * 1 and 2 the log pipe. It begins with the supervisor's rights and drops them as START says, before
 * anything of the plugin is mapped. It ends by _exit(): destructors of a plugin that left threads
 * behind would crash in them.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/protocol.h"
#include "host/host.h"

/* A supervisor that stopped beating is dead or stopped; the next one starts us anew. */
#define SUPERVISOR_SILENCE_MS 60000
#define FAILED_START_STOP_MS  2000
#define ACCEPTS_A_TURN        16
#define ACCEPT_PAUSE_MS       200

struct worker {
	uv_loop_t loop;
	pid_t supervisor;
	struct channel *control;
	uv_poll_t listener;
	uv_timer_t listen_again;
	struct black_box *box;
	struct host *host; /* NULL before START */
	bool loaded, started, draining;
	int exit_code; /* once the control channel has closed by our own will */
	struct protocol_memory memory;
};

static struct worker *forked_worker; /* for the child of a fork(); set once */

/* Before the loop: nobody but the log pipe to tell. */
static void die(const char *what)
{
	log_error(what, LOG_STR("reason", strerror(errno)));
	_exit(EXIT_FAILURE);
}

/* A parent that died before the signal was asked for is not announced by it. */
static void die_with_supervisor(const struct worker *w)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		die("prctl");
	if (w->supervisor > 0 && getppid() != w->supervisor)
		_exit(EXIT_FAILURE);
}

/* The end of the plugin's process must be seen as such, though a child it forked lives on. */
static void on_fork_child(void)
{
	(void)close(PROTOCOL_FD_CONTROL);
	(void)close(PROTOCOL_FD_LISTENER);
	if (forked_worker->host)
		host_forked(forked_worker->host);
}

static void prepare_process(struct worker *w)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(PROTOCOL_FD_CONTROL, SOL_SOCKET, SO_PEERCRED, &peer, &size) == -1)
		die("no control channel");
	w->supervisor = peer.pid;
	die_with_supervisor(w);
	(void)umask(077);
	(void)setsid(); /* fails where the supervisor has done it */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		die("prctl");
	if (close_range(PROTOCOL_FD_BLACK_BOX + 1, ~0u, 0) == -1)
		die("close_range");
	if (fcntl(PROTOCOL_FD_CONTROL, F_SETFD, FD_CLOEXEC) == -1 ||
		fcntl(PROTOCOL_FD_LISTENER, F_SETFD, FD_CLOEXEC) == -1 ||
		fcntl(PROTOCOL_FD_LISTENER, F_SETFL, O_NONBLOCK) == -1)
		die("no listening socket");
	w->box = mmap(
		NULL, BLACK_BOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, PROTOCOL_FD_BLACK_BOX, 0);
	if (w->box == MAP_FAILED)
		die("no black box");
	(void)close(PROTOCOL_FD_BLACK_BOX);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (pthread_atfork(NULL, NULL, on_fork_child) != 0)
		die("pthread_atfork");
}

/* ---- what the host tells ---- */

static bool on_log(void *user, const struct worker_log *line)
{
	struct worker *w = user;

	return channel_writable(w->control) && send_worker_log(w->control, 0, line) == 0;
}

static bool on_metrics(void *user, const struct worker_metrics *metrics)
{
	struct worker *w = user;

	return channel_writable(w->control) && send_worker_metrics(w->control, 0, metrics) == 0;
}

static void on_health(void *user, uint64_t ask, uint32_t status, struct span detail)
{
	struct worker *w = user;
	struct worker_health health = { status, detail };

	(void)send_worker_health(w->control, ask, &health);
}

static void on_drained(void *user)
{
	struct worker *w = user;

	(void)protocol_send_signal(w->control, PROTOCOL_WORKER_DRAINED, 0);
}

static void on_stopped(void *user, const struct worker_stopped *report)
{
	struct worker *w = user;

	(void)send_worker_stopped(w->control, 0, report);
	channel_close(w->control);
}

static void on_host_closed(void *user)
{
	(void)user;
}

static const struct host_events host_events = { on_log, on_metrics, on_health, on_drained,
	on_stopped, on_host_closed };

/* ---- START ---- */

static int limit(int resource, uint64_t value, const char *what, struct error *err)
{
	struct rlimit now;

	if (value == 0)
		return 0;
	if (getrlimit(resource, &now) == -1)
		return error_set_errno(err, errno, "getrlimit %s", what);
	if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
		value = now.rlim_max;
	if (setrlimit(resource, &(struct rlimit){ value, value }) == -1)
		return error_set_errno(err, errno, "setrlimit %s", what);
	return 0;
}

static int set_limits(const struct worker_start *start, struct error *err)
{
	int rc;

	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) == -1)
		return error_set_errno(err, errno, "setrlimit core");
	rc = limit(RLIMIT_NOFILE, start->limit_files, "files", err);
	if (rc == 0)
		rc = limit(RLIMIT_NPROC, start->limit_processes, "processes", err);
	if (rc == 0)
		rc = limit(RLIMIT_FSIZE, start->limit_file_bytes, "file size", err);
	return rc;
}

static int drop_rights(struct worker *w, const struct worker_start *start, struct error *err)
{
	if (!start->drop_rights)
		return 0;
	if (start->uid == 0 || start->gid == 0)
		return error_set(err, ERR_INVALID, "a worker does not run as root");
	if (setgroups(0, NULL) == -1 || setresgid(start->gid, start->gid, start->gid) == -1 ||
		setresuid(start->uid, start->uid, start->uid) == -1)
		return error_set_errno(err, errno, "become user %u", start->uid);
	/* The kernel forgets the signal when the user changes. */
	die_with_supervisor(w);
	return 0;
}

static int confine(struct worker *w, const struct worker_start *start, struct error *err)
{
	CLEANUP(mem_freep)
	char *folder = mem_printf("%.*s", SPAN_ARG(start->folder.len ? start->folder : SPAN("/")));
	int rc = set_limits(start, err);

	if (rc == 0)
		rc = drop_rights(w, start, err);
	if (rc == 0 && chdir(folder) == -1)
		rc = error_set_errno(err, errno, "enter '%s'", folder);
	return rc;
}

static void on_listener(uv_poll_t *poll, int status, int events);

static void on_listen_again(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	(void)uv_poll_start(&w->listener, UV_READABLE, on_listener);
}

/* A plugin that used up the descriptors must not make the loop spin on fronts that wait. */
static void pause_listening(struct worker *w)
{
	(void)uv_poll_stop(&w->listener);
	(void)uv_timer_start(&w->listen_again, on_listen_again, ACCEPT_PAUSE_MS, 0);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct worker *w = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(PROTOCOL_FD_LISTENER, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct error err;

		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
				pause_listening(w);
			return;
		}
		if (host_serve(w->host, fd, &err) < 0)
			log_warn("front not served", LOG_ERR(&err));
	}
}

static int listen_to_fronts(struct worker *w, struct error *err)
{
	int rc = uv_poll_init(&w->loop, &w->listener, PROTOCOL_FD_LISTENER);

	if (rc == 0)
		rc = uv_timer_init(&w->loop, &w->listen_again);
	if (rc == 0) {
		w->listener.data = w->listen_again.data = w;
		rc = uv_poll_start(&w->listener, UV_READABLE, on_listener);
	}
	return rc == 0 ? 0 : error_set(err, ERR_SYSTEM, "listen: %s", uv_strerror(rc));
}

/* Answer with the outcome; a worker whose plugin did not load has nothing more to do. */
static void tell_loaded(struct worker *w, int rc, const struct error *err)
{
	struct worker_loaded loaded = { rc, rc ? span_of(err->text) : SPAN("") };

	(void)send_worker_loaded(w->control, 0, &loaded);
	if (rc == 0)
		return;
	w->exit_code = EXIT_FAILURE;
	channel_close(w->control);
}

static void on_start(struct worker *w, struct span payload)
{
	struct worker_start start;
	struct error err;
	int rc;

	if (w->host || decode_worker_start(&start, payload, &w->memory, &err) < 0) {
		channel_fail(w->control, ERR_PROTOCOL, "START is malformed or came twice");
		return;
	}
	rc = confine(w, &start, &err);
	if (rc == 0) {
		w->host = host_new(&w->loop, &start, w->box, &host_events, w);
		rc = host_load(w->host, &err);
	}
	if (rc == 0)
		rc = listen_to_fronts(w, &err);
	w->loaded = rc == 0;
	tell_loaded(w, rc, &err);
}

/* ---- the other messages ---- */

static void on_go(struct worker *w)
{
	struct worker_started started = { 0 };
	struct error err;

	w->started = true;
	started.rc = host_start(w->host, &err);
	if (started.rc < 0)
		started.text = span_of(err.text);
	else
		started.routes.count = host_routes(w->host, &started.routes.items);
	(void)send_worker_started(w->control, 0, &started);
	if (started.rc < 0) {
		w->exit_code = EXIT_FAILURE;
		host_stop(w->host, FAILED_START_STOP_MS);
	}
}

static void on_configure(struct worker *w, uint64_t id, struct span payload)
{
	struct worker_configure configure;
	struct worker_configured answer = { 0 };
	struct error err;

	answer.rc = decode_worker_configure(&configure, payload, &w->memory, &err);
	if (answer.rc == 0)
		answer.rc = host_configure(w->host, configure.config, &err);
	if (answer.rc < 0)
		answer.text = span_of(err.text);
	(void)send_worker_configured(w->control, id, &answer);
}

static void on_health_ask(struct worker *w, uint64_t id, struct span payload)
{
	struct worker_health_ask ask;

	if (decode_worker_health_ask(&ask, payload, &w->memory, NULL) == 0)
		host_probe(w->host, id, ask.timeout_ms);
}

static void on_drain(struct worker *w, struct span payload)
{
	struct worker_drain drain;

	if (w->draining || decode_worker_drain(&drain, payload, &w->memory, NULL) < 0)
		return;
	w->draining = true;
	/* One that never served has nothing open. */
	if (host_serving(w->host))
		host_drain(w->host, drain.deadline_ms);
	else
		on_drained(w);
}

static void on_stop(struct worker *w, struct span payload)
{
	struct worker_stop stop;

	if (decode_worker_stop(&stop, payload, &w->memory, NULL) == 0)
		host_stop(w->host, stop.deadline_ms);
}

static void on_message(void *user, struct channel_message *m)
{
	struct worker *w = user;

	if (m->type == PROTOCOL_WORKER_START) {
		on_start(w, m->payload);
		return;
	}
	if (!w->loaded || (m->type == PROTOCOL_WORKER_GO && w->started)) {
		channel_fail(w->control, ERR_PROTOCOL, "a message before its time");
		return;
	}
	if (m->type == PROTOCOL_WORKER_GO)
		on_go(w);
	else if (m->type == PROTOCOL_WORKER_HEALTH_ASK)
		on_health_ask(w, m->id, m->payload);
	else if (m->type == PROTOCOL_WORKER_CONFIGURE)
		on_configure(w, m->id, m->payload);
	else if (m->type == PROTOCOL_WORKER_DRAIN)
		on_drain(w, m->payload);
	else if (m->type == PROTOCOL_WORKER_STOP)
		on_stop(w, m->payload);
}

/* Without a supervisor there is nothing to live for, whatever the plugin is doing. */
static void on_close(void *user, int rc, const char *text)
{
	struct worker *w = user;

	if (rc != 0 && rc != ERR_CLOSED)
		(void)fprintf(stderr, "control channel: %s\n", text);
	(void)fflush(stdout);
	_exit(rc == 0 ? w->exit_code : EXIT_FAILURE);
}

static const struct channel_events control_events = { NULL, on_message, NULL, on_close };

int main(void)
{
	struct worker *w = mem_zalloc(sizeof(*w)); /* for the life of the process */
	struct channel_config config = {
		.peer = "supervisor",
		.events = &control_events,
		.user = w,
		.limit = protocol_limit,
		.link = PROTOCOL_LINK_SUPERVISOR_TO_WORKER,
		.control = true,
		.silence_ms = SUPERVISOR_SILENCE_MS,
	};
	struct error err;

	log_init("mortise-worker", LOG_LEVEL_INFO);
	forked_worker = w;
	prepare_process(w);
	protocol_memory_init(&w->memory);
	if (uv_loop_init(&w->loop) != 0)
		die("uv_loop_init");
	if (channel_start(&w->control, &w->loop, PROTOCOL_FD_CONTROL, &config, &err) < 0) {
		log_error("control channel", LOG_ERR(&err));
		return EXIT_FAILURE;
	}
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	return EXIT_FAILURE; /* the end of the control channel ends the process earlier */
}
