/* stand.h - a supervisor just large enough to test the real front
 *
 * A stand starts the real mortise-front on a database of its own and the real
 * mortise-worker with real plugins, and speaks the control protocol with them. Nothing
 * in it answers for them. One test process is the whole supervisor; failures end it.
 */
#ifndef MORTISE_TESTS_INTEGRATION_FRONT_STAND_H
#define MORTISE_TESTS_INTEGRATION_FRONT_STAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/protocol.h"

#define STAND_WORKERS 4

struct stand_worker {
	pid_t pid;
	struct channel_line *line;
	int line_fd;
	char installation[32];
	uint64_t generation;
	const char *plugin; /* "fixture/echo" */
	const char *mount;
	const char *permissions;
	const char *provides;
	bool draining;
	bool gone; /* no longer in the table */
};

struct stand {
	char *database; /* as superuser */
	char *admin;    /* the key of the first administrator */
	int port;
	pid_t front;
	struct channel_line *line;
	int line_fd;
	struct protocol_memory memory;
	uint64_t table;
	struct stand_worker workers[STAND_WORKERS];
	size_t worker_count;
	struct front_table_route routes[32];
	size_t route_count;
};

/* A database, an administrator, a front that has said READY. */
void stand_open(struct stand *s);
void stand_close(struct stand *s); /* kills what is left */

/* Start a worker with the plugin FILE.so, connect the front, let it start. Its routes are the ones
 * that stand_route() named for this mount before. */
struct stand_worker *stand_worker(struct stand *s, const char *file, const char *plugin,
	const char *mount, const char *permissions, const char *provides);
/* A route of the plugin at mount: pattern is relative to it. */
void stand_route(struct stand *s, const char *mount, const char *name, const char *method,
	const char *pattern, const char *scope, uint32_t deadline_ms, uint64_t body_limit);
/* Send the table as it is now, and wait for its acknowledgement. */
void stand_table(struct stand *s);

/* The next message of the front that is of this type; others are passed over. payload is valid
 * until the next call. */
struct channel_message stand_expect(struct stand *s, uint16_t type);

/* A key of the administrator, made by SQL, with one scope list ("{hello.read}"), for a user of
 * that role. */
char *stand_key(struct stand *s, const char *role, const char *scopes, int rate_limit);

/* An HTTP connection of its own: send the request and give the whole answer until its end. The
 * caller's. */
char *stand_http(struct stand *s, const char *request);
/* METHOD PATH with that key (NULL: none) and body (NULL: none); further headers end with \r\n. */
char *stand_request(struct stand *s, const char *key, const char *method, const char *path,
	const char *headers, const char *body);
int stand_status(const char *answer);
const char *stand_body(const char *answer);
/* Open a connection and send; the descriptor is the caller's. */
int stand_connect(struct stand *s, const char *request);
/* Read until the text has been seen (or the end, which fails the test). What was read so far. */
char *stand_read_until(int fd, const char *text);

#endif
