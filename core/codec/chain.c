#include "codec/chain.h"

#include <stdio.h>

const char *const chain_columns[CHAIN_COLUMNS] = { "id", "user_id", "action", "resource_type",
	"resource_id", "resource_name", "old_value", "new_value", "ip_address", "user_agent",
	"session_id", "request_id", "status", "error_message", "metadata", "created_at", "xact" };

static void frame(struct sha256 *s, struct span text)
{
	char length[24];

	if (!text.data) {
		sha256_update(s, "-", 1);
		return;
	}
	sha256_update(s, length, (size_t)snprintf(length, sizeof(length), "%zu:", text.len));
	sha256_update(s, text.data, text.len);
}

static void hash_frames(const struct span *texts, size_t n, char out[static SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 s = { 0 };

	sha256_init(&s);
	for (size_t i = 0; i < n; i++)
		frame(&s, texts[i]);
	sha256_final(&s, digest);
	sha256_done(&s);
	hex_encode(digest, sizeof(digest), out);
}

void chain_row(const struct span columns[static CHAIN_COLUMNS], char out[static SHA256_HEX_SIZE])
{
	struct span texts[CHAIN_COLUMNS + 1] = { SPAN("mortise-audit-row-1") };

	for (size_t i = 0; i < CHAIN_COLUMNS; i++)
		texts[i + 1] = columns[i];
	hash_frames(texts, CHAIN_COLUMNS + 1, out);
}

void chain_start(struct chain_head *head, struct span name, struct span previous,
	struct span previous_sequence, struct span previous_hash)
{
	const struct span texts[] = { SPAN("mortise-audit-chain-1"), name, previous,
		previous_sequence, previous_hash };

	head->sequence = 0;
	hash_frames(texts, 5, head->hash);
}

void chain_next(
	struct chain_head *head, struct span row_id, struct span horizon, const char *row_hash)
{
	char sequence[24], before[SHA256_HEX_SIZE];
	struct span texts[6];

	memcpy(before, head->hash, sizeof(before));
	head->sequence++;
	(void)snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)head->sequence);
	texts[0] = SPAN("mortise-audit-seal-1");
	texts[1] = span_of(before);
	texts[2] = span_of(sequence);
	texts[3] = row_id;
	texts[4] = horizon;
	texts[5] = span_of(row_hash);
	hash_frames(texts, 6, head->hash);
}
