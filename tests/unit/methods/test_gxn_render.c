/*
 * What a trained GXN draws and calls up: the same pictures by the same seed, whatever is drawn
 * beside them, in whatever thread, from memory or from a file; others by another seed; features in
 * the encoder's scale; a resumed training with the same bits.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/gxn.h"
#include "tests/unit/methods/world.h"

#define PAIRS 48
#define SIDE IST_PIXELS_SIDE
#define NUMBERS ((size_t)3 * SIDE * SIDE)
#define COUNT 3
#define SMALL                                                                                      \
	"\"code\": 16, \"batch\": 16, \"channels\": 4, \"hidden\": 16, \"word_width\": 8, \"z\": " \
	"8, \"condition\": 8, \"generator_width\": 4, \"critic_width\": 4"
#define PIXELS "{" SMALL ", \"generator\": \"pixels\", \"epochs\": 3}"

/* Planes of three greys, each with its word. */
struct greys {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	uint8_t part[PAIRS];
	int64_t item[PAIRS];
};

static void greys_init(struct greys *g)
{
	const size_t dim[IST_N_MODALITIES] = {NUMBERS, IST_WORDS_MAX};
	struct ist_rng rng;

	memset(g, 0, sizeof(*g));
	ist_rng_init(&rng, 2, "greys");
	g->pairs = (struct ist_pairs){.n = PAIRS, .part = g->part, .item = g->item};
	g->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	g->pairs.form[IST_TEXT] = IST_FORM_WORDS;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		g->x[m] = ist_alloc(PAIRS * dim[m], sizeof(float));
		g->pairs.x[m] = g->x[m];
		g->pairs.dim[m] = dim[m];
	}
	for (size_t i = 0; i < PAIRS; i++) {
		g->item[i] = (int64_t)i;
		g->x[IST_TEXT][i * IST_WORDS_MAX] = (float)(100 + i % 3);
		for (size_t k = 0; k < NUMBERS; k++)
			g->x[IST_IMAGE][i * NUMBERS + k] =
			    (float)(1 + 100 * (i % 3) + ist_rng_below(&rng, 50)) / 256;
	}
}

static void greys_finish(struct greys *g)
{
	free(g->x[IST_IMAGE]);
	free(g->x[IST_TEXT]);
}

static enum ist_code try_training(const struct ist_pairs *pairs, const char *given,
				  const struct ist_train_hooks *hooks, struct ist_model **ret)
{
	json_t *params = world_params("gxn", given);
	struct ist_err err;
	enum ist_code code = ist_gxn_train(pairs, params, 3, hooks, ret, &err);

	json_decref(params);
	return code;
}

static struct ist_model *train(const struct ist_pairs *pairs, const char *given)
{
	struct ist_model *model;

	assert_int_equal(try_training(pairs, given, NULL, &model), IST_OK);
	return model;
}

/* ---- pictures ---- */

static void render(const struct ist_model *model, const struct greys *g, size_t row, uint64_t seed,
		   size_t count, uint8_t *ret)
{
	struct ist_err err;

	assert_int_equal(model->method->render_side(model), SIDE);
	assert_ist_ok(model->method->render(model, g->x[IST_TEXT] + row * IST_WORDS_MAX, seed,
					    count, ret, &err));
}

static void test_pictures_follow_from_text_and_seed(void **state)
{
	static uint8_t three[COUNT * NUMBERS], again[COUNT * NUMBERS], other[COUNT * NUMBERS];
	struct greys g;
	struct ist_model *model;

	greys_init(&g);
	model = train(&g.pairs, PIXELS);
	assert_true((ist_method_abilities(model->method, model->params) & IST_RENDER) != 0);
	render(model, &g, 0, 5, COUNT, three);
	render(model, &g, 0, 5, 1, again);
	assert_memory_equal(three, again, NUMBERS);
	assert_memory_not_equal(three, three + NUMBERS, NUMBERS);
	assert_memory_not_equal(three + NUMBERS, three + 2 * NUMBERS, NUMBERS);
	render(model, &g, 0, 6, COUNT, other);
	for (size_t i = 0; i < COUNT; i++)
		assert_memory_not_equal(three + i * NUMBERS, other + i * NUMBERS, NUMBERS);
	render(model, &g, 1, 5, COUNT, other);
	assert_memory_not_equal(three, other, NUMBERS);
	ist_model_unref(model);
	greys_finish(&g);
}

struct drawer {
	const struct ist_model *model;
	const struct greys *g;
	const uint8_t *want;
	bool same;
};

static void *draw(void *user)
{
	struct drawer *d = user;
	ist_autofree uint8_t *got = ist_alloc(COUNT, NUMBERS);

	d->same = true;
	for (int i = 0; i < 3; i++) {
		d->same &= d->model->method->render(d->model, d->g->x[IST_TEXT], 9, COUNT, got,
						    NULL) == IST_OK;
		d->same &= memcmp(got, d->want, COUNT * NUMBERS) == 0;
	}
	return NULL;
}

static void test_files_and_threads(void **state)
{
	static uint8_t want[COUNT * NUMBERS];
	char folder[] = "/tmp/test-gxn-XXXXXX";
	struct drawer drawer[3];
	pthread_t thread[3];
	struct ist_model *model, *loaded;
	struct greys g;
	struct ist_err err;

	greys_init(&g);
	model = train(&g.pairs, PIXELS);
	render(model, &g, 0, 9, COUNT, want);
	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_model_save(model, folder, &err));
	assert_ist_ok(ist_model_load(folder, &loaded, &err));
	for (int i = 0; i < 3; i++) {
		drawer[i] = (struct drawer){.model = loaded, .g = &g, .want = want};
		assert_int_equal(pthread_create(&thread[i], NULL, draw, &drawer[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		assert_true(drawer[i].same);
	}
	ist_model_unref(model);
	ist_model_unref(loaded);
	assert_ist_ok(ist_dir_remove(folder, &err));
	greys_finish(&g);
}

/* ---- features ---- */

static void test_a_picture_as_a_feature(void **state)
{
	static float x[2 * NUMBERS];
	struct greys g;
	struct ist_model *model;
	struct ist_err err;

	greys_init(&g);
	model = train(&g.pairs, PIXELS);
	assert_ist_ok(
	    model->method->reconstruct(model, IST_TEXT, IST_IMAGE, g.x[IST_TEXT], 2, x, &err));
	for (size_t i = 0; i < IST_COUNT(x); i++)
		assert_true(x[i] >= 1 / 256.0F && x[i] <= 1);
	assert_int_equal(
	    model->method->reconstruct(model, IST_IMAGE, IST_TEXT, g.x[IST_IMAGE], 1, x, &err),
	    IST_INVALID);
	ist_model_unref(model);
	greys_finish(&g);
}

static double cosine(const float *a, const float *b, size_t n)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < n; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

/* Of held-out texts the features of pictures of their class are called up. */
static void test_features_of_texts(void **state)
{
	struct world w;
	struct ist_model *model;
	ist_autofree float *x = ist_alloc((size_t)WORLD_PAIRS * WORLD_IMAGE, sizeof(*x));
	double own = 0, other = 0, n_own = 0, n_other = 0;
	struct ist_err err;

	world_init(&w);
	model = train(&w.pairs, "{\"code\": 16, \"generator\": \"feature\", \"generator_width\": "
				"8, \"critic_width\": 8, \"condition\": 16, \"beta_s\": 0.2, "
				"\"gan_lr\": 1e-3, \"critic_lr\": 1e-3, \"epochs\": 300}");
	assert_int_equal(ist_method_abilities(model->method, model->params),
			 IST_EMBED_IMAGE | IST_EMBED_TEXT | IST_RECONSTRUCT);
	assert_ist_ok(model->method->reconstruct(model, IST_TEXT, IST_IMAGE, w.x[IST_TEXT],
						 WORLD_PAIRS, x, &err));
	for (size_t i = 0; i < WORLD_PAIRS; i++)
		for (size_t j = 0; j < WORLD_PAIRS; j++) {
			double c = cosine(x + i * WORLD_IMAGE, w.x[IST_IMAGE] + j * WORLD_IMAGE,
					  WORLD_IMAGE);

			if (w.part[i] != IST_TEST || w.label[i] < 0 || w.label[j] < 0)
				continue;
			own += w.label[i] == w.label[j] ? c : 0;
			n_own += w.label[i] == w.label[j];
			other += w.label[i] == w.label[j] ? 0 : c;
			n_other += w.label[i] != w.label[j];
		}
	if (!(own / n_own > other / n_other + .3))
		fail_msg("cosine with own class %.3f, with others %.3f", own / n_own,
			 other / n_other);
	ist_model_unref(model);
	world_finish(&w);
}

/* ---- bits ---- */

static bool stop_after(void *user)
{
	return --*(int *)user == 0;
}

static void check_resumed(const char *given)
{
	char folder[] = "/tmp/test-gxn-XXXXXX";
	struct ist_model *whole, *model = NULL;
	const struct ist_network *a, *b;
	struct greys g;
	struct ist_err err;
	int stops = 0;

	greys_init(&g);
	whole = train(&g.pairs, given);
	assert_non_null(mkdtemp(folder));
	while (model == NULL) {
		int left = 4;
		const struct ist_train_hooks hooks = {
		    .user = &left, .stop = stop_after, .checkpoint_dir = folder};
		enum ist_code code = try_training(&g.pairs, given, &hooks, &model);

		assert_true(code == IST_OK || code == IST_CANCELLED);
		assert_true(++stops < 100);
	}
	assert_true(stops > 2);
	a = whole->state;
	b = model->state;
	assert_memory_equal(a->theta->value, b->theta->value,
			    a->theta->size * sizeof(*a->theta->value));
	ist_model_unref(whole);
	ist_model_unref(model);
	assert_ist_ok(ist_dir_remove(folder, &err));
	greys_finish(&g);
}

static void test_a_resumed_training_has_the_same_bits(void **state)
{
	check_resumed(PIXELS);
	check_resumed("{" SMALL ", \"generator\": \"feature\", \"epochs\": 3}");
}

static void test_pixels_are_drawn_as_they_are(void **state)
{
	struct greys g;
	struct ist_model *model;

	greys_init(&g);
	assert_int_equal(try_training(&g.pairs,
				      "{" SMALL
				      ", \"generator\": \"pixels\", \"image_scaling\": \"unit\"}",
				      NULL, &model),
			 IST_INVALID);
	greys_finish(&g);
}

TEST_MAIN(cmocka_unit_test(test_pictures_follow_from_text_and_seed),
	  cmocka_unit_test(test_files_and_threads), cmocka_unit_test(test_a_picture_as_a_feature),
	  cmocka_unit_test(test_features_of_texts),
	  cmocka_unit_test(test_a_resumed_training_has_the_same_bits),
	  cmocka_unit_test(test_pixels_are_drawn_as_they_are))
