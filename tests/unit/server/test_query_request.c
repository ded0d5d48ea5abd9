/* What a query may ask: every form taken, every mistake refused at its pointer. */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/query_request.h"

static json_t *body; /* what was parsed last: queries borrow its strings */

static enum ist_code parse(const char *text, const struct ist_str *image, struct ist_arena *arena,
			   struct ist_query *query, struct ist_err *err)
{
	json_decref(body);
	body = json_loads(text, 0, NULL);
	assert_non_null(body);
	return ist_query_parse(body, image, arena, query, err);
}

static int forget_body(void **state)
{
	json_decref(body);
	body = NULL;
	return 0;
}

static void test_defaults(void **state)
{
	struct ist_arena arena = {0};
	struct ist_query q = {0};
	struct ist_err err = {0};

	assert_ist_ok(parse("{\"query\": {\"text\": \"a seal\"}}", NULL, &arena, &q, &err));
	assert_int_equal(q.source.kind, IST_BY_TEXT);
	assert_string_equal(q.source.text, "a seal");
	assert_int_equal(q.source.space, IST_SPACE_UNSAID);
	assert_int_equal(q.target, IST_TARGET_ANY);
	assert_int_equal(q.limit, 10);
	assert_int_equal(q.offset, 0);
	assert_true(isnan(q.threshold) && isnan(q.min_similarity));
	assert_null(q.model);
	assert_false(q.exact || q.explain);
	assert_int_equal(q.returns, IST_RETURN_TEXTS | IST_RETURN_LABEL | IST_RETURN_METADATA);
	assert_null(q.filter);
	ist_arena_finish(&arena);
}

static void test_all_members(void **state)
{
	struct ist_arena arena = {0};
	struct ist_query q = {0};
	struct ist_err err = {0};

	assert_ist_ok(
	    parse("{\"query\": {\"vector\": [1, 2], \"modality\": \"common\"}, \"target\":"
		  " \"text\", \"limit\": 1000, \"offset\": 9000, \"threshold\": 0.5,"
		  " \"min_similarity\": -3, \"model\": \"m_3\", \"exact\": true,"
		  " \"explain\": true, \"return\": [\"vector\", \"label\"],"
		  " \"filter\": {\"eq\": {\"label\": \"animals\"}}}",
		  NULL, &arena, &q, &err));
	assert_int_equal(q.source.kind, IST_BY_VECTOR);
	assert_int_equal(q.source.dim, 2);
	assert_int_equal(q.source.space, IST_SPACE_COMMON);
	assert_int_equal(q.target, IST_TARGET_TEXT);
	assert_true(q.limit == 1000 && q.offset == 9000 && q.threshold == 0.5);
	assert_true(q.min_similarity == -3 && q.exact && q.explain);
	assert_string_equal(q.model, "m_3");
	assert_int_equal(q.returns, IST_RETURN_VECTOR | IST_RETURN_LABEL);
	assert_non_null(q.filter);
	ist_query_finish(&q);
	assert_null(q.filter);
	ist_arena_finish(&arena);
}

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		enum ist_source_kind kind;
		int space;
	} cases[] = {
	    {"{\"query\": {\"image\": {\"base64\": \"Zm9v\"}}}", IST_BY_IMAGE, IST_SPACE_UNSAID},
	    {"{\"query\": {\"image\": {\"id\": \"seal\"}}}", IST_BY_IMAGE, IST_SPACE_UNSAID},
	    {"{\"query\": {\"id\": \"seal\"}}", IST_BY_ID, IST_SPACE_UNSAID},
	    {"{\"query\": {\"id\": \"seal\", \"modality\": \"text\"}}", IST_BY_ID, IST_SPACE_TEXT},
	    {"{\"query\": {\"vector\": {\"base64\": \"AACAPw==\"}, \"modality\": \"image\"}}",
	     IST_BY_VECTOR, IST_SPACE_IMAGE},
	    {"{\"query\": {\"compose\": {\"image\": {\"id\": \"a\"}, \"text\": \"red\"}}}",
	     IST_BY_COMPOSE, IST_SPACE_UNSAID},
	    {"{\"query\": {\"compose\": {\"image\": {\"base64\": \"Zg==\"}, \"text\": \"red\"}}}",
	     IST_BY_COMPOSE, IST_SPACE_UNSAID},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_arena arena = {0};
		struct ist_query q = {0};
		struct ist_err err = {0};

		assert_ist_ok(parse(cases[i].text, NULL, &arena, &q, &err));
		assert_int_equal(q.source.kind, cases[i].kind);
		assert_int_equal(q.source.space, cases[i].space);
		ist_arena_finish(&arena);
	}
}

static void test_image_part(void **state)
{
	static const char *const taken[] = {"{}", "{\"query\": {}}", "{\"target\": \"text\"}",
					    "{\"query\": {\"compose\": {\"text\": \"in red\"}}}"};
	static const char *const refused[] = {
	    "{\"query\": {\"text\": \"a\"}}", "{\"query\": {\"image\": {\"base64\": \"Zg==\"}}}",
	    "{\"query\": {\"compose\": {\"text\": \"in red\", \"image\": {\"id\": \"a\"}}}}"};
	const struct ist_str image = {"PNG", 3};
	struct ist_arena arena = {0};
	struct ist_query q = {0};
	struct ist_err err = {0};

	for (size_t i = 0; i < IST_COUNT(taken); i++) {
		assert_ist_ok(parse(taken[i], &image, &arena, &q, &err));
		assert_ptr_equal(q.source.image.data, image.data);
		assert_int_equal(q.source.kind, i == 3 ? IST_BY_COMPOSE : IST_BY_IMAGE);
	}
	for (size_t i = 0; i < IST_COUNT(refused); i++)
		assert_int_equal(parse(refused[i], &image, &arena, &q, &err), IST_INVALID);
	ist_arena_finish(&arena);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *pointer;
	} cases[] = {
	    {"{}", "/query"},
	    {"{\"query\": {}}", "/query"},
	    {"{\"query\": []}", "/query"},
	    {"{\"query\": {\"text\": \"\"}}", "/query/text"},
	    {"{\"query\": {\"text\": \"a\", \"id\": \"b\"}}", "/query"},
	    {"{\"query\": {\"txt\": \"a\"}}", "/query/txt"},
	    {"{\"query\": {\"text\": \"a\", \"modality\": \"text\"}}", "/query/modality"},
	    {"{\"query\": {\"text\": \"a\"}, \"filter\": null}", "/filter"},
	    {"{\"query\": {\"text\": \"a\"}, \"return\": [\"label\", \"label\"]}", "/return/1"},
	    {"{\"query\": {\"vector\": [1], \"modality\": \"sound\"}}", "/query/modality"},
	    {"{\"query\": {\"vector\": [1, null], \"modality\": \"text\"}}", "/query/vector/1"},
	    {"{\"query\": {\"id\": \"a\", \"modality\": \"common\"}}", "/query/id"},
	    {"{\"query\": {\"image\": {\"base64\": \"?\"}}}", "/query/image/base64"},
	    {"{\"query\": {\"image\": {\"base64\": \"\"}}}", "/query/image/base64"},
	    {"{\"query\": {\"image\": {\"url\": \"x\"}}}", "/query/image/url"},
	    {"{\"query\": {\"compose\": {\"text\": \"a\"}}}", "/query/compose/image"},
	    {"{\"query\": {\"compose\": {\"image\": {\"id\": \"a\"}}}}", "/query/compose/text"},
	    {"{\"query\": {\"compose\": {\"image\": {\"id\": 1}, \"text\": \"a\"}}}",
	     "/query/compose/image/id"},
	    {"{\"query\": {\"text\": \"a\"}, \"limit\": 0}", "/limit"},
	    {"{\"query\": {\"text\": \"a\"}, \"limit\": 1001}", "/limit"},
	    {"{\"query\": {\"text\": \"a\"}, \"limit\": 2.5}", "/limit"},
	    {"{\"query\": {\"text\": \"a\"}, \"limit\": 1000, \"offset\": 9001}", "/offset"},
	    {"{\"query\": {\"text\": \"a\"}, \"offset\": -1}", "/offset"},
	    {"{\"query\": {\"text\": \"a\"}, \"threshold\": 1.5}", "/threshold"},
	    {"{\"query\": {\"text\": \"a\"}, \"target\": \"both\"}", "/target"},
	    {"{\"query\": {\"text\": \"a\"}, \"return\": [\"label\", \"id\"]}", "/return/1"},
	    {"{\"query\": {\"text\": \"a\"}, \"exact\": 1}", "/exact"},
	    {"{\"query\": {\"text\": \"a\"}, \"model\": \"\"}", "/model"},
	    {"{\"query\": {\"text\": \"a\"}, \"filters\": {}}", "/filters"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_arena arena = {0};
		struct ist_query q = {.limit = 77};
		struct ist_err err = {0};

		if (parse(cases[i].text, NULL, &arena, &q, &err) != IST_INVALID)
			fail_msg("taken: %s", cases[i].text);
		assert_string_equal(err.pointer, cases[i].pointer);
		assert_int_equal(q.limit, 77);
		ist_arena_finish(&arena);
	}
}

static void test_bad_filter(void **state)
{
	struct ist_arena arena = {0};
	struct ist_query q = {0};
	struct ist_err err = {0};

	assert_int_equal(parse("{\"query\": {\"text\": \"a\"}, \"filter\": {\"like\": {\"label\": "
			       "\"a\"}}}",
			       NULL, &arena, &q, &err),
			 IST_INVALID);
	assert_memory_equal(err.pointer, "/filter", 7);
	ist_arena_finish(&arena);
}

/* A query string as a list of names and values. */
static const char *value_of(const void *user, const char *name)
{
	for (const char *const *pair = user; pair[0] != NULL; pair += 2)
		if (strcmp(pair[0], name) == 0)
			return pair[1];
	return NULL;
}

static void test_query_string(void **state)
{
	const char *const url[] = {"text",	"a seal",
				   "target",	"image",
				   "limit",	"5",
				   "offset",	"2",
				   "exact",	"true",
				   "return",	"label,texts",
				   "filter",	"label=animals and year>=2020",
				   "threshold", "0.25",
				   NULL};
	struct ist_arena arena = {0};
	struct ist_query q = {0};
	struct ist_err err = {0};

	assert_ist_ok(ist_query_parse_url(value_of, url, &arena, &q, &err));
	assert_string_equal(q.source.text, "a seal");
	assert_int_equal(q.target, IST_TARGET_IMAGE);
	assert_true(q.limit == 5 && q.offset == 2 && q.exact && q.threshold == 0.25);
	assert_int_equal(q.returns, IST_RETURN_LABEL | IST_RETURN_TEXTS);
	assert_non_null(q.filter);
	ist_query_finish(&q);
	ist_arena_finish(&arena);
}

static void test_bad_query_strings(void **state)
{
	static const struct {
		const char *pairs[5], *pointer;
	} cases[] = {
	    {{NULL}, ""},
	    {{"text", "", NULL}, "/text"},
	    {{"text", "a", "limit", "five", NULL}, "/limit"},
	    {{"text", "a", "limit", " 5", NULL}, "/limit"},
	    {{"text", "a", "limit", "99999999999999999999", NULL}, "/limit"},
	    {{"text", "a", "limit", "0", NULL}, "/limit"},
	    {{"text", "a", "exact", "1", NULL}, "/exact"},
	    {{"text", "a", "threshold", "nan", NULL}, "/threshold"},
	    {{"text", "a", "threshold", "0x1p-1", NULL}, "/threshold"},
	    {{"text", "a", "return", "label,,texts", NULL}, "/return/1"},
	    {{"text", "a", "id", "b", NULL}, ""},
	    {{"id", "b", "modality", "smell", NULL}, "/modality"},
	    {{"text", "\xff", NULL}, "/text"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_arena arena = {0};
		struct ist_query q = {0};
		struct ist_err err = {0};

		assert_int_equal(ist_query_parse_url(value_of, cases[i].pairs, &arena, &q, &err),
				 IST_INVALID);
		assert_string_equal(err.pointer, cases[i].pointer);
		ist_arena_finish(&arena);
	}
}

#define TEST(f) cmocka_unit_test_teardown(f, forget_body)
TEST_MAIN(TEST(test_defaults), TEST(test_all_members), TEST(test_forms), TEST(test_image_part),
	  TEST(test_refusals), TEST(test_bad_filter), TEST(test_query_string),
	  TEST(test_bad_query_strings))
