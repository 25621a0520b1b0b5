/* list.h - a doubly linked list whose links live in its members
 *
 * The list owns nothing. A link that is in no list points at itself, so removing
 * twice is harmless. Not thread-safe.
 */
#ifndef MORTISE_BASE_LIST_H
#define MORTISE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_(struct list *link, struct list *prev, struct list *next)
{
	link->prev = prev;
	link->next = next;
	prev->next = link;
	next->prev = link;
}

static inline void list_append(struct list *l, struct list *link)
{
	list_insert_(link, l->prev, l);
}

static inline void list_prepend(struct list *l, struct list *link)
{
	list_insert_(link, l, l->next);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define LIST_ENTRY(link, type, member) CONTAINER_OF(link, type, member)
#define LIST_FIRST(l, type, member)    (list_empty(l) ? NULL : LIST_ENTRY((l)->next, type, member))

/* type *var over list l; the safe form lets the body remove (and free) var itself. */
#define list_for_each(type, var, l, member)                                        \
	for (type *var = LIST_ENTRY((l)->next, type, member); &var->member != (l); \
		var = LIST_ENTRY(var->member.next, type, member))
#define list_for_each_safe(type, var, l, member)                             \
	for (type *var = LIST_ENTRY((l)->next, type, member),                \
		  *var##_next_ = LIST_ENTRY(var->member.next, type, member); \
		&var->member != (l); var = var##_next_,                      \
		  var##_next_ = LIST_ENTRY(var##_next_->member.next, type, member))

#endif
