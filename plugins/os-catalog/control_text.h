/* control_text.h - read Debian control text as a stream
 *
 * A `status` or `Packages` file is a sequence of stanzas, separated by empty lines;
 * a stanza is fields "Name: value", continued on lines that begin with a blank.
 * The text may arrive in any pieces. Only the fields below are kept, in memory
 * bounded by CONTROL_STANZA_MAX; what the text holds beyond is passed over.
 */
#ifndef OS_CATALOG_CONTROL_TEXT_H
#define OS_CATALOG_CONTROL_TEXT_H

#include <mortise/abi.h>

#define CONTROL_NAME_MAX   64     /* bytes of a field's name */
#define CONTROL_STANZA_MAX 262144 /* bytes of the kept values of one stanza */

enum control_field {
	CONTROL_PACKAGE,
	CONTROL_STATUS,
	CONTROL_ARCHITECTURE,
	CONTROL_SECTION,
	CONTROL_MAINTAINER,
	CONTROL_VERSION,
	CONTROL_PRE_DEPENDS,
	CONTROL_DEPENDS,
	CONTROL_PROVIDES,
	CONTROL_HOMEPAGE,
	CONTROL_DESCRIPTION,
	CONTROL_FIELD_COUNT
};

struct control_text {
	int state;
	int field;       /* that the value belongs to, CONTROL_FIELD_COUNT: one not kept */
	int any;         /* the stanza has a field, kept or not */
	int ended;       /* the stanza was given out; forget it first */
	uint64_t line;   /* number of the line being read, from 1 */
	uint64_t stanza; /* number of the line on which the stanza began */
	char name[CONTROL_NAME_MAX];
	uint32_t name_size;
	char *data; /* values, one after the other */
	uint64_t size;
	uint64_t capacity;
	struct {
		uint64_t offset, size;
	} fields[CONTROL_FIELD_COUNT];
};

void control_text_init(struct control_text *t);
void control_text_done(struct control_text *t);

/* Read from *at up to end and move *at behind what was read. 1: a stanza is complete and
 * can be asked for until the next call; 0: all was read and more is needed; FORMAT, with
 * the line in *err: this is no control text; TOO_LARGE; LIMIT: no memory.
 */
int32_t control_text_read(
	struct control_text *t, const char **at, const char *end, struct mortise_error *err);

/* The text is over: 1 when that completes a stanza, 0 when there is none. */
int32_t control_text_end(struct control_text *t, struct mortise_error *err);

/* The value of a field of the complete stanza, without blanks around it, its lines
 * separated by '\n'; empty if there is none. A field given twice counts once, the first.
 */
struct mortise_str control_text_field(const struct control_text *t, enum control_field field);

#endif
