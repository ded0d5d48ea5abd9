/* What sidecar files say: captions with translations, plain texts, JSON of all shapes. */
#include "tests/unit/test.h"

#include <string.h>

#include "server/cli/sidecar.h"

static char *item_of(json_t *item)
{
	char *text = json_dumps(item, JSON_COMPACT);

	json_decref(item);
	return text;
}

static void expect_text(const char *file, const char *languages, bool each_line, const char *want)
{
	struct ist_sidecar_rules rules = {languages, each_line};
	struct ist_buf buf = {(char *)file, strlen(file), 0};
	json_t *item = json_object();
	struct ist_err err = {0};
	char *got;

	assert_ist_ok(ist_sidecar_text(&buf, &rules, item, &err));
	got = item_of(item);
	assert_string_equal(got, want);
	free(got);
}

static const char stamp[] = "A penguin.\r\n"
			    "de.utf8=Ein Pinguin.\n"
			    "pt_br.utf8=Um pinguim.\n"
			    "ca@valencia.utf8= Un ping\xc3\xbc\xc3\xad. \n"
			    "fr.utf8=\n";

static void translations(void **state)
{
	expect_text(stamp, NULL, false, "{\"texts\":[\"A penguin.\"]}");
	expect_text(stamp, "en,de", false, "{\"texts\":[\"A penguin.\",\"Ein Pinguin.\"]}");
	expect_text(stamp, "pt_br", false, "{\"texts\":[\"Um pinguim.\"]}");
	expect_text(stamp, "ca@valencia,d", false, "{\"texts\":[\"Un ping\xc3\xbc\xc3\xad.\"]}");
	expect_text(stamp, "fr", false, "{}");
}

static void plain_texts(void **state)
{
	expect_text(" one\ntwo \n\n", NULL, false, "{\"texts\":[\"one\\ntwo\"]}");
	expect_text("one\n\n two \r\nthree", NULL, true, "{\"texts\":[\"one\",\"two\",\"three\"]}");
	expect_text("\xef\xbb\xbfone", NULL, false, "{\"texts\":[\"one\"]}");
	expect_text("", NULL, false, "{}");
	expect_text(" \n\t\n", NULL, true, "{}");
	expect_text("see a.b.utf8=c", "b", false, "{\"texts\":[\"see a.b.utf8=c\"]}");
}

static void what_is_no_text(void **state)
{
	struct ist_sidecar_rules rules = {0};
	struct ist_buf latin1 = {(char *)"caf\xe9", 4, 0}, nul = {(char *)"a\0b", 3, 0};
	struct ist_buf empty = {0};
	json_t *item = json_object();

	assert_int_equal(ist_sidecar_text(&latin1, &rules, item, NULL), IST_INVALID);
	assert_int_equal(ist_sidecar_text(&nul, &rules, item, NULL), IST_INVALID);
	assert_int_equal(ist_sidecar_text(&empty, &rules, item, NULL), IST_OK);
	assert_int_equal(json_object_size(item), 0);
	json_decref(item);
}

static void json(void **state)
{
	static const char *const cases[][2] = {
	    {"{\"caption\": \"a\", \"year\": 2004}",
	     "{\"label\":\"x\",\"metadata\":{\"topic\":\"t\",\"year\":2004},\"texts\":[\"a\"]}"},
	    {"{\"texts\": [\"a\", \"b\"], \"label\": \"y\"}",
	     "{\"label\":\"y\",\"metadata\":{\"topic\":\"t\"},\"texts\":[\"a\",\"b\"]}"},
	    {"{\"metadata\": {\"topic\": \"u\", \"k\": [1]}, \"created_at\": \"now\"}",
	     "{\"label\":\"x\",\"metadata\":{\"topic\":\"u\",\"k\":[1]}}"},
	    {"{\"label\": null}", "{\"label\":null,\"metadata\":{\"topic\":\"t\"}}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *item = json_pack("{s:s, s:{s:s}}", "label", "x", "metadata", "topic", "t");
		struct ist_buf buf = {(char *)cases[i][0], strlen(cases[i][0]), 0};
		struct ist_err err = {0};
		char *got;

		assert_ist_ok(ist_sidecar_json(&buf, item, &err));
		got = item_of(item);
		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void broken_json(void **state)
{
	static const char *const cases[] = {"", "{", "[1]", "\"a\"", "{\"a\":1,\"a\":2}", "{} x"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_buf buf = {(char *)cases[i], strlen(cases[i]), 0};
		struct ist_err err = {0};
		json_t *item = json_object();

		assert_int_not_equal(ist_sidecar_json(&buf, item, &err), IST_OK);
		assert_int_equal(json_object_size(item), 0);
		json_decref(item);
	}
}

TEST_MAIN(cmocka_unit_test(translations), cmocka_unit_test(plain_texts),
	  cmocka_unit_test(what_is_no_text), cmocka_unit_test(json), cmocka_unit_test(broken_json))
