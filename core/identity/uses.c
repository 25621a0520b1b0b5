#include "identity/uses.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "identity/key.h"
#include "identity/principal.h"
#include "store/api_keys.h"
#include "store/sessions.h"

#define BATCH 500u

struct use {
	char hash[KEY_HASH_LEN + 1];
	int64_t count;
	int64_t last_us;
};

/* On its way to the database. */
struct batch {
	struct map *from;
	size_t count;
	struct use uses[BATCH];
};

void uses_init(struct uses *u, struct db_pool *db)
{
	u->db = db;
	map_init(&u->keys);
	map_init(&u->sessions);
}

static void free_all(struct map *uses)
{
	map_for_each(entry, uses)
		mem_free(entry->value);
	map_done(uses);
}

void uses_done(struct uses *u)
{
	free_all(&u->keys);
	free_all(&u->sessions);
}

static void add(struct map *to, const char *hash, int64_t count, int64_t last_us)
{
	struct use *use = map_get(to, span_of(hash));

	if (!use) {
		use = mem_zalloc(sizeof(*use));
		memcpy(use->hash, hash, sizeof(use->hash));
		(void)map_put(to, span_of(use->hash), use);
	}
	use->count += count;
	if (last_us > use->last_us)
		use->last_us = last_us;
}

void uses_add(struct uses *u, const struct principal *p, int64_t count, int64_t last_us)
{
	add(p->session_id[0] ? &u->sessions : &u->keys, p->key_hash, count, last_us);
}

static struct batch *take_batch(struct map *from)
{
	struct batch *batch = mem_zalloc(sizeof(*batch));

	batch->from = from;
	while (batch->count < BATCH && from->count > 0) {
		size_t at = 0;
		struct use *use = map_next(from, &at)->value;

		batch->uses[batch->count++] = *use;
		(void)map_remove(from, span_of(use->hash));
		mem_free(use);
	}
	return batch;
}

static void on_flushed(const struct error *err, int64_t number, void *user)
{
	struct batch *batch = user;

	(void)number;
	/* What did not happen is counted again; what perhaps did is not. */
	if (err &&
		(err->code == ERR_UNAVAIL || err->code == ERR_AGAIN || err->code == ERR_DEADLINE))
		for (size_t i = 0; i < batch->count; i++)
			add(batch->from, batch->uses[i].hash, batch->uses[i].count,
				batch->uses[i].last_us);
	mem_free(batch);
}

static void flush_keys(struct uses *u)
{
	struct batch *batch = take_batch(&u->keys);
	struct store_api_key_use rows[BATCH];

	for (size_t i = 0; i < batch->count; i++)
		rows[i] = (struct store_api_key_use){
			.key_hash = span_of(batch->uses[i].hash),
			.count = batch->uses[i].count,
			.last_used_at = batch->uses[i].last_us,
		};
	store_api_keys_used(u->db, rows, batch->count, on_flushed, batch);
}

static void flush_sessions(struct uses *u)
{
	struct batch *batch = take_batch(&u->sessions);
	struct store_session_use rows[BATCH];

	for (size_t i = 0; i < batch->count; i++)
		rows[i] = (struct store_session_use){
			.token_hash = span_of(batch->uses[i].hash),
			.last_used_at = batch->uses[i].last_us,
		};
	store_sessions_used(u->db, rows, batch->count, on_flushed, batch);
}

void uses_flush(struct uses *u)
{
	while (u->keys.count > 0)
		flush_keys(u);
	while (u->sessions.count > 0)
		flush_sessions(u);
}
