/* The sealer appends while we read. What is compared ends where each file ended when it was opened:
 * those seals were in the database before anybody asked it for them. */
#include "cli/audit_anchors.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"

struct file {
	FILE *stream;
	struct audit_anchor_line line; /* the next one */
	uint64_t last;                 /* sequence of the one before */
	off_t end;                     /* when it was opened */
};

struct audit_anchors {
	char *chain;
	struct file *files;
	size_t count;
};

static bool parse(struct span text, const char *chain, struct audit_anchor_line *out)
{
	struct span time, name, sequence, row, hash;
	uint64_t row_id;

	if (!span_split(&text, ' ', &time) || !span_split(&text, ' ', &name) ||
		!span_split(&text, ' ', &sequence) || !span_split(&text, ' ', &row) ||
		!span_split(&text, ' ', &hash) || text.data || !span_is(name, chain) ||
		time.len >= sizeof(out->time) || hash.len != SHA256_HEX_SIZE - 1 ||
		!span_u64(sequence, UINT64_MAX, &out->sequence) ||
		!span_u64(row, INT64_MAX, &row_id))
		return false;
	(void)snprintf(out->time, sizeof(out->time), "%.*s", SPAN_ARG(time));
	(void)snprintf(out->hash, sizeof(out->hash), "%.*s", SPAN_ARG(hash));
	out->row_id = (int64_t)row_id;
	return true;
}

/* The next whole line; what a power cut left of one is none. */
static bool advance(const struct audit_anchors *a, struct file *f)
{
	char text[256];
	size_t len;

	f->last = f->line.sequence;
	while (f->stream && ftello(f->stream) < f->end && fgets(text, sizeof(text), f->stream)) {
		len = strlen(text);
		if (len > 0 && text[len - 1] == '\n' &&
			parse((struct span){ text, len - 1 }, a->chain, &f->line))
			return true;
	}
	if (f->stream)
		(void)fclose(f->stream);
	f->stream = NULL;
	return false;
}

static void open_file(const struct audit_anchors *a, struct file *f, const char *path)
{
	struct stat st;

	f->stream = fopen(path, "re");
	if (f->stream && fstat(fileno(f->stream), &st) == 0)
		f->end = st.st_size;
	(void)advance(a, f);
}

struct audit_anchors *audit_anchors_open(const char *folder, const char *chain)
{
	struct audit_anchors *a = mem_zalloc(sizeof(*a));
	CLEANUP(mem_freep) char *pattern = mem_printf("%s/%s.*.anchors", folder, chain);
	glob_t found = { 0 };

	a->chain = mem_strdup(chain);
	if (glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0) {
		a->files = mem_calloc(found.gl_pathc, sizeof(*a->files));
		for (; a->count < found.gl_pathc; a->count++)
			open_file(a, &a->files[a->count], found.gl_pathv[a->count]);
	}
	globfree(&found);
	return a;
}

void audit_anchors_free(struct audit_anchors *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++)
		if (a->files[i].stream)
			(void)fclose(a->files[i].stream);
	mem_free(a->files);
	mem_free(a->chain);
	mem_free(a);
}

bool audit_anchors_next(
	struct audit_anchors *a, uint64_t upto, struct audit_anchor_line *out, bool *back)
{
	for (size_t i = 0; i < a->count; i++) {
		struct file *f = &a->files[i];

		if (!f->stream || f->line.sequence > upto)
			continue;
		*out = f->line;
		*back = f->line.sequence < f->last;
		(void)advance(a, f);
		return true;
	}
	return false;
}
