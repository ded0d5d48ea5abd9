/*
 * MNS-GAN's own: which positives and negatives are drawn, and what its term and its intra-modal
 * half do on small data.
 */
#include "tests/unit/methods/world.h"
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/mnsgan.h"

#define BATCH 12
#define NEGATIVES 3

/* Classes 0 to 4 with 4, 4, 2, 1 and 1 items. */
static struct ist_adversarial *network(void)
{
	static const int32_t y[BATCH] = {0, 1, 0, 2, 1, 0, 3, 1, 4, 2, 0, 1};
	struct ist_mnsgan_settings s = {.net = {.n_in = {5, 4},
						.code = 3,
						.n_classes = 5,
						.classifier_hidden = 4,
						.batch = BATCH,
						.alpha = 1,
						.beta = 1,
						.k = 1,
						.lr = 1e-3,
						.beta1 = .5,
						.beta2 = .999},
					.n_negatives = NEGATIVES,
					.tau = 1,
					.eta = .5};
	struct ist_adversarial *a;
	struct ist_err err;

	assert_ist_ok(ist_mnsgan_create(&s, 0, &a, &err));
	memcpy(a->y->ids, y, sizeof(y));
	for (size_t i = 0; i < a->image->size; i++)
		a->image->value[i] = (ist_real)sin((double)(i * i));
	return a;
}

static int32_t class_at(const struct ist_adversarial *a, int32_t position)
{
	assert_in_range(position, 0, BATCH - 1);
	return a->y->ids[position];
}

/* Each from another class, none from the anchor's; every other class gets its turn. */
static void test_each_from_another_class(void **state)
{
	struct ist_adversarial *a = network();
	const struct ist_mnsgan_draw how = {0};
	size_t seen[5] = {0};

	for (size_t batch = 0; batch < 50; batch++) {
		ist_mnsgan_draw(a, &how, 9, 2, batch);
		for (size_t i = 0; i < BATCH; i++) {
			bool used[5] = {0};
			int32_t pos = a->pos->ids[i];

			assert_int_equal(class_at(a, pos), a->y->ids[i]);
			assert_int_equal(pos == (int32_t)i, a->y->ids[i] >= 3); /* alone */
			for (size_t k = 0; k < NEGATIVES; k++) {
				int32_t c = class_at(a, a->neg->ids[i * NEGATIVES + k]);

				assert_true(c != a->y->ids[i] && !used[c]);
				used[c] = true;
				seen[c] += i == 0;
			}
		}
	}
	for (size_t c = 1; c < 5; c++)
		assert_in_range(seen[c], 20, 50);
	ist_adversarial_destroy(a);
}

static void test_all_from_one_class_and_nearest(void **state)
{
	struct ist_adversarial *a = network();
	struct ist_mnsgan_draw how = {.one_class = true};
	int32_t nearest = -1;
	double best = INFINITY;

	ist_mnsgan_draw(a, &how, 9, 2, 0);
	for (size_t i = 0; i < BATCH; i++)
		for (size_t k = 1; k < NEGATIVES; k++)
			assert_int_equal(class_at(a, a->neg->ids[i * NEGATIVES + k]),
					 class_at(a, a->neg->ids[i * NEGATIVES]));
	how = (struct ist_mnsgan_draw){.nearest = true};
	ist_mnsgan_draw(a, &how, 9, 2, 0);
	for (int32_t j = 0; j < BATCH; j++) { /* of class 1, to the first item, which is of 0 */
		double far = 0;

		for (size_t k = 0; k < 5; k++)
			far += pow((double)a->image->value[k] -
				       (double)a->image->value[(size_t)j * 5 + k],
				   2);
		if (a->y->ids[j] == 1 && far < best) {
			best = far;
			nearest = j;
		}
	}
	for (size_t k = 0; k < NEGATIVES; k++)
		if (class_at(a, a->neg->ids[k]) == 1)
			assert_int_equal(a->neg->ids[k], nearest);
	ist_adversarial_destroy(a);
}

/* A batch of two classes has one negative for each anchor; the other places are empty. */
static void test_too_few_classes(void **state)
{
	struct ist_adversarial *a = network();
	const struct ist_mnsgan_draw how = {0};

	for (size_t i = 0; i < BATCH; i++)
		a->y->ids[i] = (int32_t)(i % 2);
	ist_mnsgan_draw(a, &how, 1, 0, 0);
	for (size_t i = 0; i < BATCH; i++) {
		assert_int_equal(class_at(a, a->neg->ids[i * NEGATIVES]), 1 - a->y->ids[i]);
		for (size_t k = 1; k < NEGATIVES; k++)
			assert_int_equal(a->neg->ids[i * NEGATIVES + k], -1);
	}
	ist_adversarial_step(a);
	assert_true(isfinite(a->L->value[0]));
	ist_adversarial_destroy(a);
}

/* Mean distance of held-out pairs of one class over that of different ones, from a to b. */
static double spread(const struct ist_model *model, const struct world *w, enum ist_modality a,
		     enum ist_modality b)
{
	ist_autofree float *x = world_embed(model, w, a), *z = world_embed(model, w, b);
	size_t dim = model->dim[a];
	double sum[2] = {0}, n[2] = {0};

	for (size_t i = WORLD_PAIRS * 4 / 5; i < WORLD_PAIRS; i++)
		for (size_t j = WORLD_PAIRS * 4 / 5; j < WORLD_PAIRS; j++) {
			int same = w->label[i] == w->label[j];

			if (i == j)
				continue;
			sum[same] += world_distance(x + i * dim, z + j * dim, dim);
			n[same]++;
		}
	return (sum[1] / n[1]) / (sum[0] / n[0]);
}

#define ALONE "\"epochs\": 40, \"beta\": 0, \"adversary\": 0"

/* With the label predictor taken out, the term is all there is. Across the modalities it works
 * without its intra-modal half; with it, classes lie closer inside a modality too. */
static void test_the_terms_show(void **state)
{
	struct ist_model *none, *inter, *both;
	struct world w;

	world_init(&w);
	none = world_train(&w, "mnsgan", "{" ALONE ", \"alpha\": 0}", NULL);
	inter = world_train(&w, "mnsgan", "{" ALONE ", \"eta\": 0}", NULL);
	both = world_train(&w, "mnsgan", "{" ALONE ", \"eta\": 1}", NULL);
	assert_true(spread(none, &w, IST_IMAGE, IST_TEXT) > .9);
	assert_true(spread(inter, &w, IST_IMAGE, IST_TEXT) < .7);
	assert_true(spread(both, &w, IST_IMAGE, IST_IMAGE) <
		    .97 * spread(inter, &w, IST_IMAGE, IST_IMAGE));
	assert_true(spread(both, &w, IST_TEXT, IST_TEXT) <
		    .97 * spread(inter, &w, IST_TEXT, IST_TEXT));
	ist_model_unref(none);
	ist_model_unref(inter);
	ist_model_unref(both);
	world_finish(&w);
}

static void test_it_says_that_it_is_a_reconstruction(void **state)
{
	assert_true(ist_method_find("mnsgan")->paper.reconstruction);
	assert_false(ist_method_find("cmgan")->paper.reconstruction);
}

TEST_MAIN(cmocka_unit_test(test_each_from_another_class),
	  cmocka_unit_test(test_all_from_one_class_and_nearest),
	  cmocka_unit_test(test_too_few_classes), cmocka_unit_test(test_the_terms_show),
	  cmocka_unit_test(test_it_says_that_it_is_a_reconstruction))
