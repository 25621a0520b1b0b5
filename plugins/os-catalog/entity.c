/* entity.c: the limits are those of catalog/1; what is longer is cut at a character, a URL that is
 * longer is left out.
 */
#include "entity.h"

#include <stdlib.h>

#define NAME_MAX_CHARACTERS        255
#define VERSION_MAX_CHARACTERS     100
#define TAG_MAX_CHARACTERS         100
#define URL_MAX_CHARACTERS         500
#define DESCRIPTION_MAX_CHARACTERS 65536

#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

/* The first characters of a text. A byte that is not UTF-8 counts as one. */
static struct mortise_str clip(struct mortise_str text, uint64_t characters)
{
	const char *end = text.size ? text.data + text.size : text.data;
	const char *at = text.data;

	while (at < end && characters-- > 0) {
		uint32_t length = mortise_utf8_length(at, end);

		at += length ? length : 1;
	}
	return mortise_str_of(text.data, (uint64_t)(at - text.data));
}

/* Of a URL a piece is worth nothing. */
static struct mortise_str url(struct mortise_str text)
{
	struct mortise_str clipped = clip(text, URL_MAX_CHARACTERS);

	return clipped.size == text.size && text.size > 0 ? text : mortise_str_of(NULL, 0);
}

struct mortise_str entity_team_display_name(struct mortise_str maintainer)
{
	uint64_t size = 0;

	while (size < maintainer.size && maintainer.data[size] != '<')
		size++;
	if (size == 0) /* an address alone is all there is */
		size = maintainer.size;
	while (size > 0 && (maintainer.data[size - 1] == ' ' || maintainer.data[size - 1] == '\t'))
		size--;
	return clip(mortise_str_of(maintainer.data, size), NAME_MAX_CHARACTERS);
}

struct mortise_str entity_team(struct mortise_str maintainer, char out[ENTITY_TEAM_MAX])
{
	struct mortise_str name = entity_team_display_name(maintainer);
	uint64_t digest = FNV_OFFSET, size = 0;
	int lossy = 0, gap = 0;
	char suffix[20];

	for (uint64_t i = 0; i < name.size; i++) {
		unsigned char c = (unsigned char)name.data[i];

		digest = (digest ^ c) * FNV_PRIME;
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		lossy |= c >= 0x80;
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
			gap = size > 0;
			continue;
		}
		if (size + (uint64_t)gap + 1 > ENTITY_TEAM_MAX) {
			lossy = 1;
			continue;
		}
		if (gap)
			out[size++] = '-';
		out[size++] = (char)c;
		gap = 0;
	}
	if (name.size == 0 || (!lossy && size > 0))
		return mortise_str_of(out, size);
	(void)snprintf(suffix, sizeof(suffix), "-%016llx", (unsigned long long)digest);
	if (size > ENTITY_TEAM_MAX - 17)
		size = ENTITY_TEAM_MAX - 17;
	memcpy(out + size, suffix + (size == 0), 17 - (size == 0));
	return mortise_str_of(out, size + 17 - (size == 0));
}

static int is_library(struct mortise_str section)
{
	static const char *const words[] = { "libs", "oldlibs", "libdevel" };
	const char *slash =
		section.size ? (const char *)memchr(section.data, '/', section.size) : NULL;

	if (slash) /* "contrib/libs" */
		section = mortise_str_of(
			slash + 1, section.size - (uint64_t)(slash + 1 - section.data));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mortise_str_equal(section, mortise_str_from(words[i])))
			return 1;
	return 0;
}

/* The description as plain text: a line with a dot alone is an empty line. Written into memory
 * of the size of text.
 */
static struct mortise_str plain_description(struct mortise_str text, char *out)
{
	uint64_t size = 0;

	for (uint64_t i = 0; i < text.size; i++) {
		int starts = i == 0 || text.data[i - 1] == '\n';
		int ends = i + 1 == text.size || text.data[i + 1] == '\n';

		if (text.data[i] != '\r' && !(text.data[i] == '.' && starts && ends))
			out[size++] = text.data[i];
	}
	return clip(mortise_str_of(out, size), DESCRIPTION_MAX_CHARACTERS);
}

void entity_write(struct mortise_json_writer *w, const struct control_text *stanza)
{
	struct mortise_str maintainer = control_text_field(stanza, CONTROL_MAINTAINER);
	struct mortise_str section = control_text_field(stanza, CONTROL_SECTION);
	struct mortise_str text = control_text_field(stanza, CONTROL_DESCRIPTION);
	struct mortise_str tag = clip(section, TAG_MAX_CHARACTERS);
	struct mortise_field architecture;
	struct mortise_catalog_entity entity;
	char team[ENTITY_TEAM_MAX];
	char *description = text.size ? (char *)malloc(text.size) : NULL;

	memset(&entity, 0, sizeof(entity));
	entity.key = entity.name = control_text_field(stanza, CONTROL_PACKAGE);
	entity.type = is_library(section) ? MORTISE_STR("library") : MORTISE_STR("application");
	entity.version = clip(control_text_field(stanza, CONTROL_VERSION), VERSION_MAX_CHARACTERS);
	entity.homepage = url(control_text_field(stanza, CONTROL_HOMEPAGE));
	if (description)
		entity.description = plain_description(text, description);
	if (tag.size > 0) {
		entity.tags = &tag;
		entity.tags_count = 1;
	}
	architecture.key = MORTISE_STR("architecture");
	architecture.value =
		clip(control_text_field(stanza, CONTROL_ARCHITECTURE), NAME_MAX_CHARACTERS);
	if (architecture.value.size > 0) {
		entity.labels = &architecture;
		entity.labels_count = 1;
	}
	if (maintainer.size > 0) {
		entity.team = entity_team(maintainer, team);
		entity.team_display_name = entity_team_display_name(maintainer);
	}
	mortise_catalog_write_entity(w, &entity);
	free(description);
}
