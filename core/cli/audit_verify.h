/* audit_verify.h - is the audit trail still what was written?
 *
 * Takes a chain as the database has it, seal by seal, hashes each row for itself
 * (codec/chain.h) and compares with the seals and with the anchors that nodes
 * wrote. Each item is looked at once and forgotten. Main thread.
 */
#ifndef MORTISE_CLI_AUDIT_VERIFY_H
#define MORTISE_CLI_AUDIT_VERIFY_H

#include <jansson.h>
#include <stdint.h>

struct audit_chain; /* opaque: one chain on its way */
struct error;

enum audit_finding {
	AUDIT_CHANGED,   /* a row is not what was sealed */
	AUDIT_DELETED,   /* a sealed row is gone */
	AUDIT_INSERTED,  /* a row came in behind the sealer's back */
	AUDIT_REORDERED, /* rows are sealed in another order than they were written in */
	AUDIT_SEAL,      /* a seal is missing, or does not follow from the one before */
	AUDIT_TRUNCATED, /* an anchor knows seals that are gone */
	AUDIT_UNSEALED,  /* rows wait for their seal and nothing holds them up */
	AUDIT_FINDING_COUNT
};
const char *audit_finding_name(enum audit_finding finding);

/* row_id 0: it is about no one row. */
typedef void (*audit_finding_cb)(void *user, enum audit_finding finding, const char *chain,
	int64_t row_id, const char *detail);

/* described: an item of chains, which is the answer of /v1/audit/chains; both are borrowed.
 * anchors: a folder of `<chain>.<node>.anchors`, or NULL. */
struct audit_chain *audit_chain_new(const json_t *described, const json_t *chains,
	const char *anchors, audit_finding_cb found, void *user);
void audit_chain_free(struct audit_chain *c);

/* The next item of the chain's seals, of its strays. ERR_PROTOCOL: it is no such item. */
int audit_chain_seal(struct audit_chain *c, const json_t *item, struct error *err);
int audit_chain_stray(struct audit_chain *c, const json_t *item, struct error *err);
/* There are no more seals: what do anchors and later chains know besides? */
void audit_chain_end(struct audit_chain *c);

uint64_t audit_chain_rows(const struct audit_chain *c);
uint64_t audit_chain_anchors(const struct audit_chain *c); /* that were compared */

#endif
