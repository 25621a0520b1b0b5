#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

void assert_fail(const char *what, const char *file, int line)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s:%d: assertion failed: %s\n", file, line, what);

	if (len > (int)sizeof(text) - 1)
		len = sizeof(text) - 1;
	(void)!write(STDERR_FILENO, text, (size_t)len);
	abort();
}

static void *must(void *p)
{
	if (!p)
		BUG("out of memory");
	return p;
}

void *mem_alloc(size_t size)
{
	return must(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *old, size_t size)
{
	return must(realloc(old, size ? size : 1));
}

void *mem_try_alloc(size_t size)
{
	return calloc(1, size ? size : 1);
}

void *mem_copy(const void *data, size_t size)
{
	void *p = mem_alloc(size);

	if (size)
		memcpy(p, data, size);
	return p;
}

char *mem_strdup(const char *s)
{
	return s ? mem_copy(s, strlen(s) + 1) : NULL;
}

char *mem_printf(const char *format, ...)
{
	va_list args;
	char *s = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&s, format, args);
	va_end(args);
	return must(n < 0 ? NULL : s);
}

void mem_free(void *p)
{
	free(p);
}

void mem_wipe(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
}
