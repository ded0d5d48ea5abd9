/*
 * Paths, query strings, Host and Origin. Everything here sees the raw bytes of the request line:
 * the HTTP library is told not to decode anything.
 */
#include "server/http_path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/memory.h"
#include "server/json.h"

#define QUERY_VALUE_MAX 8192

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes len bytes into the arena; NULL for a bad escape, NUL or bad UTF-8. */
static const char *decode(const char *s, size_t len, bool plus, struct ist_arena *arena)
{
	char *text = ist_arena_alloc(arena, len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = len - i > 2 ? hex(s[i + 1]) : -1;
			int low = len - i > 2 ? hex(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return NULL;
		text[n++] = c;
	}
	return ist_utf8_is_valid(text, n) ? text : NULL;
}

enum ist_code ist_path_parse(const char *target, struct ist_arena *arena, struct ist_path *ret,
			     struct ist_err *err)
{
	const char *end = target + strcspn(target, "?");
	const char *s = target;

	*ret = (struct ist_path){0};
	if (*s != '/')
		return ist_fail(err, IST_BAD_REQUEST,
				"the target of the request must begin with /");
	while (s < end) {
		const char *next = memchr(s + 1, '/', (size_t)(end - s - 1));
		size_t len = (size_t)((next != NULL ? next : end) - s - 1);

		if (ret->n == IST_PATH_SEGMENTS) {
			ret->too_many = true;
			return IST_OK;
		}
		ret->segment[ret->n] = decode(s + 1, len, false, arena);
		if (ret->segment[ret->n++] == NULL)
			return ist_fail(err, IST_INVALID,
					"segment %zu of the path is not percent-encoded UTF-8 "
					"without NUL",
					ret->n);
		s = next != NULL ? next : end;
	}
	return IST_OK;
}

/* How well a segment fits one of a pattern: 0 not, 1 as {x}, 2 as {x}:verb, 3 literally. */
static int fit(const char *pattern, size_t len, const char *segment, struct ist_arena *arena,
	       const char **ret_value)
{
	const char *brace = pattern[0] == '{' ? memchr(pattern, '}', len) : NULL;
	size_t n = strlen(segment);
	size_t verb = brace != NULL ? (size_t)(pattern + len - (brace + 1)) : 0;
	char *value;

	*ret_value = NULL;
	if (brace == NULL)
		return n == len && memcmp(pattern, segment, n) == 0 ? 3 : 0;
	if (n <= verb || memcmp(segment + n - verb, brace + 1, verb) != 0)
		return 0;
	value = ist_arena_strdup(arena, segment);
	value[n - verb] = '\0';
	*ret_value = value;
	return verb > 0 ? 2 : 1;
}

/* How well a path fits a pattern: 0 not at all, more is more literal. */
static int match(const char *pattern, const struct ist_path *path, struct ist_arena *arena,
		 const char *ret_segment[4])
{
	size_t i = 0, n_values = 0;
	int score = 1;

	for (const char *s = pattern; *s == '/'; i++) {
		size_t len = strcspn(s + 1, "/");
		const char *value;
		int f;

		if (i >= path->n)
			return 0;
		f = fit(s + 1, len, path->segment[i], arena, &value);
		if (f == 0)
			return 0;
		if (value != NULL)
			ret_segment[n_values++] = value;
		score = score * 4 + f;
		s += len + 1;
	}
	return i == path->n && !path->too_many ? score : 0;
}

static void allow(char *list, size_t size, const char *method)
{
	size_t n = strlen(list);

	if (strstr(list, method) != NULL)
		return;
	snprintf(list + n, size - n, "%s%s%s", n > 0 ? ", " : "", method,
		 strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* Methods are looked at among the best fitting patterns only: POST to a path that only GET has is
 * 405 and never falls through to a looser pattern. */
const struct ist_route *ist_route_find(const struct ist_path *path, const char *method,
				       struct ist_arena *arena, const char *segment[4],
				       char *ret_allow, size_t allow_size, struct ist_err *err)
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	const struct ist_route *found = NULL;
	int best = 0;

	ret_allow[0] = '\0';
	for (size_t i = 0; i < ist_n_routes; i++) {
		const char *values[4] = {NULL, NULL, NULL, NULL};
		int score = match(ist_routes[i].pattern, path, arena, values);

		if (score == 0 || score < best)
			continue;
		if (score > best) {
			best = score;
			found = NULL;
			ret_allow[0] = '\0';
		}
		allow(ret_allow, allow_size, ist_routes[i].method);
		if (strcmp(ist_routes[i].method, wanted) == 0) {
			found = &ist_routes[i];
			memcpy(segment, values, sizeof(values));
		}
	}
	if (best == 0)
		ist_fail(err, IST_NOT_FOUND, "there is nothing at this path");
	else if (found == NULL)
		ist_fail(err, IST_METHOD_NOT_ALLOWED, "%.16s is not one of %s", method, ret_allow);
	return found;
}

static bool is_allowed(const char *const *allowed, const char *name)
{
	for (; allowed != NULL && *allowed != NULL; allowed++)
		if (strcmp(*allowed, name) == 0)
			return true;
	return false;
}

/* Bytes that a value may have at most; of the names that are not here, QUERY_VALUE_MAX. */
static const struct {
	const char *name;
	size_t max;
} value_max[] = {{"cursor", 1024}, {"collection", 64}};

static enum ist_code check_length(const char *name, const char *value, struct ist_err *err)
{
	size_t max = QUERY_VALUE_MAX, n = strlen(value);

	for (size_t i = 0; i < IST_COUNT(value_max); i++)
		if (strcmp(value_max[i].name, name) == 0)
			max = value_max[i].max;
	if (n >= 1 && n <= max)
		return IST_OK;
	ist_fail(err, IST_INVALID, "must be 1 to %zu bytes, got %zu", max, n);
	return ist_err_in(err, name);
}

/* A parameter that is given twice would silently mean its first or its last: refused. */
static enum ist_code add(struct ist_query_value *values, size_t *n, const char *name,
			 const char *value, const char *const *allowed, struct ist_err *err)
{
	if (name == NULL || value == NULL)
		return ist_fail(err, IST_INVALID,
				"the query string is not percent-encoded UTF-8 without NUL");
	if (!is_allowed(allowed, name)) {
		ist_fail(err, IST_INVALID, "is not a parameter here");
		return ist_err_in(err, name);
	}
	for (size_t i = 0; i < *n; i++)
		if (strcmp(values[i].name, name) == 0) {
			ist_fail(err, IST_INVALID, "is given twice");
			return ist_err_in(err, name);
		}
	if (check_length(name, value, err) != IST_OK)
		return err->code;
	if (*n == IST_QUERY_PARAMS)
		return ist_fail(err, IST_INVALID, "too many parameters");
	values[*n].name = name;
	values[(*n)++].value = value;
	return IST_OK;
}

enum ist_code ist_query_string_parse(const char *target, const char *const *allowed,
				     struct ist_arena *arena,
				     struct ist_query_value ret[IST_QUERY_PARAMS], size_t *ret_n,
				     struct ist_err *err)
{
	const char *s = strchr(target, '?');

	*ret_n = 0;
	while (s != NULL) {
		const char *next = strchr(++s, '&');
		size_t len = next != NULL ? (size_t)(next - s) : strlen(s);
		const char *is = memchr(s, '=', len);
		size_t n = is != NULL ? (size_t)(is - s) : len;
		const char *value = is != NULL ? decode(is + 1, len - n - 1, true, arena) : "";

		if (len > 0 &&
		    add(ret, ret_n, decode(s, n, true, arena), value, allowed, err) != IST_OK)
			return IST_INVALID;
		s = next;
	}
	return IST_OK;
}

/* Only these three names: 127.0.0.1.evil.com and the like begin alike, so the end is checked, too.
 */
bool ist_host_is_local(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < IST_COUNT(names); i++) {
		size_t n = strlen(names[i]);

		if (strncasecmp(host, names[i], n) != 0)
			continue;
		if (host[n] == '\0')
			return true;
		if (host[n] == ':' && host[n + 1] != '\0' &&
		    strspn(host + n + 1, "0123456789") == strlen(host + n + 1))
			return true;
	}
	return false;
}

bool ist_origin_is_own(const char *origin, const char *host)
{
	return host != NULL && strncasecmp(origin, "http://", 7) == 0 &&
	       strcasecmp(origin + 7, host) == 0;
}
