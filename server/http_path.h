/*
 * Targets of requests: a raw path is split at '/' first, then each segment is decoded once, so
 * that %2F stays inside an id and %00 cannot cut one. Pure functions.
 */
#ifndef IST_SERVER_HTTP_PATH_H
#define IST_SERVER_HTTP_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "server/http.h"

#define IST_PATH_SEGMENTS 8
#define IST_QUERY_PARAMS 32

struct ist_path {
	const char *segment[IST_PATH_SEGMENTS]; /* decoded */
	size_t n;
	bool too_many;
};

/* `target` is what stood in the request line. IST_INVALID for bad escapes, NUL and bad UTF-8. */
IST_CHECKED enum ist_code ist_path_parse(const char *target, struct ist_arena *arena,
					 struct ist_path *ret, struct ist_err *err);

/* The route of a path and a method. NULL with IST_NOT_FOUND; or with IST_METHOD_NOT_ALLOWED, and
 * the methods there are in `allow` ("GET, HEAD, PUT"). Fills `segment` with what stood for {…}. */
const struct ist_route *ist_route_find(const struct ist_path *path, const char *method,
				       struct ist_arena *arena, const char *segment[4],
				       char *ret_allow, size_t allow_size, struct ist_err *err);

struct ist_query_value {
	const char *name, *value;
};
/* The query string of a target. '+' is a space here. Names that `allowed` (NULL-terminated, or
 * NULL: none) lacks and repeated ones are IST_INVALID. */
IST_CHECKED enum ist_code ist_query_string_parse(const char *target, const char *const *allowed,
						 struct ist_arena *arena,
						 struct ist_query_value ret[IST_QUERY_PARAMS],
						 size_t *ret_n, struct ist_err *err);

/* Whether a Host header names this machine: localhost, 127.0.0.1 or [::1], with any port. */
bool ist_host_is_local(const char *host);
/* Whether an Origin is the one that this Host header belongs to. */
bool ist_origin_is_own(const char *origin, const char *host);

#endif
