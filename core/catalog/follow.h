/* follow.h - a graph that is as the database is
 *
 * The graph is read when it is first asked for, and then kept by the catalog's feed: whoever asks
 * gets it with everything in it that was committed before he asked. What is in doubt (the feed too
 * far ahead, a read that failed, nobody asked for a while) is dropped and read anew; meanwhile
 * there is none, and the question is the database's to answer. [loop thread]
 */
#ifndef MORTISE_CATALOG_FOLLOW_H
#define MORTISE_CATALOG_FOLLOW_H

struct db_pool;
struct follow; /* opaque */
struct graph;

struct follow *follow_new(struct db_pool *db);
/* After the pool has closed. NULL is fine. */
void follow_free(struct follow *f);

/* ERR_AGAIN: there is no graph now (it is being read), and done will not come. Otherwise it comes
 * when all that was committed before the call is in the graph, or when that was lost. */
typedef void (*follow_cb)(void *user);
int follow_ask(struct follow *f, follow_cb done, void *user);

/* As new as every done that came; NULL: there is none now. Borrowed until the loop goes on. */
struct graph *follow_graph(const struct follow *f);

#endif
