/* extension.h - what the typed wrappers of extensions share (catalog.h, identity.h, kv.h)
 *
 * A wrapper writes the parameters and starts the call; a reader turns the result,
 * in done, into a struct:
 *
 *   struct mortise_call_setup setup = { .host = self->host, .call = self->call,
 *       .cause = request, .done = on_whoami, .user = mine };
 *   rc = mortise_identity_whoami(&setup, NULL);
 *
 *   static void on_whoami(struct mortise_instance *self, void *user, int32_t rc,
 *       const struct mortise_call_result_1 *result)
 *   {
 *       struct mortise_identity_whoami_result who;
 *
 *       if (rc == 0)
 *           rc = mortise_identity_whoami_read(result, &who);
 *
 * In parameters an optional text is absent when its data is NULL, an optional
 * number when it is 0. In results what is absent reads as empty or 0. Texts in a
 * result struct live until done returns, and no longer than the struct.
 */
#ifndef MORTISE_EXTENSION_H
#define MORTISE_EXTENSION_H

#include "call.h"
#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who calls, for whom, and where the outcome goes; the members as in call.h. */
struct mortise_call_setup {
	struct mortise_host *host;
	const struct mortise_call_1 *call;
	mortise_call_done_cb done;
	void *user;
	mortise_id cause;
	struct mortise_str operation_key;
	uint32_t timeout_ms;
};

/* Start the call with the parameters in *params and release them. */
static inline int32_t mortise_extension_call(const struct mortise_call_setup *setup,
	struct mortise_str extension, struct mortise_str method, struct mortise_json_writer *params,
	struct mortise_str bytes, mortise_id *operation)
{
	struct mortise_call_args_1 args;
	int32_t rc;

	memset(&args, 0, sizeof(args));
	args.extension = extension;
	args.method = method;
	args.bytes = bytes;
	args.operation_key = setup->operation_key;
	args.cause = setup->cause;
	args.timeout_ms = setup->timeout_ms;
	rc = mortise_json_written(params, &args.json);
	if (rc == 0)
		rc = setup->call->call(setup->host, &args, setup->done, setup->user, operation);
	mortise_json_writer_done(params);
	return rc;
}

/* The object of a result. */
static inline int32_t mortise_extension_result(
	const struct mortise_call_result_1 *result, struct mortise_json *out)
{
	int32_t rc = mortise_json_parse(result->json, out);

	return rc == 0 && out->type != MORTISE_JSON_OBJECT ? MORTISE_E_FORMAT : rc;
}

/* A string of a result, in its place in the JSON or decoded into scratch from *used on. */
static inline int32_t mortise_extension_string(const struct mortise_json *value, char *scratch,
	uint64_t size, uint64_t *used, struct mortise_str *out)
{
	int32_t rc = mortise_json_string(value, scratch + *used, size - *used, out);

	if (rc == 0 && value->escaped)
		*used += out->size;
	return rc;
}

#ifdef __cplusplus
}
#endif

#endif
