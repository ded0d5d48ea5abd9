/*
 * What is decided when the head of a request is there: Host and Origin, route and method, path and
 * query string, type and length of the body. The order is that of the answers a client should get
 * first: who may ask, what there is, whether this can be read.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "core/base/memory.h"
#include "server/http_private.h"
#include "server/json.h"

#define HEADERS_MAX 100
#define HEAD_BYTES_MAX (32 << 10)
#define TARGET_BYTES_MAX (16 << 10)
#define SILENT_BODY_MAX (64 << 10) /* of a request that should have none */

struct heads {
	struct ist_exchange *x;
	size_t bytes;
	bool too_many;
};

/* Headers are copied: a streaming handler reads them on its worker while the library may still add
 * trailers on its own thread. */
static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct heads *h = cls;
	struct ist_exchange *x = h->x;

	h->bytes += strlen(name) + (value != NULL ? strlen(value) : 0) + 4;
	if (x->n_headers == HEADERS_MAX || h->bytes > HEAD_BYTES_MAX) {
		h->too_many = true;
		return MHD_NO;
	}
	x->headers[x->n_headers].name = ist_arena_strdup(&x->arena, name);
	x->headers[x->n_headers++].value = ist_arena_strdup(&x->arena, value != NULL ? value : "");
	return MHD_YES;
}

const char *ist_request_header(const struct ist_request *rq, const char *name)
{
	const struct ist_exchange *x = rq->connection;

	for (size_t i = 0; i < x->n_headers; i++)
		if (strcasecmp(x->headers[i].name, name) == 0)
			return x->headers[i].value;
	return NULL;
}

static size_t count_header(const struct ist_exchange *x, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_headers; i++)
		n += strcasecmp(x->headers[i].name, name) == 0;
	return n;
}

const char *ist_request_query(const struct ist_request *rq, const char *name)
{
	const struct ist_exchange *x = rq->connection;

	for (size_t i = 0; i < x->n_query; i++)
		if (strcmp(x->query[i].name, name) == 0)
			return x->query[i].value;
	return NULL;
}

/* Signs and blanks that strtol would pass are refused: what is shown in a list of links must not
 * have two spellings. */
enum ist_code ist_request_query_int(const struct ist_request *rq, const char *name, long def,
				    long min, long max, long *ret, struct ist_err *err)
{
	const char *text = ist_request_query(rq, name);
	char *end;
	long n;

	*ret = def;
	if (text == NULL)
		return IST_OK;
	n = strtol(text, &end, 10);
	if ((!isdigit((unsigned char)text[0]) && text[0] != '-') || *end != '\0' || n < min ||
	    n > max) {
		ist_fail(err, IST_INVALID, "must be %ld to %ld, got \"%.32s\"", min, max, text);
		return ist_err_in(err, name);
	}
	*ret = n;
	return IST_OK;
}

/* The client's own X-Request-Id if it is a plain word, else one of ours. */
static void name_request(struct ist_exchange *x)
{
	const char *given = ist_request_header(&x->rq, "X-Request-Id");
	size_t n = given != NULL ? strlen(given) : 0;
	unsigned char raw[8] = {0};

	if (n > 0 && n < sizeof(x->request_id) &&
	    strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		n) {
		memcpy(x->request_id, given, n + 1);
		return;
	}
	if (getrandom(raw, sizeof(raw), GRND_NONBLOCK) != sizeof(raw))
		snprintf((char *)raw, sizeof(raw), "%d", rand());
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(x->request_id + 2 * i, 3, "%02x", raw[i]);
}

/* Any web page may send requests to loopback, and names that resolve to it are easily had: what a
 * page of another site asks for is known by its Host (rebinding) or its Origin. */
static enum ist_code check_sender(struct ist_exchange *x, struct ist_err *err)
{
	const char *host = ist_request_header(&x->rq, "Host");
	const char *origin = ist_request_header(&x->rq, "Origin");
	bool reads = strcmp(x->rq.method, "GET") == 0;

	if (!x->http->loopback)
		return IST_OK;
	if (count_header(x, "Host") > 1)
		return ist_fail(err, IST_BAD_REQUEST, "more than one Host");
	if (host != NULL && !ist_host_is_local(host))
		return ist_fail(err, IST_FORBIDDEN,
				"this Host is not localhost, 127.0.0.1 or [::1]");
	if (origin != NULL && !reads && !ist_origin_is_own(origin, host))
		return ist_fail(err, IST_FORBIDDEN, "web pages of another origin may only read");
	return IST_OK;
}

/* Two ways of saying where a body ends are how requests are smuggled: refused. */
static enum ist_code check_framing(struct ist_exchange *x, struct ist_err *err)
{
	const char *coding = ist_request_header(&x->rq, "Transfer-Encoding");
	const char *length = ist_request_header(&x->rq, "Content-Length");
	const char *expect = ist_request_header(&x->rq, "Expect");

	x->chunked = coding != NULL;
	x->has_length = length != NULL;
	x->expects_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
	if (length != NULL)
		x->length = strtoull(length, NULL, 10);
	if ((coding != NULL && (length != NULL || strcasecmp(coding, "chunked") != 0)) ||
	    count_header(x, "Content-Length") > 1 || count_header(x, "Transfer-Encoding") > 1)
		return ist_fail(err, IST_BAD_REQUEST, "the length of the body is not clear");
	if (ist_request_header(&x->rq, "Content-Encoding") != NULL)
		return ist_fail(err, IST_UNSUPPORTED_TYPE,
				"bodies must come without Content-Encoding");
	return IST_OK;
}

/* Content-Type in lower case without its parameters; a charset must be UTF-8. */
static enum ist_code read_type(struct ist_exchange *x, struct ist_err *err)
{
	const char *given = ist_request_header(&x->rq, "Content-Type");
	size_t n = given != NULL ? strcspn(given, "; \t") : 0;
	const char *charset = given != NULL ? strcasestr(given, "charset=") : NULL;
	char *type = ist_arena_alloc(&x->arena, n + 1, 1);

	for (size_t i = 0; i < n; i++)
		type[i] = (char)tolower((unsigned char)given[i]);
	x->rq.content_type = type;
	charset += charset != NULL ? 8 + (charset[8] == '"') : 0;
	if (charset != NULL && strncasecmp(charset, "utf-8", 5) != 0 &&
	    strncasecmp(charset, "utf8", 4) != 0)
		return ist_fail(err, IST_UNSUPPORTED_TYPE, "bodies must be in UTF-8");
	return IST_OK;
}

static const struct {
	bool takes_json, takes_form, wanted;
} kinds[] = {
    [IST_BODY_NONE] = {false, false, false},
    [IST_BODY_JSON] = {true, false, true},
    [IST_BODY_ITEM] = {true, true, true},
    [IST_BODY_STREAM] = {false, false, true},
    [IST_BODY_OPTIONAL_JSON] = {true, false, false},
};

/* Type and length are judged before the body comes, and the more general mistake is told first. */
static enum ist_code check_body(struct ist_exchange *x, struct ist_err *err)
{
	const struct ist_route *route = x->rq.route;
	const char *type = x->rq.content_type;
	bool has_body = x->chunked || x->length > 0;

	x->body_limit =
	    route->body_limit != 0 ? route->body_limit : (size_t)x->http->daemon->config.max_body;
	if (route->body == IST_BODY_NONE)
		x->body_limit = SILENT_BODY_MAX;
	if (kinds[route->body].wanted && !x->chunked && !x->has_length)
		return ist_fail(err, IST_LENGTH_REQUIRED,
				"a body is needed, with Content-Length or chunked");
	if (kinds[route->body].takes_json && (has_body || kinds[route->body].wanted) &&
	    strcmp(type, "application/json") != 0 &&
	    !(kinds[route->body].takes_form && strcmp(type, "multipart/form-data") == 0))
		return ist_fail(err, IST_UNSUPPORTED_TYPE,
				"the body must be application/json%s, not %.64s",
				kinds[route->body].takes_form ? " or multipart/form-data" : "",
				type[0] != '\0' ? type : "untyped");
	if (route->body != IST_BODY_STREAM && x->length > x->body_limit)
		return ist_fail(err, IST_BODY_TOO_LARGE,
				"the body may have %zu bytes here, not %llu", x->body_limit,
				(unsigned long long)x->length);
	return IST_OK;
}

/* All {…} of all patterns are names by the same rule, so it is checked here for every handler. */
static enum ist_code find_route(struct ist_exchange *x, const char *method, struct ist_err *err)
{
	struct ist_path path;
	char allow[64];

	if (ist_path_parse(x->target, &x->arena, &path, err) != IST_OK)
		return err->code;
	x->rq.route =
	    ist_route_find(&path, method, &x->arena, x->rq.segment, allow, sizeof(allow), err);
	if (x->rq.route == NULL) {
		if (err->code == IST_METHOD_NOT_ALLOWED)
			ist_reply_header(&x->rq, &x->reply, "Allow", "%s", allow);
		return err->code;
	}
	for (size_t i = 0; i < IST_COUNT(x->rq.segment) && x->rq.segment[i] != NULL; i++)
		if (!ist_name_is_valid(x->rq.segment[i], strlen(x->rq.segment[i])))
			return ist_fail(err, IST_INVALID,
					"names and ids are 1 to 255 bytes of UTF-8 without control "
					"characters, and not . or ..");
	return ist_query_string_parse(x->target, x->rq.route->query, &x->arena, x->query,
				      &x->n_query, err);
}

/* The request id comes first, because every answer carries one; then framing, because with an
 * unclear length nothing else of the request can be trusted. */
enum ist_code ist_exchange_head(struct ist_exchange *x, const char *method, struct ist_err *err)
{
	struct heads heads = {.x = x, .bytes = strlen(x->target)};
	bool stopping = atomic_load(&x->http->stopping);

	x->is_head = strcmp(method, "HEAD") == 0;
	x->rq.method = x->is_head ? "GET" : ist_arena_strdup(&x->arena, method);
	x->headers = ist_arena_alloc(&x->arena, HEADERS_MAX, sizeof(*x->headers));
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_header, &heads);
	name_request(x);
	if (check_framing(x, err) != IST_OK)
		return err->code;
	if (heads.too_many || strlen(x->target) > TARGET_BYTES_MAX)
		return ist_fail(err, IST_HEADERS_TOO_LARGE, "at most %d headers, %d bytes in all",
				HEADERS_MAX, HEAD_BYTES_MAX);
	if (check_sender(x, err) != IST_OK || find_route(x, method, err) != IST_OK)
		return err->code;
	if (stopping && !x->rq.route->inline_ok)
		return ist_fail(err, IST_UNAVAILABLE, "the daemon is stopping");
	if (read_type(x, err) != IST_OK)
		return err->code;
	return check_body(x, err);
}
