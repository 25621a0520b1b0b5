#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct error_entry entries[] = {
#define X(name, number, sqlstate, http, exit, text, fix) \
	{ -(number), #name, sqlstate, http, exit, text, fix },
#include "base/error.def"
#undef X
};

__attribute__((format(printf, 3, 0))) static int set_text(
	struct error *err, int code, const char *format, va_list args)
{
	if (!err)
		return code;
	err->code = code;
	err->fix[0] = '\0';
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	return code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(err, code, format, args);
	va_end(args);
	return code;
}

int error_set_errno(struct error *err, int errnum, const char *format, ...)
{
	char reason[128];
	va_list args;
	size_t len;

	va_start(args, format);
	set_text(err, ERR_SYSTEM, format, args);
	va_end(args);
	if (!err)
		return ERR_SYSTEM;
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s",
		strerror_r(errnum, reason, sizeof(reason)));
	return ERR_SYSTEM;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char inner[ERROR_TEXT_MAX];
	va_list args;
	size_t len;

	if (!err)
		return ERR_INTERNAL;
	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
	return err->code;
}

int error_fix(struct error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return ERR_INTERNAL;
	va_start(args, format);
	(void)vsnprintf(err->fix, sizeof(err->fix), format, args);
	va_end(args);
	return err->code;
}

const struct error_entry *error_entry(int code)
{
	for (size_t i = 0; i < ARRAY_LENGTH(entries); i++)
		if (entries[i].code == code)
			return &entries[i];
	return error_entry(ERR_INTERNAL);
}

int error_from_sqlstate(const char *sqlstate)
{
	for (size_t i = 0; i < ARRAY_LENGTH(entries); i++)
		if (entries[i].sqlstate[0] && strcmp(entries[i].sqlstate, sqlstate) == 0)
			return entries[i].code;
	return ERR_INTERNAL;
}

int error_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(entries); i++)
		if (strcmp(entries[i].name, name) == 0)
			return entries[i].code;
	return ERR_INTERNAL;
}

const struct error_entry *error_entries(size_t *count)
{
	*count = ARRAY_LENGTH(entries);
	return entries;
}

const char *error_advice(const struct error *err)
{
	return err->fix[0] ? err->fix : error_entry(err->code)->fix;
}
