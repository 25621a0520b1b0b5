#include "codec/chain.h"

#include "base/mem.h"
#include "lib/test.h"

/* Computed by another implementation of the form: tests/system/test_audit.py. */
#define ROW    "ce08dcdeeb911888ccf84243d8cf66ba789baecda04b2c4b305e4aa19117307f"
#define START  "2ce62f5c644fbf7b9dc2ba926b57060af0871f501ecdb6d4463edc7e710ac3f7"
#define SEAL   "e15fe7b8a410e68722c7e20a7009b258b470fc81ffa40bf62e3133fc2fdd1ac6"
#define LINKED "4e69e6479c74a0f7ce0438d54f54b340c6bdedd3c8d1e4e46511a2c601c321c6"

static const struct span row[CHAIN_COLUMNS] = { SPAN("7"), SPAN("cu"), SPAN("user.create"),
	SPAN("user"), SPAN("cx"), SPAN_NONE, SPAN_NONE, SPAN("{\"role\": \"VIEWER\"}"),
	SPAN("10.0.0.0/24"), SPAN("caf\xc3\xa9"), SPAN(""), SPAN("r-1"), SPAN("success"), SPAN_NONE,
	SPAN("{}"), SPAN("1795478722315998"), SPAN("756") };

TEST(codec_chain__hashes_are_those_of_the_written_form)
{
	struct chain_head head, linked;
	char hash[SHA256_HEX_SIZE];

	chain_row(row, hash);
	EXPECT_STR(hash, ROW);
	chain_start(&head, SPAN("2026_11"), SPAN_NONE, SPAN_NONE, SPAN_NONE);
	EXPECT_STR(head.hash, START);
	chain_next(&head, SPAN("7"), SPAN("760"), hash);
	EXPECT_STR(head.hash, SEAL);
	EXPECT_UINT(head.sequence, ==, 1);
	chain_start(&linked, SPAN("2026_12"), SPAN("2026_11"), SPAN("1"), span_of(head.hash));
	EXPECT_STR(linked.hash, LINKED);
}

TEST(codec_chain__no_two_rows_share_their_bytes)
{
	struct span other[CHAIN_COLUMNS];
	char a[SHA256_HEX_SIZE], b[SHA256_HEX_SIZE];

	chain_row(row, a);
	for (size_t i = 0; i < CHAIN_COLUMNS; i++) {
		/* NULL is not the empty text, and a byte that moves to the next column is seen. */
		memcpy(other, row, sizeof(other));
		other[i] = row[i].data ? SPAN_NONE : SPAN("");
		chain_row(other, b);
		EXPECT_TRUE(strcmp(a, b) != 0);
		if (i + 1 == CHAIN_COLUMNS || row[i].len == 0)
			continue;
		memcpy(other, row, sizeof(other));
		other[i].len--;
		other[i + 1] = (struct span){ row[i].data + row[i].len - 1, 1 };
		chain_row(other, b);
		EXPECT_TRUE(strcmp(a, b) != 0);
	}
}
