/* Automatic training: what is tried, that the test part decides nothing, budgets, resuming. */
#include "core/train/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

#define PLENTY 600.0

/* One of each sort: closed form, convex, a network. */
static const char *const methods[] = {"linear", "logistic", "acmr", NULL};

static struct ist_selection run(struct toy *toy, int aim, double budget_s, const char *dir)
{
	const struct ist_select_options options = {
	    .aim = aim, .budget_s = budget_s, .seed = 3, .methods = methods};
	const struct ist_train_hooks hooks = {.checkpoint_dir = dir};
	struct ist_selection found;
	struct ist_err err;

	assert_ist_ok(ist_select(&toy->pairs, &options, &hooks, &found, &err));
	return found;
}

static const struct ist_candidate *candidate(const struct ist_selection *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->candidates[i].method->name, name) == 0)
			return &s->candidates[i];
	}
	return NULL;
}

static void every_method_that_can_is_tried(void **state)
{
	struct ist_selection found;
	struct ist_err err;
	struct toy toy;
	json_t *table;
	size_t n_models = 0;

	toy_init(&toy, 100, 3, true, 1);
	found = run(&toy, -1, PLENTY, NULL);
	assert_int_equal(found.aim, IST_AIM_CLASS);
	for (size_t i = 0; i < found.n; i++) {
		const struct ist_candidate *c = &found.candidates[i];

		assert_true((c->model != NULL) == (c->left_out == NULL));
		if (c->model == NULL)
			continue;
		n_models++;
		assert_true(c->figure <= found.candidates[found.chosen].figure);
		assert_true(c->n_tried >= 1 && c->n_tried <= 12);
		assert_non_null(json_object_get(c->report, "chance"));
	}
	assert_non_null(candidate(&found, "acmr")->model);
	assert_null(candidate(&found, "identity"));
	assert_ist_ok(ist_selection_table(&found, &toy.pairs, NULL, &table, &err));
	assert_string_equal(json_string_value(json_object_get(table, "aim")), "class");
	assert_int_equal(json_array_size(json_object_get(table, "table")), n_models);
	assert_int_equal(json_array_size(json_object_get(table, "left_out")), found.n - n_models);
	json_decref(table);
	ist_selection_finish(&found);
	toy_finish(&toy);
}

static void without_labels_it_goes_by_instance(void **state)
{
	struct ist_selection found;
	struct toy toy;

	toy_init(&toy, 120, 3, false, 1);
	toy_unlabel(&toy);
	found = run(&toy, -1, PLENTY, NULL);
	assert_int_equal(found.aim, IST_AIM_INSTANCE);
	assert_non_null(candidate(&found, "linear")->model);
	assert_null(candidate(&found, "acmr")->model);
	assert_non_null(strstr(candidate(&found, "acmr")->left_out, "label"));
	ist_selection_finish(&found);
	toy_finish(&toy);
}

/* With another test part every choice must come out the same. */
static void the_test_part_decides_nothing(void **state)
{
	struct ist_selection before, after;
	struct toy toy;

	toy_init(&toy, 100, 3, true, 1);
	before = run(&toy, IST_AIM_CLASS, PLENTY, NULL);
	for (size_t i = 0; i < toy.pairs.n; i++) {
		if (toy.part[i] != IST_TEST)
			continue;
		for (int m = 0; m < IST_N_MODALITIES; m++)
			for (size_t j = 0; j < toy.pairs.dim[m]; j++)
				toy.x[m][i * toy.pairs.dim[m] + j] = (float)((i * 31 + j) % 17);
		toy.label[i] = (int32_t)(i % 2);
	}
	after = run(&toy, IST_AIM_CLASS, PLENTY, NULL);
	assert_int_equal(before.chosen, after.chosen);
	for (size_t i = 0; i < before.n; i++) {
		assert_true(before.candidates[i].figure == after.candidates[i].figure);
		if (before.candidates[i].model != NULL)
			assert_true(
			    json_equal(before.candidates[i].params, after.candidates[i].params));
	}
	ist_selection_finish(&before);
	ist_selection_finish(&after);
	toy_finish(&toy);
}

/* A second goes by at every look. */
static int64_t fast_clock(void)
{
	static int64_t now_us;

	return now_us += 1000000;
}

/* `linear` looks at the clock a few times, the networks at every step. */
static void a_short_budget_says_what_it_leaves_out(void **state)
{
	const struct ist_select_options options = {
	    .aim = IST_AIM_CLASS, .budget_s = 300, .methods = methods, .clock_us = fast_clock};
	struct ist_selection found;
	struct ist_err err;
	struct toy toy;

	toy_init(&toy, 100, 3, true, 1);
	assert_ist_ok(ist_select(&toy.pairs, &options, NULL, &found, &err));
	assert_non_null(candidate(&found, "linear")->model);
	assert_non_null(strstr(candidate(&found, "acmr")->left_out, "budget"));
	assert_true(candidate(&found, "acmr")->estimate_s > 300);
	assert_non_null(found.candidates[found.chosen].model);
	ist_selection_finish(&found);
	toy_finish(&toy);
}

static void no_time_at_all_is_an_error(void **state)
{
	const struct ist_select_options options = {
	    .aim = -1, .methods = methods, .clock_us = fast_clock};
	struct ist_selection found;
	struct ist_err err;
	struct toy toy;

	toy_init(&toy, 100, 3, true, 1);
	assert_int_equal(ist_select(&toy.pairs, &options, NULL, &found, &err), IST_NOT_ENOUGH_DATA);
	assert_non_null(strstr(err.text, "budget"));
	toy_finish(&toy);
}

static bool stop_at_once(void *user)
{
	int *polls = user;

	return ++*polls > 20;
}

static void a_stop_is_not_a_deadline(void **state)
{
	const struct ist_select_options options = {
	    .aim = -1, .budget_s = PLENTY, .methods = methods};
	int polls = 0;
	const struct ist_train_hooks hooks = {.user = &polls, .stop = stop_at_once};
	struct ist_selection found;
	struct ist_err err;
	struct toy toy;

	toy_init(&toy, 200, 4, true, 1);
	assert_int_equal(ist_select(&toy.pairs, &options, &hooks, &found, &err), IST_CANCELLED);
	toy_finish(&toy);
}

/* The second run takes the folds from the first one's file, also where that was made up. */
static void folds_are_not_computed_twice(void **state)
{
	char dir[] = "/tmp/ist-select-XXXXXX";
	ist_autofree char *path = NULL;
	struct ist_selection first, second;
	struct ist_err err;
	struct toy toy;
	json_t *held, *row;
	const char *key;

	assert_non_null(mkdtemp(dir));
	path = ist_format("%s/folds.json", dir);
	toy_init(&toy, 100, 3, true, 1);
	first = run(&toy, IST_AIM_CLASS, PLENTY, dir);
	held = json_load_file(path, 0, NULL);
	assert_non_null(held);
	json_object_foreach(held, key, row)
	    json_object_set_new(row, "figure", json_real(strncmp(key, "linear ", 7) == 0 ? 3 : 2));
	assert_int_equal(json_dump_file(held, path, 0), 0);
	second = run(&toy, IST_AIM_CLASS, PLENTY, dir);
	assert_string_equal(second.candidates[second.chosen].method->name, "linear");
	assert_true(candidate(&second, "acmr")->figure == 2);
	assert_true(candidate(&first, "acmr")->figure < 2);
	json_decref(held);
	ist_selection_finish(&first);
	ist_selection_finish(&second);
	toy_finish(&toy);
	assert_ist_ok(ist_dir_remove(dir, &err));
}

/* A tuning row names one of a parameter's choices by its number: gxn's order or cosine. */
static void a_choice_is_tuned_too(void **state)
{
	static const char *const gxn[] = {"gxn", NULL};
	char dir[] = "/tmp/ist-select-XXXXXX";
	const struct ist_select_options options = {
	    .aim = IST_AIM_INSTANCE, .budget_s = PLENTY, .methods = gxn};
	const struct ist_train_hooks hooks = {.checkpoint_dir = dir};
	ist_autofree char *path = NULL;
	struct ist_selection found;
	struct ist_err err;
	struct toy toy;
	json_t *held, *row;
	const char *key;
	size_t by_cosine = 0;

	assert_non_null(mkdtemp(dir));
	path = ist_format("%s/folds.json", dir);
	toy_init(&toy, 60, 3, true, 1);
	assert_ist_ok(ist_select(&toy.pairs, &options, &hooks, &found, &err));
	held = json_load_file(path, 0, NULL);
	json_object_foreach(held, key, row) by_cosine +=
	    strstr(key, "\"similarity\":\"cosine\"") != NULL;
	assert_true(by_cosine > 0 && by_cosine < json_object_size(held));
	json_decref(held);
	ist_selection_finish(&found);
	toy_finish(&toy);
	assert_ist_ok(ist_dir_remove(dir, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_method_that_can_is_tried),
	    cmocka_unit_test(without_labels_it_goes_by_instance),
	    cmocka_unit_test(the_test_part_decides_nothing),
	    cmocka_unit_test(a_short_budget_says_what_it_leaves_out),
	    cmocka_unit_test(no_time_at_all_is_an_error),
	    cmocka_unit_test(a_stop_is_not_a_deadline),
	    cmocka_unit_test(folds_are_not_computed_twice),
	    cmocka_unit_test(a_choice_is_tuned_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
