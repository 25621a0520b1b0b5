#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "store/trust.h"
#include "supervise/supervisor_priv.h"

/* The truth is a table. Stage gets it with each job; the files in DATA/trust, one a key or pin in
 * the form of package/trust.h, are a mirror for offline commands, written on the pool when a read
 * has found something else than the last one. */
#define KEY_HEX_PREFIX "ed25519:"
#define PIN_HEX_PREFIX "sha256:"

struct mirror_file {
	char *name;
	char *text;
};

struct mirror {
	struct trust *trust;
	char *folder;
	struct mirror_file *files;
	size_t count;
	struct error err;
};

struct trust {
	struct supervisor *s;
	struct stage_key *keys;
	size_t key_count;
	struct span *allowed;
	size_t allowed_count;
	struct mirror *mirror; /* being collected, or being written */
	char last[SHA256_HEX_SIZE];
	bool reading;
	struct list present; /* who gets the outcome of the read under way */
	struct list next;    /* who came meanwhile, and gets that of the next one */
};

struct reader {
	struct list link;
	lifecycle_done_cb done;
	void *arg;
};

static struct span span_copy(struct span s)
{
	return (struct span){ s.len ? mem_copy(s.data, s.len) : "", s.len };
}

static void span_free(struct span s)
{
	if (s.len)
		mem_free((void *)(uintptr_t)s.data);
}

static void clear(struct trust *t)
{
	for (size_t i = 0; i < t->key_count; i++) {
		span_free(t->keys[i].key_id);
		span_free(t->keys[i].public_key);
		span_free(t->keys[i].name);
		span_free(t->keys[i].namespaces);
	}
	for (size_t i = 0; i < t->allowed_count; i++)
		span_free(t->allowed[i]);
	mem_free(t->keys);
	mem_free(t->allowed);
	t->keys = NULL;
	t->allowed = NULL;
	t->key_count = t->allowed_count = 0;
}

static void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++) {
		mem_free(m->files[i].name);
		mem_free(m->files[i].text);
	}
	mem_free(m->files);
	mem_free(m->folder);
	mem_free(m);
}

static void mirror_add(struct mirror *m, char *name, char *text)
{
	m->files = mem_realloc(m->files, (m->count + 1) * sizeof(*m->files));
	m->files[m->count++] = (struct mirror_file){ name, text };
}

static void append_time(struct text *out, int64_t time_us)
{
	char time[CLOCK_TEXT_SIZE];

	if (time_us == 0) {
		text_append_string(out, "null");
		return;
	}
	clock_text(time_us, time);
	text_printf(out, "\"%s\"", time);
}

static void append_words(struct text *out, struct db_array words)
{
	struct span word;
	bool first = true;

	text_append_char(out, '[');
	while (db_array_next(&words, &word)) {
		if (!first)
			text_append_char(out, ',');
		first = false;
		text_append_json(out, word);
	}
	text_append_char(out, ']');
}

static void mirror_key(struct mirror *m, const struct store_trust_key *key)
{
	struct text text;
	char hex[2 * 64 + 1];

	if (!span_starts(key->key_id, KEY_HEX_PREFIX) || key->public_key.len > 64)
		return;
	hex_encode(key->public_key.data, key->public_key.len, hex);
	text_init(&text);
	text_append_string(&text, "{\"key_id\":");
	text_append_json(&text, key->key_id);
	text_printf(&text, ",\"public_key\":\"%s\",\"name\":", hex);
	text_append_json(&text, key->name);
	text_append_string(&text, ",\"namespaces\":");
	append_words(&text, key->namespaces);
	text_append_string(&text, ",\"roles\":");
	append_words(&text, key->roles);
	text_printf(
		&text, ",\"development\":%s,\"expires_at\":", key->development ? "true" : "false");
	append_time(&text, key->expires_at);
	text_append_string(&text, ",\"state\":");
	text_append_json(&text, key->state);
	text_append_string(&text, ",\"reason\":");
	text_append_json(&text, key->reason.data ? key->reason : SPAN(""));
	text_append_string(&text, "}\n");
	mirror_add(m,
		mem_printf("key-%.*s.json", (int)(key->key_id.len - strlen(KEY_HEX_PREFIX)),
			key->key_id.data + strlen(KEY_HEX_PREFIX)),
		text_take(&text));
	text_done(&text);
}

static void mirror_pin(struct mirror *m, const struct store_trust_pin *pin)
{
	struct text text;

	if (!span_starts(pin->digest, PIN_HEX_PREFIX))
		return;
	text_init(&text);
	text_append_string(&text, "{\"digest\":");
	text_append_json(&text, pin->digest);
	text_append_string(&text, ",\"state\":\"allowed\",\"expires_at\":");
	append_time(&text, pin->expires_at);
	text_append_string(&text, ",\"reason\":");
	text_append_json(&text, pin->reason);
	text_append_string(&text, "}\n");
	mirror_add(m,
		mem_printf("pin-%.*s.json", (int)(pin->digest.len - strlen(PIN_HEX_PREFIX)),
			pin->digest.data + strlen(PIN_HEX_PREFIX)),
		text_take(&text));
	text_done(&text);
}

/* ---- writing the mirror ---- */

static bool is_listed(const struct mirror *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->files[i].name, name) == 0)
			return true;
	return false;
}

/* [pool thread] */
static void write_mirror(void *user)
{
	struct mirror *m = user;
	CLEANUP(io_closep) int fd = open(m->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int copy, rc = 0;

	if (fd == -1) {
		(void)error_set_errno(&m->err, ENOENT, "open '%s'", m->folder);
		return;
	}
	for (size_t i = 0; i < m->count && rc == 0; i++)
		rc = io_write_file(fd, m->files[i].name, span_of(m->files[i].text), 0644, &m->err);
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy == -1 ? NULL : fdopendir(copy);
	while (dir && rc == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && !is_listed(m, entry->d_name))
			(void)unlinkat(fd, entry->d_name, 0);
	if (dir)
		(void)closedir(dir);
}

static void begin_read(struct trust *t);

static void finish(struct trust *t, const struct error *err)
{
	/* Still reading: a reader that comes from within a callback waits for the next one. */
	while (!list_empty(&t->present)) {
		struct reader *r = LIST_FIRST(&t->present, struct reader, link);

		list_remove(&r->link);
		r->done(r->arg, err);
		mem_free(r);
	}
	t->reading = false;
	if (!list_empty(&t->next))
		begin_read(t);
}

static void on_mirror_written(void *user, int cancelled)
{
	struct mirror *m = user;
	struct trust *t = m->trust;

	(void)cancelled;
	if (m->err.code) {
		log_warn("mirror of the trusted keys not written", LOG_ERR(&m->err));
		t->last[0] = '\0';
	}
	mirror_free(m);
	finish(t, NULL);
}

static void publish_mirror(struct trust *t)
{
	struct mirror *m = t->mirror;
	char hex[SHA256_HEX_SIZE];
	struct text all;

	t->mirror = NULL;
	text_init(&all);
	for (size_t i = 0; i < m->count; i++)
		text_append_string(&all, m->files[i].text);
	sha256_hex(text_span(&all), hex);
	text_done(&all);
	if (strcmp(hex, t->last) == 0) {
		mirror_free(m);
		finish(t, NULL);
		return;
	}
	memcpy(t->last, hex, sizeof(hex));
	(void)work_submit(t->s->loop, write_mirror, on_mirror_written, m);
}

/* ---- reading the tables ---- */

static void on_pins(
	const struct error *err, const struct store_trust_pin *rows, size_t n, void *user)
{
	struct trust *t = user;

	if (err) {
		mirror_free(t->mirror);
		t->mirror = NULL;
		finish(t, err);
		return;
	}
	t->allowed = n ? mem_calloc(n, sizeof(*t->allowed)) : NULL;
	for (size_t i = 0; i < n; i++) {
		t->allowed[t->allowed_count++] = span_copy(rows[i].digest);
		mirror_pin(t->mirror, &rows[i]);
	}
	publish_mirror(t);
}

static struct span join_words(struct db_array words)
{
	struct text joined;
	struct span word, copy;

	text_init(&joined);
	while (db_array_next(&words, &word)) {
		if (joined.len)
			text_append_char(&joined, ' ');
		text_append_span(&joined, word);
	}
	copy = span_copy(text_span(&joined));
	text_done(&joined);
	return copy;
}

static void on_keys(
	const struct error *err, const struct store_trust_key *rows, size_t n, void *user)
{
	struct trust *t = user;

	if (err) {
		finish(t, err);
		return;
	}
	clear(t);
	t->mirror = mem_zalloc(sizeof(*t->mirror));
	t->mirror->trust = t;
	t->mirror->folder = mem_printf("%s/trust", t->s->o.data);
	t->keys = n ? mem_calloc(n, sizeof(*t->keys)) : NULL;
	for (size_t i = 0; i < n; i++) {
		t->keys[t->key_count++] = (struct stage_key){
			.key_id = span_copy(rows[i].key_id),
			.public_key = span_copy(rows[i].public_key),
			.name = span_copy(rows[i].name),
			.namespaces = join_words(rows[i].namespaces),
			.development = rows[i].development,
			.revoked = !span_is(rows[i].state, "active"),
			.expires_us = rows[i].expires_at,
		};
		mirror_key(t->mirror, &rows[i]);
	}
	store_trust_pins_list(t->s->o.db, NULL, on_pins, t);
}

struct trust *trust_new(struct supervisor *s)
{
	struct trust *t = mem_zalloc(sizeof(*t));

	t->s = s;
	list_init(&t->present);
	list_init(&t->next);
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	clear(t);
	mirror_free(t->mirror);
	mem_free(t);
}

bool trust_busy(const struct trust *t)
{
	return t->reading;
}

static void begin_read(struct trust *t)
{
	t->reading = true;
	while (!list_empty(&t->next)) {
		struct list *first = t->next.next;

		list_remove(first);
		list_append(&t->present, first);
	}
	store_trust_keys_list(t->s->o.db, NULL, on_keys, t);
}

void trust_read(struct trust *t, lifecycle_done_cb done, void *arg)
{
	struct reader *r = mem_zalloc(sizeof(*r));

	r->done = done;
	r->arg = arg;
	list_append(&t->next, &r->link);
	if (!t->reading)
		begin_read(t);
}

void trust_describe(const struct trust *t, struct stage_package *out)
{
	out->keys.items = t->keys;
	out->keys.count = (uint32_t)t->key_count;
	out->allowed = (struct protocol_spans){ t->allowed, (uint32_t)t->allowed_count };
}
