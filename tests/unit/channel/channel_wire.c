#include "channel/wire.h"

#include "lib/test.h"

TEST(channel_wire__what_is_put_is_got)
{
	struct text out;
	struct wire_reader r;

	text_init(&out);
	wire_put_u8(&out, 0xfe);
	wire_put_u16(&out, 0x1234);
	wire_put_u32(&out, 0xdeadbeef);
	wire_put_u64(&out, UINT64_MAX - 1);
	wire_put_double(&out, -0.125);
	wire_put_span(&out, SPAN("abc"));
	wire_put_span(&out, SPAN_NONE);
	r = wire_reader(text_span(&out));
	EXPECT_UINT(wire_get_u8(&r), ==, 0xfe);
	EXPECT_UINT(wire_get_u16(&r), ==, 0x1234);
	EXPECT_UINT(wire_get_u32(&r), ==, 0xdeadbeef);
	EXPECT_TRUE(wire_get_u64(&r) == UINT64_MAX - 1);
	EXPECT_TRUE(wire_get_double(&r) == -0.125);
	EXPECT_SPAN(wire_get_span(&r), "abc");
	EXPECT_SPAN(wire_get_span(&r), "");
	EXPECT_TRUE(wire_reader_complete(&r));
	text_done(&out);
}

TEST(channel_wire__numbers_are_little_endian)
{
	struct text out;

	text_init(&out);
	wire_put_u32(&out, 0x01020304);
	EXPECT_INT(memcmp(out.data, "\x04\x03\x02\x01", 4), ==, 0);
	text_done(&out);
}

TEST(channel_wire__a_read_past_the_end_sticks)
{
	struct wire_reader r = wire_reader(SPAN("\x01\x02\x03"));

	EXPECT_UINT(wire_get_u32(&r), ==, 0);
	EXPECT_TRUE(r.failed);
	EXPECT_UINT(wire_get_u8(&r), ==, 0);
	EXPECT_FALSE(wire_reader_complete(&r));
}

TEST(channel_wire__a_span_longer_than_the_payload_fails)
{
	struct wire_reader r = wire_reader(SPAN("\xff\xff\xff\xff"
						"abc"));

	EXPECT_SPAN(wire_get_span(&r), "");
	EXPECT_TRUE(r.failed);
}

TEST(channel_wire__bytes_left_over_are_not_complete)
{
	struct wire_reader r = wire_reader(SPAN("\x01\x02"));

	(void)wire_get_u8(&r);
	EXPECT_FALSE(wire_reader_complete(&r));
}
