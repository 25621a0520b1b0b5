/* config.h - validate a plugin's configuration
 *
 * A closed subset of JSON Schema 2020-12: type, properties, required, additionalProperties
 * (boolean), items, enum, const, minimum, maximum, minLength, maxLength, minItems, maxItems,
 * default, title, description, x-secret. A schema with any other keyword is refused, so that no
 * rule is silently not checked. What is x-secret is a property of the root that an administrator
 * sets as a secret: as a value of the configuration it is refused. A default is a hint for people:
 * what holds when nothing is set stands in the manifest's config.defaults.
 */
#ifndef MORTISE_PACKAGE_CONFIG_H
#define MORTISE_PACKAGE_CONFIG_H

#include <jansson.h>

struct error;

#define CONFIG_DEPTH_MAX 16

/* Whether schema is in the subset; its root is of type object. ERR_CONFIG_SCHEMA names keyword and
 * place ("at /properties/port"). */
int config_check_schema(const json_t *schema, struct error *err);

/* Whether value is valid. schema NULL: any object. ERR_CONFIG_VALUE names the place and the rule
 * ("at /port: 70000 is above the maximum 65535"). */
int config_validate(const json_t *schema, const json_t *value, struct error *err);

/* defaults with the members of config over them, member by member of the top level, as SQL's
 * `defaults || config` has it; both may be NULL. The caller's. */
json_t *config_merge(const json_t *defaults, const json_t *config);

#endif
