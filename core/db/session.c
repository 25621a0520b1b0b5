#include "db/session.h"

#include <libpq-fe.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "db/target_priv.h"
#include "db/value_priv.h"

struct db_session {
	PGconn *pg;
	struct failure failure;
};

static void on_notice(void *user, const char *message)
{
	(void)user;
	log_debug("database notice", LOG_STR("text", message));
}

int db_session_open(
	struct db_session **out, const char *url, unsigned timeout_ms, struct error *err)
{
	CLEANUP(db_session_freep) struct db_session *s = mem_zalloc(sizeof(*s));
	CLEANUP(target_freep) struct target *target = NULL;
	char seconds[16];
	int rc;

	rc = target_new(&target, url, "mortise-setup", err);
	if (rc < 0)
		return rc;
	(void)snprintf(seconds, sizeof(seconds), "%u", (timeout_ms + 999) / 1000);
	target_set(target, "connect_timeout", seconds);
	s->pg = PQconnectdbParams(
		(const char *const *)target->keywords, (const char *const *)target->values, 0);
	if (PQstatus(s->pg) != CONNECTION_OK)
		return failure_of_connection(s->pg, "connect to the database", err);
	(void)PQsetNoticeProcessor(s->pg, on_notice, NULL);
	*out = TAKE(s);
	return 0;
}

void db_session_free(struct db_session *s)
{
	if (!s)
		return;
	PQfinish(s->pg);
	mem_free(s);
}

const char *db_session_detail(const struct db_session *s)
{
	return s->failure.detail;
}

static int check_result(
	struct db_session *s, const PGresult *r, const char *name, struct error *err)
{
	ExecStatusType status = PQresultStatus(r);

	s->failure = (struct failure){ 0 };
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
		return 0;
	if (PQstatus(s->pg) != CONNECTION_OK && !PQresultErrorField(r, PG_DIAG_SQLSTATE)) {
		failure_of_connection(s->pg, "the database connection is lost", err);
		if (err)
			err->code = ERR_UNKNOWN;
		return ERR_UNKNOWN;
	}
	failure_from_result(&s->failure, r, name);
	if (err)
		*err = s->failure.err;
	return s->failure.err.code;
}

int db_session_run(struct db_session *s, const char *script, struct error *err)
{
	PGresult *r = PQexec(s->pg, script);
	int rc = check_result(s, r, "script", err);

	PQclear(r);
	return rc;
}

int db_session_query(struct db_session *s, const char *sql, const struct db_param *params, size_t n,
	struct db_result *out, struct error *err)
{
	CLEANUP(mem_freep) void *memory = NULL;
	struct values v;
	PGresult *r;
	int rc;

	rc = values_check(params, n, err);
	if (rc < 0)
		return rc;
	memory = mem_alloc(values_size(params, n) + 1);
	values_write(&v, memory, params, n);
	r = PQexecParams(s->pg, sql, v.n, NULL, v.texts, v.lengths, v.formats, 1);
	rc = check_result(s, r, "setup", err);
	if (rc == 0 && out)
		*out = result_of(r);
	else
		PQclear(r);
	return rc;
}

void db_session_clear(struct db_result *result)
{
	PQclear(result->data);
	*result = (struct db_result){ .detail = "" };
}

int db_session_set_password(
	struct db_session *s, const char *role, const char *password, struct error *err)
{
	char *verifier, *name, *literal, *sql;
	int rc;

	verifier = PQencryptPasswordConn(s->pg, password, role, "scram-sha-256");
	if (!verifier)
		return failure_of_connection(s->pg, "make a password verifier", err);
	name = PQescapeIdentifier(s->pg, role, strlen(role));
	literal = PQescapeLiteral(s->pg, verifier, strlen(verifier));
	PQfreemem(verifier);
	if (!name || !literal) {
		PQfreemem(name);
		PQfreemem(literal);
		return failure_of_connection(s->pg, "quote a role's name", err);
	}
	sql = mem_printf("ALTER ROLE %s PASSWORD %s", name, literal);
	PQfreemem(name);
	PQfreemem(literal);
	rc = db_session_run(s, sql, err);
	mem_free(sql);
	return rc < 0 && err ? error_wrap(err, "set the password of role '%s'", role) : rc;
}
