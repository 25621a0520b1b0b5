/* What a front sends to the key ring: any op, any place, any bytes. Nothing opens but what was
 * sealed for the same place. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "channel/protocol.h"
#include "supervise/key_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLACE "users.mfa_secret:c1"

static struct key_ring *ring;

static void begin(void)
{
	char folder[] = "/tmp/mortise-fuzz-ring-XXXXXX", path[sizeof(folder) + 5];
	struct key_ring_entry key;

	ASSERT(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/ring", folder);
	ASSERT(key_ring_make(&ring, path, NULL) == 0);
	key_ring_entry(ring, 0, &key);
	ASSERT(key_ring_use(ring, span_of(key.id), NULL) == 0);
	ASSERT(unlink(path) == 0);
	ASSERT(rmdir(folder) == 0);
}

static void serve_anything(struct span input)
{
	struct span rest = input, op, place;
	struct text out;

	(void)span_split(&rest, ' ', &op);
	if (!span_split(&rest, ' ', &place) || !rest.data)
		return;
	text_init(&out);
	(void)key_ring_serve(
		ring, op.len ? (uint32_t)(op.data[0] - '0') : 0, place, rest, &out, NULL);
	text_done(&out);
}

/* An envelope that was changed by the input does not open. */
static void open_changed(struct span input)
{
	struct text envelope, out;

	text_init(&envelope);
	text_init(&out);
	ASSERT(key_ring_serve(ring, KEY_RING_SEAL, SPAN(PLACE), SPAN("attack at dawn"), &envelope,
		       NULL) == 0);
	if (input.len > 1) {
		size_t at = (unsigned char)input.data[0] % envelope.len;
		bool same = envelope.data[at] == input.data[1];
		int rc;

		envelope.data[at] = input.data[1];
		rc = key_ring_serve(
			ring, KEY_RING_OPEN, SPAN(PLACE), text_span(&envelope), &out, NULL);
		ASSERT(same ? rc == 0 : rc < 0 && out.len == 0);
	}
	text_done(&envelope);
	text_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	struct text out;

	if (!ring)
		begin();
	serve_anything(input);
	open_changed(input);
	/* The input as an envelope: nobody but the ring makes one. */
	text_init(&out);
	ASSERT(key_ring_serve(ring, KEY_RING_OPEN, SPAN(PLACE), input, &out, NULL) < 0);
	ASSERT(out.len == 0);
	text_done(&out);
	return 0;
}
