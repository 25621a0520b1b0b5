#include "api/rest_fields.h"

#include <stdio.h>

#include "api/rest_priv.h"
#include "codec/json.h"

#define POINTER_MAX 128

static const struct rest_field *find_field(const struct rest_field *fields, const char *name)
{
	for (const struct rest_field *f = fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static const char *wrong_text(const struct rest_field *f, const json_t *value)
{
	struct span text = json_span(value);

	if (!text.data)
		return "is not a string";
	if (text.len == 0)
		return (f->flags & REST_FIELD_NULL) ? "is empty; null clears it" : "is empty";
	if (json_length(text) > f->max)
		return "is too long";
	return f->wrong ? f->wrong(text) : NULL;
}

static const char *wrong_value(const struct rest_field *f, const json_t *value)
{
	if (json_is_null(value))
		return (f->flags & REST_FIELD_NULL) ? NULL : "cannot be null";
	switch (f->type) {
	case REST_FIELD_TEXT:
		return wrong_text(f, value);
	case REST_FIELD_BOOLEAN:
		return json_is_boolean(value) ? NULL : "is neither true nor false";
	case REST_FIELD_OBJECT:
		if (!json_is_object(value))
			return "is not an object";
		return json_dumpb(value, NULL, 0, JSON_COMPACT) > f->max ? "is too large" : NULL;
	}
	return "has an unknown type";
}

static const char *wrong_member(const struct rest_field *f, const json_t *value, unsigned purpose)
{
	if (!f)
		return "is not known";
	if (!(f->flags & (REST_FIELD_CREATE | REST_FIELD_CHANGE)))
		return "is read only";
	if (!(f->flags & purpose))
		return purpose == REST_FIELD_CREATE ? "cannot be given at creation"
						    : "cannot be changed";
	return wrong_value(f, value);
}

bool rest_fields_check(struct rest_call *call, const struct rest_field *fields, unsigned purpose)
{
	char pointer[POINTER_MAX];
	const char *name, *wrong;
	json_t *value;

	json_object_foreach(call->json, name, value)
	{
		wrong = wrong_member(find_field(fields, name), value, purpose);
		if (wrong) {
			(void)snprintf(pointer, sizeof(pointer), "/%.100s", name);
			rest_invalid(call, pointer, wrong);
			return false;
		}
	}
	for (const struct rest_field *f = fields; f->name; f++) {
		if (purpose == REST_FIELD_CREATE && (f->flags & REST_FIELD_NEEDED) &&
			!json_object_get(call->json, f->name)) {
			(void)snprintf(pointer, sizeof(pointer), "/%.100s", f->name);
			rest_invalid(call, pointer, "is missing");
			return false;
		}
	}
	return true;
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

const char *rest_wrong_name(struct span text)
{
	bool good = is_alphanumeric(text.data[0]);

	for (size_t i = 0; i < text.len; i++)
		good = good && (is_alphanumeric(text.data[i]) || text.data[i] == '.' ||
				       text.data[i] == '_' || text.data[i] == '-');
	/* A path says `me` for whoever asks. */
	if (span_equal_nocase(text, SPAN("me")))
		return "is taken by the host";
	return good ? NULL : "is not of [A-Za-z0-9._-], beginning with a letter or digit";
}

const char *rest_wrong_shown(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return "holds a control character";
	return NULL;
}

const char *rest_wrong_email(struct span text)
{
	const char *at = memchr(text.data, '@', text.len);
	const char *end = text.data + text.len;

	if (!at || at == text.data || at + 1 == end || memchr(at + 1, '@', (size_t)(end - at - 1)))
		return "is no e-mail address";
	/* A line break would end the header that a message puts it into. */
	for (const char *p = text.data; p < end; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '<' || *p == '>' || *p == ',')
			return "is no e-mail address";
	return NULL;
}

const char *rest_wrong_phone(struct span text)
{
	bool good = text.len >= 8 && text.len <= 16 && text.data[0] == '+' && text.data[1] != '0';

	for (size_t i = 1; good && i < text.len; i++)
		good = text.data[i] >= '0' && text.data[i] <= '9';
	return good ? NULL : "is no telephone number like +4930123456";
}

const char *rest_wrong_web(struct span text)
{
	if (!span_starts(text, "https://") && !span_starts(text, "http://"))
		return "is no http or https URL";
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f)
			return "is no http or https URL";
	return NULL;
}
