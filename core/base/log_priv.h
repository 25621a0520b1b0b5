/* log_priv.h - what the build knows of the classification of columns (classified.cmake)
 */
#ifndef MORTISE_BASE_LOG_PRIV_H
#define MORTISE_BASE_LOG_PRIV_H

extern const char *const log_withheld[]; /* NULL at the end */

#endif
