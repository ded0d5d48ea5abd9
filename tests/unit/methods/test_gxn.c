/*
 * GXN as a method: pictures and words are learned from, what an index scores is what the loss
 * scored, files and checkpoints of networks that see and read, and what cannot be trained.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/gxn.h"
#include "core/methods/similarity.h"
#include "tests/unit/methods/world.h"

#define SCENES 24 /* three colours, eight places */
#define COPIES 5
#define SIDE IST_PIXELS_SIDE
#define SMALL "\"code\": 16, \"batch\": 24, \"channels\": 4, \"hidden\": 16, \"word_width\": 8"

/* Squares of a colour at a place, and two words for each; the last copies are held out. */
struct scenes {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	uint8_t part[SCENES * COPIES];
	int64_t item[SCENES * COPIES];
	char sentence[SCENES][32];
	const char *text[SCENES * COPIES];
};

static void draw(float *image, size_t colour, size_t place, struct ist_rng *rng)
{
	size_t top = place / 4 * 16 + ist_rng_below(rng, 5), left = place % 4 * 8;

	for (size_t k = 0; k < (size_t)3 * SIDE * SIDE; k++) {
		size_t row = k / SIDE % SIDE, col = k % SIDE;
		bool inside = row >= top && row < top + 8 && col >= left && col < left + 8;

		image[k] = inside && k / (SIDE * SIDE) == colour ? 1 : .1F;
	}
}

static void scenes_init(struct scenes *s)
{
	const size_t dim[IST_N_MODALITIES] = {(size_t)3 * SIDE * SIDE, IST_WORDS_MAX};
	struct ist_rng rng;

	memset(s, 0, sizeof(*s));
	ist_rng_init(&rng, 2, "scenes");
	s->pairs = (struct ist_pairs){
	    .n = SCENES * COPIES, .part = s->part, .item = s->item, .text = s->text};
	s->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	s->pairs.form[IST_TEXT] = IST_FORM_WORDS;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		s->x[m] = ist_alloc(s->pairs.n * dim[m], sizeof(float));
		s->pairs.x[m] = s->x[m];
		s->pairs.dim[m] = dim[m];
	}
	for (size_t i = 0; i < s->pairs.n; i++) {
		size_t scene = i % SCENES;
		float *words = s->x[IST_TEXT] + i * IST_WORDS_MAX;

		s->part[i] = i / SCENES < COPIES - 1 ? IST_TRAIN : IST_TEST;
		s->item[i] = (int64_t)i;
		draw(s->x[IST_IMAGE] + i * dim[IST_IMAGE], scene % 3, scene / 3, &rng);
		words[0] = (float)(100 + scene % 3);
		words[1] = (float)(200 + scene / 3);
		words[2] = scene % 2 == 0 ? 300 : 0; /* texts of two lengths */
		snprintf(s->sentence[scene], sizeof(s->sentence[scene]), "%c at place %c%s",
			 (char)('a' + scene % 3), (char)('a' + scene / 3),
			 scene % 2 == 0 ? " again" : "");
		s->text[i] = s->sentence[scene];
	}
}

static void scenes_finish(struct scenes *s)
{
	free(s->x[IST_IMAGE]);
	free(s->x[IST_TEXT]);
}

static struct ist_model *train(const struct ist_pairs *pairs, const char *given,
			       const struct ist_train_hooks *hooks)
{
	json_t *params = world_params("gxn", given);
	struct ist_model *model;
	struct ist_err err;

	assert_ist_ok(ist_gxn_train(pairs, params, 3, hooks, &model, &err));
	json_decref(params);
	return model;
}

static float *embed(const struct ist_model *model, const struct ist_pairs *pairs,
		    enum ist_modality m)
{
	float *e = ist_alloc(pairs->n * model->dim[m], sizeof(*e));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, m, pairs->x[m], pairs->n, e, &err));
	return e;
}

/* Similarities of all texts (rows) with all pictures, as an index takes them. */
static float *similarities(const struct ist_model *model, const struct ist_pairs *pairs)
{
	ist_autofree float *t = embed(model, pairs, IST_TEXT), *v = embed(model, pairs, IST_IMAGE);
	float *s = ist_alloc(pairs->n * pairs->n, sizeof(*s));

	ist_similarities(model->similarity, IST_TEXT_TO_IMAGE, t, pairs->n, v, pairs->n,
			 model->dim[IST_TEXT], s);
	return s;
}

/* Held-out texts whose nearest held-out picture shows their scene. */
static double recall(const struct ist_model *model, const struct ist_pairs *pairs)
{
	ist_autofree float *s = similarities(model, pairs);
	size_t first = SCENES * (COPIES - 1);
	double hits = 0;

	for (size_t i = first; i < pairs->n; i++) {
		size_t best = first;

		for (size_t j = first; j < pairs->n; j++)
			if (s[i * pairs->n + j] > s[i * pairs->n + best])
				best = j;
		hits += best == i;
	}
	return hits / SCENES;
}

static void test_it_learns_to_see_and_to_read(void **state)
{
	struct scenes s;
	struct ist_model *model;
	double untrained, trained;

	scenes_init(&s);
	model = train(&s.pairs, "{" SMALL ", \"epochs\": 1, \"lr\": 1e-8}", NULL);
	untrained = recall(model, &s.pairs);
	ist_model_unref(model);
	model = train(&s.pairs, "{" SMALL ", \"epochs\": 50}", NULL);
	trained = recall(model, &s.pairs);
	assert_string_equal(ist_param_choice(model->params, "image_network"), "cnn");
	assert_string_equal(ist_param_choice(model->params, "text_network"), "gru");
	assert_int_equal(ist_param_int(model->params, "vocabulary"), 3 + 8 + 1);
	assert_int_equal(model->similarity, IST_ORDER);
	assert_int_equal(model->dim[IST_TEXT], 2 * 16);
	if (!(trained > .7 && untrained < .2)) /* chance is .04 */
		fail_msg("recall %.2f, untrained %.2f", trained, untrained);
	ist_model_unref(model);
	scenes_finish(&s);
}

/* ---- one definition of order ---- */

/* What the loss scores, of rows of the pairs: s* (n, n) by the training's own formulas. */
static void check_scores(const struct world *w, const char *given)
{
	struct ist_model *model = train(&w->pairs, given, NULL);
	ist_autofree float *want = similarities(model, &w->pairs);
	struct ist_network *network = model->state;
	struct ist_gxn_settings s = *(const struct ist_gxn_settings *)network->settings;
	ist_autofree float *scaled = ist_alloc(s.n_in[0] + s.n_in[1], sizeof(*scaled));
	struct ist_gxn_ranking *r;
	struct ist_err err;
	size_t n = 40;

	s.batch = n;
	s.dropout = 0;
	assert_ist_ok(ist_gxn_ranking_create(&s, network->theta, &r, &err));
	for (int m = 0; m < IST_N_MODALITIES; m++)
		for (size_t i = 0; i < n; i++) {
			ist_scaling_apply(&network->scaling[m], w->pairs.x[m] + i * s.n_in[m], 1,
					  scaled);
			for (size_t j = 0; j < s.n_in[m]; j++)
				r->x[m]->value[i * s.n_in[m] + j] = (ist_real)scaled[j];
		}
	ist_graph_forward(r->graph);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (fabs((double)r->score->value[i * n + j] -
				 (double)want[i * WORLD_PAIRS + j]) > 1e-5)
				fail_msg("%s [%zu, %zu]: %g, expected %g", given, i, j,
					 (double)r->score->value[i * n + j],
					 (double)want[i * WORLD_PAIRS + j]);
	ist_gxn_ranking_destroy(r);
	ist_model_unref(model);
}

static void test_an_index_scores_as_the_loss_did(void **state)
{
	static const char *const given[] = {"", ", \"violation\": \"image_over_text\"",
					    ", \"similarity\": \"cosine\""};
	static const char *const lambdas[] = {"0", "0.3", "1"};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < IST_COUNT(given); i++)
		for (size_t k = 0; k < IST_COUNT(lambdas); k++) {
			ist_autofree char *params = ist_format(
			    "{\"code\": 8, \"epochs\": 3, \"lambda\": %s%s}", lambdas[k], given[i]);

			check_scores(&w, params);
		}
	world_finish(&w);
}

/* A level of weight 0 says nothing. */
static void test_one_level_alone(void **state)
{
	struct world w;
	struct ist_model *model;

	world_init(&w);
	for (int lambda = 0; lambda < 2; lambda++) {
		ist_autofree char *given =
		    ist_format("{\"code\": 8, \"epochs\": 2, \"lambda\": %d}", lambda);
		ist_autofree float *e = NULL;

		model = train(&w.pairs, given, NULL);
		e = embed(model, &w.pairs, IST_IMAGE);
		for (size_t j = 0; j < 16; j++)
			assert_int_equal(e[j] == 0, lambda == 1 ? j >= 8 : j < 8);
		ist_model_unref(model);
	}
	world_finish(&w);
}

/* ---- files and checkpoints of networks that see and read ---- */

static void assert_same(const struct ist_model *a, const struct ist_model *b,
			const struct ist_pairs *pairs)
{
	ist_autofree float *x = similarities(a, pairs), *y = similarities(b, pairs);

	assert_int_equal(a->similarity, b->similarity);
	assert_memory_equal(x, y, pairs->n * pairs->n * sizeof(*x));
}

static void test_files(void **state)
{
	char folder[] = "/tmp/test-gxn-XXXXXX";
	struct ist_model *model, *loaded;
	struct ist_err err;
	struct scenes s;

	scenes_init(&s);
	model = train(&s.pairs, "{" SMALL ", \"epochs\": 2}", NULL);
	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_model_save(model, folder, &err));
	assert_ist_ok(ist_model_load(folder, &loaded, &err));
	assert_same(model, loaded, &s.pairs);
	ist_model_unref(model);
	ist_model_unref(loaded);
	assert_ist_ok(ist_dir_remove(folder, &err));
	scenes_finish(&s);
}

static bool stop_after(void *user)
{
	int *left = user;

	return (*left)-- == 0;
}

/* Stopped again and again, taken up each time from the checkpoint. */
static void check_resume(const struct ist_pairs *pairs, const char *given)
{
	char folder[] = "/tmp/test-gxn-XXXXXX";
	struct ist_model *whole = train(pairs, given, NULL), *model = NULL;
	const struct ist_weights *want = ((struct ist_network *)whole->state)->theta, *got;
	struct ist_err err;
	int stops = 0;

	assert_non_null(mkdtemp(folder));
	while (model == NULL) {
		int left = 3;
		const struct ist_train_hooks hooks = {
		    .user = &left, .stop = stop_after, .checkpoint_dir = folder};
		json_t *params = world_params("gxn", given);
		enum ist_code code = ist_gxn_train(pairs, params, 3, &hooks, &model, &err);

		json_decref(params);
		assert_true(code == IST_OK || code == IST_CANCELLED);
		assert_true(++stops < 100);
	}
	assert_true(stops > 2);
	got = ((struct ist_network *)model->state)->theta;
	assert_int_equal(want->size, got->size);
	assert_memory_equal(want->value, got->value, want->size * sizeof(*want->value));
	ist_model_unref(whole);
	ist_model_unref(model);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

/* Alone, with dropout; beside sentences of both kinds of training; beside pictures; beside both. */
static void test_a_resumed_training_has_the_same_bits(void **state)
{
	static const char sentences[] =
	    "\"captions\": true, \"decoder\": 8, \"caption_words\": 6, \"scst_epochs\": 1";
	static const char pictures[] = "\"generator\": \"pixels\", \"generator_width\": 4, "
				       "\"critic_width\": 4, \"z\": 4, \"condition\": 4";
	struct scenes s;

	scenes_init(&s);
	check_resume(&s.pairs, "{" SMALL ", \"epochs\": 3, \"dropout\": 0.3, "
			       "\"negatives\": \"hardest\"}");
	for (int on = 1; on < 4; on++) {
		ist_autofree char *given =
		    ist_format("{" SMALL ", \"epochs\": 2, %s%s%s}", on & 1 ? sentences : "",
			       on == 3 ? ", " : "", on & 2 ? pictures : "");

		check_resume(&s.pairs, given);
	}
	scenes_finish(&s);
}

/* What stands under a prefix in a model's weights, as one sum. */
static double sum_of(const struct ist_model *model, const char *prefix)
{
	const struct ist_weights *theta = ((struct ist_network *)model->state)->theta;
	double sum = 0;

	for (size_t i = 0; i < theta->n; i++)
		for (size_t k = 0; k < theta->weights[i]->size; k++)
			if (strncmp(theta->weights[i]->name, prefix, strlen(prefix)) == 0)
				sum += fabs((double)theta->weights[i]->value[k]);
	return sum;
}

/* Features imagined from texts move the text's encoder alone; nothing else has another start. */
static void test_imagination_reaches_the_text(void **state)
{
	static const char given[] = "{\"code\": 8, \"epochs\": 2, \"batch\": 24, \"margin\": 0%s}";
	ist_autofree char *plain = ist_format(given, "");
	ist_autofree char *with = ist_format(given, ", \"generator\": \"feature\"");
	struct world w;
	struct ist_model *a, *b;

	world_init(&w);
	a = train(&w.pairs, plain, NULL);
	b = train(&w.pairs, with, NULL);
	assert_true(sum_of(a, "render.") == 0 && sum_of(b, "render.") > 0);
	assert_true(sum_of(a, "text.l.") != sum_of(b, "text.l."));
	assert_int_equal(ist_method_abilities(a->method, a->params),
			 IST_EMBED_IMAGE | IST_EMBED_TEXT);
	assert_true(ist_method_abilities(b->method, b->params) & IST_RECONSTRUCT);
	ist_model_unref(a);
	ist_model_unref(b);
	world_finish(&w);
}

/* ---- parameters ---- */

static void refuse(const struct ist_pairs *pairs, const char *given, enum ist_code code,
		   const char *pointer)
{
	json_t *params = world_params("gxn", given);
	struct ist_model *model;
	struct ist_err err;

	memset(&err, 0, sizeof(err));
	assert_int_equal(ist_gxn_train(pairs, params, 1, NULL, &model, &err), code);
	assert_string_equal(err.pointer, pointer);
	json_decref(params);
}

static void test_what_cannot_be_trained(void **state)
{
	struct world w;
	struct scenes s;

	world_init(&w);
	refuse(&w.pairs, "{\"image_network\": \"cnn\"}", IST_INVALID, "/image_network");
	refuse(&w.pairs, "{\"text_network\": \"gru\"}", IST_INVALID, "/text_network");
	refuse(&w.pairs, "{\"captions\": true}", IST_INVALID, "/captions");
	refuse(&w.pairs, "{\"generator\": \"pixels\"}", IST_INVALID, "/generator");
	memset(w.part, IST_TEST, sizeof(w.part));
	refuse(&w.pairs, "{}", IST_NOT_ENOUGH_DATA, "");
	world_finish(&w);
	scenes_init(&s);
	refuse(&s.pairs, "{\"text_scaling\": \"unit\"}", IST_INVALID, "/text_scaling");
	scenes_finish(&s);
}

/* What was decided stands in the model; the world's features go below 0. */
static void test_what_the_data_decide(void **state)
{
	struct world w;
	struct ist_model *model;

	world_init(&w);
	model = train(&w.pairs, "{\"code\": 8}", NULL);
	assert_string_equal(ist_param_choice(model->params, "image_scaling"), "unit");
	assert_int_equal(ist_param_int(model->params, "epochs"), 300); /* a batch each */
	assert_true(ist_param_real(model->params, "margin") == .2);
	ist_model_unref(model);
	model = train(&w.pairs, "{\"code\": 8, \"similarity\": \"cosine\"}", NULL);
	assert_int_equal(ist_param_int(model->params, "epochs"), 120);
	assert_int_equal(model->similarity, IST_COSINE);
	ist_model_unref(model);
	world_finish(&w);
}

TEST_MAIN(cmocka_unit_test(test_it_learns_to_see_and_to_read),
	  cmocka_unit_test(test_an_index_scores_as_the_loss_did),
	  cmocka_unit_test(test_one_level_alone), cmocka_unit_test(test_files),
	  cmocka_unit_test(test_a_resumed_training_has_the_same_bits),
	  cmocka_unit_test(test_imagination_reaches_the_text),
	  cmocka_unit_test(test_what_cannot_be_trained),
	  cmocka_unit_test(test_what_the_data_decide))
