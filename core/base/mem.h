/* mem.h - memory that is there, and the two words that say who owns it
 *
 * Small allocations do not fail: mem_alloc() and its kin end the process when
 * there is no memory. A size that an outsider controls is checked against a
 * named limit first and taken with mem_try_alloc(), whose failure is ordinary.
 * All of this is released with mem_free(). [any thread]
 */
#ifndef MORTISE_BASE_MEM_H
#define MORTISE_BASE_MEM_H

#include <stddef.h>

__attribute__((malloc, returns_nonnull, alloc_size(1))) void *mem_alloc(size_t size);
__attribute__((malloc, returns_nonnull, alloc_size(1))) void *mem_zalloc(size_t size);

/* count elements of size bytes, zeroed; an overflow of the product ends the process. */
__attribute__((malloc, returns_nonnull, alloc_size(1, 2))) void *mem_calloc(
	size_t count, size_t size);
__attribute__((returns_nonnull, alloc_size(2))) void *mem_realloc(void *old, size_t size);

/* Zeroed memory or NULL. */
__attribute__((malloc, alloc_size(1))) void *mem_try_alloc(size_t size);

/* A copy of size bytes, or of a C string. NULL in gives NULL out for the string. */
__attribute__((malloc)) void *mem_copy(const void *data, size_t size);
__attribute__((malloc)) char *mem_strdup(const char *s);
__attribute__((malloc, format(printf, 1, 2))) char *mem_printf(const char *format, ...);

void mem_free(void *p);

/* Overwrite secrets; never optimised away. */
void mem_wipe(void *p, size_t size);

/* CLEANUP(x_freep) on a local releases it on every way out; TAKE(p) hands it over. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define TAKE(p)                            \
	__extension__({                    \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

/* Defines the static function <name>p(T **) that CLEANUP wants, from a free function. */
#define CLEANUP_FUNCTION(type, free_function)                                 \
	__attribute__((unused)) static inline void free_function##p(type **p) \
	{                                                                     \
		free_function(*p);                                            \
	}

/* For CLEANUP on a plain pointer of any type. */
static inline void mem_freep(void *p)
{
	mem_free(*(void **)p);
}

#define ARRAY_LENGTH(a)               (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#endif
