/* build.h - make packages
 *
 * The same files and manifest give the same bytes, in any folder, at any time, under any umask:
 * entries are sorted, times and owners are zero, modes are 0644 or 0755 by the owner's execute bit,
 * the compressor has one level and one thread, JSON is written canonically, and Ed25519 signatures
 * are deterministic.
 */
#ifndef MORTISE_PACKAGE_BUILD_H
#define MORTISE_PACKAGE_BUILD_H

#include <stddef.h>

#include "base/text.h"
#include "package/package.h"

struct error;
struct sign_key;

struct package_source {
	int folder_fd;             /* every regular file below is payload, but for the next two */
	const char *manifest;      /* path in the folder of a file to leave out, or NULL */
	const char *exclude;       /* another, such as the output, or NULL */
	struct span manifest_json; /* the source manifest */
	package_progress_cb progress;
	void *context;
};

/* Check the source manifest against the folder and its entries' ELF notes, write the compressed
 * payload to payload_fd (an empty file) and append the complete manifest to *manifest. Warnings
 * are appended to *warnings, a line each. ERR_MANIFEST_*, ERR_PATH_*, ERR_ELF_*, ERR_NOTE_*,
 * ERR_INTERFACE_UNKNOWN as an install would say them; ERR_SOURCE: the folder holds what a package
 * cannot. */
int package_build(const struct package_source *source, int payload_fd, struct text *manifest,
	struct text *warnings, struct error *err);

/* Sign manifest as it is, unchecked, and write the package of it and of the payload in payload_fd
 * (read from its start) to out_fd (an empty file). ERR_PACKAGE_SIZE: they do not fit a package. */
int package_sign(struct span manifest, int payload_fd, const struct sign_key *key, int out_fd,
	struct error *err);

#endif
