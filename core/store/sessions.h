/* sessions.h - local login, sessions and passwords; tokens by the hash of their text
 */
#ifndef MORTISE_STORE_SESSIONS_H
#define MORTISE_STORE_SESSIONS_H

#include "store/store.h"

/* ---- login ----------------------------------------------------------------------------------- */

struct store_login_limits {
	int64_t free_attempts;
	int64_t block_ms;
};

struct store_login {
	struct span user_id;  /* SPAN_NONE: nobody has that name */
	struct span password; /* the stored hash */
	bool prehashed;
	bool denied; /* whatever the password is, the answer is no */
};
typedef void (*store_logins_cb)(
	const struct error *err, const struct store_login *rows, size_t n, void *user);

/* Count an attempt; it is committed when done is called. Always one row. [front] */
void store_login_begin(struct db_pool *db, const struct db_context *context, struct span login,
	struct span address, const struct store_login_limits *limits, store_logins_cb done,
	void *user);

struct store_session_tokens {
	struct span token; /* hex SHA-256 */
	struct span refresh;
};

struct store_session_new {
	struct span user_id;
	struct span password; /* the stored hash that the password matched */
	struct span raised;   /* to be stored in its place; SPAN_NONE: nothing */
	struct store_session_tokens tokens;
	struct span address;
	int64_t token_ms;
	int64_t idle_ms;
	int64_t absolute_ms;
	bool by_cookie;
	struct span device_name;
};

/* What a login, a refresh or the second factor gives. */
struct store_session_given {
	struct span outcome; /* of a refresh: "refreshed", "unknown", "twice" or "reused" */
	struct span session_id;
	struct span user_id;
	struct span name;
	struct span username;
	struct span role;
	int64_t expires_at;
	int64_t refresh_expires_at; /* 0: a half session has no refresh token */
	bool by_cookie;
	bool half;
	struct db_array methods; /* by which a half session finishes; none: by enrolling */
	int64_t ended;           /* of a password: other sessions that it ended */
};
typedef void (*store_sessions_given_cb)(
	const struct error *err, const struct store_session_given *rows, size_t n, void *user);

/* Begin a session. No row: the user is no longer the one that store_login_begin() gave. [front] */
void store_login_finish(struct db_pool *db, const struct db_context *context,
	const struct store_session_new *session, store_sessions_given_cb done, void *user);

/* The asker's half session has shown its second factor: it is whole, with new tokens.
 * ERR_NOT_FOUND: it is not half, or over. [front] */
void store_session_promote(struct db_pool *db, const struct db_context *context,
	const struct store_session_tokens *tokens, store_sessions_given_cb done, void *user);

/* ---- use and refresh ------------------------------------------------------------------------- */

struct store_session_authority {
	struct span session_id;
	struct span user_id;
	struct span role;
	struct span user_name;
	struct span user_provider;
	bool half;
	bool by_cookie;
	int64_t expires_at;
	int64_t idle_us;
};
typedef void (*store_session_authorities_cb)(
	const struct error *err, const struct store_session_authority *rows, size_t n, void *user);

/* One row; ERR_NOT_FOUND: no session that counts now. [front] */
void store_session_find(
	struct db_pool *db, struct span token_hash, store_session_authorities_cb done, void *user);

struct store_session_use {
	struct span token_hash;
	int64_t last_used_at;
};

/* Note when up to STORE_ROWS_MAX sessions were used last. [front] */
void store_sessions_used(struct db_pool *db, const struct store_session_use *uses, size_t n,
	store_number_cb done, void *user);

/* Always one row, with an outcome; the other columns count when it is "refreshed". Replaced less
 * than grace_ms ago is "twice". [front] */
void store_session_refresh(struct db_pool *db, const struct db_context *context,
	struct span refresh, const struct store_session_tokens *tokens, bool by_cookie,
	int64_t grace_ms, store_sessions_given_cb done, void *user);

/* ---- looking and ending ---------------------------------------------------------------------- */

struct store_session {
	struct span id;
	struct span user_id;
	struct span ip_address;
	struct span user_agent;
	struct span device_name;
	bool half;
	bool by_cookie;
	int64_t created_at;
	int64_t last_activity;
	int64_t expires_at; /* when it is over, unless it is used before */
};
typedef void (*store_sessions_cb)(
	const struct error *err, const struct store_session *rows, size_t n, void *user);

/* Sessions of a user (id or username) that are not over; others' for administrators.
 * ERR_NOT_FOUND. [front] */
void store_sessions_list(struct db_pool *db, const struct db_context *context, struct span whose,
	store_sessions_cb done, void *user);
/* The number is 0 when it was over before. ERR_NOT_FOUND. [front] */
void store_session_end(struct db_pool *db, const struct db_context *context, struct span id,
	struct span reason, store_number_cb done, void *user);
/* All of a user's but the asking one; the number is how many. ERR_NOT_FOUND. [front] */
void store_sessions_end(struct db_pool *db, const struct db_context *context, struct span whose,
	struct span reason, store_number_cb done, void *user);

/* ---- passwords ------------------------------------------------------------------------------- */

struct store_password {
	struct span user_id;
	struct span password; /* the stored hash, of the asker's own alone */
	bool prehashed;
	bool denied; /* whatever the password is, the answer is no */
	bool own;    /* the asker's: he has to prove it */
	struct span username;
	struct span name;
	struct span email;
};
typedef void (*store_passwords_cb)(
	const struct error *err, const struct store_password *rows, size_t n, void *user);

/* Whose password the asker wants to set. One row. ERR_NOT_FOUND; ERR_PASSWORD_NONE. [front] */
void store_password_facts(struct db_pool *db, const struct db_context *context, struct span whose,
	store_passwords_cb done, void *user);
/* The same of the asker, who is about to prove his password: it counts as an attempt. [front] */
void store_password_prove(struct db_pool *db, const struct db_context *context, struct span address,
	const struct store_login_limits *limits, store_passwords_cb done, void *user);
/* It was proved, and stays: take the attempt back. 0: it was changed meanwhile. [front] */
void store_password_proved(struct db_pool *db, const struct db_context *context,
	struct span password, struct span address, store_number_cb done, void *user);

struct store_password_new {
	struct span user_id;
	struct span current; /* the stored hash that was proved; SPAN_NONE: another's */
	struct span hash;
	struct span address;
	bool end_others;
	struct store_session_tokens tokens; /* for the asking session */
};

/* One row; its session_id is SPAN_NONE when it was no session of that user that asked.
 * ERR_CONFLICT: changed meanwhile. [front] */
void store_password_set(struct db_pool *db, const struct db_context *context,
	const struct store_password_new *password, store_sessions_given_cb done, void *user);

#endif
