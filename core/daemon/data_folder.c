#include "daemon/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/settings.h"
#include "base/text.h"
#include "codec/digest.h"
#include "codec/random.h"

#define PID_FILE    "mortised.pid"
#define RUN_DIGITS  8
#define NODE_RANDOM 4 /* bytes */
/* Behind uid.base: itself stage's, then those of workers, then one each for fetch and for fronts.
 */
#define UIDS_NEEDED      100002
#define UID_OF_FRONTS    100001
#define SOCKET_PATH_ROOM 40 /* "/workers/" and the longest name of a socket */
#define SOCKET_PATH_MAX  107

int data_folder_check_way(const char *path, struct error *err)
{
	CLEANUP(mem_freep) char *part = mem_strdup(path);

	for (char *p = part + 1;; p++) {
		char c = *p;
		struct stat st;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (stat(part, &st) == -1)
			return error_set_errno(err, errno, "look at folder '%s'", part);
		if (!S_ISDIR(st.st_mode))
			return error_set(err, ERR_DATA_FOLDER, "'%s' is not a folder", part);
		if (!(st.st_mode & S_IXOTH)) {
			(void)error_set(err, ERR_DATA_FOLDER,
				"'%s' cannot be used: the processes of the host run under users "
				"that may not pass '%s' (mode %04o)",
				path, part, (unsigned)st.st_mode & 07777u);
			return error_fix(
				err, "chmod o+x '%s', or choose another folder with --data", part);
		}
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static int find_service_user(
	struct data_folder *f, const struct settings *settings, struct error *err)
{
	const struct passwd *user = getpwnam(settings->service_user);

	if (!user) {
		/* It needs no name: a number that check_uids() keeps free does, as for workers. */
		f->service_uid = (uid_t)settings->uid_base + UID_OF_FRONTS;
		f->service_gid = (gid_t)f->service_uid;
		return 0;
	}
	if (user->pw_uid == 0)
		return error_set(err, ERR_CONFIG, "setting 'service.user': '%s' is root",
			settings->service_user);
	f->service_uid = user->pw_uid;
	f->service_gid = user->pw_gid;
	return 0;
}

static int name_database_user(const struct passwd **out, const char *wanted, struct error *err)
{
	const struct passwd *user = getpwnam(wanted);

	if (!user)
		user = getpwnam("postgres");
	if (!user) {
		(void)error_set(err, ERR_CONFIG,
			"setting 'database.user': there is neither '%s' nor 'postgres'", wanted);
		return error_fix(err, "adduser --system --group %s", wanted);
	}
	*out = user;
	return 0;
}

/* A cluster that is there keeps its owner, whatever the setting says now. */
static int find_database_user(
	struct data_folder *f, const struct settings *settings, struct error *err)
{
	const struct passwd *user = NULL;
	struct stat st;
	int rc;

	if (settings->database[0])
		return 0;
	if (fstatat(f->fd, "pg", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		user = getpwuid(st.st_uid);
		if (!user)
			return error_set(err, ERR_DATA_FOLDER,
				"'%s/pg' belongs to %u, which is no user", f->path,
				(unsigned)st.st_uid);
	} else {
		rc = name_database_user(&user, settings->database_user, err);
		if (rc < 0)
			return rc;
	}
	if (user->pw_uid == 0 || user->pw_uid == f->service_uid) {
		(void)error_set(err, ERR_CONFIG,
			"the embedded database would run as '%s', the user of %s", user->pw_name,
			user->pw_uid ? "the fronts, which must not read its files" : "the host");
		return error_fix(err,
			"set 'service.user' and 'database.user' to two users; a database that is "
			"there is given to the other one by: chown -R mortise-db: '%s/pg'",
			f->path);
	}
	f->database_uid = user->pw_uid;
	f->database_gid = user->pw_gid;
	return 0;
}

static int check_uids(const struct settings *settings, struct error *err)
{
	const struct passwd *user;

	if (settings->uid_base < 1000 || settings->uid_base > UINT32_MAX - UIDS_NEEDED)
		return error_set(err, ERR_CONFIG,
			"setting 'uid.base': %llu leaves no room for users",
			(unsigned long long)settings->uid_base);
	user = getpwuid((uid_t)settings->uid_base);
	if (user)
		return error_set(err, ERR_CONFIG, "setting 'uid.base': %llu is the user '%s'",
			(unsigned long long)settings->uid_base, user->pw_name);
	return 0;
}

/* A folder with exactly this owner and mode; one that is there must be ours or the owner's. */
static int make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid, struct error *err)
{
	struct stat st;
	int rc = io_make_dirs(path, 0755, err);

	if (rc < 0)
		return rc;
	if (lstat(path, &st) == -1)
		return error_set_errno(err, errno, "look at folder '%s'", path);
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != uid))
		return error_set(err, ERR_DATA_FOLDER,
			"'%s' is not a folder of the host's (owner %u)", path, (unsigned)st.st_uid);
	if ((st.st_uid != uid || st.st_gid != gid) && geteuid() == 0 &&
		lchown(path, uid, gid) == -1)
		return error_set_errno(err, errno, "chown '%s'", path);
	if (chmod(path, mode) == -1)
		return error_set_errno(err, errno, "chmod '%s'", path);
	return 0;
}

/* The lock is on the pid file, so whoever finds it locked finds a process that lives. It is never
 * renamed over or removed: the next host locks the same inode. Of the open file, not of the
 * process: no other close of the file lets it go. */
static int take_lock(struct data_folder *f, struct error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct text pid;

	f->lock_fd = openat(f->fd, PID_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (f->lock_fd == -1)
		return error_set_errno(err, errno, "open '%s/" PID_FILE "'", f->path);
	if (fcntl(f->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	text_init(&pid);
	if (io_read_file(f->fd, PID_FILE, 32, &pid, NULL) < 0 || pid.len == 0)
		text_append_string(&pid, "unknown");
	(void)error_set(err, ERR_RUNNING, "another host uses '%s' (pid %.*s)", f->path,
		(int)strcspn(pid.data, "\n"), pid.data);
	text_done(&pid);
	return ERR_RUNNING;
}

static int read_node(struct data_folder *f, struct error *err)
{
	struct text text;
	size_t len;
	int rc;

	text_init(&text);
	rc = io_read_file(f->fd, "node", DATA_FOLDER_NODE_MAX + 1, &text, err);
	len = strcspn(text.data, "\n");
	if (rc == 0 && (len == 0 || len > DATA_FOLDER_NODE_MAX))
		rc = error_set(
			err, ERR_DATA_FOLDER, "'%s/node' is not the name of a node", f->path);
	if (rc == 0) {
		memcpy(f->node, text.data, len);
		f->node[len] = '\0';
	}
	text_done(&text);
	return rc;
}

static int make_node(struct data_folder *f, struct error *err)
{
	char host[HOST_NAME_MAX + 1] = "node", digits[2 * NODE_RANDOM + 1];
	uint8_t bytes[NODE_RANDOM];
	CLEANUP(mem_freep) char *line = NULL;
	int rc = read_node(f, err);

	if (rc != ERR_NOT_FOUND)
		return rc;
	(void)gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *p))
			*p = '-';
	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), digits);
	/* The name is for people; the digits keep two machines of one name apart. */
	line = mem_printf("%.40s-%s\n", host, digits);
	rc = io_write_file(f->fd, "node", span_of(line), 0644, err);
	return rc < 0 ? rc : read_node(f, err);
}

static int make_run_folder(struct data_folder *f, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char hex[SHA256_HEX_SIZE];

	sha256_hex(span_of(f->path), hex);
	hex[RUN_DIGITS] = '\0';
	if (f->root)
		f->run = mem_printf("/run/mortise-%s", hex);
	else if (runtime && runtime[0] == '/' && access(runtime, W_OK | X_OK) == 0 &&
		 strlen(runtime) + SOCKET_PATH_ROOM + sizeof("/mortise-12345678") < SOCKET_PATH_MAX)
		f->run = mem_printf("%s/mortise-%s", runtime, hex);
	else
		f->run = mem_printf("/tmp/mortise-%u-%s", (unsigned)geteuid(), hex);
	/* Nothing in it outlives a host, and we hold the lock. In /tmp a stranger's folder of that
	 * name cannot be removed and is then refused by its owner. */
	(void)io_remove_tree(AT_FDCWD, f->run, NULL);
	return make_folder(f->run, f->root ? 0711 : 0700, geteuid(), getegid(), err);
}

static int make_part(struct data_folder *f, const char *base, const char *name, mode_t mode,
	uid_t uid, gid_t gid, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", base, name);

	return make_folder(path, f->root ? mode : 0700, uid, gid, err);
}

static int make_parts(struct data_folder *f, struct error *err)
{
	uid_t us = geteuid();
	gid_t our_group = getegid();
	const struct {
		const char *base, *name;
		mode_t mode;
		uid_t uid;
		gid_t gid;
	} parts[] = {
		{ f->path, "store", 0755, us, our_group },
		{ f->path, "staging", 0711, us, our_group },
		{ f->path, "instances", 0711, us, our_group },
		{ f->path, "logs", 02750, us, f->service_gid },
		{ f->path, "trust", 0755, us, our_group },
		{ f->run, "db", 0710, f->database_uid, f->service_gid },
		{ f->run, "workers", 0710, us, f->service_gid },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		int rc = make_part(f, parts[i].base, parts[i].name, parts[i].mode, parts[i].uid,
			parts[i].gid, err);

		if (rc < 0)
			return rc;
	}
	f->logs_fd = openat(f->fd, "logs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->logs_fd == -1)
		return error_set_errno(err, errno, "open '%s/logs'", f->path);
	return 0;
}

static int open_path(struct data_folder *f, const struct settings *settings, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	char real[PATH_MAX];
	int rc = paths_data(&path, settings, err);

	if (rc == 0)
		rc = make_folder(path, f->root ? 0711 : 0700, geteuid(), getegid(), err);
	if (rc < 0)
		return rc;
	if (!realpath(path, real))
		return error_set_errno(err, errno, "resolve '%s'", path);
	f->path = mem_strdup(real);
	f->fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd == -1)
		return error_set_errno(err, errno, "open '%s'", real);
	return f->root ? data_folder_check_way(f->path, err) : 0;
}

static int write_pid(struct data_folder *f, struct error *err)
{
	CLEANUP(mem_freep) char *line = mem_printf("%d\n", (int)getpid());

	if (ftruncate(f->lock_fd, 0) == -1 || lseek(f->lock_fd, 0, SEEK_SET) == -1)
		return error_set_errno(err, errno, "empty '%s/" PID_FILE "'", f->path);
	return io_write_all(f->lock_fd, line, strlen(line), err);
}

static void release(struct data_folder *f)
{
	io_closep(&f->logs_fd);
	io_closep(&f->lock_fd);
	io_closep(&f->fd);
	mem_free(f->path);
	mem_free(f->run);
	f->path = f->run = NULL;
}

int data_folder_open(struct data_folder *folder, const struct settings *settings, struct error *err)
{
	struct data_folder f = { .fd = -1,
		.lock_fd = -1,
		.logs_fd = -1,
		.root = geteuid() == 0,
		.service_uid = geteuid(),
		.service_gid = getegid(),
		.database_uid = geteuid(),
		.database_gid = getegid() };
	int rc = 0;

	if (f.root)
		rc = find_service_user(&f, settings, err);
	if (rc == 0 && f.root)
		rc = check_uids(settings, err);
	if (rc == 0)
		rc = open_path(&f, settings, err);
	if (rc == 0)
		rc = take_lock(&f, err);
	if (rc == 0 && f.root)
		rc = find_database_user(&f, settings, err);
	if (rc == 0)
		rc = make_node(&f, err);
	if (rc == 0)
		rc = make_run_folder(&f, err);
	if (rc == 0)
		rc = make_parts(&f, err);
	if (rc == 0)
		rc = write_pid(&f, err);
	if (rc == 0)
		/* What an earlier life left would name a port that nobody serves. */
		(void)unlinkat(f.fd, "listen", 0);
	if (rc < 0) {
		release(&f);
		return rc;
	}
	*folder = f;
	return 0;
}

void data_folder_close(struct data_folder *folder)
{
	if (!folder->path)
		return;
	(void)unlinkat(folder->fd, "listen", 0);
	/* The lock tells whether a host runs; a pid that stays in the file misleads nobody. */
	(void)!ftruncate(folder->lock_fd, 0);
	(void)io_remove_tree(AT_FDCWD, folder->run, NULL);
	release(folder);
}
