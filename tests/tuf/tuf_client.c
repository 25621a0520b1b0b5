/* tuf-client - core/package/tuf.h on a command line, as the public tuf-conformance suite calls it
 *
 * usage: tuf-client --metadata-dir DIR [--metadata-url URL] [--target-name NAME]...
 *                   [--target-base-url URL] [--target-dir DIR] init ROOT | refresh | download
 *
 * Exit 0: done; 1: refused, with the reason on standard error; 2: usage.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "package/tuf.h"

#define TARGETS_MAX  64
#define TARGET_BYTES (256u << 20)

struct options {
	const char *metadata_dir, *metadata_url, *target_base_url, *target_dir;
	const char *names[TARGETS_MAX];
	size_t name_count;
};

/* ---- the folder of trusted metadata ---------------------------------------------------------- */

static char *path_of(void *user, const char *name)
{
	return mem_printf("%s/%s", ((const struct options *)user)->metadata_dir, name);
}

static int load(void *user, const char *name, size_t max, struct text *out, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of(user, name);

	return io_read_file(AT_FDCWD, path, max, out, err);
}

static int save(void *user, const char *name, struct span bytes, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of(user, name);

	return io_write_file(AT_FDCWD, path, bytes, 0644, err);
}

static int remove_file(void *user, const char *name, struct error *err)
{
	CLEANUP(mem_freep) char *path = path_of(user, name);

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return error_set_errno(err, errno, "remove '%s'", path);
}

/* ---- the repository -------------------------------------------------------------------------- */

struct download {
	struct text *out;
	size_t max;
	bool too_large;
};

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct download *d = user;

	if (size * n > d->max - d->out->len) {
		d->too_large = true;
		return 0;
	}
	text_append(d->out, data, size * n);
	return size * n;
}

/* A role's name comes percent-encoded; the path of a target is encoded here, but for its slashes.
 */
static char *url_of(const char *base, const char *name, bool is_path)
{
	struct text url;
	char *taken;

	text_init(&url);
	text_append_string(&url, base);
	if (url.len == 0 || url.data[url.len - 1] != '/')
		text_append_char(&url, '/');
	for (; *name; name++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~",
			    *name) ||
			*name == (is_path ? '/' : '%'))
			text_append_char(&url, *name);
		else
			text_printf(&url, "%%%02X", (unsigned char)*name);
	}
	taken = text_take(&url);
	text_done(&url);
	return taken;
}

static int get(const char *url, size_t max, struct text *out, struct error *err)
{
	struct download d = { .out = out, .max = max };
	CURL *curl = curl_easy_init();
	CURLcode rc;
	long status = 0;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 30L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &d);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (status == 404 || status == 403)
		return error_set(err, ERR_NOT_FOUND, "'%s' answered %ld", url, status);
	if (d.too_large)
		return error_set(err, ERR_TOO_LARGE, "'%s' is longer than %zu bytes", url, max);
	if (rc != CURLE_OK)
		return error_set(err, ERR_UNAVAIL, "'%s': %s", url, curl_easy_strerror(rc));
	if (status != 200)
		return error_set(err, ERR_UNAVAIL, "'%s' answered %ld", url, status);
	return 0;
}

static int fetch(void *user, const char *name, size_t max, struct text *out, struct error *err)
{
	const struct options *options = user;
	CLEANUP(mem_freep) char *url = url_of(options->metadata_url, name, false);

	return get(url, max, out, err);
}

/* ---- targets --------------------------------------------------------------------------------- */

static bool is_target(const struct tuf_target *target, struct span bytes, struct error *err)
{
	struct tuf_check check;
	int rc;

	tuf_check_init(&check, target);
	rc = tuf_check_update(&check, bytes.data, bytes.len, err);
	if (rc == 0)
		rc = tuf_check_final(&check, err);
	tuf_check_done(&check);
	return rc == 0;
}

/* One flat name for each path, so that a path leads nowhere. */
static char *target_path(const struct options *options, struct span path)
{
	struct text out;
	char *taken;

	text_init(&out);
	text_printf(&out, "%s/", options->target_dir);
	for (size_t i = 0; i < path.len; i++) {
		if (path.data[i] == '/' || path.data[i] == '%')
			text_printf(&out, "%%%02X", (unsigned char)path.data[i]);
		else
			text_append_char(&out, path.data[i]);
	}
	taken = text_take(&out);
	text_done(&out);
	return taken;
}

static int download(const struct options *options, struct tuf *t, const struct tuf_source *source,
	const char *name, struct error *err)
{
	struct tuf_target target;
	struct text bytes, file;
	int rc = tuf_find(t, source, span_of(name), &target, err);

	if (rc < 0)
		return rc;
	text_init(&bytes);
	text_init(&file);
	tuf_target_file(t, &target, &file);
	CLEANUP(mem_freep) char *path = target_path(options, target.path);
	CLEANUP(mem_freep) char *url = url_of(options->target_base_url, file.data, true);

	/* What is there and is it need not come again. */
	if (io_read_file(AT_FDCWD, path, TARGET_BYTES, &bytes, NULL) < 0 ||
		!is_target(&target, text_span(&bytes), NULL)) {
		text_clear(&bytes);
		rc = get(url, target.length < TARGET_BYTES ? (size_t)target.length : TARGET_BYTES,
			&bytes, err);
		if (rc == 0 && !is_target(&target, text_span(&bytes), err))
			rc = err->code;
		if (rc == 0)
			rc = io_write_file(AT_FDCWD, path, text_span(&bytes), 0644, err);
	}
	text_done(&file);
	text_done(&bytes);
	return rc;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int run_init(struct tuf_files *files, const char *root, struct error *err)
{
	struct text bytes;
	int rc;

	text_init(&bytes);
	rc = io_read_file(AT_FDCWD, root, TUF_ROOT_MAX, &bytes, err);
	if (rc == 0)
		rc = tuf_trust_root(files, text_span(&bytes), err);
	text_done(&bytes);
	return rc;
}

static int run_update(
	struct options *options, struct tuf_files *files, bool targets, struct error *err)
{
	struct tuf_source source = { fetch, options };
	CLEANUP(tuf_freep) struct tuf *t = NULL;
	int rc = tuf_open(&t, files, (int64_t)time(NULL) * 1000000, err);

	if (rc == 0)
		rc = tuf_refresh(t, &source, err);
	for (size_t i = 0; targets && i < options->name_count && rc == 0; i++)
		rc = download(options, t, &source, options->names[i], err);
	return rc;
}

static int usage(void)
{
	(void)fputs("usage: tuf-client --metadata-dir DIR [--metadata-url URL] "
		    "[--target-name NAME]... [--target-base-url URL] [--target-dir DIR] "
		    "init ROOT | refresh | download\n",
		stderr);
	return 2;
}

static bool read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = { { "metadata-dir", required_argument, NULL, 'm' },
		{ "metadata-url", required_argument, NULL, 'u' },
		{ "target-name", required_argument, NULL, 'n' },
		{ "target-base-url", required_argument, NULL, 'b' },
		{ "target-dir", required_argument, NULL, 'd' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'm')
			options->metadata_dir = optarg;
		else if (c == 'u')
			options->metadata_url = optarg;
		else if (c == 'n' && options->name_count < TARGETS_MAX)
			options->names[options->name_count++] = optarg;
		else if (c == 'b')
			options->target_base_url = optarg;
		else if (c == 'd')
			options->target_dir = optarg;
		else
			return false;
	}
	return options->metadata_dir && optind < argc;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct tuf_files files = { load, save, remove_file, &options };
	struct error err = { 0 };
	const char *command;
	int rc;

	if (!read_options(&options, argc, argv))
		return usage();
	command = argv[optind];
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	if (strcmp(command, "init") == 0 && argc == optind + 2)
		rc = run_init(&files, argv[optind + 1], &err);
	else if (strcmp(command, "refresh") == 0 && argc == optind + 1 && options.metadata_url)
		rc = run_update(&options, &files, false, &err);
	else if (strcmp(command, "download") == 0 && argc == optind + 1 && options.metadata_url &&
		 options.target_base_url && options.target_dir)
		rc = run_update(&options, &files, true, &err);
	else
		return usage();
	curl_global_cleanup();
	if (rc == 0)
		return 0;
	(void)fprintf(stderr, "tuf-client: %s\n", err.text);
	return 1;
}
