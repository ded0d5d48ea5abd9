/*
 * GXN's sentences on made-up pictures of coloured things: the decoder word by word against the
 * unrolled graph, gradients by finite differences (in the double build), the self-critical
 * gradient on the logits, beams against all sentences there are, what is learned, steps that
 * allocate nothing, checkpoints that go on with the same bits, files, and threads.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/gxn_caption.h"
#include "core/methods/rows.h"
#include "tests/unit/allocations.h"

#define COLOURS 4
#define SHAPES 3
#define PICTURES 120
#define TEXTS 2 /* of each */
#define PAIRS (PICTURES * TEXTS)
#define DIM 10
#define XE_STEPS 45

static const char *const colours[] = {"red", "green", "blue", "pink"};
static const char *const shapes[] = {"circle", "square", "star"};

struct world {
	struct ist_pairs pairs;
	float x[PAIRS * DIM];
	int64_t item[PAIRS];
	int32_t label[PAIRS];
	uint8_t part[PAIRS];
	char text[PAIRS][64];
	const char *texts[PAIRS];
};

/* A picture is its colour, its shape and noise; of its two sentences one says more. */
static void world_init(struct world *w)
{
	static const char *const forms[TEXTS] = {"A %s %s.", "picture of a %s %s"};
	struct ist_rng rng;

	memset(w, 0, sizeof(*w));
	ist_rng_init(&rng, 1, "world");
	for (size_t p = 0; p < PICTURES; p++) {
		size_t colour = ist_rng_below(&rng, COLOURS), shape = ist_rng_below(&rng, SHAPES);

		for (size_t k = p * TEXTS; k < (p + 1) * TEXTS; k++) {
			float *x = w->x + k * DIM;

			for (size_t j = 0; j < DIM; j++)
				x[j] = k % TEXTS == 0 ? (float)ist_rng_uniform(&rng) / 5
						      : x[(ptrdiff_t)j - DIM];
			if (k % TEXTS == 0)
				x[colour] = x[COLOURS + shape] = 1;
			w->item[k] = 100 + (int64_t)p;
			w->label[k] = -1;
			w->part[k] = p % 4 == 3 ? IST_VALIDATION : IST_TRAIN;
			snprintf(w->text[k], sizeof(w->text[k]), forms[k % TEXTS], colours[colour],
				 shapes[shape]);
			w->texts[k] = w->text[k];
		}
	}
	w->pairs = (struct ist_pairs){.n = PAIRS,
				      .dim = {DIM, DIM},
				      .x = {w->x, w->x},
				      .label = w->label,
				      .item = w->item,
				      .part = w->part,
				      .text = w->texts};
}

static json_t *complete(const char *given)
{
	json_t *json = json_loads(given, 0, NULL), *params;
	struct ist_err err;

	assert_non_null(json);
	assert_ist_ok(ist_params_complete(&ist_method_gxn, json, &params, &err));
	json_decref(json);
	return params;
}

static struct ist_model *train(const struct world *w, const char *given,
			       const struct ist_train_hooks *hooks)
{
	json_t *params = complete(given);
	struct ist_model *model;
	struct ist_err err;

	assert_ist_ok(ist_gxn_train(&w->pairs, params, 1, hooks, &model, &err));
	json_decref(params);
	return model;
}

#define SMALL "\"captions\": true, \"code\": 12, \"decoder\": 16, \"batch\": 16, \"dropout\": 0"

/* ---- captions without a training around them ---- */

static struct ist_gxn_settings settings(void)
{
	return (struct ist_gxn_settings){.n_in = {DIM, DIM},
					 .d = 8,
					 .batch = 6,
					 .score = IST_ORDER,
					 .lambda = .5,
					 .captions = true,
					 .caption_words = 7,
					 .decoder = 10,
					 .caption_lr = 1e-2,
					 .scst_lr = 1e-2,
					 .gamma = .75,
					 .sampling = .5};
}

struct bed {
	struct world w;
	struct ist_gxn_settings s;
	struct ist_weights *theta;
	struct ist_gxn_captions *captions;
	struct ist_optimiser encoders;
	uint32_t rows[PAIRS];
	ist_real x[16 * DIM];
	struct ist_gxn_batch batch;
};

static void bed_init(struct bed *bed, struct ist_gxn_settings s)
{
	struct ist_err err;

	world_init(&bed->w);
	for (uint32_t i = 0; i < PAIRS; i++)
		bed->rows[i] = i;
	bed->s = s;
	bed->s.dictionary = ist_gxn_dictionary_size(&bed->w.pairs, bed->rows, PAIRS);
	bed->theta = ist_gxn_theta(&bed->s, true);
	ist_weights_init(bed->theta, 5);
	bed->encoders = ist_gxn_encoders_optimiser(&bed->s);
	bed->encoders.lr = 1e-3;
	assert_ist_ok(ist_gxn_captions_create(&bed->s, bed->theta, &bed->w.pairs, bed->rows, PAIRS,
					      &bed->captions, &err));
	ist_gxn_captions_start(bed->captions);
	bed->batch =
	    (struct ist_gxn_batch){.seed = 3, .x = {bed->x, bed->x}, .phase = .5, .rate = 1};
}

static void bed_finish(struct bed *bed)
{
	ist_gxn_captions_destroy(bed->captions);
	ist_weights_destroy(bed->theta);
	ist_optimiser_finish(&bed->encoders);
}

static struct ist_gxn_caption_terms bed_step(struct bed *bed, size_t number, bool scst)
{
	struct ist_gxn_caption_terms terms;

	bed->batch.step = number;
	bed->batch.scst = scst;
	bed->batch.row = bed->rows + number * bed->s.batch % (PAIRS - bed->s.batch);
	for (size_t i = 0; i < bed->s.batch * DIM; i++)
		bed->x[i] = (ist_real)bed->w.x[bed->batch.row[0] * DIM + i];
	ist_gxn_captions_step(bed->captions, &bed->batch, &bed->encoders, &terms);
	return terms;
}

/* ---- the decoder ---- */

/* What the unrolled graph of a step said of every word of its references and samples, the decoder
 * says as well when it reads the same words one by one. */
static void test_the_decoder_is_the_unrolled_graph(void **state)
{
	const double tolerance = sizeof(ist_real) == 8 ? 1e-12 : 2e-5;
	struct ist_gxn_unrolled *u;
	struct ist_gxn_decoder d;
	struct bed bed;
	size_t compared = 0;
	int32_t said[12];

	bed_init(&bed, settings());
	for (size_t i = 0; i < 20; i++)
		bed_step(&bed, i, i > 10);
	bed.s.caption_lr = bed.s.scst_lr = bed.encoders.lr = 0; /* the weights as they are */
	bed.captions->s = bed.s;
	bed_step(&bed, 20, true);
	u = &bed.captions->mix;
	assert_int_equal(u->rows, 12);
	d = bed.captions->decoder;
	for (size_t i = 0; i < u->rows * d.units; i++)
		d.picture[i] = u->picture->value[i % u->picture->size];
	ist_gxn_decoder_start(&d, u->rows);
	for (size_t t = 0; t < u->moments; t++) {
		for (size_t i = 0; i < u->rows; i++)
			said[i] = u->said->ids[t * u->rows + i];
		ist_gxn_decoder_step(&d, said, u->rows);
		for (size_t i = 0; i < u->rows; i++)
			for (size_t k = 0; k < d.tokens && u->next->ids[t * u->rows + i] >= 0;
			     k++, compared++)
				assert_true(
				    fabs((
					double)(u->logits->value[(t * u->rows + i) * d.tokens + k] -
						d.logits[i * d.tokens + k])) < tolerance);
	}
	assert_true(compared > 12 * 4 * d.tokens);
	bed_finish(&bed);
}

/* Central differences of L over weights of every kind. */
static void test_gradients(void **state)
{
	static const char *const names[] = {
	    "caption.words",	     "caption.picture.weight", "caption.picture.bias",
	    "caption.input.weight",  "caption.input.bias",     "caption.state.weight",
	    "caption.output.weight", "caption.output.bias",    "image.l.weight"};
	const double h = 1e-6;
	struct ist_gxn_unrolled *u;
	struct bed bed;

	if (sizeof(ist_real) != 8)
		skip();
	bed_init(&bed, settings());
	bed.captions->s.caption_lr = bed.captions->s.scst_lr = bed.encoders.lr = 0;
	bed_step(&bed, 0, true);
	u = &bed.captions->mix;
	for (size_t n = 0; n < IST_COUNT(names); n++) {
		struct ist_weight *w = ist_weights_find(bed.theta, names[n]);
		bool moved = false;

		ist_weight_settle(w);
		for (size_t i = 0; i < w->size; i += 1 + w->size / 13) {
			ist_real before = w->value[i];
			double up, down, want = (double)w->gradient[i];

			w->value[i] = before + (ist_real)h;
			ist_graph_forward(u->graph);
			up = (double)u->L->value[0];
			w->value[i] = before - (ist_real)h;
			ist_graph_forward(u->graph);
			down = (double)u->L->value[0];
			w->value[i] = before;
			if (!(fabs((up - down) / (2 * h) - want) < 1e-7 * (1 + fabs(want))))
				fail_msg("%s[%zu]: %g, expected %g", names[n], i, want,
					 (up - down) / (2 * h));
			moved |= want != 0;
		}
		assert_true(moved);
	}
	bed_finish(&bed);
}

/* d L_rl / d logits = (r - r_b) (softmax - onehot) / words, for every word of a drawn sentence with
 * its end, and 0 elsewhere. */
static void test_the_self_critical_gradient(void **state)
{
	const double tolerance = sizeof(ist_real) == 8 ? 1e-12 : 1e-6;
	struct ist_gxn_settings s = settings();
	const struct ist_gxn_captions *c;
	const struct ist_gxn_unrolled *u;
	struct bed bed;
	double words = 0, ends = 0, biggest = 0;

	s.gamma = 1;
	bed_init(&bed, s);
	for (size_t i = 0; i < 60; i++)
		bed_step(&bed, i, false);
	bed_step(&bed, 60, true);
	c = bed.captions;
	u = &c->mix;
	for (size_t at = 0; at < u->moments * u->rows; at++) {
		words += at % u->rows >= 6 && u->next->ids[at] >= 0;
		ends += at % u->rows >= 6 && u->next->ids[at] == IST_TOKEN_END;
	}
	assert_true(ends > 0);
	for (size_t at = 0; at < u->moments * u->rows; at++) {
		size_t row = at % u->rows, v = c->decoder.tokens;
		const ist_real *x = u->logits->value + at * v;
		bool counts = row >= 6 && u->next->ids[at] >= 0;
		double sum = 0, advantage = counts ? c->reward[row] - c->reward[row - 6] : 0;

		for (size_t k = 0; k < v; k++)
			sum += exp((double)x[k]);
		for (size_t k = 0; k < v; k++) {
			double p = exp((double)x[k]) / sum - ((int32_t)k == u->next->ids[at]);
			double got = (double)u->logits->gradient[at * v + k];

			assert_true(fabs(got - (advantage != 0 ? advantage * p / words : 0)) <
				    tolerance * (1 + fabs(got)));
			biggest = fmax(biggest, fabs(got));
		}
	}
	assert_true(biggest > 1e-4);
	bed_finish(&bed);
}

/* The end is a word of the reward: without it the same sentence earns less. */
static void test_the_end_is_rewarded(void **state)
{
	struct bed bed;
	const struct ist_gxn_captions *c;
	struct ist_arena arena = {0};

	bed_init(&bed, settings());
	c = bed.captions;
	for (size_t i = 0; i < 10; i++) {
		const int32_t *token = c->texts.token + i * c->texts.pitch;
		size_t n = c->texts.length[i];

		assert_int_equal(token[n], IST_TOKEN_END);
		assert_true(ist_gxn_reward(c->cider, &c->references, i, token, n + 1, &arena) >
			    ist_gxn_reward(c->cider, &c->references, i, token, n, &arena) + .1);
	}
	ist_arena_finish(&arena);
	bed_finish(&bed);
}

/* With all of a step's words its own, a sentence that is taught reads what the decoder says. */
static void test_scheduled_sampling(void **state)
{
	struct ist_gxn_settings s = settings();
	struct bed bed;
	size_t other = 0, read = 0;

	for (int share = 0; share <= 1; share++) {
		s.sampling = share;
		bed_init(&bed, s);
		bed.batch.phase = 1;
		other = read = 0;
		bed_step(&bed, 4, false);
		for (size_t i = 0; i < s.batch; i++) {
			const struct ist_gxn_written *w = &bed.captions->written;
			size_t t = bed.captions->moments;

			assert_int_equal(w->read[i * (t + 1)], -1);
			for (size_t k = 1; k < w->n[i]; k++, read++)
				other += w->read[i * (t + 1) + k] != w->chosen[i * t + k - 1];
		}
		assert_true(share == 0 ? other == 0 : 2 * other > read);
		bed_finish(&bed);
	}
}

/* ---- beams ---- */

/* Three words and the end, by weights of chance: every sentence of up to three words is known. */
struct tiny {
	struct ist_gxn_settings s;
	struct ist_weights *theta;
	struct ist_arena arena;
	struct ist_gxn_decoder decoder;
};

static void tiny_init(struct tiny *t, size_t rows, size_t words, size_t spelled)
{
	ist_real *dictionary;
	struct ist_rng rng;

	*t = (struct tiny){.s = settings()};
	t->s.dictionary = words;
	t->theta = ist_gxn_theta(&t->s, true);
	ist_weights_init(t->theta, 9);
	dictionary = ist_weights_find(t->theta, "caption.dictionary")->value;
	for (size_t i = 0; i < spelled; i++)
		dictionary[i * IST_DICTIONARY_BYTES] = (ist_real)('a' + i);
	ist_gxn_decoder_init(&t->decoder, t->theta, &t->s, rows, &t->arena);
	ist_rng_init(&rng, 2, "picture");
	for (size_t i = 0; i < rows * t->s.decoder; i++)
		t->decoder.picture[i] = i < t->s.decoder ? (ist_real)ist_rng_normal(&rng)
							 : t->decoder.picture[i - t->s.decoder];
}

static void tiny_finish(struct tiny *t)
{
	ist_weights_destroy(t->theta);
	ist_arena_finish(&t->arena);
}

/* The log-probability of a sentence with its end, read word by word. */
static double log_p_of(struct tiny *t, const int32_t *token, size_t n)
{
	double *log_p = ist_arena_alloc(&t->arena, t->decoder.tokens, sizeof(*log_p)), sum = 0;
	int32_t said = -1;

	ist_gxn_decoder_start(&t->decoder, 1);
	for (size_t i = 0; i <= n; i++) {
		ist_gxn_decoder_step(&t->decoder, &said, 1);
		ist_gxn_decoder_log_p(&t->decoder, 0, log_p);
		said = i < n ? token[i] : IST_TOKEN_END;
		sum += log_p[said];
	}
	return sum;
}

static int descending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x > *y ? -1 : *x < *y;
}

#define ALL (3 + 9 + 27)

/* Sentence number i of all those of one to three words. */
static size_t sentence(size_t i, int32_t *ret)
{
	size_t n = i < 3 ? 1 : i < 12 ? 2 : 3;

	i -= n == 1 ? 0 : n == 2 ? 3 : 12;
	for (size_t k = 0; k < n; k++, i /= 3)
		ret[k] = (int32_t)(IST_TOKEN_WORDS + i % 3);
	return n;
}

static void test_a_wide_beam_finds_the_best_of_all(void **state)
{
	struct ist_gxn_sentence found[ALL];
	struct tiny t;
	double all[ALL];

	tiny_init(&t, ALL, 4, 3); /* a row of the dictionary is empty: it is never said */
	for (size_t i = 0; i < ALL; i++) {
		int32_t token[3];
		size_t n = sentence(i, token);

		all[i] = log_p_of(&t, token, n);
	}
	qsort(all, ALL, sizeof(*all), descending);
	assert_int_equal(ist_gxn_beam(&t.decoder, ALL, 3, &t.arena, found), ALL);
	for (size_t i = 0; i < ALL; i++)
		assert_true(fabs(found[i].log_p - all[i]) < 1e-4);
	tiny_finish(&t);
}

static void test_beams_are_sorted_and_right(void **state)
{
	struct ist_gxn_sentence found[5];
	struct tiny t;
	size_t n;

	tiny_init(&t, 5, 20, 20);
	n = ist_gxn_beam(&t.decoder, 5, 7, &t.arena, found);
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++) {
		assert_true(found[i].n >= 1 && found[i].n <= 7);
		assert_int_equal(found[i].token[found[i].n], IST_TOKEN_END);
		assert_true(i == 0 || found[i].log_p <= found[i - 1].log_p);
		assert_true(fabs(found[i].log_p - log_p_of(&t, found[i].token, found[i].n)) < 1e-4);
		for (size_t k = 0; k < i; k++)
			assert_true(found[k].n != found[i].n ||
				    memcmp(found[k].token, found[i].token,
					   found[i].n * sizeof(int32_t)) != 0);
	}
	tiny_finish(&t);
}

static void test_a_beam_of_one_is_greedy(void **state)
{
	struct ist_gxn_sentence found;
	struct tiny t;
	int32_t said = -1;

	tiny_init(&t, 1, 20, 20);
	assert_int_equal(ist_gxn_beam(&t.decoder, 1, 7, &t.arena, &found), 1);
	ist_gxn_decoder_start(&t.decoder, 1);
	for (size_t k = 0; k < found.n; k++) {
		ist_gxn_decoder_step(&t.decoder, &said, 1);
		said = ist_gxn_decoder_best(&t.decoder, 0, k == 0);
		assert_int_equal(said, found.token[k]);
	}
	tiny_finish(&t);
}

/* As often as their probabilities say, and never what cannot be said. */
static void test_draws_follow_the_probabilities(void **state)
{
	enum { DRAWS = 20000 };
	double log_p[8], count[8] = {0}, p_unknown, p_end;
	struct ist_rng rng;
	struct tiny t;
	int32_t said = -1;

	tiny_init(&t, 1, 6, 5);
	ist_rng_init(&rng, 1, "draws");
	ist_gxn_decoder_start(&t.decoder, 1);
	ist_gxn_decoder_step(&t.decoder, &said, 1);
	ist_gxn_decoder_log_p(&t.decoder, 0, log_p);
	for (int i = 0; i < DRAWS; i++)
		count[ist_gxn_decoder_draw(&t.decoder, 0, true, ist_rng_uniform(&rng))]++;
	assert_true(count[IST_TOKEN_END] == 0 && count[IST_TOKEN_UNKNOWN] == 0 && count[7] == 0);
	p_end = exp(log_p[IST_TOKEN_END]);
	p_unknown = exp(log_p[IST_TOKEN_UNKNOWN]) + exp(log_p[7]);
	for (int k = IST_TOKEN_WORDS; k < 7; k++) {
		double p = exp(log_p[k]) / (1 - p_end - p_unknown);

		assert_true(fabs(count[k] / DRAWS - p) < 5 * sqrt(p * (1 - p) / DRAWS));
	}
	tiny_finish(&t);
}

/* ---- training ---- */

struct curves {
	double xe_first, xe_last, cider[64], reward_last;
	size_t epochs;
};

static void on_curve(void *user, const char *name, double step, double value)
{
	struct curves *c = user;

	if (strcmp(name, "L_xe") == 0 && step == 1)
		c->xe_first = value;
	if (strcmp(name, "L_xe") == 0)
		c->xe_last = value;
	if (strcmp(name, "reward") == 0)
		c->reward_last = value;
	if (strcmp(name, "CIDEr-D") == 0)
		c->cider[c->epochs++] = value;
}

/* Cross-entropy falls, and sentences for pictures that were not trained on become better. */
static void test_cross_entropy(void **state)
{
	struct world w;
	struct curves c = {.reward_last = NAN};
	const struct ist_train_hooks hooks = {.user = &c, .curve = on_curve};

	world_init(&w);
	ist_model_unref(train(&w, "{" SMALL ", \"epochs\": 16, \"scst_epochs\": 0}", &hooks));
	assert_int_equal(c.epochs, 16);
	assert_true(c.xe_last < .5 * c.xe_first);
	assert_true(c.cider[15] > 5 && c.cider[0] < 2);
	assert_true(isnan(c.reward_last)); /* cross-entropy has no such curve */
}

/* The mean reward of greedy and of drawn sentences over some self-critical steps. */
static void follow(struct bed *bed, size_t first, size_t n, double ret[2])
{
	size_t batch = bed->s.batch;

	ret[0] = ret[1] = 0;
	for (size_t i = first; i < first + n; i++) {
		bed_step(bed, i, true);
		for (size_t k = 0; k < 2 * batch; k++)
			ret[k / batch] += bed->captions->reward[k] / (double)(n * batch);
	}
}

/* On their own (gamma 1), after cross-entropy has led the way. */
static void test_self_critical_steps_raise_the_reward(void **state)
{
	struct ist_gxn_settings s = settings();
	double before[2], after[2];
	struct bed bed;

	s.batch = 16;
	s.decoder = 16;
	s.gamma = 1;
	s.sampling = .25;
	s.scst_lr = 2e-4;
	bed_init(&bed, s);
	for (size_t i = 0; i < XE_STEPS; i++)
		bed_step(&bed, i, false);
	follow(&bed, XE_STEPS, 20, before);
	for (size_t i = XE_STEPS + 20; i < XE_STEPS + 280; i++)
		bed_step(&bed, i, true);
	follow(&bed, XE_STEPS + 280, 20, after);
	assert_true(after[0] > before[0] + 1);
	assert_true(after[1] > before[1] + .5);
	bed_finish(&bed);
}

static void test_sentences_name_what_is_there(void **state)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct world w;
	struct ist_model *model;
	struct ist_caption said[3];
	struct ist_err err;
	size_t right = 0, n;

	world_init(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 40, \"scst_epochs\": 5}", NULL);
	for (size_t i = 0; i < PAIRS; i += TEXTS) {
		assert_ist_ok(
		    model->method->caption(model, w.x + i * DIM, 3, &arena, said, &n, &err));
		assert_int_equal(n, 3);
		assert_true(said[0].log_probability >= said[1].log_probability);
		right += strstr(said[0].text, strchr(w.text[i], ' ')) != NULL ||
			 strncmp(strchr(said[0].text, 'a') + 1, strchr(w.text[i], ' '),
				 strlen(strchr(w.text[i], ' ')) - 1) == 0;
	}
	assert_true(right > PICTURES * 9 / 10);
	assert_int_equal(ist_method_abilities(model->method, model->params) & IST_CAPTION,
			 IST_CAPTION);
	ist_model_unref(model);
}

/* ---- bits ---- */

struct stopper {
	int left;
};

static bool stop_after(void *user)
{
	struct stopper *s = user;

	return s->left-- == 0;
}

static float *weights_of(const struct ist_model *model, size_t *ret_n)
{
	const struct ist_network *network = model->state;
	float *values = ist_alloc(network->theta->size, sizeof(*values));

	for (size_t i = 0; i < network->theta->size; i++)
		values[i] = (float)network->theta->value[i];
	*ret_n = network->theta->size;
	return values;
}

/* Stopped every few steps, in either phase, and taken up from the checkpoint. */
static void test_a_resumed_training_has_the_same_bits(void **state)
{
	static const char given[] = "{" SMALL ", \"epochs\": 4, \"scst_epochs\": 2}";
	char folder[] = "/tmp/test-gxn-XXXXXX";
	struct world w;
	struct ist_model *whole, *model = NULL;
	ist_autofree float *a = NULL, *b = NULL;
	struct ist_err err;
	size_t n, m;
	int stops = 0;

	world_init(&w);
	whole = train(&w, given, NULL);
	assert_non_null(mkdtemp(folder));
	while (model == NULL) {
		struct stopper s = {.left = 7};
		const struct ist_train_hooks hooks = {
		    .user = &s, .stop = stop_after, .checkpoint_dir = folder};
		json_t *params = complete(given);
		enum ist_code code = ist_gxn_train(&w.pairs, params, 1, &hooks, &model, &err);

		json_decref(params);
		if (code != IST_OK) {
			assert_int_equal(code, IST_CANCELLED);
			assert_true(++stops < 100);
		}
	}
	assert_true(stops > 3);
	a = weights_of(whole, &n);
	b = weights_of(model, &m);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n * sizeof(*a));
	ist_model_unref(whole);
	ist_model_unref(model);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

/* In either phase, with its sentences and their rewards. */
static void test_steps_allocate_nothing(void **state)
{
	struct bed bed;

	if (!ALLOCATIONS_COUNT)
		skip();
	for (int scst = 0; scst <= 1; scst++) {
		bed_init(&bed, settings());
		allocations_begin();
		bed_step(&bed, 0, scst);
		bed_step(&bed, 1, scst);
		assert_true(allocations_end() > 0);
		allocations_begin();
		for (size_t i = 2; i < 30; i++)
			bed_step(&bed, i, scst);
		assert_int_equal(allocations_end(), 0);
		bed_finish(&bed);
	}
}

/* ---- models ---- */

struct writer {
	const struct ist_model *model;
	const struct world *w;
	const char *const *want;
	bool same;
};

static void *write_all(void *user)
{
	struct writer *writer = user;
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct ist_caption said[2];
	size_t n;

	writer->same = true;
	for (size_t i = 0; i < PAIRS; i++) {
		ist_arena_reset(&arena);
		writer->same &=
		    writer->model->method->caption(writer->model, writer->w->x + i * DIM, 2, &arena,
						   said, &n, NULL) == IST_OK &&
		    strcmp(said[0].text, writer->want[i]) == 0;
	}
	return NULL;
}

/* A file says what the model said, to several threads at once. */
static void test_files_and_threads(void **state)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	char folder[] = "/tmp/test-gxn-XXXXXX";
	const char *want[PAIRS];
	struct writer writer[3];
	pthread_t thread[3];
	struct ist_model *model, *loaded;
	struct world w;
	struct ist_err err;

	world_init(&w);
	model = train(&w, "{" SMALL ", \"epochs\": 3, \"scst_epochs\": 0}", NULL);
	for (size_t i = 0; i < PAIRS; i++) {
		struct ist_caption said[2];
		size_t n;

		assert_ist_ok(
		    model->method->caption(model, w.x + i * DIM, 2, &arena, said, &n, &err));
		want[i] = said[0].text;
	}
	assert_non_null(mkdtemp(folder));
	assert_ist_ok(ist_model_save(model, folder, &err));
	assert_ist_ok(ist_model_load(folder, &loaded, &err));
	for (int i = 0; i < 3; i++) {
		writer[i] = (struct writer){.model = loaded, .w = &w, .want = want};
		assert_int_equal(pthread_create(&thread[i], NULL, write_all, &writer[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		assert_true(writer[i].same);
	}
	ist_model_unref(model);
	ist_model_unref(loaded);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

static void refuse(const struct world *w, enum ist_code code)
{
	json_t *params = complete("{" SMALL ", \"epochs\": 1}");
	struct ist_model *model;
	struct ist_err err;

	assert_int_equal(ist_gxn_train(&w->pairs, params, 1, NULL, &model, &err), code);
	json_decref(params);
}

static void test_what_cannot_be_trained(void **state)
{
	struct world w;
	struct ist_model *model;
	struct ist_caption said;
	struct ist_arena arena = {0};
	struct ist_err err;
	size_t n;

	world_init(&w);
	w.pairs.text = NULL;
	refuse(&w, IST_INVALID);
	w.pairs.text = w.texts;
	for (size_t i = 0; i < PAIRS; i++)
		w.texts[i] = i % 2 == 0 ? NULL : "...";
	refuse(&w, IST_NOT_ENOUGH_DATA);
	w.texts[0] = "word"; /* one text is something to learn, and the others are left out */
	ist_model_unref(train(&w, "{" SMALL ", \"epochs\": 2, \"scst_epochs\": 1}", NULL));
	model = train(&w, "{\"code\": 8, \"epochs\": 1}", NULL);
	assert_int_equal(ist_gxn_caption(model, w.x, 1, &arena, &said, &n, &err), IST_INVALID);
	assert_int_equal(ist_method_abilities(model->method, model->params) & IST_CAPTION, 0);
	ist_model_unref(model);
	ist_arena_finish(&arena);
}

TEST_MAIN(cmocka_unit_test(test_the_decoder_is_the_unrolled_graph),
	  cmocka_unit_test(test_gradients), cmocka_unit_test(test_the_self_critical_gradient),
	  cmocka_unit_test(test_the_end_is_rewarded), cmocka_unit_test(test_scheduled_sampling),
	  cmocka_unit_test(test_a_wide_beam_finds_the_best_of_all),
	  cmocka_unit_test(test_beams_are_sorted_and_right),
	  cmocka_unit_test(test_a_beam_of_one_is_greedy),
	  cmocka_unit_test(test_draws_follow_the_probabilities),
	  cmocka_unit_test(test_cross_entropy),
	  cmocka_unit_test(test_self_critical_steps_raise_the_reward),
	  cmocka_unit_test(test_sentences_name_what_is_there),
	  cmocka_unit_test(test_a_resumed_training_has_the_same_bits),
	  cmocka_unit_test(test_steps_allocate_nothing), cmocka_unit_test(test_files_and_threads),
	  cmocka_unit_test(test_what_cannot_be_trained))
