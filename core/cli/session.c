/* The file is replaced by rename, so its lock is on a file beside it: a lock on what is renamed
 * away guards nothing. */
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "codec/json.h"

#define FILE_MAX 65536
/* A token that lasts no longer may expire on its way. */
#define MARGIN_US INT64_C(10000000)

/* ---- the file ----------------------------------------------------------------------------------
 */

static int find_folder(char **out, struct error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	CLEANUP(mem_freep) char *folder = NULL;
	int rc;

	/* The XDG specification has relative paths ignored. */
	if (state && state[0] == '/')
		folder = mem_printf("%s/mortise", state);
	else if (home && home[0] == '/')
		folder = mem_printf("%s/.local/state/mortise", home);
	else
		return error_set(err, ERR_CONFIG,
			"neither XDG_STATE_HOME nor HOME says where to keep a session");
	rc = io_make_dirs(folder, 0700, err);
	if (rc == 0)
		*out = TAKE(folder);
	return rc;
}

/* "STATE/mortise/http%3A%2F%2F127.0.0.1%3A7400" and what stands behind. */
static int find_path(struct cli *cli, const char *suffix, char **out, struct error *err)
{
	CLEANUP(mem_freep) char *folder = NULL;
	const char *base;
	struct text path;
	int rc = client_base(cli, &base, err);

	if (rc == 0)
		rc = find_folder(&folder, err);
	if (rc < 0)
		return rc;
	text_init(&path);
	text_printf(&path, "%s/", folder);
	client_escape(&path, base);
	text_append_string(&path, suffix);
	*out = text_take(&path);
	text_done(&path);
	return 0;
}

int session_kept(struct cli *cli, json_t **out, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	struct text text;
	int rc = find_path(cli, ".json", &path, err);

	*out = NULL;
	if (rc < 0)
		return rc == ERR_CONFIG ? 0 : rc;
	text_init(&text);
	rc = io_read_file(AT_FDCWD, path, FILE_MAX, &text, err);
	if (rc == 0)
		*out = json_loadb(text.data, text.len, 0, NULL);
	mem_wipe(text.data, text.len);
	text_done(&text);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc == 0 && !*out) {
		(void)error_set(err, ERR_FORMAT, "'%s' is no kept session", path);
		return error_fix(err, "remove it and run 'mortise login'");
	}
	return rc;
}

int session_keep(struct cli *cli, const json_t *answer, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL, *text = NULL;
	int rc = find_path(cli, ".json", &path, err);

	if (rc < 0)
		return rc;
	text = json_dumps(answer, JSON_INDENT(2));
	rc = io_write_file(AT_FDCWD, path, span_of(text), 0600, err);
	mem_wipe(text, strlen(text));
	return rc;
}

int session_forget(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	int rc = find_path(cli, ".json", &path, err);

	if (rc < 0)
		return rc;
	if (unlink(path) == -1 && errno != ENOENT)
		return error_set_errno(err, errno, "remove '%s'", path);
	return 0;
}

/* ---- refreshing --------------------------------------------------------------------------------
 */

static bool lasts(const json_t *session)
{
	int64_t expires;

	return clock_parse(span_of(cli_text(session, "expires_at", "")), &expires) &&
	       expires > clock_real_us() + MARGIN_US;
}

static int lock(struct cli *cli, int *fd, struct error *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	int rc = find_path(cli, ".lock", &path, err);

	if (rc < 0)
		return rc;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	if (flock(*fd, LOCK_EX) == -1)
		return error_set_errno(err, errno, "lock '%s'", path);
	return 0;
}

static int over(struct cli *cli, struct error *err)
{
	(void)session_forget(cli, NULL);
	(void)error_set(err, ERR_SESSION_UNKNOWN, "the kept session is over");
	return error_fix(err, "run 'mortise login'");
}

static int refresh(struct cli *cli, const json_t *session, char **token, struct error *err)
{
	CLEANUP(json_freep)
	json_t *body = json_pack("{s:s}", "refresh_token", cli_text(session, "refresh_token", ""));
	CLEANUP(json_freep) json_t *answer = NULL;
	int rc = client_send(cli,
		&(struct client_request){ .method = "POST",
			.path = "/v1/sessions/refresh",
			.body = body,
			.upload_fd = -1,
			.bare = true },
		&answer, err);

	if (rc == ERR_REFRESH || rc == ERR_REFRESH_REUSED || rc == ERR_REFRESH_TWICE)
		return over(cli, err);
	if (rc == 0)
		rc = session_keep(cli, answer, err);
	if (rc == 0)
		*token = mem_strdup(cli_text(answer, "token", ""));
	return rc;
}

/* Under the lock. stale: a token that does not count; NULL: look at the times alone. */
static int renew_locked(struct cli *cli, const char *stale, char **token, struct error *err)
{
	CLEANUP(json_freep) json_t *session = NULL;
	const char *kept;
	int rc = session_kept(cli, &session, err);

	if (rc < 0)
		return rc;
	kept = cli_text(session, "token", "");
	if (kept[0] && lasts(session) && !(stale && strcmp(stale, kept) == 0)) {
		*token = mem_strdup(kept); /* somebody was faster */
		return 0;
	}
	if (!cli_text(session, "refresh_token", "")[0])
		return over(cli, err);
	return refresh(cli, session, token, err);
}

static int renew(struct cli *cli, const char *stale, char **token, struct error *err)
{
	CLEANUP(io_closep) int fd = -1;
	int rc = lock(cli, &fd, err);

	return rc < 0 ? rc : renew_locked(cli, stale, token, err);
}

int session_renew(struct cli *cli, const char *token, char **fresh, struct error *err)
{
	return renew(cli, token, fresh, err);
}

int session_token(struct cli *cli, char **token, struct error *err)
{
	CLEANUP(json_freep) json_t *session = NULL;
	int rc = session_kept(cli, &session, err);

	*token = NULL;
	if (rc < 0 || !session)
		return rc;
	if (!lasts(session))
		return renew(cli, NULL, token, err);
	*token = mem_strdup(cli_text(session, "token", ""));
	return 0;
}
