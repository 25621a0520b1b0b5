#include "channel/protocol.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "channel/protocol_priv.h"
#include "lib/test.h"

#define ITEMS 3

static const uint16_t types[] = {
#define X(NAME, name, number, limit) number,
	PROTOCOL_MESSAGES(X)
#undef X
};

static const uint16_t signals[] = {
#define X(NAME, number, limit) number,
	PROTOCOL_SIGNALS(X)
#undef X
};

static size_t align_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Each field begins where the last one ended, but for the padding that its alignment asks for. */
static void expect_covered(const struct protocol_layout *layout)
{
	size_t end = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const struct protocol_field *f = &layout->fields[i];
		size_t align = f->size == 4 ? 4 : 8;

		ck_assert_msg(f->offset == align_up(end, align),
			"%s: the table misses a field before its field %zu", layout->name, i);
		end = f->offset + f->size;
		if (f->kind == PROTOCOL_KIND_LIST)
			expect_covered(f->element);
	}
	ck_assert_msg(align_up(end, 8) == align_up(layout->size, 8),
		"%s: the table misses the last field", layout->name);
}

TEST(channel_protocol__the_tables_cover_every_field)
{
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
		expect_covered(protocol_layout(types[i]));
}

TEST(channel_protocol__no_number_is_used_twice_and_each_names_its_link)
{
	uint16_t all[ARRAY_LENGTH(types) + ARRAY_LENGTH(signals)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
		all[n++] = types[i];
	for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
		all[n++] = signals[i];
	for (size_t i = 0; i < n; i++) {
		EXPECT_INT(all[i] >> 8, >=, 1);
		EXPECT_INT(all[i] >> 8, <, PROTOCOL_LINK_COUNT);
		EXPECT_INT(all[i], >=, CHANNEL_TYPE_FIRST);
		EXPECT_TRUE(protocol_limit((uint8_t)(all[i] >> 8), all[i]) >= 0);
		EXPECT_TRUE(protocol_limit((uint8_t)((all[i] >> 8) + 1), all[i]) == -1);
		for (size_t j = 0; j < i; j++)
			EXPECT_TRUE(all[i] != all[j]);
	}
	EXPECT_TRUE(protocol_limit(1, 0x01ff) == -1);
}

/* Fill message of a layout with values that differ from field to field. */
static void fill(const struct protocol_layout *layout, char *to, uint64_t *seed)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct protocol_field *f = &layout->fields[i];
		uint64_t value = ++*seed * UINT64_C(0x9e3779b97f4a7c15);

		if (f->kind == PROTOCOL_KIND_SPAN) {
			char *s = mem_printf("value %llu", (unsigned long long)*seed);
			struct span span = span_of(s);

			memcpy(to + f->offset, &span, sizeof(span));
		} else if (f->kind == PROTOCOL_KIND_LIST) {
			char *items = mem_zalloc(ITEMS * f->element->size);
			uint32_t count = ITEMS;

			for (int k = 0; k < ITEMS; k++)
				fill(f->element, items + k * f->element->size, seed);
			memcpy(to + f->offset, &items, sizeof(items));
			memcpy(to + f->offset + sizeof(items), &count, sizeof(count));
		} else {
			memcpy(to + f->offset, &value, f->size);
		}
	}
}

/* Release what fill() made. */
static void empty(const struct protocol_layout *layout, char *of)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct protocol_field *f = &layout->fields[i];
		char *data;

		if (f->kind != PROTOCOL_KIND_SPAN && f->kind != PROTOCOL_KIND_LIST)
			continue;
		memcpy(&data, of + f->offset, sizeof(data));
		for (int k = 0; f->kind == PROTOCOL_KIND_LIST && k < ITEMS; k++)
			empty(f->element, data + k * f->element->size);
		mem_free(data);
	}
}

TEST(channel_protocol__every_message_survives_the_trip)
{
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		const struct protocol_layout *layout = protocol_layout(types[i]);
		char *message = mem_zalloc(layout->size), *copy = mem_zalloc(layout->size);
		struct protocol_memory memory;
		struct text first, second;
		struct error err;
		uint64_t seed = i * 1000;

		protocol_memory_init(&memory);
		text_init(&first);
		text_init(&second);
		fill(layout, message, &seed);
		protocol_encode(&first, types[i], message);
		EXPECT_OK(protocol_decode(types[i], text_span(&first), copy, &memory, &err), &err);
		protocol_encode(&second, types[i], copy);
		ck_assert_msg(span_equal(text_span(&first), text_span(&second)),
			"%s changed on its way", layout->name);
		/* Cut anywhere, or with a byte more, it is refused. */
		for (size_t n = 0; n < first.len; n++)
			EXPECT_INT(protocol_decode(types[i], (struct span){ first.data, n }, copy,
					   &memory, NULL),
				==, ERR_PROTOCOL);
		text_append_char(&first, 'x');
		EXPECT_INT(protocol_decode(types[i], text_span(&first), copy, &memory, &err), ==,
			ERR_PROTOCOL);
		EXPECT_CONTAINS(err.text, protocol_name(types[i]));
		protocol_memory_done(&memory);
		text_done(&first);
		text_done(&second);
		empty(layout, message);
		mem_free(message);
		mem_free(copy);
	}
}

TEST(channel_protocol__typed_functions_carry_the_fields)
{
	const struct protocol_pair headers[] = { { SPAN("accept"), SPAN("text/plain") },
		{ SPAN("x"), SPAN("") } };
	struct data_request in = { .route = SPAN("ping"),
		.method = SPAN("GET"),
		.path = SPAN("/api/hello/ping"),
		.headers = { headers, 2 },
		.length = -1,
		.deadline_ns = 7 },
			    out;
	struct protocol_memory memory;
	struct text payload;
	struct error err;

	protocol_memory_init(&memory);
	text_init(&payload);
	encode_data_request(&payload, &in);
	EXPECT_OK(decode_data_request(&out, text_span(&payload), &memory, &err), &err);
	EXPECT_SPAN(out.route, "ping");
	EXPECT_SPAN(out.path, "/api/hello/ping");
	EXPECT_SPAN(out.query, "");
	EXPECT_UINT(out.headers.count, ==, 2);
	EXPECT_SPAN(out.headers.items[0].value, "text/plain");
	EXPECT_UINT(out.params.count, ==, 0);
	EXPECT_TRUE(out.length == -1 && out.deadline_ns == 7);
	text_done(&payload);
	protocol_memory_done(&memory);
}

TEST(channel_protocol__a_count_that_the_payload_cannot_hold_takes_no_memory)
{
	struct worker_started out;
	struct protocol_memory memory;
	struct text payload;

	protocol_memory_init(&memory);
	text_init(&payload);
	text_append(&payload, "\0\0\0\0\0\0\0\0\xff\xff\xff\x7f", 12);
	EXPECT_INT(
		decode_worker_started(&out, text_span(&payload), &memory, NULL), ==, ERR_PROTOCOL);
	EXPECT_NULL(memory.blocks);
	text_done(&payload);
}

TEST(channel_protocol__the_black_box_is_read_as_hostile)
{
	int fd = memfd_create("box", MFD_CLOEXEC);
	struct black_box box, out;
	struct error err;

	EXPECT_INT(ftruncate(fd, BLACK_BOX_SIZE), ==, 0);
	EXPECT_INT(black_box_read(fd, &out, &err), ==, ERR_FORMAT);
	memset(&box, 0xff, sizeof(box));
	box.magic = BLACK_BOX_MAGIC;
	memcpy(box.callback, "start\n\x1b[2J", 10);
	EXPECT_INT(pwrite(fd, &box, sizeof(box), 0), ==, sizeof(box));
	EXPECT_OK(black_box_read(fd, &out, &err), &err);
	EXPECT_CONTAINS(out.callback, "start??[2J");
	EXPECT_UINT(strlen(out.callback), <, sizeof(out.callback));
	EXPECT_UINT(strlen(out.requests[0]), <, sizeof(out.requests[0]));
	(void)close(fd);
}
