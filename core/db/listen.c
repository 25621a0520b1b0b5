#include "db/listen.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/conn_priv.h"
#include "db/target_priv.h"
#include "db/value_priv.h"

struct db_listener {
	struct conn conn;
	struct target *target;
	struct db_listen_options options;
	bool listening;
	bool closing;
	void (*closed)(void *user);
	void *closed_user;
};

static char *listen_script(const struct db_listener *l)
{
	struct text script;
	char *taken;

	text_init(&script);
	for (const char *const *channel = l->options.channels; *channel; channel++) {
		char *name = PQescapeIdentifier(l->conn.pg, *channel, strlen(*channel));

		ASSERT(name);
		text_printf(&script, "LISTEN %s;", name);
		PQfreemem(name);
	}
	taken = text_take(&script);
	text_done(&script);
	return taken;
}

static void on_opened(struct conn *c)
{
	struct db_listener *l = c->user;
	char *script = listen_script(l);

	l->listening = false;
	if (PQsendQuery(c->pg, script) != 1)
		conn_lose_broken(c);
	mem_free(script);
}

static void take_listen_results(struct db_listener *l)
{
	struct failure failure;
	PGresult *r;

	while (!l->listening && l->conn.state == CONN_OPEN && !PQisBusy(l->conn.pg)) {
		r = PQgetResult(l->conn.pg);
		if (!r) {
			l->listening = true;
			if (l->options.state)
				l->options.state(true, NULL, l->options.user);
		} else if (PQresultStatus(r) != PGRES_COMMAND_OK) {
			failure_from_result(&failure, r, "listen");
			conn_lose(&l->conn, &failure.err);
		}
		PQclear(r);
	}
}

static void on_input(struct conn *c)
{
	struct db_listener *l = c->user;
	PGnotify *n;

	take_listen_results(l);
	while (c->state == CONN_OPEN && l->listening) {
		n = PQnotifies(c->pg);
		if (!n)
			return;
		l->options.notify(span_of(n->relname), span_of(n->extra), l->options.user);
		PQfreemem(n);
	}
}

static void on_lost(struct conn *c, const struct error *reason)
{
	struct db_listener *l = c->user;

	l->listening = false;
	if (l->options.state)
		l->options.state(false, reason, l->options.user);
}

static void on_closed(struct conn *c)
{
	struct db_listener *l = c->user;
	void (*closed)(void *user) = l->closed;
	void *user = l->closed_user;

	target_free(l->target);
	mem_free(l);
	closed(user);
}

static const struct conn_use listen_use = { on_opened, on_input, on_lost, on_closed };

int db_listen_start(struct db_listener **out, struct uv_loop_s *loop,
	const struct db_listen_options *options, struct error *err)
{
	struct db_listener *l = mem_zalloc(sizeof(*l));
	int rc;

	rc = target_new(&l->target, options->url, options->application, err);
	if (rc < 0) {
		mem_free(l);
		return rc;
	}
	l->options = *options;
	l->options.url = NULL;
	conn_start(&l->conn, loop, l->target, &listen_use, l);
	*out = l;
	return 0;
}

void db_listen_close(struct db_listener *l, void (*closed)(void *user), void *user)
{
	ASSERT(!l->closing);
	l->closing = true;
	l->closed = closed;
	l->closed_user = user;
	conn_close(&l->conn);
}
