/* client.h - the host's HTTP API as the command line uses it
 *
 * One connection, kept alive. Every answer that is no success becomes an error
 * with the code, text and fix of its problem document (RFC 9457), so that the
 * exit code is the one of the error table. Credentials are, in this order:
 * MORTISE_TOKEN, the session that `mortise login` keeps for this host (refreshed
 * when it must be), the admin token of the data folder, for its own host alone.
 * Blocking; main thread.
 */
#ifndef MORTISE_CLI_CLIENT_H
#define MORTISE_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct cli;
struct client;
struct error;

/* What a request wants beside method and path. */
struct client_request {
	const char *method; /* "GET" */
	const char *path;   /* "/v1/plugins", with its query */
	const json_t *body; /* or NULL */
	int upload_fd;      /* a file to send as the body, or -1 */
	const char *type;   /* its content type */
	const char *label;  /* of its progress bar */
	bool bare;          /* without credentials */
};

/* The host that is talked to, "http://127.0.0.1:7400". Borrowed. */
int client_base(struct cli *cli, const char **out, struct error *err);

/* Use this token from now on, and no other. */
int client_use(struct cli *cli, const char *token, struct error *err);

/* Send; *out is the answer's JSON (NULL for an empty one) and the caller's. ERR_UNREACHABLE: no
 * host there; ERR_AUTHENTICATION: no token found or it is not valid. */
int client_send(
	struct cli *cli, const struct client_request *request, json_t **out, struct error *err);

/* The two common cases. */
int client_get(struct cli *cli, const char *path, json_t **out, struct error *err);
int client_post(
	struct cli *cli, const char *path, const json_t *body, json_t **out, struct error *err);

/* Read server-sent events of path until on_event returns false or the stream ends.
 * event and data are borrowed during the call. */
typedef bool (*client_event_cb)(void *user, const char *event, const json_t *data);
int client_events(
	struct cli *cli, const char *path, client_event_cb on_event, void *user, struct error *err);

/* The same, with a success's body as it is, whatever its type, to a stream while it comes. */
int client_copy(struct cli *cli, const struct client_request *request, FILE *to, struct error *err);

void client_free(struct client *client);

/* Append s percent-encoded as one path or query component (RFC 3986 section 2.1). */
void client_escape(struct text *t, const char *s);

#endif
