/* error.h - the error codes of the ABI
 *
 * A function that can fail returns 0 or one of these, always negative. A plugin
 * treats a negative code it does not know as a failure. People see the same
 * number as MRT-1001, in logs, on the command line and over HTTP. Numbers never
 * change and are never reused.
 */
#ifndef MORTISE_ERROR_H
#define MORTISE_ERROR_H

#define MORTISE_E_INVALID     (-1001) /* an argument breaks the function's contract */
#define MORTISE_E_STALE       (-1002) /* the id names something that has ended */
#define MORTISE_E_THREAD      (-1003) /* a [home] function was called from another thread */
#define MORTISE_E_AGAIN       (-1004) /* no room now; nothing was taken, try after the next callback */
#define MORTISE_E_NOT_FOUND   (-1005) /* no such thing, or none that the caller may see */
#define MORTISE_E_PERMISSION  (-1006) /* the plugin, or the one it acts for, may not do this */
#define MORTISE_E_CANCELLED   (-1007) /* ended because somebody cancelled it or left */
#define MORTISE_E_DEADLINE    (-1008) /* ended because its time was over */
#define MORTISE_E_UNAVAIL     (-1009) /* whoever should do it is not there; it was not started */
#define MORTISE_E_UNKNOWN     (-1010) /* contact was lost; it was perhaps done, perhaps not */
#define MORTISE_E_LIMIT       (-1011) /* a limit on number or rate is reached */
#define MORTISE_E_CONFLICT    (-1012) /* the present state of the thing contradicts the call */
#define MORTISE_E_STATE       (-1013) /* not allowed in the present state of the instance */
#define MORTISE_E_UNSUPPORTED (-1014) /* this host has no such extension, method or kind */
#define MORTISE_E_INTERNAL    (-1015) /* a defect of whoever answers, not of the caller */
#define MORTISE_E_TOO_LARGE   (-1016) /* more bytes than the limit for one piece */
#define MORTISE_E_FORMAT      (-1017) /* bytes that are not what they should be */

#endif
