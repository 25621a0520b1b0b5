/* control_text.c: a state machine over bytes, so that a piece may end anywhere. Field names
 * are compared without regard to case, as dpkg does. A line of blanks alone belongs to
 * the value before it, as for apt. Comment lines ('#') are passed over. NUL and other control
 * characters are refused: what holds them is compressed or no text at all, and saying so beats
 * importing nonsense.
 */
#include "control_text.h"

#include <stdlib.h>
#include <strings.h>

enum state {
	STATE_LINE,    /* at the first byte of a line */
	STATE_NAME,    /* in a field's name */
	STATE_BEFORE,  /* behind the colon, or in the blanks that begin a continuation */
	STATE_VALUE,   /* in a value */
	STATE_COMMENT, /* in a line to be passed over */
};

static const char *const names[CONTROL_FIELD_COUNT] = {
	[CONTROL_PACKAGE] = "Package",
	[CONTROL_STATUS] = "Status",
	[CONTROL_ARCHITECTURE] = "Architecture",
	[CONTROL_SECTION] = "Section",
	[CONTROL_MAINTAINER] = "Maintainer",
	[CONTROL_VERSION] = "Version",
	[CONTROL_PRE_DEPENDS] = "Pre-Depends",
	[CONTROL_DEPENDS] = "Depends",
	[CONTROL_PROVIDES] = "Provides",
	[CONTROL_HOMEPAGE] = "Homepage",
	[CONTROL_DESCRIPTION] = "Description",
};

void control_text_init(struct control_text *t)
{
	memset(t, 0, sizeof(*t));
	t->line = 1;
	t->field = CONTROL_FIELD_COUNT;
}

void control_text_done(struct control_text *t)
{
	free(t->data);
	memset(t, 0, sizeof(*t));
}

static void forget_stanza(struct control_text *t)
{
	t->size = 0;
	t->any = 0;
	t->ended = 0;
	t->field = CONTROL_FIELD_COUNT;
	memset(t->fields, 0, sizeof(t->fields));
}

static int32_t append(
	struct control_text *t, const char *data, uint64_t size, struct mortise_error *err)
{
	if (t->field == CONTROL_FIELD_COUNT || size == 0)
		return 0;
	if (size > CONTROL_STANZA_MAX - t->size)
		return mortise_fail(err, MORTISE_E_TOO_LARGE,
			"line %llu: the package that begins on line %llu is larger than %d bytes",
			(unsigned long long)t->line, (unsigned long long)t->stanza,
			CONTROL_STANZA_MAX);
	if (t->capacity - t->size < size) {
		uint64_t capacity = t->capacity ? t->capacity : 4096;
		char *grown;

		while (capacity - t->size < size)
			capacity *= 2;
		grown = (char *)realloc(t->data, capacity);
		if (!grown)
			return mortise_fail(err, MORTISE_E_LIMIT, "no memory");
		t->data = grown;
		t->capacity = capacity;
	}
	memcpy(t->data + t->size, data, size);
	t->size += size;
	t->fields[t->field].size += size;
	return 0;
}

/* A name is complete: find out whether its value is kept. */
static void begin_field(struct control_text *t)
{
	if (!t->any)
		t->stanza = t->line;
	t->any = 1;
	t->field = CONTROL_FIELD_COUNT;
	for (int i = 0; i < CONTROL_FIELD_COUNT; i++) {
		if (strlen(names[i]) == t->name_size &&
			strncasecmp(names[i], t->name, t->name_size) == 0 &&
			t->fields[i].size == 0) {
			t->field = i;
			t->fields[i].offset = t->size;
		}
	}
}

static int32_t refuse_byte(
	const struct control_text *t, unsigned char byte, struct mortise_error *err)
{
	return mortise_fail(err, MORTISE_E_FORMAT,
		"line %llu: byte 0x%02x is not text; send the package list uncompressed",
		(unsigned long long)t->line, byte);
}

static int32_t read_name(struct control_text *t, char c, struct mortise_error *err)
{
	if (c == ':' && t->name_size > 0) {
		begin_field(t);
		t->state = STATE_BEFORE;
		return 0;
	}
	if ((unsigned char)c < ' ' && c != '\n' && c != '\r' && c != '\t')
		return refuse_byte(t, (unsigned char)c, err);
	if (c <= ' ' || c == ':' || c == 0x7f)
		return mortise_fail(err, MORTISE_E_FORMAT, "line %llu: expected 'Field: value'",
			(unsigned long long)t->line);
	if (t->name_size == sizeof(t->name))
		return mortise_fail(err, MORTISE_E_FORMAT,
			"line %llu: the field's name is longer than %d bytes",
			(unsigned long long)t->line, CONTROL_NAME_MAX);
	t->name[t->name_size++] = c;
	return 0;
}

/* The first byte of a line: 1 if it ends a stanza. */
static int32_t begin_line(struct control_text *t, char c, struct mortise_error *err)
{
	if (c == '\n' || c == '\r') {
		/* '\r' is the first half of an empty line, or refused as a name. */
		if (c == '\n')
			t->line++;
		return c == '\n' && t->any;
	}
	if (c == '#') {
		t->state = STATE_COMMENT;
		return 0;
	}
	if (c == ' ' || c == '\t') {
		t->state = STATE_BEFORE;
		return append(t, "\n", 1, err);
	}
	t->state = STATE_NAME;
	t->name_size = 0;
	return read_name(t, c, err);
}

/* The run of bytes up to the end of the line or of the piece. */
static int32_t read_run(
	struct control_text *t, const char **at, const char *end, struct mortise_error *err)
{
	const char *first = *at;
	const char *newline = (const char *)memchr(first, '\n', (size_t)(end - first));
	const char *last = newline ? newline : end;

	for (const char *p = first; p < last; p++)
		if ((unsigned char)*p < ' ' && *p != '\t' && *p != '\r')
			return refuse_byte(t, (unsigned char)*p, err);
	*at = last;
	if (newline) {
		*at = newline + 1;
		t->line++;
	}
	if (t->state == STATE_VALUE) {
		int32_t rc = append(t, first, (uint64_t)(last - first), err);

		if (rc < 0)
			return rc;
	}
	if (newline)
		t->state = STATE_LINE;
	return 0;
}

int32_t control_text_read(
	struct control_text *t, const char **at, const char *end, struct mortise_error *err)
{
	int32_t rc = 0;

	if (t->ended)
		forget_stanza(t);
	while (rc == 0 && *at < end) {
		switch (t->state) {
		case STATE_LINE:
			rc = begin_line(t, *(*at)++, err);
			break;
		case STATE_NAME:
			rc = read_name(t, *(*at)++, err);
			break;
		case STATE_BEFORE:
			if (**at == ' ' || **at == '\t')
				(*at)++;
			else
				t->state = STATE_VALUE;
			break;
		default:
			rc = read_run(t, at, end, err);
		}
	}
	if (rc == 1)
		t->ended = 1;
	return rc;
}

int32_t control_text_end(struct control_text *t, struct mortise_error *err)
{
	if (t->ended)
		forget_stanza(t);
	if (t->state == STATE_NAME)
		return mortise_fail(err, MORTISE_E_FORMAT,
			"line %llu: the text ends in a field's name", (unsigned long long)t->line);
	t->state = STATE_LINE;
	t->ended = t->any;
	return t->any;
}

static int blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct mortise_str control_text_field(const struct control_text *t, enum control_field field)
{
	struct mortise_str value = mortise_str_of(NULL, 0);

	if (t->fields[field].size > 0)
		value = mortise_str_of(t->data + t->fields[field].offset, t->fields[field].size);
	while (value.size > 0 && blank(value.data[0])) {
		value.data++;
		value.size--;
	}
	while (value.size > 0 && blank(value.data[value.size - 1]))
		value.size--;
	return value;
}
