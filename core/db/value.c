/* Results come in binary form: integers in network order, timestamptz as microseconds since 2000,
 * jsonb with a version byte before its text, arrays as (dimensions, has-null, element type,
 * {size, lower bound}..., {length, bytes}...). Type numbers below 16384 are fixed by PostgreSQL's
 * catalog; from there on they are the database's own, which for us are enums. */
#include "db/value.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "db/value_priv.h"

#define EPOCH_2000_US     INT64_C(946684800000000)
#define FIRST_OWN_TYPE    16384
#define JSONB_VERSION     1
#define NUMBER_TEXT_BYTES 32

enum {
	TYPE_BOOL = 16,
	TYPE_BYTEA = 17,
	TYPE_CHAR = 18,
	TYPE_NAME = 19,
	TYPE_INT8 = 20,
	TYPE_INT2 = 21,
	TYPE_INT4 = 23,
	TYPE_TEXT = 25,
	TYPE_JSON = 114,
	TYPE_FLOAT4 = 700,
	TYPE_FLOAT8 = 701,
	TYPE_BPCHAR = 1042,
	TYPE_VARCHAR = 1043,
	TYPE_TIMESTAMPTZ = 1184,
	TYPE_JSONB = 3802,
};

void db_array_append(struct text *out, const struct span *items, size_t n)
{
	text_append_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			text_append_char(out, ',');
		text_append_char(out, '"');
		for (size_t j = 0; j < items[i].len; j++) {
			if (items[i].data[j] == '"' || items[i].data[j] == '\\')
				text_append_char(out, '\\');
			text_append_char(out, items[i].data[j]);
		}
		text_append_char(out, '"');
	}
	text_append_char(out, '}');
}

int values_check(const struct db_param *params, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (params[i].kind == DB_PARAM_TEXT && params[i].text.len &&
			memchr(params[i].text.data, '\0', params[i].text.len))
			return error_set(err, ERR_INVALID, "a text holds a NUL byte");
	return 0;
}

static size_t param_bytes(const struct db_param *p)
{
	switch (p->kind) {
	case DB_PARAM_TEXT:
	case DB_PARAM_BYTES:
		return p->text.len + 1;
	case DB_PARAM_INT:
	case DB_PARAM_DOUBLE:
	case DB_PARAM_BOOL:
	case DB_PARAM_TIME:
		return NUMBER_TEXT_BYTES;
	case DB_PARAM_NULL:
	case DB_PARAM_COUNT:
		break;
	}
	return 0;
}

size_t values_size(const struct db_param *params, size_t n)
{
	size_t size = n * (sizeof(char *) + 2 * sizeof(int));

	for (size_t i = 0; i < n; i++)
		size += param_bytes(&params[i]);
	return size;
}

/* Writes one value at `at`; returns false for NULL. */
static bool write_value(char *at, const struct db_param *p)
{
	switch (p->kind) {
	case DB_PARAM_TEXT:
	case DB_PARAM_BYTES:
		if (!p->text.data)
			return false;
		memcpy(at, p->text.data, p->text.len);
		at[p->text.len] = '\0';
		return true;
	case DB_PARAM_INT:
		(void)snprintf(at, NUMBER_TEXT_BYTES, "%lld", (long long)p->number);
		return true;
	case DB_PARAM_DOUBLE:
		(void)snprintf(at, NUMBER_TEXT_BYTES, "%.17g", p->real);
		return true;
	case DB_PARAM_BOOL:
		(void)snprintf(at, NUMBER_TEXT_BYTES, "%s", p->number ? "t" : "f");
		return true;
	case DB_PARAM_TIME:
		clock_text(p->number, at);
		return true;
	case DB_PARAM_NULL:
	case DB_PARAM_COUNT:
		break;
	}
	return false;
}

void values_write(struct values *v, void *memory, const struct db_param *params, size_t n)
{
	char *at;

	v->n = (int)n;
	v->texts = memory;
	v->lengths = (int *)(void *)(v->texts + n);
	v->formats = v->lengths + n;
	at = (char *)(v->formats + n);
	for (size_t i = 0; i < n; i++) {
		v->texts[i] = write_value(at, &params[i]) ? at : NULL;
		v->formats[i] = params[i].kind == DB_PARAM_BYTES;
		v->lengths[i] = v->formats[i] ? (int)params[i].text.len : 0;
		at += param_bytes(&params[i]);
	}
}

/* Each setting costs the server some 2 us, so what is not given is left out where a direct
 * connection makes sure that nobody else has set it. Who asks is always set. */
size_t context_pairs(const struct db_context *context, bool all,
	struct db_param out[static 2 * CONTEXT_PAIRS_MAX])
{
	static const struct db_context nobody;
	const struct db_context *c = context ? context : &nobody;
	const struct {
		const char *name;
		struct span value;
		bool always;
	} settings[CONTEXT_PAIRS_MAX] = {
		{ "app.current_user_id", c->user_id, true },
		{ "app.current_plugin", c->plugin, true },
		{ "app.environment", c->environment, false },
		{ "app.current_tenant_id", c->tenant_id, false },
		{ "app.request_id", c->request_id, false },
		{ "app.session_id", c->session_id, false },
		{ "app.ip_address", c->ip_address, false },
		{ "app.user_agent", c->user_agent, false },
	};
	size_t n = 0;

	for (size_t i = 0; i < CONTEXT_PAIRS_MAX; i++) {
		if (!all && !settings[i].always && settings[i].value.len == 0)
			continue;
		out[2 * n] = DB_STR(settings[i].name);
		out[2 * n + 1] = DB_TEXT(settings[i].value.data ? settings[i].value : SPAN(""));
		n++;
	}
	return n;
}

/* Our functions' own refusals stand in error.def; these are PostgreSQL's. A whole class has two
 * characters; the first line that fits counts. */
static const struct {
	const char *sqlstate;
	int code;
} codes[] = {
	{ "P0002", ERR_NOT_FOUND },
	{ "23505", ERR_CONFLICT },
	{ "23503", ERR_CONFLICT },
	{ "23", ERR_INVALID },
	{ "40", ERR_AGAIN },
	{ "55P03", ERR_AGAIN },
	{ "25P02", ERR_STATE },
	{ "25006", ERR_UNAVAIL },
	{ "22", ERR_INVALID },
	{ "54", ERR_LIMIT },
	{ "08", ERR_UNAVAIL },
	{ "53", ERR_UNAVAIL },
	{ "57P", ERR_UNAVAIL },
	{ "58", ERR_UNAVAIL },
};

static int code_of(const char *sqlstate)
{
	int code = error_from_sqlstate(sqlstate);

	for (size_t i = 0; code == ERR_INTERNAL && i < ARRAY_LENGTH(codes); i++)
		if (strncmp(codes[i].sqlstate, sqlstate, strlen(codes[i].sqlstate)) == 0)
			code = codes[i].code;
	return code;
}

static const char *field(const PGresult *r, int code)
{
	const char *value = PQresultErrorField(r, code);

	return value ? value : "";
}

/* Whether the message is one of ours, raised by a function of the schema, or as harmless. What
 * PostgreSQL itself says names tables, columns and policies, also under codes that we raise. */
static bool is_for_people(const PGresult *r)
{
	return strcmp(field(r, PG_DIAG_SOURCE_FUNCTION), "exec_stmt_raise") == 0 ||
	       strncmp(field(r, PG_DIAG_SQLSTATE), "57P", 3) == 0;
}

void failure_from_result(struct failure *f, const PGresult *r, const char *name)
{
	const char *said = field(r, PG_DIAG_MESSAGE_PRIMARY);
	int code;

	(void)snprintf(f->sqlstate, sizeof(f->sqlstate), "%s", field(r, PG_DIAG_SQLSTATE));
	(void)snprintf(f->detail, sizeof(f->detail), "%s; %s; %s", said,
		field(r, PG_DIAG_MESSAGE_DETAIL), field(r, PG_DIAG_CONTEXT));
	code = code_of(f->sqlstate);
	if (is_for_people(r))
		error_set(&f->err, code, "%s", said);
	else
		error_set(&f->err, code, "%s (database statement '%s', %s)",
			error_entry(code)->text, name, f->sqlstate);
	if (is_for_people(r) && *field(r, PG_DIAG_MESSAGE_HINT))
		error_fix(&f->err, "%s", field(r, PG_DIAG_MESSAGE_HINT));
}

int failure_of_connection(const PGconn *pg, const char *what, struct error *err)
{
	char line[512];
	size_t len = 0;

	for (const char *p = PQerrorMessage(pg); *p && len < sizeof(line) - 1; p++)
		if (*p != '\n' || p[1] != '\0')
			line[len++] = *p == '\n' || *p == '\t' ? ' ' : *p;
	line[len] = '\0';
	return error_set(err, ERR_UNAVAIL, "%s%s%s", what, len ? ": " : "", line);
}

struct db_result result_of(PGresult *r)
{
	struct db_result result = { .detail = "", .data = r };
	uint64_t affected;

	result.rows = (size_t)PQntuples(r);
	result.columns = (size_t)PQnfields(r);
	if (span_u64(span_of(PQcmdTuples(r)), UINT64_MAX, &affected))
		result.affected = affected;
	return result;
}

struct db_result result_of_failure(const struct failure *f)
{
	struct db_result result = { .err = &f->err, .detail = f->detail };

	memcpy(result.sqlstate, f->sqlstate, sizeof(result.sqlstate));
	return result;
}

struct db_row db_row_at(const struct db_result *result, size_t row)
{
	ASSERT(row < result->rows);
	return (struct db_row){ .result = result, .row = row };
}

/* The next column's bytes and type; moves on. data is NULL for NULL and for a bad row. */
static struct span next_value(struct db_row *r, Oid *type)
{
	const PGresult *data = r->result->data;
	int column = (int)r->column++;
	int row = (int)r->row;

	*type = 0;
	if (r->bad || column >= (int)r->result->columns || PQfformat(data, column) != 1) {
		r->bad = true;
		return SPAN_NONE;
	}
	*type = PQftype(data, column);
	if (PQgetisnull(data, row, column))
		return SPAN_NONE;
	return (struct span){ PQgetvalue(data, row, column),
		(size_t)PQgetlength(data, row, column) };
}

static bool is_text_type(Oid type)
{
	return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_JSONB ||
	       type == TYPE_JSON || type == TYPE_BYTEA || type == TYPE_NAME ||
	       type == TYPE_BPCHAR || type == TYPE_CHAR || type >= FIRST_OWN_TYPE;
}

static uint64_t big_endian(struct span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n << 8 | (uint8_t)s.data[i];
	return n;
}

static struct span bad_row(struct db_row *r)
{
	r->bad = true;
	return SPAN_NONE;
}

struct span db_row_text(struct db_row *r)
{
	Oid type;
	struct span value = next_value(r, &type);

	if (r->bad || !is_text_type(type))
		return bad_row(r);
	if (type != TYPE_JSONB || !value.data)
		return value;
	if (value.len < 1 || value.data[0] != JSONB_VERSION)
		return bad_row(r);
	return (struct span){ value.data + 1, value.len - 1 };
}

int64_t db_row_int(struct db_row *r, int64_t if_null)
{
	Oid type;
	struct span value = next_value(r, &type);

	if (type != TYPE_INT8 && type != TYPE_INT4 && type != TYPE_INT2)
		value = bad_row(r);
	if (!value.data)
		return if_null;
	if (value.len == 8)
		return (int64_t)big_endian(value);
	return value.len == 4 ? (int32_t)big_endian(value) : (int16_t)big_endian(value);
}

double db_row_real(struct db_row *r, double if_null)
{
	Oid type;
	struct span value = next_value(r, &type);
	uint64_t bits;
	uint32_t half;
	double real;
	float single;

	if (type != TYPE_FLOAT8 && type != TYPE_FLOAT4)
		value = bad_row(r);
	if (!value.data)
		return if_null;
	bits = big_endian(value);
	if (type == TYPE_FLOAT8) {
		memcpy(&real, &bits, sizeof(real));
		return real;
	}
	half = (uint32_t)bits;
	memcpy(&single, &half, sizeof(single));
	return (double)single;
}

bool db_row_bool(struct db_row *r)
{
	Oid type;
	struct span value = next_value(r, &type);

	if (type != TYPE_BOOL)
		value = bad_row(r);
	return value.data && value.len == 1 && value.data[0] != 0;
}

int64_t db_row_time(struct db_row *r, int64_t if_null)
{
	Oid type;
	struct span value = next_value(r, &type);

	if (type != TYPE_TIMESTAMPTZ)
		value = bad_row(r);
	if (!value.data)
		return if_null;
	return (int64_t)big_endian(value) + EPOCH_2000_US;
}

bool db_row_is_null(const struct db_row *r)
{
	return r->column >= r->result->columns ||
	       PQgetisnull(r->result->data, (int)r->row, (int)r->column);
}

static bool take_int(struct span *rest, int32_t *out)
{
	if (rest->len < 4)
		return false;
	*out = (int32_t)big_endian((struct span){ rest->data, 4 });
	rest->data += 4;
	rest->len -= 4;
	return true;
}

static struct db_array read_array(struct db_row *r, bool (*is_wanted)(Oid type))
{
	Oid type;
	struct span value = next_value(r, &type);
	int32_t dimensions, has_null, element, count, lower;

	if (!value.data)
		return (struct db_array){ SPAN_NONE, 0 };
	if (!take_int(&value, &dimensions) || !take_int(&value, &has_null) ||
		!take_int(&value, &element) || !is_wanted((Oid)element) || dimensions > 1) {
		r->bad = true;
		return (struct db_array){ SPAN_NONE, 0 };
	}
	if (dimensions == 0)
		return (struct db_array){ SPAN_NONE, 0 };
	if (!take_int(&value, &count) || !take_int(&value, &lower) || count < 0) {
		r->bad = true;
		return (struct db_array){ SPAN_NONE, 0 };
	}
	return (struct db_array){ value, (size_t)count };
}

struct db_array db_row_array(struct db_row *r)
{
	return read_array(r, is_text_type);
}

static bool is_number_type(Oid type)
{
	return type == TYPE_INT8;
}

struct db_array db_row_numbers(struct db_row *r)
{
	return read_array(r, is_number_type);
}

bool db_array_next(struct db_array *a, struct span *item)
{
	int32_t len;

	if (a->count == 0 || !take_int(&a->rest, &len))
		return false;
	a->count--;
	*item = SPAN_NONE;
	if (len < 0)
		return true;
	if ((size_t)len > a->rest.len) {
		a->count = 0;
		return false;
	}
	*item = (struct span){ a->rest.data, (size_t)len };
	a->rest.data += len;
	a->rest.len -= (size_t)len;
	return true;
}

bool db_array_next_number(struct db_array *a, int64_t *item)
{
	struct span bytes;

	if (!db_array_next(a, &bytes))
		return false;
	*item = bytes.len == sizeof(*item) ? (int64_t)big_endian(bytes) : 0;
	return true;
}

int db_row_end(const struct db_row *r, struct error *err)
{
	if (!r->bad && r->column == r->result->columns)
		return 0;
	return error_set(err, ERR_INTERNAL, "column %zu of a database row is not what was expected",
		r->column);
}
