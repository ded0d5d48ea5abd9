/*
 * What the files of the HTTP server share. An exchange is one request with its reply. It is made
 * when the request line is there and lives until the library has let go of it, its worker is
 * through and its reply's body is sent: each of the three holds a reference.
 *
 * Who may touch what: the HTTP thread that owns the connection, until the exchange is handed to a
 * worker; then the worker, until `done` is set under the lock; then the HTTP thread again. Streams
 * are touched by both at once, under the lock.
 */
#ifndef IST_SERVER_HTTP_PRIVATE_H
#define IST_SERVER_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/daemon.h"
#include "server/http.h"
#include "server/http_path.h"
#include "server/http_server.h"
#include "server/workers.h"

#define IST_DRAIN_BYTES ((uint64_t)64 << 20)
#define IST_DRAIN_US 5000000
#define IST_DRAIN_STOP_US 1000000   /* where the daemon stops */
#define IST_HEAD_US 30000000	    /* for the head of a request, and the first byte of one */
#define IST_BODY_US 60000000	    /* for a collected body: this, … */
#define IST_BODY_US_PER_BYTE 32	    /* … and 32 KiB a second */
#define IST_KEEP_ALIVE_US 120000000 /* between requests */
#define IST_POLL_US 200000	    /* between two looks for more of a reply */

struct ist_connection { /* one TCP connection; in http's list */
	struct ist_connection *next, **self;
	struct ist_exchange *exchange; /* NULL between requests */
	int fd;
	int deaf; /* looks in a row at which the client had left unnoticed; the ticker's */
	_Atomic int64_t deadline_us; /* 0: none of ours */
};

struct ist_http {
	struct ist_daemon *daemon;
	struct MHD_Daemon *mhd;
	int listen_fd;
	bool loopback;
	char address[96];
	struct ist_workers *workers, *streams;
	atomic_size_t buffered; /* bytes of bodies in memory */
	atomic_size_t n_requests;
	atomic_bool stopping;
	atomic_int_fast64_t stopping_us; /* since when */
	pthread_t ticker;
	pthread_mutex_t lock; /* guards connections and quit */
	pthread_cond_t wake;
	struct ist_connection *connections;
	size_t n_connections;
	bool quit;
};

enum ist_phase {
	IST_PHASE_HEAD,	  /* the library has not shown us the head yet */
	IST_PHASE_BODY,	  /* the body is collected */
	IST_PHASE_STREAM, /* the body is handed to a worker as it comes */
	IST_PHASE_DRAIN,  /* the reply is known, the rest of the body is dropped */
	IST_PHASE_WORK,	  /* the body is through */
	IST_PHASE_SENT,	  /* the reply is queued */
	IST_PHASE_CUT,	  /* the connection is being closed */
};

struct ist_ring {
	char *data;
	size_t cap, from, len;
	bool end;
};

struct ist_header {
	const char *name, *value;
};

struct ist_exchange {
	struct ist_request rq;
	struct ist_reply reply;
	struct ist_http *http;
	struct ist_connection *on;
	struct MHD_Connection *connection;
	struct ist_arena arena;
	struct ist_task task;
	atomic_int refs;
	int64_t started_us;
	char request_id[64];
	const char *target;
	bool is_head, expects_continue, has_length, chunked;
	uint64_t length, received, sent;
	struct ist_header *headers;
	size_t n_headers;
	struct ist_query_value query[IST_QUERY_PARAMS];
	size_t n_query;
	struct ist_buf body;
	size_t body_limit, counted; /* counted: our share of http->buffered */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	_Atomic enum ist_phase phase;
	bool done;	/* the reply is there */
	bool suspended; /* the connection is suspended and somebody must resume it */
	bool gone;	/* the client left */
	struct ist_ring ring;
	struct {
		struct ist_buf buf;
		size_t at;
		bool end, failed;
		int64_t again_us; /* > 0: ask for more then */
	} pull;
};

/* http_exchange.c */
struct ist_exchange *ist_exchange_create(struct ist_http *http, const char *target);
struct ist_exchange *ist_exchange_ref(struct ist_exchange *x);
void ist_exchange_unref(struct ist_exchange *x);
void ist_exchange_resume(struct ist_exchange *x); /* with the lock held */
/* The callbacks that libmicrohttpd gets. */
enum MHD_Result ist_exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data,
				    size_t *size, void **cls_request);
void ist_exchange_completed(void *cls, struct MHD_Connection *connection, void **cls_request,
			    enum MHD_RequestTerminationCode why);
/* The reply could not wait for the rest of the body any longer: sends what fits at once. */
void ist_exchange_cut(struct ist_exchange *x);

/* http_head.c: everything that can be decided when the head is there. */
IST_CHECKED enum ist_code ist_exchange_head(struct ist_exchange *x, const char *method,
					    struct ist_err *err);

/* http_body.c: JSON and multipart of a collected body. */
IST_CHECKED enum ist_code ist_exchange_body(struct ist_exchange *x, struct ist_err *err);

/* http_stream.c */
size_t ist_stream_push(struct ist_exchange *x, const char *data, size_t size); /* lock held */

/* http_reply.c */
void ist_reply_problem(struct ist_exchange *x, const struct ist_err *err);
void ist_reply_prepare(struct ist_exchange *x); /* on the worker: encodes the body if it pays */
enum MHD_Result ist_reply_queue(struct ist_exchange *x);
void ist_reply_more(struct ist_exchange *x); /* asks a worker for more of a body made on the way */
void ist_reply_finish(struct ist_reply *re);

#endif
