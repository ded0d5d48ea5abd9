/*
 * Composed queries measured: ranks by hand with the reference left out, ties and NaN; baselines
 * where a sum and a linear map are right; calibration; the whole of a training on triples; the
 * gate.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/train/composed.h"
#include "core/train/train.h"

#define THINGS 60
#define KINDS 3
#define IMAGES (THINGS * KINDS)
#define TRIPLES (THINGS * KINDS * (KINDS - 1))
#define DIM 16

/* A picture is a thing plus a kind's own direction; a text is the kind that is wanted. */
struct world {
	struct ist_pairs pairs;
	struct ist_triples triples;
	float image[IMAGES * DIM], text[TRIPLES * KINDS];
	uint8_t image_part[IMAGES], part[TRIPLES];
	int64_t item[IMAGES];
	uint32_t reference[TRIPLES], target[TRIPLES];
};

static uint8_t part_of(size_t thing)
{
	return thing % 5 == 4 ? IST_TEST : thing % 5 == 3 ? IST_VALIDATION : IST_TRAIN;
}

static void fill_images(struct world *w)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 2, "world");
	for (size_t t = 0; t < THINGS; t++)
		for (size_t j = 0; j < DIM; j++) {
			float x = (float)ist_rng_normal(&rng);

			for (size_t k = 0; k < KINDS; k++)
				w->image[(t * KINDS + k) * DIM + j] = x + (j == k ? 3.0F : 0);
		}
}

static struct world *world_create(void)
{
	struct world *w = ist_alloc(1, sizeof(*w));
	size_t n = 0;

	fill_images(w);
	for (uint32_t i = 0; i < IMAGES; i++) {
		w->item[i] = i;
		w->image_part[i] = part_of(i / KINDS);
		for (uint32_t k = 0; k < KINDS; k++) {
			if (k == i % KINDS)
				continue;
			w->reference[n] = i;
			w->target[n] = i / KINDS * KINDS + k;
			w->text[n * KINDS + k] = 1;
			w->part[n++] = w->image_part[i];
		}
	}
	w->triples = (struct ist_triples){.n = TRIPLES,
					  .n_images = IMAGES,
					  .image = w->image,
					  .image_part = w->image_part,
					  .item = w->item,
					  .text = w->text,
					  .reference = w->reference,
					  .target = w->target,
					  .part = w->part};
	w->pairs.dim[IST_IMAGE] = DIM;
	w->pairs.dim[IST_TEXT] = KINDS;
	w->pairs.triples = &w->triples;
	return w;
}

/* ---- ranks ---- */

/* Four pictures on a line; the query stands at 0, so nearer ones are those with smaller numbers. */
static void test_ranks_by_hand(void **state)
{
	static const float image[] = {0, 1, 2, 3}, query[] = {0, 0, 0}, same[] = {5, 5, 5, 5};
	static const uint8_t image_part[] = {IST_TEST, IST_TEST, IST_TEST, IST_TEST};
	static const uint8_t part[] = {IST_TEST, IST_TEST, IST_TEST};
	static const uint32_t reference[] = {0, 0, 3}, target[] = {1, 3, 0};
	static const float nothing[] = {0, 0, 0};
	const struct ist_triples t = {.n = 3,
				      .n_images = 4,
				      .image = image,
				      .image_part = image_part,
				      .text = nothing,
				      .reference = reference,
				      .target = target,
				      .part = part};
	const struct ist_pairs pairs = {.dim = {1, 1}, .triples = &t};
	struct ist_composed c;
	struct ist_figures f;
	struct ist_err err;

	ist_composed_init(&c, &pairs, IST_TEST);
	assert_int_equal(c.n_queries, 3);
	assert_int_equal(c.n_gallery, 4);
	assert_ist_ok(ist_composed_rank(&c, IST_EUCLIDEAN, query, image, 1, NULL, &f, &err));
	assert_int_equal(f.rank[0], 0); /* picture 0 is nearer, but it is the reference */
	assert_int_equal(f.rank[1], 2);
	assert_int_equal(f.rank[2], 0);
	assert_true(f.value[IST_MAP_ALL][1] == 1.0 / 3 && f.value[IST_R_5][1] == 1);
	ist_figures_finish(&f);
	assert_ist_ok(ist_composed_rank(&c, IST_EUCLIDEAN, query, same, 1, NULL, &f, &err));
	assert_int_equal(f.rank[1], 2); /* ties: those that come first */
	assert_int_equal(f.rank[2], 0);
	ist_figures_finish(&f);
	ist_composed_finish(&c);
}

/* A model that answers NaN finds nothing first. */
static void test_nan_comes_last(void **state)
{
	struct world *w = world_create();
	struct ist_composed c;
	struct ist_figures f;
	struct ist_err err;
	float *query;

	ist_composed_init(&c, &w->pairs, IST_TEST);
	query = ist_alloc(c.n_queries * DIM, sizeof(*query));
	for (size_t i = 0; i < c.n_queries * DIM; i++)
		query[i] = NAN;
	assert_ist_ok(ist_composed_rank(&c, IST_INNER, query, w->image, DIM, NULL, &f, &err));
	for (size_t q = 0; q < c.n_queries; q++)
		assert_true(f.rank[q] < c.n_gallery - 1);
	ist_figures_finish(&f);
	free(query);
	ist_composed_finish(&c);
	free(w);
}

static void test_parts_and_counts(void **state)
{
	struct world *w = world_create();
	struct ist_pairs none = {0};
	struct ist_composed c;

	assert_int_equal(ist_composed_count(&w->pairs, IST_TEST), TRIPLES / 5);
	assert_int_equal(ist_composed_count(&none, IST_TEST), 0);
	ist_composed_init(&c, &w->pairs, IST_TEST);
	assert_int_equal(c.n_queries, TRIPLES / 5);
	assert_int_equal(c.n_gallery, IMAGES / 5);
	for (size_t q = 0; q < c.n_queries; q++) {
		assert_int_equal(c.gallery[c.target[q]], w->target[c.query[q]]);
		assert_int_equal(c.gallery[c.reference[q]], w->reference[c.query[q]]);
	}
	ist_composed_finish(&c);
	ist_composed_init(&c, &none, IST_TEST);
	assert_int_equal(c.n_queries, 0);
	ist_composed_finish(&c);
	free(w);
}

/* ---- baselines ---- */

static double r_1(const json_t *figures)
{
	return json_number_value(json_object_get(json_object_get(figures, "r_1"), "value"));
}

/* What a text adds depends on the reference's kind, which is linear in the picture. */
static void test_baselines(void **state)
{
	struct world *w = world_create();
	struct ist_composed validation, test;
	json_t *table;
	struct ist_err err;

	ist_composed_init(&validation, &w->pairs, IST_VALIDATION);
	ist_composed_init(&test, &w->pairs, IST_TEST);
	assert_ist_ok(ist_composed_baselines(&validation, &test, NULL, &table, &err));
	assert_int_equal(json_object_size(table), 4);
	assert_true(r_1(json_object_get(table, "linear")) > .9);
	assert_true(r_1(json_object_get(table, "text")) < .3);
	assert_true(r_1(json_object_get(table, "image")) < .7);
	json_decref(table);
	ist_composed_finish(&validation);
	ist_composed_finish(&test);
	free(w);
}

/* ---- trainings ---- */

static struct ist_model *train(const struct world *w, const char *given, json_t **ret_report)
{
	const struct ist_method *method = ist_method_find("dmim");
	json_t *json = json_loads(given, 0, NULL), *params;
	struct ist_model *model;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, json, &params, &err));
	assert_ist_ok(ist_train(method, &w->pairs, params, 1, NULL, &model, ret_report, &err));
	json_decref(json);
	json_decref(params);
	return model;
}

#define SMALL "{\"code\": 16, \"critic\": 8, \"batch\": 16, \"epochs\": 40}"

static void test_a_training_without_pairs(void **state)
{
	struct world *w = world_create();
	json_t *report, *composed;
	struct ist_model *model = train(w, SMALL, &report);
	const struct ist_calibration *c = &model->calibration[IST_COMPOSED][IST_IMAGE];

	composed = json_object_get(report, "composed");
	assert_null(json_object_get(report, "image_to_text"));
	assert_int_equal(json_integer_value(json_object_get(composed, "queries")), TRIPLES / 5);
	assert_true(r_1(composed) > 5 * r_1(json_object_get(composed, "chance")));
	assert_int_equal(json_object_size(json_object_get(composed, "baselines")), 4);
	assert_true(c->fitted && c->slope > 0);
	assert_true(ist_model_score(model, IST_COMPOSED, IST_IMAGE, 1) >
		    ist_model_score(model, IST_COMPOSED, IST_IMAGE, 0));
	assert_non_null(json_object_get(model->data, "fingerprint"));
	json_decref(report);
	ist_model_unref(model);
	free(w);
}

/* Early stopping goes by composed queries on validation. */
static void test_patience(void **state)
{
	struct world *w = world_create();
	json_t *report;
	struct ist_model *model = train(
	    w, "{\"code\": 16, \"critic\": 8, \"batch\": 16, \"epochs\": 400, \"patience\": 2}",
	    &report);

	assert_true(r_1(json_object_get(report, "composed")) > .2);
	json_decref(report);
	ist_model_unref(model);
	free(w);
}

static void test_too_few_triples(void **state)
{
	struct world *w = world_create();
	const struct ist_method *method = ist_method_find("dmim");
	struct ist_pairs none = w->pairs;
	struct ist_err err;

	assert_ist_ok(ist_train_check(method, &w->pairs, &err));
	none.triples = NULL;
	assert_int_equal(ist_train_check(method, &none, &err), IST_NOT_ENOUGH_DATA);
	for (size_t i = 0; i < TRIPLES; i++)
		w->part[i] = w->part[i] == IST_TEST ? IST_UNUSED : w->part[i];
	assert_int_equal(ist_train_check(method, &w->pairs, &err), IST_NOT_ENOUGH_DATA);
	assert_non_null(strstr(err.text, "triples"));
	free(w);
}

static void test_evaluate(void **state)
{
	struct world *w = world_create();
	json_t *report, *again;
	struct ist_model *model = train(w, SMALL, &report);
	struct ist_err err;

	assert_ist_ok(ist_evaluate(model, &w->pairs, IST_TEST, NULL, &again, &err));
	assert_true(r_1(json_object_get(report, "composed")) ==
		    r_1(json_object_get(again, "composed")));
	json_decref(again);
	assert_int_equal(ist_evaluate(model, &w->pairs, IST_UNUSED, NULL, &again, &err),
			 IST_NOT_ENOUGH_DATA);
	json_decref(report);
	ist_model_unref(model);
	free(w);
}

/* ---- the gate ---- */

static void test_gate(void **state)
{
	struct world *w = world_create();
	const size_t dim[IST_N_MODALITIES] = {DIM, KINDS}, shared[IST_N_MODALITIES] = {DIM, DIM};
	struct ist_model *identity = ist_identity_create(dim, false), *crossing, *good, *bad;
	struct ist_gate gate;
	json_t *report;
	struct ist_err err;

	good = train(w, SMALL, &report);
	json_decref(report);
	bad = train(w, "{\"code\": 2, \"critic\": 2, \"batch\": 16, \"epochs\": 1}", &report);
	json_decref(report);
	assert_ist_ok(ist_gate_compare(good, identity, &w->pairs, NULL, &gate, &err));
	if (!gate.activate)
		fail_msg("%s", gate.reason);
	assert_non_null(strstr(gate.reason, "the picture alone"));
	assert_ist_ok(ist_gate_compare(good, bad, &w->pairs, NULL, &gate, &err));
	assert_true(gate.activate);
	assert_ist_ok(ist_gate_compare(bad, good, &w->pairs, NULL, &gate, &err));
	assert_false(gate.activate);
	crossing = ist_identity_create(shared, true);
	assert_ist_ok(ist_gate_compare(good, crossing, &w->pairs, NULL, &gate, &err));
	assert_false(gate.activate);
	assert_non_null(strstr(gate.reason, "cannot compose"));
	for (size_t i = 0; i < TRIPLES; i++)
		w->part[i] = w->part[i] == IST_TEST && i % 7 != 0 ? IST_UNUSED : w->part[i];
	assert_ist_ok(ist_gate_compare(good, identity, &w->pairs, NULL, &gate, &err));
	assert_false(gate.activate);
	ist_model_unref(identity);
	ist_model_unref(crossing);
	ist_model_unref(good);
	ist_model_unref(bad);
	free(w);
}

TEST_MAIN(cmocka_unit_test(test_ranks_by_hand), cmocka_unit_test(test_nan_comes_last),
	  cmocka_unit_test(test_parts_and_counts), cmocka_unit_test(test_baselines),
	  cmocka_unit_test(test_a_training_without_pairs), cmocka_unit_test(test_patience),
	  cmocka_unit_test(test_too_few_triples), cmocka_unit_test(test_evaluate),
	  cmocka_unit_test(test_gate))
