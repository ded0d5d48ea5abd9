/*
 * Bodies of any length: a ring between the HTTP thread, which fills it and leaves what does not
 * fit unread, and the worker, which empties it. The sender is slowed by TCP when the ring is full.
 */
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "server/http_private.h"
#include "server/http_stream.h"

#define RING_BYTES ((size_t)1 << 20)

/* The ring is made with the first byte, so that a request that is refused at once costs nothing. */
size_t ist_stream_push(struct ist_exchange *x, const char *data, size_t size)
{
	struct ist_ring *r = &x->ring;
	size_t taken = 0;

	if (r->data == NULL) {
		r->data = ist_alloc_raw(RING_BYTES, 1);
		r->cap = RING_BYTES;
	}
	while (taken < size && r->len < r->cap) {
		size_t to = (r->from + r->len) % r->cap;
		size_t n = IST_MIN(size - taken, IST_MIN(r->cap - to, r->cap - r->len));

		memcpy(r->data + to, data + taken, n);
		r->len += n;
		taken += n;
	}
	pthread_cond_signal(&x->more);
	return taken;
}

/* The sender is let on only when half the ring is free: each resume wakes a thread. */
static size_t pull(struct ist_exchange *x, char *data, size_t cap)
{
	struct ist_ring *r = &x->ring;
	size_t n = 0;

	while (n < cap && r->len > 0) {
		size_t part = IST_MIN(cap - n, IST_MIN(r->len, r->cap - r->from));

		memcpy(data + n, r->data + r->from, part);
		r->from = (r->from + part) % r->cap;
		r->len -= part;
		n += part;
	}
	if (r->len <= r->cap / 2 && x->phase == IST_PHASE_STREAM)
		ist_exchange_resume(x);
	return n;
}

/* Bytes that came before the client left are not worth reading: it will send them again. */
static enum ist_code take(struct ist_exchange *x, void *data, size_t cap, size_t *ret_n,
			  struct ist_err *err)
{
	*ret_n = 0;
	if (x->gone)
		return ist_fail(err, IST_CANCELLED, "the client left");
	if (atomic_load(&x->http->stopping))
		return ist_fail(err, IST_CANCELLED, "the daemon is stopping");
	*ret_n = pull(x, data, cap);
	return IST_OK;
}

enum ist_code ist_request_read(struct ist_request *rq, void *data, size_t cap, size_t *ret_n,
			       struct ist_err *err)
{
	struct ist_exchange *x = rq->connection;
	enum ist_code code;

	pthread_mutex_lock(&x->lock);
	while (x->ring.len == 0 && !x->ring.end && !x->gone && !atomic_load(&x->http->stopping))
		pthread_cond_wait(&x->more, &x->lock);
	code = take(x, data, cap, ret_n, err);
	pthread_mutex_unlock(&x->lock);
	return code;
}

bool ist_request_wait(struct ist_request *rq, int ms)
{
	struct ist_exchange *x = rq->connection;
	struct timespec until;
	bool ready;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&x->lock);
	while (x->ring.len == 0 && !x->ring.end && !x->gone && !atomic_load(&x->http->stopping))
		if (pthread_cond_timedwait(&x->more, &x->lock, &until) != 0)
			break;
	ready = x->ring.len > 0 || x->ring.end || x->gone || atomic_load(&x->http->stopping);
	pthread_mutex_unlock(&x->lock);
	return ready;
}
