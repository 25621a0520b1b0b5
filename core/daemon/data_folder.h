/* data_folder.h - the folder of everything a host keeps, and who may enter what
 *
 * Opening it makes what is missing, with the owners and modes below, and takes
 * its lock, which ends with the process: two hosts never share one. Sockets live
 * in a short run folder of its own, since their paths are limited.
 *
 *   DATA              root 0711 (else ours 0700)   mortised.pid (locked) listen node
 *   DATA/owner.url, superuser.url, admin.token, key-ring  0600
 *   DATA/pg           database user 0700           the embedded PostgreSQL
 *   DATA/store        root 0755                    packages, read by workers
 *   DATA/staging      root 0711                    one folder per job, of the stage's uid
 *   DATA/instances    root 0711                    one folder per installation, of its worker's uid
 *   DATA/logs         root:service 2750            read by fronts
 *   DATA/audit        root 0700                    heads of the audit trail, append-only
 *   DATA/trust        root 0755                    public keys, for offline commands
 *   RUN               root 0711                    /run/mortise-<8 hex of the path of DATA>
 *   RUN/db            database user:service 0710   PostgreSQL's socket, entered by fronts
 *   RUN/workers       root:service 0710            workers' sockets, entered by fronts only
 *
 * Fronts read what strangers send, so the database's files belong to another user:
 * a front that was taken over has its own login and policies, and nothing behind
 * them. Before the loop runs.
 */
#ifndef MORTISE_DAEMON_DATA_FOLDER_H
#define MORTISE_DAEMON_DATA_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct settings;

#define DATA_FOLDER_NODE_MAX 64

struct data_folder {
	char *path; /* absolute, without links */
	char *run;
	char node[DATA_FOLDER_NODE_MAX + 1]; /* this node's id, made once */
	int fd;
	int lock_fd;
	int logs_fd;
	bool root;         /* the host runs as root: children get users of their own */
	uid_t service_uid; /* of fronts */
	gid_t service_gid;
	uid_t database_uid; /* of the embedded PostgreSQL */
	gid_t database_gid;
};

/* ERR_DATA_FOLDER: names the component that is not fit; ERR_RUNNING: another host has it;
 * ERR_CONFIG: service.user, database.user, uid.base. On failure nothing is left open. */
int data_folder_open(
	struct data_folder *folder, const struct settings *settings, struct error *err);

/* Remove what only a running host has (pid, listen, RUN), and release the lock. */
void data_folder_close(struct data_folder *folder);

/* Every folder on the way to path must let anyone through: workers have uids that own nothing. */
int data_folder_check_way(const char *path, struct error *err);

#endif
