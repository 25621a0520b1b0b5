/* Threats: another site has the browser send a form (the session's cookie is SameSite=Lax, bodies
 * are JSON, and a change needs an origin that we know); a page of a neighbouring name sets a cookie
 * for us
 * (__Host-); a request smuggles a second token past a proxy that looked at the first (refused). */
#include "api/credentials.h"

#include "base/error.h"
#include "http/parse.h"
#include "identity/key.h"

#define BEARER "bearer "

/* ---- cookies -----------------------------------------------------------------------------------
 */

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = (struct span){ s.data + 1, s.len - 1 };
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Cookies of that name in one field (RFC 6265 section 5.4); the last one in *value. */
static unsigned find_in_field(struct span field, const char *name, struct span *value)
{
	struct span pair, part;
	unsigned found = 0;

	while (span_split(&field, ';', &pair)) {
		pair = trim(pair);
		if (!span_split(&pair, '=', &part) || !span_is(part, name) || !pair.data)
			continue;
		*value = pair;
		found++;
	}
	return found;
}

static unsigned find_cookie(const struct http_head *head, const char *name, struct span *value)
{
	unsigned found = 0;

	if (!http_head_get(head, HTTP_HEADER_COOKIE).data)
		return 0;
	for (size_t i = 0; i < head->field_count; i++) {
		struct span field_name, field;

		http_head_field(head, i, &field_name, &field);
		if (span_equal_nocase(field_name, SPAN("cookie")))
			found += find_in_field(field, name, value);
	}
	return found;
}

void credentials_cookie(struct text *out, const char *name, struct span token, int64_t lasts_s)
{
	text_printf(out, "%s=%.*s; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%lld", name,
		SPAN_ARG(token), (long long)(token.len > 0 && lasts_s > 0 ? lasts_s : 0));
}

/* ---- who asks ----------------------------------------------------------------------------------
 */

/* The token of `Authorization: Bearer TOKEN`; data NULL: there is none. */
static struct span bearer_of(const struct http_head *head)
{
	struct span value = http_head_get(head, HTTP_HEADER_AUTHORIZATION);
	size_t skip = sizeof(BEARER) - 1;

	if (value.len < skip || !span_equal_nocase((struct span){ value.data, skip }, SPAN(BEARER)))
		return SPAN_NONE;
	while (skip < value.len && value.data[skip] == ' ')
		skip++;
	return (struct span){ value.data + skip, value.len - skip };
}

/* One of a token that was given and a cookie's. */
static int choose(const struct http_head *head, struct span given, const char *cookie,
	const char *place, struct credentials *out, struct error *err)
{
	struct span value = SPAN_NONE;
	unsigned cookies = find_cookie(head, cookie, &value);

	if (cookies > 1)
		return error_set(
			err, ERR_CREDENTIALS, "the cookie '%s' came more than once", cookie);
	if (cookies == 1 && given.data)
		return error_set(err, ERR_CREDENTIALS,
			"credentials came both in %s and in the cookie '%s'", place, cookie);
	*out = (struct credentials){ .token = cookies ? value : given, .by_cookie = cookies == 1 };
	return 0;
}

int credentials_read(const struct http_head *head, struct credentials *out, struct error *err)
{
	return choose(
		head, bearer_of(head), CREDENTIALS_COOKIE, "the Authorization header", out, err);
}

int credentials_read_refresh(
	const struct http_head *head, struct span given, struct credentials *out, struct error *err)
{
	return choose(head, given, CREDENTIALS_COOKIE_REFRESH, "the body", out, err);
}

int credentials_malformed(const struct credentials *credentials, struct error *err)
{
	if (span_starts(credentials->token, "msr_"))
		return error_set(err, ERR_SESSION_MALFORMED,
			"a refresh token does nothing but refresh: POST /v1/sessions/refresh");
	if (credentials->by_cookie || span_starts(credentials->token, "mss_"))
		return error_set(err, ERR_SESSION_MALFORMED,
			"what came with the request is no session's token");
	return error_set(err, ERR_KEY_MALFORMED, "what came with the request is no API key");
}

/* ---- where the page comes from -----------------------------------------------------------------
 */

static bool is_listed(struct span origin, const char *origins)
{
	struct span rest = span_of(origins), one;

	while (span_split(&rest, ' ', &one))
		if (one.len > 0 && span_equal_nocase(one, origin))
			return true;
	return false;
}

/* Is it the origin of the host that the request was sent to? Of the scheme nothing is known where a
 * proxy speaks TLS for us; a Secure cookie comes from https pages (and from localhost's) alone. */
static bool is_own(struct span origin, struct span host)
{
	static const char *const schemes[] = { "https://", "http://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t skip = strlen(schemes[i]);

		if (span_starts(origin, schemes[i]) &&
			span_equal_nocase(
				(struct span){ origin.data + skip, origin.len - skip }, host))
			return host.len > 0;
	}
	return false;
}

int credentials_check_origin(const struct http_head *head, const char *origins, struct error *err)
{
	struct span origin = http_head_get(head, HTTP_HEADER_ORIGIN);
	struct span site = http_head_find(head, SPAN("sec-fetch-site"));

	if (origin.data && is_listed(origin, origins))
		return 0;
	if (origin.data && !is_own(origin, head->host))
		return error_set(err, ERR_ORIGIN, "the request comes from another origin");
	if (site.data && !span_is(site, "same-origin"))
		return error_set(err, ERR_ORIGIN, "the request comes from another site");
	if (!origin.data && !site.data)
		return error_set(
			err, ERR_ORIGIN, "the request says neither Origin nor Sec-Fetch-Site");
	return 0;
}
