/*
 * The HTTP server as main.c sees it.
 */
#ifndef IST_SERVER_HTTP_SERVER_H
#define IST_SERVER_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "server/daemon.h"

struct ist_http;

/* Binds and starts answering. `daemon` is filled but for ->http, which is set here. */
IST_CHECKED enum ist_code ist_http_start(struct ist_daemon *daemon, struct ist_err *err);
/* "127.0.0.1:40123": what it really listens on. */
const char *ist_http_address(const struct ist_http *http);

/* New requests are answered 503 (also for /readyz), uploads are cut at a batch. */
void ist_http_quiesce(struct ist_http *http);
/* Waits for the requests under way until `deadline_us` of the monotonic clock, cuts the rest off.
 * False: a handler is still at work, and nothing may be taken away from under it. */
bool ist_http_drain(struct ist_http *http, int64_t deadline_us);
void ist_http_destroy(struct ist_http *http); /* after a drain that went well; NULL is fine */

struct ist_http_stats {
	size_t connections, requests, waiting, busy, streams, buffered_bytes;
};
void ist_http_stats(struct ist_http *http, struct ist_http_stats *ret);
bool ist_http_is_stopping(const struct ist_http *http);
int64_t ist_http_stopping_since(const struct ist_http *http); /* monotonic; 0: it does not stop */

#endif
