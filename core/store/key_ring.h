/* key_ring.h - which master key seals, and the rotation to another
 *
 * The keys themselves are in no table (core/supervise/key_ring.h).
 */
#ifndef MORTISE_STORE_KEY_RING_H
#define MORTISE_STORE_KEY_RING_H

#include "store/store.h"

struct db_session;

/* [owner] Whether keys, a JSON array of {"id","fingerprint","retired"}, oldest first, is the ring
 * of this database; a database without one takes it. *current, the id of the key that seals, is the
 * caller's. ERR_KEY_RING_OTHER: it lacks a key that is needed. Blocks; before a loop runs. */
int store_key_ring_settle(
	struct db_session *s, struct span keys, char **current, struct error *err);
/* [owner] Whether this database has had a ring. */
int store_key_ring_known(struct db_session *s, bool *known, struct error *err);

struct store_key {
	struct span id;
	struct span fingerprint;
	struct span state; /* "coming", "current", "old", "retired" */
};
typedef void (*store_keys_cb)(
	const struct error *err, const struct store_key *rows, size_t n, void *user);

/* [supervisor] Say what the node's ring can use and which key it seals with; all keys, oldest
 * first. */
void store_key_ring_look(struct db_pool *db, const struct store_fence *fence,
	const struct span *usable, size_t n, struct span used, store_keys_cb done, void *user);

struct store_rotation {
	int64_t number;
	struct span state;  /* "asked", "spreading", "sealing" */
	struct span to_key; /* none while asked */
};
typedef void (*store_rotation_cb)(
	const struct error *err, const struct store_rotation *rows, size_t n, void *user);

/* [supervisor] Take, or keep, the unfinished rotation for ttl_ms. No row: there is none, or another
 * node has it. */
void store_rotation_claim(struct db_pool *db, const struct store_fence *fence, unsigned ttl_ms,
	store_rotation_cb done, void *user);
/* The rest is for the node that holds the rotation; ERR_FENCED for any other. [supervisor]
 * The new key is in the ring's file. */
void store_rotation_coming(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span id, struct span fingerprint, store_done_cb done, void *user);
/* It could not be made. */
void store_rotation_fail(struct db_pool *db, const struct store_fence *fence, int64_t number,
	struct span error, store_done_cb done, void *user);
/* Make the key current when every live node has it. The text names the nodes that are waited for;
 * empty: all seal with it. */
void store_rotation_spread(struct db_pool *db, const struct store_fence *fence, int64_t number,
	store_text_cb done, void *user);

/* An envelope: where it stands ("users.mfa_secret:<id>"), and the context that it was sealed with,
 * mostly the same. */
struct store_envelope {
	struct span place;
	struct span context;
	struct span envelope;
};
typedef void (*store_envelopes_cb)(
	const struct error *err, const struct store_envelope *rows, size_t n, void *user);

/* Envelopes of other keys than the new one, behind `after`. */
void store_rotation_stale(struct db_pool *db, int64_t number, struct span after, unsigned limit,
	store_envelopes_cb done, void *user);
/* Replace n envelopes, each where it still is the old one; the claim goes on for ttl_ms. The number
 * is how many were replaced. */
struct store_reseal {
	int64_t number;
	unsigned ttl_ms;
	const struct span *places;
	const struct span *old_envelopes;
	const struct span *new_envelopes;
	size_t n;
};
void store_rotation_reseal(struct db_pool *db, const struct store_fence *fence,
	const struct store_reseal *reseal, store_number_cb done, void *user);
/* The end, but for the places that do not open. The number is 0 when more is left. */
void store_rotation_finish(struct db_pool *db, const struct store_fence *fence, int64_t number,
	const struct span *unreadable, size_t n, store_number_cb done, void *user);

/* [front] Ask for a rotation; its number. ERR_ROTATION: one is running. */
void store_key_ring_rotate(struct db_pool *db, const struct db_context *context, struct span reason,
	store_number_cb done, void *user);
/* ERR_KEY_NEEDED: it seals, or envelopes name it. ERR_ALREADY: it is retired. */
void store_key_ring_retire(struct db_pool *db, const struct db_context *context, struct span id,
	store_done_cb done, void *user);
/* {"keys","nodes","rotation","columns"} as JSON. */
void store_key_ring_show(
	struct db_pool *db, const struct db_context *context, store_text_cb done, void *user);

#endif
