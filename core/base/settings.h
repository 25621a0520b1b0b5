/* settings.h - what an operator may set, with defaults
 *
 * Precedence: flag, then environment (MORTISE_...), then default. The list stands
 * in settings.def. [main thread]
 */
#ifndef MORTISE_BASE_SETTINGS_H
#define MORTISE_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct error;

struct settings {
#define SETTING_TYPE_TEXT                    char *
#define SETTING_TYPE_NUMBER                  uint64_t
#define SETTING_TYPE_BOOLEAN                 bool
#define X(field, name, type, fallback, help) SETTING_TYPE_##type field;
#include "base/settings.def"
#undef X
};

/* Defaults, with the environment over them. ERR_CONFIG names the variable that is not valid. */
int settings_init(struct settings *s, struct error *err);
void settings_done(struct settings *s);

/* Set one by its name ("worker.stall_ms"). ERR_NOT_FOUND: no such setting; ERR_CONFIG: not of its
 * type. */
int settings_set(struct settings *s, const char *name, const char *value, struct error *err);

/* The value of each as text, in the order of settings.def; false behind the last.
 * *value is the caller's. */
struct setting {
	const char *name;
	const char *fallback;
	const char *help;
	char variable[64]; /* "MORTISE_WORKER_STALL_MS" */
	char flag[64];     /* "--worker-stall-ms" */
};
bool settings_at(const struct settings *s, size_t index, struct setting *out, char **value);

#endif
