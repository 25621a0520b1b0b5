/* second_factor.h - what a user shows besides his password: enrolled, tried, changed
 *
 * All functions act for the asker of the context, who is a person. Digests are those of
 * KEY_RING_DIGEST: hex, one for each key of the ring, parted by blanks. A code that was wrong is an
 * answer, not an error. ERR_SECOND_FACTOR: the session owes the factor that it would change.
 */
#ifndef MORTISE_STORE_SECOND_FACTOR_H
#define MORTISE_STORE_SECOND_FACTOR_H

#include "store/store.h"

struct store_second_factor {
	struct span user_id;
	struct span account; /* the username, else the e-mail address */
	bool enabled;
	struct span method; /* "TOTP", "SMS" or "EMAIL"; none when not enabled */
	bool owed;          /* by the policy */
	struct span destination;
	int64_t backup_codes; /* left */
	int64_t enrolled_at;
	int64_t locked_until;
	struct span pending; /* the method that waits to be confirmed */
};
typedef void (*store_second_factors_cb)(
	const struct error *err, const struct store_second_factor *rows, size_t n, void *user);

/* By id or username: one's own, or anybody's for an administrator; else ERR_NOT_FOUND. [front] */
void store_second_factor_status(struct db_pool *db, const struct db_context *context,
	struct span user_id, store_second_factors_cb done, void *user);

struct store_second_factor_proof {
	bool fresh; /* the asker's session began within fresh_s */
	bool enabled;
	struct span method;
	bool has_password;
};
typedef void (*store_second_factor_proofs_cb)(const struct error *err,
	const struct store_second_factor_proof *rows, size_t n, void *user);

/* What the asker must show again before a factor is changed. [front] */
void store_second_factor_proof(struct db_pool *db, const struct db_context *context,
	unsigned fresh_s, store_second_factor_proofs_cb done, void *user);

struct store_second_factor_try {
	struct span method;
	struct span secret; /* TOTP: an envelope */
	struct span algorithm;
	int64_t digits;
	int64_t last_step;
	int64_t retry_after_s; /* above 0: locked, nothing else is there */
};
typedef void (*store_second_factor_tries_cb)(
	const struct error *err, const struct store_second_factor_try *rows, size_t n, void *user);

/* Count a try of the enrolled factor; ERR_FACTOR_NONE. store_second_factor_judge() ends it.
 * [front] */
void store_second_factor_try(struct db_pool *db, const struct db_context *context,
	store_second_factor_tries_cb done, void *user);

/* What was shown: one of these. */
struct store_second_factor_shown {
	uint64_t step;       /* of the authenticator; 0: no step within the window */
	struct span backup;  /* digests of a backup code, */
	struct span message; /* or of a code that was sent */
};

struct store_second_factor_verdict {
	bool passed;
	struct span tell; /* the user's e-mail address, when this try locked the factor */
};
typedef void (*store_second_factor_verdicts_cb)(const struct error *err,
	const struct store_second_factor_verdict *rows, size_t n, void *user);

/* [front] */
void store_second_factor_judge(struct db_pool *db, const struct db_context *context,
	const struct store_second_factor_shown *shown, store_second_factor_verdicts_cb done,
	void *user);

struct store_second_factor_message {
	struct span destination;
	int64_t expires_at;
	int64_t retry_after_s; /* above 0: too soon after another, do not send */
};
typedef void (*store_second_factor_messages_cb)(const struct error *err,
	const struct store_second_factor_message *rows, size_t n, void *user);

/* Note a code for the enrolled factor of that method; ERR_FACTOR_NONE. [front] */
void store_second_factor_send(struct db_pool *db, const struct db_context *context,
	struct span method, struct span digests, store_second_factor_messages_cb done, void *user);

struct store_second_factor_enrol {
	struct span method;
	struct span secret; /* TOTP: an envelope, */
	struct span algorithm;
	unsigned digits;
	struct span phone;   /* SMS: or none for the one in the user's row */
	struct span digests; /* else: of the code that will be sent */
};

/* Begin; ERR_FACTOR_ADDRESS: nowhere to send a code to. destination is none for TOTP. [front] */
void store_second_factor_enrol(struct db_pool *db, const struct db_context *context,
	const struct store_second_factor_enrol *enrol, store_second_factor_messages_cb done,
	void *user);

/* Count a try to confirm it; ERR_FACTOR_NONE: it must begin (again). retry_after_s and last_step
 * are 0. [front] */
void store_second_factor_enrolment(struct db_pool *db, const struct db_context *context,
	struct span method, store_second_factor_tries_cb done, void *user);

/* Make it count, with those backup codes (digests parted by blanks). The text is the asker's e-mail
 * address; none: the code was wrong. [front] */
void store_second_factor_confirm(struct db_pool *db, const struct db_context *context,
	struct span method, const struct store_second_factor_shown *shown, struct span backup,
	store_text_cb done, void *user);

/* Take it away, one's own (ERR_FACTOR_OWED) or as an administrator; the text is the user's e-mail
 * address, ERR_FACTOR_NONE when there was none. [front] */
void store_second_factor_disable(struct db_pool *db, const struct db_context *context,
	struct span user_id, store_text_cb done, void *user);

/* Replace the backup codes; the text is the asker's e-mail address. [front] */
void store_second_factor_backup(struct db_pool *db, const struct db_context *context,
	struct span backup, store_text_cb done, void *user);

#endif
