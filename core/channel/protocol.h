/* protocol.h - every message between our processes, once
 *
 * PROTOCOL_MESSAGES lists each message with its number and its longest payload; the struct of the
 * same name holds its fields in wire order, and protocol.c the table by which the one encoder and
 * the one decoder walk them. For each message `x` this header gives
 *
 *     void encode_x(struct text *out, const struct x *message);
 *     int decode_x(struct x *out, struct span payload, struct protocol_memory *memory,
 *             struct error *err);
 *     int send_x(struct channel *ch, uint64_t id, const struct x *message);       (credited)
 *
 * Decoded spans borrow from the payload, lists from `memory`; both end with on_message. A decoded
 * field has its type and nothing more: what it means is for the receiver to check. Fields that are
 * not set are 0, empty spans and empty lists. The upper byte of a number says who may send it to
 * whom (its link). [loop thread]
 */
#ifndef MORTISE_CHANNEL_PROTOCOL_H
#define MORTISE_CHANNEL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "channel/channel.h"

struct error;

enum {
	PROTOCOL_LINK_SUPERVISOR_TO_WORKER = 1,
	PROTOCOL_LINK_WORKER_TO_SUPERVISOR = 2,
	PROTOCOL_LINK_SUPERVISOR_TO_FRONT = 3,
	PROTOCOL_LINK_FRONT_TO_SUPERVISOR = 4,
	PROTOCOL_LINK_SUPERVISOR_TO_STAGE = 5,
	PROTOCOL_LINK_STAGE_TO_SUPERVISOR = 6,
	PROTOCOL_LINK_FRONT_TO_WORKER = 7,
	PROTOCOL_LINK_WORKER_TO_FRONT = 8,
	PROTOCOL_LINK_SUPERVISOR_TO_FETCH = 9,
	PROTOCOL_LINK_FETCH_TO_SUPERVISOR = 10,
	PROTOCOL_LINK_FRONT_TO_FETCH = 11,
	PROTOCOL_LINK_FETCH_TO_FRONT = 12,
	PROTOCOL_LINK_COUNT
};

/* Descriptors of a child that its supervisor makes. */
#define PROTOCOL_FD_CONTROL   3 /* every child: its control channel */
#define PROTOCOL_FD_LISTENER  4 /* worker, fetch: a listening Unix socket; front: TCP listener */
#define PROTOCOL_FD_BLACK_BOX 5 /* worker: a memfd of BLACK_BOX_SIZE */

#define PROTOCOL_KIB(n) ((n)*1024u)
#define PROTOCOL_MIB(n) ((n)*1024u * 1024u)

/* Credits. */
#define PROTOCOL_BODY_WINDOW                                                                   \
	PROTOCOL_KIB(256)                   /* body bytes in flight, per direction and request \
					     */
#define PROTOCOL_CHUNK_MAX PROTOCOL_KIB(64) /* one BODY or RESPONSE_BODY, or RESPONSE.body */
#define PROTOCOL_CALLS     64 /* outstanding CALLs, and as many ON_CALLs, per channel */
#define PROTOCOL_CALL_WINDOW                                                       \
	PROTOCOL_MIB(32)           /* json and bytes of the outstanding CALLs of a \
				      channel; the same for ON_CALLs */
#define PROTOCOL_REQUESTS     1024 /* live requests per channel */
#define PROTOCOL_FETCHES      256  /* outstanding FETCH_HTTPs and FETCH_MAILs per channel, */
#define PROTOCOL_FETCH_WINDOW PROTOCOL_MIB(32) /* and the bodies in them */

/* Of one call or result. */
#define PROTOCOL_JSON_MAX  PROTOCOL_MIB(1)
#define PROTOCOL_BYTES_MAX PROTOCOL_MIB(16)

#define PROTOCOL_DETAIL_MAX PROTOCOL_KIB(1) /* detail of a health answer */

/* Flag of BODY, RESPONSE_BODY, REQUEST and RESPONSE: nothing of the body follows. */
#define PROTOCOL_LAST (1u << 8)

/* X(number name, struct name, number, longest payload) */
#define PROTOCOL_MESSAGES(X)                                                                      \
	/* supervisor -> worker */                                                                \
	X(WORKER_START, worker_start, 0x0110, PROTOCOL_MIB(2))                                    \
	X(WORKER_HEALTH_ASK, worker_health_ask, 0x0112, 64)                                       \
	X(WORKER_DRAIN, worker_drain, 0x0113, 64)                                                 \
	X(WORKER_STOP, worker_stop, 0x0114, 64)                                                   \
	X(WORKER_CONFIGURE, worker_configure, 0x0115, PROTOCOL_MIB(1) + 64)                       \
	/* worker -> supervisor */                                                                \
	X(WORKER_LOADED, worker_loaded, 0x0210, PROTOCOL_KIB(4))                                  \
	X(WORKER_STARTED, worker_started, 0x0211, PROTOCOL_KIB(256))                              \
	X(WORKER_HEALTH, worker_health, 0x0212, PROTOCOL_KIB(4))                                  \
	X(WORKER_CONFIGURED, worker_configured, 0x0215, PROTOCOL_KIB(4))                          \
	X(WORKER_STOPPED, worker_stopped, 0x0216, PROTOCOL_KIB(64))                               \
	X(WORKER_LOG, worker_log, 0x0220, PROTOCOL_KIB(32))                                       \
	X(WORKER_METRICS, worker_metrics, 0x0221, PROTOCOL_KIB(256))                              \
	/* supervisor -> front */                                                                 \
	X(FRONT_START, front_start, 0x0310, PROTOCOL_KIB(64))                                     \
	X(FRONT_TABLE, front_table, 0x0311, PROTOCOL_MIB(8))                                      \
	X(FRONT_WORKER_CONNECT, front_worker_connect, 0x0312, PROTOCOL_KIB(4))                    \
	X(FRONT_STAGED, front_staged, 0x0313, PROTOCOL_MIB(2))                                    \
	X(FRONT_NOTIFY, front_notify, 0x0314, PROTOCOL_KIB(16))                                   \
	X(FRONT_STOP, front_stop, 0x0315, 64)                                                     \
	X(FRONT_KEY_RING_RESULT, front_key_ring_result, 0x0316, PROTOCOL_KIB(16))                 \
	/* front -> supervisor */                                                                 \
	X(FRONT_READY, front_ready, 0x0410, PROTOCOL_KIB(4))                                      \
	X(FRONT_TABLE_ACK, front_table_ack, 0x0411, 64)                                           \
	X(FRONT_WORKER_CONNECTED, front_worker_connected, 0x0412, PROTOCOL_KIB(4))                \
	X(FRONT_STAGE, front_stage, 0x0413, PROTOCOL_KIB(4))                                      \
	X(FRONT_DRAINED, front_drained, 0x0414, PROTOCOL_KIB(4))                                  \
	X(FRONT_KEY_RING, front_key_ring, 0x0415, PROTOCOL_KIB(16))                               \
	/* supervisor -> stage */                                                                 \
	X(STAGE_PACKAGE, stage_package, 0x0510, PROTOCOL_MIB(1))                                  \
	X(STAGE_CONFIG, stage_config, 0x0511, PROTOCOL_MIB(3))                                    \
	/* stage -> supervisor */                                                                 \
	X(STAGE_PACKAGE_RESULT, stage_package_result, 0x0610, PROTOCOL_MIB(6))                    \
	X(STAGE_CONFIG_RESULT, stage_config_result, 0x0611, PROTOCOL_MIB(2))                      \
	/* front -> worker */                                                                     \
	X(DATA_FRONT, data_front, 0x0710, 64)                                                     \
	X(DATA_REQUEST, data_request, 0x0711, PROTOCOL_KIB(160))                                  \
	X(DATA_RESPONSE_CONSUMED, data_response_consumed, 0x0713, 64)                             \
	X(DATA_GONE, data_gone, 0x0714, 64)                                                       \
	X(DATA_CALL_RESULT, data_call_result, 0x0715,                                             \
		PROTOCOL_JSON_MAX + PROTOCOL_BYTES_MAX + PROTOCOL_KIB(4))                         \
	X(DATA_ON_CALL, data_on_call, 0x0716,                                                     \
		PROTOCOL_JSON_MAX + PROTOCOL_BYTES_MAX + PROTOCOL_KIB(8))                         \
	/* worker -> front */                                                                     \
	X(DATA_BODY_CONSUMED, data_body_consumed, 0x0810, 64)                                     \
	X(DATA_RESPONSE, data_response, 0x0811, PROTOCOL_KIB(160))                                \
	X(DATA_RESPONSE_FAILED, data_response_failed, 0x0813, PROTOCOL_KIB(4))                    \
	X(DATA_CALL, data_call, 0x0814, PROTOCOL_JSON_MAX + PROTOCOL_BYTES_MAX + PROTOCOL_KIB(8)) \
	X(DATA_ON_CALL_RESULT, data_on_call_result, 0x0816,                                       \
		PROTOCOL_JSON_MAX + PROTOCOL_BYTES_MAX + PROTOCOL_KIB(4))                         \
	/* supervisor -> fetch */                                                                 \
	X(FETCH_START, fetch_start, 0x0910, PROTOCOL_KIB(16))                                     \
	X(FETCH_STOP, fetch_stop, 0x0911, 64)                                                     \
	/* fetch -> supervisor */                                                                 \
	X(FETCH_READY, fetch_ready, 0x0a10, PROTOCOL_KIB(4))                                      \
	/* front -> fetch */                                                                      \
	X(FETCH_HTTP, fetch_http, 0x0b10, PROTOCOL_BYTES_MAX + PROTOCOL_MIB(1))                   \
	X(FETCH_MAIL, fetch_mail, 0x0b11, PROTOCOL_MIB(2))                                        \
	/* fetch -> front */                                                                      \
	X(FETCH_RESULT, fetch_result, 0x0c10, PROTOCOL_BYTES_MAX + PROTOCOL_MIB(1))

/* Messages without fields (the payload is empty), and those whose payload is bytes as they are. */
#define PROTOCOL_SIGNALS(X)                                                                       \
	X(WORKER_GO, 0x0111, 0)                  /* every front is connected: start the plugin */ \
	X(WORKER_DRAINED, 0x0217, 0)             /* nothing is in flight any more */              \
	X(DATA_BODY, 0x0712, PROTOCOL_CHUNK_MAX) /* id: the request; bytes; perhaps LAST */       \
	X(DATA_RESPONSE_BODY, 0x0812, PROTOCOL_CHUNK_MAX) /* the same the other way */            \
	X(DATA_CALL_CANCEL, 0x0815, 0) /* id: the CALL; its CALL_RESULT still comes */            \
	X(FETCH_CANCEL, 0x0b12, 0)     /* id: the FETCH_...; its FETCH_RESULT still comes */

enum {
#define X(NAME, name, number, limit) PROTOCOL_##NAME = (number),
	PROTOCOL_MESSAGES(X)
#undef X
#define X(NAME, number, limit) PROTOCOL_##NAME = (number),
		PROTOCOL_SIGNALS(X)
#undef X
};

/* The limit callback of every channel (channel_config.limit). */
int64_t protocol_limit(uint8_t link, uint16_t type);
/* "worker_start"; "unknown" for what is none. For logs and error texts. */
const char *protocol_name(uint16_t type);

/* Lists. An element has the fields of its struct and cannot hold a list. */
struct protocol_pair {
	struct span key;
	struct span value;
};
struct protocol_pairs {
	const struct protocol_pair *items;
	uint32_t count;
};
struct protocol_spans {
	const struct span *items;
	uint32_t count;
};

/* ---- supervisor -> worker ------------------------------------------------------------------ */

/* The first message. The worker drops its rights, loads the plugin and answers WORKER_LOADED. */
struct worker_start {
	struct span installation; /* its id */
	uint64_t generation;
	struct span plugin; /* "acme/geo" */
	struct span version;
	struct span folder; /* the instance's own data folder, absolute; becomes the cwd; "": / */
	struct span entry;  /* absolute path of the .so in the store */
	uint64_t device;    /* of that file, as hashed by the supervisor: */
	uint64_t inode;     /* another file is refused before dlopen */
	struct protocol_spans needs;    /* interface ids of the ELF note: required, */
	struct protocol_spans wants;    /* and optional; the plugin can query what they name */
	struct span config;             /* JSON */
	struct protocol_spans routes;   /* route names of the manifest */
	struct protocol_spans provides; /* extensions of the manifest that this plugin serves */
	uint32_t drop_rights;           /* 1: become uid and gid (only as root) */
	uint32_t uid;
	uint32_t gid;
	uint64_t limit_files;      /* RLIMIT_NOFILE; 0 leaves it */
	uint64_t limit_processes;  /* RLIMIT_NPROC; 0 leaves it */
	uint64_t limit_file_bytes; /* RLIMIT_FSIZE; 0 leaves it */
};

struct worker_health_ask { /* id: chosen by the supervisor, returned with WORKER_HEALTH */
	uint32_t timeout_ms;
};

/* No new work comes; WORKER_DRAINED when the last is done, or at the deadline. */
struct worker_drain {
	uint32_t deadline_ms;
};

struct worker_stop { /* stop and destroy; then WORKER_STOPPED and exit 0 */
	uint32_t deadline_ms;
};

struct worker_configure {   /* id returned with WORKER_CONFIGURED */
	struct span config; /* JSON, whole */
};

/* ---- worker -> supervisor ------------------------------------------------------------------ */

struct worker_loaded { /* create() succeeded, or why not */
	int32_t rc;
	struct span text;
};

struct worker_started {
	int32_t rc;
	struct span text;
	struct protocol_spans routes; /* bound by start() */
};

enum { /* no answer in time is WORKER_HEALTH_UNHEALTHY, with a detail that says so */
	WORKER_HEALTH_HEALTHY,
	WORKER_HEALTH_DEGRADED,
	WORKER_HEALTH_UNHEALTHY,
	WORKER_HEALTH_COUNT
};

struct worker_health {
	uint32_t status;
	struct span detail; /* at most PROTOCOL_DETAIL_MAX; hostile text */
};

struct worker_configured {
	int32_t rc;
	struct span text;
};

struct worker_leftover {
	struct span kind; /* "timer", "call", "work", "request", "incoming call", "probe", "post" */
	struct span name; /* what is known of it: a route, a method; or "" */
	uint32_t count;
};

struct worker_stopped {
	int32_t rc;
	struct span text;
	struct {
		const struct worker_leftover *items;
		uint32_t count;
	} leftovers;
};

struct worker_log {
	uint32_t level;  /* enum log_level */
	uint32_t source; /* WORKER_LOG_... */
	int64_t time_us; /* real time */
	struct span message;
	struct protocol_pairs fields;
	uint32_t dropped; /* lines lost before this one, because the channel was full */
};

enum {
	WORKER_LOG_PLUGIN, /* the plugin wrote it */
	WORKER_LOG_HOST,   /* the host side in the worker noticed it: misbehaviour of the plugin */
	WORKER_LOG_COUNT
};

enum {
	WORKER_METRIC_COUNTER, /* value: what was added since the last sample */
	WORKER_METRIC_GAUGE,   /* value: as last set */
	WORKER_METRIC_COUNT
};

struct worker_metric {
	uint32_t kind;
	struct span name;
	struct span labels; /* "key=value" each, parted by newlines; "" for none */
	double value;
};

struct worker_metrics { /* each second at most, and only what changed */
	int64_t time_us;
	struct {
		const struct worker_metric *items;
		uint32_t count;
	} samples;
};

/* ---- supervisor -> front ------------------------------------------------------------------- */

struct front_start {
	uint32_t slot;
	struct span environment;
	struct span node;               /* its id */
	struct span database;           /* URL of the front's own login */
	struct protocol_pairs settings; /* by their names of settings.def */
	struct span fetch;              /* path of the socket of mortise-fetch */
};

struct front_table_worker {
	struct span installation;
	uint64_t generation;
	struct span plugin; /* "acme/geo" */
	struct span version;
	struct span mount;       /* "geo": routes start with /api/geo */
	struct span permissions; /* granted, parted by spaces */
	struct span provides;    /* extensions, parted by spaces */
	uint32_t draining; /* 1: it takes no new request; FRONT_DRAINED when none is in flight */
};

struct front_table_route {
	uint32_t worker; /* index into workers */
	struct span name;
	struct span method;
	struct span pattern; /* whole path: "/api/geo/city/{id}" */
	struct span scope;
	uint32_t deadline_ms;
	uint64_t body_limit;
};

/* The whole truth, numbered upwards. A front switches between requests and answers
 * FRONT_TABLE_ACK. A worker that is not listed is gone. */
struct front_table {
	uint64_t number;
	struct {
		const struct front_table_worker *items;
		uint32_t count;
	} workers;
	struct {
		const struct front_table_route *items;
		uint32_t count;
	} routes;
};

struct front_worker_connect { /* connect, send DATA_FRONT, answer FRONT_WORKER_CONNECTED */
	struct span installation;
	uint64_t generation;
	struct span path; /* of the worker's Unix socket */
};

struct front_staged { /* id: that of FRONT_STAGE */
	int32_t rc;
	struct span text;
	struct span fix;
	struct span digest; /* "sha256:..." of the package */
	struct span name;
	struct span version;
	struct span manifest; /* JSON, as signed */
	struct span signer;   /* key id */
	struct span warnings; /* a line each */
};

struct front_notify { /* a NOTIFY of the database, passed on */
	struct span topic;
	struct span payload;
};

struct front_stop { /* take no new connection; exit 0 when idle, or at the deadline */
	uint32_t deadline_ms;
};

struct front_key_ring_result { /* id: that of FRONT_KEY_RING; exactly once */
	int32_t rc;
	struct span text; /* when rc is not 0 */
	struct span result;
};

/* ---- front -> supervisor ------------------------------------------------------------------- */

struct front_ready {
	int32_t rc; /* 0: serving */
	struct span text;
};

struct front_table_ack {
	uint64_t number;
};

struct front_worker_connected {
	struct span installation;
	uint64_t generation;
	int32_t rc;
	struct span text;
};

struct front_stage {      /* with the package's descriptor; id returned with FRONT_STAGED */
	struct span user; /* id of who uploads */
	uint64_t size;
};

struct front_drained {
	struct span installation;
	uint64_t generation;
};

/* The master keys stand in the supervisor alone; a front asks it to use them. */
enum key_ring_op {
	KEY_RING_SEAL,   /* text -> envelope */
	KEY_RING_OPEN,   /* envelope -> text */
	KEY_RING_DIGEST, /* text -> hex HMAC-SHA-256 per key, newest first, parted by blanks */
	KEY_RING_OP_COUNT
};

#define KEY_RING_DATA_MAX PROTOCOL_KIB(8) /* text; an envelope of it is a third longer */

struct front_key_ring {      /* id: chosen by the front, returned with the result */
	uint32_t op;         /* enum key_ring_op */
	struct span context; /* the place: "users.mfa_secret:<id>" */
	struct span data;
};

/* ---- supervisor -> stage ------------------------------------------------------------------- */

struct stage_key {
	struct span key_id;     /* "ed25519:..." */
	struct span public_key; /* 32 raw bytes */
	struct span name;
	struct span namespaces; /* publishers it may sign for, parted by spaces; "*": any */
	uint32_t development;   /* 1: counts in environment development only */
	uint32_t revoked;       /* 1: listed so that the refusal can say so */
	int64_t expires_us;     /* real time; 0: never */
};

/* The only message of a stage process, which answers once and exits. With the package's
 * descriptor. */
struct stage_package {
	struct span
		folder; /* empty, absolute, writable by the stage's uid: unpacks to folder/files */
	struct span environment;
	struct span triplet;    /* "x86_64-linux-gnu": which entry is checked */
	uint64_t package_bytes; /* limits */
	uint64_t unpacked_bytes;
	uint64_t memory_bytes; /* RLIMIT_AS of its own; 0: none */
	uint32_t cpu_seconds;  /* RLIMIT_CPU; 0: none */
	uint32_t drop_rights;  /* 1: become uid and gid (only as root) */
	uint32_t uid;
	uint32_t gid;
	struct {
		const struct stage_key *items;
		uint32_t count;
	} keys;
	struct protocol_spans allowed; /* digests that are accepted without a trusted signature */
	struct protocol_spans revoked; /* digests that are refused */
};

struct stage_config { /* validate config against the schema in manifest */
	struct span manifest;
	struct span config;
};

/* ---- stage -> supervisor ------------------------------------------------------------------- */

struct stage_file {
	struct span path; /* below folder/files */
	uint64_t size;
	uint32_t mode;      /* 0644 or 0755 */
	struct span sha256; /* 32 raw bytes */
};

struct stage_package_result {
	int32_t rc;
	struct span text;
	struct span fix;
	struct span digest; /* "sha256:..." of the package */
	uint64_t size;
	struct span name;
	struct span version;
	struct span manifest;        /* JSON, as signed */
	struct span envelope;        /* manifest.dsse.json, byte for byte */
	struct span key_id;          /* of the signature that counted; "" for an allowed digest */
	struct span entry;           /* of the triplet, below folder/files; "" when it has none */
	struct protocol_spans needs; /* of the entry's ELF note */
	struct protocol_spans wants;
	struct protocol_spans warnings;
	struct {
		const struct stage_file *items;
		uint32_t count;
	} files;
};

struct stage_config_result {
	int32_t rc;
	struct span text;
	struct span fix;
	struct span config; /* JSON: defaults with the given members over them */
};

/* ---- front -> worker ----------------------------------------------------------------------- */

/* The first message of a data channel. The open channel of the lowest slot is the worker's
 * primary one: the plugin's background calls go there, and when it ends to the next. */
struct data_front {
	uint32_t slot;
};

/* id: chosen by the front, never used again on the channel, from one sequence with ON_CALL.
 * LAST: there is no body. The answer is RESPONSE (and RESPONSE_BODY ...) or RESPONSE_FAILED;
 * with LAST, with RESPONSE_FAILED or with GONE the request is over on both sides, and what still
 * arrives for it is passed over. */
struct data_request {
	struct span route; /* its name in the manifest */
	struct span method;
	struct span path;              /* as sent, without the query; percent-encoded */
	struct span query;             /* behind "?", as sent */
	struct protocol_pairs params;  /* of the pattern, in its order, percent-decoded */
	struct protocol_pairs headers; /* names in lower case, without those of the connection and
					  without credentials */
	int64_t length;                /* of the body; -1: not known */
	uint64_t deadline_ns;          /* clock_ns(), one clock for the machine; 0: none */
	struct span trace; /* the request's public id, at most BLACK_BOX_TRACE_MAX - 1 */
};

struct data_response_consumed { /* returns credit for RESPONSE.body and RESPONSE_BODY */
	uint32_t bytes;
};

struct data_gone {  /* the request, or the ON_CALL, of this id is over */
	int32_t rc; /* what on_gone is told: ERR_CANCELLED, ERR_DEADLINE, ERR_TOO_LARGE, ERR_FORMAT,
		       ERR_UNAVAIL */
};

struct data_call_result { /* id: that of CALL; exactly once, also after CALL_CANCEL */
	int32_t rc;
	struct span text; /* when rc is not 0 */
	struct span json;
	struct span bytes;
};

/* A call of another plugin to an extension that this one provides. Answered by ON_CALL_RESULT,
 * unless GONE comes first. */
struct data_on_call {
	struct span extension;
	struct span method;
	struct span json;
	struct span bytes;
	struct span caller; /* the calling plugin, "acme/geo"; "": the host itself */
	struct span operation_key;
	uint64_t deadline_ns;
	struct span trace;
};

/* ---- worker -> front ----------------------------------------------------------------------- */

struct data_body_consumed { /* returns credit for BODY */
	uint32_t bytes;
};

/* LAST: body is all of it. The body in RESPONSE counts for the window. */
struct data_response {
	uint32_t status;
	int64_t length;                /* of the whole body; -1: not known, it ends with LAST */
	struct protocol_pairs headers; /* unchecked: from a plugin */
	struct span body;              /* the first bytes, at most PROTOCOL_CHUNK_MAX */
};

struct data_response_failed { /* there will be no (more of the) answer */
	int32_t rc; /* ERR_UNAVAIL: before anything was answered by a draining plugin; else
		       ERR_INTERNAL */
	struct span text;
};

/* id: chosen by the worker, never used again on the channel. */
struct data_call {
	uint64_t parent; /* id of the REQUEST or ON_CALL it is made for; 0: a background call */
	struct span extension;
	struct span method;
	struct span json;
	struct span bytes;
	struct span operation_key;
	uint64_t deadline_ns; /* never 0 */
};

struct data_on_call_result {
	int32_t rc;
	struct span text; /* when rc is not 0 */
	struct span json;
	struct span bytes;
};

/* ---- supervisor -> fetch ------------------------------------------------------------------- */

struct fetch_start {
	uint32_t transfers;        /* most at once, */
	uint32_t plugin_transfers; /* and of one installation */
	struct span proxy;         /* URL; "": none */
	struct span no_proxy;      /* hosts and domains that are asked directly, parted by commas */
	struct span authorities;   /* PEM file; "": those that the system trusts */
};

struct fetch_stop { /* take nothing new; exit 0 when idle, or at the deadline */
	uint32_t deadline_ms;
};

/* ---- fetch -> supervisor ------------------------------------------------------------------- */

struct fetch_ready {
	int32_t rc; /* 0: serving */
	struct span text;
};

/* ---- front -> fetch ------------------------------------------------------------------------ */

/* id: chosen by the front, never used again on the channel. FETCH_RESULT comes exactly once. */
struct fetch_http {
	struct span installation; /* for whom: transfers are counted by it */
	uint32_t any_address;     /* 1: an administrator named the URL; 0: public addresses only */
	struct span method;
	struct span url;
	struct protocol_pairs headers;
	struct span body;
	uint32_t timeout_ms;     /* of it all */
	uint32_t redirects;      /* at most so many are followed */
	uint64_t response_bytes; /* longest body taken */
};

struct fetch_mail {
	struct span installation;
	uint32_t any_address;
	struct span url;      /* smtp:// or smtps:// */
	struct span username; /* "": no login */
	struct span password;
	uint32_t plain; /* 1: go on where an smtp:// server offers no TLS */
	struct span from;
	struct protocol_spans to;
	struct span message; /* RFC 5322, lines end with CRLF */
	uint32_t timeout_ms;
};

/* ---- fetch -> front ------------------------------------------------------------------------ */

struct fetch_result {
	int32_t rc;       /* ERR_UNAVAIL: nothing was sent; ERR_UNKNOWN: perhaps it was done */
	struct span text; /* when rc is not 0 */
	uint32_t status;  /* of HTTP */
	struct span url;  /* that answered, behind redirects */
	struct protocol_pairs headers;
	struct span body;
};

/* ---- encode, decode, send ------------------------------------------------------------------ */

/* Memory of decoded lists: kept from one message to the next, reset by each decode. */
struct protocol_memory {
	struct protocol_block *blocks;
};
void protocol_memory_init(struct protocol_memory *m);
void protocol_memory_done(struct protocol_memory *m);

/* Behind the typed functions: message points to the struct of that type. */
void protocol_encode(struct text *out, uint16_t type, const void *message);
/* ERR_PROTOCOL: not a message of that type; *message is undefined then. */
int protocol_decode(uint16_t type, struct span payload, void *message,
	struct protocol_memory *memory, struct error *err);
/* Encode and channel_send() as credited: such messages are bounded by the protocol's credits or by
 * the number of things there are. The messages that are not (WORKER_LOG, WORKER_METRICS) ask
 * channel_writable() first. flags: 0 or PROTOCOL_LAST; fd -1: none. */
int protocol_send(struct channel *ch, uint16_t type, uint64_t id, const void *message,
	uint16_t flags, int fd);
/* A message without fields. */
int protocol_send_signal(struct channel *ch, uint16_t type, uint64_t id);
/* Encode (message NULL: without fields) and channel_line_send(). */
int protocol_line_send(struct channel_line *line, uint16_t type, uint64_t id, const void *message,
	uint16_t flags, int fd, struct error *err);

#define X(NAME, name, number, limit)                                                               \
	struct name;                                                                               \
	static inline void encode_##name(struct text *out, const struct name *message)             \
	{                                                                                          \
		protocol_encode(out, PROTOCOL_##NAME, message);                                    \
	}                                                                                          \
	static inline int decode_##name(struct name *out, struct span payload,                     \
		struct protocol_memory *memory, struct error *err)                                 \
	{                                                                                          \
		return protocol_decode(PROTOCOL_##NAME, payload, out, memory, err);                \
	}                                                                                          \
	static inline int send_##name(struct channel *ch, uint64_t id, const struct name *message) \
	{                                                                                          \
		return protocol_send(ch, PROTOCOL_##NAME, id, message, 0, -1);                     \
	}
PROTOCOL_MESSAGES(X)
#undef X

/* ---- the black box ------------------------------------------------------------------------- */

/* A page that the worker writes and the supervisor reads once the worker is dead: what the plugin
 * was doing. The plugin can write it too, so it is read as hostile. */
#define BLACK_BOX_MAGIC        UINT32_C(0x78426b42)
#define BLACK_BOX_SIZE         4096
#define BLACK_BOX_CALLBACK_MAX 64
#define BLACK_BOX_TRACE_MAX    48
#define BLACK_BOX_REQUESTS     64

struct black_box {
	uint32_t magic;
	uint32_t more;                         /* live requests that found no place in the list */
	uint64_t entered_ns;                   /* clock_ns() of the callback's begin; 0: in none */
	char callback[BLACK_BOX_CALLBACK_MAX]; /* "start", "http.on_request ping"; "" */
	char trace[BLACK_BOX_TRACE_MAX];       /* of the request the callback serves; "" */
	char requests[BLACK_BOX_REQUESTS]
		     [BLACK_BOX_TRACE_MAX]; /* traces of live requests, "" = free */
};
_Static_assert(sizeof(struct black_box) <= BLACK_BOX_SIZE, "the black box is one page");

/* Copy the box in fd; every string is NUL-terminated printable ASCII after. ERR_FORMAT: not a
 * black box (the worker died before it began, or the plugin overwrote it). */
int black_box_read(int fd, struct black_box *out, struct error *err);

#endif
