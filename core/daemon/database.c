#include "daemon/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "daemon/data_folder.h"
#include "db/session.h"
#include "identity/key.h"
#include "store/migrate.h"
#include "supervise/key_ring.h"

#define CONNECT_MS       10000
#define TOKEN_FILE       "admin.token"
#define LOGIN_FRONT      "mortise_front"
#define LOGIN_SUPERVISOR "mortise_supervisor"

/* ---- URLs ---- */

/* Where the user information of a URL begins and how long it is; false for other forms. */
static bool find_user(const char *url, size_t *begin, size_t *len)
{
	static const char *const schemes[] = { "postgresql://", "postgres://" };
	const char *rest = NULL, *end, *at;

	for (size_t i = 0; i < ARRAY_LENGTH(schemes) && !rest; i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			rest = url + strlen(schemes[i]);
	if (!rest)
		return false;
	end = rest + strcspn(rest, "/?");
	at = memrchr(rest, '@', (size_t)(end - rest));
	*begin = (size_t)(rest - url);
	*len = at ? (size_t)(at - rest) : 0;
	return true;
}

static bool names_login(const char *url)
{
	const char *query = strchr(url, '?');

	/* In the query they would win over what stands in front. */
	return query && (strstr(query, "user=") || strstr(query, "password="));
}

char *database_login_url(const char *url, const char *user, const char *password)
{
	size_t begin, len;

	if (!find_user(url, &begin, &len) || names_login(url))
		return NULL;
	return mem_printf(
		"%.*s%s:%s@%s", (int)begin, url, user, password, url + begin + len + (len ? 1 : 0));
}

/* The owner's password, percent-decoded or not: it only has to be the same everywhere. */
static struct span password_of(const char *url)
{
	size_t begin, len;
	const char *colon;

	if (!find_user(url, &begin, &len))
		return SPAN_NONE;
	colon = memchr(url + begin, ':', len);
	if (!colon)
		return SPAN_NONE;
	return (struct span){ colon + 1, len - (size_t)(colon + 1 - (url + begin)) };
}

static void derive(struct span secret, const char *login, char out[static SHA256_HEX_SIZE])
{
	const struct span parts[] = { SPAN("mortise login "), span_of(login) };
	uint8_t mac[SHA256_SIZE];

	hmac_sha256(secret, parts, ARRAY_LENGTH(parts), mac);
	hex_encode(mac, sizeof(mac), out);
	mem_wipe(mac, sizeof(mac));
}

static int set_logins(struct database_urls *out, struct db_session *s, const char *owner_url,
	struct span secret, struct error *err)
{
	struct span password = password_of(owner_url);
	char front[SHA256_HEX_SIZE], supervisor[SHA256_HEX_SIZE];
	int rc;

	if (password.len == 0)
		password = secret;
	derive(password, LOGIN_FRONT, front);
	derive(password, LOGIN_SUPERVISOR, supervisor);
	rc = store_set_passwords(s, front, supervisor, err);
	if (rc == 0) {
		out->front = database_login_url(owner_url, LOGIN_FRONT, front);
		out->supervisor = database_login_url(owner_url, LOGIN_SUPERVISOR, supervisor);
	}
	mem_wipe(front, sizeof(front));
	mem_wipe(supervisor, sizeof(supervisor));
	return rc;
}

void database_urls_done(struct database_urls *urls)
{
	if (urls->front)
		mem_wipe(urls->front, strlen(urls->front));
	if (urls->supervisor)
		mem_wipe(urls->supervisor, strlen(urls->supervisor));
	mem_free(urls->front);
	mem_free(urls->supervisor);
	urls->front = urls->supervisor = NULL;
}

/* ---- the first administrator ---- */

/* The key goes into the database first: a crash between the two leaves no file, and the next start
 * makes another key that replaces it. */
static int make_token(
	struct db_session *s, const struct data_folder *folder, bool embedded, struct error *err)
{
	char key[KEY_LEN + 1], hash[SHA256_HEX_SIZE], prefix[KEY_PREFIX_LEN + 1];
	CLEANUP(mem_freep) char *line = NULL;
	/* Hosts that share a database have an administrator each, or they would take each other's
	 * key away. */
	CLEANUP(mem_freep)
	char *name = embedded ? mem_strdup("admin") : mem_printf("admin-%s", folder->node);
	int rc;

	if (faccessat(folder->fd, TOKEN_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	key_make(KEY_API, key);
	sha256_hex(span_of(key), hash);
	(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)KEY_PREFIX_LEN, key);
	line = mem_printf("%s\n", key);
	rc = store_bootstrap_admin(s, name, hash, prefix, err);
	if (rc == 0)
		rc = io_write_file(folder->fd, TOKEN_FILE, span_of(line), 0600, err);
	mem_wipe(key, sizeof(key));
	mem_wipe(line, strlen(line));
	return rc;
}

/* ---- all of it ---- */

struct progress {
	database_step_cb step;
	void *user;
	unsigned applied;
};

static void on_migration(const struct store_migration *migration, void *user)
{
	struct progress *p = user;

	p->applied++;
	log_info("migration", LOG_STR("name", migration->name));
}

int database_prepare(struct database_urls *out, const char *owner_url,
	const struct data_folder *folder, bool embedded, struct key_ring *ring,
	database_step_cb step, void *user, struct error *err)
{
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	struct progress progress = { step, user, 0 };
	struct database_urls urls = { 0 };
	size_t begin, len, count;
	char text[64];
	int rc;

	if (!find_user(owner_url, &begin, &len) || names_login(owner_url)) {
		(void)error_set(err, ERR_CONFIG,
			"setting 'database': not a URL of the form that other logins follow from");
		return error_fix(err, "write it as postgresql://USER:PASSWORD@HOST/DATABASE");
	}
	rc = db_session_open(&s, owner_url, CONNECT_MS, err);
	if (rc == 0)
		rc = store_migrate(s, on_migration, &progress, err);
	if (rc == 0)
		rc = set_logins(&urls, s, owner_url, key_ring_login_secret(ring), err);
	if (rc == 0)
		rc = make_token(s, folder, embedded, err);
	if (rc < 0) {
		if (s && db_session_detail(s)[0])
			log_error("database", LOG_STR("detail", db_session_detail(s)));
		database_urls_done(&urls);
		(void)error_wrap(err, "database");
		if (rc == ERR_UNAVAIL)
			(void)error_fix(err, "start that server, or correct the URL of --database "
					     "(MORTISE_DATABASE)");
		return rc;
	}
	(void)store_migrations(&count);
	(void)snprintf(
		text, sizeof(text), "%zu migrations, %u of them new", count, progress.applied);
	step("schema", text, user);
	*out = urls;
	return 0;
}
