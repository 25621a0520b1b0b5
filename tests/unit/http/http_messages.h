/* http_messages.h - requests that must pass and requests that must not */
#ifndef MORTISE_TESTS_HTTP_MESSAGES_H
#define MORTISE_TESTS_HTTP_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct good_message {
	const char *text;
	const char *method, *path, *query;
	bool chunked, keep_alive;
	const char *body_text; /* as sent */
	const char *body;      /* decoded */
};

static const struct good_message good_messages[] = {
	{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", NULL, false, true, "", "" },
	{ "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", NULL, false, true, "", "" },
	{ "GET /a/b?c=d&e HTTP/1.1\r\nHost: example.org:8080\r\nAccept: */*\r\n\r\n", "GET", "/a/b",
		"c=d&e", false, true, "", "" },
	{ "HEAD /%41%2f HTTP/1.0\r\n\r\n", "HEAD", "/%41%2f", NULL, false, false, "", "" },
	{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET", "/", NULL, false, true, "",
		"" },
	{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n", "GET", "/", NULL, false,
		false, "", "" },
	{ "DELETE /x. HTTP/1.1\r\nHost: [::1]:80\r\nX-Empty:\r\n\r\n", "DELETE", "/x.", NULL, false,
		true, "", "" },
	{ "PUT /...;v=1 HTTP/1.1\r\nHost: x\r\nX-A:b\r\nx-c: d\t \r\n\r\n", "PUT", "/...;v=1", NULL,
		false, true, "", "" },
	{ "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS", "*", NULL, false, true, "", "" },
	{ "GET http://x/p?q HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/p", "q", false, true, "", "" },
	{ "GET /?a[b]={c|d}^`&e=?/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", "a[b]={c|d}^`&e=?/",
		false, true, "", "" },
	{ "GET /? HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", "", false, true, "", "" },
	{ "GET /r HTTP/1.1\r\nHost: x\r\nX-Latin: \xe9t\xe9\r\n\r\n", "GET", "/r", NULL, false,
		true, "", "" },
	{ "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "POST", "/b", NULL,
		false, true, "hello", "hello" },
	{ "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "POST", "/b", NULL, false,
		true, "", "" },
	{ "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 005\r\n\r\nhello", "POST", "/b", NULL,
		false, true, "hello", "hello" },
	{ "PATCH /b HTTP/1.1\r\nHost: x\r\ntransfer-encoding: "
	  "Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"PATCH", "/b", NULL, true, true, "5\r\nhello\r\n0\r\n\r\n", "hello" },
	{ "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	  "chunked\r\n\r\n2;a=b;c\r\nhe\r\n003\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n",
		"POST", "/b", NULL, true, true,
		"2;a=b;c\r\nhe\r\n003\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n", "hello" },
	{ "POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
		"POST", "/b", NULL, false, true, "hi", "hi" },
};

struct bad_message {
	const char *text;
	size_t len;
	int code;
};

#define BAD(text, code)                            \
	{                                          \
		text, sizeof(text) - 1, ERR_##code \
	}

static const struct bad_message bad_messages[] = {
	BAD("GET /\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\nHost: x\n\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\n\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\rHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD(" GET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /  HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / http/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/01.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/2.0\r\nHost: x\r\n\r\n", HTTP_VERSION),
	BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_VERSION),
	BAD("GET / HTTP/1.2\r\nHost: x\r\n\r\n", HTTP_VERSION),
	BAD("GET / HTTP/0.9\r\nHost: x\r\n\r\n", HTTP_VERSION),
	BAD("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("get / HTTP/1.1\r\nHost: x\r\n\r\n", UNSUPPORTED),
	BAD("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", UNSUPPORTED),
	BAD("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", UNSUPPORTED),
	BAD("\x16\x03\x01\x02", HTTP_MALFORMED),
	BAD("GET * HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET x HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /a\x01"
	    "b HTTP/1.1\r\nHost: x\r\n\r\n",
		HTTP_MALFORMED),
	BAD("GET /a\x7f HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /a\x00"
	    "b HTTP/1.1\r\nHost: x\r\n\r\n",
		HTTP_MALFORMED),
	BAD("GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /%0 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /?%00 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /.. HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /a/./b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /%2e%2E/b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /.%2e HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET /<x> HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET http:///p HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET http://x:70000/ HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x:y\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost : x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\n Host: x\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: b\x00"
	    "c\r\n\r\n",
		HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: \x08\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\n\xc3\xa9: b\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nA\t: b\r\n\r\n", HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\n\r\n",
		HTTP_MALFORMED),
	BAD("GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", HTTP_EXPECTATION),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
	    "chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
	    "5\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\x0b\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length\x20: 5\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \x22"
	    "5\x22\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x22"
	    "chunked\x22\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
	    "chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
	    "identity\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0b"
	    "chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
		UNSUPPORTED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\n: chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		HTTP_MALFORMED),
	BAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTP_MALFORMED),
};

struct good_chunked {
	const char *text;
	const char *body;
	size_t behind; /* bytes of the next message */
};

static const struct good_chunked good_chunks[] = {
	{ "0\r\n\r\n", "", 0 },
	{ "5\r\nhello\r\n0\r\n\r\n", "hello", 0 },
	{ "5\r\nhello\r\n0\r\n\r\nGET", "hello", 3 },
	{ "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789", 0 },
	{ "1;a\r\nx\r\n1;a=b;c=\"d\\\"\t;\"\r\ny\r\n0;z\r\n\r\n", "xy", 0 },
	{ "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", 0 },
	{ "2\r\nhi\r\n0\r\nX-Digest: abc\r\nAnother:\r\n\r\n", "hi", 0 },
};

static const char *const bad_chunks[] = {
	"\r\n",
	";\r\n",
	"g\r\n",
	"0x5\r\nhello\r\n",
	"-1\r\n",
	"+1\r\nx\r\n",
	" 1\r\nx\r\n",
	"1 \r\nx\r\n",
	"5\nhello\n0\n\n",
	"5\r\nhello\n0\r\n\r\n",
	"5\rhello",
	"5\r\nhello0\r\n\r\n",
	"5\r\nhello!\r\n",
	"4\r\nhello\r\n0\r\n\r\n",
	"6\r\nhello\r\n0\r\n\r\n",
	"0000000000000001\r\nx\r\n",
	"ffffffffffffffff\r\n",
	"10000000000000000\r\n",
	"1;\r\nx\r\n",
	"1; a\r\nx\r\n",
	"1;a=\r\nx\r\n",
	"1;a=b c\r\nx\r\n",
	"1;a\nx\r\n",
	"1;a\rx\r\n",
	"1;a=\"b\r\nx\r\n",
	"1;a=\"b\"c\r\nx\r\n",
	"1,1\r\nx\r\n",
	"0\n\r\n",
	"0\r\n\n",
	"0\r\n\rx",
	"0\r\nGET / HTTP/1.1\r\n",
	"0\r\n X: y\r\n\r\n",
	"0\r\nX : y\r\n\r\n",
	"0\r\nX: y\n\r\n",
	"0\r\nX: y\x01\r\n\r\n",
	"0\r\n: y\r\n\r\n",
	"0\r\nContent-Length: 5\r\n\r\n",
	"0\r\nTransfer-Encoding: chunked\r\n\r\n",
	"0\r\nhOST: y\r\n\r\n",
	"0\r\nAuthorization: y\r\n\r\n",
	"0\r\nTrailer: y\r\n\r\n",
	"1\r\nx\r\n\r\n0\r\n\r\n",
};

#endif
