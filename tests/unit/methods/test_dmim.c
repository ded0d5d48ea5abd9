/*
 * DMIM as a method, on made-up triples: with its weights 0 it is TIRG bit for bit, both terms
 * learn, halves of embeddings, files, checkpoints that go on with the same bits after a stop, steps
 * that allocate nothing, and what cannot be trained.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/dmim.h"
#include "core/tensor/ops.h"

#define PEOPLE 40
#define COLOURS 4
#define IMAGES (PEOPLE * COLOURS)
#define TRIPLES (PEOPLE * COLOURS * (COLOURS - 1))
#define DIM_IMAGE 24
#define DIM_TEXT 6

/* People in coats of four colours: who it is lies in most columns, the colour in the last ones. */
struct world {
	struct ist_pairs pairs;
	struct ist_triples triples;
	float *image, *text;
	uint8_t image_part[IMAGES], part[TRIPLES];
	int64_t item[IMAGES];
	uint32_t reference[TRIPLES], target[TRIPLES];
};

static void fill_features(struct world *w)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 5, "world");
	w->image = ist_alloc(IMAGES * DIM_IMAGE, sizeof(float));
	w->text = ist_alloc(TRIPLES * DIM_TEXT, sizeof(float));
	for (size_t p = 0; p < PEOPLE; p++)
		for (size_t j = 0; j < DIM_IMAGE - COLOURS; j++) {
			float x = (float)ist_rng_uniform(&rng);

			for (size_t c = 0; c < COLOURS; c++)
				w->image[(p * COLOURS + c) * DIM_IMAGE + j] = x;
		}
	for (size_t i = 0; i < IMAGES; i++)
		w->image[i * DIM_IMAGE + DIM_IMAGE - COLOURS + i % COLOURS] = 2;
	for (size_t i = 0; i < TRIPLES; i++)
		for (size_t j = 0; j < DIM_TEXT; j++)
			w->text[i * DIM_TEXT + j] = (j == w->target[i] % COLOURS ? 1.0F : 0.0F) +
						    (float)(.05 * ist_rng_normal(&rng));
}

static void wire(struct world *w)
{
	w->triples = (struct ist_triples){.n = TRIPLES,
					  .n_images = IMAGES,
					  .image = w->image,
					  .image_part = w->image_part,
					  .item = w->item,
					  .text = w->text,
					  .reference = w->reference,
					  .target = w->target,
					  .part = w->part};
	w->pairs.triples = &w->triples;
}

/* The last fifth of the people is held out. */
static void world_init(struct world *w)
{
	size_t n = 0;

	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < IMAGES; i++) {
		w->image_part[i] = i / COLOURS < PEOPLE * 4 / 5 ? IST_TRAIN : IST_TEST;
		w->item[i] = (int64_t)i;
	}
	for (uint32_t p = 0; p < PEOPLE; p++)
		for (uint32_t a = 0; a < COLOURS; a++)
			for (uint32_t b = 0; b < COLOURS; b++) {
				if (a == b)
					continue;
				w->reference[n] = p * COLOURS + a;
				w->target[n] = p * COLOURS + b;
				w->part[n++] = w->image_part[p * COLOURS];
			}
	fill_features(w);
	w->pairs.dim[IST_IMAGE] = DIM_IMAGE;
	w->pairs.dim[IST_TEXT] = DIM_TEXT;
	wire(w);
}

static void world_finish(struct world *w)
{
	free(w->image);
	free(w->text);
}

/* The same triples as pixels and words: a coat is a plane of one colour, a text two words. */
static void world_see(struct world *w)
{
	size_t places = IST_PIXELS_SIDE * IST_PIXELS_SIDE;
	float *image = ist_alloc(IMAGES * 3 * places, sizeof(float));
	float *text = ist_alloc(TRIPLES * IST_WORDS_MAX, sizeof(float));

	for (size_t i = 0; i < IMAGES; i++)
		for (size_t k = 0; k < 3 * places; k++) {
			size_t c = k / places, row = k % places / IST_PIXELS_SIDE;
			bool coat = row >= IST_PIXELS_SIDE / 2;

			image[i * 3 * places + k] =
			    coat ? (i % COLOURS == c ? 1.0F : .2F)
				 : w->image[i * DIM_IMAGE + (row + 7 * c) % (DIM_IMAGE - COLOURS)];
		}
	for (size_t i = 0; i < TRIPLES; i++) {
		text[i * IST_WORDS_MAX] = 1000;
		text[i * IST_WORDS_MAX + 1] = (float)(2000 + w->target[i] % COLOURS);
	}
	world_finish(w);
	w->image = image;
	w->text = text;
	w->pairs.dim[IST_IMAGE] = 3 * places;
	w->pairs.dim[IST_TEXT] = IST_WORDS_MAX;
	w->pairs.form[IST_IMAGE] = IST_FORM_PIXELS;
	w->pairs.form[IST_TEXT] = IST_FORM_WORDS;
	wire(w);
}

static json_t *complete(const char *given)
{
	json_t *json = json_loads(given, 0, NULL), *params;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(ist_method_find("dmim"), json, &params, &err));
	json_decref(json);
	return params;
}

static struct ist_model *train(const struct world *w, const char *given, uint64_t seed,
			       const struct ist_train_hooks *hooks)
{
	json_t *params = complete(given);
	struct ist_model *model;
	struct ist_err err;

	assert_ist_ok(ist_dmim_train(&w->pairs, params, seed, hooks, &model, &err));
	json_decref(params);
	return model;
}

/* Composed queries of all triples of a part: (n, dim). */
static float *compose(const struct world *w, const struct ist_model *model)
{
	size_t dim = w->pairs.dim[IST_IMAGE];
	float *image = ist_alloc(TRIPLES * dim, sizeof(float));
	float *f = ist_alloc(TRIPLES * model->dim[IST_IMAGE], sizeof(float));
	struct ist_err err;

	for (size_t i = 0; i < TRIPLES; i++)
		memcpy(image + i * dim, w->image + w->reference[i] * dim, dim * sizeof(float));
	assert_ist_ok(ist_model_compose(model, image, w->text, TRIPLES, f, &err));
	free(image);
	return f;
}

static float *embed_images(const struct world *w, const struct ist_model *model)
{
	float *x = ist_alloc(IMAGES * model->dim[IST_IMAGE], sizeof(float));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, IST_IMAGE, w->image, IMAGES, x, &err));
	return x;
}

static double dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

/* Held-out triples whose target comes first among the held-out pictures but the reference. */
static double recall(const struct world *w, const struct ist_model *model)
{
	ist_autofree float *f = compose(w, model), *x = embed_images(w, model);
	size_t dim = model->dim[IST_IMAGE];
	double hits = 0, n = 0;

	for (size_t i = 0; i < TRIPLES; i++) {
		size_t best = w->target[i];

		if (w->part[i] != IST_TEST)
			continue;
		for (size_t g = 0; g < IMAGES; g++)
			if (w->image_part[g] == IST_TEST && g != w->reference[i] &&
			    dot(f + i * dim, x + g * dim, dim) >
				dot(f + i * dim, x + best * dim, dim))
				best = g;
		hits += best == w->target[i];
		n++;
	}
	return hits / n;
}

/* ---- what is learned ---- */

#define SMALL "\"code\": 16, \"critic\": 8, \"batch\": 16"

static void test_it_learns_to_change_coats(void **state)
{
	struct world w;
	struct ist_model *model;

	world_init(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 60}", 1, NULL);
	assert_true(recall(&w, model) > .6); /* chance is 1 in 31 */
	assert_true(model->crosses);
	assert_int_equal(model->similarity, IST_INNER);
	assert_int_equal(model->dim[IST_IMAGE], 16 + 8);
	ist_model_unref(model);
	world_finish(&w);
}

static void test_pixels_and_words(void **state)
{
	struct world w;
	struct ist_model *model;

	world_init(&w);
	world_see(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 12, \"channels\": 4}", 1, NULL);
	assert_string_equal(ist_param_choice(model->params, "image_network"), "cnn");
	assert_string_equal(ist_param_choice(model->params, "text_network"), "lstm");
	assert_int_equal(ist_param_int(model->params, "vocabulary"), 1 + COLOURS);
	assert_true(recall(&w, model) > .2);
	ist_model_unref(model);
	world_finish(&w);
}

/* ---- TIRG ---- */

static ist_node *by_name(struct ist_dmim *a, const char *name, ist_node *x)
{
	return ist_layer_linear(a->graph, a->theta, name, x);
}

static ist_node *norm(struct ist_dmim *a, const char *name, ist_node *x)
{
	return ist_layer_batch_norm(&a->norms, a->graph, a->theta, name, x);
}

static ist_node *weight(struct ist_dmim *a, const char *name)
{
	return ist_weight(a->graph, a->theta, name);
}

/* TIRG's formulas and its batch classification, written out with nothing of DMIM in them. */
static void tirg(struct ist_dmim *a)
{
	const struct ist_dmim_settings *s = &a->s;
	struct ist_graph *g = a->graph = ist_graph_create();
	ist_node *x, *t, *xt, *y, *gate, *res, *f, *q;

	a->image = ist_input(g, "image", s->batch, s->n_in[IST_IMAGE]);
	a->text = ist_input(g, "text", s->batch, s->n_in[IST_TEXT]);
	a->target = ist_input(g, "target", s->batch, s->n_in[IST_IMAGE]);
	a->own = ist_ids(g, "own", s->batch);
	for (size_t i = 0; i < s->batch; i++)
		a->own->ids[i] = (int32_t)i;
	x = by_name(a, "image", a->image);
	y = by_name(a, "image", a->target);
	t = by_name(a, "text", a->text);
	xt = ist_concat(x, t);
	gate = by_name(a, "gate.fc", ist_relu(norm(a, "gate.norm", xt)));
	res = ist_relu(by_name(a, "residual.fc1", ist_relu(norm(a, "residual.norm", xt))));
	res = by_name(a, "residual.fc2", res);
	f = ist_add(ist_times(ist_mul(ist_sigmoid(gate), x), weight(a, "a0")),
		    ist_times(res, weight(a, "a1")));
	q = ist_times(ist_unit(f), weight(a, "s"));
	y = ist_times(ist_unit(y), weight(a, "s"));
	a->L = ist_cross_entropy(ist_matmul(q, ist_transpose(y)), a->own);
}

static struct ist_dmim_settings settings(void)
{
	return (struct ist_dmim_settings){.n_in = {DIM_IMAGE, DIM_TEXT},
					  .d = 16,
					  .batch = 12,
					  .critic = 8,
					  .locations = 1,
					  .lr = 1e-2,
					  .critic_pace = 1,
					  .weight_decay = 1e-4};
}

static void steps(struct ist_dmim *a, int n)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 8, "steps");
	for (int i = 0; i < n; i++) {
		ist_node *const in[] = {a->image, a->text, a->target};

		for (size_t k = 0; k < IST_COUNT(in); k++)
			for (size_t j = 0; j < in[k]->size; j++)
				in[k]->value[j] = (ist_real)ist_rng_normal(&rng);
		ist_dmim_step(a, 1e-2);
	}
}

static void test_weights_of_0_are_tirg_bit_for_bit(void **state)
{
	struct ist_dmim_settings s = settings();
	struct ist_dmim *dmim, *plain;
	struct ist_err err;

	assert_ist_ok(ist_dmim_create(&s, 3, &dmim, &err));
	assert_ist_ok(ist_dmim_create(&s, 3, &plain, &err));
	ist_graph_destroy(plain->graph);
	plain->norms.n = 0;
	tirg(plain);
	assert_ist_ok(ist_graph_compile(plain->graph, true, &err));
	steps(dmim, 7);
	steps(plain, 7);
	assert_int_equal(dmim->theta->size, plain->theta->size);
	assert_memory_equal(dmim->theta->value, plain->theta->value,
			    dmim->theta->size * sizeof(ist_real));
	ist_dmim_destroy(dmim);
	ist_dmim_destroy(plain);
}

/* With them, the first weights are the same and the trained ones are not. */
static void test_the_terms_matter(void **state)
{
	struct ist_dmim_settings s = settings(), with = settings();
	struct ist_dmim *dmim, *tirg_alone;
	struct ist_err err;

	with.lambda_text = with.lambda_local = .5;
	assert_ist_ok(ist_dmim_create(&s, 3, &tirg_alone, &err));
	assert_ist_ok(ist_dmim_create(&with, 3, &dmim, &err));
	assert_memory_equal(ist_weights_find(dmim->theta, "image.weight")->value,
			    ist_weights_find(tirg_alone->theta, "image.weight")->value,
			    16 * DIM_IMAGE * sizeof(ist_real));
	steps(dmim, 3);
	steps(tirg_alone, 3);
	assert_memory_not_equal(ist_weights_find(dmim->theta, "image.weight")->value,
				ist_weights_find(tirg_alone->theta, "image.weight")->value,
				16 * DIM_IMAGE * sizeof(ist_real));
	ist_dmim_destroy(dmim);
	ist_dmim_destroy(tirg_alone);
}

/* The loss is 0 where the critic knows nothing and -2 log 2 where it knows all. */
struct curve {
	double first, last;
};

static void on_curve(void *user, const char *name, double step, double value)
{
	struct curve *c = user;

	if (strcmp(name, "L_text") != 0)
		return;
	if (step == 1)
		c->first = value;
	c->last = value;
}

static void test_the_text_critic_learns(void **state)
{
	struct world w;
	struct curve c = {0};
	const struct ist_train_hooks hooks = {.user = &c, .curve = on_curve};

	world_init(&w);
	ist_model_unref(train(&w, "{" SMALL ", \"epochs\": 30, \"lambda_text\": 0.5}", 1, &hooks));
	assert_true(c.last < c.first - .1);
	assert_true(c.last < -.3 && c.last > -2 * log(2));
	world_finish(&w);
}

/* ---- embeddings ---- */

static void test_halves(void **state)
{
	struct world w;
	struct ist_model *model;
	float item[24], metric[24], critic[24], text[24], f[24];
	struct ist_err err;

	world_init(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 2}", 1, NULL);
	assert_ist_ok(ist_model_embed(model, IST_IMAGE, w.image, 1, item, &err));
	assert_ist_ok(ist_model_embed_query(model, IST_IMAGE, IST_IMAGE, w.image, 1, metric, &err));
	assert_ist_ok(ist_model_embed_query(model, IST_IMAGE, IST_TEXT, w.image, 1, critic, &err));
	assert_ist_ok(ist_model_embed_query(model, IST_TEXT, IST_IMAGE, w.text, 1, text, &err));
	assert_ist_ok(ist_model_compose(model, w.image, w.text, 1, f, &err));
	assert_true(fabs(dot(item, item, 16) - 1) < 1e-5);
	assert_true(fabs(dot(f, f, 16) - 1) < 1e-5);
	assert_memory_equal(metric, item, 16 * sizeof(float));
	assert_memory_equal(critic + 16, item + 16, 8 * sizeof(float));
	for (size_t j = 0; j < 24; j++) {
		assert_true(j < 16 ? critic[j] == 0 && text[j] == 0 : metric[j] == 0 && f[j] == 0);
	}
	ist_model_unref(model);
	world_finish(&w);
}

/* What a file holds answers with the same bits, pixels and words included. */
static void check_file(const struct world *w, const char *given)
{
	char folder[] = "/tmp/test-dmim-XXXXXX";
	struct ist_model *model = train(w, given, 4, NULL), *loaded;
	ist_autofree float *f = NULL, *g = NULL;
	struct ist_err err;

	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_model_save(model, folder, &err));
	assert_ist_ok(ist_model_load(folder, &loaded, &err));
	f = compose(w, model);
	g = compose(w, loaded);
	assert_int_equal(loaded->dim[IST_TEXT], model->dim[IST_TEXT]);
	assert_int_equal(loaded->crosses, model->crosses);
	assert_memory_equal(f, g, TRIPLES * model->dim[IST_IMAGE] * sizeof(float));
	ist_model_unref(model);
	ist_model_unref(loaded);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

static void test_files(void **state)
{
	struct world w;

	world_init(&w);
	check_file(&w, "{" SMALL ", \"epochs\": 1}");
	check_file(&w,
		   "{" SMALL ", \"epochs\": 1, \"lambda_text\": 0, \"composition\": \"concat\"}");
	world_see(&w);
	check_file(&w, "{" SMALL ", \"epochs\": 1, \"channels\": 4}");
	check_file(&w, "{" SMALL ", \"epochs\": 1, \"channels\": 4, \"form\": \"map\"}");
	world_finish(&w);
}

/* ---- checkpoints ---- */

struct stopper {
	int left;
};

static bool stop_after(void *user)
{
	struct stopper *s = user;

	return s->left-- == 0;
}

/* Stopped again and again after a few steps, taken up each time from the checkpoint. */
static void check_resume(const struct world *w, const char *given)
{
	char folder[] = "/tmp/test-dmim-XXXXXX";
	struct ist_model *whole = train(w, given, 4, NULL), *model = NULL;
	ist_autofree float *f = compose(w, whole), *g = NULL;
	struct ist_err err;
	int stops = 0;

	assert_non_null(mkdtemp(folder));
	while (model == NULL) {
		struct stopper s = {.left = 7};
		const struct ist_train_hooks hooks = {
		    .user = &s, .stop = stop_after, .checkpoint_dir = folder};
		json_t *params = complete(given);
		enum ist_code code = ist_dmim_train(&w->pairs, params, 4, &hooks, &model, &err);

		json_decref(params);
		if (code != IST_OK) {
			assert_int_equal(code, IST_CANCELLED);
			assert_true(++stops < 100);
		}
	}
	assert_true(stops > 2);
	g = compose(w, model);
	assert_memory_equal(f, g, TRIPLES * model->dim[IST_IMAGE] * sizeof(float));
	ist_model_unref(whole);
	ist_model_unref(model);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

static void test_a_resumed_training_has_the_same_bits(void **state)
{
	struct world w;

	world_init(&w);
	check_resume(&w, "{" SMALL ", \"epochs\": 2}");
	check_resume(&w, "{" SMALL ", \"epochs\": 2, \"metric\": \"soft_triplet\"}");
	world_see(&w);
	check_resume(&w, "{" SMALL ", \"epochs\": 1, \"channels\": 4}");
	world_finish(&w);
}

/* ---- parameters ---- */

static void test_every_setting_trains(void **state)
{
	static const char *const given[] = {
	    "\"estimator\": \"info_nce\"",   "\"text_with\": \"reference\"",
	    "\"text_with\": \"both\"",	     "\"text_with\": \"difference\"",
	    "\"metric\": \"soft_triplet\"",  "\"critic_pace\": 3",
	    "\"image_scaling\": \"zscore\"",
	};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < IST_COUNT(given); i++) {
		ist_autofree char *params = ist_format("{" SMALL ", \"epochs\": 1, %s}", given[i]);
		struct ist_model *model = train(&w, params, 1, NULL);

		assert_int_equal(model->crosses, strstr(given[i], "reference") == NULL &&
						     strstr(given[i], "difference") == NULL);
		ist_model_unref(model);
	}
	world_finish(&w);
}

static void refuse(const struct ist_pairs *pairs, const char *given, enum ist_code code,
		   const char *pointer)
{
	json_t *params = complete(given);
	struct ist_model *model;
	struct ist_err err;

	memset(&err, 0, sizeof(err));
	assert_int_equal(ist_dmim_train(pairs, params, 1, NULL, &model, &err), code);
	assert_string_equal(err.pointer, pointer);
	json_decref(params);
}

static void test_what_cannot_be_trained(void **state)
{
	struct world w;
	struct ist_pairs none;

	world_init(&w);
	none = w.pairs;
	none.triples = NULL;
	refuse(&none, "{}", IST_NOT_ENOUGH_DATA, "");
	refuse(&w.pairs, "{\"image_network\": \"cnn\"}", IST_INVALID, "/image_network");
	refuse(&w.pairs, "{\"text_network\": \"lstm\"}", IST_INVALID, "/text_network");
	refuse(&w.pairs, "{\"form\": \"map\"}", IST_INVALID, "/form");
	memset(w.part, IST_TEST, sizeof(w.part));
	refuse(&w.pairs, "{}", IST_NOT_ENOUGH_DATA, "");
	world_finish(&w);
}

/* Negative features have no root; what was decided stands in the model. */
static void test_scaling_goes_by_the_data(void **state)
{
	struct world w;
	struct ist_model *model;

	world_init(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 1}", 1, NULL);
	assert_string_equal(ist_param_choice(model->params, "image_scaling"), "sqrt_l2");
	ist_model_unref(model);
	w.image[0] = -1;
	model = train(&w, "{" SMALL ", \"epochs\": 1}", 1, NULL);
	assert_string_equal(ist_param_choice(model->params, "image_scaling"), "unit");
	ist_model_unref(model);
	world_finish(&w);
}

TEST_MAIN(cmocka_unit_test(test_it_learns_to_change_coats), cmocka_unit_test(test_pixels_and_words),
	  cmocka_unit_test(test_weights_of_0_are_tirg_bit_for_bit),
	  cmocka_unit_test(test_the_terms_matter), cmocka_unit_test(test_the_text_critic_learns),
	  cmocka_unit_test(test_halves), cmocka_unit_test(test_files),
	  cmocka_unit_test(test_a_resumed_training_has_the_same_bits),
	  cmocka_unit_test(test_every_setting_trains),
	  cmocka_unit_test(test_what_cannot_be_trained),
	  cmocka_unit_test(test_scaling_goes_by_the_data))
