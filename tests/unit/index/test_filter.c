/*
 * Filters: what they mean, by a table of items and filters with the ids that must match; that the
 * short form says the same as JSON; what both refuse, and where.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/memory.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

static const struct {
	const char *id, *label, *metadata;
} items[] = {
    {"a", "animals", "{\"year\":2004,\"tags\":[\"red\",\"big\"],\"ok\":true}"},
    {"b", "animals", "{\"year\":2010.5,\"tags\":[],\"ok\":false,\"deep\":{\"x\":{\"y\":1}}}"},
    {"c", NULL, "{\"year\":\"2004\",\"tags\":\"red\",\"none\":null}"},
    {"d", "tools", "{\"year\":[1999,\"old\",2020],\"list\":[{\"k\":1},{\"k\":\"v\"}]}"},
    {"e", NULL, NULL},
    {"f", "ünïcode", "{\"name\":\"äb\",\"year\":-3,\"big\":9007199254740993}"},
};

/* text NULL: the short form cannot say it. */
static const struct {
	const char *json, *text, *ids;
} cases[] = {
    {"{\"eq\":{\"label\":\"animals\"}}", "label=animals", "a,b"},
    {"{\"ne\":{\"label\":\"animals\"}}", "label!=animals", "d,f"},
    {"{\"eq\":{\"label\":\"ünïcode\"}}", "label=\"ünïcode\"", "f"},
    {"{\"eq\":{\"id\":\"c\"}}", "id=c", "c"},
    {"{\"ne\":{\"id\":\"c\"}}", "id != c", "a,b,d,e,f"},
    {"{\"gt\":{\"id\":\"c\"}}", "id>c", "d,e,f"},
    {"{\"gte\":{\"id\":\"c\"}}", "id>=c", "c,d,e,f"},
    {"{\"lt\":{\"id\":\"c\"}}", "id<c", "a,b"},
    {"{\"lte\":{\"id\":\"c\"}}", "id<=c", "a,b,c"},
    {"{\"eq\":{\"id\":7}}", "id=7", ""},
    {"{\"exists\":\"id\"}", NULL, "a,b,c,d,e,f"},
    {"{\"prefix\":{\"id\":\"a\"}}", NULL, "a"},
    {"{\"in\":{\"id\":[\"a\",\"f\",\"zz\",\"a\"]}}", "id in [a, f, zz, a]", "a,f"},
    {"{\"in\":{\"id\":[]}}", "id in []", ""},
    {"{\"eq\":{\"metadata.year\":2004}}", "year=2004", "a"},
    {"{\"eq\":{\"metadata.year\":2004.0}}", "metadata.year=2004.0", "a"},
    {"{\"eq\":{\"metadata.year\":\"2004\"}}", "year=\"2004\"", "c"},
    {"{\"ne\":{\"metadata.year\":2004}}", "year!=2004", "b,d,f"},
    {"{\"ne\":{\"metadata.year\":1999}}", "year!=1999", "a,b,d,f"},
    {"{\"ne\":{\"metadata.year\":\"old\"}}", "year!=old", "c"},
    {"{\"gt\":{\"metadata.year\":2004}}", "year>2004", "b,d"},
    {"{\"gte\":{\"metadata.year\":2004}}", "year>=2004", "a,b,d"},
    {"{\"lt\":{\"metadata.year\":2004}}", "year<2004", "d,f"},
    {"{\"lte\":{\"metadata.year\":2004}}", "year<=2004", "a,d,f"},
    {"{\"gt\":{\"metadata.year\":\"a\"}}", "year>a", "d"},
    {"{\"lt\":{\"metadata.year\":\"3\"}}", "year<\"3\"", "c"},
    {"{\"in\":{\"metadata.year\":[2004,\"2004\",-3]}}", "year in [2004, '2004', -3]", "a,c,f"},
    {"{\"eq\":{\"metadata.tags\":\"red\"}}", "tags=red", "a,c"},
    {"{\"ne\":{\"metadata.tags\":\"red\"}}", "tags!=red", "a"},
    {"{\"exists\":\"metadata.tags\"}", NULL, "a,b,c"},
    {"{\"exists\":\"metadata.none\"}", NULL, ""},
    {"{\"exists\":\"metadata.deep\"}", NULL, "b"},
    {"{\"exists\":\"metadata.nobody\"}", NULL, ""},
    {"{\"eq\":{\"metadata.deep.x.y\":1}}", "deep.x.y=1", "b"},
    {"{\"eq\":{\"metadata.list.k\":1}}", "list.k=1", "d"},
    {"{\"eq\":{\"metadata.list.k\":\"v\"}}", "list.k=v", "d"},
    {"{\"eq\":{\"metadata.ok\":true}}", "ok=true", "a"},
    {"{\"ne\":{\"metadata.ok\":true}}", "ok!=true", "b"},
    {"{\"eq\":{\"metadata.ok\":1}}", "ok=1", ""},
    {"{\"eq\":{\"metadata.ok\":\"true\"}}", "ok=\"true\"", ""},
    {"{\"prefix\":{\"metadata.name\":\"ä\"}}", NULL, "f"},
    {"{\"prefix\":{\"metadata.name\":\"\"}}", NULL, "f"},
    {"{\"prefix\":{\"metadata.year\":\"20\"}}", NULL, "c"},
    {"{\"eq\":{\"metadata.big\":9007199254740993}}", "big=9007199254740993", "f"},
    {"{\"eq\":{\"metadata.big\":9007199254740992}}", "big=9007199254740992", ""},
    {"{\"eq\":{\"has\":\"image\"}}", "has=image", "a,b,c,d,e,f"},
    {"{\"ne\":{\"has\":\"image\"}}", "has!=image", "a,b,c,d,e,f"},
    {"{\"not\":{\"eq\":{\"label\":\"animals\"}}}", "not label=animals", "c,d,e,f"},
    {"{\"not\":{\"not\":{\"eq\":{\"id\":\"a\"}}}}", "not not id=a", "a"},
    {"{\"all\":[]}", NULL, "a,b,c,d,e,f"},
    {"{}", NULL, "a,b,c,d,e,f"},
    {"{\"any\":[]}", NULL, ""},
    {"{\"not\":{\"any\":[]}}", NULL, "a,b,c,d,e,f"},
    {"{\"all\":[{\"eq\":{\"label\":\"animals\"}},{\"gte\":{\"metadata.year\":2005}}]}",
     "label=animals and year>=2005", "b"},
    {"{\"any\":[{\"eq\":{\"label\":\"tools\"}},{\"eq\":{\"id\":\"e\"}}]}", "label=tools or id=e",
     "d,e"},
    {"{\"any\":[{\"all\":[{\"eq\":{\"id\":\"a\"}},{\"eq\":{\"id\":\"b\"}}]},{\"eq\":{\"id\":\"c\"}}"
     "]}",
     "id=a AND id=b OR id=c", "c"},
    {"{\"all\":[{\"eq\":{\"id\":\"a\"}},{\"any\":[{\"eq\":{\"id\":\"b\"}},{\"eq\":{\"id\":\"a\"}}]}"
     "]}",
     "id=a and (id=b or id=a)", "a"},
    {"{\"all\":[{\"not\":{\"eq\":{\"id\":\"a\"}}},{\"not\":{\"eq\":{\"label\":\"tools\"}}}]}",
     "not id=a and not label=tools", "b,c,e,f"},
    {"{\"any\":[{\"not\":{\"exists\":\"label\"}},{\"eq\":{\"id\":\"a\"}}]}", NULL, "a,c,e"},
};

static int setup(void **state)
{
	int rc = fixture_setup(state);
	struct fixture *f = *state;

	for (size_t i = 0; i < IST_COUNT(items); i++)
		fixture_put(f, items[i].id, (unsigned)i, items[i].label, items[i].metadata);
	/* Another collection, a replaced and a deleted item must not show up. */
	fixture_put(f, "gone", 50, "animals", "{\"year\":2004}");
	fixture_delete(f, "gone");
	fixture_put(f, "e", 60, "animals", "{\"year\":2004}");
	fixture_put(f, "e", 61, NULL, NULL);
	return rc;
}

static const char *ids_of(struct fixture *f, const struct ist_filter *filter)
{
	ist_auto(ist_buf_finish) struct ist_buf ids = {0};
	struct ist_item *list;
	struct ist_err err = {0};
	int64_t count;
	size_t n;

	assert_ist_ok(ist_items_list(f->c, filter, NULL, 100, false, &f->arena, &list, &n, &err));
	assert_ist_ok(ist_items_count(f->c, filter, &count, &err));
	assert_int_equal(count, n);
	for (size_t i = 0; i < n; i++)
		ist_buf_printf(&ids, "%s%s", i > 0 ? "," : "", list[i].id);
	return ist_arena_strdup(&f->arena, ids.data != NULL ? ids.data : "");
}

static void test_meaning(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct ist_filter *filter = NULL;
		struct ist_err err = {0};
		json_t *tree = json_loads(cases[i].json, 0, NULL);
		const char *ids;

		assert_non_null(tree);
		assert_ist_ok(ist_filter_parse_json(tree, &filter, &err));
		ids = ids_of(f, filter);
		if (strcmp(ids, cases[i].ids) != 0)
			fail_msg("%s: got %s, not %s", cases[i].json, ids, cases[i].ids);
		ist_filter_destroy(filter);
		json_decref(tree);
		if (cases[i].text == NULL)
			continue;
		assert_ist_ok(ist_filter_parse_text(cases[i].text, &filter, &err));
		ids = ids_of(f, filter);
		if (strcmp(ids, cases[i].ids) != 0)
			fail_msg("%s: got %s, not %s", cases[i].text, ids, cases[i].ids);
		ist_filter_destroy(filter);
	}
}

static void test_bad_json(void **state)
{
	static const struct {
		const char *json, *pointer;
	} bad[] = {
	    {"[]", ""},
	    {"\"label\"", ""},
	    {"{\"eq\":{\"label\":\"a\"},\"ne\":{\"label\":\"b\"}}", ""},
	    {"{\"equal\":{\"label\":\"a\"}}", "/equal"},
	    {"{\"eq\":{\"label\":\"a\",\"id\":\"b\"}}", "/eq"},
	    {"{\"eq\":{\"colour\":\"a\"}}", "/eq/colour"},
	    {"{\"eq\":{\"metadata.\":\"a\"}}", "/eq/metadata."},
	    {"{\"eq\":{\"metadata.a\":null}}", "/eq/metadata.a"},
	    {"{\"eq\":{\"metadata.a\":[1]}}", "/eq/metadata.a"},
	    {"{\"eq\":{\"has\":\"sound\"}}", "/eq/has"},
	    {"{\"gt\":{\"metadata.a\":true}}", "/gt/metadata.a"},
	    {"{\"prefix\":{\"metadata.a\":1}}", "/prefix/metadata.a"},
	    {"{\"in\":{\"metadata.a\":1}}", "/in/metadata.a"},
	    {"{\"in\":{\"metadata.a~b/c\":[1,{}]}}", "/in/metadata.a~0b~1c/1"},
	    {"{\"exists\":{\"metadata.a\":1}}", "/exists"},
	    {"{\"exists\":\"colour\"}", "/exists"},
	    {"{\"all\":{\"eq\":{\"label\":\"a\"}}}", "/all"},
	    {"{\"all\":[{\"eq\":{\"label\":\"a\"}},{\"any\":[{\"x\":1}]}]}", "/all/1/any/0/x"},
	    {"{\"not\":[]}", "/not"},
	};

	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		struct ist_filter *filter = NULL;
		struct ist_err err = {0};
		json_t *tree = json_loads(bad[i].json, JSON_DECODE_ANY, NULL);

		assert_non_null(tree);
		assert_int_equal(ist_filter_parse_json(tree, &filter, &err), IST_INVALID);
		assert_string_equal(err.pointer, bad[i].pointer);
		assert_null(filter);
		json_decref(tree);
	}
}

static void test_bad_text(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
	    {"", "position 1"},
	    {"label", "position 6"},
	    {"label=", "position 7"},
	    {"=a", "position 1"},
	    {"label=a and", "position 12"},
	    {"label=a label=b", "position 9"},
	    {"(label=a", "position 9"},
	    {"label=a)", "position 8"},
	    {"label=\"a", "position 7"},
	    {"label in a", "position 10"},
	    {"label in [a", "position 12"},
	    {"label in [a b]", "position 13"},
	    {"label ! a", "position 7"},
	    {"has=sound", "position 5"},
	    {"year>true", "position 6"},
	    {"label=a or or label=b", "position 12"},
	    {"label=\"\xff\"", "position 7"},
	};

	for (size_t i = 0; i < IST_COUNT(bad); i++) {
		struct ist_filter *filter = NULL;
		struct ist_err err = {0};

		assert_int_equal(ist_filter_parse_text(bad[i].text, &filter, &err), IST_INVALID);
		if (strstr(err.text, bad[i].says) == NULL)
			fail_msg("%s: %s, not %s", bad[i].text, err.text, bad[i].says);
		assert_null(filter);
	}
}

/* {"not": {"not": … {"eq": …}}} with n objects, and n values in a list. */
static enum ist_code parse_deep(int n)
{
	struct ist_filter *filter = NULL;
	json_t *tree = json_pack("{s{ss}}", "eq", "label", "a");
	enum ist_code code;

	for (int i = 1; i < n; i++)
		tree = json_pack("{so}", "not", tree);
	code = ist_filter_parse_json(tree, &filter, NULL);
	ist_filter_destroy(filter);
	json_decref(tree);
	return code;
}

static enum ist_code parse_wide(int n)
{
	struct ist_filter *filter = NULL;
	json_t *list = json_array(), *tree;
	enum ist_code code;

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_integer(i));
	tree = json_pack("{s{so}}", "in", "metadata.a", list);
	code = ist_filter_parse_json(tree, &filter, NULL);
	ist_filter_destroy(filter);
	json_decref(tree);
	return code;
}

static void test_limits(void **state)
{
	struct ist_filter *filter = NULL;
	struct ist_buf text = {0};

	assert_int_equal(parse_deep(16), IST_OK);
	assert_int_equal(parse_deep(17), IST_INVALID);
	assert_int_equal(parse_wide(1000), IST_OK);
	assert_int_equal(parse_wide(1001), IST_INVALID);
	for (int i = 0; i < 100000; i++)
		ist_buf_putc(&text, '(');
	assert_int_equal(ist_filter_parse_text(text.data, &filter, NULL), IST_INVALID);
	text.len = 0;
	for (int i = 0; i < 100000; i++)
		ist_buf_puts(&text, "not ");
	assert_int_equal(ist_filter_parse_text(text.data, &filter, NULL), IST_INVALID);
	ist_buf_finish(&text);
}

static void test_is_empty(void **state)
{
	static const struct {
		const char *json;
		bool empty;
	} some[] = {
	    {"{}", true},
	    {"{\"all\":[]}", true},
	    {"{\"any\":[]}", false},
	    {"{\"not\":{\"any\":[]}}", true},
	    {"{\"not\":{}}", false},
	    {"{\"all\":[{},{\"all\":[]}]}", true},
	    {"{\"all\":[{},{\"eq\":{\"id\":\"a\"}}]}", false},
	    {"{\"any\":[{},{\"eq\":{\"id\":\"a\"}}]}", true},
	    {"{\"not\":{\"in\":{\"id\":[]}}}", true},
	    {"{\"eq\":{\"id\":\"a\"}}", false},
	};

	assert_true(ist_filter_is_empty(NULL));
	for (size_t i = 0; i < IST_COUNT(some); i++) {
		struct ist_filter *filter = NULL;
		struct ist_err err = {0};
		json_t *tree = json_loads(some[i].json, 0, NULL);

		assert_ist_ok(ist_filter_parse_json(tree, &filter, &err));
		assert_int_equal(ist_filter_is_empty(filter), some[i].empty);
		ist_filter_destroy(filter);
		json_decref(tree);
	}
}

TEST_MAIN(cmocka_unit_test_setup_teardown(test_meaning, setup, fixture_teardown),
	  cmocka_unit_test(test_bad_json), cmocka_unit_test(test_bad_text),
	  cmocka_unit_test(test_limits), cmocka_unit_test(test_is_empty))
