/* assert.h - stop at our own mistakes
 *
 * ASSERT stays on in every build and is for preconditions and invariants of our
 * own code. Input is never asserted: a plugin, a package, a row, a request or a
 * peer that is wrong gets an error. The expression has no side effect.
 */
#ifndef MORTISE_BASE_ASSERT_H
#define MORTISE_BASE_ASSERT_H

/* Write one line to fd 2 and end the process by SIGABRT. [any thread] */
__attribute__((noreturn, cold)) void assert_fail(const char *what, const char *file, int line);

#define ASSERT(x) (__builtin_expect(!!(x), 1) ? (void)0 : assert_fail(#x, __FILE__, __LINE__))
#define BUG(why)  assert_fail("bug: " why, __FILE__, __LINE__)

#endif
