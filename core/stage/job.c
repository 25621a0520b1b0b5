#include "stage/job.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "channel/protocol.h"
#include "codec/json.h"
#include "package/config.h"
#include "package/manifest.h"
#include "package/package.h"
#include "package/trust.h"

#define PIN_REASON "named by an administrator of this host"

/* The keys of one message in a trust set. What is wrong with one is the host's mistake and said. */
static int add_key(struct trust *trust, const struct stage_key *from, struct error *err)
{
	char *namespaces[TRUST_NAMESPACES_MAX];
	struct trust_key key = { .namespaces = namespaces,
		.development = from->development != 0,
		.revoked = from->revoked != 0,
		.expires_us = from->expires_us };
	CLEANUP(mem_freep) char *name = mem_printf("%.*s", SPAN_ARG(from->name));
	struct span rest = from->namespaces, part;
	int rc;

	if (from->key_id.len >= sizeof(key.id) || from->public_key.len != sizeof(key.public_key))
		return error_set(err, ERR_TRUST_FILE, "a key of the job has the wrong form");
	memcpy(key.id, from->key_id.data, from->key_id.len);
	memcpy(key.public_key, from->public_key.data, sizeof(key.public_key));
	key.name = name;
	while (span_split(&rest, ' ', &part) && key.namespace_count < TRUST_NAMESPACES_MAX)
		if (part.len)
			namespaces[key.namespace_count++] = mem_printf("%.*s", SPAN_ARG(part));
	rc = trust_put_key(trust, &key, err);
	for (size_t i = 0; i < key.namespace_count; i++)
		mem_free(namespaces[i]);
	return rc;
}

static int add_pins(
	struct trust *trust, const struct protocol_spans *digests, bool revoked, struct error *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < digests->count && rc == 0; i++) {
		struct trust_pin pin = { .revoked = revoked, .reason = (char[]){ PIN_REASON } };
		struct span digest = digests->items[i];

		if (digest.len >= sizeof(pin.digest))
			return error_set(
				err, ERR_TRUST_FILE, "a digest of the job has the wrong form");
		memcpy(pin.digest, digest.data, digest.len);
		rc = trust_put_pin(trust, &pin, err);
	}
	return rc;
}

static int collect_trust(struct trust *trust, const struct stage_package *job, struct error *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < job->keys.count && rc == 0; i++)
		rc = add_key(trust, &job->keys.items[i], err);
	if (rc == 0)
		rc = add_pins(trust, &job->allowed, false, err);
	/* A digest in both lists is a revoked one. */
	if (rc == 0)
		rc = add_pins(trust, &job->revoked, true, err);
	return rc;
}

static int verify(struct package **out, const struct stage_package *job, int fd,
	const struct package_options *options, int folder, struct error *err)
{
	CLEANUP(package_freep) struct package *pkg = NULL;
	int rc;

	if (fd == -1)
		return error_set(err, ERR_PROTOCOL, "the job came without a package");
	if (folder == -1)
		return error_set_errno(
			err, errno, "open staging folder '%.*s'", SPAN_ARG(job->folder));
	rc = package_open(&pkg, fd, options, err);
	if (rc == 0)
		rc = package_unpack(pkg, folder, err);
	if (rc < 0)
		return rc;
	*out = TAKE(pkg);
	return 0;
}

static void list_files(const struct manifest *m, struct stage_file *out)
{
	for (size_t i = 0; i < m->file_count; i++)
		out[i] = (struct stage_file){ .path = m->files[i].path,
			.size = m->files[i].size,
			.mode = m->files[i].mode,
			.sha256 = { (const char *)m->files[i].digest, SHA256_SIZE } };
}

static void answer_package(
	const struct package *pkg, const struct stage_package *job, struct text *answer)
{
	const struct manifest *m = package_manifest(pkg);
	const struct manifest_entry *entry = manifest_find_entry(m, job->triplet);
	struct stage_file *files = mem_calloc(m->file_count ? m->file_count : 1, sizeof(*files));
	struct span warnings[MANIFEST_ENTRIES_MAX];
	uint32_t warning_count = 0;
	struct stage_package_result result = {
		.digest = span_of(package_digest(pkg)),
		.size = package_size(pkg),
		.name = m->name,
		.version = m->version,
		.manifest = package_manifest_json(pkg),
		.envelope = package_envelope(pkg),
		.key_id = package_signer(pkg) ? span_of(package_key_id(pkg)) : SPAN(""),
		.entry = entry ? entry->path : SPAN(""),
		.needs = { m->requires, (uint32_t)m->require_count },
		.wants = { m->optional, (uint32_t)m->optional_count },
		.files = { files, (uint32_t)m->file_count },
	};

	while (package_warning(pkg, warning_count)) {
		warnings[warning_count] = span_of(package_warning(pkg, warning_count));
		warning_count++;
	}
	result.warnings = (struct protocol_spans){ warnings, warning_count };
	list_files(m, files);
	encode_stage_package_result(answer, &result);
	mem_free(files);
}

static void refuse_package(const struct error *err, struct text *answer)
{
	const struct stage_package_result result = {
		.rc = err->code, .text = span_of(err->text), .fix = span_of(error_advice(err))
	};

	encode_stage_package_result(answer, &result);
}

void job_package(const struct stage_package *job, int fd, struct text *answer)
{
	CLEANUP(package_freep) struct package *pkg = NULL;
	CLEANUP(trust_freep) struct trust *trust = NULL;
	CLEANUP(mem_freep) char *path = mem_printf("%.*s", SPAN_ARG(job->folder));
	CLEANUP(mem_freep) char *environment = mem_printf("%.*s", SPAN_ARG(job->environment));
	CLEANUP(mem_freep) char *triplet = mem_printf("%.*s", SPAN_ARG(job->triplet));
	CLEANUP(io_closep)
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct error err = { 0 };
	struct package_options options = { .environment = environment,
		.limit_bytes = job->package_bytes,
		.limit_unpacked = job->unpacked_bytes,
		.triplet = triplet,
		.scratch_fd = folder };
	int rc;

	trust_new(&trust);
	options.trust = trust;
	/* Not durable: the supervisor copies what it takes into files of its own, and syncs those.
	 */
	rc = collect_trust(trust, job, &err);
	if (rc == 0)
		rc = verify(&pkg, job, fd, &options, folder, &err);
	if (rc == 0)
		answer_package(pkg, job, answer);
	else
		refuse_package(&err, answer);
}

static int merge_config(json_t **out, const struct stage_config *job, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	CLEANUP(json_freep) json_t *config = NULL;
	CLEANUP(json_freep) json_t *merged = NULL;
	int rc = manifest_parse(&m, job->manifest, MANIFEST_PACKAGE, err);

	if (rc == 0 && job->config.len) {
		rc = json_parse(&config, job->config, NULL, err);
		if (rc < 0)
			rc = error_set(err, ERR_CONFIG_VALUE,
				"the configuration is not strict JSON, or too large");
	}
	if (rc == 0 && config && !json_is_object(config))
		rc = error_set(err, ERR_CONFIG_VALUE, "the configuration is not an object");
	if (rc < 0)
		return rc;
	merged = config_merge(m->config_defaults, config);
	rc = config_validate(m->config_schema, merged, err);
	if (rc == 0)
		*out = TAKE(merged);
	return rc;
}

void job_config(const struct stage_config *job, struct text *answer)
{
	CLEANUP(json_freep) json_t *merged = NULL;
	struct stage_config_result result = { .rc = 0 };
	struct error err = { 0 };
	struct text config;

	text_init(&config);
	result.rc = merge_config(&merged, job, &err);
	if (result.rc == 0) {
		json_append(&config, merged);
		result.config = text_span(&config);
	} else {
		result.text = span_of(err.text);
		result.fix = span_of(error_advice(&err));
	}
	encode_stage_config_result(answer, &result);
	text_done(&config);
}
