/* Items in and out, and what searches see of them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

static void test_put_get(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};
	struct ist_item item;

	assert_int_equal(fixture_put(f, "seal", 1, "animals", "{\"year\":2004}"), IST_CREATED);
	assert_int_equal(fixture_put(f, "seal", 1, "animals", "{\"year\":2004}"), IST_UNCHANGED);
	assert_ist_ok(ist_item_get(f->c, "seal", true, &f->arena, &item, &err));
	assert_string_equal(item.id, "seal");
	assert_string_equal(item.label, "animals");
	assert_string_equal(item.metadata, "{\"year\":2004}");
	assert_int_equal(item.n_texts, 1);
	assert_string_equal(item.texts[0], "text 1");
	assert_int_equal(item.n_text_vectors, 1);
	assert_true(item.given[IST_IMAGE] && item.given[IST_TEXT]);
	assert_false(item.has_image);
	assert_int_equal(fixture_put(f, "seal", 2, NULL, NULL), IST_UPDATED);
	assert_ist_ok(ist_item_get(f->c, "seal", false, &f->arena, &item, &err));
	assert_null(item.label);
	assert_null(item.metadata);
	assert_null(item.image_vector);
	assert_true(item.updated_us >= item.created_us);
	assert_int_equal(ist_item_get(f->c, "owl", false, &f->arena, &item, &err), IST_NOT_FOUND);
}

static void test_search_sees_writes(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(fixture_search(f, 1, 10, NULL), "");
	fixture_put(f, "a", 1, NULL, NULL);
	fixture_put(f, "b", 2, NULL, NULL);
	assert_string_equal(fixture_search(f, 1, 1, NULL), "a");
	assert_string_equal(fixture_search(f, 2, 1, NULL), "b");
	fixture_put(f, "a", 3, NULL, NULL);
	assert_string_equal(fixture_search(f, 3, 1, NULL), "a");
	assert_int_equal(strlen(fixture_search(f, 1, 10, NULL)), 3);
	fixture_delete(f, "a");
	assert_string_equal(fixture_search(f, 3, 10, NULL), "b");
	fixture_reopen(f);
	assert_string_equal(fixture_search(f, 3, 10, NULL), "b");
}

static void test_info_counts(void **state)
{
	struct fixture *f = *state;
	struct ist_collection_info info;
	struct ist_err err = {0};

	fixture_put(f, "a", 1, "x", NULL);
	fixture_put(f, "b", 2, NULL, NULL);
	fixture_put(f, "b", 3, "y", NULL);
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.items, 2);
	assert_int_equal(info.images, 2);
	assert_int_equal(info.texts, 2);
	assert_int_equal(info.labelled, 2);
	assert_int_equal(info.embedded, 2);
	assert_string_equal(info.active_model, "identity");
	assert_string_equal(info.index_state, "ready");
	fixture_delete(f, "a");
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.items, 1);
	assert_int_equal(info.labelled, 1);
}

static void test_filtered_search(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 100; i++) {
		char id[16], metadata[64];

		snprintf(id, sizeof(id), "i%02u", i);
		snprintf(metadata, sizeof(metadata), "{\"n\":%u}", i);
		fixture_put(f, id, i, i % 2 ? "odd" : "even", metadata);
	}
	assert_string_equal(fixture_search(f, 7, 1, "label=odd"), "i07");
	assert_string_equal(fixture_search(f, 7, 1, "n=7"), "i07");
	assert_string_equal(fixture_search(f, 7, 10, "n=50"), "i50");
	assert_string_equal(fixture_search(f, 7, 10, "label=odd and n=50"), "");
	assert_int_equal(strlen(fixture_search(f, 7, 100, "n>=90 and not n=95")), 9 * 4 - 1);
	assert_int_equal(strlen(fixture_search(f, 7, 100, "label=odd")), 50 * 4 - 1);
}

/* Vectors that are all the same: the order is that of the ids, whatever k was. */
static void test_ties_by_id(void **state)
{
	struct fixture *f = *state;

	for (int i = 29; i >= 0; i--) {
		char id[16];

		snprintf(id, sizeof(id), "t%02d", (i * 7) % 30);
		fixture_put(f, id, 5, NULL, NULL);
	}
	assert_string_equal(fixture_search(f, 5, 5, NULL), "t00,t01,t02,t03,t04");
	assert_int_equal(strlen(fixture_search(f, 5, 100, NULL)), 30 * 4 - 1);
}

static void test_bad_items_fail_alone(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};
	struct fixture_item good, empty, nan, metadata, picture;
	struct ist_write writes[] = {{.item = &empty.item},
				     {.item = &good.item},
				     {.item = &nan.item},
				     {.item = &metadata.item},
				     {.item = &picture.item},
				     {.id = "nobody"},
				     {.item = &good.item, .expect_row = 999}};

	fixture_make(&good, "good", 1);
	fixture_make(&empty, "empty", 1);
	empty.item = (struct ist_item){.id = "empty"};
	fixture_make(&nan, "nan", 1);
	nan.image[3] = NAN;
	fixture_make(&metadata, "metadata", 1);
	metadata.item.metadata = "[1]";
	fixture_make(&picture, "picture", 1);
	picture.item.has_image = true;
	memset(picture.item.image.sha256, 'a', IST_SHA256_HEX - 1);
	assert_ist_ok(ist_items_write(f->c, writes, IST_COUNT(writes), &err));
	assert_int_equal(writes[0].err.code, IST_INVALID);
	assert_int_equal(writes[1].status, IST_CREATED);
	assert_int_equal(writes[2].err.code, IST_INVALID);
	assert_int_equal(writes[3].err.code, IST_INVALID);
	assert_int_equal(writes[4].err.code, IST_NOT_FOUND);
	assert_int_equal(writes[5].err.code, IST_NOT_FOUND);
	assert_int_equal(writes[6].err.code, IST_CONFLICT);
	for (size_t i = 0; i < IST_COUNT(writes); i++)
		assert_int_equal(writes[i].status == IST_FAILED, i != 1);
	assert_string_equal(fixture_search(f, 1, 10, NULL), "good");
}

TEST_MAIN(cmocka_unit_test_setup_teardown(test_put_get, fixture_setup, fixture_teardown),
	  cmocka_unit_test_setup_teardown(test_search_sees_writes, fixture_setup, fixture_teardown),
	  cmocka_unit_test_setup_teardown(test_info_counts, fixture_setup, fixture_teardown),
	  cmocka_unit_test_setup_teardown(test_filtered_search, fixture_setup, fixture_teardown),
	  cmocka_unit_test_setup_teardown(test_ties_by_id, fixture_setup, fixture_teardown),
	  cmocka_unit_test_setup_teardown(test_bad_items_fail_alone, fixture_setup,
					  fixture_teardown))
