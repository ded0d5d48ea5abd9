/* JSON text: what is refused, how it is written, names and pointers. */
#include <string.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "server/json.h"

static void strict_json(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
	    {"", 0},
	    {"{", 1},
	    {"{}x", 3},
	    {"{\"a\":1,\"a\":2}", 13},
	    {"NaN", 3},
	    {"[Infinity]", 10},
	    {"\"\\u0000\"", 8},
	    {"\"\0\"", 3},
	    {"\"\xff\"", 3},
	    {"\"\xed\xa0\x80\"", 5},
	    {"1e999", 5},
	    {"01", 2},
	    {"[1,]", 4},
	};
	char deep[131];

	memset(deep, '[', 65);
	memset(deep + 65, ']', 65);
	for (size_t i = 0; i <= IST_COUNT(bad); i++) {
		struct ist_err err = {0};
		json_t *json = NULL;
		bool last = i == IST_COUNT(bad);

		assert_int_equal(
		    ist_json_parse(last ? deep : bad[i].text, last ? 130 : bad[i].len, &json, &err),
		    IST_BAD_JSON);
		assert_null(json);
		assert_true(err.text[0] != '\0');
	}
}

static void names(void **state)
{
	char longest[257];

	memset(longest, 'a', sizeof(longest));
	assert_true(ist_name_is_valid("seal", 4));
	assert_true(ist_name_is_valid("a/b c\xc3\xa9", 7));
	assert_true(ist_name_is_valid("...", 3));
	assert_true(ist_name_is_valid(longest, 255));
	assert_false(ist_name_is_valid(longest, 256));
	assert_false(ist_name_is_valid("", 0));
	assert_false(ist_name_is_valid(".", 1));
	assert_false(ist_name_is_valid("..", 2));
	assert_false(ist_name_is_valid("a\nb", 3));
	assert_false(ist_name_is_valid("a\0b", 3));
	assert_false(ist_name_is_valid("\x7f", 1));
	assert_false(ist_name_is_valid("\xc2\x85", 2));
	assert_false(ist_name_is_valid("\xc3", 1));
	assert_false(ist_name_is_valid("\xc0\xaf", 2));
	assert_false(ist_name_is_valid("\xf4\x90\x80\x80", 4));
}

static void a_long_name_is_cut_at_a_character(void **state)
{
	struct ist_err err = {0};
	char name[400];

	for (size_t i = 0; i + 1 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	name[sizeof(name) - 2] = '\0';
	ist_fail(&err, IST_INVALID, "x");
	ist_err_in(&err, name);
	assert_true(strlen(err.pointer) > 100);
	assert_true((unsigned char)err.pointer[strlen(err.pointer) - 1] == 0xa9);
}

static void writes_the_shortest_form(void **state)
{
	struct ist_err err = {0};
	struct ist_buf buf = {0};
	json_t *json = NULL;
	const char text[] = "{\"b\":[0.1,1.0,1e300,-7,0.30000000000000004],\"a\":{\"q\\\"\\n\\u0001"
			    "\\\\\":null,\"t\":true,\"f\":false},\"\xc3\xa9\":\"\"}";
	const char sorted[] = "{\"a\":{\"f\":false,\"q\\\"\\n\\u0001\\\\\":null,\"t\":true},"
			      "\"b\":[0.1,1.0,1e+300,-7,0.30000000000000004],\"\xc3\xa9\":\"\"}";

	assert_ist_ok(ist_json_parse(text, strlen(text), &json, &err));
	ist_json_put(&buf, json, true);
	assert_string_equal(buf.data, sorted);
	ist_buf_drop(&buf, buf.len);
	ist_json_put(&buf, json, false);
	assert_int_equal(buf.data[2], 'b');
	ist_buf_finish(&buf);
	json_decref(json);
}

TEST_MAIN(cmocka_unit_test(strict_json), cmocka_unit_test(names),
	  cmocka_unit_test(a_long_name_is_cut_at_a_character),
	  cmocka_unit_test(writes_the_shortest_form))
