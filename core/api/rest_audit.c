/* /v1/audit: the trail as administrators read it, and its chain as verifiers do
 *
 * The chain leaves as it stands in the database, ciphertext and all: whoever verifies hashes for
 * himself (codec/chain.h) and needs to believe no word of this host. */
#include <stdio.h>
#include <stdlib.h>

#include "api/rest_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/audit.h"

#define CHAIN_MAX 32

/* What a list needs once its rows are there. */
struct page {
	const char *list;
	char *filters;
	unsigned limit;
	int64_t after;
};

static void page_free(void *state)
{
	struct page *page = state;

	mem_free(page->filters);
	mem_free(page);
}

static struct page *page_new(
	struct rest_call *call, const char *list, const struct rest_query *q, unsigned limit)
{
	struct page *page = mem_zalloc(sizeof(*page));

	page->list = list;
	page->filters = mem_printf("%s", q->filters.data);
	page->limit = limit;
	call->state = page;
	call->state_free = page_free;
	rest_begin(call);
	return page;
}

static bool page_ready(struct rest_call *call, const struct error *err)
{
	if (!rest_end(call))
		return false;
	if (err)
		rest_problem(call, err);
	return err == NULL;
}

/* next: the position behind the page's last item; "" at the end. */
static void page_answer(struct rest_call *call, json_t *items, const char *next)
{
	const struct page *page = call->state;

	rest_list(call, items, page->list, span_of(page->filters),
		next[0] ? span_of(next) : SPAN_NONE);
}

/* ---- search ------------------------------------------------------------------------------------
 */

static json_t *row_of(const struct store_audit_row *row)
{
	return json_pack("{s:I, s:o, s:{s:o, s:o}, s:o, s:{s:o, s:o, s:o}, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:o, s:o}",
		"id", (json_int_t)row->id, "time", rest_time(row->created_at), "user", "id",
		rest_text(row->user_id), "name", rest_text(row->user_name), "action",
		rest_text(row->action), "resource", "type", rest_text(row->resource_type), "id",
		rest_text(row->resource_id), "name", rest_text(row->resource_name), "old",
		rest_raw(row->old_value), "new", rest_raw(row->new_value), "address",
		rest_text(row->ip_address), "user_agent", rest_text(row->user_agent), "session",
		rest_text(row->session_id), "request", rest_text(row->request_id), "result",
		rest_text(row->status), "error", rest_text(row->error), "metadata",
		rest_raw(row->metadata));
}

static void on_rows(
	const struct error *err, const struct store_audit_row *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	const struct page *page = call->state;
	char next[64] = "";
	json_t *items;

	if (!page_ready(call, err))
		return;
	items = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(items, row_of(&rows[i]));
	if (n == page->limit)
		(void)snprintf(next, sizeof(next), "%lld %lld", (long long)rows[n - 1].created_at,
			(long long)rows[n - 1].id);
	page_answer(call, items, next);
}

static int64_t query_time(struct rest_query *q, const char *name)
{
	struct span value = rest_query_text(q, name);
	int64_t us = 0;

	if (value.data && !clock_parse(value, &us) && q->err.code == 0)
		(void)error_set(&q->err, ERR_INVALID,
			"query parameter '%s' is no time in RFC 3339 with 'Z'", name);
	return us;
}

static bool query_word(struct rest_query *q, const char *name, const char *no, const char *yes)
{
	struct span value = rest_query_text(q, name);

	if (value.data && !span_is(value, no) && !span_is(value, yes) && q->err.code == 0)
		(void)error_set(&q->err, ERR_INVALID, "query parameter '%s' is '%s' or '%s'", name,
			no, yes);
	return span_is(value, yes);
}

/* TYPE, or TYPE:ID; an id may hold colons. */
static void query_resource(struct rest_query *q, struct store_audit_filter *filter)
{
	struct span rest = rest_query_text(q, "resource");

	if (rest.data && span_split(&rest, ':', &filter->resource_type))
		filter->resource = rest;
}

static void search(struct rest_call *call)
{
	struct store_audit_filter filter = { 0 };
	struct span after;
	struct rest_query q;

	rest_query_init(&q, call);
	filter.who = rest_query_text(&q, "who");
	filter.action = rest_query_text(&q, "action");
	query_resource(&q, &filter);
	filter.from = query_time(&q, "from");
	filter.to = query_time(&q, "to");
	filter.status = rest_query_text(&q, "result");
	filter.request = rest_query_text(&q, "request");
	filter.personal = query_word(&q, "personal", "false", "true");
	filter.oldest_first = query_word(&q, "order", "newest", "oldest");
	filter.limit =
		(unsigned)rest_query_number(&q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_DEFAULT);
	after = rest_query_after(&q, "audit");
	if (after.data) {
		char *behind;

		filter.after_time = strtoll(after.data, &behind, 10);
		filter.after_id = strtoll(behind, NULL, 10);
	}
	if (rest_query_end(&q)) {
		(void)page_new(call, "audit", &q, filter.limit);
		store_audit_search(call->api->options.db, &call->context, &filter, on_rows, call);
	}
	rest_query_done(&q);
}

/* ---- chains ------------------------------------------------------------------------------------
 */

static json_t *chain_of(const struct store_chain *chain)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "chain",
		rest_text(chain->name), "previous", rest_text(chain->previous), "previous_sequence",
		rest_text(chain->previous_sequence), "previous_hash",
		rest_text(chain->previous_hash), "sequence", (json_int_t)chain->sequence, "row_id",
		rest_number(chain->row_id, 0), "hash", rest_text(chain->hash), "below",
		rest_text(chain->below), "waiting_since", rest_time(chain->waiting_since),
		"idle_since", rest_time(chain->idle_since));
}

static void on_chains(const struct error *err, const struct store_chain *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	json_t *items;

	if (!page_ready(call, err))
		return;
	items = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(items, chain_of(&rows[i]));
	page_answer(call, items, "");
}

static void chains(struct rest_call *call)
{
	struct rest_query q;

	rest_query_init(&q, call);
	if (rest_query_end(&q)) {
		(void)page_new(call, "audit chains", &q, 0);
		store_audit_chains(call->api->options.db, &call->context, on_chains, call);
	}
	rest_query_done(&q);
}

static json_t *seal_of(const struct store_seal *seal)
{
	json_t *row = json_null();

	if (seal->columns[CHAIN_COLUMN_ID].data) {
		row = json_array();
		for (size_t i = 0; i < CHAIN_COLUMNS; i++)
			(void)json_array_append_new(row, rest_text(seal->columns[i]));
	}
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "sequence", (json_int_t)seal->sequence,
		"row_id", (json_int_t)seal->row_id, "horizon", rest_text(seal->horizon), "row_hash",
		rest_text(seal->row_hash), "hash", rest_text(seal->chain_hash), "row", row);
}

static void on_seals(const struct error *err, const struct store_seal *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	const struct page *page = call->state;
	unsigned seals = 0;
	char next[32] = "";
	json_t *items;

	if (!page_ready(call, err))
		return;
	items = json_array();
	for (size_t i = 0; i < n; i++) {
		(void)json_array_append_new(items, seal_of(&rows[i]));
		seals += i == 0 || rows[i].sequence != rows[i - 1].sequence;
	}
	if (seals >= page->limit)
		(void)snprintf(next, sizeof(next), "%lld", (long long)rows[n - 1].sequence);
	page_answer(call, items, next);
}

/* The chain of the path, and a number that a page goes on behind. */
static bool chain_query(struct rest_call *call, struct rest_query *q, const char *list,
	char name[static CHAIN_MAX], struct page **page)
{
	struct span after;
	unsigned limit;

	if (!rest_param(call, "chain", name, CHAIN_MAX))
		return false;
	rest_query_init(q, call);
	text_printf(&q->filters, "chain=%s&", name);
	limit = (unsigned)rest_query_number(q, "limit", 1, REST_LIMIT_MAX, REST_LIMIT_MAX);
	after = rest_query_after(q, list);
	if (!rest_query_end(q)) {
		rest_query_done(q);
		return false;
	}
	*page = page_new(call, list, q, limit);
	(*page)->after = after.data ? strtoll(after.data, NULL, 10) : 0;
	rest_query_done(q);
	return true;
}

static void seals(struct rest_call *call)
{
	char name[CHAIN_MAX];
	struct page *page;
	struct rest_query q;

	if (chain_query(call, &q, "audit seals", name, &page))
		store_audit_chain_page(call->api->options.db, &call->context, span_of(name),
			page->after, page->limit, on_seals, call);
}

static void on_strays(const struct error *err, const struct store_stray *rows, size_t n, void *user)
{
	struct rest_call *call = user;
	const struct page *page = call->state;
	char next[32] = "";
	json_t *items;

	if (!page_ready(call, err))
		return;
	items = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(items,
			json_pack("{s:I, s:o, s:o, s:b}", "row_id", (json_int_t)rows[i].row_id,
				"time", rest_time(rows[i].created_at), "action",
				rest_text(rows[i].action), "inserted", rows[i].inserted));
	if (n == page->limit)
		(void)snprintf(next, sizeof(next), "%lld", (long long)rows[n - 1].row_id);
	page_answer(call, items, next);
}

static void strays(struct rest_call *call)
{
	char name[CHAIN_MAX];
	struct page *page;
	struct rest_query q;

	if (chain_query(call, &q, "audit strays", name, &page))
		store_audit_strays(call->api->options.db, &call->context, span_of(name),
			page->after, page->limit, on_strays, call);
}

const struct rest_route rest_audit_routes[] = {
	REST_ROUTE("GET", "/v1/audit", AUDIT_READ, NONE, NONE, search),
	REST_ROUTE("GET", "/v1/audit/chains", AUDIT_VERIFY, NONE, NONE, chains),
	REST_ROUTE("GET", "/v1/audit/chains/{chain}", AUDIT_VERIFY, NONE, NONE, seals),
	REST_ROUTE("GET", "/v1/audit/chains/{chain}/strays", AUDIT_VERIFY, NONE, NONE, strays),
	REST_ROUTES_END,
};
