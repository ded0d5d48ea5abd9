/*
 * The few pages that are no API: the start page, the contract, and a page of the contract. They
 * are bytes in the program; openapi.yaml is embedded when it is built.
 */
#include "server/api.h"

#include <string.h>

#include "core/base/hash.h"
#include "server/openapi_bytes.h"

static void put_page(struct ist_request *rq, struct ist_reply *re, const char *title,
		     const char *body)
{
	ist_buf_printf(&re->body,
		       "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width\">\n"
		       "<title>%s</title>\n<body>\n<h1>%s</h1>\n",
		       title, title);
	ist_buf_puts(&re->body, body);
	re->status = 200;
	re->content_type = "text/html; charset=utf-8";
	ist_reply_header(rq, re, "Content-Security-Policy", "default-src 'self'; base-uri 'none'");
}

enum ist_code ist_api_get_page(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	put_page(
	    rq, re, "Isthmus",
	    "<p>Learns a common space for images and text from your own pairs, and serves search "
	    "in "
	    "it.</p>\n<ul>\n<li><a href=\"/v1/collections\">Collections</a></li>\n"
	    "<li><a href=\"/v1/jobs\">Jobs</a></li>\n<li><a href=\"/v1/methods\">Methods</a></li>\n"
	    "<li><a href=\"/v1/info\">About this server</a></li>\n"
	    "<li><a href=\"/docs\">The API</a></li>\n<li><a href=\"/metrics\">Metrics</a></li>\n"
	    "</ul>\n");
	return IST_OK;
}

enum ist_code ist_api_get_docs(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	put_page(
	    rq, re, "The API of Isthmus",
	    "<p>The full contract is <a href=\"/openapi.yaml\">openapi.yaml</a> (OpenAPI 3.1, with "
	    "examples).</p>\n<table>\n<tr><th>Method</th><th>Path</th><th>Operation</th></tr>\n");
	for (size_t i = 0; i < ist_n_routes; i++)
		ist_buf_printf(
		    &re->body, "<tr><td>%s</td><td><code>%s</code></td><td>%s</td></tr>\n",
		    ist_routes[i].method, ist_routes[i].pattern, ist_routes[i].operation);
	ist_buf_puts(&re->body, "</table>\n");
	return IST_OK;
}

enum ist_code ist_api_get_openapi(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	char hash[IST_SHA256_HEX];

	ist_sha256_hex(ist_openapi_bytes, ist_openapi_len, hash);
	re->content_type = "application/yaml";
	if (ist_reply_etag(rq, re, ist_arena_format(rq->arena, "W/\"%.16s\"", hash)))
		return IST_OK;
	ist_buf_put(&re->body, ist_openapi_bytes, ist_openapi_len);
	re->status = 200;
	return IST_OK;
}
