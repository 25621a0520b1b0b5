/* abi.h - the types and rules that every interface shares
 *
 * Threads. An instance has one home thread. All callbacks run on it, one at a
 * time and never nested: no host function calls back before it returns. Each
 * host function carries a tag:
 *   [any]             from any thread, from create() until destroy() is called
 *   [home]            on the home thread, from create() until destroy() is called
 *   [home, starting]  on the home thread, only inside start()
 *   [home, started]   on the home thread, from the call of start() until destroy() is called
 * Elsewhere it does nothing and returns MORTISE_E_THREAD or MORTISE_E_STATE;
 * the host reports both with the name of the function. Callbacks of the plugin
 * are all [home], except the one that says otherwise.
 *
 * Memory. What a function is given is borrowed until it returns; what it wants
 * to keep, it copies. What comes out through a pointer is borrowed until the
 * callback in which it was obtained returns. Nobody frees the other's memory.
 *
 * Ids. What has a lifetime is named by a 64-bit id (slot and generation), never
 * 0 for a living thing. An id of something ended gives MORTISE_E_STALE for ever.
 *
 * Text is UTF-8 with a length and need not end in NUL, unless its type is
 * const char *. No exception, longjmp or panic may cross the border.
 *
 * A struct or id published with an ABI never changes; growth is a new id.
 */
#ifndef MORTISE_ABI_H
#define MORTISE_ABI_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

#define MORTISE_ABI_LATEST 0x0100

/* Define MORTISE_ABI before the first include to hide everything newer: what
 * compiles with 0x0100 runs on every 1.x host.
 */
#ifndef MORTISE_ABI
#define MORTISE_ABI MORTISE_ABI_LATEST
#endif
#if MORTISE_ABI < 0x0100
#error "MORTISE_ABI: the oldest ABI is 0x0100"
#elif MORTISE_ABI > MORTISE_ABI_LATEST
#error "MORTISE_ABI: newer than these headers"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The plugin's own instance. A plugin defines this struct as it likes; the host
 * only carries the pointer.
 */
struct mortise_instance;

/* The host as one instance sees it; plugin.h. */
struct mortise_host;

typedef uint64_t mortise_id;

/* A text or a piece of bytes. data may be NULL where size is 0. */
struct mortise_str {
	const char *data;
	uint64_t size;
};

struct mortise_field {
	struct mortise_str key;
	struct mortise_str value;
};

/* Why a step failed, in the caller's memory. text ends in NUL. */
struct mortise_error {
	int32_t code;
	uint32_t reserved;
	char text[248];
};

static inline struct mortise_str mortise_str_of(const char *data, uint64_t size)
{
	struct mortise_str str;

	str.data = data;
	str.size = size;
	return str;
}

/* From text that ends in NUL; NULL gives an empty string. */
static inline struct mortise_str mortise_str_from(const char *text)
{
	return mortise_str_of(text, text ? strlen(text) : 0);
}

static inline int mortise_str_equal(struct mortise_str a, struct mortise_str b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* From a literal, as an expression or as a static initializer. */
#define MORTISE_STR(literal) mortise_str_of("" literal, sizeof(literal) - 1)
#define MORTISE_STR_INIT(literal)               \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

/* Say why and return the code: return mortise_fail(err, MORTISE_E_NOT_FOUND, "no '%s'", name);
 * Lower case, no full stop, what failed first, names in single quotes. err may be NULL.
 */
__attribute__((format(printf, 3, 4))) static inline int32_t mortise_fail(
	struct mortise_error *err, int32_t code, const char *format, ...)
{
	va_list args;

	if (err) {
		err->code = code;
		va_start(args, format);
		(void)vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return code;
}

#ifdef __cplusplus
}
#endif

#endif
