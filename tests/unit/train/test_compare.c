/* Comparisons: order, differences and significance of a table, and the queries behind them. */
#include "core/train/compare.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

enum { GOOD, POOR, TWIN, N_MODELS };

struct table {
	struct toy toy;
	struct ist_trials trials;
	struct ist_comparison comparison;
};

/* A good model, a poor one, and the good one again. */
static void table_init(struct table *t, enum ist_aim aim)
{
	static const int dimension[N_MODELS] = {[GOOD] = 12, [POOR] = 1, [TWIN] = 12};
	struct ist_err err;

	toy_init(&t->toy, 300, 5, true, 1);
	ist_trials_init(&t->trials, &t->toy.pairs, IST_TEST);
	ist_comparison_init(&t->comparison, &t->trials, aim);
	for (int i = 0; i < N_MODELS; i++) {
		struct ist_model *model =
		    toy_train(&t->toy, "linear", json_pack("{s:i}", "dimension", dimension[i]));

		assert_ist_ok(ist_comparison_add(&t->comparison, model, NULL, &err));
		ist_model_unref(model);
	}
}

static void table_finish(struct table *t)
{
	ist_comparison_finish(&t->comparison);
	ist_trials_finish(&t->trials);
	toy_finish(&t->toy);
}

static double value_of(const json_t *row, const char *name)
{
	return json_real_value(json_object_get(json_object_get(row, name), "value"));
}

static void rows_say_who_is_better(void **state)
{
	for (int aim = 0; aim < IST_N_AIMS; aim++) {
		struct table t;
		struct ist_err err;
		json_t *rows, *poor, *twin;

		table_init(&t, (enum ist_aim)aim);
		assert_int_equal(ist_comparison_best(&t.comparison), GOOD);
		assert_ist_ok(ist_comparison_rows(&t.comparison, GOOD, NULL, &rows, &err));
		assert_int_equal(json_array_size(rows), N_MODELS);
		assert_true(json_is_null(json_object_get(json_array_get(rows, GOOD), "p")));
		poor = json_array_get(rows, POOR);
		assert_true(json_is_true(json_object_get(poor, "significant")));
		assert_true(value_of(poor, "difference") < 0);
		assert_true(fabs(value_of(poor, "mean") - value_of(poor, "difference") -
				 value_of(json_array_get(rows, GOOD), "mean")) < 2e-6);
		twin = json_array_get(rows, TWIN);
		assert_true(json_is_false(json_object_get(twin, "significant")));
		assert_true(value_of(twin, "difference") == 0);
		assert_true(json_real_value(json_object_get(twin, "p")) == 1);
		json_decref(rows);
		table_finish(&t);
	}
}

static void queries_that_differ_come_in_turn(void **state)
{
	struct ist_apart apart[8];
	struct table t;
	size_t n;

	table_init(&t, IST_AIM_CLASS);
	n = ist_comparison_apart(&t.comparison, GOOD, POOR, IST_COUNT(apart), apart);
	assert_int_equal(n, IST_COUNT(apart));
	for (size_t i = 0; i < n; i++)
		assert_true(t.toy.part[apart[i].pair] == IST_TEST);
	assert_true(apart[0].value[0] - apart[0].value[1] >= apart[2].value[0] - apart[2].value[1]);
	assert_int_equal(ist_comparison_apart(&t.comparison, GOOD, TWIN, IST_COUNT(apart), apart),
			 0);
	table_finish(&t);
}

static void what_cannot_cross_is_refused(void **state)
{
	struct table t;
	struct ist_model *identity;
	struct ist_err err;

	table_init(&t, IST_AIM_CLASS);
	identity = ist_identity_create(t.toy.pairs.dim, false);
	assert_int_equal(ist_comparison_add(&t.comparison, identity, NULL, &err), IST_NO_MODEL);
	assert_int_equal(t.comparison.n, N_MODELS);
	ist_model_unref(identity);
	table_finish(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_say_who_is_better),
	    cmocka_unit_test(queries_that_differ_come_in_turn),
	    cmocka_unit_test(what_cannot_cross_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
