/* The keys are copied about in struct ring, which lives in pages of its own: locked, so that none
 * reaches the swap, and not dumped. What the file's text leaves in ordinary memory is wiped. */
#include "supervise/key_ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "channel/protocol.h"
#include "codec/random.h"

#define FILE_BYTES  32768
#define TIME_SIZE   21 /* "2026-11-23T23:55:00Z" and the NUL */
#define KEY_HEX     (2 * SEAL_MASTER_SIZE)
#define FINGER_PART 8 /* of the fingerprint's digits, in a key's id */

struct key {
	struct seal_key seal;        /* of a retired key all zero */
	uint8_t digest[SHA256_SIZE]; /* what HMACs are made with */
	char fingerprint[SHA256_HEX_SIZE];
	char made[TIME_SIZE];
	bool retired;
};

struct key_ring {
	char path[PATH_MAX];
	int used; /* index; -1: none */
	size_t count;
	uint8_t login[SEAL_MASTER_SIZE];
	struct key keys[KEY_RING_KEYS_MAX];
};

/* ---- memory ---- */

static struct key_ring *make_ring(const char *path)
{
	struct key_ring *ring = mmap(
		NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ring == MAP_FAILED)
		BUG("no memory for the key ring");
	/* A few pages are within what any user may lock; where not, the swap is the operator's. */
	if (mlock(ring, sizeof(*ring)) == -1)
		log_warn("the key ring's memory may be swapped out: it cannot be locked",
			LOG_INT("errno", errno));
	(void)madvise(ring, sizeof(*ring), MADV_DONTDUMP);
	(void)snprintf(ring->path, sizeof(ring->path), "%s", path);
	ring->used = -1;
	return ring;
}

void key_ring_free(struct key_ring *ring)
{
	if (!ring)
		return;
	mem_wipe(ring, sizeof(*ring));
	(void)munmap(ring, sizeof(*ring));
}

static struct span bytes(const uint8_t *data, size_t len)
{
	return (struct span){ (const char *)data, len };
}

static void derive(const uint8_t *master, struct span purpose, uint8_t out[static SHA256_SIZE])
{
	hmac_sha256(bytes(master, SEAL_MASTER_SIZE), &purpose, 1, out);
}

/* The fingerprint, the id and the digest half follow from the key and its number in the ring. */
static void complete_key(struct key *key, unsigned number)
{
	uint8_t finger[SHA256_SIZE];

	derive(key->seal.master, SPAN("digest"), key->digest);
	derive(key->seal.master, SPAN("fingerprint"), finger);
	hex_encode(finger, sizeof(finger), key->fingerprint);
	if (number)
		(void)snprintf(key->seal.id, sizeof(key->seal.id), "k%u-%.*s", number, FINGER_PART,
			key->fingerprint);
}

/* ---- the file ---- */

static int check_file(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return error_set_errno(err, errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return error_set(err, ERR_KEY_RING,
			"'%s' must be a plain file of the user that runs the host, with mode 0600",
			path);
	return 0;
}

static int refuse_line(const char *path, unsigned line, struct error *err)
{
	return error_set(err, ERR_KEY_RING, "'%s', line %u: not a line of a key ring", path, line);
}

static bool read_time(struct span text, char out[static TIME_SIZE])
{
	if (text.len != TIME_SIZE - 1 || memchr(text.data, '\0', text.len))
		return false;
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
	return true;
}

/* "ID TIME HEX", or for a retired key "ID TIME FINGERPRINT HEX". */
static bool read_key(struct key_ring *ring, struct span rest, bool retired)
{
	struct key *key = &ring->keys[ring->count];
	struct span id, made, finger = SPAN_NONE, hex;
	char stated[SEAL_KEY_ID_MAX + 1];

	if (ring->count == KEY_RING_KEYS_MAX || !span_split(&rest, ' ', &id) ||
		!span_split(&rest, ' ', &made) || (retired && !span_split(&rest, ' ', &finger)) ||
		!span_split(&rest, ' ', &hex) || rest.data || !seal_key_id_valid(id) ||
		!read_time(made, key->made))
		return false;
	(void)snprintf(stated, sizeof(stated), "%.*s", SPAN_ARG(id));
	for (size_t i = 0; i < ring->count; i++)
		if (strcmp(ring->keys[i].seal.id, stated) == 0)
			return false;
	memcpy(key->seal.id, stated, sizeof(stated));
	key->retired = retired;
	if (retired) {
		uint8_t raw[SHA256_SIZE];

		if (!hex_decode(finger, raw, sizeof(raw)) ||
			!hex_decode(hex, key->digest, sizeof(key->digest)))
			return false;
		hex_encode(raw, sizeof(raw), key->fingerprint);
	} else {
		if (!hex_decode(hex, key->seal.master, sizeof(key->seal.master)))
			return false;
		complete_key(key, 0);
	}
	ring->count++;
	return true;
}

static bool read_line(struct key_ring *ring, struct span line, bool *login)
{
	struct span word;

	if (line.len == 0 || line.data[0] == '#')
		return true;
	(void)span_split(&line, ' ', &word);
	if (!line.data)
		return false;
	if (span_is(word, "key") || span_is(word, "retired"))
		return read_key(ring, line, span_is(word, "retired"));
	if (!span_is(word, "login") || *login)
		return false;
	*login = true;
	return hex_decode(line, ring->login, sizeof(ring->login));
}

static int read_text(struct key_ring *ring, struct span text, struct error *err)
{
	struct span line;
	bool login = false;

	for (unsigned number = 1; span_split(&text, '\n', &line); number++)
		if (!read_line(ring, line, &login))
			return refuse_line(ring->path, number, err);
	if (!login || ring->count == 0)
		return error_set(err, ERR_KEY_RING, "'%s' is cut short: it lacks %s", ring->path,
			login ? "its keys" : "the line 'login'");
	return 0;
}

/* In one piece, so that no copy is left behind by a text that grows. */
static int read_file(int fd, const char *path, struct text *out, struct error *err)
{
	char *room = text_reserve(out, FILE_BYTES);

	for (;;) {
		ssize_t n = read(fd, room + out->len, FILE_BYTES - out->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, errno, "read '%s'", path);
		if (n == 0)
			return 0;
		text_grown(out, (size_t)n);
		if (out->len == FILE_BYTES)
			return error_set(
				err, ERR_KEY_RING, "'%s' is longer than any key ring", path);
	}
}

int key_ring_open(struct key_ring **out, const char *path, struct error *err)
{
	CLEANUP(key_ring_freep) struct key_ring *ring = NULL;
	CLEANUP(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct text text;
	int rc;

	if (fd == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no key ring '%s'", path);
	if (fd == -1)
		return error_set_errno(err, errno, "open the key ring '%s'", path);
	rc = check_file(fd, path, err);
	if (rc < 0)
		return rc;
	ring = make_ring(path);
	text_init(&text);
	rc = read_file(fd, path, &text, err);
	if (rc == 0)
		rc = read_text(ring, text_span(&text), err);
	mem_wipe(text.data, text.cap);
	text_done(&text);
	if (rc == 0)
		*out = TAKE(ring);
	return rc;
}

static void append_hex(struct text *text, const char *before, const uint8_t *data)
{
	char hex[KEY_HEX + 1];

	hex_encode(data, SEAL_MASTER_SIZE, hex);
	text_append_string(text, before);
	text_append_string(text, hex);
	text_append_char(text, '\n');
	mem_wipe(hex, sizeof(hex));
}

static void write_text(const struct key_ring *ring, struct text *text)
{
	text_append_string(text,
		"# The key ring of a Mortise host. Whoever has it and the database can read every\n"
		"# secret in there: keep a copy, but apart from the database's backups. Only\n"
		"# 'mortise key-ring' changes it; all nodes of a database need the same keys.\n");
	append_hex(text, "login ", ring->login);
	for (size_t i = 0; i < ring->count; i++) {
		const struct key *key = &ring->keys[i];

		text_printf(text, key->retired ? "retired %s %s %s" : "key %s %s", key->seal.id,
			key->made, key->fingerprint);
		append_hex(text, " ", key->retired ? key->digest : key->seal.master);
	}
}

/* What a crash left of an earlier write may hold a key that is retired since. The caller holds the
 * folder's lock. */
static void remove_leftovers(const char *path)
{
	CLEANUP(mem_freep) char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');
	const char *name = slash ? path + (slash - folder) + 1 : path;
	struct dirent *entry;
	DIR *dir;

	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	dir = opendir(slash ? folder : ".");
	while (dir && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (strncmp(entry->d_name, name, strlen(name)) == 0 &&
			entry->d_name[strlen(name)] == '.' && len > 4 &&
			strcmp(entry->d_name + len - 4, ".new") == 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		(void)closedir(dir);
}

static int write_file(const struct key_ring *ring, struct error *err)
{
	struct text text;
	int rc = FAULT_POINT("key_ring.write");

	if (rc < 0)
		return error_set(err, rc, "write '%s'", ring->path);
	remove_leftovers(ring->path);
	text_init(&text);
	(void)text_reserve(&text, FILE_BYTES);
	write_text(ring, &text);
	ASSERT(text.len < FILE_BYTES);
	rc = io_write_file(AT_FDCWD, ring->path, text_span(&text), 0600, err);
	mem_wipe(text.data, text.cap);
	text_done(&text);
	return rc;
}

/* Hold the file's folder, so that of several processes one writes at a time. */
static int lock_folder(const char *path, int *fd, struct error *err)
{
	CLEANUP(mem_freep) char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');

	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	*fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd == -1)
		return error_set_errno(err, errno, "open the folder of the key ring '%s'", path);
	if (flock(*fd, LOCK_EX) == -1)
		return error_set_errno(err, errno, "lock the folder of the key ring '%s'", path);
	return 0;
}

/* ---- keys ---- */

static unsigned next_number(const struct key_ring *ring)
{
	unsigned highest = 0, number;

	for (size_t i = 0; i < ring->count; i++)
		if (sscanf(ring->keys[i].seal.id, "k%6u-", &number) == 1 && number > highest)
			highest = number;
	return highest + 1;
}

static void remove_key(struct key_ring *ring, size_t i)
{
	memmove(&ring->keys[i], &ring->keys[i + 1], (ring->count - i - 1) * sizeof(ring->keys[0]));
	ring->count--;
	mem_wipe(&ring->keys[ring->count], sizeof(ring->keys[0]));
	if (ring->used > (int)i)
		ring->used--;
}

/* Digests of the oldest retired key are given up first. */
static bool make_room(struct key_ring *ring)
{
	for (size_t i = 0; i < ring->count && ring->count == KEY_RING_KEYS_MAX; i++)
		if (ring->keys[i].retired)
			remove_key(ring, i);
	return ring->count < KEY_RING_KEYS_MAX;
}

static void add_key(struct key_ring *ring)
{
	struct key *key = &ring->keys[ring->count];
	unsigned number = next_number(ring);
	time_t now = time(NULL);
	struct tm utc;

	random_bytes(key->seal.master, sizeof(key->seal.master));
	complete_key(key, number);
	(void)gmtime_r(&now, &utc);
	(void)strftime(key->made, sizeof(key->made), "%Y-%m-%dT%H:%M:%SZ", &utc);
	ring->count++;
}

static int find_key(const struct key_ring *ring, struct span id)
{
	for (size_t i = 0; i < ring->count; i++)
		if (span_is(id, ring->keys[i].seal.id))
			return (int)i;
	return -1;
}

int key_ring_make(struct key_ring **out, const char *path, struct error *err)
{
	CLEANUP(key_ring_freep) struct key_ring *ring = NULL;
	CLEANUP(io_closep) int lock = -1;
	int rc = lock_folder(path, &lock, err);

	if (rc < 0)
		return rc;
	if (access(path, F_OK) == 0)
		return error_set(err, ERR_CONFLICT, "the key ring '%s' is there", path);
	ring = make_ring(path);
	random_bytes(ring->login, sizeof(ring->login));
	add_key(ring);
	rc = write_file(ring, err);
	if (rc == 0)
		*out = TAKE(ring);
	return rc;
}

int key_ring_reopen(struct key_ring **out, const struct key_ring *ring, struct error *err)
{
	struct key_ring *fresh = NULL;
	int rc = key_ring_open(&fresh, ring->path, err);

	if (rc < 0)
		return rc;
	if (ring->used >= 0)
		(void)key_ring_use(fresh, span_of(ring->keys[ring->used].seal.id), NULL);
	*out = fresh;
	return 0;
}

int key_ring_add(struct key_ring **out, const struct key_ring *ring, struct error *err)
{
	CLEANUP(key_ring_freep) struct key_ring *fresh = NULL;
	CLEANUP(io_closep) int lock = -1;
	int rc = lock_folder(ring->path, &lock, err);

	if (rc == 0)
		rc = key_ring_reopen(&fresh, ring, err);
	if (rc < 0)
		return rc;
	if (!make_room(fresh))
		return error_set(err, ERR_KEY_RING,
			"the key ring '%s' is full: none of its %u keys is retired", ring->path,
			KEY_RING_KEYS_MAX);
	add_key(fresh);
	rc = write_file(fresh, err);
	if (rc == 0)
		*out = TAKE(fresh);
	return rc;
}

int key_ring_retire(
	struct key_ring **out, const struct key_ring *ring, struct span id, struct error *err)
{
	CLEANUP(key_ring_freep) struct key_ring *fresh = NULL;
	CLEANUP(io_closep) int lock = -1;
	int rc = lock_folder(ring->path, &lock, err), i;

	if (rc == 0)
		rc = key_ring_reopen(&fresh, ring, err);
	if (rc < 0)
		return rc;
	i = find_key(fresh, id);
	if (i >= 0 && i == fresh->used)
		fresh->used = -1;
	if (i >= 0 && !fresh->keys[i].retired) {
		fresh->keys[i].retired = true;
		mem_wipe(fresh->keys[i].seal.master, SEAL_MASTER_SIZE);
		rc = write_file(fresh, err);
	}
	if (rc == 0)
		*out = TAKE(fresh);
	return rc;
}

/* ---- what is told ---- */

const char *key_ring_path(const struct key_ring *ring)
{
	return ring->path;
}

size_t key_ring_count(const struct key_ring *ring)
{
	return ring->count;
}

void key_ring_entry(const struct key_ring *ring, size_t i, struct key_ring_entry *out)
{
	const struct key *key = &ring->keys[i];

	ASSERT(i < ring->count);
	memcpy(out->id, key->seal.id, sizeof(out->id));
	memcpy(out->fingerprint, key->fingerprint, sizeof(out->fingerprint));
	out->retired = key->retired;
}

bool key_ring_has(const struct key_ring *ring, struct span id, struct span fingerprint)
{
	int i = find_key(ring, id);

	return i >= 0 && !ring->keys[i].retired && span_is(fingerprint, ring->keys[i].fingerprint);
}

int key_ring_use(struct key_ring *ring, struct span id, struct error *err)
{
	int i = find_key(ring, id);

	if (i < 0 || ring->keys[i].retired)
		return error_set(err, ERR_NOT_FOUND, "the key ring '%s' has no key '%.*s'",
			ring->path, SPAN_ARG(id));
	ring->used = i;
	return 0;
}

const char *key_ring_used(const struct key_ring *ring)
{
	return ring->used < 0 ? "" : ring->keys[ring->used].seal.id;
}

struct span key_ring_login_secret(const struct key_ring *ring)
{
	return bytes(ring->login, sizeof(ring->login));
}

/* ---- what is done with the keys ---- */

/* The places that hold envelopes and digests: a front can ask for nothing else, so that it cannot
 * make the ring speak for purposes that nobody named. */
static const struct place {
	const char *prefix;
	unsigned ops; /* 1u << enum key_ring_op */
	bool named;   /* the row's id, then ":" and a name */
} places[] = {
	{ "users.mfa_secret:", 1u << KEY_RING_SEAL | 1u << KEY_RING_OPEN, false },
	{ "users.mfa_backup_codes:", 1u << KEY_RING_DIGEST, false },
	{ "plugin_installations.secrets:", 1u << KEY_RING_SEAL | 1u << KEY_RING_OPEN, true },
};

#define ROW_ID_BYTES 30
#define NAME_BYTES   64

static bool only(struct span text, size_t max, const char *others)
{
	if (text.len == 0 || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    (c && strchr(others, c))))
			return false;
	}
	return true;
}

static bool place_allows(const struct place *place, uint32_t op, struct span context)
{
	struct span rest = context, id;

	if (!span_starts(context, place->prefix) || !(place->ops & 1u << op))
		return false;
	rest.data += strlen(place->prefix);
	rest.len -= strlen(place->prefix);
	if (!place->named)
		return only(rest, ROW_ID_BYTES, "");
	return span_split(&rest, ':', &id) && rest.data && only(id, ROW_ID_BYTES, "") &&
	       only(rest, NAME_BYTES, "._-");
}

static int check_place(uint32_t op, struct span context, struct error *err)
{
	for (size_t i = 0; op < KEY_RING_OP_COUNT && i < ARRAY_LENGTH(places); i++)
		if (place_allows(&places[i], op, context))
			return 0;
	return error_set(err, ERR_INVALID, "no secret can stand in this place");
}

static int make_seal(const struct key_ring *ring, struct span context, struct span text,
	struct text *out, struct error *err)
{
	if (ring->used < 0)
		return error_set(err, ERR_UNAVAIL,
			"the database has not said yet which key of the key ring seals");
	return seal_make(out, &ring->keys[ring->used].seal, context, text, err);
}

static int open_seal(const struct key_ring *ring, struct span context, struct span envelope,
	struct text *out, struct error *err)
{
	struct span id;
	int i = seal_key_id(envelope, &id) ? find_key(ring, id) : -1;

	if (i >= 0 && !ring->keys[i].retired)
		return seal_open(out, envelope, &ring->keys[i].seal, 1, context, err);
	/* Says which of the two it is: no envelope, or a key that is not here. */
	return seal_open(out, envelope, NULL, 0, context, err);
}

/* Bound to the place, so that equal codes of two users have nothing in common. */
static void make_digests(
	const struct key_ring *ring, struct span context, struct span text, struct text *out)
{
	const struct span parts[] = { context, { "\0", 1 }, text };
	uint8_t mac[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];

	for (size_t i = ring->count; i-- > 0;) {
		hmac_sha256(
			bytes(ring->keys[i].digest, SHA256_SIZE), parts, ARRAY_LENGTH(parts), mac);
		hex_encode(mac, sizeof(mac), hex);
		text_append_string(out, i + 1 < ring->count ? " " : "");
		text_append_string(out, hex);
	}
}

int key_ring_serve(const struct key_ring *ring, uint32_t op, struct span context, struct span data,
	struct text *out, struct error *err)
{
	int rc = check_place(op, context, err);

	if (rc < 0)
		return rc;
	if (op != KEY_RING_OPEN && data.len > KEY_RING_DATA_MAX)
		return error_set(
			err, ERR_TOO_LARGE, "a secret is at most %u bytes long", KEY_RING_DATA_MAX);
	if (op == KEY_RING_SEAL)
		return make_seal(ring, context, data, out, err);
	if (op == KEY_RING_OPEN)
		return open_seal(ring, context, data, out, err);
	make_digests(ring, context, data, out);
	return 0;
}

int key_ring_reseal(const struct key_ring *ring, struct span context, struct span envelope,
	struct text *out, struct error *err)
{
	struct text plain;
	int rc;

	text_init(&plain);
	/* Room for all of it: a text that grows leaves copies. */
	(void)text_reserve(&plain, envelope.len);
	rc = open_seal(ring, context, envelope, &plain, err);
	if (rc == 0)
		rc = make_seal(ring, context, text_span(&plain), out, err);
	mem_wipe(plain.data, plain.cap);
	text_done(&plain);
	return rc;
}
