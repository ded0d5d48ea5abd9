/* Models and generations: activation, rollback, other models, merges, restarts, damaged files. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "index/live.h"
#include "index/maintenance.h"
#include "tests/unit/index/store_fixture.h"
#include "tests/unit/test.h"

static const char *active(struct fixture *f)
{
	struct ist_collection_info info;
	struct ist_err err = {0};

	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	return ist_arena_strdup(&f->arena, info.active_model);
}

static void activate(struct fixture *f, const char *id)
{
	struct ist_err err = {0};

	assert_ist_ok(ist_models_activate(f->c, id, NULL, &err));
	assert_string_equal(active(f), id);
}

/* Folders of a kind in the data folder. */
static size_t n_folders(struct fixture *f, const char *name, char letter)
{
	ist_autofree char *path = ist_format("%s/%s", f->folder, name);
	DIR *dir = opendir(path);
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] == letter;
	closedir(dir);
	return n;
}

static void test_activate(void **state)
{
	struct fixture *f = *state;
	struct ist_model_info info;
	struct ist_err err = {0};
	char id[32], previous[32];

	fixture_put_many(f, 0, 200);
	assert_int_equal(ist_models_previous(f->c, previous, &err), IST_CONFLICT);
	fixture_train(f, id);
	assert_string_equal(id, "m_1");
	assert_true(ist_models_is_ready(f->c, id));
	activate(f, id);
	assert_ist_ok(ist_models_get(f->c, id, &f->arena, &info, &err));
	assert_true(info.active);
	assert_string_equal(info.method, "linear");
	assert_string_equal(fixture_search(f, 42, 1, NULL), "i042");
	fixture_put(f, "new", 500, NULL, NULL);
	fixture_delete(f, "i042");
	assert_string_equal(fixture_search(f, 500, 1, NULL), "new");
	assert_ist_ok(ist_models_previous(f->c, previous, &err));
	assert_string_equal(previous, "identity");
	fixture_reopen(f);
	assert_string_equal(active(f), id);
	assert_string_equal(fixture_search(f, 500, 1, NULL), "new");
	assert_null(strstr(fixture_search(f, 42, 300, NULL), "i042"));
	activate(f, "identity");
	assert_string_equal(fixture_search(f, 500, 1, NULL), "new");
	assert_null(strstr(fixture_search(f, 42, 300, NULL), "i042"));
	activate(f, id);
	assert_int_equal(ist_models_activate(f->c, "m_9", NULL, &err), IST_NOT_FOUND);
	assert_string_equal(active(f), id);
}

static void test_other_models(void **state)
{
	struct fixture *f = *state;
	struct ist_reader reader;
	struct ist_err err = {0};
	char first[32], second[32];

	fixture_put_many(f, 0, 150);
	fixture_train(f, first);
	fixture_train(f, second);
	activate(f, second);
	assert_string_equal(fixture_search_model(f, first, 7, 1, NULL), "i007");
	fixture_put(f, "later", 900, NULL, NULL);
	fixture_put(f, "i007", 901, NULL, NULL);
	fixture_delete(f, "i008");
	for (size_t i = 0; i < 3; i++) {
		const char *const models[] = {first, second, "identity"};

		assert_string_equal(fixture_search_model(f, models[i], 900, 1, NULL), "later");
		assert_string_equal(fixture_search_model(f, models[i], 901, 1, NULL), "i007");
		assert_null(strstr(fixture_search_model(f, models[i], 8, 300, NULL), "i008"));
	}
	assert_int_equal(ist_reader_init(&reader, f->c, "m_77", &err), IST_NOT_FOUND);
	assert_int_equal(ist_reader_init(&reader, f->c, "nonsense", &err), IST_NOT_FOUND);
}

static void test_delete_model(void **state)
{
	struct fixture *f = *state;
	struct ist_model_info *list, info;
	struct ist_err err = {0};
	char first[32], second[32];
	size_t n;

	fixture_put_many(f, 0, 60);
	fixture_train(f, first);
	fixture_train(f, second);
	activate(f, first);
	activate(f, second);
	assert_int_equal(ist_models_delete(f->c, second, &err), IST_CONFLICT);
	assert_int_equal(ist_models_delete(f->c, "identity", &err), IST_CONFLICT);
	assert_ist_ok(ist_models_delete(f->c, first, &err));
	assert_int_equal(ist_models_delete(f->c, first, &err), IST_NOT_FOUND);
	assert_int_equal(ist_models_get(f->c, first, &f->arena, &info, &err), IST_NOT_FOUND);
	assert_int_equal(ist_models_previous(f->c, first, &err), IST_CONFLICT);
	assert_ist_ok(ist_models_list(f->c, NULL, 10, &f->arena, &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].id, "identity");
	assert_string_equal(list[1].id, second);
	ist_maintenance_clean_files(f->store);
	assert_int_equal(n_folders(f, "models", 'm'), 1);
	assert_int_equal(n_folders(f, "generations", 'g'), 1);
	assert_string_equal(fixture_search(f, 5, 1, NULL), "i005");
}

static void test_report(void **state)
{
	struct fixture *f = *state;
	struct ist_model_info info;
	struct ist_err err = {0};
	json_t *report = json_pack("{si}", "x", 1);
	char id[32];

	fixture_put_many(f, 0, 60);
	fixture_train(f, id);
	assert_ist_ok(ist_models_get(f->c, id, &f->arena, &info, &err));
	assert_string_equal(info.report, "null");
	assert_ist_ok(ist_models_set_report(f->c, id, report, &err));
	assert_ist_ok(ist_models_get(f->c, id, &f->arena, &info, &err));
	assert_string_equal(info.report, "{\"x\":1}");
	assert_int_equal(ist_models_set_report(f->c, "m_9", report, &err), IST_NOT_FOUND);
	json_decref(report);
}

/* ---- merges and files ---- */

static void merge(struct fixture *f)
{
	struct ist_err err = {0};

	assert_ist_ok(ist_live_merge(f->c, true, &err));
}

static size_t n_base(struct fixture *f)
{
	struct ist_collection_info info;
	struct ist_err err = {0};

	assert_ist_ok(ist_collection_info(f->c, &info, &err));
	return info.index_base;
}

static void check_after_merge(struct fixture *f)
{
	assert_string_equal(fixture_search(f, 9, 1, NULL), "i009");
	assert_string_equal(fixture_search(f, 700, 1, NULL), "i010");
	assert_null(strstr(fixture_search(f, 11, 300, NULL), "i011"));
	assert_string_equal(fixture_search(f, 800, 1, NULL), "z");
	assert_int_equal(strlen(fixture_search(f, 9, 300, "n>=0")), 99 * 5 - 1 - 5);
}

static void change_after_merge(struct fixture *f)
{
	fixture_put(f, "i010", 700, NULL, NULL);
	fixture_delete(f, "i011");
	fixture_put(f, "z", 800, NULL, NULL);
}

static void test_merge_and_restart(void **state)
{
	struct fixture *f = *state;

	fixture_put_many(f, 0, 100);
	merge(f);
	assert_int_equal(n_base(f), 100);
	change_after_merge(f);
	check_after_merge(f);
	fixture_reopen(f);
	assert_int_equal(n_base(f), 100);
	check_after_merge(f);
	merge(f);
	assert_int_equal(n_base(f), 100);
	check_after_merge(f);
	fixture_reopen(f);
	check_after_merge(f);
	ist_maintenance_clean_files(f->store);
	assert_int_equal(n_folders(f, "generations", 'g'), 1);
}

/* Overwrites, in turn, each file of the one saved generation; {0} as name removes the folder. */
static void damage(struct fixture *f, const char *file)
{
	ist_autofree char *path = ist_format("%s/generations", f->folder);
	DIR *dir = opendir(path);
	bool done = false;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		ist_autofree char *name = ist_format("%s/%s/%s", path, entry->d_name, file);
		FILE *out;

		if (entry->d_name[0] != 'g' || (out = fopen(name, "r+b")) == NULL)
			continue;
		assert_int_equal(fseek(out, 20, SEEK_SET), 0);
		assert_int_equal(fwrite("damaged!", 8, 1, out), 1);
		assert_int_equal(fclose(out), 0);
		done = true;
	}
	closedir(dir);
	assert_true(done);
}

static void test_damaged_files(void **state)
{
	static const char *const files[] = {"manifest.json", "image.index", "text.index"};
	struct fixture *f = *state;

	fixture_put_many(f, 0, 100);
	change_after_merge(f);
	for (size_t i = 0; i < IST_COUNT(files); i++) {
		struct ist_collection_info info;
		struct ist_err err = {0};

		merge(f);
		fixture_close(f);
		damage(f, files[i]);
		fixture_open(f);
		check_after_merge(f);
		assert_ist_ok(ist_collection_info(f->c, &info, &err));
		assert_string_equal(info.index_state, "rebuilding");
		merge(f);
		assert_ist_ok(ist_collection_info(f->c, &info, &err));
		assert_string_equal(info.index_state, "ready");
		check_after_merge(f);
	}
}

/* ---- training sets ---- */

static const struct ist_split hashed = {.validation = 0.1, .test = 0.2, .seed = 3};

static void test_training_set(void **state)
{
	struct fixture *f = *state;
	struct ist_err err = {0};
	struct ist_training_set set;
	struct fixture_item bare;
	struct ist_write write = {.item = &bare.item};
	size_t parts[IST_N_PARTS] = {0};

	fixture_put_many(f, 0, 300);
	fixture_put(f, "nolabel", 400, NULL, NULL);
	fixture_make(&bare, "notext", 401);
	bare.item.n_texts = bare.item.n_text_vectors = 0;
	bare.item.text_vectors = NULL;
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_ist_ok(ist_training_set_load(f->c, &hashed, IST_NEEDS_LABELS, &set, &err));
	assert_int_equal(set.pairs.n, 300);
	assert_int_equal(set.skipped, 1);
	assert_int_equal(set.pairs.n_classes, 2);
	assert_string_equal(json_string_value(json_array_get(set.classes, 0)), "even");
	for (size_t i = 0; i < set.pairs.n; i++) {
		float x[FIXTURE_IMAGE_DIM], y[FIXTURE_TEXT_DIM];

		fixture_vector((unsigned)i, FIXTURE_IMAGE_DIM, x);
		fixture_vector((unsigned)i + 1000003, FIXTURE_TEXT_DIM, y);
		assert_memory_equal(set.pairs.x[IST_IMAGE] + i * FIXTURE_IMAGE_DIM, x, sizeof(x));
		assert_memory_equal(set.pairs.x[IST_TEXT] + i * FIXTURE_TEXT_DIM, y, sizeof(y));
		assert_int_equal(set.pairs.label[i], i % 2);
		parts[set.pairs.part[i]]++;
		assert_true(i == 0 || set.pairs.item[i] > set.pairs.item[i - 1]);
	}
	assert_in_range(parts[IST_TEST], 35, 85);
	assert_in_range(parts[IST_VALIDATION], 12, 50);
	ist_training_set_finish(&set);
	assert_ist_ok(ist_training_set_load(f->c, &hashed, 0, &set, &err));
	assert_int_equal(set.pairs.n, 301);
	assert_int_equal(set.pairs.label[300], -1);
	ist_training_set_finish(&set);
}

/* The strings come only where they are asked for, each beside its feature; vectors that came
 * without them leave a gap. */
static void test_texts_of_a_training_set(void **state)
{
	struct fixture *f = *state;
	const char *texts[] = {"one", "", "zwei \xc3\xbc"};
	float vectors[IST_COUNT(texts) * FIXTURE_TEXT_DIM];
	struct ist_err err = {0};
	struct ist_training_set set;
	struct fixture_item many, bare;
	struct ist_write write[] = {{.item = &many.item}, {.item = &bare.item}};

	fixture_put_many(f, 0, 600);
	for (unsigned i = 0; i < IST_COUNT(texts); i++)
		fixture_vector(900 + i, FIXTURE_TEXT_DIM, vectors + (size_t)i * FIXTURE_TEXT_DIM);
	fixture_make(&many, "many", 700);
	many.item.texts = texts;
	many.item.text_vectors = vectors;
	many.item.n_texts = many.item.n_text_vectors = IST_COUNT(texts);
	fixture_make(&bare, "vectors only", 701);
	bare.item.n_texts = 0;
	assert_ist_ok(ist_items_write(f->c, write, IST_COUNT(write), &err));
	assert_ist_ok(ist_training_set_load(f->c, &hashed, IST_WITH_TEXTS, &set, &err));
	assert_int_equal(set.pairs.n, 604);
	for (size_t i = 0; i < 600; i++) {
		struct fixture_item item;

		fixture_make(&item, json_string_value(json_array_get(set.ids, i)), (unsigned)i);
		assert_string_equal(set.pairs.text[i], item.texts[0]);
	}
	for (size_t i = 0; i < IST_COUNT(texts); i++) {
		assert_string_equal(set.pairs.text[600 + i], texts[i]);
		assert_memory_equal(set.pairs.x[IST_TEXT] + (600 + i) * FIXTURE_TEXT_DIM,
				    vectors + i * FIXTURE_TEXT_DIM,
				    FIXTURE_TEXT_DIM * sizeof(float));
	}
	assert_null(set.pairs.text[603]);
	ist_training_set_finish(&set);
	assert_ist_ok(ist_training_set_load(f->c, &hashed, 0, &set, &err));
	assert_null(set.pairs.text);
	ist_training_set_finish(&set);
}

/* Triples with both pictures in one part keep it, others have none; every picture comes once, also
 * one without a text. */
static void test_triples_of_a_training_set(void **state)
{
	struct fixture *f = *state;
	struct ist_split by_field = {.field = "part", .no_validation = true};
	float vector[FIXTURE_TEXT_DIM];
	struct ist_triple triples[] = {{"a", "in red", "b"},
				       {"b", "in blue", "c"},
				       {"c", "in red", "d"},
				       {"d", "in green", "c"},
				       {"a", "in red", "out"}};
	struct ist_training_set set;
	struct ist_err err = {0};

	fixture_put(f, "a", 1, NULL, "{\"part\":\"train\"}");
	fixture_put(f, "b", 2, NULL, "{\"part\":\"train\"}");
	fixture_put(f, "c", 3, NULL, "{\"part\":\"test\"}");
	fixture_put(f, "d", 4, NULL, "{\"part\":\"test\"}");
	fixture_put(f, "out", 5, NULL, NULL);
	fixture_vector(77, FIXTURE_TEXT_DIM, vector);
	for (size_t i = 0; i < IST_COUNT(triples); i++)
		triples[i].text_vector = vector;
	assert_ist_ok(ist_triples_write(f->c, triples, IST_COUNT(triples), &err));
	assert_ist_ok(ist_training_set_load(f->c, &by_field, IST_NEEDS_TRIPLES, &set, &err));
	assert_ptr_equal(set.pairs.triples, &set.triples);
	assert_int_equal(set.triples.n_images, 4);
	assert_int_equal(set.triples.n, 4); /* `out` has no part, so its triple does not count */
	assert_int_equal(set.triples.part[0], IST_TRAIN);
	assert_int_equal(set.triples.part[1], IST_UNUSED);
	assert_int_equal(set.triples.part[2], IST_TEST);
	for (size_t i = 0; i < set.triples.n; i++)
		assert_memory_equal(set.triples.text + i * FIXTURE_TEXT_DIM, vector,
				    sizeof(vector));
	for (size_t i = 0; i < set.triples.n_images; i++) {
		float x[FIXTURE_IMAGE_DIM];

		fixture_vector((unsigned)i + 1, FIXTURE_IMAGE_DIM, x);
		assert_memory_equal(set.triples.image + i * FIXTURE_IMAGE_DIM, x, sizeof(x));
		assert_true(i == 0 || set.triples.item[i] > set.triples.item[i - 1]);
	}
	assert_int_equal(set.triples.reference[3], 3);
	assert_int_equal(set.triples.target[3], 2);
	ist_training_set_finish(&set);
	assert_ist_ok(ist_training_set_load(f->c, &by_field, 0, &set, &err));
	assert_null(set.pairs.triples);
	ist_training_set_finish(&set);
}

static void count_parts(struct fixture *f, const struct ist_split *split, size_t parts[IST_N_PARTS])
{
	struct ist_training_set set;
	struct ist_err err = {0};

	memset(parts, 0, IST_N_PARTS * sizeof(*parts));
	assert_ist_ok(ist_training_set_load(f->c, split, 0, &set, &err));
	for (size_t i = 0; i < set.pairs.n; i++)
		parts[set.pairs.part[i]]++;
	ist_training_set_finish(&set);
}

static void test_split_by_field(void **state)
{
	static const char *const said[] = {"{\"part\":\"train\"}", "{\"part\":\"test\"}",
					   "{\"part\":\"other\"}", NULL};
	struct ist_split by_field = {.validation = 0.1, .test = 0.2, .field = "part"};
	struct fixture *f = *state;
	size_t parts[IST_N_PARTS];

	for (unsigned i = 0; i < 400; i++) {
		char id[16];

		snprintf(id, sizeof(id), "p%03u", i);
		fixture_put(f, id, i, NULL, said[i % 4]);
	}
	count_parts(f, &by_field, parts);
	assert_int_equal(parts[IST_TRAIN] + parts[IST_VALIDATION], 100);
	assert_in_range(parts[IST_VALIDATION], 2, 25);
	assert_int_equal(parts[IST_TEST], 100);
	by_field.no_validation = true;
	count_parts(f, &by_field, parts);
	assert_int_equal(parts[IST_TRAIN], 100);
	assert_int_equal(parts[IST_VALIDATION], 0);
	by_field.no_validation = false;
	fixture_put(f, "v", 600, NULL, "{\"part\":\"validation\"}");
	count_parts(f, &by_field, parts);
	assert_int_equal(parts[IST_TRAIN], 100);
	assert_int_equal(parts[IST_VALIDATION], 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

TEST_MAIN(WITH_STORE(test_activate), WITH_STORE(test_other_models), WITH_STORE(test_delete_model),
	  WITH_STORE(test_report), WITH_STORE(test_merge_and_restart),
	  WITH_STORE(test_damaged_files), WITH_STORE(test_training_set),
	  WITH_STORE(test_texts_of_a_training_set), WITH_STORE(test_triples_of_a_training_set),
	  WITH_STORE(test_split_by_field))
