/* second_factor_priv.h - the steps that requests about second factors are made of
 *
 * A step ends by calling what it leads to, or by answering the request. The routes read the body
 * into the state before the first. Seeds, codes and digests live in the state, which is wiped with
 * its call.
 */
#ifndef MORTISE_API_SECOND_FACTOR_PRIV_H
#define MORTISE_API_SECOND_FACTOR_PRIV_H

#include "api/rest_priv.h"
#include "identity/backup_code.h"
#include "identity/principal.h"
#include "identity/totp.h"
#include "store/second_factor.h"

#define FACTOR_SENT_LEN  6  /* digits of a code that is sent */
#define FACTOR_TYPED_MAX 64 /* characters of any code */

typedef void (*factor_step)(struct rest_call *call);

struct factor_state {
	/* From the body, borrowed from call->json; none when it was not there. */
	struct span password, code, backup_code, phone;
	bool end_others;
	enum totp_algorithm algorithm; /* to enrol */
	unsigned digits;
	const char *method; /* of the path, as the database says it: "TOTP" */

	/* Whose factor it is, once factor_find_user() has found it. */
	char user_id[PRINCIPAL_ID_SIZE];
	char account[256]; /* his username or e-mail address */
	bool own;          /* the asker's */

	/* What factor_prove() was told is owed. */
	bool fresh, enabled;

	/* What the steps lead to. */
	factor_step found, proved, verified, read, made, coded;

	/* What was shown. */
	struct store_second_factor_shown shown; /* its spans are of digests */
	struct text digests;

	/* What is made: a seed, a code to send, backup codes. */
	struct totp totp;
	char sent[FACTOR_SENT_LEN + 1];
	char codes[BACKUP_CODE_COUNT][BACKUP_CODE_LEN + 1];
	size_t codes_digested;
	struct text codes_digests; /* parted by blanks */
	char destination[256];     /* of the code to send */
	int64_t expires_at;
};

/* The call's, made with the first ask. */
struct factor_state *factor_state(struct rest_call *call);

/* Whose: {user} of the path, `me`, an id or a username. */
void factor_find_user(struct rest_call *call, factor_step found);

/* The asker shows again who he is: the password and, where a factor is enrolled, a code. A session
 * that is a few minutes old has just done so, but what is in the body is checked in any case. */
void factor_prove(struct rest_call *call, factor_step proved);

/* The code of the body is the enrolled factor's, and is used up. */
void factor_verify(struct rest_call *call, factor_step verified);

/* Count a try to confirm the enrolment of that method, and read the code of the body into
 * state->shown; store_second_factor_confirm() says whether it is the one. */
void factor_read_enrolment(struct rest_call *call, struct span method, factor_step read);

/* Make backup codes and their digests. */
void factor_make_codes(struct rest_call *call, factor_step made);
json_t *factor_codes_json(struct rest_call *call);

/* Make a code to send and its digests (state->digests). */
void factor_make_sent(struct rest_call *call, factor_step coded);
/* Send it where the database says, and answer 202; or refuse, when it says to wait. */
void factor_send(struct rest_call *call, struct span method,
	const struct store_second_factor_message *message);

/* Have the supervisor use the master keys for a column of the asker's row; done takes the call. */
void factor_ask_key_ring(struct rest_call *call, enum key_ring_op op, const char *column,
	struct span data, api_key_ring_cb done);

/* Tell a user by mail what became of his factor, whoever waits for an answer. */
void factor_tell(struct api *api, struct span email, const char *what);

/* The code was wrong: the answer. */
void factor_refuse_code(struct rest_call *call);

#endif
