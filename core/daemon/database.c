#include "daemon/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "daemon/data_folder.h"
#include "db/session.h"
#include "identity/key.h"
#include "store/key_ring.h"
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

int database_front_by(struct database_urls *urls, const char *url, struct error *err)
{
	size_t begin, len, login, login_len;
	char *front;

	if (!find_user(url, &begin, &len) || names_login(url)) {
		(void)error_set(err, ERR_CONFIG,
			"setting 'database.front': not a URL that the fronts' login can be put "
			"into");
		return error_fix(err, "write it as postgresql://HOST:PORT/DATABASE");
	}
	if (!find_user(urls->front, &login, &login_len))
		BUG("our own URL has no login");
	front = mem_printf("%.*s%.*s@%s", (int)begin, url, (int)login_len, urls->front + login,
		url + begin + len + (len ? 1 : 0));
	mem_wipe(urls->front, strlen(urls->front));
	mem_free(urls->front);
	urls->front = front;
	return 0;
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

/* [{"id","fingerprint","retired"}], oldest first. */
static void describe_ring(const struct key_ring *ring, struct text *out)
{
	for (size_t i = 0; i < key_ring_count(ring); i++) {
		struct key_ring_entry key;

		key_ring_entry(ring, i, &key);
		text_printf(out, "%s{\"id\":\"%s\",\"fingerprint\":\"%s\",\"retired\":%s}",
			i ? "," : "[", key.id, key.fingerprint, key.retired ? "true" : "false");
	}
	text_append_char(out, ']');
}

static int settle_ring(
	struct key_ring **ring, struct db_session *s, const char *path, struct error *err)
{
	CLEANUP(mem_freep) char *current = NULL;
	struct text keys;
	bool known;
	int rc = store_key_ring_known(s, &known, err);

	if (rc == 0 && known && !*ring)
		return error_set(err, ERR_KEY_RING_OTHER,
			"there is no key ring '%s', and secrets of this database are sealed with "
			"one",
			path);
	if (rc == 0 && !*ring)
		rc = key_ring_make(ring, path, err);
	if (rc < 0)
		return rc;
	text_init(&keys);
	describe_ring(*ring, &keys);
	rc = store_key_ring_settle(s, text_span(&keys), &current, err);
	text_done(&keys);
	return rc < 0 ? error_wrap(err, "'%s'", path) : key_ring_use(*ring, span_of(current), err);
}

static void say_what_failed(const struct db_session *s, int rc, struct error *err)
{
	if (s && db_session_detail(s)[0])
		log_error("database", LOG_STR("detail", db_session_detail(s)));
	(void)error_wrap(err, "database");
	if (rc == ERR_UNAVAIL)
		(void)error_fix(err, "start that server, or correct the URL of --database "
				     "(MORTISE_DATABASE)");
}

int database_prepare(struct database_urls *out, struct key_ring **ring,
	const struct database_options *options, struct error *err)
{
	CLEANUP(db_session_freep) struct db_session *s = NULL;
	struct progress progress = { options->step, options->user, 0 };
	struct database_urls urls = { 0 };
	size_t begin, len, count;
	char text[64];
	int rc;

	if (!find_user(options->owner_url, &begin, &len) || names_login(options->owner_url)) {
		(void)error_set(err, ERR_CONFIG,
			"setting 'database': not a URL of the form that other logins follow from");
		return error_fix(err, "write it as postgresql://USER:PASSWORD@HOST/DATABASE");
	}
	rc = db_session_open(&s, options->owner_url, CONNECT_MS, err);
	if (rc == 0)
		rc = store_migrate(s, on_migration, &progress, err);
	if (rc == 0)
		rc = settle_ring(ring, s, options->key_ring_path, err);
	if (rc == 0)
		rc = set_logins(&urls, s, options->owner_url, key_ring_login_secret(*ring), err);
	if (rc == 0)
		rc = make_token(s, options->folder, options->embedded, err);
	if (rc < 0) {
		say_what_failed(s, rc, err);
		database_urls_done(&urls);
		return rc;
	}
	(void)store_migrations(&count);
	(void)snprintf(
		text, sizeof(text), "%zu migrations, %u of them new", count, progress.applied);
	options->step("schema", text, options->user);
	*out = urls;
	return 0;
}
