/* session_priv.h - what requests about sessions, passwords and second factors share
 *
 * Tokens leave this process once, in the answer that gives them: in the body, or in cookies for a
 * session of a browser.
 */
#ifndef MORTISE_API_SESSION_PRIV_H
#define MORTISE_API_SESSION_PRIV_H

#include <jansson.h>

#include "codec/digest.h"
#include "identity/key.h"
#include "store/sessions.h"

struct rest_call;

struct session_tokens {
	char token[KEY_LEN + 1];
	char refresh[KEY_LEN + 1];
	char token_hash[SHA256_HEX_SIZE];
	char refresh_hash[SHA256_HEX_SIZE];
};

/* New ones; the caller wipes them. */
void session_tokens_make(struct session_tokens *tokens);
struct store_session_tokens session_tokens_hashes(const struct session_tokens *tokens);

/* What the store gave, with its tokens, as the answer to a login; sets the cookies of call where
 * the session is a browser's. */
json_t *session_given_json(struct rest_call *call, const struct store_session_given *given,
	const struct session_tokens *tokens);

struct store_login_limits session_login_limits(const struct rest_call *call);

/* Is it the asker's own password? Counted as an attempt, as a login is. proved(call) comes later,
 * or the request was answered: ERR_PASSWORD_WRONG, ERR_PASSWORD_NONE, ERR_LOGINS_BUSY. */
void rest_prove_password(
	struct rest_call *call, struct span password, void (*proved)(struct rest_call *call));

/* The asker's half session has shown its second factor: make it whole and answer as a login does,
 * with the members of extra, which is taken over. */
void rest_promote_session(struct rest_call *call, json_t *extra);

/* Overwrite a member of the body that was a secret. */
void rest_forget(struct rest_call *call, const char *member);

#endif
