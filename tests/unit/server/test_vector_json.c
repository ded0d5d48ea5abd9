/* Vectors on the wire: what is taken, what is refused and where, and that numbers come back. */
#include "tests/unit/test.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/base64.h"
#include "server/vector_json.h"

static void test_base64_goes_round(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = {{"", ""},
		     {"f", "Zg=="},
		     {"fo", "Zm8="},
		     {"foo", "Zm9v"},
		     {"foob", "Zm9vYg=="},
		     {"fooba", "Zm9vYmE="},
		     {"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_buf buf = {0};
		char plain[16];
		size_t n = 99;

		ist_base64_put(&buf, cases[i].plain, strlen(cases[i].plain));
		assert_int_equal(buf.len, strlen(cases[i].coded));
		assert_memory_equal(buf.data, cases[i].coded, buf.len);
		assert_true(ist_base64_decode(buf.data, buf.len, plain, &n));
		assert_int_equal(n, strlen(cases[i].plain));
		assert_memory_equal(plain, cases[i].plain, n);
		ist_buf_finish(&buf);
	}
}

static void test_base64_refuses(void **state)
{
	static const char *const bad[] = {"Z", "Zg=", "Zh==", "Zg==Zg==", "Zm 9v", "Zm9v!", "===="};
	char plain[16];
	size_t n;

	for (size_t i = 0; i < IST_COUNT(bad); i++)
		assert_false(ist_base64_decode(bad[i], strlen(bad[i]), plain, &n));
	assert_true(ist_base64_decode("Zg", 2, plain, &n));
	assert_int_equal(n, 1);
}

static enum ist_code parse(const char *text, struct ist_arena *arena, const float **x, size_t *n,
			   struct ist_err *err)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	enum ist_code code;

	assert_non_null(json);
	code = ist_vector_parse(json, arena, x, n, err);
	json_decref(json);
	return code;
}

static void test_takes_arrays_and_base64(void **state)
{
	struct ist_arena arena = {0};
	struct ist_err err = {0};
	const float *x = NULL;
	size_t n = 0;

	assert_int_equal(parse("[1, -0.5, 0]", &arena, &x, &n, &err), IST_OK);
	assert_int_equal(n, 3);
	assert_true(x[0] == 1.0F && x[1] == -0.5F && x[2] == 0.0F);
	assert_int_equal(parse("{\"base64\": \"AACAPwAAAMA=\"}", &arena, &x, &n, &err), IST_OK);
	assert_int_equal(n, 2);
	assert_true(x[0] == 1.0F && x[1] == -2.0F);
	ist_arena_finish(&arena);
}

static void test_refuses_with_a_pointer(void **state)
{
	static const struct {
		const char *text, *pointer;
	} cases[] = {
	    {"[]", ""},
	    {"[0, 0.0]", ""},
	    {"[1, \"2\"]", "/1"},
	    {"[1, 1e39]", "/1"},
	    {"[null]", "/0"},
	    {"[[1]]", "/0"},
	    {"{}", ""},
	    {"{\"base64\": 1}", ""},
	    {"{\"base64\": \"AAA\"}", "/base64"},
	    {"3", ""},
	    {"{\"base64\": \"\"}", ""},
	    {"{\"base64\": \"?\"}", "/base64"},
	    {"{\"base64\": \"AAAAAA==\"}", ""},	       /* all zero */
	    {"{\"base64\": \"AADAfw==\"}", "/base64"}, /* not a number */
	    {"{\"base64\": \"AACAPw==\", \"more\": 1}", ""},
	};
	struct ist_arena arena = {0};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_err err = {0};
		const float *x = NULL;
		size_t n = 7;

		assert_int_equal(parse(cases[i].text, &arena, &x, &n, &err), IST_INVALID);
		assert_string_equal(err.pointer, cases[i].pointer);
		assert_null(x);
		assert_int_equal(n, 7);
	}
	ist_arena_finish(&arena);
}

static void test_checks_the_width(void **state)
{
	struct ist_arena arena = {0};
	struct ist_err err = {0};
	json_t *json = json_loads("[1, 2, 3]", 0, NULL);
	const float *x;

	assert_int_equal(ist_vector_parse_dim(json, 4, "the image encoder", &arena, &x, &err),
			 IST_DIM_MISMATCH);
	assert_string_equal(err.text, "the image encoder has 4 dimensions, got 3");
	assert_int_equal(ist_vector_parse_dim(json, 3, "it", &arena, &x, &err), IST_OK);
	json_decref(json);
	ist_arena_finish(&arena);
}

static void test_numbers_come_back(void **state)
{
	const float x[] = {0.25F, -1.0F, 0.1F, 3.4e38F, 1e-45F, 16777217.0F, 0.333333343F};
	struct ist_arena arena = {0};
	struct ist_err err = {0};

	for (int base64 = 0; base64 < 2; base64++) {
		struct ist_buf text = {0};
		const float *y = NULL;
		size_t n = 0;

		ist_vector_put(&text, x, IST_COUNT(x), base64);
		assert_int_equal(parse(text.data, &arena, &y, &n, &err), IST_OK);
		assert_int_equal(n, IST_COUNT(x));
		assert_memory_equal(x, y, sizeof(x));
		ist_buf_finish(&text);
	}
	ist_arena_finish(&arena);
}

TEST_MAIN(cmocka_unit_test(test_base64_goes_round), cmocka_unit_test(test_base64_refuses),
	  cmocka_unit_test(test_takes_arrays_and_base64),
	  cmocka_unit_test(test_refuses_with_a_pointer), cmocka_unit_test(test_checks_the_width),
	  cmocka_unit_test(test_numbers_come_back))
