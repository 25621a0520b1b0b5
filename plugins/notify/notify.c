/* notify.c - short messages to people, by SMTP or webhook
 *
 * Provides notify/1 to other plugins and to the host, and keeps nothing: each incoming call becomes
 * one call of fetch/1, whose outcome is its answer. The plugin never sees the mail server's
 * password, nor does it need to know the URLs: it names them, and the host fills them in.
 */
#include <stdlib.h>
#include <string.h>

#include <mortise/fetch.h>
#include <mortise/notify.h>
#include <mortise/plugin.h>

struct mortise_instance {
	struct mortise_host *host;
	const struct mortise_call_1 *call;
	const struct mortise_config_1 *config;
	/* Of the configuration; NULL: not set. A change of it starts the plugin anew. */
	char *smtp_url;
	char *smtp_tls;
	char *smtp_username;
	char *from;
	char *from_name;
	char *webhook_url;
	uint32_t webhook_signed;
};

/* A message as it came; the texts point into the call's JSON or into scratch. */
struct message {
	struct mortise_str channel;
	struct mortise_str to;
	struct mortise_str subject;
	struct mortise_str text;
	char *scratch;
};

/* ---- configuration ------------------------------------------------------------------------ */

static char *read_setting(const struct mortise_json *config, const char *name)
{
	struct mortise_json value;
	struct mortise_str text;
	char scratch[4 * 2000];

	if (mortise_json_member(config, name, &value) != 0 ||
		mortise_json_string(&value, scratch, sizeof(scratch), &text) != 0 || text.size == 0)
		return NULL;
	return strndup(text.data, text.size);
}

/* As an optional parameter, which is absent without data. */
static struct mortise_str setting(const char *value)
{
	return value ? mortise_str_from(value) : mortise_str_of(NULL, 0);
}

static int32_t read_config(
	struct mortise_instance *self, struct mortise_str json, struct mortise_error *err)
{
	struct mortise_json config, value;
	int32_t rc = mortise_json_parse(json, &config);

	if (rc != 0)
		return mortise_fail(err, rc, "the configuration is no JSON");
	self->smtp_url = read_setting(&config, "smtp_url");
	self->smtp_tls = read_setting(&config, "smtp_tls");
	self->smtp_username = read_setting(&config, "smtp_username");
	self->from = read_setting(&config, "from");
	self->from_name = read_setting(&config, "from_name");
	self->webhook_url = read_setting(&config, "webhook_url");
	if (mortise_json_member(&config, "webhook_signed", &value) == 0)
		(void)mortise_json_boolean(&value, &self->webhook_signed);
	if (self->smtp_url && !self->from)
		return mortise_fail(err, MORTISE_E_INVALID,
			"'smtp_url' needs 'from', the address that e-mail comes from");
	if (self->smtp_username && self->smtp_tls && strcmp(self->smtp_tls, "offered") == 0)
		return mortise_fail(err, MORTISE_E_INVALID,
			"'smtp_username' needs 'smtp_tls' to be \"required\": a password is not "
			"sent "
			"in the clear");
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------ */

static void refuse(
	struct mortise_instance *self, mortise_id call, int32_t rc, struct mortise_str why)
{
	struct mortise_call_result_1 result = { .text = why };

	/* Where the call is over meanwhile, there is nobody to tell. */
	(void)self->call->answer(self->host, call, rc, &result);
}

static void confirm(struct mortise_instance *self, mortise_id call, struct mortise_str id)
{
	struct mortise_call_result_1 result = { .cause = 0 };
	struct mortise_json_writer w;

	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_string(&w, "id", id);
	mortise_json_close(&w);
	if (mortise_json_written(&w, &result.json) == 0)
		(void)self->call->answer(self->host, call, 0, &result);
	else
		refuse(self, call, MORTISE_E_LIMIT, MORTISE_STR("no memory"));
	mortise_json_writer_done(&w);
}

/* ---- by mail ------------------------------------------------------------------------------ */

/* The call that this was done for is its cause. */
static void on_mailed(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct mortise_fetch_mail_result mail;

	(void)user;
	if (rc == 0)
		rc = mortise_fetch_mail_read(result, &mail);
	if (rc == 0)
		confirm(self, result->cause, mail.message_id);
	else
		refuse(self, result->cause, rc, result->text);
}

static int32_t send_mail(struct mortise_instance *self, const struct mortise_call_setup *setup,
	const struct message *message)
{
	const struct mortise_fetch_mail_params mail = {
		.url_config = MORTISE_STR("smtp_url"),
		.tls = setting(self->smtp_tls),
		.username = setting(self->smtp_username),
		.password_secret = self->smtp_username ? MORTISE_STR("smtp_password")
						       : mortise_str_of(NULL, 0),
		.from = mortise_str_from(self->from),
		.from_name = setting(self->from_name),
		.to = &message->to,
		.to_count = 1,
		.subject = message->subject,
		.text = message->text,
	};

	return mortise_fetch_mail(setup, &mail, NULL);
}

/* ---- by webhook --------------------------------------------------------------------------- */

static int32_t code_of(uint32_t status)
{
	if (status >= 200 && status < 300)
		return 0;
	if (status == 429 || status == 503)
		return MORTISE_E_UNAVAIL;
	return status >= 500 ? MORTISE_E_UNKNOWN : MORTISE_E_INVALID;
}

static void on_posted(struct mortise_instance *self, void *user, int32_t rc,
	const struct mortise_call_result_1 *result)
{
	struct mortise_fetch_request_result answer;
	struct mortise_error why;

	(void)user;
	if (rc == 0)
		rc = mortise_fetch_request_read(result, &answer);
	if (rc != 0) {
		refuse(self, result->cause, rc, result->text);
		return;
	}
	rc = code_of(answer.status);
	if (rc == 0) {
		confirm(self, result->cause, MORTISE_STR(""));
		return;
	}
	(void)mortise_fail(&why, rc, "the webhook answered %u", answer.status);
	refuse(self, result->cause, rc, mortise_str_from(why.text));
}

static int32_t post(struct mortise_instance *self, const struct mortise_call_setup *setup,
	const struct message *message)
{
	const struct mortise_fetch_header headers[] = {
		{ .name = MORTISE_STR("Content-Type"), .value = MORTISE_STR("application/json") },
		{ .name = MORTISE_STR("Authorization"),
			.value = MORTISE_STR("Bearer "),
			.secret = MORTISE_STR("webhook_token") },
	};
	struct mortise_fetch_request_params request = {
		.url_config = MORTISE_STR("webhook_url"),
		.method = MORTISE_STR("POST"),
		.headers = headers,
		.headers_count = self->webhook_signed ? 2 : 1,
	};
	struct mortise_json_writer w;
	int32_t rc;

	mortise_json_writer_init(&w);
	mortise_json_open_object(&w);
	mortise_json_put_string(&w, "channel", message->channel);
	mortise_json_put_string(&w, "to", message->to);
	mortise_json_put_string(&w, "subject", message->subject);
	mortise_json_put_string(&w, "text", message->text);
	mortise_json_close(&w);
	rc = mortise_json_written(&w, &request.bytes);
	if (rc == 0)
		rc = mortise_fetch_request(setup, &request, NULL);
	mortise_json_writer_done(&w);
	return rc;
}

/* ---- notify/1 ----------------------------------------------------------------------------- */

static int32_t read_text(const struct mortise_json *object, const char *name, char **scratch,
	const char *end, struct mortise_str *out)
{
	struct mortise_json value;
	int32_t rc = mortise_json_member(object, name, &value);

	if (rc == 0)
		rc = mortise_json_string(&value, *scratch, (uint64_t)(end - *scratch), out);
	if (rc == 0 && value.escaped)
		*scratch += out->size;
	return rc;
}

/* The host has checked it against the schema of notify/1; what it decodes to is never longer than
 * the JSON itself. */
static int32_t read_message(struct mortise_str json, struct message *out)
{
	struct mortise_json object;
	char *at, *end;
	int32_t rc = mortise_json_parse(json, &object);

	out->scratch = malloc(json.size);
	if (!out->scratch)
		return MORTISE_E_LIMIT;
	at = out->scratch;
	end = at + json.size;
	if (rc == 0)
		rc = read_text(&object, "channel", &at, end, &out->channel);
	if (rc == 0)
		rc = read_text(&object, "to", &at, end, &out->to);
	if (rc == 0)
		rc = read_text(&object, "subject", &at, end, &out->subject);
	if (rc == 0)
		rc = read_text(&object, "text", &at, end, &out->text);
	return rc;
}

static int is_phone_number(struct mortise_str to)
{
	uint64_t i, digits = 0;

	for (i = 0; i < to.size; i++) {
		if (to.data[i] >= '0' && to.data[i] <= '9')
			digits++;
		else if (to.data[i] != '+' || i > 0)
			return 0;
	}
	return digits >= 3 && digits <= 15;
}

static void send_on(struct mortise_instance *self, mortise_id call,
	const struct mortise_call_incoming_1 *incoming, const struct message *message)
{
	struct mortise_call_setup setup = { .host = self->host,
		.call = self->call,
		.cause = call,
		.operation_key = incoming->operation_key };
	int is_mail = mortise_str_equal(message->channel, MORTISE_STR("email"));
	int32_t rc;

	if (!is_mail && !is_phone_number(message->to)) {
		refuse(self, call, MORTISE_E_INVALID, MORTISE_STR("no telephone number"));
	} else if (is_mail && self->smtp_url) {
		setup.done = on_mailed;
		rc = send_mail(self, &setup, message);
		if (rc < 0)
			refuse(self, call, rc, MORTISE_STR("too much is under way"));
	} else if (self->webhook_url) {
		setup.done = on_posted;
		rc = post(self, &setup, message);
		if (rc < 0)
			refuse(self, call, rc, MORTISE_STR("too much is under way"));
	} else {
		refuse(self, call, MORTISE_E_UNSUPPORTED,
			is_mail ? MORTISE_STR("neither smtp_url nor webhook_url is configured")
				: MORTISE_STR("webhook_url is not configured"));
	}
}

static void on_call(struct mortise_instance *self, mortise_id call,
	const struct mortise_call_incoming_1 *incoming)
{
	struct message message = { .scratch = NULL };

	if (!mortise_str_equal(incoming->method, MORTISE_STR("send")))
		refuse(self, call, MORTISE_E_UNSUPPORTED, MORTISE_STR("no such method"));
	else if (read_message(incoming->json, &message) != 0)
		refuse(self, call, MORTISE_E_FORMAT, MORTISE_STR("no message"));
	else
		send_on(self, call, incoming, &message);
	free(message.scratch);
}

/* ---- life --------------------------------------------------------------------------------- */

static void destroy(struct mortise_instance *self)
{
	free(self->smtp_url);
	free(self->smtp_tls);
	free(self->smtp_username);
	free(self->from);
	free(self->from_name);
	free(self->webhook_url);
	free(self);
}

static int32_t create(
	struct mortise_host *host, struct mortise_instance **out, struct mortise_error *err)
{
	struct mortise_instance *self = calloc(1, sizeof(*self));

	if (!self)
		return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
	self->host = host;
	self->call = mortise_query_call_1(host);
	self->config = mortise_query_config_1(host);
	*out = self;
	return 0;
}

/* A configuration that cannot work is said at install, not at the first message. */
static int32_t start(struct mortise_instance *self, struct mortise_error *err)
{
	struct mortise_str json;
	int32_t rc = self->config->get(self->host, &json);

	return rc < 0 ? mortise_fail(err, rc, "no configuration") : read_config(self, json, err);
}

static const struct mortise_call_serve_1 serve = { .on_call = on_call };
static const struct mortise_offer offers[] = { { MORTISE_CALL_SERVE_1, &serve }, { NULL, NULL } };

MORTISE_PLUGIN("mortise/notify", "1.0.0",
	MORTISE_NEED(MORTISE_CALL_1) MORTISE_NEED(MORTISE_CONFIG_1), .create = create,
	.start = start, .destroy = destroy, .offers = offers);
