/*
 * The server: the socket, libmicrohttpd's threads, the list of connections with our own deadlines
 * (a suspended connection has none, and a trickle of bytes keeps the library's from ever ending),
 * and the order of stopping: refuse, drain until no connection is suspended, quiesce, stop, close.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/http_private.h"
#include "server/log.h"

#define POOL_BYTES                                                                                 \
	((size_t)128 << 10) /* a connection's memory in the library: head and buffers              \
			     */
#define STACK_BYTES ((size_t)256 << 10)
#define HTTP_THREADS 2u
#define TICK_MS 100
#define DEAF_TICKS 3 /* looks in a row; the library may just be on its way */

/* ---- callbacks of the library ---- */

static void connected(void *cls, struct MHD_Connection *connection, void **ctx,
		      enum MHD_ConnectionNotificationCode what)
{
	struct ist_http *http = cls;
	struct ist_connection *c = *ctx;

	pthread_mutex_lock(&http->lock);
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		c = *ctx = ist_alloc(1, sizeof(*c));
		c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			    ->connect_fd;
		c->deadline_us = ist_monotonic_us() + IST_HEAD_US;
		c->next = http->connections;
		c->self = &http->connections;
		if (c->next != NULL)
			c->next->self = &c->next;
		http->connections = c;
		if (http->n_connections++ == 0)
			pthread_cond_signal(&http->wake);
	} else if (c != NULL) {
		*c->self = c->next;
		if (c->next != NULL)
			c->next->self = c->self;
		http->n_connections--;
		free(c);
		*ctx = NULL;
	}
	pthread_mutex_unlock(&http->lock);
}

/* The request line is there: the raw target, before the library takes it apart. */
static void *request_begins(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct ist_http *http = cls;
	struct ist_exchange *x = ist_exchange_create(http, target);
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	x->connection = connection;
	x->on = info != NULL ? info->socket_context : NULL;
	if (x->on == NULL)
		return x;
	x->on->deadline_us = ist_monotonic_us() + IST_HEAD_US;
	pthread_mutex_lock(&http->lock);
	x->on->exchange = x;
	pthread_mutex_unlock(&http->lock);
	return x;
}

/* The library would decode %2F and %00 before we see where segments end. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
	return strlen(s);
}

/* The library's own complaints are about clients, so they are for debugging only. */
static void library_says(void *cls, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	ist_log_event(NULL, IST_LOG_DEBUG, "libmicrohttpd", text);
}

/* ---- deadlines ---- */

static bool client_left(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* A body made on the way that had nothing to say when it was last asked. */
static void look_after_pull(struct ist_http *http, struct ist_connection *c, int64_t now)
{
	struct ist_exchange *x = c->exchange;

	if (x->pull.again_us == 0)
		return;
	if (client_left(c->fd)) {
		x->pull.again_us = 0;
		x->pull.end = x->pull.failed = true;
		ist_exchange_resume(x);
	} else if (x->pull.again_us < now || atomic_load(&http->stopping)) {
		ist_reply_more(x);
	}
}

/* Whether the library ought to have noticed that the client is through: it reads, and nothing is
 * left to read. (It asks for edges only, and takes a short read for the end of what there is; an
 * end that came with the last bytes is then never seen.) */
static bool is_deaf(const struct ist_connection *c)
{
	const struct ist_exchange *x = c->exchange;
	bool reads = x == NULL || (x->phase <= IST_PHASE_DRAIN && !x->suspended);

	return reads && client_left(c->fd);
}

/* Looks after one connection; the list's lock is held, so that it cannot be closed meanwhile. */
static void look_after(struct ist_http *http, struct ist_connection *c, int64_t now)
{
	struct ist_exchange *x = c->exchange;
	bool late = c->deadline_us != 0 && c->deadline_us < now;

	if (x != NULL)
		pthread_mutex_lock(&x->lock);
	c->deaf = is_deaf(c) ? c->deaf + 1 : 0;
	if (x != NULL) {
		look_after_pull(http, c, now);
		if (late && x->phase == IST_PHASE_DRAIN) {
			x->phase = IST_PHASE_CUT;
			ist_exchange_cut(x);
		}
		pthread_mutex_unlock(&x->lock);
	}
	if (late || c->deaf == DEAF_TICKS) {
		c->deadline_us = 0;
		shutdown(c->fd, SHUT_RDWR);
	}
}

/* Sleeps as long as there is no connection, so that an idle daemon does not wake up. */
static void *tick(void *arg)
{
	struct ist_http *http = arg;
	struct timespec until;

	pthread_setname_np(pthread_self(), "http-tick");
	pthread_mutex_lock(&http->lock);
	while (!http->quit) {
		int64_t now = ist_monotonic_us();

		for (struct ist_connection *c = http->connections; c != NULL; c = c->next)
			look_after(http, c, now);
		if (http->connections == NULL) {
			pthread_cond_wait(&http->wake, &http->lock);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&http->wake, &http->lock, &until);
	}
	pthread_mutex_unlock(&http->lock);
	return NULL;
}

/* ---- start and stop ---- */

static enum ist_code bind_to(struct ist_http *http, const struct ist_address *a,
			     struct ist_err *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	struct sockaddr *address = a->v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = a->v6 ? sizeof(v6) : sizeof(v4);
	int on = 1, fd;

	inet_pton(a->v6 ? AF_INET6 : AF_INET, a->host,
		  a->v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
	fd = socket(a->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ist_fail_errno(err, "socket");
	http->listen_fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address, len) != 0 || listen(fd, 1024) != 0 ||
	    getsockname(fd, address, &len) != 0)
		return ist_fail_errno(err, "listening on %s port %u", a->host, a->port);
	snprintf(http->address, sizeof(http->address), a->v6 ? "[%s]:%u" : "%s:%u", a->host,
		 ntohs(a->v6 ? v6.sin6_port : v4.sin_port));
	return IST_OK;
}

/* Two threads are enough, since they only move bytes; their work is never more than copying. */
static enum ist_code start_library(struct ist_http *http, bool v6, struct ist_err *err)
{
	const struct ist_config *config = &http->daemon->config;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			 MHD_USE_ERROR_LOG | (v6 ? MHD_USE_IPv6 : 0);

	http->mhd = MHD_start_daemon(
	    flags, 0, NULL, NULL, ist_exchange_handle, http, MHD_OPTION_EXTERNAL_LOGGER,
	    library_says, NULL, MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
	    MHD_OPTION_THREAD_POOL_SIZE, HTTP_THREADS, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)config->idle_timeout, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
	    MHD_OPTION_URI_LOG_CALLBACK, request_begins, http, MHD_OPTION_NOTIFY_COMPLETED,
	    ist_exchange_completed, http, MHD_OPTION_NOTIFY_CONNECTION, connected, http,
	    MHD_OPTION_END);
	if (http->mhd == NULL)
		return ist_fail_errno(err, "starting libmicrohttpd");
	return IST_OK;
}

enum ist_code ist_http_start(struct ist_daemon *daemon, struct ist_err *err)
{
	const struct ist_config *config = &daemon->config;
	struct ist_http *http = ist_alloc(1, sizeof(*http));
	struct ist_address a;

	http->daemon = daemon;
	http->listen_fd = -1;
	pthread_mutex_init(&http->lock, NULL);
	pthread_cond_init(&http->wake, NULL);
	daemon->http = http;
	if (ist_address_parse(config->listen, &a, err) != IST_OK)
		goto fail;
	http->loopback = a.loopback;
	if (!a.loopback && !config->allow_public_without_keys) {
		ist_fail(err, IST_FORBIDDEN,
			 "%s is no loopback address: anybody could use the daemon; "
			 "--allow-public-without-keys allows that",
			 config->listen);
		goto fail;
	}
	http->workers =
	    ist_workers_create(daemon, "worker", (size_t)config->workers, (size_t)config->queue, 0);
	http->streams = ist_workers_create(daemon, "import", (size_t)config->streams, 0, 0);
	if (bind_to(http, &a, err) != IST_OK || start_library(http, a.v6, err) != IST_OK)
		goto fail;
	if (pthread_create(&http->ticker, NULL, tick, http) == 0)
		return IST_OK;
	ist_fail_errno(err, "starting a thread");
	MHD_stop_daemon(http->mhd);
fail:
	if (http->listen_fd >= 0)
		close(http->listen_fd);
	ist_workers_destroy(http->workers);
	ist_workers_destroy(http->streams);
	pthread_cond_destroy(&http->wake);
	pthread_mutex_destroy(&http->lock);
	free(http);
	daemon->http = NULL;
	return err->code;
}

const char *ist_http_address(const struct ist_http *http)
{
	return http->address;
}

bool ist_http_is_stopping(const struct ist_http *http)
{
	return atomic_load(&((struct ist_http *)http)->stopping);
}

int64_t ist_http_stopping_since(const struct ist_http *http)
{
	return atomic_load(&((struct ist_http *)http)->stopping_us);
}

/* Readers of streams sleep until bytes come: they are woken to see that nothing more will be taken.
 */
void ist_http_quiesce(struct ist_http *http)
{
	atomic_store(&http->stopping_us, ist_monotonic_us());
	atomic_store(&http->stopping, true);
	pthread_mutex_lock(&http->lock);
	for (struct ist_connection *c = http->connections; c != NULL; c = c->next)
		if (c->exchange != NULL) {
			pthread_mutex_lock(&c->exchange->lock);
			pthread_cond_broadcast(&c->exchange->more);
			pthread_mutex_unlock(&c->exchange->lock);
		}
	pthread_mutex_unlock(&http->lock);
}

/* Until no request is under way, or the deadline. */
static bool wait_for(struct ist_http *http, atomic_size_t *count, int64_t deadline_us)
{
	struct timespec pause = {.tv_nsec = 5000000};

	while (atomic_load(count) > 0) {
		if (ist_monotonic_us() >= deadline_us)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Requests that do not end in time have their connections shut, which ends their reading and
 * writing; a second more is for their workers to notice. */
bool ist_http_drain(struct ist_http *http, int64_t deadline_us)
{
	if (wait_for(http, &http->n_requests, deadline_us))
		return true;
	pthread_mutex_lock(&http->lock);
	for (struct ist_connection *c = http->connections; c != NULL; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&http->lock);
	return wait_for(http, &http->n_requests, deadline_us + 1000000);
}

/* No connection is suspended any more (the library would abort if one were), and what still comes
 * in is answered 503 on the library's own threads. */
void ist_http_destroy(struct ist_http *http)
{
	if (http == NULL)
		return;
	MHD_quiesce_daemon(http->mhd);
	MHD_stop_daemon(http->mhd);
	ist_workers_destroy(http->workers);
	ist_workers_destroy(http->streams);
	pthread_mutex_lock(&http->lock);
	http->quit = true;
	pthread_cond_signal(&http->wake);
	pthread_mutex_unlock(&http->lock);
	pthread_join(http->ticker, NULL);
	close(http->listen_fd);
	pthread_cond_destroy(&http->wake);
	pthread_mutex_destroy(&http->lock);
	free(http);
}

void ist_http_stats(struct ist_http *http, struct ist_http_stats *ret)
{
	size_t waiting;

	pthread_mutex_lock(&http->lock);
	ret->connections = http->n_connections;
	pthread_mutex_unlock(&http->lock);
	ret->requests = atomic_load(&http->n_requests);
	ret->buffered_bytes = atomic_load(&http->buffered);
	ist_workers_stats(http->workers, &ret->waiting, &ret->busy);
	ist_workers_stats(http->streams, &waiting, &ret->streams);
}
