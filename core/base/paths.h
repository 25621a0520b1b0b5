/* paths.h - where a host keeps things, for all who must find them
 *
 * The data folder holds everything that is kept; the run folder holds sockets,
 * whose paths must be short. [any thread]
 */
#ifndef MORTISE_BASE_PATHS_H
#define MORTISE_BASE_PATHS_H

struct error;
struct settings;

/* The absolute path of the data folder: the setting, else /var/lib/mortise as root, else
 * $XDG_DATA_HOME/mortise or ~/.local/share/mortise. The caller's. ERR_CONFIG: none can be told. */
int paths_data(char **out, const struct settings *settings, struct error *err);

/* The folder that the running program stands in. The caller's. */
int paths_program(char **out, struct error *err);

/* Find an executable of PostgreSQL ("postgres", "psql"): the newest of the distribution's versioned
 * folders, then PATH. The caller's. ERR_NOT_FOUND says what to install. */
int paths_postgres(char **out, const char *program, struct error *err);

#endif
