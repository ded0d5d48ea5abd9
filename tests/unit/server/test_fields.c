/* Bodies by tables: every kind of field taken and refused, and the split that is read with them. */
#include "tests/unit/test.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/fields.h"
#include "server/split_json.h"

static const char *const colours[] = {"red", "green", NULL};

struct body {
	const char *s;
	int64_t i;
	double r;
	bool b;
	int c;
	const json_t *o, *a, *any;
};

static const struct ist_field fields[] = {
    {"s", IST_FIELD_STRING, offsetof(struct body, s), 1, 3, .nullable = true},
    {"i", IST_FIELD_INT, offsetof(struct body, i), -1, 10},
    {"r", IST_FIELD_REAL, offsetof(struct body, r), 0, 1},
    {"b", IST_FIELD_BOOL, offsetof(struct body, b)},
    {"c", IST_FIELD_CHOICE, offsetof(struct body, c), .choices = colours},
    {"o", IST_FIELD_OBJECT, offsetof(struct body, o)},
    {"a", IST_FIELD_ARRAY, offsetof(struct body, a), 1, 2},
    {"any", IST_FIELD_ANY, offsetof(struct body, any)},
};

static enum ist_code read_body(const char *text, struct body *body, json_t **json,
			       struct ist_err *err)
{
	*json = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(*json);
	return ist_fields_read(*json, fields, IST_COUNT(fields), body, err);
}

static void test_takes_every_kind(void **state)
{
	struct body body = {0};
	struct ist_err err = {0};
	json_t *json;

	assert_ist_ok(
	    read_body("{\"s\": \"abc\", \"i\": 10, \"r\": 1, \"b\": true, \"c\": \"green\","
		      " \"o\": {}, \"a\": [0], \"any\": null}",
		      &body, &json, &err));
	assert_string_equal(body.s, "abc");
	assert_int_equal(body.i, 10);
	assert_true(body.r == 1 && body.b && body.c == 1);
	assert_ptr_equal(body.o, json_object_get(json, "o"));
	assert_ptr_equal(body.a, json_object_get(json, "a"));
	assert_true(json_is_null(body.any));
	json_decref(json);
}

static void test_absent_keeps_defaults(void **state)
{
	struct body body = {.s = "old", .i = 3};
	struct ist_err err = {0};
	json_t *json;

	assert_ist_ok(read_body("{\"s\": null}", &body, &json, &err));
	assert_string_equal(body.s, "old");
	assert_int_equal(body.i, 3);
	json_decref(json);
}

static void test_refuses_with_pointers(void **state)
{
	static const struct {
		const char *text, *pointer, *detail;
	} cases[] = {
	    {"[]", "", "must be an object"},
	    {"{\"s\": 1}", "/s", "must be a string"},
	    {"{\"s\": \"\"}", "/s", "must have 1 to 3 bytes, got 0"},
	    {"{\"i\": 1.0}", "/i", "must be an integer"},
	    {"{\"i\": null}", "/i", "must be an integer"},
	    {"{\"i\": 11}", "/i", "must be -1 to 10, got 11"},
	    {"{\"r\": \"1\"}", "/r", "must be a finite number"},
	    {"{\"r\": -0.5}", "/r", "must be 0 to 1, got -0.5"},
	    {"{\"b\": 0}", "/b", "must be true or false"},
	    {"{\"c\": \"blue\"}", "/c", "must be one of \"red\", \"green\""},
	    {"{\"c\": 0}", "/c", "must be one of \"red\", \"green\""},
	    {"{\"o\": []}", "/o", "must be an object"},
	    {"{\"a\": {}}", "/a", "must be an array"},
	    {"{\"a\": [1, 2, 3]}", "/a", "must have 1 to 2 elements, got 3"},
	    {"{\"x/y~z\": 1}", "/x~1y~0z", "is not known here"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct body body = {0};
		struct ist_err err = {0};
		json_t *json;

		assert_int_equal(read_body(cases[i].text, &body, &json, &err), IST_INVALID);
		assert_string_equal(err.pointer, cases[i].pointer);
		assert_string_equal(err.text, cases[i].detail);
		json_decref(json);
	}
}

static void test_required(void **state)
{
	static const struct ist_field one[] = {{"s", IST_FIELD_STRING, 0, .required = true}};
	const char *s = NULL;
	struct ist_err err = {0};
	json_t *json = json_object();

	assert_int_equal(ist_fields_read(json, one, 1, &s, &err), IST_INVALID);
	assert_string_equal(err.pointer, "/s");
	json_decref(json);
}

static void test_long_names_are_cut_whole(void **state)
{
	char pointer[8] = "";

	ist_pointer_add(pointer, sizeof(pointer), "abcd\xc3\xa4\xc3\xa4");
	assert_string_equal(pointer, "/abcd");
}

static void test_split(void **state)
{
	static const struct {
		const char *text, *back; /* NULL: refused */
	} cases[] = {
	    {"{}", "{\"seed\":3,\"test\":0.25,\"validation\":0.125}"},
	    {"{\"test\": 0.5, \"seed\": 7}", "{\"seed\":7,\"test\":0.5,\"validation\":0.125}"},
	    {"{\"field\": \"part\"}", "{\"field\":\"part\"}"},
	    {"{\"field\": \"part\", \"validation\": 0}", "{\"field\":\"part\",\"validation\":0}"},
	    {"{\"field\": \"part\", \"validation\": 0.1}", NULL},
	    {"{\"field\": \"part\", \"seed\": 1}", NULL},
	    {"{\"field\": \"\"}", NULL},
	    {"{\"validation\": 0.5, \"test\": 0.5}", NULL},
	    {"{\"seed\": -1}", NULL},
	    {"{\"train\": 0.5}", NULL},
	};
	const struct ist_split base = {.validation = 0.125, .test = 0.25, .seed = 3};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		json_t *json = json_loads(cases[i].text, 0, NULL), *back;
		struct ist_split split;
		struct ist_err err = {0};

		if (cases[i].back == NULL) {
			assert_int_equal(ist_split_parse(json, &base, &split, &err), IST_INVALID);
		} else {
			ist_autofree char *text = NULL;

			assert_ist_ok(ist_split_parse(json, &base, &split, &err));
			back = ist_split_json(&split);
			text = json_dumps(back, JSON_COMPACT | JSON_SORT_KEYS);
			assert_string_equal(text, cases[i].back);
			json_decref(back);
		}
		json_decref(json);
	}
}

TEST_MAIN(cmocka_unit_test(test_takes_every_kind), cmocka_unit_test(test_absent_keeps_defaults),
	  cmocka_unit_test(test_refuses_with_pointers), cmocka_unit_test(test_required),
	  cmocka_unit_test(test_long_names_are_cut_whole), cmocka_unit_test(test_split))
