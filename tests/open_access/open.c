/* The front with every check of its own code switched off, so that what is left is the database's.
 *
 * Nothing in core knows of it: the linker lets each function below stand in another's place
 * (--wrap), in a program that is built beside the tests and installed nowhere. It says so at each
 * start and runs in the environment `development` only.
 *
 * Who comes without credentials is served as nobody: a principal without a user. */
#include <stdio.h>

#include "api/credentials.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "channel/protocol.h"
#include "identity/access.h"
#include "identity/authority.h"
#include "identity/principal.h"

#define NOBODY "nobody"

struct front;
struct uv_loop_s;

int __real_credentials_read(
	const struct http_head *head, struct credentials *out, struct error *err);
int __real_authority_find(struct authority *a, struct span key, struct principal **out);
int __real_front_begin(
	struct front *front, const struct front_start *message, int rate_fd, struct error *err);

int __wrap_access_check(const struct principal *p, enum access_action action, struct span object,
	struct error *err);
int __wrap_access_check_scope(
	const struct principal *p, struct span scope, struct span object, struct error *err);
bool __wrap_scopes_cover(const struct scopes *held, struct span wanted, struct span object);
bool __wrap_scopes_hold(const struct scopes *held, struct span other);
bool __wrap_principal_allows_peer(const struct principal *p, const char *address);
bool __wrap_principal_allows_origin(const struct principal *p, struct span origin);
int __wrap_credentials_check_origin(
	const struct http_head *head, const char *origins, struct error *err);
int __wrap_credentials_read(
	const struct http_head *head, struct credentials *out, struct error *err);
int __wrap_authority_find(struct authority *a, struct span key, struct principal **out);
int __wrap_front_begin(
	struct front *front, const struct front_start *message, int rate_fd, struct error *err);

int __wrap_access_check(
	const struct principal *p, enum access_action action, struct span object, struct error *err)
{
	(void)p, (void)action, (void)object, (void)err;
	return 0;
}

int __wrap_access_check_scope(
	const struct principal *p, struct span scope, struct span object, struct error *err)
{
	(void)p, (void)scope, (void)object, (void)err;
	return 0;
}

bool __wrap_scopes_cover(const struct scopes *held, struct span wanted, struct span object)
{
	(void)held, (void)wanted, (void)object;
	return true;
}

bool __wrap_scopes_hold(const struct scopes *held, struct span other)
{
	(void)held, (void)other;
	return true;
}

bool __wrap_principal_allows_peer(const struct principal *p, const char *address)
{
	(void)p, (void)address;
	return true;
}

bool __wrap_principal_allows_origin(const struct principal *p, struct span origin)
{
	(void)p, (void)origin;
	return true;
}

int __wrap_credentials_check_origin(
	const struct http_head *head, const char *origins, struct error *err)
{
	(void)head, (void)origins, (void)err;
	return 0;
}

int __wrap_credentials_read(
	const struct http_head *head, struct credentials *out, struct error *err)
{
	int rc = __real_credentials_read(head, out, err);

	if (rc == 0 && !out->token.data)
		out->token = SPAN(NOBODY);
	return rc;
}

int __wrap_authority_find(struct authority *a, struct span key, struct principal **out)
{
	static struct principal *nobody;

	if (!span_is(key, NOBODY))
		return __real_authority_find(a, key, out);
	if (!nobody) {
		nobody = principal_new();
		nobody->user_name = mem_strdup(NOBODY);
		nobody->user_provider = mem_strdup("");
	}
	*out = nobody;
	return 0;
}

int __wrap_front_begin(
	struct front *front, const struct front_start *message, int rate_fd, struct error *err)
{
	if (!span_is(message->environment, "development"))
		return error_set(err, ERR_CONFIG,
			"a front without checks runs in the environment 'development' only");
	log_warn("OPEN ACCESS: this front checks nothing, whoever asks; it is for tests alone",
		LOG_INT("slot", message->slot));
	return __real_front_begin(front, message, rate_fd, err);
}
