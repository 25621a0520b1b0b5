/* A field's kind follows from its C type; only lists name their element. Struct members are read
 * and written by memcpy at their offsets, so that the generic walk breaks no aliasing rule.
 */
#include "channel/protocol.h"

#include <errno.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "channel/protocol_priv.h"
#include "channel/wire.h"

#define MEMBER(type, member) (((struct type *)0)->member)
#define KIND_OF(x)                                   \
	_Generic((x), uint32_t                       \
		 : PROTOCOL_KIND_U32, int32_t        \
		 : PROTOCOL_KIND_I32, uint64_t       \
		 : PROTOCOL_KIND_U64, int64_t        \
		 : PROTOCOL_KIND_I64, double         \
		 : PROTOCOL_KIND_DOUBLE, struct span \
		 : PROTOCOL_KIND_SPAN)

#define FIELD(type, member)                                                  \
	{                                                                    \
		offsetof(struct type, member), sizeof(MEMBER(type, member)), \
			KIND_OF(MEMBER(type, member)), NULL                  \
	}
#define LIST(type, member, element_type)                                                    \
	{                                                                                   \
		offsetof(struct type, member),                                              \
			sizeof(MEMBER(type, member)) +                                      \
				0 * sizeof(char[sizeof(*MEMBER(type, member).items) ==      \
								sizeof(struct element_type) \
							? 1                                 \
							: -1]),                             \
			PROTOCOL_KIND_LIST, &element_type##_layout                          \
	}
#define LAYOUT(type, ...)                                                                 \
	static const struct protocol_field type##_fields[] = { __VA_ARGS__ };             \
	static const struct protocol_layout type##_layout = { #type, sizeof(struct type), \
		type##_fields, ARRAY_LENGTH(type##_fields) };

/* A list of plain spans: the element is the span itself. */
static const struct protocol_field span_fields[] = { { 0, sizeof(struct span), PROTOCOL_KIND_SPAN,
	NULL } };
static const struct protocol_layout span_layout = { "span", sizeof(struct span), span_fields, 1 };

#define F FIELD

LAYOUT(protocol_pair, F(protocol_pair, key), F(protocol_pair, value))

LAYOUT(worker_start, F(worker_start, installation), F(worker_start, generation),
	F(worker_start, plugin), F(worker_start, version), F(worker_start, folder),
	F(worker_start, entry), F(worker_start, device), F(worker_start, inode),
	LIST(worker_start, needs, span), LIST(worker_start, wants, span), F(worker_start, config),
	LIST(worker_start, routes, span), LIST(worker_start, provides, span),
	F(worker_start, drop_rights), F(worker_start, uid), F(worker_start, gid),
	F(worker_start, limit_files), F(worker_start, limit_processes),
	F(worker_start, limit_file_bytes))
LAYOUT(worker_health_ask, F(worker_health_ask, timeout_ms))
LAYOUT(worker_drain, F(worker_drain, deadline_ms))
LAYOUT(worker_stop, F(worker_stop, deadline_ms))
LAYOUT(worker_configure, F(worker_configure, config))

LAYOUT(worker_loaded, F(worker_loaded, rc), F(worker_loaded, text))
LAYOUT(worker_started, F(worker_started, rc), F(worker_started, text),
	LIST(worker_started, routes, span))
LAYOUT(worker_health, F(worker_health, status), F(worker_health, detail))
LAYOUT(worker_configured, F(worker_configured, rc), F(worker_configured, text))
LAYOUT(worker_leftover, F(worker_leftover, kind), F(worker_leftover, name),
	F(worker_leftover, count))
LAYOUT(worker_stopped, F(worker_stopped, rc), F(worker_stopped, text),
	LIST(worker_stopped, leftovers, worker_leftover))
LAYOUT(worker_log, F(worker_log, level), F(worker_log, source), F(worker_log, time_us),
	F(worker_log, message), LIST(worker_log, fields, protocol_pair), F(worker_log, dropped))
LAYOUT(worker_metric, F(worker_metric, kind), F(worker_metric, name), F(worker_metric, labels),
	F(worker_metric, value))
LAYOUT(worker_metrics, F(worker_metrics, time_us), LIST(worker_metrics, samples, worker_metric))

LAYOUT(front_start, F(front_start, slot), F(front_start, environment), F(front_start, node),
	F(front_start, database), LIST(front_start, settings, protocol_pair), F(front_start, fetch))
LAYOUT(front_table_worker, F(front_table_worker, installation), F(front_table_worker, generation),
	F(front_table_worker, plugin), F(front_table_worker, version), F(front_table_worker, mount),
	F(front_table_worker, permissions), F(front_table_worker, provides),
	F(front_table_worker, draining))
LAYOUT(front_table_route, F(front_table_route, worker), F(front_table_route, name),
	F(front_table_route, method), F(front_table_route, pattern), F(front_table_route, scope),
	F(front_table_route, deadline_ms), F(front_table_route, body_limit))
LAYOUT(front_table, F(front_table, number), LIST(front_table, workers, front_table_worker),
	LIST(front_table, routes, front_table_route))
LAYOUT(front_worker_connect, F(front_worker_connect, installation),
	F(front_worker_connect, generation), F(front_worker_connect, path))
LAYOUT(front_staged, F(front_staged, rc), F(front_staged, text), F(front_staged, fix),
	F(front_staged, digest), F(front_staged, name), F(front_staged, version),
	F(front_staged, manifest), F(front_staged, signer), F(front_staged, warnings))
LAYOUT(front_notify, F(front_notify, topic), F(front_notify, payload))
LAYOUT(front_stop, F(front_stop, deadline_ms))
LAYOUT(front_key_ring_result, F(front_key_ring_result, rc), F(front_key_ring_result, text),
	F(front_key_ring_result, result))

LAYOUT(front_ready, F(front_ready, rc), F(front_ready, text))
LAYOUT(front_table_ack, F(front_table_ack, number))
LAYOUT(front_worker_connected, F(front_worker_connected, installation),
	F(front_worker_connected, generation), F(front_worker_connected, rc),
	F(front_worker_connected, text))
LAYOUT(front_stage, F(front_stage, user), F(front_stage, size))
LAYOUT(front_drained, F(front_drained, installation), F(front_drained, generation))
LAYOUT(front_key_ring, F(front_key_ring, op), F(front_key_ring, context), F(front_key_ring, data))

LAYOUT(stage_key, F(stage_key, key_id), F(stage_key, public_key), F(stage_key, name),
	F(stage_key, namespaces), F(stage_key, development), F(stage_key, revoked),
	F(stage_key, expires_us))
LAYOUT(stage_package, F(stage_package, folder), F(stage_package, environment),
	F(stage_package, triplet), F(stage_package, package_bytes),
	F(stage_package, unpacked_bytes), F(stage_package, memory_bytes),
	F(stage_package, cpu_seconds), F(stage_package, drop_rights), F(stage_package, uid),
	F(stage_package, gid), LIST(stage_package, keys, stage_key),
	LIST(stage_package, allowed, span), LIST(stage_package, revoked, span))
LAYOUT(stage_config, F(stage_config, manifest), F(stage_config, config))

LAYOUT(stage_file, F(stage_file, path), F(stage_file, size), F(stage_file, mode),
	F(stage_file, sha256))
LAYOUT(stage_package_result, F(stage_package_result, rc), F(stage_package_result, text),
	F(stage_package_result, fix), F(stage_package_result, digest),
	F(stage_package_result, size), F(stage_package_result, name),
	F(stage_package_result, version), F(stage_package_result, manifest),
	F(stage_package_result, envelope), F(stage_package_result, key_id),
	F(stage_package_result, entry), LIST(stage_package_result, needs, span),
	LIST(stage_package_result, wants, span), LIST(stage_package_result, warnings, span),
	LIST(stage_package_result, files, stage_file))
LAYOUT(stage_config_result, F(stage_config_result, rc), F(stage_config_result, text),
	F(stage_config_result, fix), F(stage_config_result, config))

LAYOUT(data_front, F(data_front, slot))
LAYOUT(data_request, F(data_request, route), F(data_request, method), F(data_request, path),
	F(data_request, query), LIST(data_request, params, protocol_pair),
	LIST(data_request, headers, protocol_pair), F(data_request, length),
	F(data_request, deadline_ns), F(data_request, trace))
LAYOUT(data_response_consumed, F(data_response_consumed, bytes))
LAYOUT(data_gone, F(data_gone, rc))
LAYOUT(data_call_result, F(data_call_result, rc), F(data_call_result, text),
	F(data_call_result, json), F(data_call_result, bytes))
LAYOUT(data_on_call, F(data_on_call, extension), F(data_on_call, method), F(data_on_call, json),
	F(data_on_call, bytes), F(data_on_call, caller), F(data_on_call, operation_key),
	F(data_on_call, deadline_ns), F(data_on_call, trace))

LAYOUT(data_body_consumed, F(data_body_consumed, bytes))
LAYOUT(data_response, F(data_response, status), F(data_response, length),
	LIST(data_response, headers, protocol_pair), F(data_response, body))
LAYOUT(data_response_failed, F(data_response_failed, rc), F(data_response_failed, text))
LAYOUT(data_call, F(data_call, parent), F(data_call, extension), F(data_call, method),
	F(data_call, json), F(data_call, bytes), F(data_call, operation_key),
	F(data_call, deadline_ns))
LAYOUT(data_on_call_result, F(data_on_call_result, rc), F(data_on_call_result, text),
	F(data_on_call_result, json), F(data_on_call_result, bytes))

LAYOUT(fetch_start, F(fetch_start, transfers), F(fetch_start, plugin_transfers),
	F(fetch_start, proxy), F(fetch_start, no_proxy), F(fetch_start, authorities))
LAYOUT(fetch_stop, F(fetch_stop, deadline_ms))
LAYOUT(fetch_ready, F(fetch_ready, rc), F(fetch_ready, text))
LAYOUT(fetch_http, F(fetch_http, installation), F(fetch_http, any_address), F(fetch_http, method),
	F(fetch_http, url), LIST(fetch_http, headers, protocol_pair), F(fetch_http, body),
	F(fetch_http, timeout_ms), F(fetch_http, redirects), F(fetch_http, response_bytes))
LAYOUT(fetch_mail, F(fetch_mail, installation), F(fetch_mail, any_address), F(fetch_mail, url),
	F(fetch_mail, username), F(fetch_mail, password), F(fetch_mail, plain), F(fetch_mail, from),
	LIST(fetch_mail, to, span), F(fetch_mail, message), F(fetch_mail, timeout_ms))
LAYOUT(fetch_result, F(fetch_result, rc), F(fetch_result, text), F(fetch_result, status),
	F(fetch_result, url), LIST(fetch_result, headers, protocol_pair), F(fetch_result, body))

struct entry {
	uint16_t type;
	const char *name;
	uint32_t limit;
	const struct protocol_layout *layout; /* NULL: no fields */
};

/* The entry of a type, or NULL. Compiled to a jump: it is asked for every frame. */
static const struct entry *find(uint16_t type)
{
	switch (type) {
#define X(NAME, name, number, limit)                                                        \
	case number: {                                                                      \
		static const struct entry entry = { number, #name, limit, &name##_layout }; \
		return &entry;                                                              \
	}
		PROTOCOL_MESSAGES(X)
#undef X
#define X(NAME, number, limit)                                                    \
	case number: {                                                            \
		static const struct entry entry = { number, #NAME, limit, NULL }; \
		return &entry;                                                    \
	}
		PROTOCOL_SIGNALS(X)
#undef X
	default:
		return NULL;
	}
}

const struct protocol_layout *protocol_layout(uint16_t type)
{
	const struct entry *entry = find(type);

	return entry ? entry->layout : NULL;
}

int64_t protocol_limit(uint8_t link, uint16_t type)
{
	const struct entry *entry = type >> 8 == link ? find(type) : NULL;

	return entry ? (int64_t)entry->limit : -1;
}

const char *protocol_name(uint16_t type)
{
	const struct entry *entry = find(type);

	return entry ? entry->name : "unknown";
}

/* ---- memory of lists ---- */

struct protocol_block {
	struct protocol_block *next;
	size_t size;
	size_t used;
	_Alignas(max_align_t) char data[];
};

#define BLOCK_SIZE 4096
/* A block that an unusual message needed is not kept for the usual ones. */
#define BLOCK_KEEP 65536

void protocol_memory_init(struct protocol_memory *m)
{
	m->blocks = NULL;
}

void protocol_memory_done(struct protocol_memory *m)
{
	struct protocol_block *next;

	for (struct protocol_block *b = m->blocks; b; b = next) {
		next = b->next;
		mem_free(b);
	}
	m->blocks = NULL;
}

static void reset_memory(struct protocol_memory *m)
{
	if (m->blocks && (m->blocks->next || m->blocks->size > BLOCK_KEEP))
		protocol_memory_done(m);
	else if (m->blocks)
		m->blocks->used = 0;
}

/* NULL: no memory. */
static void *take_memory(struct protocol_memory *m, size_t size)
{
	struct protocol_block *b = m->blocks;
	void *place;

	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!b || b->size - b->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		b = mem_try_alloc(sizeof(*b) + room);
		if (!b)
			return NULL;
		b->next = m->blocks;
		b->size = room;
		m->blocks = b;
	}
	place = b->data + b->used;
	b->used += size;
	return place;
}

/* ---- the walk ---- */

/* How every list member begins; see LIST. */
struct list_member {
	const void *items;
	uint32_t count;
};

static void encode_fields(struct text *out, const struct protocol_layout *layout, const char *from);

static void encode_list(struct text *out, const struct protocol_field *field, const char *from)
{
	struct list_member list;

	memcpy(&list, from, sizeof(list));
	wire_put_u32(out, list.count);
	for (uint32_t i = 0; i < list.count; i++)
		encode_fields(
			out, field->element, (const char *)list.items + i * field->element->size);
}

static void encode_field(struct text *out, const struct protocol_field *field, const char *from)
{
	struct span span;
	uint32_t u32;
	uint64_t u64;

	switch (field->kind) {
	case PROTOCOL_KIND_U32:
	case PROTOCOL_KIND_I32:
		memcpy(&u32, from, sizeof(u32));
		wire_put_u32(out, u32);
		return;
	case PROTOCOL_KIND_U64:
	case PROTOCOL_KIND_I64:
	case PROTOCOL_KIND_DOUBLE:
		memcpy(&u64, from, sizeof(u64));
		wire_put_u64(out, u64);
		return;
	case PROTOCOL_KIND_SPAN:
		memcpy(&span, from, sizeof(span));
		wire_put_span(out, span);
		return;
	case PROTOCOL_KIND_LIST:
		encode_list(out, field, from);
		return;
	case PROTOCOL_KIND_COUNT:
		break;
	}
	BUG("kind of field");
}

static void encode_fields(struct text *out, const struct protocol_layout *layout, const char *from)
{
	for (size_t i = 0; i < layout->count; i++)
		encode_field(out, &layout->fields[i], from + layout->fields[i].offset);
}

void protocol_encode(struct text *out, uint16_t type, const void *message)
{
	const struct protocol_layout *layout = protocol_layout(type);

	ASSERT(layout);
	encode_fields(out, layout, message);
}

/* The least that one element takes on the wire; lists cannot hold lists. */
static size_t least_size(const struct protocol_layout *layout)
{
	size_t size = 0;

	for (size_t i = 0; i < layout->count; i++)
		switch (layout->fields[i].kind) {
		case PROTOCOL_KIND_U64:
		case PROTOCOL_KIND_I64:
		case PROTOCOL_KIND_DOUBLE:
			size += 8;
			break;
		default:
			size += 4;
		}
	return size;
}

static void decode_fields(struct wire_reader *r, const struct protocol_layout *layout, char *to,
	struct protocol_memory *memory);

static void decode_list(struct wire_reader *r, const struct protocol_field *field, char *to,
	struct protocol_memory *memory)
{
	const struct protocol_layout *element = field->element;
	struct list_member list = { NULL, wire_get_u32(r) };
	char *items = NULL;

	/* So a count is never larger than the payload can hold, and memory is within a small
	 * multiple of the message's own limit. */
	if (list.count > r->left / least_size(element)) {
		r->failed = true;
		list.count = 0;
	}
	if (list.count) {
		items = take_memory(memory, list.count * element->size);
		if (!items) {
			r->failed = true;
			list.count = 0;
		}
	}
	for (uint32_t i = 0; i < list.count; i++)
		decode_fields(r, element, items + i * element->size, memory);
	list.items = items;
	memcpy(to, &list, sizeof(list));
}

static void decode_field(struct wire_reader *r, const struct protocol_field *field, char *to,
	struct protocol_memory *memory)
{
	struct span span;
	uint32_t u32;
	uint64_t u64;

	switch (field->kind) {
	case PROTOCOL_KIND_U32:
	case PROTOCOL_KIND_I32:
		u32 = wire_get_u32(r);
		memcpy(to, &u32, sizeof(u32));
		return;
	case PROTOCOL_KIND_U64:
	case PROTOCOL_KIND_I64:
	case PROTOCOL_KIND_DOUBLE:
		u64 = wire_get_u64(r);
		memcpy(to, &u64, sizeof(u64));
		return;
	case PROTOCOL_KIND_SPAN:
		span = wire_get_span(r);
		memcpy(to, &span, sizeof(span));
		return;
	case PROTOCOL_KIND_LIST:
		decode_list(r, field, to, memory);
		return;
	case PROTOCOL_KIND_COUNT:
		break;
	}
	BUG("kind of field");
}

static void decode_fields(struct wire_reader *r, const struct protocol_layout *layout, char *to,
	struct protocol_memory *memory)
{
	for (size_t i = 0; i < layout->count; i++)
		decode_field(r, &layout->fields[i], to + layout->fields[i].offset, memory);
}

int protocol_decode(uint16_t type, struct span payload, void *message,
	struct protocol_memory *memory, struct error *err)
{
	const struct protocol_layout *layout = protocol_layout(type);
	struct wire_reader r = wire_reader(payload);

	ASSERT(layout);
	reset_memory(memory);
	decode_fields(&r, layout, message, memory);
	if (!wire_reader_complete(&r))
		return error_set(err, ERR_PROTOCOL, "malformed message '%s' of %zu bytes",
			protocol_name(type), payload.len);
	return 0;
}

int protocol_send(
	struct channel *ch, uint16_t type, uint64_t id, const void *message, uint16_t flags, int fd)
{
	struct text payload;
	int rc;

	text_init(&payload);
	protocol_encode(&payload, type, message);
	rc = channel_send(ch, &(struct channel_message){
				      .type = type,
				      .flags = flags,
				      .id = id,
				      .payload = text_span(&payload),
				      .fd = fd,
				      .credited = true,
			      });
	text_done(&payload);
	return rc;
}

int protocol_send_signal(struct channel *ch, uint16_t type, uint64_t id)
{
	return channel_send(ch,
		&(struct channel_message){ .type = type, .id = id, .fd = -1, .credited = true });
}

int protocol_line_send(struct channel_line *line, uint16_t type, uint64_t id, const void *message,
	uint16_t flags, int fd, struct error *err)
{
	struct text payload;
	int rc;

	text_init(&payload);
	if (message)
		protocol_encode(&payload, type, message);
	rc = channel_line_send(line,
		&(struct channel_message){
			.type = type,
			.flags = flags,
			.id = id,
			.payload = text_span(&payload),
			.fd = fd,
		},
		err);
	text_done(&payload);
	return rc;
}

/* ---- the black box ---- */

static void clean_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

int black_box_read(int fd, struct black_box *out, struct error *err)
{
	struct black_box box;
	ssize_t got = pread(fd, &box, sizeof(box), 0);

	if (got == -1)
		return error_set_errno(err, errno, "read the black box");
	if ((size_t)got != sizeof(box) || box.magic != BLACK_BOX_MAGIC)
		return error_set(err, ERR_FORMAT, "the black box holds no record");
	clean_text(box.callback, sizeof(box.callback));
	clean_text(box.trace, sizeof(box.trace));
	for (size_t i = 0; i < BLACK_BOX_REQUESTS; i++)
		clean_text(box.requests[i], sizeof(box.requests[i]));
	*out = box;
	return 0;
}
