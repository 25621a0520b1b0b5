#include "api/credentials.h"

#include "base/mem.h"
#include "http/parse.h"
#include "identity/key.h"
#include "lib/test.h"

static const struct http_limits limits = {
	.head_bytes = 16384, .headers = 100, .target_bytes = 8192
};

/* fields stand between the request line and the end; what is parsed borrows from *bytes. */
static void parse(struct http_head *head, char **bytes, const char *fields)
{
	*bytes = mem_printf("POST / HTTP/1.1\r\n%s\r\n", fields);
	http_head_init(head);
	EXPECT_INT(http_head_parse(head, *bytes, strlen(*bytes), &limits), ==, 0);
}

TEST(api_credentials__one_token_in_one_place_or_none)
{
	static const struct {
		const char *fields;
		int rc;
		const char *token; /* NULL: none */
		bool by_cookie;
	} cases[] = {
		{ "Host: h\r\n", 0, NULL, false },
		{ "Host: h\r\nAuthorization: Bearer t\r\n", 0, "t", false },
		{ "Host: h\r\nAuthorization: bEaReR   t\r\n", 0, "t", false },
		{ "Host: h\r\nAuthorization: Bearer\r\n", 0, NULL, false },
		{ "Host: h\r\nAuthorization: Basic dDp0\r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: __Host-mortise=t\r\n", 0, "t", true },
		{ "Host: h\r\nCookie: a=b;__Host-mortise=t ; c=d\r\n", 0, "t", true },
		{ "Host: h\r\nCookie: a=b\r\ncookie: __Host-mortise=t\r\n", 0, "t", true },
		{ "Host: h\r\nCookie: __Host-mortise=a=b\r\n", 0, "a=b", true },
		{ "Host: h\r\nCookie: __Host-mortise=\r\n", 0, "", true },
		{ "Host: h\r\nCookie: __Host-mortise\r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: __host-mortise=t; x__Host-mortise=u\r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: __Host-mortise-refresh=r\r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: \r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: ;;=;=x\r\n", 0, NULL, false },
		{ "Host: h\r\nCookie: __Host-mortise=t; __Host-mortise=t\r\n", ERR_CREDENTIALS,
			NULL, false },
		{ "Host: h\r\nCookie: __Host-mortise=t\r\nCookie: __Host-mortise=u\r\n",
			ERR_CREDENTIALS, NULL, false },
		{ "Host: h\r\nCookie: __Host-mortise=t\r\nAuthorization: Bearer t\r\n",
			ERR_CREDENTIALS, NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct credentials found = { 0 };
		struct http_head head;
		struct error err;
		char *bytes;
		int rc;

		parse(&head, &bytes, cases[i].fields);
		rc = credentials_read(&head, &found, &err);
		ck_assert_msg(rc == cases[i].rc, "case %zu: %d", i, rc);
		if (rc == 0 && cases[i].token) {
			EXPECT_SPAN(found.token, cases[i].token);
			EXPECT_INT(found.by_cookie, ==, cases[i].by_cookie);
		} else {
			ck_assert_msg(!found.token.data, "case %zu", i);
		}
		mem_free(bytes);
	}
}

TEST(api_credentials__a_change_by_cookie_comes_from_our_own_pages)
{
	static const char listed[] = "https://portal.example  http://other.example:8080";
	static const struct {
		const char *fields;
		int rc;
	} cases[] = {
		{ "Host: h:7400\r\nOrigin: http://h:7400\r\n", 0 },
		{ "Host: h:7400\r\nOrigin: https://h:7400\r\n", 0 },
		{ "Host: h\r\nOrigin: https://H\r\n", 0 },
		{ "Host: [::1]:7400\r\nOrigin: http://[::1]:7400\r\n", 0 },
		{ "Host: h\r\nSec-Fetch-Site: same-origin\r\n", 0 },
		{ "Host: h\r\nOrigin: https://h\r\nSec-Fetch-Site: same-origin\r\n", 0 },
		{ "Host: inner\r\nOrigin: https://portal.example\r\n", 0 },
		{ "Host: inner\r\nOrigin: http://other.example:8080\r\nSec-Fetch-Site: "
		  "cross-site\r\n",
			0 },
		{ "Host: h\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: null\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: \r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: h\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://h.evil.example\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://evil.example/https://h\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://h:7400\r\n", ERR_ORIGIN },
		{ "Host: h:7400\r\nOrigin: https://h\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: ftp://h\r\n", ERR_ORIGIN },
		{ "Host: inner\r\nOrigin: http://portal.example\r\n", ERR_ORIGIN },
		{ "Host: inner\r\nOrigin: https://portal.example:444\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://h\r\nSec-Fetch-Site: cross-site\r\n", ERR_ORIGIN },
		{ "Host: h\r\nOrigin: https://h\r\nSec-Fetch-Site: same-site\r\n", ERR_ORIGIN },
		{ "Host: h\r\nSec-Fetch-Site: none\r\n", ERR_ORIGIN },
		{ "Host: h\r\nReferer: https://h/\r\n", ERR_ORIGIN },
		{ "Host: h\r\nX-Forwarded-Host: evil.example\r\nOrigin: https://evil.example\r\n",
			ERR_ORIGIN },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct http_head head;
		struct error err;
		char *bytes;
		int rc;

		parse(&head, &bytes, cases[i].fields);
		rc = credentials_check_origin(&head, listed, &err);
		ck_assert_msg(rc == cases[i].rc, "case %zu: %d", i, rc);
		mem_free(bytes);
	}
}

TEST(api_credentials__a_cookie_is_for_this_host_and_its_pages_alone)
{
	struct text field;

	text_init(&field);
	credentials_cookie(&field, CREDENTIALS_COOKIE, SPAN("t"), 60);
	EXPECT_STR(
		field.data, "__Host-mortise=t; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
	text_clear(&field);
	credentials_cookie(&field, CREDENTIALS_COOKIE_REFRESH, SPAN(""), 60);
	EXPECT_STR(field.data,
		"__Host-mortise-refresh=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
	text_done(&field);
}

TEST(api_credentials__what_is_no_key_is_called_what_it_may_have_meant)
{
	static const struct {
		const char *token;
		bool by_cookie;
		int code;
	} cases[] = {
		{ "x", false, ERR_KEY_MALFORMED },
		{ "mrt_x", false, ERR_KEY_MALFORMED },
		{ "mss_x", false, ERR_SESSION_MALFORMED },
		{ "msr_x", false, ERR_SESSION_MALFORMED },
		{ "x", true, ERR_SESSION_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct credentials shown = { span_of(cases[i].token), cases[i].by_cookie };
		struct error err;

		EXPECT_INT(credentials_malformed(&shown, &err), ==, cases[i].code);
		EXPECT_NULL(strstr(err.text, "_x")); /* it may be a secret with a typing error */
	}
}
