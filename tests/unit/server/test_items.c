/* Items on the wire: reading, merging, writing; and the scanner of vectors against the parser. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "server/item_json.h"
#include "server/json.h"
#include "server/vector_scan.h"

static const size_t dim[IST_N_MODALITIES] = {3, 2};

struct reading {
	struct ist_arena arena;
	json_t *json;
	struct ist_item_given given;
	struct ist_err err;
	enum ist_code code;
};

static struct reading parse(const char *text, const char *id, bool patch)
{
	struct reading r = {0};
	struct ist_item_source source = {.id = id, .patch = patch};

	assert_int_equal(ist_json_parse(text, strlen(text), &r.json, &r.err), IST_OK);
	source.json = r.json;
	r.code = ist_item_parse(&source, dim, &r.arena, &r.given, &r.err);
	return r;
}

static void finish(struct reading *r)
{
	json_decref(r->json);
	ist_arena_finish(&r->arena);
}

static void reads_everything(void **state)
{
	struct reading r = parse(
	    "{\"id\":\"seal\",\"image\":{\"base64\":\"AAEC\",\"type\":\"x\",\"width\":1,\"height\":"
	    "2,"
	    "\"bytes\":3},\"texts\":[\"A seal.\",\"Ein Seehund.\"],\"label\":\"animals\","
	    "\"metadata\":{\"b\":0.1,\"a\":[null]},\"created_at\":\"x\",\"updated_at\":\"y\","
	    "\"vectors\":{\"image\":[1,2,3],\"texts\":[[1,0],{\"base64\":\"AACAPwAAAEA=\"}]}}",
	    NULL, false);
	const struct ist_item *item = &r.given.item;

	assert_string_equal(r.err.text, "");
	assert_int_equal(r.code, IST_OK);
	assert_string_equal(item->id, "seal");
	assert_true(item->has_image);
	assert_int_equal(item->image.bytes, 3);
	assert_memory_equal(item->image.data, "\0\1\2", 3);
	assert_string_equal(item->image.sha256,
			    "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc");
	assert_int_equal(item->n_texts, 2);
	assert_string_equal(item->metadata, "{\"a\":[null],\"b\":0.1}");
	assert_true(item->image_vector[2] == 3);
	assert_int_equal(item->n_text_vectors, 2);
	assert_true(item->text_vectors[3] == 2);
	assert_true(item->given[IST_IMAGE] && item->given[IST_TEXT]);
	finish(&r);
}

static void refuses_with_pointer(void **state)
{
	static const struct {
		const char *json, *pointer;
		enum ist_code code;
	} cases[] = {
	    {"{}", "", IST_INVALID},
	    {"{\"label\":\"a\"}", "", IST_INVALID},
	    {"{\"texts\":[]}", "", IST_INVALID},
	    {"{\"id\":\"other\",\"texts\":[\"a\"]}", "/id", IST_INVALID},
	    {"{\"txt\":1}", "/txt", IST_INVALID},
	    {"{\"texts\":[\"\"]}", "/texts/0", IST_INVALID},
	    {"{\"texts\":[\"a\",1]}", "/texts/1", IST_INVALID},
	    {"{\"texts\":\"a\"}", "/texts", IST_INVALID},
	    {"{\"texts\":[\"a\"],\"label\":\"\"}", "/label", IST_INVALID},
	    {"{\"texts\":[\"a\"],\"metadata\":[]}", "/metadata", IST_INVALID},
	    {"{\"image\":{}}", "/image", IST_INVALID},
	    {"{\"image\":{\"base64\":\"!\"}}", "/image/base64", IST_INVALID},
	    {"{\"image\":{\"base64\":\"\"}}", "/image/base64", IST_INVALID},
	    {"{\"image\":{\"sha256\":\"ab\"}}", "/image/sha256", IST_INVALID},
	    {"{\"image\":{\"url\":\"x\"}}", "/image/url", IST_INVALID},
	    {"{\"vectors\":{\"image\":[1,2]}}", "/vectors/image", IST_DIM_MISMATCH},
	    {"{\"vectors\":{\"image\":[0,0,0]}}", "/vectors/image", IST_INVALID},
	    {"{\"vectors\":{\"texts\":[[1,2],[1]]}}", "/vectors/texts/1", IST_DIM_MISMATCH},
	    {"{\"texts\":[\"a\"],\"vectors\":{\"texts\":[[1,2],[1,2]]}}", "/vectors/texts",
	     IST_INVALID},
	    {"{\"vectors\":{\"audio\":[1]}}", "/vectors/audio", IST_INVALID},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		struct reading r = parse(cases[i].json, "seal", false);

		assert_int_equal(r.code, cases[i].code);
		assert_string_equal(r.err.pointer, cases[i].pointer);
		finish(&r);
	}
}

static void patches_say_what_they_touch(void **state)
{
	struct reading r = parse("{\"label\":null,\"metadata\":{\"a\":null}}", "seal", true);

	assert_int_equal(r.code, IST_OK);
	assert_int_equal(r.given.members, IST_ITEM_LABEL | IST_ITEM_METADATA);
	assert_true(json_is_object(r.given.metadata));
	finish(&r);
}

/* The examples of RFC 7396, appendix A, where the target is an object. */
static void merges_as_the_rfc_says(void **state)
{
	static const char *const cases[][3] = {
	    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
	    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
	    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
	    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
	    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
	    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
	    {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
	    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		json_t *target = json_loads(cases[i][0], 0, NULL);
		json_t *patch = json_loads(cases[i][1], 0, NULL);
		json_t *merged = ist_json_merge(target, patch);
		struct ist_buf buf = {0};

		ist_json_put(&buf, merged, true);
		assert_string_equal(buf.data, cases[i][2]);
		ist_buf_finish(&buf);
		json_decref(target);
		json_decref(patch);
		json_decref(merged);
	}
}

static void what_is_written_can_be_read(void **state)
{
	struct reading first =
	    parse("{\"texts\":[\"q\\\"\\n\xc3\xa9\"],\"label\":\"l\",\"metadata\":{\"x\":1},"
		  "\"vectors\":{\"image\":[0.1,-1e-7,3]}}",
		  "a/b", false);
	struct ist_buf buf = {0};
	struct reading again;

	ist_item_put(&buf, &first.given.item, dim, true);
	again = parse(buf.data, "a/b", false);
	assert_int_equal(again.code, IST_OK);
	assert_string_equal(again.given.item.texts[0], first.given.item.texts[0]);
	assert_string_equal(again.given.item.metadata, first.given.item.metadata);
	assert_memory_equal(again.given.item.image_vector, first.given.item.image_vector,
			    3 * sizeof(float));
	ist_buf_finish(&buf);
	finish(&first);
	finish(&again);
}

/* ---- the scanner ---- */

static void scanner_reads_as_the_parser(void **state)
{
	struct ist_vector_scan scan = {0};
	struct ist_rng rng;

	ist_rng_init(&rng, 1, "numbers");
	for (int i = 0; i < 2000; i++) {
		static const char *const forms[] = {"%.9g", "%.17g", "%.3f", "%.7e", "%.0f"};
		struct ist_arena arena = {0};
		struct ist_cut_vectors cut;
		char number[64], line[160];
		double x = ist_rng_normal(&rng) * pow(10, (double)ist_rng_below(&rng, 12) - 6) + 3;

		snprintf(number, sizeof(number), forms[i % 5], x);
		snprintf(line, sizeof(line),
			 "{\"id\":\"a\",\"vectors\":{\"image\": [1 , %s]},\"label\":\"b\"}",
			 number);
		if (ist_vector_scan_cut(&scan, (struct ist_str){line, strlen(line)}, &arena,
					&cut)) {
			assert_int_equal(cut.image_dim, 2);
			assert_true(cut.image[1] == (float)strtod(number, NULL));
			assert_string_equal(scan.rest.data,
					    "{\"id\":\"a\",\"vectors\":null,\"label\":\"b\"}");
		} else { /* only what has too many digits is left to the parser */
			assert_true(strlen(number) > 18);
		}
		ist_arena_finish(&arena);
	}
	ist_vector_scan_finish(&scan);
}

static void scanner_reads_texts(void **state)
{
	struct ist_vector_scan scan = {0};
	struct ist_arena arena = {0};
	struct ist_cut_vectors cut;
	const char line[] = "{\"metadata\":{\"x\":[1,{\"y\":\"]}\\\"\"}]},\"vectors\":"
			    "{\"texts\":[[1,2],[3,4]],\"image\":[5e0]}}";

	assert_true(ist_vector_scan_cut(&scan, (struct ist_str){line, strlen(line)}, &arena, &cut));
	assert_int_equal(cut.n_texts, 2);
	assert_int_equal(cut.texts_dim, 2);
	assert_true(cut.texts[3] == 4);
	assert_true(cut.image[0] == 5);
	ist_arena_finish(&arena);
	ist_vector_scan_finish(&scan);
}

static void scanner_leaves_the_rest_to_the_parser(void **state)
{
	static const char *const lines[] = {
	    "",
	    "[]",
	    "{\"id\":\"a\"}",
	    "{\"vectors\":null}",
	    "{\"vectors\":{}}",
	    "{\"vectors\":{\"image\":[]}}",
	    "{\"vectors\":{\"image\":[0,0]}}",
	    "{\"vectors\":{\"image\":[01]}}",
	    "{\"vectors\":{\"image\":[1.]}}",
	    "{\"vectors\":{\"image\":[.5]}}",
	    "{\"vectors\":{\"image\":[+1]}}",
	    "{\"vectors\":{\"image\":[-]}}",
	    "{\"vectors\":{\"image\":[1e]}}",
	    "{\"vectors\":{\"image\":[1e99]}}",
	    "{\"vectors\":{\"image\":[NaN]}}",
	    "{\"vectors\":{\"image\":[1,]}}",
	    "{\"vectors\":{\"image\":[1]",
	    "{\"vectors\":{\"image\":[1],\"image\":[2]}}",
	    "{\"vectors\":{\"image\":{\"base64\":\"AAAA\"}}}",
	    "{\"vectors\":{\"texts\":[[1],[1,2]]}}",
	    "{\"vectors\":{\"audio\":[1]}}",
	    "{\"v\\u0065ctors\":{\"image\":[1]}}",
	};

	for (size_t i = 0; i < IST_COUNT(lines); i++) {
		struct ist_vector_scan scan = {0};
		struct ist_arena arena = {0};
		struct ist_cut_vectors cut;

		assert_false(ist_vector_scan_cut(
		    &scan, (struct ist_str){lines[i], strlen(lines[i])}, &arena, &cut));
		ist_arena_finish(&arena);
		ist_vector_scan_finish(&scan);
	}
}

TEST_MAIN(cmocka_unit_test(reads_everything), cmocka_unit_test(refuses_with_pointer),
	  cmocka_unit_test(patches_say_what_they_touch), cmocka_unit_test(merges_as_the_rfc_says),
	  cmocka_unit_test(what_is_written_can_be_read),
	  cmocka_unit_test(scanner_reads_as_the_parser), cmocka_unit_test(scanner_reads_texts),
	  cmocka_unit_test(scanner_leaves_the_rest_to_the_parser))
