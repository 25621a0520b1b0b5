/* Metadata of TUF, of each type, as an unsigned stranger sends it; what is accepted is walked. */
#include "base/assert.h"
#include "package/tuf_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_delegations(const struct tuf_metadata *m)
{
	const json_t *roles = json_object_get(json_object_get(m->body, "delegations"), "roles");

	for (size_t i = 0; i < json_array_size(roles); i++)
		(void)tuf_delegation_covers(json_array_get(roles, i), SPAN("acme/hello/x.mpk"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = { (const char *)data, size };

	for (int type = TUF_ROOT; type <= TUF_TARGETS; type++) {
		struct tuf_metadata m = { 0 };
		struct tuf_file file = { 0 };

		if (tuf_metadata_parse(&m, (enum tuf_type)type, bytes, "file", NULL) < 0) {
			ASSERT(m.document == NULL);
			continue;
		}
		ASSERT(m.version >= 1 && m.version <= TUF_VERSION_MAX);
		if (type == TUF_ROOT)
			(void)tuf_metadata_verify(&m, tuf_root_signers(&m, "root"), "file", NULL);
		if (type == TUF_TIMESTAMP || type == TUF_SNAPSHOT)
			(void)tuf_metadata_file(
				&m, type == TUF_SNAPSHOT ? "targets" : "snapshot", &file);
		if (file.hashes)
			(void)tuf_file_check(&file, bytes, "file", NULL);
		walk_delegations(&m);
		tuf_metadata_done(&m);
	}
	return 0;
}
