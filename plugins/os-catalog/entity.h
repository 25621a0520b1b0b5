/* entity.h - what a package of the list is in the catalog */
#ifndef OS_CATALOG_ENTITY_H
#define OS_CATALOG_ENTITY_H

#include <mortise/catalog.h>

#include "control_text.h"

#define ENTITY_TEAM_MAX 100 /* characters of a team's name */

/* A name for the team of a maintainer, "Name <address>". The same for names that differ in case
 * and punctuation only. What is not a letter or digit of ASCII becomes '-'; a name that loses
 * something else by that, or is too long, ends in a digest of itself. Empty for an empty name.
 */
struct mortise_str entity_team(struct mortise_str maintainer, char out[ENTITY_TEAM_MAX]);

/* The name of a maintainer without address, at most 255 characters. */
struct mortise_str entity_team_display_name(struct mortise_str maintainer);

/* Append the entity of a complete stanza, which has a name, to an array. */
void entity_write(struct mortise_json_writer *w, const struct control_text *stanza);

#endif
