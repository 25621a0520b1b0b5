/* The SDK's JSON: what parses can be walked and decoded, and written again it parses to the same.
 */
#include <assert.h>
#include <stdlib.h>

#include <mortise/catalog.h>
#include <mortise/json.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_value(const struct mortise_json *value, struct mortise_json_writer *w)
{
	struct mortise_json_walk walk = mortise_json_each(value);
	char *buffer = malloc(value->text.size + 1);
	struct mortise_str text;
	int64_t number;
	uint32_t flag;
	double real;

	if (value->type == MORTISE_JSON_OBJECT) {
		mortise_json_open_object(w);
		while (mortise_json_next(&walk)) {
			char *name = malloc(walk.key.text.size + 1);

			assert(mortise_json_string(&walk.key, name, walk.key.text.size, &text) ==
				0);
			mortise_json_add_key(w, text);
			free(name);
			copy_value(&walk.value, w);
		}
		mortise_json_close(w);
	} else if (value->type == MORTISE_JSON_ARRAY) {
		mortise_json_open_array(w);
		while (mortise_json_next(&walk))
			copy_value(&walk.value, w);
		mortise_json_close(w);
	} else if (value->type == MORTISE_JSON_STRING) {
		assert(mortise_json_string(value, buffer, value->text.size, &text) == 0);
		mortise_json_add_string(w, text);
	} else {
		(void)mortise_json_int64(value, &number);
		(void)mortise_json_real(value, &real);
		assert((mortise_json_boolean(value, &flag) == 0) ==
			(value->type == MORTISE_JSON_BOOLEAN));
		mortise_json_add_raw(w, value->text);
	}
	free(buffer);
}

/* What a value becomes when it is written anew. */
static void rewrite(struct mortise_str text, struct mortise_json_writer *w)
{
	struct mortise_json value;

	mortise_json_writer_init(w);
	if (mortise_json_parse(text, &value) == 0)
		copy_value(&value, w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct mortise_json_writer once, twice;
	struct mortise_str text = mortise_str_of(copy, size), first, second;
	struct mortise_call_result_1 result;
	struct mortise_catalog_list_result page;
	struct mortise_catalog_service service;
	struct mortise_json value;

	memcpy(copy, data, size);
	rewrite(text, &once);
	if (mortise_json_parse(text, &value) == 0 && mortise_json_written(&once, &first) == 0) {
		rewrite(first, &twice);
		assert(mortise_json_written(&twice, &second) == 0 &&
			mortise_str_equal(first, second));
		mortise_json_writer_done(&twice);
	}
	mortise_json_writer_done(&once);
	/* Any bytes as text: always valid JSON. */
	mortise_json_writer_init(&once);
	mortise_json_add_string(&once, text);
	assert(mortise_json_written(&once, &first) == 0 && mortise_json_parse(first, &value) == 0);
	mortise_json_writer_done(&once);
	/* A typed result. */
	memset(&result, 0, sizeof(result));
	result.json = text;
	if (mortise_catalog_list_read(&result, &page) == 0)
		while (mortise_catalog_next_service(&page.items, &service) > 0)
			;
	free(copy);
	return 0;
}
