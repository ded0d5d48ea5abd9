/* Targets of requests: decoding of segments, the table of routes, query strings, Host and Origin.
 */
#include <string.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "server/http_path.h"
#include "server/openapi_bytes.h"

static void segments_are_decoded_once(void **state)
{
	static const struct {
		const char *target, *segment[3];
		size_t n;
	} cases[] = {
	    {"/", {""}, 1},
	    {"/a/b", {"a", "b"}, 2},
	    {"/a/b?c=/d", {"a", "b"}, 2},
	    {"/a%2Fb/c", {"a/b", "c"}, 2},
	    {"/a+b", {"a+b"}, 1},
	    {"/%252F", {"%2F"}, 1},
	    {"/a//b", {"a", "", "b"}, 3},
	    {"/%c3%A9", {"\xc3\xa9"}, 1},
	    {"/a/", {"a", ""}, 2},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		struct ist_path path;

		assert_ist_ok(ist_path_parse(cases[i].target, &arena, &path, &err));
		assert_int_equal(path.n, cases[i].n);
		for (size_t s = 0; s < path.n; s++)
			assert_string_equal(path.segment[s], cases[i].segment[s]);
		ist_arena_finish(&arena);
	}
}

static void bad_segments_are_refused(void **state)
{
	static const char *const bad[] = {"/a%00b", "/a%",	  "/a%1",    "/a%zz", "/%c3",
					  "/%ff",   "/%ed%a0%80", "/%c0%af", "/%2",   "/a%0"};

	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		struct ist_path path;

		assert_int_equal(ist_path_parse(bad[i], &arena, &path, &err), IST_INVALID);
		ist_arena_finish(&arena);
	}
}

static const struct ist_route *find(const char *method, const char *target, const char *segment[4],
				    char allow[64], struct ist_err *err, struct ist_arena *arena)
{
	struct ist_path path;

	memset(segment, 0, 4 * sizeof(*segment));
	assert_int_equal(ist_path_parse(target, arena, &path, err), IST_OK);
	return ist_route_find(&path, method, arena, segment, allow, 64, err);
}

static void every_route_is_found_by_its_own_pattern(void **state)
{
	for (size_t i = 0; i < ist_n_routes; i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		const char *segment[4];
		char target[256], allow[64];
		size_t n = 0;

		for (const char *s = ist_routes[i].pattern; *s != '\0'; s++)
			if (*s != '{' && *s != '}')
				target[n++] = *s;
		target[n] = '\0';
		assert_ptr_equal(find(ist_routes[i].method, target, segment, allow, &err, &arena),
				 &ist_routes[i]);
		ist_arena_finish(&arena);
	}
}

/* The contract and the table name the same operations, each once. */
static void routes_are_the_contract(void **state)
{
	static const char key[] = "operationId: ";
	const char *at = (const char *)ist_openapi_bytes, *end = at + ist_openapi_len;
	size_t n = 0;

	while ((at = memmem(at, (size_t)(end - at), key, strlen(key))) != NULL) {
		size_t len, same = 0;

		at += strlen(key);
		len = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
		for (size_t i = 0; i < ist_n_routes; i++)
			same += strlen(ist_routes[i].operation) == len &&
				memcmp(ist_routes[i].operation, at, len) == 0;
		assert_int_equal(same, 1);
		n++;
	}
	assert_int_equal(n, ist_n_routes);
}

static void routes(void **state)
{
	static const struct {
		const char *method, *target, *operation, *segment[2];
	} cases[] = {
	    {"GET", "/v1/collections/a/items/b:c", "getItem", {"a", "b:c"}},
	    {"HEAD", "/v1/collections/a/items/b", "getItem", {"a", "b"}},
	    {"PUT", "/v1/collections/a/items/x%2Fy", "putItem", {"a", "x/y"}},
	    {"POST", "/v1/collections/a/items:import", "importItems", {"a", NULL}},
	    {"POST", "/v1/collections/a/items%3Aimport", "importItems", {"a", NULL}},
	    {"POST", "/v1/collections/a/models/m_3:activate", "activateModel", {"a", "m_3"}},
	    {"GET", "/v1/collections/a/models/m_3", "getModel", {"a", "m_3"}},
	    {"GET", "/v1/collections/items:import", "getCollection", {"items:import", NULL}},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		const char *segment[4];
		char allow[64];
		const struct ist_route *route =
		    find(cases[i].method, cases[i].target, segment, allow, &err, &arena);

		assert_non_null(route);
		assert_string_equal(route->operation, cases[i].operation);
		for (int s = 0; s < 2; s++)
			if (cases[i].segment[s] == NULL)
				assert_null(segment[s]);
			else
				assert_string_equal(segment[s], cases[i].segment[s]);
		ist_arena_finish(&arena);
	}
}

static void no_routes(void **state)
{
	static const struct {
		const char *method, *target;
		enum ist_code code;
		const char *allow;
	} cases[] = {
	    {"GET", "/v1/nothing", IST_NOT_FOUND, ""},
	    {"GET", "/v1/collections/", IST_NOT_FOUND, ""},
	    {"GET", "/v1/collections/a/items/", IST_NOT_FOUND, ""},
	    {"GET", "/v1/collections/a/items/b/c/d/e/f/g", IST_NOT_FOUND, ""},
	    {"GET", "//healthz", IST_NOT_FOUND, ""},
	    {"POST", "/healthz", IST_METHOD_NOT_ALLOWED, "GET, HEAD"},
	    {"OPTIONS", "/v1/collections/a", IST_METHOD_NOT_ALLOWED,
	     "PUT, GET, HEAD, PATCH, DELETE"},
	    {"GET", "/v1/collections/a/items:import", IST_METHOD_NOT_ALLOWED, "POST"},
	    {"GET", "/v1/collections/a/models/m_3:activate", IST_METHOD_NOT_ALLOWED, "POST"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		const char *segment[4];
		char allow[64];

		assert_null(find(cases[i].method, cases[i].target, segment, allow, &err, &arena));
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(allow, cases[i].allow);
		ist_arena_finish(&arena);
	}
}

static void query_strings(void **state)
{
	static const char *const allowed[] = {"text", "limit", NULL};
	static const struct {
		const char *target;
		enum ist_code code;
		const char *value; /* of "text" */
	} cases[] = {
	    {"/a", IST_OK, NULL},
	    {"/a?", IST_OK, NULL},
	    {"/a?text=a+seal%2B%20x", IST_OK, "a seal+ x"},
	    {"/a?&&text=1&", IST_OK, "1"},
	    {"/a?text", IST_INVALID, NULL},
	    {"/a?text=", IST_INVALID, NULL},
	    {"/a?text=a=b", IST_OK, "a=b"},
	    {"/a?texts=1", IST_INVALID, NULL},
	    {"/a?text=1&text=2", IST_INVALID, NULL},
	    {"/a?text=%", IST_INVALID, NULL},
	    {"/a?text=%00", IST_INVALID, NULL},
	    {"/a?%=1", IST_INVALID, NULL},
	    {"/a?text=%ff", IST_INVALID, NULL},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		struct ist_arena arena = {0};
		struct ist_query_value values[IST_QUERY_PARAMS];
		size_t n;

		assert_int_equal(
		    ist_query_string_parse(cases[i].target, allowed, &arena, values, &n, &err),
		    cases[i].code);
		if (cases[i].code == IST_OK)
			assert_int_equal(n, cases[i].value != NULL);
		if (cases[i].value != NULL)
			assert_string_equal(values[0].value, cases[i].value);
		ist_arena_finish(&arena);
	}
}

static void hosts_and_origins(void **state)
{
	static const char *const local[] = {"localhost",      "LocalHost:80", "127.0.0.1",
					    "127.0.0.1:7700", "[::1]",	      "[::1]:1"};
	static const char *const foreign[] = {"",
					      "evil.com",
					      "localhost.evil.com",
					      "127.0.0.1.evil.com",
					      "localhost:",
					      "localhost:x",
					      "::1",
					      "127.0.0.2",
					      "localhost:80@evil.com",
					      "[::1]evil"};

	for (size_t i = 0; i < IST_COUNT(local); i++)
		assert_true(ist_host_is_local(local[i]));
	for (size_t i = 0; i < IST_COUNT(foreign); i++)
		assert_false(ist_host_is_local(foreign[i]));
	assert_true(ist_origin_is_own("http://localhost:7700", "localhost:7700"));
	assert_false(ist_origin_is_own("http://localhost:3000", "localhost:7700"));
	assert_false(ist_origin_is_own("https://localhost:7700", "localhost:7700"));
	assert_false(ist_origin_is_own("null", "localhost:7700"));
	assert_false(ist_origin_is_own("http://localhost:7700", NULL));
}

TEST_MAIN(cmocka_unit_test(segments_are_decoded_once), cmocka_unit_test(bad_segments_are_refused),
	  cmocka_unit_test(every_route_is_found_by_its_own_pattern),
	  cmocka_unit_test(routes_are_the_contract), cmocka_unit_test(routes),
	  cmocka_unit_test(no_routes), cmocka_unit_test(query_strings),
	  cmocka_unit_test(hosts_and_origins))
