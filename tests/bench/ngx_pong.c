/* A content handler of nginx in C that answers "pong": what a request costs inside the fastest
 * general server, with nothing behind it. Built as a dynamic module against nginx-dev by
 * tests/bench/run.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static ngx_int_t answer(ngx_http_request_t *r)
{
	static u_char body[] = "pong";
	ngx_buf_t *b = ngx_calloc_buf(r->pool);
	ngx_chain_t out = { b, NULL };
	ngx_int_t rc = ngx_http_discard_request_body(r);

	if (rc != NGX_OK || !b)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	b->pos = body;
	b->last = body + sizeof(body) - 1;
	b->memory = 1;
	b->last_buf = 1;
	r->headers_out.status = NGX_HTTP_OK;
	r->headers_out.content_length_n = sizeof(body) - 1;
	ngx_str_set(&r->headers_out.content_type, "text/plain");
	rc = ngx_http_send_header(r);
	if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
		return rc;
	return ngx_http_output_filter(r, &out);
}

static char *pong(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
	ngx_http_core_loc_conf_t *location =
		ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

	(void)command;
	(void)conf;
	location->handler = answer;
	return NGX_CONF_OK;
}

static ngx_command_t commands[] = {
	{ ngx_string("pong"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, pong, 0, 0, NULL },
	ngx_null_command,
};

static ngx_http_module_t context;

ngx_module_t ngx_http_pong_module = { NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NGX_MODULE_V1_PADDING };
