/*
 * The life of a request. libmicrohttpd calls ist_exchange_handle for the head, for each piece of
 * the body, and at its end; no reply can be queued between head and end, so what is refused early
 * is read away first (within bounds), and a reply that is queued at the head closes the connection.
 */
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "core/base/memory.h"
#include "server/encoders.h"
#include "server/http_private.h"
#include "server/log.h"
#include "server/metrics.h"

struct ist_exchange *ist_exchange_create(struct ist_http *http, const char *target)
{
	struct ist_exchange *x = ist_alloc(1, sizeof(*x));

	x->http = http;
	x->refs = 1;
	x->reply.fd = -1;
	x->started_us = ist_monotonic_us();
	x->target = ist_arena_strdup(&x->arena, target);
	x->rq.daemon = http->daemon;
	x->rq.arena = &x->arena;
	x->rq.id = x->request_id;
	x->rq.content_type = "";
	x->rq.method = "";
	x->rq.path_raw = x->target;
	x->rq.connection = x;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->more, NULL);
	atomic_fetch_add(&http->n_requests, 1);
	return x;
}

struct ist_exchange *ist_exchange_ref(struct ist_exchange *x)
{
	atomic_fetch_add(&x->refs, 1);
	return x;
}

/* The body and what was made of it are let go of as soon as nobody needs them; the share of the
 * bytes that all requests together may hold is given back with them. */
static void drop_body(struct ist_exchange *x)
{
	json_decref(x->rq.json);
	x->rq.json = NULL;
	ist_buf_finish(&x->body);
	atomic_fetch_sub(&x->http->buffered, x->counted);
	x->counted = 0;
}

void ist_exchange_unref(struct ist_exchange *x)
{
	struct ist_http *http = x->http;

	if (atomic_fetch_sub(&x->refs, 1) != 1)
		return;
	drop_body(x);
	ist_reply_finish(&x->reply);
	ist_buf_finish(&x->pull.buf);
	free(x->ring.data);
	ist_arena_finish(&x->arena);
	pthread_cond_destroy(&x->more);
	pthread_mutex_destroy(&x->lock);
	free(x);
	atomic_fetch_sub(&http->n_requests, 1);
}

/* Resuming a connection that is not suspended is undefined in the library, and suspending one twice
 * is as bad: `suspended` is true exactly from our suspending to the first resuming. */
void ist_exchange_resume(struct ist_exchange *x)
{
	if (!x->suspended)
		return;
	x->suspended = false;
	MHD_resume_connection(x->connection);
}

/* Sets our own deadline for the connection, from now; 0 takes it away. The library knows only one
 * for silence, which a byte now and then keeps from ever ending. */
static void deadline(struct ist_exchange *x, int64_t us)
{
	if (x->on != NULL)
		x->on->deadline_us = us > 0 ? ist_monotonic_us() + us : 0;
}

/* Runs the handler; an error becomes the reply. */
static void answer(struct ist_exchange *x)
{
	struct ist_err err = {0};
	enum ist_code code = ist_exchange_body(x, &err);

	if (code == IST_OK) {
		ist_encoders_enter(x->rq.daemon->encoders);
		code = x->rq.route->handle(&x->rq, &x->reply, &err);
		ist_encoders_leave(x->rq.daemon->encoders);
	}
	if (code != IST_OK) {
		err.code = code;
		ist_reply_problem(x, &err);
	} else if (x->reply.status == 0) {
		ist_fail(&err, IST_INTERNAL, "the handler of %s gave no reply",
			 x->rq.route->operation);
		ist_reply_problem(x, &err);
	}
	ist_reply_prepare(x);
}

static void work(struct ist_task *task, struct ist_worker *worker)
{
	struct ist_exchange *x =
	    (struct ist_exchange *)((char *)task - offsetof(struct ist_exchange, task));

	x->rq.worker = worker;
	answer(x);
	x->rq.worker = NULL;
	pthread_mutex_lock(&x->lock);
	x->done = true;
	if (x->phase == IST_PHASE_STREAM) { /* answered before the body's end */
		x->phase = IST_PHASE_DRAIN;
		x->received = 0;
		deadline(x, atomic_load(&x->http->stopping) ? IST_DRAIN_STOP_US : IST_DRAIN_US);
	}
	ist_exchange_resume(x);
	pthread_mutex_unlock(&x->lock);
	ist_exchange_unref(x);
}

/* Hands the exchange to a pool. The worker holds a reference of its own, because a streaming client
 * may leave, and the library with it, while the handler is still at work. */
static bool submit(struct ist_exchange *x, struct ist_workers *pool)
{
	x->task.run = work;
	ist_exchange_ref(x);
	if (ist_workers_submit(pool, &x->task, false))
		return true;
	ist_exchange_unref(x);
	ist_metrics_count(IST_COUNT_TOO_BUSY, 1);
	return false;
}

/* A refusal that is found after the head: the reply is made here and sent when the body has ended.
 */
static enum ist_code refuse(struct ist_exchange *x, enum ist_code code, const char *why)
{
	struct ist_err err = {0};

	ist_fail(&err, code, "%s", why);
	ist_reply_problem(x, &err);
	x->done = true;
	return code;
}

/* A refusal while the body is still to come. */
static enum MHD_Result refused(struct ist_exchange *x)
{
	x->done = true;
	if (!x->chunked && x->length == 0) {
		x->phase = IST_PHASE_WORK;
		return MHD_YES;
	}
	if (x->expects_continue || (x->has_length && x->length > IST_DRAIN_BYTES))
		return ist_reply_queue(x); /* at the head: the connection is closed after it */
	x->phase = IST_PHASE_DRAIN;
	deadline(x, IST_DRAIN_US);
	return MHD_YES;
}

/* The head is there. Streams get their worker at once, since nobody could hold their bodies; all
 * others wait for a whole body first, so that a slow sender never holds a worker. */
static enum MHD_Result begin(struct ist_exchange *x, const char *method)
{
	struct ist_err err = {0};

	if (ist_exchange_head(x, method, &err) != IST_OK) {
		ist_reply_problem(x, &err);
		return refused(x);
	}
	deadline(x, IST_BODY_US + (int64_t)(x->length * IST_BODY_US_PER_BYTE));
	if (x->rq.route->body != IST_BODY_STREAM) {
		x->phase = IST_PHASE_BODY;
		return MHD_YES;
	}
	deadline(x, 0);
	x->phase = IST_PHASE_STREAM;
	if (submit(x, x->http->streams))
		return MHD_YES;
	refuse(x, IST_TOO_BUSY, "too many imports at once");
	return refused(x);
}

/* Bytes of a body that is collected: bounded by the route, and all bodies together by the
 * configuration, so that many large uploads at once cannot take the memory. */
static enum ist_code collect(struct ist_exchange *x, const char *data, size_t size)
{
	struct ist_http *http = x->http;
	size_t most = (size_t)http->daemon->config.max_buffered;

	x->received += size;
	if (x->received > x->body_limit)
		return refuse(x, IST_BODY_TOO_LARGE, "the body is longer than the limit here");
	if (x->rq.route->body == IST_BODY_NONE)
		return IST_OK;
	if (atomic_fetch_add(&http->buffered, size) + size > most) {
		atomic_fetch_sub(&http->buffered, size);
		return refuse(x, IST_TOO_BUSY, "too many bodies in memory at once");
	}
	x->counted += size;
	ist_buf_put(&x->body, data, size);
	return IST_OK;
}

static enum MHD_Result take_body(struct ist_exchange *x, const char *data, size_t *size)
{
	if (collect(x, data, *size) != IST_OK) {
		drop_body(x);
		x->phase = IST_PHASE_DRAIN;
		deadline(x, IST_DRAIN_US);
	}
	*size = 0;
	return MHD_YES;
}

/* The reply is known and the client still sends. Closing at once would lose the reply on it,
 * because it only reads after it has sent; so what comes is dropped, up to a bound. */
static enum MHD_Result take_drain(struct ist_exchange *x, size_t *size)
{
	x->received += *size;
	*size = 0;
	if (x->received <= IST_DRAIN_BYTES)
		return MHD_YES;
	x->phase = IST_PHASE_CUT;
	ist_exchange_cut(x);
	return MHD_NO;
}

/* Suspended only with bytes left over: the library goes on calling for a chunked body otherwise. */
static enum MHD_Result take_stream(struct ist_exchange *x, const char *data, size_t *size)
{
	*size -= ist_stream_push(x, data, *size);
	if (*size > 0) {
		x->suspended = true;
		MHD_suspend_connection(x->connection);
	}
	return MHD_YES;
}

/* One piece of the body. `phase` decides; a piece that comes in no such phase ends the connection.
 */
static enum MHD_Result take(struct ist_exchange *x, const char *data, size_t *size)
{
	enum MHD_Result result = MHD_NO;

	ist_metrics_count(IST_COUNT_BODY_BYTES, *size);
	pthread_mutex_lock(&x->lock);
	if (x->phase == IST_PHASE_BODY)
		result = take_body(x, data, size);
	else if (x->phase == IST_PHASE_STREAM)
		result = take_stream(x, data, size);
	else if (x->phase == IST_PHASE_DRAIN)
		result = take_drain(x, size);
	pthread_mutex_unlock(&x->lock);
	return result;
}

/* Replies if the reply is there, else leaves the connection suspended until it is. */
static enum MHD_Result reply_or_wait(struct ist_exchange *x)
{
	bool done;

	pthread_mutex_lock(&x->lock);
	done = x->done;
	if (!done) {
		x->suspended = true;
		MHD_suspend_connection(x->connection);
	}
	pthread_mutex_unlock(&x->lock);
	return done ? ist_reply_queue(x) : MHD_YES;
}

/* Health answers on this very thread, so that it answers when all workers are busy. */
static enum MHD_Result body_is_there(struct ist_exchange *x)
{
	x->phase = IST_PHASE_WORK;
	if (x->rq.route->inline_ok) {
		answer(x);
		x->done = true;
	} else if (!submit(x, x->http->workers)) {
		refuse(x, IST_TOO_BUSY, "the queue of requests is full");
	}
	return reply_or_wait(x);
}

/* The body has ended. The library calls here again whenever a suspended connection was resumed,
 * until a reply is queued; all but the first time find the phase changed. */
static enum MHD_Result finish(struct ist_exchange *x)
{
	enum ist_phase was;

	deadline(x, 0);
	pthread_mutex_lock(&x->lock);
	was = x->phase;
	if (was == IST_PHASE_STREAM) {
		x->ring.end = true;
		x->phase = IST_PHASE_WORK;
		pthread_cond_signal(&x->more);
	}
	pthread_mutex_unlock(&x->lock);
	if (was == IST_PHASE_CUT || was == IST_PHASE_SENT)
		return MHD_NO;
	return was == IST_PHASE_BODY ? body_is_there(x) : reply_or_wait(x);
}

enum MHD_Result ist_exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data,
				    size_t *size, void **cls_request)
{
	struct ist_exchange *x = *cls_request;

	if (x == NULL)
		return MHD_NO;
	if (x->phase == IST_PHASE_HEAD)
		return begin(x, method);
	return *size > 0 ? take(x, data, size) : finish(x);
}

/* One line a request, when all of it is over; health only where debugging is asked for. Neither the
 * path nor the query string is logged, since they hold ids and texts of clients; the route is. */
static void log_request(struct ist_exchange *x, bool whole)
{
	int status = x->phase == IST_PHASE_SENT || x->phase == IST_PHASE_CUT ? x->reply.status : 0;
	int64_t us = ist_monotonic_us() - x->started_us;
	const struct ist_route *route = x->rq.route;
	struct ist_log_line line;

	if (x->phase == IST_PHASE_HEAD && x->rq.method[0] == '\0')
		return; /* not a request: the library answered it */
	ist_metrics_request(route != NULL ? (size_t)(route - ist_routes) : ist_n_routes, status,
			    us);
	ist_log_begin(&line, route != NULL && route->inline_ok ? IST_LOG_DEBUG : IST_LOG_INFO,
		      "request");
	ist_log_field(&line, "id", "%s", x->request_id);
	ist_log_field(&line, "method", "%.16s", x->is_head ? "HEAD" : x->rq.method);
	ist_log_field(&line, "route", "%s", route != NULL ? route->pattern : "-");
	ist_log_field(&line, "status", "%d", status);
	ist_log_field(&line, "ms", "%.2f", (double)us / 1000);
	if (!whole)
		ist_log_field(&line, "client", "left");
	ist_log_end(&line);
}

/* The library lets go of the request: answered, or the client left, or it was cut off. A worker
 * that reads a stream is woken and told so. */
void ist_exchange_completed(void *cls, struct MHD_Connection *connection, void **cls_request,
			    enum MHD_RequestTerminationCode why)
{
	struct ist_exchange *x = *cls_request;

	if (x == NULL)
		return;
	*cls_request = NULL;
	pthread_mutex_lock(&x->http->lock);
	if (x->on != NULL)
		x->on->exchange = NULL;
	pthread_mutex_unlock(&x->http->lock);
	log_request(x, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	pthread_mutex_lock(&x->lock);
	deadline(x, IST_KEEP_ALIVE_US);
	x->on = NULL; /* it may end before we do */
	x->gone = true;
	pthread_cond_signal(&x->more);
	pthread_mutex_unlock(&x->lock);
	ist_exchange_unref(x);
}

/* As much of a file as the socket takes at once; the whole of it or the client sees it cut. */
static void send_file(struct ist_exchange *x)
{
	uint64_t left = x->reply.fd_bytes;
	ssize_t n = 1;
	off_t at = 0;

	while (left > 0 && n > 0) {
		n = sendfile(x->on->fd, x->reply.fd, &at, left);
		left -= n > 0 ? (uint64_t)n : 0;
	}
}

void ist_exchange_cut(struct ist_exchange *x)
{
	struct ist_reply *re = &x->reply;
	struct ist_buf out = {0};

	if (x->on == NULL || re->next != NULL || re->status == 0)
		return;
	ist_buf_printf(&out, "HTTP/1.1 %d %s\r\n", re->status,
		       MHD_get_reason_phrase_for((unsigned)re->status));
	ist_buf_printf(&out,
		       "Content-Type: %s\r\nContent-Length: %llu\r\nX-Request-Id: %s\r\n"
		       "Connection: close\r\n\r\n",
		       re->content_type != NULL ? re->content_type : "text/plain",
		       (unsigned long long)(re->fd >= 0 ? re->fd_bytes : re->body.len),
		       x->request_id);
	if (re->fd < 0 && re->body.data != NULL)
		ist_buf_put(&out, re->body.data, re->body.len);
	/* What does not fit into the socket's buffer is lost, as is the connection. */
	if (send(x->on->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)out.len &&
	    re->fd >= 0)
		send_file(x);
	shutdown(x->on->fd, SHUT_WR);
	ist_buf_finish(&out);
}
