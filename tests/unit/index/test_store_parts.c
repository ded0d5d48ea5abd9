/*
 * The smaller parts of the store: collections, pictures, pages and exports, triples, jobs, the
 * folder's lock.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "index/maintenance.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

/* ---- collections ---- */

static const struct ist_encoder_ref small[] = {{"external", 4}, {"external", 3}};
static const bool no_counts[IST_N_MODALITIES];

static void test_collections(void **state)
{
	static const struct ist_encoder_ref other[] = {{"external", 4}, {"ngrams", 3}};
	struct fixture *f = *state;
	struct ist_split split = {.validation = 0.3, .test = 0.1, .seed = UINT64_MAX, .field = "p"};
	struct ist_collection *c, *again;
	struct ist_collection_info info;
	struct ist_err err = {0};
	json_t *names;
	bool created;

	assert_ist_ok(ist_store_collection_put(f->store, "b/ü", small, no_counts, true, NULL,
					       &created, &c, &err));
	assert_true(created);
	assert_int_equal(ist_collection_encoder(c, IST_TEXT)->dim, 3);
	assert_ist_ok(ist_collection_info(c, &info, &err));
	assert_true(info.split.validation == 0.1 && info.split.test == 0.2 && info.split.seed == 0);
	assert_ist_ok(ist_store_collection_put(f->store, "b/ü", small, no_counts, true, &split,
					       &created, &again, &err));
	assert_false(created);
	assert_ptr_equal(c, again);
	ist_collection_unref(again);
	assert_ist_ok(ist_collection_info(c, &info, &err));
	assert_true(info.split.seed == UINT64_MAX && info.split.validation == 0.3);
	assert_string_equal(info.split.field, "p");
	assert_int_equal(ist_store_collection_put(f->store, "b/ü", other, no_counts, true, NULL,
						  &created, &again, &err),
			 IST_ENCODER_MISMATCH);
	split.field[0] = '\0';
	assert_ist_ok(ist_collection_set_split(c, &split, &err));
	assert_ist_ok(ist_store_collection_names(f->store, "", 10, &names, &err));
	assert_int_equal(json_array_size(names), 2);
	assert_string_equal(json_string_value(json_array_get(names, 0)), "b/ü");
	json_decref(names);
	assert_ist_ok(ist_store_collection_names(f->store, "b/ü", 10, &names, &err));
	assert_int_equal(json_array_size(names), 1);
	json_decref(names);
	assert_int_equal(ist_store_collection_get(f->store, "nobody", &again, &err), IST_NOT_FOUND);
	ist_collection_unref(c);
}

/* The name is free at once; the old handle answers that it is gone; its items are purged. */
static void test_delete_collection(void **state)
{
	struct fixture *f = *state;
	struct ist_collection *old = f->c, *again;
	struct ist_reader reader;
	struct ist_collection_info info;
	struct ist_item item;
	struct ist_err err = {0};

	fixture_put_many(f, 0, 30);
	assert_string_equal(fixture_search(f, 3, 1, NULL), "i003");
	assert_ist_ok(ist_reader_init(&reader, old, NULL, &err));
	assert_ist_ok(ist_collection_delete(old, &err));
	assert_int_equal(ist_collection_delete(old, &err), IST_NOT_FOUND);
	assert_int_equal(ist_item_get(old, "i003", false, &f->arena, &item, &err), IST_NOT_FOUND);
	assert_int_equal(ist_collection_info(old, &info, &err), IST_NOT_FOUND);
	ist_reader_finish(&reader);
	assert_int_equal(ist_store_collection_get(f->store, "c", &again, &err), IST_NOT_FOUND);
	fixture_reopen(f);
	assert_string_equal(fixture_search(f, 3, 10, NULL), "");
	fixture_put(f, "i003", 3, NULL, NULL);
	ist_maintenance_purge(f->store);
	assert_string_equal(fixture_search(f, 3, 10, NULL), "i003");
	fixture_reopen(f);
	assert_string_equal(fixture_search(f, 3, 10, NULL), "i003");
}

/* ---- pictures ---- */

static void put_picture(struct fixture *f, const char *id, const char *bytes)
{
	struct ist_err err = {0};
	struct fixture_item item;
	struct ist_write write = {.item = &item.item};

	fixture_make(&item, id, 1);
	item.item.has_image = true;
	ist_sha256_hex(bytes, strlen(bytes), item.item.image.sha256);
	item.item.image.type = "image/png";
	item.item.image.width = 30;
	item.item.image.height = 20;
	item.item.image.bytes = strlen(bytes);
	item.item.image.data = bytes;
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_int_not_equal(write.status, IST_FAILED);
}

static enum ist_code open_picture(struct fixture *f, const char *bytes)
{
	char sha256[IST_SHA256_HEX], read_back[64] = "";
	struct ist_err err = {0};
	uint64_t n;
	enum ist_code code;
	int fd;

	ist_sha256_hex(bytes, strlen(bytes), sha256);
	if ((code = ist_media_open(f->store, sha256, &fd, &n, &err)) != IST_OK)
		return code;
	assert_int_equal(n, strlen(bytes));
	assert_int_equal(read(fd, read_back, sizeof(read_back)), (ssize_t)n);
	assert_string_equal(read_back, bytes);
	close(fd);
	return IST_OK;
}

static void test_pictures(void **state)
{
	struct fixture *f = *state;
	struct ist_store_stats stats;
	struct ist_item item;
	struct ist_err err = {0};
	char sha256[IST_SHA256_HEX];

	put_picture(f, "a", "one picture");
	put_picture(f, "b", "one picture");
	ist_sha256_hex("one picture", 11, sha256);
	assert_ist_ok(ist_media_find(f->store, sha256, &f->arena, &item, &err));
	assert_int_equal(item.image.width, 30);
	assert_string_equal(item.image.type, "image/png");
	assert_ist_ok(ist_item_get(f->c, "a", false, &f->arena, &item, &err));
	assert_true(item.has_image);
	assert_string_equal(item.image.sha256, sha256);
	assert_int_equal(item.image.bytes, 11);
	fixture_delete(f, "a");
	assert_int_equal(open_picture(f, "one picture"), IST_OK);
	put_picture(f, "b", "another");
	assert_int_equal(open_picture(f, "one picture"), IST_NOT_FOUND);
	assert_int_equal(ist_media_find(f->store, sha256, &f->arena, &item, &err), IST_NOT_FOUND);
	assert_int_equal(open_picture(f, "another"), IST_OK);
	ist_store_stats(f->store, &stats);
	assert_int_equal(stats.media_bytes, 7);
	assert_int_equal(ist_media_find(f->store, "xyz", &f->arena, &item, &err), IST_INVALID);
}

/* A picture that the store holds may be named without its bytes. */
static void test_known_picture(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};
	struct fixture_item item;
	struct ist_item found;
	struct ist_write write = {.item = &item.item};

	put_picture(f, "a", "one picture");
	fixture_make(&item, "b", 2);
	item.item.has_image = true;
	ist_sha256_hex("one picture", 11, item.item.image.sha256);
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_int_equal(write.status, IST_CREATED);
	fixture_delete(f, "a");
	assert_int_equal(open_picture(f, "one picture"), IST_OK);
	ist_sha256_hex("unknown", 7, item.item.image.sha256);
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_int_equal(write.status, IST_FAILED);
	assert_int_equal(write.err.code, IST_NOT_FOUND);
	/* An update may keep the picture that it alone has. */
	item.item.label = "changed";
	ist_sha256_hex("one picture", 11, item.item.image.sha256);
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_int_equal(write.status, IST_UPDATED);
	assert_ist_ok(ist_media_find(f->store, item.item.image.sha256, &f->arena, &found, &err));
	assert_int_equal(found.image.width, 30);
	/* The failed one left the old version as it was. */
	assert_int_equal(open_picture(f, "one picture"), IST_OK);
	assert_string_equal(fixture_search(f, 2, 5, NULL), "b");
}

/* What no row names is swept; what is pinned or named stays. */
static void test_sweep(void **state)
{
	struct fixture *f = *state;
	char sha256[IST_SHA256_HEX];
	ist_autofree char *orphan = NULL;
	int fd;

	put_picture(f, "a", "one picture");
	ist_sha256_hex("one picture", 11, sha256);
	sha256[2] = sha256[2] == '0' ? '1' : '0'; /* the same folder, another name */
	orphan = ist_format("%s/media/%.2s/%s", f->folder, sha256, sha256);
	fd = open(orphan, O_WRONLY | O_CREAT, 0666);
	assert_true(fd >= 0);
	close(fd);
	ist_media_sweep(f->store);
	assert_int_not_equal(access(orphan, F_OK), 0);
	assert_int_equal(open_picture(f, "one picture"), IST_OK);
}

/* ---- pages ---- */

static void test_pages(void **state)
{
	struct fixture *f = *state;
	struct ist_filter *filter = NULL;
	struct ist_err err = {0};
	char after[16] = "";
	size_t n, total = 0;

	fixture_put_many(f, 0, 57);
	assert_ist_ok(ist_filter_parse_text("label=odd", &filter, &err));
	do {
		struct ist_item *list;

		assert_ist_ok(
		    ist_items_list(f->c, filter, after, 10, false, &f->arena, &list, &n, &err));
		for (size_t i = 0; i < n; i++) {
			assert_true(strcmp(list[i].id, after) > 0);
			assert_string_equal(list[i].label, "odd");
			snprintf(after, sizeof(after), "%s", list[i].id);
		}
		total += n;
	} while (n == 10);
	assert_int_equal(total, 28);
	ist_filter_destroy(filter);
}

/* All items of one collection, written into another, are the same there. */
static void test_copy_is_equal(void **state)
{
	struct fixture *f = *state;
	static const struct ist_encoder_ref encoder[] = {{"external", FIXTURE_IMAGE_DIM},
							 {"external", FIXTURE_TEXT_DIM}};
	struct ist_collection *copy;
	struct ist_item *list, *other;
	struct ist_err err = {0};
	bool created;
	size_t n, n_other;

	fixture_put_many(f, 0, 40);
	put_picture(f, "picture", "one picture");
	assert_ist_ok(ist_store_collection_put(f->store, "copy", encoder, no_counts, false, NULL,
					       &created, &copy, &err));
	assert_ist_ok(ist_items_list(f->c, NULL, "", 100, true, &f->arena, &list, &n, &err));
	for (size_t i = 0; i < n; i++) {
		struct ist_write write = {.item = &list[i]};
		bool unchanged;

		assert_ist_ok(ist_items_write(copy, &write, 1, &err));
		assert_int_equal(write.status, IST_CREATED);
		assert_ist_ok(ist_item_unchanged(copy, &list[i], &unchanged, &err));
		assert_true(unchanged);
	}
	assert_ist_ok(ist_items_list(copy, NULL, "", 100, true, &f->arena, &other, &n_other, &err));
	assert_int_equal(n, n_other);
	for (size_t i = 0; i < n; i++) {
		size_t dim[] = {FIXTURE_IMAGE_DIM, FIXTURE_TEXT_DIM};
		uint8_t a[IST_ITEM_FINGERPRINT], b[IST_ITEM_FINGERPRINT];

		assert_string_equal(list[i].id, other[i].id);
		ist_item_fingerprint(&list[i], dim, a);
		ist_item_fingerprint(&other[i], dim, b);
		assert_memory_equal(a, b, sizeof(a));
		assert_int_equal(list[i].image.width, other[i].image.width);
	}
	ist_collection_unref(copy);
}

/* ---- triples ---- */

static void test_triples(void **state)
{
	static const float text[FIXTURE_TEXT_DIM] = {1};
	struct fixture *f = *state;
	struct ist_triple triples[] = {
	    {.reference = "i000", .text = "darker", .target = "i001", .text_vector = text},
	    {.reference = "i000", .text = "darker", .target = "nobody", .text_vector = text},
	    {.reference = "ghost", .text = "darker", .target = "i001", .text_vector = text},
	    {.reference = "i002", .text = "lighter", .target = "i000", .text_vector = text},
	};
	struct ist_collection_info info;
	struct ist_err err = {0};

	fixture_put_many(f, 0, 4);
	assert_ist_ok(ist_triples_write(f->c, triples, IST_COUNT(triples), &err));
	assert_int_equal(triples[0].status, IST_CREATED);
	assert_int_equal(triples[1].err.code, IST_NOT_FOUND);
	assert_non_null(strstr(triples[1].err.text, "target"));
	assert_non_null(strstr(triples[2].err.text, "reference"));
	assert_int_equal(triples[3].status, IST_CREATED);
	assert_ist_ok(ist_triples_write(f->c, triples, 1, &err));
	assert_int_equal(triples[0].status, IST_UNCHANGED);
	fixture_put(f, "i001", 77, NULL, NULL);
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.triples, 2);
	fixture_delete(f, "i001");
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.triples, 1);
	fixture_delete(f, "i000");
	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	assert_int_equal(info.triples, 0);
}

/* ---- jobs ---- */

static void add_job(struct fixture *f, const char *collection, const char *key, char ret_id[32])
{
	struct ist_err err = {0};
	struct ist_job_row row = {.kind = "train",
				  .collection = collection,
				  .state = "queued",
				  .request = "{}",
				  .idempotency_key = key};

	assert_ist_ok(ist_jobs_add(f->store, &row, &err));
	assert_true(row.created_us > 0);
	snprintf(ret_id, 32, "%s", row.id);
}

static void test_jobs(void **state)
{
	struct fixture *f = *state;
	struct ist_job_row row, *list;
	struct ist_err err = {0};
	char first[32], second[32];
	size_t n;

	add_job(f, "c", "key-1", first);
	add_job(f, NULL, NULL, second);
	assert_string_equal(first, "j_1");
	row = (struct ist_job_row){
	    .kind = "x", .state = "queued", .request = "{}", .idempotency_key = "key-1"};
	assert_int_equal(ist_jobs_add(f->store, &row, &err), IST_CONFLICT);
	assert_ist_ok(ist_jobs_find_key(f->store, "key-1", &f->arena, &row, &err));
	assert_string_equal(row.id, first);
	assert_int_equal(ist_jobs_find_key(f->store, "key-2", &f->arena, &row, &err),
			 IST_NOT_FOUND);
	assert_ist_ok(ist_jobs_get(f->store, first, &f->arena, &row, &err));
	row.state = "running";
	row.progress = "{\"progress\":0.5}";
	row.attempts = 1;
	row.started_us = 5;
	assert_ist_ok(ist_jobs_update(f->store, &row, "queued", &err));
	assert_int_equal(ist_jobs_update(f->store, &row, "queued", &err), IST_CONFLICT);
	fixture_reopen(f);
	assert_ist_ok(ist_jobs_get(f->store, first, &f->arena, &row, &err));
	assert_string_equal(row.state, "running");
	assert_string_equal(row.progress, "{\"progress\":0.5}");
	assert_int_equal(row.attempts, 1);
	assert_null(row.result);
	assert_ist_ok(ist_jobs_list(f->store, "", NULL, NULL, 10, &f->arena, &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].id, second);
	assert_ist_ok(ist_jobs_list(f->store, second, NULL, NULL, 10, &f->arena, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_ist_ok(ist_jobs_list(f->store, "", "queued", NULL, 10, &f->arena, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_ist_ok(ist_jobs_list(f->store, "", NULL, "c", 10, &f->arena, &list, &n, &err));
	assert_string_equal(list[0].id, first);
	assert_int_equal(ist_jobs_get(f->store, "j_99", &f->arena, &row, &err), IST_NOT_FOUND);
	assert_int_equal(ist_jobs_get(f->store, "j_01", &f->arena, &row, &err), IST_NOT_FOUND);
	assert_int_equal(ist_jobs_list(f->store, "m_1", NULL, NULL, 1, &f->arena, &list, &n, &err),
			 IST_INVALID);
}

/* ---- the folder ---- */

static void test_one_store_a_folder(void **state)
{
	struct fixture *f = *state;
	struct ist_store *second = NULL;
	struct ist_err err = {0};

	assert_int_equal(ist_store_open(f->folder, NULL, &second, &err), IST_CONFLICT);
	assert_non_null(strstr(err.text, "in use"));
	assert_null(second);
	assert_int_equal(ist_store_open("/proc/nowhere", NULL, &second, &err), IST_IO);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

TEST_MAIN(WITH_STORE(test_collections), WITH_STORE(test_delete_collection),
	  WITH_STORE(test_pictures), WITH_STORE(test_known_picture), WITH_STORE(test_sweep),
	  WITH_STORE(test_pages), WITH_STORE(test_copy_is_equal), WITH_STORE(test_triples),
	  WITH_STORE(test_jobs), WITH_STORE(test_one_store_a_folder))
