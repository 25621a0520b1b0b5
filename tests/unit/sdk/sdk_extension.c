/* The typed wrappers, against a host that notes what it is asked. */
#include "lib/test.h"

#include <mortise/catalog.h>
#include <mortise/identity.h>
#include <mortise/kv.h>
#include <mortise/plugin.h>

static struct {
	char json[1024], bytes[64], method[32];
	struct mortise_call_args_1 args;
	int32_t rc;
} asked;

static int32_t note_call(struct mortise_host *host, const struct mortise_call_args_1 *args,
	mortise_call_done_cb done, void *user, mortise_id *operation)
{
	(void)host;
	(void)done;
	(void)user;
	asked.args = *args;
	(void)snprintf(
		asked.json, sizeof(asked.json), "%.*s", (int)args->json.size, args->json.data);
	(void)snprintf(
		asked.bytes, sizeof(asked.bytes), "%.*s", (int)args->bytes.size, args->bytes.data);
	(void)snprintf(asked.method, sizeof(asked.method), "%.*s %.*s", (int)args->extension.size,
		args->extension.data, (int)args->method.size, args->method.data);
	if (operation)
		*operation = 9;
	return asked.rc;
}

static const struct mortise_call_1 call = { .call = note_call };

TEST(sdk_extension__parameters_become_json)
{
	const struct mortise_str tags[] = { MORTISE_STR_INIT("libs"), MORTISE_STR_INIT("x\"y") };
	const struct mortise_field label = { MORTISE_STR_INIT("k"), MORTISE_STR_INIT("v") };
	const struct mortise_catalog_entity entities[] = {
		{ .key = MORTISE_STR("a"),
			.name = MORTISE_STR("A"),
			.tags = tags,
			.tags_count = 2,
			.labels = &label,
			.labels_count = 1 },
		{ .key = MORTISE_STR("b"),
			.name = MORTISE_STR("B"),
			.metadata = MORTISE_STR("{\"n\":1}"),
			.team = MORTISE_STR("t") },
	};
	const struct mortise_catalog_apply_params params = {
		.entities = entities, .entities_count = 2, .sync = 9007199254740993
	};
	const struct mortise_call_setup setup = {
		.call = &call, .cause = 5, .timeout_ms = 6, .operation_key = MORTISE_STR("op")
	};
	mortise_id operation = 0;

	EXPECT_INT(mortise_catalog_apply(&setup, &params, &operation), ==, 0);
	EXPECT_STR(asked.method, "catalog/1 apply");
	EXPECT_STR(asked.json, "{\"entities\":[{\"key\":\"a\",\"name\":\"A\",\"tags\":[\"libs\","
			       "\"x\\\"y\"],\"labels\":{\"k\":\"v\"}},"
			       "{\"key\":\"b\",\"name\":\"B\",\"metadata\":{\"n\":1},\"team\":"
			       "\"t\"}],\"sync\":\"9007199254740993\"}");
	EXPECT_UINT(asked.args.cause, ==, 5);
	EXPECT_UINT(asked.args.timeout_ms, ==, 6);
	EXPECT_UINT(asked.args.operation_key.size, ==, 2);
	EXPECT_UINT(operation, ==, 9);
}

TEST(sdk_extension__bytes_and_absent_parameters)
{
	const struct mortise_kv_put_params params = { .key = MORTISE_STR("k"),
		.bytes = MORTISE_STR("raw") };
	const struct mortise_kv_put_params bad = { .key = MORTISE_STR("k"),
		.value = MORTISE_STR("{") };
	const struct mortise_call_setup setup = { .call = &call };

	EXPECT_INT(mortise_kv_put(&setup, &params, NULL), ==, 0);
	EXPECT_STR(asked.json, "{\"key\":\"k\"}");
	EXPECT_STR(asked.bytes, "raw");
	EXPECT_INT(mortise_kv_put(&setup, &bad, NULL), ==, MORTISE_E_FORMAT); /* no call is made */
	EXPECT_INT(mortise_identity_whoami(&setup, NULL), ==, 0);
	EXPECT_STR(asked.json, "{}");
	asked.rc = MORTISE_E_AGAIN;
	EXPECT_INT(mortise_identity_whoami(&setup, NULL), ==, MORTISE_E_AGAIN);
}

static struct mortise_call_result_1 result_of(const char *json)
{
	struct mortise_call_result_1 result;

	memset(&result, 0, sizeof(result));
	result.json = mortise_str_from(json);
	return result;
}

TEST(sdk_extension__results_become_structs)
{
	struct mortise_call_result_1 result =
		result_of("{\"next\":\"c\\u0031\",\"items\":[{\"name\":\"a\\\"b\",\"depth\":2,"
			  "\"id\":\"i\",\"later\":true},{\"name\":null}]}");
	struct mortise_catalog_dependencies_result page;
	struct mortise_catalog_dependency item;

	EXPECT_INT(mortise_catalog_dependencies_read(&result, &page), ==, 0);
	EXPECT_TRUE(mortise_str_equal(page.next, MORTISE_STR("c1")));
	EXPECT_INT(mortise_catalog_next_dependency(&page.items, &item), ==, 1);
	EXPECT_TRUE(mortise_str_equal(item.name, MORTISE_STR("a\"b")));
	EXPECT_TRUE(mortise_str_equal(item.id, MORTISE_STR("i")));
	EXPECT_UINT(item.depth, ==, 2);
	EXPECT_INT(mortise_catalog_next_dependency(&page.items, &item), ==, 1);
	EXPECT_UINT(item.name.size, ==, 0);
	EXPECT_INT(mortise_catalog_next_dependency(&page.items, &item), ==, 0);
}

TEST(sdk_extension__an_object_in_a_result_is_read_too)
{
	struct mortise_call_result_1 result = result_of(
		"{\"service\":{\"name\":\"n\",\"tags\":[\"x\"],\"description\":\"a\\nb\"}}");
	struct mortise_catalog_get_result got;

	EXPECT_INT(mortise_catalog_get_read(&result, &got), ==, 0);
	EXPECT_TRUE(mortise_str_equal(got.service.name, MORTISE_STR("n")));
	EXPECT_INT(got.service.tags.type, ==, MORTISE_JSON_ARRAY);
	EXPECT_TRUE(mortise_json_is(&got.service.description, "a\nb"));
}

TEST(sdk_extension__a_result_of_another_form_is_refused)
{
	static const char *const bad[] = { "", "[]", "{", "{\"etag\":1}", "{\"etag\":\"x\",}" };
	struct mortise_kv_put_result put;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mortise_call_result_1 result = result_of(bad[i]);

		ck_assert_msg(
			mortise_kv_put_read(&result, &put) == MORTISE_E_FORMAT, "read: %s", bad[i]);
	}
}

TEST(sdk_extension__json_null_is_a_value)
{
	struct mortise_call_result_1 result = result_of("{\"value\":null,\"etag\":\"4\"}");
	struct mortise_kv_get_result got;

	EXPECT_INT(mortise_kv_get_read(&result, &got), ==, 0);
	EXPECT_INT(got.value.type, ==, MORTISE_JSON_NULL);
}
