/*
 * The HTTP server over raw sockets, with the real routes and a store in a temporary folder: what
 * clients do that no client library would, and what must hold then. Nothing sleeps: a read waits
 * for the reply, within a deadline that only a failure meets.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/test.h"

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/encoding_cache.h"
#include "server/decoders.h"
#include "server/encode_gate.h"
#include "server/encoders.h"
#include "server/http_server.h"
#include "server/jobs.h"
#include "server/log.h"
#include "server/recent.h"
#include "server/workers.h"

#define DEADLINE_MS 20000
#define HOST "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

static struct ist_daemon daemon_;
static char folder[] = "/tmp/isthmus-http-XXXXXX";

static int start(void **state)
{
	char *argv[] = {"isthmusd", "--data",	  folder,   "--listen",	 "127.0.0.1:0", "--workers",
			"2",	    "--max-body", "100000", "--decoder", "/nonexistent"};
	char *const environment[] = {NULL};
	struct ist_store_options store = {0};
	struct ist_decoders_options decoders = {.program = "/nonexistent", .n = 1};
	struct ist_encoding_cache_options cache = {.path = folder};
	struct ist_jobs_options jobs = {0};
	struct ist_err err = {0};

	ist_log_init(IST_LOG_ERROR, false);
	if (mkdtemp(folder) == NULL ||
	    ist_config_read(&daemon_.config, IST_COUNT(argv), argv, environment, &err) != IST_OK ||
	    ist_store_open(folder, &store, &daemon_.store, &err) != IST_OK)
		return -1;
	daemon_.started_us = ist_monotonic_us();
	daemon_.encoders = ist_encoders_create("/nonexistent", NULL);
	daemon_.decoders = ist_decoders_create(&decoders);
	daemon_.gate = ist_encode_gate_create(2);
	daemon_.recent = ist_recent_create();
	daemon_.cache = ist_encoding_cache_create(&cache);
	daemon_.crew = ist_workers_create(&daemon_, "crew", 2, 0, 0);
	jobs.store = daemon_.store;
	daemon_.jobs = ist_jobs_create(&jobs);
	return ist_http_start(&daemon_, &err) == IST_OK ? 0 : -1;
}

static int stop(void **state)
{
	struct ist_err err;

	ist_http_quiesce(daemon_.http);
	if (!ist_http_drain(daemon_.http, ist_monotonic_us() + 10000000))
		return -1;
	ist_http_destroy(daemon_.http);
	ist_workers_destroy(daemon_.crew);
	ist_jobs_destroy(daemon_.jobs);
	ist_decoders_destroy(daemon_.decoders);
	ist_encode_gate_destroy(daemon_.gate);
	ist_recent_destroy(daemon_.recent);
	ist_encoding_cache_destroy(daemon_.cache);
	ist_encoders_destroy(daemon_.encoders);
	ist_store_close(daemon_.store);
	ist_config_finish(&daemon_.config);
	return ist_dir_remove(folder, &err) == IST_OK ? 0 : -1;
}

/* ---- a client ---- */

struct client {
	int fd;
	char in[1 << 16]; /* what came and was not looked at yet */
	size_t len;
};

struct reply {
	int status;
	char head[8192];
	char body[1 << 16];
	size_t len;
};

static void open_client(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	const char *address = ist_http_address(daemon_.http);

	to.sin_port = htons((uint16_t)strtoul(strchr(address, ':') + 1, NULL, 10));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->len = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

static void put(struct client *c, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

static void puts_(struct client *c, const char *text)
{
	put(c, text, strlen(text));
}

/* More bytes; false at the end of the connection. */
static bool more(struct client *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t n;

	assert_true(c->len < sizeof(c->in) - 1);
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	n = recv(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len, 0);
	if (n <= 0)
		return false;
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	return true;
}

static void drop(struct client *c, size_t n)
{
	memmove(c->in, c->in + n, c->len - n);
	c->len -= n;
	c->in[c->len] = '\0';
}

static bool read_head(struct client *c, struct reply *r)
{
	char *end;

	c->in[c->len] = '\0';
	while ((end = strstr(c->in, "\r\n\r\n")) == NULL)
		if (!more(c))
			return false;
	assert_true((size_t)(end - c->in) < sizeof(r->head));
	memcpy(r->head, c->in, (size_t)(end - c->in) + 2);
	r->head[end - c->in + 2] = '\0';
	drop(c, (size_t)(end - c->in) + 4);
	assert_memory_equal(r->head, "HTTP/1.1 ", 9);
	r->status = (int)strtol(r->head + 9, NULL, 10);
	return true;
}

static const char *header(const struct reply *r, const char *name)
{
	static char value[512];
	const char *at = strcasestr(r->head, name);

	if (at == NULL)
		return "";
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(name) + 2, "\r"),
		 at + strlen(name) + 2);
	return value;
}

/* A whole reply of known length; `head_only` after HEAD. False if the connection ended. */
static bool get(struct client *c, struct reply *r, bool head_only)
{
	if (!read_head(c, r))
		return false;
	r->len = head_only ? 0 : strtoul(header(r, "\r\nContent-Length"), NULL, 10);
	assert_true(r->len < sizeof(r->body));
	while (c->len < r->len)
		if (!more(c))
			return false;
	memcpy(r->body, c->in, r->len);
	r->body[r->len] = '\0';
	drop(c, r->len);
	return true;
}

/* One request on a connection of its own. */
static struct reply ask(const char *request)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;

	open_client(c);
	puts_(c, request);
	assert_true(get(c, &r, strncmp(request, "HEAD", 4) == 0));
	close(c->fd);
	free(c);
	return r;
}

static void assert_problem(const struct reply *r, int status, const char *code)
{
	char want[64];

	snprintf(want, sizeof(want), "\"code\":\"%s\"", code);
	assert_int_equal(r->status, status);
	assert_string_equal(header(r, "\r\nContent-Type"), "application/problem+json");
	assert_non_null(strstr(r->body, want));
	assert_string_not_equal(header(r, "\r\nX-Request-Id"), "");
}

/* ---- tests ---- */

static void refusals(void **state)
{
	static const struct {
		const char *request;
		int status;
		const char *code;
	} cases[] = {
	    {"GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "not_found"},
	    {"GET /v1/collections/a%00b HTTP/1.1\r\n" HOST "\r\n", 422, "invalid"},
	    {"GET /v1/collections/%2e%2e HTTP/1.1\r\n" HOST "\r\n", 422, "invalid"},
	    {"GET /v1/collections?what=1 HTTP/1.1\r\n" HOST "\r\n", 422, "invalid"},
	    {"GET /v1/collections?limit=0 HTTP/1.1\r\n" HOST "\r\n", 422, "invalid"},
	    {"GET /v1/collections?limit=1x HTTP/1.1\r\n" HOST "\r\n", 422, "invalid"},
	    {"DELETE /healthz HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed"},
	    {"BREW /healthz HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed"},
	    {"GET /healthz HTTP/1.1\r\nHost: evil.com\r\n\r\n", 403, "forbidden"},
	    {"GET /healthz HTTP/1.1\r\n" HOST "Host: evil.com\r\n\r\n", 400, "bad_request"},
	    {"PUT /v1/collections/a HTTP/1.1\r\n" HOST "Origin: http://evil.com\r\n\r\n", 403,
	     "forbidden"},
	    {"PUT /v1/collections/a HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n", 403, "forbidden"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON "\r\n", 411, "length_required"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 415,
	     "unsupported_type"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST
	     "Content-Type: application/json; charset=latin1\r\nContent-Length: 2\r\n\r\n{}",
	     415, "unsupported_type"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON
	     "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
	     415, "unsupported_type"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON "Content-Length: 0\r\n\r\n", 400,
	     "bad_json"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON "Content-Length: 3\r\n\r\n{}x", 400,
	     "bad_json"},
	    {"PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON
	     "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	     400, "bad_request"},
	    {"PUT /v1/collections/a/items/b HTTP/1.1\r\n" HOST
	     "Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx",
	     400, "bad_request"},
	    {"PUT /v1/collections/a/items/b HTTP/1.1\r\n" HOST JSON "Content-Length: 100001\r\n"
	     "Expect: 100-continue\r\n\r\n",
	     413, "body_too_large"},
	    {"POST /v1/collections/a/items:import HTTP/1.1\r\n" HOST
	     "Content-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{}\n",
	     404, "not_found"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct reply r = ask(cases[i].request);

		assert_problem(&r, cases[i].status, cases[i].code);
		if (r.status == 405)
			assert_string_equal(header(&r, "\r\nAllow"), "GET, HEAD");
	}
}

static void too_large_a_head(void **state)
{
	struct ist_buf request = {0};
	struct reply r;

	ist_buf_puts(&request, "GET /healthz HTTP/1.1\r\n" HOST "X-Long: ");
	for (int i = 0; i < 40000; i++)
		ist_buf_putc(&request, 'a');
	ist_buf_puts(&request, "\r\n\r\n");
	r = ask(request.data);
	assert_problem(&r, 431, "headers_too_large");
	ist_buf_finish(&request);
}

static void head_is_get_without_a_body(void **state)
{
	struct reply r = ask("HEAD /openapi.yaml HTTP/1.1\r\n" HOST "\r\n");

	assert_int_equal(r.status, 200);
	assert_true(strtoul(header(&r, "\r\nContent-Length"), NULL, 10) > 1000);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;

	open_client(c);
	puts_(c, "GET /healthz HTTP/1.1\r\n" HOST "X-Request-Id: one\r\n\r\n"
		 "GET /v1/collections HTTP/1.1\r\n" HOST "X-Request-Id: two\r\n\r\n"
		 "PATCH /v1/collections/a HTTP/1.1\r\n" HOST JSON
		 "X-Request-Id: three\r\nContent-Length: 2\r\n\r\n{}"
		 "GET /livez HTTP/1.1\r\n" HOST "X-Request-Id: four\r\n\r\n");
	for (int i = 0; i < 4; i++) {
		static const char *const ids[] = {"one", "two", "three", "four"};

		assert_true(get(c, &r, false));
		assert_string_equal(header(&r, "\r\nX-Request-Id"), ids[i]);
	}
	close(c->fd);
	free(c);
}

static void request_ids_are_plain(void **state)
{
	struct reply r = ask("GET /healthz HTTP/1.1\r\n" HOST "X-Request-Id: a b\r\n\r\n");

	assert_int_equal(strlen(header(&r, "\r\nX-Request-Id")), 16);
}

/* A body comes in whole, although it was refused, and the connection goes on. */
static void an_early_refusal_is_read(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	char *body = ist_alloc(1, 1 << 20);
	static struct reply r;

	open_client(c);
	puts_(c, "PUT /nothing HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
	put(c, body, 1 << 20);
	assert_true(get(c, &r, false));
	assert_problem(&r, 404, "not_found");
	puts_(c, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
	assert_true(get(c, &r, false));
	assert_int_equal(r.status, 200);
	close(c->fd);
	free(body);
	free(c);
}

static void a_chunked_body_may_come_byte_by_byte(void **state)
{
	static const char request[] =
	    "PUT /v1/collections/chunked HTTP/1.1\r\n" HOST JSON
	    "Transfer-Encoding: chunked\r\n\r\n"
	    "1\r\n{\r\nA;x=y\r\n\"split\":{\"\r\n9\r\ntest\":0.5\r\n2\r\n}}\r\n0\r\n\r\n";
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;
	int on = 1;

	open_client(c);
	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		put(c, request + i, 1);
	assert_true(get(c, &r, false));
	assert_int_equal(r.status, 201);
	assert_non_null(strstr(r.body, "\"test\":0.5"));
	close(c->fd);
	free(c);
}

/* Chunked, so that the length is not known at the head. */
static void a_body_that_grows_too_large(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	char *chunk = ist_alloc(1, 65536);
	static struct reply r;

	memset(chunk, ' ', 65536);
	open_client(c);
	puts_(c, "PUT /v1/collections/a/items/b HTTP/1.1\r\n" HOST JSON
		 "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 4; i++) {
		puts_(c, "10000\r\n");
		put(c, chunk, 65536);
		puts_(c, "\r\n");
	}
	puts_(c, "0\r\n\r\n");
	assert_true(get(c, &r, false));
	assert_problem(&r, 413, "body_too_large");
	close(c->fd);
	free(chunk);
	free(c);
}

static void garbage_closes_the_connection(void **state)
{
	static const char *const garbage[] = {
	    "\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
	    "GET\r\n\r\n",
	    "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
	    "PUT /v1/collections/a HTTP/1.1\r\n" HOST JSON "Content-Length: x\r\n\r\n",
	    "PUT /v1/collections/a HTTP/1.1\r\n" HOST JSON "Content-Length: -1\r\n\r\n",
	    "PUT /v1/collections/a HTTP/1.1\r\n" HOST JSON
	    "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	    "\x16\x03\x01\x02\x00\x01",
	};

	for (size_t i = 0; i < IST_COUNT(garbage); i++) {
		struct client *c = ist_alloc(1, sizeof(*c));

		open_client(c);
		puts_(c, garbage[i]);
		shutdown(c->fd, SHUT_WR);
		while (more(c)) /* whatever it says, it ends */
			c->len = 0;
		close(c->fd);
		free(c);
	}
	assert_int_equal(ask("GET /livez HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void make_vectors(const char *name)
{
	char request[512];
	static const char body[] = "{\"image_encoder\":{\"name\":\"external\",\"dim\":2}}";

	snprintf(request, sizeof(request),
		 "PUT /v1/collections/%s HTTP/1.1\r\n" HOST JSON "Content-Length: %zu\r\n\r\n%s",
		 name, sizeof(body) - 1, body);
	assert_int_equal(ask(request).status, 201);
}

static void begin_import(struct client *c, const char *name)
{
	char head[512];

	snprintf(head, sizeof(head),
		 "POST /v1/collections/%s/items:import HTTP/1.1\r\n" HOST
		 "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
		 name);
	open_client(c);
	puts_(c, head);
}

static void chunk(struct client *c, const char *text)
{
	char size[32];

	snprintf(size, sizeof(size), "%zx\r\n", strlen(text));
	puts_(c, size);
	puts_(c, text);
	puts_(c, "\r\n");
}

static void imports_answer_line_by_line(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;

	make_vectors("lines");
	begin_import(c, "lines");
	chunk(c, "{\"id\":\"a\",\"vectors\":{\"image\":[1,");
	chunk(c, "0]}}\n\n{\"id\":\"b\"}\nnonsense\n{\"id\":\"a\",\"vectors\":{\"image\":[0,1]}}");
	puts_(c, "0\r\n\r\n");
	assert_true(get(c, &r, false));
	assert_int_equal(r.status, 200);
	assert_string_equal(header(&r, "\r\nContent-Type"), "application/x-ndjson");
	assert_memory_equal(r.body,
			    "{\"line\":1,\"id\":\"a\",\"status\":\"created\"}\n{\"line\":3,", 49);
	assert_non_null(
	    strstr(r.body, "{\"line\":4,\"id\":null,\"status\":\"failed\",\"code\":\"bad_json\""));
	assert_non_null(strstr(r.body, "{\"line\":5,\"id\":\"a\",\"status\":\"updated\"}\n"
				       "{\"summary\":{\"created\":1,\"updated\":1,\"unchanged\":0,"
				       "\"failed\":2}}\n"));
	close(c->fd);
	free(c);
}

/* What was sent before a pause is there while the import still runs. */
static void a_pause_writes_what_came(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;
	int tries = 0;

	make_vectors("pause");
	begin_import(c, "pause");
	chunk(c, "{\"id\":\"a\",\"vectors\":{\"image\":[1,0]}}\n");
	do
		r = ask("GET /v1/collections/pause/items/a HTTP/1.1\r\n" HOST "\r\n");
	while (r.status == 404 && tries++ < 20000);
	assert_int_equal(r.status, 200);
	puts_(c, "0\r\n\r\n");
	assert_true(get(c, &r, false));
	assert_non_null(strstr(r.body, "\"created\":1,"));
	close(c->fd);
	free(c);
}

static void wait_for_streams(size_t n)
{
	int64_t deadline = ist_monotonic_us() + DEADLINE_MS * 1000;
	struct ist_http_stats stats;

	do
		ist_http_stats(daemon_.http, &stats);
	while (stats.streams != n && ist_monotonic_us() < deadline);
	assert_int_equal(stats.streams, n);
}

static void a_client_that_leaves_is_forgotten(void **state)
{
	make_vectors("left");
	for (int i = 0; i < 3; i++) {
		struct client *c = ist_alloc(1, sizeof(*c));

		begin_import(c, "left");
		wait_for_streams(1);
		chunk(c, "{\"id\":\"a\",\"vectors\":{\"image\":[1,0]}}\n{\"id\"");
		close(c->fd);
		wait_for_streams(0);
		free(c);
	}
	assert_int_equal(ask("GET /livez HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void pages_of_a_list(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;

	make_vectors("pages");
	begin_import(c, "pages");
	for (int i = 0; i < 5; i++) {
		char line[80];

		snprintf(line, sizeof(line), "{\"id\":\"i%d\",\"vectors\":{\"image\":[1,%d]}}\n", i,
			 i);
		chunk(c, line);
	}
	puts_(c, "0\r\n\r\n");
	assert_true(get(c, &r, false));
	close(c->fd);
	r = ask("GET /v1/collections/pages/items?limit=3 HTTP/1.1\r\n" HOST "\r\n");
	assert_non_null(strstr(r.body, "\"next\":\"i2\"}"));
	r = ask("GET /v1/collections/pages/items?limit=3&cursor=i2 HTTP/1.1\r\n" HOST "\r\n");
	assert_non_null(strstr(r.body, "\"id\":\"i4\""));
	assert_non_null(strstr(r.body, "\"next\":null}"));
	free(c);
}

static void what_was_read_is_not_sent_again(void **state)
{
	struct reply r;
	char request[512], etag[128];

	make_vectors("tags");
	r = ask("PUT /v1/collections/tags/items/a HTTP/1.1\r\n" HOST JSON
		"Content-Length: 28\r\n\r\n{\"vectors\":{\"image\":[1, 2]}}");
	assert_int_equal(r.status, 201);
	r = ask("GET /v1/collections/tags/items/a HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(r.status, 200);
	snprintf(etag, sizeof(etag), "%s", header(&r, "\r\nETag"));
	snprintf(request, sizeof(request),
		 "GET /v1/collections/tags/items/a HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n",
		 etag);
	r = ask(request);
	assert_int_equal(r.status, 304);
	assert_int_equal(r.len, 0);
}

/* The last test: requests are refused from here on, and an import is cut after its batch. */
static void stopping_cuts_imports_at_a_batch(void **state)
{
	struct client *c = ist_alloc(1, sizeof(*c));
	static struct reply r;

	make_vectors("stop");
	begin_import(c, "stop");
	chunk(c, "{\"id\":\"a\",\"vectors\":{\"image\":[1,0]}}\n{\"id\":\"b\",");
	wait_for_streams(1);
	do
		r = ask("GET /v1/collections/stop/items/a HTTP/1.1\r\n" HOST "\r\n");
	while (r.status == 404);
	ist_http_quiesce(daemon_.http);
	r = ask("GET /readyz HTTP/1.1\r\n" HOST "\r\n");
	assert_problem(&r, 503, "unavailable");
	assert_string_not_equal(header(&r, "\r\nRetry-After"), "");
	assert_int_equal(ask("GET /livez HTTP/1.1\r\n" HOST "\r\n").status, 200);
	r = ask("GET /v1/collections HTTP/1.1\r\n" HOST "\r\n");
	assert_problem(&r, 503, "unavailable");
	wait_for_streams(0);
	puts_(c, "0\r\n\r\n");
	assert_true(get(c, &r, false));
	assert_int_equal(r.status, 200);
	assert_non_null(
	    strstr(r.body, "{\"line\":1,\"id\":\"a\",\"status\":\"created\"}\n{\"error\":{"));
	assert_non_null(strstr(r.body, "\"code\":\"unavailable\""));
	close(c->fd);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(too_large_a_head),
	    cmocka_unit_test(head_is_get_without_a_body),
	    cmocka_unit_test(pipelined_requests_are_answered_in_order),
	    cmocka_unit_test(request_ids_are_plain),
	    cmocka_unit_test(an_early_refusal_is_read),
	    cmocka_unit_test(a_chunked_body_may_come_byte_by_byte),
	    cmocka_unit_test(a_body_that_grows_too_large),
	    cmocka_unit_test(garbage_closes_the_connection),
	    cmocka_unit_test(imports_answer_line_by_line),
	    cmocka_unit_test(a_pause_writes_what_came),
	    cmocka_unit_test(a_client_that_leaves_is_forgotten),
	    cmocka_unit_test(pages_of_a_list),
	    cmocka_unit_test(what_was_read_is_not_sent_again),
	    cmocka_unit_test(stopping_cuts_imports_at_a_batch)};

	return cmocka_run_group_tests(tests, start, stop);
}
