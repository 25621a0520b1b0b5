/* mortise package ... - make packages and look into them, without a host */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "codec/json.h"
#include "codec/sign.h"
#include "package/build.h"
#include "package/key.h"
#include "package/manifest.h"
#include "package/package.h"
#include "package/trust.h"

static void on_progress(void *context, const char *step, uint64_t done, uint64_t total)
{
	cli_progress(context, step, done, total);
}

/* The trust set of --trust, else the one the host on this machine mirrors to its data folder. */
static int load_trust(struct cli *cli, struct trust **out, struct error *err)
{
	CLEANUP(mem_freep) char *data = NULL, *folder = NULL;
	const char *given = cli_value(cli, "trust");
	int rc;

	if (given)
		return trust_load(out, given, err);
	rc = cli_data(cli, &data, err);
	if (rc < 0)
		return rc;
	folder = mem_printf("%s/trust", data);
	rc = trust_load(out, folder, err);
	if (rc == ERR_NOT_FOUND)
		return error_fix(err, "name a folder of trusted keys with --trust; 'mortise trust "
				      "add KEY.pub --trust DIR' makes one");
	return rc;
}

/* A package on disk, opened with a trust set; done with close_package(). */
struct opened {
	int fd;
	struct trust *trust;
	struct package *pkg;
	struct package_options options;
};

static void close_package(struct opened *o)
{
	package_free(o->pkg);
	trust_free(o->trust);
	io_closep(&o->fd);
}

static int open_package(struct cli *cli, const char *path, struct opened *o, struct error *err)
{
	int rc;

	o->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (o->fd == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no package file '%s'", path);
	if (o->fd == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	rc = load_trust(cli, &o->trust, err);
	if (rc < 0)
		return rc;
	o->options = (struct package_options){ .trust = o->trust,
		.environment = cli->settings.environment,
		.limit_bytes = cli->settings.package_bytes,
		.limit_unpacked = cli->settings.unpacked_bytes,
		.triplet = manifest_host_triplet(),
		.scratch_fd = AT_FDCWD,
		.progress = on_progress,
		.context = cli };
	return package_open(&o->pkg, o->fd, &o->options, err);
}

static json_t *describe(const struct opened *o)
{
	const struct trust_key *key = package_signer(o->pkg);
	json_t *manifest = json_incref(package_manifest(o->pkg)->json);
	json_t *warnings = json_array(), *signer = json_object();
	const char *warning;

	for (size_t i = 0; (warning = package_warning(o->pkg, i)) != NULL; i++)
		json_array_append_new(warnings, json_string(warning));
	json_object_set_new(signer, "key_id", json_string(package_key_id(o->pkg)));
	if (key)
		json_object_set_new(signer, "name", json_string(key->name));
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "name",
		cli_text(manifest, "name", ""), "version", cli_text(manifest, "version", ""),
		"digest", package_digest(o->pkg), "size", (json_int_t)package_size(o->pkg),
		"signer", signer, "warnings", warnings, "manifest", manifest);
}

static void print_warnings(struct cli *cli, const struct opened *o)
{
	const char *warning;

	for (size_t i = 0; (warning = package_warning(o->pkg, i)) != NULL; i++)
		cli_step(cli, "warning", "%s", warning);
}

static int verify(struct cli *cli, struct opened *o, struct error *err)
{
	const struct trust_key *key;
	char packed[CLI_SIZE_TEXT], unpacked[CLI_SIZE_TEXT];
	int rc = open_package(cli, cli->arguments[0], o, err);

	if (rc == 0)
		rc = package_unpack(o->pkg, -1, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		CLEANUP(json_freep) json_t *out = describe(o);

		cli_json(out);
		return 0;
	}
	key = package_signer(o->pkg);
	cli_step(cli, "signature", "%s, %s", key ? key->name : "pinned digest",
		package_key_id(o->pkg));
	cli_step(cli, "archive", "%zu files, %s, %s unpacked", package_manifest(o->pkg)->file_count,
		cli_size(package_size(o->pkg), packed),
		cli_size(package_manifest(o->pkg)->unpacked_size, unpacked));
	cli_step(cli, "digest", "%s", package_digest(o->pkg));
	print_warnings(cli, o);
	cli_done(cli, "%s may be installed", cli->arguments[0]);
	return 0;
}

static int package_verify_command(struct cli *cli, struct error *err)
{
	struct opened o = { .fd = -1 };
	int rc = verify(cli, &o, err);

	close_package(&o);
	return rc;
}

static void print_manifest(struct cli *cli, const struct manifest *m)
{
	const json_t *permission;
	size_t i;

	printf("%s%.*s %.*s%s  %.*s\n", cli_style(cli, stdout, STYLE_BOLD), SPAN_ARG(m->name),
		SPAN_ARG(m->version), cli_style(cli, stdout, STYLE_PLAIN),
		SPAN_ARG(m->display_name));
	if (json_object_get(m->json, "description"))
		printf("%s\n", cli_text(m->json, "description", ""));
	for (i = 0; i < m->require_count; i++)
		printf("needs        %.*s\n", SPAN_ARG(m->requires[i]));
	for (i = 0; i < m->optional_count; i++)
		printf("uses         %.*s where offered\n", SPAN_ARG(m->optional[i]));
	for (i = 0; i < m->route_count; i++)
		printf("route        %.*s /api/%.*s%.*s  (scope %.*s)\n",
			SPAN_ARG(m->routes[i].method), SPAN_ARG(m->mount),
			SPAN_ARG(m->routes[i].pattern), SPAN_ARG(m->routes[i].scope));
	json_array_foreach(json_object_get(m->json, "permissions"), i, permission)
		printf("permission   %s\n", json_string_value(permission));
	for (i = 0; i < m->entry_count; i++)
		printf("entry        %.*s  %.*s\n", SPAN_ARG(m->entries[i].triplet),
			SPAN_ARG(m->entries[i].path));
	for (i = 0; i < m->file_count; i++)
		printf("file         %10llu  %04o  %.*s\n", (unsigned long long)m->files[i].size,
			m->files[i].mode, SPAN_ARG(m->files[i].path));
}

static int package_inspect(struct cli *cli, struct error *err)
{
	struct opened o = { .fd = -1 };
	int rc = open_package(cli, cli->arguments[0], &o, err);

	if (rc == 0 && cli->json) {
		CLEANUP(json_freep) json_t *out = describe(&o);

		cli_json(out);
	} else if (rc == 0) {
		print_manifest(cli, package_manifest(o.pkg));
		printf("signed by    %s\ndigest       %s\n", package_key_id(o.pkg),
			package_digest(o.pkg));
	}
	close_package(&o);
	return rc;
}

/* Make the folder that the package goes to: it must be new, so that nothing of another's mixes in.
 */
static int make_target(const char *path, int *out, struct error *err)
{
	if (mkdir(path, 0755) == -1 && errno == EEXIST) {
		(void)error_set(err, ERR_CONFLICT, "'%s' is there already", path);
		return error_fix(err, "name a folder that does not exist");
	}
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out == -1)
		return error_set_errno(err, errno, "make folder '%s'", path);
	return 0;
}

static int package_extract(struct cli *cli, struct error *err)
{
	CLEANUP(io_closep) int folder = -1;
	struct opened o = { .fd = -1 };
	int rc = open_package(cli, cli->arguments[0], &o, err);

	if (rc == 0)
		rc = make_target(cli->arguments[1], &folder, err);
	if (rc == 0) {
		rc = package_unpack(o.pkg, folder, err);
		if (rc < 0)
			(void)io_remove_tree(AT_FDCWD, cli->arguments[1], NULL);
	}
	if (rc == 0) {
		print_warnings(cli, &o);
		cli_done(cli, "%s is in %s", cli->arguments[0], cli->arguments[1]);
	}
	close_package(&o);
	return rc;
}

static int unnamed_file(struct error *err)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder && folder[0] ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd == -1 ? error_set_errno(err, errno, "make a temporary file") : fd;
}

/* Write the package beside its name and move it there when it is whole. */
static int write_package(const char *path, struct span manifest, int payload,
	const struct sign_key *key, struct error *err)
{
	CLEANUP(mem_freep) char *part = mem_printf("%s.part", path);
	CLEANUP(io_closep) int fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc;

	if (fd == -1)
		return error_set_errno(err, errno, "create '%s'", part);
	rc = package_sign(manifest, payload, key, fd, err);
	if (rc == 0)
		rc = io_fsync(fd, part, err);
	if (rc == 0 && rename(part, path) == -1)
		rc = error_set_errno(err, errno, "rename '%s' to '%s'", part, path);
	if (rc < 0)
		(void)unlink(part);
	return rc;
}

static int signing_key(struct cli *cli, struct sign_key **out, struct error *err)
{
	const char *path = cli_value(cli, "key");

	if (!path) {
		(void)error_set(err, ERR_USAGE, "no signing key: give --key FILE");
		return error_fix(err, "'mortise key generate NAME' makes one");
	}
	return key_load(out, path, err);
}

/* "hello-1.0.0.mpk" of a manifest that names mortise/hello 1.0.0. */
static int package_name(struct span json, char **out, struct error *err)
{
	CLEANUP(json_freep) json_t *manifest = NULL;
	const char *name, *slash;
	int rc = json_parse(&manifest, json, NULL, err);

	if (rc < 0)
		return rc;
	name = cli_text(manifest, "name", "plugin");
	slash = strrchr(name, '/');
	*out = mem_printf(
		"%s-%s.mpk", slash ? slash + 1 : name, cli_text(manifest, "version", "0"));
	return 0;
}

struct build {
	struct text source, manifest, warnings;
	struct sign_key *key;
	char *output;
	int folder, payload;
};

static int build(struct cli *cli, struct build *b, struct error *err)
{
	const char *manifest = cli_value(cli, "manifest"), *output = cli_value(cli, "output");
	struct package_source source = { .progress = on_progress, .context = cli };
	struct span rest, line;
	int rc = signing_key(cli, &b->key, err);

	if (rc < 0)
		return rc;
	b->folder = open(cli->arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->folder == -1)
		return error_set_errno(err, errno, "open folder '%s'", cli->arguments[0]);
	/* A manifest that was named stands anywhere; the folder's own is not part of the payload.
	 */
	rc = io_read_file(manifest ? AT_FDCWD : b->folder, manifest ? manifest : "manifest.json",
		MANIFEST_BYTES_MAX, &b->source, err);
	if (rc == 0)
		rc = b->payload = unnamed_file(err);
	if (rc < 0)
		return rc;
	source.folder_fd = b->folder;
	source.manifest = manifest ? NULL : "manifest.json";
	source.manifest_json = text_span(&b->source);
	rc = package_build(&source, b->payload, &b->manifest, &b->warnings, err);
	if (rc == 0)
		rc = output ? 0 : package_name(text_span(&b->manifest), &b->output, err);
	if (rc < 0)
		return rc;
	if (output)
		b->output = mem_strdup(output);
	rc = write_package(b->output, text_span(&b->manifest), b->payload, b->key, err);
	if (rc < 0)
		return rc;
	rest = text_span(&b->warnings);
	while (span_split(&rest, '\n', &line))
		if (line.len)
			cli_step(cli, "warning", "%.*s", SPAN_ARG(line));
	if (cli->json) {
		CLEANUP(json_freep) json_t *out = json_pack("{s:s}", "package", b->output);

		cli_json(out);
	}
	cli_done(cli, "%s is built and signed", b->output);
	return 0;
}

static int package_build_command(struct cli *cli, struct error *err)
{
	struct build b = { .folder = -1, .payload = -1 };
	int rc;

	text_init(&b.source);
	text_init(&b.manifest);
	text_init(&b.warnings);
	rc = build(cli, &b, err);
	text_done(&b.source);
	text_done(&b.manifest);
	text_done(&b.warnings);
	sign_key_free(b.key);
	mem_free(b.output);
	io_closep(&b.folder);
	io_closep(&b.payload);
	return rc;
}

static int package_sign_command(struct cli *cli, struct error *err)
{
	const char *manifest = cli_value(cli, "manifest"), *path = cli_value(cli, "payload");
	const char *output = cli_value(cli, "output");
	CLEANUP(io_closep) int payload = -1;
	CLEANUP(sign_key_freep) struct sign_key *key = NULL;
	struct text json;
	int rc;

	if (!manifest || !path || !output)
		return error_set(err, ERR_USAGE,
			"'package sign' needs --manifest, --payload, --key and --output");
	rc = signing_key(cli, &key, err);
	if (rc < 0)
		return rc;
	payload = open(path, O_RDONLY | O_CLOEXEC);
	if (payload == -1)
		return error_set_errno(err, errno, "open '%s'", path);
	text_init(&json);
	rc = io_read_file(AT_FDCWD, manifest, PACKAGE_ENVELOPE_MAX, &json, err);
	if (rc == 0)
		rc = write_package(output, text_span(&json), payload, key, err);
	text_done(&json);
	if (rc == 0)
		cli_done(cli, "%s is signed, unchecked", output);
	return rc;
}

#define TRUST_OPTION                                                                            \
	{                                                                                       \
		"trust", 0, "DIR",                                                              \
			"folder of trusted keys (default: the one of the host on this machine)" \
	}

const struct cli_command cli_package_commands[] = {
	{ "package build", "FOLDER", 1, 1, "make a signed package of a folder",
		"The folder holds manifest.json and the files that the plugin is installed with. "
		"The\n"
		"same input gives the same bytes, wherever and whenever it is built.\n\n"
		"  mortise package build build/hello --key acme.key",
		{ { "key", 'k', "FILE", "signing key" },
			{ "manifest", 0, "FILE", "manifest (default: FOLDER/manifest.json)" },
			{ "output", 'o', "FILE", "the package (default: NAME-VERSION.mpk)" } },
		package_build_command },
	{ "package sign", "", 0, 0, "sign a manifest and a payload as they are, unchecked",
		"For other build systems and for tests: nothing is checked here, everything on "
		"install.",
		{ { "manifest", 0, "FILE", "the complete manifest" },
			{ "payload", 0, "FILE", "the payload, payload.tar.zst" },
			{ "key", 'k', "FILE", "signing key" },
			{ "output", 'o', "FILE", "the package" } },
		package_sign_command },
	{ "package verify", "FILE.mpk", 1, 1, "say whether a package may be installed",
		"Checks all that an install checks, without a host. Exit code 7: it may not.",
		{ TRUST_OPTION }, package_verify_command },
	{ "package inspect", "FILE.mpk", 1, 1, "show what a package holds and asks for", NULL,
		{ TRUST_OPTION }, package_inspect },
	{ "package extract", "FILE.mpk DIR", 2, 2, "unpack a package exactly as an install would",
		"DIR must not exist. What is refused leaves nothing behind.", { TRUST_OPTION },
		package_extract },
	{ 0 },
};
