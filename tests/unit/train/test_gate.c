/* The gate: better, worse and equal candidates, too few items, an identity that cannot cross. */
#include <string.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

static struct ist_gate compare(struct toy *toy, struct ist_model *a, struct ist_model *b)
{
	struct ist_gate gate;
	struct ist_err err;

	assert_ist_ok(ist_gate_compare(a, b, &toy->pairs, NULL, &gate, &err));
	assert_true(strlen(gate.reason) > 0);
	return gate;
}

static void the_better_one_wins(void **state)
{
	struct toy toy;
	struct ist_model *good, *poor;
	struct ist_gate gate;

	toy_init(&toy, 300, 5, true, 1);
	good = toy_train(&toy, "linear", NULL);
	poor = toy_train(&toy, "linear", json_pack("{s:i}", "dimension", 1));
	gate = compare(&toy, good, poor);
	assert_true(gate.activate && gate.low > 0 && gate.difference > gate.low);
	assert_int_equal(gate.n_queries, 90);
	gate = compare(&toy, poor, good);
	assert_false(gate.activate);
	assert_true(gate.high < 0);
	gate = compare(&toy, good, good);
	assert_false(gate.activate);
	assert_true(gate.difference == 0);
	ist_model_unref(good);
	ist_model_unref(poor);
	toy_finish(&toy);
}

static void too_few_items(void **state)
{
	struct toy toy;
	struct ist_model *model, *identity;
	struct ist_gate gate;

	toy_init(&toy, 100, 5, true, 1);
	model = toy_train(&toy, "linear", NULL);
	for (size_t i = 0, kept = 0; i < toy.pairs.n; i++) {
		if (toy.part[i] == IST_TEST && ++kept > 29)
			toy.part[i] = IST_UNUSED;
	}
	identity = ist_identity_create(toy.pairs.dim, false);
	gate = compare(&toy, model, identity);
	assert_false(gate.activate);
	assert_int_equal(gate.n_queries, 29);
	assert_non_null(strstr(gate.reason, "29"));
	ist_model_unref(model);
	ist_model_unref(identity);
	toy_finish(&toy);
}

static void against_identity_chance_is_the_bar(void **state)
{
	struct toy toy, noise;
	struct ist_model *identity, *model;
	struct ist_gate gate;

	toy_init(&toy, 300, 5, true, 1);
	toy_init(&noise, 300, 5, true, 1e4);
	identity = ist_identity_create(toy.pairs.dim, false);
	model = toy_train(&toy, "linear", NULL);
	gate = compare(&toy, model, identity);
	assert_true(gate.activate);
	assert_non_null(strstr(gate.reason, "chance"));
	gate = compare(&noise, model, identity); /* features that say nothing */
	assert_false(gate.activate);
	ist_model_unref(model);
	ist_model_unref(identity);
	toy_finish(&toy);
	toy_finish(&noise);
}

static void without_labels_recall_decides(void **state)
{
	struct toy toy;
	struct ist_model *good, *poor;
	struct ist_gate gate;

	toy_init(&toy, 300, 5, true, 1);
	good = toy_train(&toy, "linear", NULL);
	poor = toy_train(&toy, "linear", json_pack("{s:i}", "dimension", 1));
	toy_unlabel(&toy);
	gate = compare(&toy, good, poor);
	assert_true(gate.activate);
	assert_non_null(strstr(gate.reason, "R@10"));
	ist_model_unref(good);
	ist_model_unref(poor);
	toy_finish(&toy);
}

static void a_candidate_that_cannot_cross(void **state)
{
	struct toy toy;
	struct ist_model *identity, *model;

	toy_init(&toy, 300, 5, true, 1);
	identity = ist_identity_create(toy.pairs.dim, false);
	model = toy_train(&toy, "linear", NULL);
	assert_false(compare(&toy, identity, model).activate);
	ist_model_unref(model);
	ist_model_unref(identity);
	toy_finish(&toy);
}

TEST_MAIN(cmocka_unit_test(the_better_one_wins), cmocka_unit_test(too_few_items),
	  cmocka_unit_test(against_identity_chance_is_the_bar),
	  cmocka_unit_test(without_labels_recall_decides),
	  cmocka_unit_test(a_candidate_that_cannot_cross))
