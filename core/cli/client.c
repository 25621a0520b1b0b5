/* libcurl's easy interface does HTTP; this file adds the token, the problem
 * documents and the event stream.
 */
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/session.h"

#define ANSWER_LIMIT    (64u << 20)
#define TOKEN_LIMIT     4096
#define CONNECT_SECONDS 5L

struct client {
	CURL *curl;
	char *base;      /* "http://127.0.0.1:7400" */
	char *token;     /* NULL: none */
	bool authorized; /* token was looked for */
	bool kept;       /* token is the kept session's, and may be renewed, */
	bool renewed;    /* once */
	char reason[CURL_ERROR_SIZE];
};

/* What one transfer gathers. */
struct transfer {
	struct cli *cli;
	struct text answer; /* the body, or the unfinished line of an event stream */
	FILE *copy;         /* a success goes here instead */
	client_event_cb on_event;
	void *user;
	char *event; /* of the event being read */
	struct text data;
	bool stopped; /* on_event had enough */
	bool too_long;
	const char *label;
	int fd; /* being uploaded */
};

/* A small file of the data folder, less its line break; NULL when it is not there. */
static int read_line(const char *data, const char *name, char **out, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", data, name);
	struct text line;
	int rc;

	*out = NULL;
	text_init(&line);
	rc = io_read_file(AT_FDCWD, path, TOKEN_LIMIT, &line, err);
	while (rc == 0 && line.len && line.data[line.len - 1] == '\n')
		line.data[--line.len] = '\0';
	if (rc == 0)
		*out = mem_strdup(line.data);
	mem_wipe(line.data, line.len);
	text_done(&line);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Where the host of the data folder listens; NULL: none runs there. */
static int find_own(const char *data, char **out, struct error *err)
{
	CLEANUP(mem_freep) char *listen = NULL;
	int rc = read_line(data, "listen", &listen, err);

	*out = rc == 0 && listen ? mem_printf("http://%s", listen) : NULL;
	return rc;
}

static int find_base(struct cli *cli, const char *data, char **out, struct error *err)
{
	int rc;

	if (cli->host && cli->host[0]) {
		*out = strstr(cli->host, "://") ? mem_strdup(cli->host)
						: mem_printf("http://%s", cli->host);
		return 0;
	}
	rc = find_own(data, out, err);
	if (rc == 0 && !*out)
		return error_set(
			err, ERR_UNREACHABLE, "no host runs on the data folder '%s'", data);
	return rc;
}

static int open_client(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL;
	struct client *client;
	int rc;

	if (cli->client)
		return 0;
	rc = cli_data(cli, &data, err);
	if (rc < 0)
		return rc;
	client = mem_zalloc(sizeof(*client));
	rc = find_base(cli, data, &client->base, err);
	if (rc == 0) {
		client->curl = curl_easy_init();
		if (!client->curl)
			rc = error_set(err, ERR_SYSTEM, "libcurl does not start");
	}
	if (rc < 0) {
		client_free(client);
		return rc;
	}
	cli->client = client;
	return 0;
}

int client_base(struct cli *cli, const char **out, struct error *err)
{
	int rc = open_client(cli, err);

	if (rc == 0)
		*out = cli->client->base;
	return rc;
}

/* ---- credentials -------------------------------------------------------------------------------
 */

static void set_token(struct client *client, const char *token)
{
	if (client->token)
		mem_wipe(client->token, strlen(client->token));
	mem_free(client->token);
	client->token = mem_strdup(token);
	client->authorized = true;
}

int client_use(struct cli *cli, const char *token, struct error *err)
{
	int rc = open_client(cli, err);

	if (rc == 0) {
		set_token(cli->client, token);
		cli->client->kept = false;
	}
	return rc;
}

/* The admin token of a data folder is for its own host: another would learn it. */
static int read_admin_token(struct cli *cli, char **token, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL, *own = NULL;
	int rc = cli_data(cli, &data, err);

	*token = NULL;
	if (rc == 0)
		rc = find_own(data, &own, err);
	if (rc < 0 || !own || strcmp(own, cli->client->base) != 0)
		return rc;
	return read_line(data, "admin.token", token, err);
}

/* Without any the host answers 401 where one is needed. */
static int authorize(struct cli *cli, struct error *err)
{
	struct client *client = cli->client;
	char *token = NULL;
	int rc = 0;

	if (client->authorized)
		return 0;
	if (cli->token && cli->token[0]) {
		set_token(client, cli->token);
		return 0;
	}
	rc = session_token(cli, &token, err);
	client->kept = token != NULL;
	if (rc == 0 && !token)
		rc = read_admin_token(cli, &token, err);
	if (rc == 0)
		set_token(client, token);
	if (token)
		mem_wipe(token, strlen(token));
	mem_free(token);
	return rc;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	if (client->token)
		mem_wipe(client->token, strlen(client->token));
	mem_free(client->token);
	mem_free(client->base);
	mem_free(client);
}

static void end_event(struct transfer *t)
{
	json_t *data;

	if (t->data.len == 0 && !t->event)
		return;
	data = json_loadb(t->data.data, t->data.len, JSON_DECODE_ANY, NULL);
	if (data && !t->on_event(t->user, t->event ? t->event : "message", data))
		t->stopped = true;
	json_decref(data);
	mem_free(TAKE(t->event));
	text_clear(&t->data);
}

/* One line of the stream, as the HTML standard section 9.2.6 interprets it. */
static void take_line(struct transfer *t, struct span line)
{
	struct span field;

	if (line.len == 0) {
		end_event(t);
		return;
	}
	if (!span_split(&line, ':', &field))
		return;
	if (!line.data)
		line = SPAN("");
	if (line.len && line.data[0] == ' ')
		line = (struct span){ line.data + 1, line.len - 1 };
	if (span_is(field, "event")) {
		mem_free(t->event);
		t->event = mem_printf("%.*s", SPAN_ARG(line));
	} else if (span_is(field, "data")) {
		if (t->data.len)
			text_append_char(&t->data, '\n');
		text_append_span(&t->data, line);
	}
}

static void take_lines(struct transfer *t)
{
	const char *end;

	while (!t->stopped && (end = memchr(t->answer.data, '\n', t->answer.len)) != NULL) {
		size_t len = (size_t)(end - t->answer.data);

		take_line(t, (struct span){ t->answer.data,
				     len && t->answer.data[len - 1] == '\r' ? len - 1 : len });
		text_consume(&t->answer, len + 1);
	}
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct transfer *t = user;
	size_t len = size * count;
	long status = 0;

	curl_easy_getinfo(t->cli->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->copy && status < 300)
		return fwrite(data, 1, len, t->copy) == len && fflush(t->copy) == 0 ? len : 0;
	if (t->answer.len + len > ANSWER_LIMIT) {
		t->too_long = true;
		return 0;
	}
	text_append(&t->answer, data, len);
	if (t->on_event && status < 300)
		take_lines(t);
	return t->stopped ? 0 : len;
}

static size_t on_upload(char *to, size_t size, size_t count, void *user)
{
	const struct transfer *t = user;
	ssize_t n;

	do {
		n = read(t->fd, to, size * count);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? CURL_READFUNC_ABORT : (size_t)n;
}

static int on_progress(
	void *user, curl_off_t total_down, curl_off_t down, curl_off_t total, curl_off_t sent)
{
	struct transfer *t = user;

	(void)total_down;
	(void)down;
	if (t->label && total > 0)
		cli_progress(t->cli, t->label, (uint64_t)sent, (uint64_t)total);
	return 0;
}

/* The error that a problem document (RFC 9457) describes; any other answer is told by its status.
 */
static int problem(const char *method, const char *path, long status, const struct text *answer,
	struct error *err)
{
	json_t *doc = json_loadb(answer->data, answer->len, 0, NULL);
	const char *code = cli_text(doc, "code", "");
	const char *detail = cli_text(doc, "detail", cli_text(doc, "title", ""));
	const json_t *first = json_array_get(json_object_get(doc, "fix"), 0);
	const char *fix = json_is_object(first)
				  ? cli_text(first, "text", cli_text(first, "command", ""))
				  : cli_text(doc, "fix", "");
	int rc = ERR_INTERNAL;

	if (strncmp(code, "MRT-", 4) == 0)
		rc = error_entry(-(int)strtol(code + 4, NULL, 10))->code;
	if (detail[0])
		(void)error_set(err, rc, "%s", detail);
	else
		(void)error_set(err, rc, "the host answered %ld to %s %s", status, method, path);
	if (fix[0])
		(void)error_fix(err, "%s", fix);
	json_decref(doc);
	return rc;
}

static int outcome(struct client *client, const struct client_request *request,
	const struct transfer *t, CURLcode code, struct error *err)
{
	long status = 0;

	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
		code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING)
		return error_set(err, ERR_UNREACHABLE, "no host answers at %s: %s", client->base,
			client->reason);
	if (t->too_long)
		return error_set(err, ERR_TOO_LARGE, "the host's answer is longer than %u bytes",
			ANSWER_LIMIT);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	/* An upload that the host refuses half way ends in a send error behind a whole answer. */
	if (status >= 300)
		return problem(request->method, request->path, status, &t->answer, err);
	if (code != CURLE_OK && !t->stopped)
		return error_set(err, ERR_UNREACHABLE, "%s %s at %s: %s", request->method,
			request->path, client->base, client->reason);
	return 0;
}

static int set_body(CURL *curl, const struct client_request *request, struct transfer *t,
	char **body, struct error *err)
{
	struct stat st;

	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->upload_fd > 0) {
		if (fstat(request->upload_fd, &st) == -1)
			return error_set_errno(err, errno, "stat the file to send");
		t->fd = request->upload_fd;
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(curl, CURLOPT_READDATA, t);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	} else if (request->body || strcmp(request->method, "POST") == 0) {
		*body = request->body ? json_dumps(request->body, JSON_COMPACT) : mem_strdup("");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, *body);
	}
	return 0;
}

static struct curl_slist *append_token(struct curl_slist *headers, const char *token)
{
	char *line = mem_printf("Authorization: Bearer %s", token);

	headers = curl_slist_append(headers, line); /* copies */
	mem_wipe(line, strlen(line));
	mem_free(line);
	return headers;
}

static int transfer(struct cli *cli, const struct client_request *request, struct transfer *t,
	struct error *err)
{
	CLEANUP(mem_freep) char *url = NULL, *body = NULL, *type = NULL;
	struct curl_slist *headers = NULL;
	struct client *client;
	CURLcode code;
	int rc = open_client(cli, err);

	if (rc == 0 && !request->bare)
		rc = authorize(cli, err);
	if (rc < 0)
		return rc;
	client = cli->client;
	client->reason[0] = '\0';
	t->cli = cli;
	t->label = request->label;
	url = mem_printf("%s%s", client->base, request->path);
	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	/* What a name holds is the host's to judge: '..' must not reach another resource. */
	curl_easy_setopt(client->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "127.0.0.1,::1,localhost");
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->reason);
	curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(client->curl, CURLOPT_USERAGENT, "mortise/" MORTISE_VERSION);
	rc = set_body(client->curl, request, t, &body, err);
	if (rc < 0)
		return rc;
	type = mem_printf("Content-Type: %s", request->type ? request->type : "application/json");
	headers = curl_slist_append(headers, type);
	headers = curl_slist_append(headers,
		t->on_event ? "Accept: text/event-stream" : "Accept: application/json, */*");
	headers = curl_slist_append(headers, "Expect:");
	if (client->token && !request->bare)
		headers = append_token(headers, client->token);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(client->curl);
	curl_slist_free_all(headers);
	return outcome(client, request, t, code, err);
}

/* Did rc say that the kept session's token counts no more, and is there another now? Not for an
 * upload: the file is spent. *rc is 0 then, or why there is none. */
static bool renewed(
	struct cli *cli, const struct client_request *request, int *rc, struct error *err)
{
	char *fresh = NULL;

	if (*rc != ERR_SESSION_UNKNOWN || request->bare || request->upload_fd > 0 ||
		!cli->client->kept || cli->client->renewed)
		return false;
	cli->client->renewed = true;
	*rc = session_renew(cli, cli->client->token, &fresh, err);
	if (*rc < 0)
		return false;
	set_token(cli->client, fresh);
	mem_wipe(fresh, strlen(fresh));
	mem_free(fresh);
	return true;
}

static int send_once(
	struct cli *cli, const struct client_request *request, json_t **out, struct error *err)
{
	struct transfer t = { .fd = -1 };
	json_t *answer = NULL;
	int rc;

	text_init(&t.answer);
	rc = transfer(cli, request, &t, err);
	if (rc == 0 && t.answer.len) {
		answer = json_loadb(t.answer.data, t.answer.len, JSON_DECODE_ANY, NULL);
		if (!answer)
			rc = error_set(err, ERR_PROTOCOL, "the answer to %s %s is no JSON",
				request->method, request->path);
	}
	text_done(&t.answer);
	if (rc == 0 && out)
		*out = TAKE(answer);
	json_decref(answer);
	return rc;
}

int client_send(
	struct cli *cli, const struct client_request *request, json_t **out, struct error *err)
{
	bool again;
	int rc;

	do {
		rc = send_once(cli, request, out, err);
		again = renewed(cli, request, &rc, err);
	} while (again);
	return rc;
}

int client_get(struct cli *cli, const char *path, json_t **out, struct error *err)
{
	return client_send(cli,
		&(struct client_request){ .method = "GET", .path = path, .upload_fd = -1 }, out,
		err);
}

int client_post(
	struct cli *cli, const char *path, const json_t *body, json_t **out, struct error *err)
{
	return client_send(cli,
		&(struct client_request){
			.method = "POST", .path = path, .body = body, .upload_fd = -1 },
		out, err);
}

int client_events(
	struct cli *cli, const char *path, client_event_cb on_event, void *user, struct error *err)
{
	const struct client_request request = { .method = "GET", .path = path, .upload_fd = -1 };
	bool again;
	int rc;

	do {
		struct transfer t = { .fd = -1, .on_event = on_event, .user = user };

		text_init(&t.answer);
		text_init(&t.data);
		rc = transfer(cli, &request, &t, err);
		mem_free(t.event);
		text_done(&t.data);
		text_done(&t.answer);
		again = renewed(cli, &request, &rc, err);
	} while (again);
	return rc;
}

int client_copy(struct cli *cli, const struct client_request *request, FILE *to, struct error *err)
{
	bool again;
	int rc;

	do {
		struct transfer t = { .fd = -1, .copy = to };

		text_init(&t.answer);
		rc = transfer(cli, request, &t, err);
		text_done(&t.answer);
		again = renewed(cli, request, &rc, err);
	} while (again);
	return rc;
}

void client_escape(struct text *t, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			strchr("-._~", c))
			text_append_char(t, (char)c);
		else
			text_printf(t, "%%%02X", c);
	}
}
