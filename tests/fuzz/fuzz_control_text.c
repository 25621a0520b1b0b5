/* Debian control text, in pieces that the input chooses, and what os-catalog makes of it. */
#include <assert.h>
#include <stdlib.h>

#include "../../plugins/os-catalog/entity.h"
#include "../../plugins/os-catalog/packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t take(const struct control_text *t, struct packages *p)
{
	struct mortise_json_writer w;
	struct mortise_json value;
	struct mortise_str json;
	int32_t rc;

	mortise_json_writer_init(&w);
	entity_write(&w, t);
	assert(mortise_json_written(&w, &json) == 0 && mortise_json_parse(json, &value) == 0);
	mortise_json_writer_done(&w);
	rc = packages_add(p, control_text_field(t, CONTROL_PACKAGE),
		control_text_field(t, CONTROL_PRE_DEPENDS), control_text_field(t, CONTROL_DEPENDS),
		control_text_field(t, CONTROL_PROVIDES));
	return rc < 0 ? rc : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_text t;
	struct packages p;
	struct mortise_error err;
	size_t piece = size ? (size_t)data[0] + 1 : 1;
	int32_t rc = 0;

	control_text_init(&t);
	packages_init(&p, 1);
	for (size_t offset = 1; offset < size && rc >= 0; offset += piece) {
		/* A copy of its own, so that reading beyond a piece is seen. */
		size_t length = size - offset < piece ? size - offset : piece;
		char *copy = malloc(length);
		const char *at = copy;

		memcpy(copy, data + offset, length);
		do {
			rc = control_text_read(&t, &at, copy + length, &err);
			if (rc == 1)
				rc = take(&t, &p) < 0 ? -1 : 1;
		} while (rc == 1);
		assert(rc != 0 || at == copy + length);
		free(copy);
	}
	if (rc == 0 && control_text_end(&t, &err) == 1)
		(void)take(&t, &p);
	for (uint32_t i = 0; i < p.count; i++) {
		if (packages_resolve(&p, i) < 0)
			break;
		for (uint32_t e = 0; e < p.edge_count; e++) {
			assert(p.edges[e].target < p.count && p.edges[e].target != i);
			assert(packages_requires(&p, &p.edges[e]).size <= PACKAGES_REQUIRES_MAX);
		}
	}
	packages_done(&p);
	control_text_done(&t);
	return 0;
}
