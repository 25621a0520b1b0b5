/* transfer_priv.h - what transfer.c, http.c and mail.c share */
#ifndef MORTISE_FETCH_TRANSFER_PRIV_H
#define MORTISE_FETCH_TRANSFER_PRIV_H

#include <curl/curl.h>
#include <stdint.h>

#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "fetch/transfer.h"

struct multi;
struct party;

struct transfers {
	struct multi *multi;
	struct map parties; /* installation -> struct party */
	size_t count;
	uint32_t most;
	uint32_t most_of_one;
	uint64_t buffered;            /* bytes of answers that are held here, */
	transfers_pending_cb pending; /* and of those that were given and wait to leave */
	void *pending_user;
	char *proxy; /* NULL: none */
	char *no_proxy;
	char *authorities; /* NULL: the system's */
};

struct transfer_kind {
	/* libcurl has ended it well: call t->done, or run it again (a redirect), or set t->err. */
	void (*end)(struct transfer *t);
	/* libcurl has failed: set t->err to what that means for whoever asked. */
	void (*explain)(struct transfer *t, CURLcode code);
};

struct transfer {
	uint32_t magic;
	struct transfers *all;
	struct party *party;
	const struct transfer_kind *kind;
	CURL *easy;
	bool running;     /* in multi */
	bool any_address; /* of this hop */
	bool proxied;     /* this hop */
	bool acts;        /* what is sent may have an effect, */
	bool acted;       /* and something was sent */
	uint64_t deadline_ns;
	char *url; /* of this hop */
	struct text request;
	size_t request_sent; /* of mail */
	struct text response;
	uint64_t response_max;
	size_t header_bytes;
	struct error err; /* why we broke it off ourselves; code 0: we did not */
	char curl_text[CURL_ERROR_SIZE];
	transfer_done_cb done;
	void *user;

	/* Of HTTP. */
	char *method;
	struct curl_slist *headers;
	struct curl_slist *plain_headers; /* those that may go to another origin */
	uint32_t redirects;               /* that may still be followed */
	bool redirected;                  /* they were asked for at all */
	/* Of mail. */
	struct curl_slist *recipients;
};

/* A transfer that is counted, or why not: ERR_LIMIT. */
int transfer_new(struct transfer **out, struct transfers *all, const struct transfer_kind *kind,
	struct span installation, struct error *err);
void transfer_free(struct transfer *t);

/* Give easy, freshly reset, the options that all have in common; t->url and any_address are set.
 * protocols: "http,https". ERR_INVALID, ERR_PERMISSION: not to this URL. */
int transfer_prepare(struct transfer *t, const char *protocols, struct error *err);
/* Let it run; the deadline is set. */
int transfer_run(struct transfer *t, struct error *err);

#endif
