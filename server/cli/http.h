/*
 * Requests to the daemon over libcurl. A reply that is no success becomes one line: what the
 * problem document says; a connection that is refused says how to start the daemon.
 * One thread.
 */
#ifndef IST_SERVER_CLI_HTTP_H
#define IST_SERVER_CLI_HTTP_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_http {
	char *base; /* "http://127.0.0.1:7700" */
	CURL *curl;
};

IST_CHECKED enum ist_code ist_http_init(struct ist_http *http, const char *server,
					struct ist_err *err);
void ist_http_finish(struct ist_http *http);

struct ist_http_call {
	const char *method; /* "GET" */
	const char *path;   /* "/v1/info?x=y", encoded */
	const char *type;   /* of the body */
	const void *body;
	size_t len;
	curl_mime *form; /* instead of a body */
	/* Gives the body as it is sent, `len` bytes in all; CURL_READFUNC_ABORT ends it. */
	size_t (*read)(char *data, size_t size, size_t n, void *user);
	void *read_user;
	const char *header; /* one more, or NULL */
	/* Gets a good reply as it comes, instead of ret_body; false ends it. */
	bool (*data)(void *user, const char *data, size_t len);
	void *user;
};

/* ret_body (may be NULL) gets the reply's body, and ret_status (may be NULL) its status. */
IST_CHECKED enum ist_code ist_http_call(struct ist_http *http, const struct ist_http_call *call,
					struct ist_buf *ret_body, long *ret_status,
					struct ist_err *err);
/* The same for JSON: sends `body` (borrowed, NULL: none), *ret is the reply (NULL: 204). */
IST_CHECKED enum ist_code ist_http_json(struct ist_http *http, const char *method, const char *path,
					const json_t *body, json_t **ret, struct ist_err *err);
IST_CHECKED enum ist_code ist_http_get(struct ist_http *http, const char *path, json_t **ret,
				       struct ist_err *err);
/* All pages of a list: the array of its member `name`; at most `limit` of them, 0: all. */
IST_CHECKED enum ist_code ist_http_list(struct ist_http *http, const char *path, const char *name,
					size_t limit, json_t **ret, struct ist_err *err);

/* "/v1/" and the rest, in which every %s is percent-encoded; no other conversion. */
char *ist_http_path(const char *format, ...);
void ist_url_put(struct ist_buf *buf, const char *s); /* appends s percent-encoded */

/* Sets on a handle what all requests share. */
void ist_http_setup(const struct ist_http *http, CURL *curl, const char *path);
/* The error of a transfer that failed; of a reply with a problem document. */
enum ist_code ist_http_failed(const struct ist_http *http, CURLcode result, const char *text,
			      struct ist_err *err);
enum ist_code ist_http_problem(long status, const struct ist_buf *body, struct ist_err *err);
enum ist_code ist_http_problem_json(long status, const json_t *problem, struct ist_err *err);

#endif
