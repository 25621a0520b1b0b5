/* The manifest, and the configuration check that its schema steers. */
#include "base/assert.h"
#include "package/config.h"
#include "package/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span json = { (const char *)data, size };

	for (int kind = 0; kind < MANIFEST_KIND_COUNT; kind++) {
		struct manifest *m = NULL;

		if (manifest_parse(&m, json, (enum manifest_kind)kind, NULL) < 0) {
			ASSERT(m == NULL);
			continue;
		}
		if (m->config_defaults)
			(void)config_validate(m->config_schema, m->config_defaults, NULL);
		for (size_t i = 0; i < m->file_count; i++)
			ASSERT(manifest_check_path(m->files[i].path, NULL) == 0);
		manifest_free(m);
	}
	return 0;
}
