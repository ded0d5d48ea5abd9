/*
 * HTTP by tables. A route is a const row: method, path pattern, what body it takes, its query
 * parameters and its handler; routes.c lists them all. libmicrohttpd's epoll threads only parse:
 * route, key, type and size are decided when the head is there, then the request goes to a bounded
 * queue of workers with its connection suspended. A handler runs on a worker, fills a reply or
 * returns an error, which becomes a problem document. Handlers block freely.
 */
#ifndef IST_SERVER_HTTP_H
#define IST_SERVER_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_daemon; /* server/daemon.h: store, encoders, decoders, jobs, configuration, metrics */
struct ist_worker; /* server/daemon.h: a worker's own searcher */

enum ist_body_kind {
	IST_BODY_NONE,		/* a body is read away and ignored */
	IST_BODY_JSON,		/* parsed before the handler runs: rq->json */
	IST_BODY_ITEM,		/* JSON or multipart/form-data: rq->json, rq->parts */
	IST_BODY_STREAM,	/* of any length: ist_request_read */
	IST_BODY_OPTIONAL_JSON, /* rq->json may be NULL */
};

struct ist_query_param {
	const char *name; /* allowed in the query string; others are refused */
};

struct ist_part_body { /* a part of multipart/form-data */
	const char *name, *type, *filename;
	struct ist_str body;
};

struct ist_request {
	struct ist_daemon *daemon;
	struct ist_worker *worker;
	const struct ist_route *route;
	struct ist_arena *arena; /* until the reply is sent */
	const char *method;	 /* "GET" (for HEAD too), "PUT", … */
	const char *id;		 /* request id */
	const char *path_raw;
	const char *segment[4];	  /* decoded {…} of the pattern, in order */
	const char *content_type; /* lower case, without parameters; "" if none */
	json_t *json;
	const struct ist_part_body *parts;
	size_t n_parts;
	struct ist_str body; /* the raw body where it was buffered */
	void *connection;    /* http.c's */
};

/* A query-string value, decoded; NULL if absent. */
const char *ist_request_query(const struct ist_request *rq, const char *name);
/* A request header; NULL if absent. */
const char *ist_request_header(const struct ist_request *rq, const char *name);
/* Integer in the query string within [min, max], or def; IST_INVALID with pointer "/name". */
IST_CHECKED enum ist_code ist_request_query_int(const struct ist_request *rq, const char *name,
						long def, long min, long max, long *ret,
						struct ist_err *err);
/* Up to cap bytes of a streamed body; *ret_n 0 at its end; IST_CANCELLED if the client left or the
 * daemon stops. Blocks. */
IST_CHECKED enum ist_code ist_request_read(struct ist_request *rq, void *data, size_t cap,
					   size_t *ret_n, struct ist_err *err);

struct ist_reply {
	int status; /* 0 until set */
	struct ist_buf body;
	const char *content_type;
	struct {
		const char *name, *value;
	} headers[8]; /* values live in the request's arena */
	size_t n_headers;
	int fd; /* >= 0: the body is this file (closed by http.c), with Range and HEAD handled */
	uint64_t fd_bytes;
	/* A body made on the way: fills up to cap bytes, 0 at the end; runs on a worker. */
	enum ist_code (*next)(void *user, struct ist_buf *out, struct ist_err *err);
	void (*next_finish)(void *user);
	void *next_user;
};

/* Steals `json`. */
void ist_reply_json(struct ist_reply *re, int status, json_t *json);
void ist_reply_empty(struct ist_reply *re, int status);
void ist_reply_header(struct ist_request *rq, struct ist_reply *re, const char *name,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Answers 304 if If-None-Match holds the etag (true: nothing more to do). Sets ETag. */
bool ist_reply_etag(struct ist_request *rq, struct ist_reply *re, const char *etag);

typedef enum ist_code (*ist_handler)(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err);

struct ist_route {
	const char *method;
	const char *pattern;   /* "/v1/collections/{c}/items/{id}"; ":verb" may follow a segment */
	const char *operation; /* operationId in openapi.yaml */
	enum ist_body_kind body;
	size_t body_limit;	  /* bytes; 0: the configured default */
	const char *const *query; /* NULL-terminated names that the query string may hold */
	ist_handler handle;
	bool inline_ok; /* answers at once on the HTTP thread (health, metrics): never blocks */
};
extern const struct ist_route ist_routes[];
extern const size_t ist_n_routes;

/* The problem document (RFC 9457) of an error. */
json_t *ist_problem(const struct ist_err *err, const char *instance, const char *request_id);

#endif
