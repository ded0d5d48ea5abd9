/*
 * Replies: from what a handler filled in to a response of libmicrohttpd. Bodies come from memory,
 * from a file (with ranges), or are made on the way by a worker while the connection is suspended.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/http_coding.h"
#include "server/http_private.h"
#include "server/http_range.h"
#include "server/json.h"
#include "server/log.h"

#define CODE_FROM 1400 /* bytes; less fits into one packet anyway */
#define CHUNK_BYTES (64 << 10)

/* Replies end with a newline: they are read in terminals, too. */
void ist_reply_json(struct ist_reply *re, int status, json_t *json)
{
	re->status = status;
	re->content_type = "application/json";
	re->body.len = 0;
	ist_json_put(&re->body, json, false);
	ist_buf_putc(&re->body, '\n');
	json_decref(json);
}

void ist_reply_empty(struct ist_reply *re, int status)
{
	re->status = status;
}

void ist_reply_header(struct ist_request *rq, struct ist_reply *re, const char *name,
		      const char *format, ...)
{
	char value[1024], *copy;
	va_list args;

	if (re->n_headers == IST_COUNT(re->headers))
		return;
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	copy = ist_arena_strdup(rq->arena, value);
	for (char *c = copy; *c != '\0'; c++) /* no header is split by what a client named */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	re->headers[re->n_headers].name = name;
	re->headers[re->n_headers++].value = copy;
}

/* The tag is set either way, as RFC 9110 wants it on a 304, too. */
bool ist_reply_etag(struct ist_request *rq, struct ist_reply *re, const char *etag)
{
	ist_reply_header(rq, re, "ETag", "%s", etag);
	if (!ist_etag_listed(ist_request_header(rq, "If-None-Match"), etag))
		return false;
	ist_reply_empty(re, 304);
	return true;
}

/* Ends whatever the reply holds and leaves it as new; a file that was handed on is -1 by then. */
void ist_reply_finish(struct ist_reply *re)
{
	ist_buf_finish(&re->body);
	if (re->fd >= 0)
		close(re->fd);
	if (re->next_finish != NULL)
		re->next_finish(re->next_user);
	*re = (struct ist_reply){.fd = -1};
}

/* Turns whatever the handler had begun into a problem document. What the client can do about it
 * goes into headers; what only we can do something about goes into the log, once, here. */
void ist_reply_problem(struct ist_exchange *x, const struct ist_err *err)
{
	struct ist_reply *re = &x->reply;
	bool allow = err->code == IST_METHOD_NOT_ALLOWED;
	const char *allowed = allow && re->n_headers > 0 ? re->headers[0].value : NULL;
	struct ist_log_line line;

	ist_reply_finish(re);
	ist_reply_json(re, ist_code_status(err->code), ist_problem(err, x->target, x->request_id));
	re->content_type = "application/problem+json";
	if (allowed != NULL)
		ist_reply_header(&x->rq, re, "Allow", "%s", allowed);
	if (re->status == 429 || re->status == 503)
		ist_reply_header(&x->rq, re, "Retry-After", "%d", 1);
	if (re->status == 500 || re->status == 507) {
		ist_log_begin(&line, IST_LOG_ERROR, "request_failed");
		ist_log_field(&line, "id", "%s", x->request_id);
		ist_log_field(&line, "code", "%s", ist_code_name(err->code));
		ist_log_field(&line, "text", "%s", err->text);
		ist_log_end(&line);
	}
}

static bool is_text(const char *type)
{
	return type != NULL && (strstr(type, "json") != NULL || strncmp(type, "text/", 5) == 0 ||
				strstr(type, "yaml") != NULL);
}

/* Coding a body costs more than all else about a small reply, so it is done on the worker and only
 * where the client asked for it and there is something to gain. */
void ist_reply_prepare(struct ist_exchange *x)
{
	struct ist_reply *re = &x->reply;
	enum ist_coding coding;

	if (!is_text(re->content_type) || re->fd >= 0 || re->next != NULL)
		return;
	for (size_t i = 0; i < re->n_headers; i++)
		if (strcmp(re->headers[i].name, "Vary") == 0)
			return; /* its handler has seen to that */
	ist_reply_header(&x->rq, re, "Vary", "Accept-Encoding");
	coding = re->body.len >= CODE_FROM
		     ? ist_coding_choose(ist_request_header(&x->rq, "Accept-Encoding"))
		     : IST_CODING_NONE;
	if (coding != IST_CODING_NONE && ist_coding_apply(coding, &re->body))
		ist_reply_header(&x->rq, re, "Content-Encoding", "%s", ist_coding_names[coding]);
}

/* ---- bodies made on the way ---- */

static void make_more(struct ist_task *task, struct ist_worker *worker)
{
	struct ist_exchange *x =
	    (struct ist_exchange *)((char *)task - offsetof(struct ist_exchange, task));
	struct ist_http *http = x->http;
	struct ist_err err = {0};
	enum ist_code code;

	x->pull.at = 0;
	x->pull.buf.len = 0;
	x->rq.worker = worker;
	code = x->reply.next(x->reply.next_user, &x->pull.buf, &err);
	x->rq.worker = NULL;
	pthread_mutex_lock(&x->lock);
	if (code == IST_TOO_BUSY && x->pull.buf.len == 0 && !atomic_load(&http->stopping)) {
		x->pull.again_us = ist_monotonic_us() + IST_POLL_US;
	} else {
		x->pull.failed = code != IST_OK && code != IST_TOO_BUSY;
		x->pull.end = x->pull.failed || x->pull.buf.len == 0;
		ist_exchange_resume(x);
	}
	pthread_mutex_unlock(&x->lock);
	if (x->pull.failed)
		ist_log_event(NULL, IST_LOG_ERROR, "reply_cut", err.text);
	ist_exchange_unref(x);
}

/* Always let in: the request was admitted long ago, and refusing its continuation would cut a
 * reply. */
void ist_reply_more(struct ist_exchange *x)
{
	x->pull.again_us = 0;
	x->task.run = make_more;
	ist_exchange_ref(x);
	if (!ist_workers_submit(x->http->workers, &x->task, true))
		abort(); /* `always` is never refused */
}

/* On the HTTP thread, which must not wait: gives out what the worker has made, or suspends the
 * connection until there is more. */
static ssize_t pull(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct ist_exchange *x = cls;
	ssize_t n = 0;

	pthread_mutex_lock(&x->lock);
	if (x->pull.at < x->pull.buf.len) {
		n = (ssize_t)IST_MIN(max, x->pull.buf.len - x->pull.at);
		memcpy(buf, x->pull.buf.data + x->pull.at, (size_t)n);
		x->pull.at += (size_t)n;
	} else if (x->pull.end) {
		n = x->pull.failed ? MHD_CONTENT_READER_END_WITH_ERROR
				   : MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		x->suspended = true;
		MHD_suspend_connection(x->connection);
		ist_reply_more(x);
	}
	pthread_mutex_unlock(&x->lock);
	return n;
}

static void pull_is_over(void *cls)
{
	ist_exchange_unref(cls);
}

/* ---- the response ---- */

/* A file, whole or in part; the descriptor is the response's from here on. */
static struct MHD_Response *from_file(struct ist_exchange *x)
{
	struct ist_reply *re = &x->reply;
	uint64_t from = 0, n = re->fd_bytes;
	enum ist_range range = IST_RANGE_WHOLE;
	const char *condition = ist_request_header(&x->rq, "If-Range");
	bool same = condition == NULL;
	struct MHD_Response *response;

	for (size_t i = 0; i < re->n_headers && condition != NULL; i++)
		same |= strcmp(re->headers[i].name, "ETag") == 0 &&
			strcmp(re->headers[i].value, condition) == 0;
	if (re->status == 200 && strcmp(x->rq.method, "GET") == 0) {
		ist_reply_header(&x->rq, re, "Accept-Ranges", "bytes");
		if (same)
			range = ist_range_parse(ist_request_header(&x->rq, "Range"), n, &from, &n);
	}
	if (range == IST_RANGE_OUTSIDE) {
		struct ist_err err = {0};
		uint64_t size = re->fd_bytes;

		ist_fail(&err, IST_BAD_RANGE, "it has %llu bytes", (unsigned long long)size);
		ist_reply_problem(x, &err);
		ist_reply_header(&x->rq, re, "Content-Range", "bytes */%llu",
				 (unsigned long long)size);
		return NULL;
	}
	if (range == IST_RANGE_PART) {
		ist_reply_header(&x->rq, re, "Content-Range", "bytes %llu-%llu/%llu",
				 (unsigned long long)from, (unsigned long long)(from + n - 1),
				 (unsigned long long)re->fd_bytes);
		re->status = 206;
	}
	response = MHD_create_response_from_fd_at_offset64(n, re->fd, from);
	re->fd = -1;
	return response;
}

/* The exchange is referenced by a body made on the way: it outlives the request in the library. */
static struct MHD_Response *make(struct ist_exchange *x)
{
	struct ist_reply *re = &x->reply;
	struct MHD_Response *response = NULL;

	if (re->fd >= 0)
		response = from_file(x);
	if (response != NULL)
		return response;
	if (re->next != NULL) {
		ist_exchange_ref(x);
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, pull, x,
							 pull_is_over);
	}
	response = MHD_create_response_from_buffer(
	    re->body.len, re->body.data != NULL ? re->body.data : "",
	    re->body.data != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	re->body = (struct ist_buf){0};
	return response;
}

/* On the HTTP thread that owns the connection; the response takes over body, file or exchange. */
enum MHD_Result ist_reply_queue(struct ist_exchange *x)
{
	struct MHD_Response *response = make(x);
	struct ist_reply *re = &x->reply;
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	if (re->content_type != NULL && re->status != 304 && re->status != 204)
		MHD_add_response_header(response, "Content-Type", re->content_type);
	MHD_add_response_header(response, "X-Request-Id", x->request_id);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < re->n_headers; i++)
		MHD_add_response_header(response, re->headers[i].name, re->headers[i].value);
	if (atomic_load(&x->http->stopping))
		MHD_add_response_header(response, "Connection", "close");
	x->phase = IST_PHASE_SENT;
	result = MHD_queue_response(x->connection, (unsigned)re->status, response);
	MHD_destroy_response(response);
	return result;
}
