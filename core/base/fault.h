/* fault.h - fail, stop or die at a named step, to prove that nothing is lost there
 *
 * MORTISE_FAULT=NAME:ACTION[:N][,...] arms points for the N-th passage (default the
 * first) of a process and, by inheritance, of its children. Actions: fail (the
 * point returns ERR_FAULT), kill (SIGKILL to the own process), stop (SIGSTOP).
 * In a build without MORTISE_FAULT_POINTS a point is the constant 0. The names
 * stand in fault.def. [loop thread]
 */
#ifndef MORTISE_BASE_FAULT_H
#define MORTISE_BASE_FAULT_H

#ifdef MORTISE_FAULT_POINTS
/* 0, or ERR_FAULT when the armed action is fail. Ends the process on a name that is not in
 * fault.def. */
int fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

#endif
