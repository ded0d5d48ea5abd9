/*
 * GXN's matching against plain loops, in both number types: s* and L_R+ term by term, their
 * gradients against central differences (double only), pairs of one item, one level alone, and the
 * second step of a batch.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"

#ifdef IST_REAL_DOUBLE
#define TOLERANCE 1e-10
#else
#define TOLERANCE 2e-4
#endif
#define H 1e-6
#define TOLERANCE_GRADIENT 1e-6
#define BATCH 6
#define D 4

/* ---- a bench to try settings on ---- */

struct bed {
	struct ist_gxn_settings s;
	struct ist_weights *theta;
	struct ist_gxn_ranking *part;
};

static struct ist_gxn_settings linear(void)
{
	return (struct ist_gxn_settings){.n_in = {7, 5},
					 .d = D,
					 .batch = BATCH,
					 .score = IST_ORDER,
					 .lambda = .3,
					 .margin = .2,
					 .dropout = .4,
					 .lr = 1e-2,
					 .weight_decay = .1};
}

#ifdef IST_REAL_DOUBLE
/* From pixels and words, as small as they get. */
static struct ist_gxn_settings raw(void)
{
	struct ist_gxn_settings s = linear();

	s.n_in[IST_IMAGE] = 3 * 16 * 16;
	s.n_in[IST_TEXT] = 5;
	s.side = 16;
	s.cnn = s.gru = true;
	s.channels = 2;
	s.words = 5;
	s.vocabulary = 4;
	s.hidden = 3;
	s.word_width = 4;
	return s;
}
#endif

static void fill(ist_node *x, struct ist_rng *rng)
{
	for (size_t i = 0; x != NULL && i < x->size; i++)
		x->value[i] = (ist_real)ist_rng_normal(rng);
}

/* Texts of one word and more, of words that the vocabulary has and one that it has not. */
static void fill_codes(ist_node *x)
{
	for (size_t i = 0; i < x->size; i++) {
		size_t t = i % x->dim[1], text = i / x->dim[1];

		x->value[i] = (ist_real)(t <= text % x->dim[1] ? 10 * (1 + (i * 7) % 5) : 0);
	}
}

static void bed_init(struct bed *bed, struct ist_gxn_settings s)
{
	struct ist_rng rng;
	struct ist_weight *vocabulary;
	struct ist_err err;

	bed->s = s;
	bed->theta = ist_gxn_theta(&s, true);
	ist_weights_init(bed->theta, 3);
	vocabulary = ist_weights_find(bed->theta, "text.vocabulary");
	for (size_t i = 0; vocabulary != NULL && i < vocabulary->size; i++)
		vocabulary->value[i] = (ist_real)(10 * (i + 1));
	assert_ist_ok(ist_gxn_ranking_create(&s, bed->theta, &bed->part, &err));
	ist_rng_init(&rng, 4, "bed");
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		fill(bed->part->x[m], &rng);
		for (size_t i = 0; bed->part->mask[m] != NULL && i < bed->part->mask[m]->size; i++)
			bed->part->mask[m]->value[i] = (ist_real)(i % 3 == 0 ? 0 : 1 / .6);
	}
	if (s.gru)
		fill_codes(bed->part->x[IST_TEXT]);
	for (size_t i = 0; i < s.batch; i++)
		bed->part->item->ids[i] = (int32_t)(i == 4 ? 1 : i);
}

static void bed_finish(struct bed *bed)
{
	ist_gxn_ranking_destroy(bed->part);
	ist_weights_destroy(bed->theta);
}

/* ---- by plain loops ---- */

/* unit(W (x * mask) + b) of row i. */
static void level(const struct bed *bed, enum ist_modality m, const char *name, size_t i,
		  double *ret)
{
	ist_autofree char *weight = ist_format("%s.weight", name);
	ist_autofree char *bias = ist_format("%s.bias", name);
	const struct ist_weight *w = ist_weights_find(bed->theta, weight);
	const struct ist_weight *b = ist_weights_find(bed->theta, bias);
	const ist_node *x = bed->part->x[m], *mask = bed->part->mask[m];
	size_t n = x->dim[1];
	double length = 0;

	for (size_t j = 0; j < D; j++) {
		ret[j] = (double)b->value[j];
		for (size_t k = 0; k < n; k++)
			ret[j] += (double)w->value[j * n + k] * (double)x->value[i * n + k] *
				  (mask != NULL ? (double)mask->value[i * n + k] : 1);
		length += ret[j] * ret[j];
	}
	for (size_t j = 0; j < D; j++)
		ret[j] /= sqrt(length);
}

static double similarity(const struct ist_gxn_settings *s, const double *t, const double *v)
{
	double sum = 0;

	for (size_t j = 0; j < D; j++) {
		double over =
		    s->image_over_text ? fabs(v[j]) - fabs(t[j]) : fabs(t[j]) - fabs(v[j]);

		sum += s->score == IST_COSINE ? t[j] * v[j] : over > 0 ? -over * over : 0;
	}
	return sum;
}

/* s*(t_i, v_j) = lambda s(t_h, v_h) + (1 - lambda) s(t_l, v_l) */
static double score(const struct bed *bed, size_t i, size_t j)
{
	double t[2][D], v[2][D];

	level(bed, IST_TEXT, "text.h", i, t[0]);
	level(bed, IST_TEXT, "text.l", i, t[1]);
	level(bed, IST_IMAGE, "image.h", j, v[0]);
	level(bed, IST_IMAGE, "image.l", j, v[1]);
	return bed->s.lambda * similarity(&bed->s, t[0], v[0]) +
	       (1 - bed->s.lambda) * similarity(&bed->s, t[1], v[1]);
}

/* Over texts t' and pictures v' of other items, each summed, or each its greatest. */
static double ranking_loss(const struct bed *bed, bool hardest)
{
	const int32_t *item = bed->part->item->ids;
	double total = 0;

	for (size_t i = 0; i < BATCH; i++) {
		double texts = 0, pictures = 0;

		for (size_t j = 0; j < BATCH; j++) {
			double own = score(bed, i, i);
			double a = fmax(0, bed->s.margin - own + score(bed, j, i));
			double b = fmax(0, bed->s.margin - own + score(bed, i, j));

			if (item[j] == item[i])
				continue;
			texts = hardest ? fmax(texts, a) : texts + a;
			pictures = hardest ? fmax(pictures, b) : pictures + b;
		}
		total += texts + pictures;
	}
	return total;
}

static void assert_near(double got, double want)
{
	if (!(fabs(got - want) <= TOLERANCE * (1 + fabs(want))))
		fail_msg("%.12g, expected %.12g", got, want);
}

/* ---- tests ---- */

static void check_formulas(struct ist_gxn_settings s)
{
	struct bed bed;

	bed_init(&bed, s);
	ist_graph_forward(bed.part->graph);
	for (size_t i = 0; i < BATCH; i++)
		for (size_t j = 0; j < BATCH; j++)
			assert_near((double)bed.part->score->value[i * BATCH + j],
				    score(&bed, i, j));
	assert_near((double)bed.part->L_sum->value[0], ranking_loss(&bed, false));
	if (s.hardest)
		assert_near((double)bed.part->L_hardest->value[0], ranking_loss(&bed, true));
	assert_true(bed.part->L_sum->value[0] > 0);
	bed_finish(&bed);
}

static void test_the_loss_by_plain_loops(void **state)
{
	static const double lambdas[] = {0, .3, 1};

	for (size_t i = 0; i < IST_COUNT(lambdas); i++) {
		struct ist_gxn_settings s = linear();

		s.lambda = lambdas[i];
		check_formulas(s);
		s.hardest = s.image_over_text = true;
		check_formulas(s);
		s.score = IST_COSINE;
		check_formulas(s);
		s.dropout = 0;
		check_formulas(s);
	}
}

#ifdef IST_REAL_DOUBLE
static double loss_at(struct bed *bed, ist_node *L, ist_real *x, double value)
{
	*x = value;
	ist_weights_touch(bed->theta);
	ist_graph_forward(bed->part->graph);
	return (double)L->value[0];
}

/* Of every weight that has many numbers only some. */
static void check_weight(struct bed *bed, ist_node *L, struct ist_weight *w)
{
	size_t step = w->size / 40 + 1;

	for (size_t i = 0; i < w->size; i += step) {
		double was = w->value[i], got = w->gradient[i], up, down;

		up = loss_at(bed, L, &w->value[i], was + H);
		down = loss_at(bed, L, &w->value[i], was - H);
		loss_at(bed, L, &w->value[i], was);
		if (!(fabs(got - (up - down) / (2 * H)) <= TOLERANCE_GRADIENT * (1 + fabs(got))))
			fail_msg("dL / d%s[%zu]: %.12g, expected %.12g", w->name, i, got,
				 (up - down) / (2 * H));
	}
}

static void check_gradient(struct ist_gxn_settings s)
{
	struct bed bed;
	ist_node *L;
	size_t reached = 0;

	bed_init(&bed, s);
	L = s.hardest ? bed.part->L_hardest : bed.part->L_sum;
	ist_graph_forward(bed.part->graph);
	ist_graph_backward(L);
	for (size_t i = 0; i < bed.theta->n; i++)
		if (bed.theta->weights[i]->has_gradient)
			ist_weight_settle(bed.theta->weights[i]);
	for (size_t i = 0; i < bed.theta->n; i++) {
		reached += bed.theta->weights[i]->has_gradient;
		if (bed.theta->weights[i]->has_gradient)
			check_weight(&bed, L, bed.theta->weights[i]);
	}
	/* All but the vocabulary and the norms' running statistics. */
	assert_int_equal(reached, s.cnn ? bed.theta->n - 1 - 8 : 8);
	bed_finish(&bed);
}

static void test_gradients(void **state)
{
	struct ist_gxn_settings s = linear();

	check_gradient(s);
	s.image_over_text = s.hardest = true;
	check_gradient(s);
	s.score = IST_COSINE;
	check_gradient(s);
	check_gradient(raw());
}
#else
/* Differences in float say nothing. */
static void test_gradients(void **state)
{
	skip();
}
#endif

/* Pairs of one item are no negatives of each other. */
static void test_one_item(void **state)
{
	struct ist_gxn_settings s = linear();
	struct bed bed;

	s.hardest = true;
	bed_init(&bed, s);
	memset(bed.part->item->ids, 0, BATCH * sizeof(int32_t));
	ist_graph_forward(bed.part->graph);
	assert_true(bed.part->L_sum->value[0] == 0);
	assert_true(bed.part->L_hardest->value[0] == 0);
	bed_finish(&bed);
}

struct fed {
	struct ist_gxn_batch batch;
	ist_real x[IST_N_MODALITIES][BATCH * 3 * 16 * 16];
	int32_t item[BATCH];
};

static void feed_init(struct fed *f, const struct bed *bed)
{
	f->batch = (struct ist_gxn_batch){.seed = 5, .step = 11, .item = f->item};
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		memcpy(f->x[m], bed->part->x[m]->value, bed->part->x[m]->size * sizeof(ist_real));
		f->batch.x[m] = f->x[m];
	}
	memcpy(f->item, bed->part->item->ids, sizeof(f->item));
}

/* Weights that a step moved. */
static size_t moved(const struct bed *bed, const struct ist_weights *before, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < bed->theta->n; i++) {
		const struct ist_weight *a = bed->theta->weights[i], *b = before->weights[i];

		n += strncmp(a->name, prefix, strlen(prefix)) == 0 &&
		     memcmp(a->value, b->value, a->size * sizeof(*a->value)) != 0;
	}
	return n;
}

/* With lambda 1 the grounded level is left alone, with 0 the abstract one; and vice versa. */
static void check_levels(double lambda, size_t abstract, size_t grounded)
{
	struct ist_gxn_settings s = linear();
	struct ist_optimiser encoders = ist_gxn_encoders_optimiser(&s);
	struct ist_weights *before = ist_gxn_theta(&s, false);
	static struct fed f;
	struct bed bed;

	s.lambda = lambda;
	bed_init(&bed, s);
	feed_init(&f, &bed);
	memcpy(before->value, bed.theta->value, bed.theta->size * sizeof(ist_real));
	assert_true(ist_gxn_ranking_step(bed.part, &f.batch, false, false, &encoders) > 0);
	assert_int_equal(moved(&bed, before, "image.h"), abstract);
	assert_int_equal(moved(&bed, before, "text.h"), abstract);
	assert_int_equal(moved(&bed, before, "image.l"), grounded);
	assert_int_equal(moved(&bed, before, "text.l"), grounded);
	ist_weights_destroy(before);
	ist_optimiser_finish(&encoders);
	bed_finish(&bed);
}

static void test_one_level_alone(void **state)
{
	check_levels(.5, 2, 2);
	check_levels(1, 2, 0);
	check_levels(0, 0, 2);
}

/* A step of one generator alone, features from texts or sentences from pictures: how many weights
 * of each part of the encoders moved. */
struct routes {
	size_t image_h, image_l, text_h, text_l;
};

static struct routes routes_of(const struct bed *bed, const struct ist_weights *before)
{
	return (struct routes){moved(bed, before, "image.h"), moved(bed, before, "image.l"),
			       moved(bed, before, "text.h"), moved(bed, before, "text.l")};
}

static void imagine(struct bed *bed, const struct ist_gxn_batch *batch,
		    struct ist_optimiser *encoders)
{
	struct ist_weights *generator = ist_gxn_generator(&bed->s);
	struct ist_weights *critic = ist_gxn_critic(&bed->s);
	struct ist_gxn_imagine_terms terms;
	struct ist_gxn_imagine *part;
	struct ist_err err;

	ist_weights_init(generator, 3);
	ist_weights_init(critic, 3);
	assert_ist_ok(ist_gxn_imagine_create(&bed->s, bed->theta, generator, critic, &part, &err));
	ist_gxn_imagine_step(part, batch, encoders, &terms);
	ist_gxn_imagine_destroy(part);
	ist_weights_destroy(generator);
	ist_weights_destroy(critic);
}

static void tell(struct bed *bed, struct ist_gxn_batch *batch, struct ist_optimiser *encoders)
{
	static const char *const text[BATCH] = {"a b", "b", "c a b", "a", "b c", "c"};
	static const uint32_t rows[BATCH] = {0, 1, 2, 3, 4, 5};
	static const int64_t item[BATCH] = {0, 1, 2, 3, 4, 5};
	static const uint8_t parts[BATCH]; /* all to train on */
	const struct ist_pairs pairs = {.n = BATCH, .text = text, .item = item, .part = parts};
	struct ist_gxn_caption_terms terms;
	struct ist_gxn_captions *part;
	struct ist_err err;

	assert_ist_ok(
	    ist_gxn_captions_create(&bed->s, bed->theta, &pairs, rows, BATCH, &part, &err));
	ist_gxn_captions_start(part);
	batch->text = text;
	batch->row = rows;
	ist_gxn_captions_step(part, batch, encoders, &terms);
	assert_true(terms.L_xe > 0);
	ist_gxn_captions_destroy(part);
}

/* What is imagined from t_l moves t_l's map alone, what is told of v_l moves v_l's alone, and the
 * ranking loss moves all four. */
static void test_routes_of_the_gradients(void **state)
{
	static const struct routes want[] = {{2, 2, 2, 2}, {0, 0, 0, 2}, {0, 2, 0, 0}};
	struct ist_gxn_settings s = linear();

	s.generator = IST_GXN_FEATURE;
	s.z = s.condition = s.g = s.f = 4;
	s.beta_f = s.beta_w = .5;
	s.beta_s = 2;
	s.gan_lr = s.caption_lr = 1e-3;
	s.captions = true;
	s.dictionary = 3;
	s.caption_words = 4;
	s.decoder = 5;
	for (size_t i = 0; i < IST_COUNT(want); i++) {
		struct ist_optimiser encoders = ist_gxn_encoders_optimiser(&s);
		struct ist_weights *before = ist_gxn_theta(&s, false);
		static struct fed f;
		struct routes got;
		struct bed bed;

		bed_init(&bed, s);
		feed_init(&f, &bed);
		memcpy(before->value, bed.theta->value, bed.theta->size * sizeof(ist_real));
		if (i == 0)
			ist_gxn_ranking_step(bed.part, &f.batch, false, false, &encoders);
		else if (i == 1)
			imagine(&bed, &f.batch, &encoders);
		else
			tell(&bed, &f.batch, &encoders);
		got = routes_of(&bed, before);
		assert_memory_equal(&got, &want[i], sizeof(got));
		ist_weights_destroy(before);
		ist_optimiser_finish(&encoders);
		bed_finish(&bed);
	}
}

/* Dropout is a function of seed and step, and another one for a batch's second step. */
static void test_dropout(void **state)
{
	struct ist_gxn_settings s = linear();
	struct ist_optimiser encoders = ist_gxn_encoders_optimiser(&s);
	ist_real masks[3][BATCH * 7];
	static struct fed f;
	struct bed bed;

	bed_init(&bed, s);
	feed_init(&f, &bed);
	for (int i = 0; i < 3; i++) {
		ist_gxn_ranking_step(bed.part, &f.batch, false, i == 1, &encoders);
		memcpy(masks[i], bed.part->mask[IST_IMAGE]->value, sizeof(masks[i]));
	}
	assert_memory_equal(masks[0], masks[2], sizeof(masks[0]));
	assert_memory_not_equal(masks[0], masks[1], sizeof(masks[0]));
	for (size_t i = 0; i < BATCH * 7; i++)
		assert_true(masks[0][i] == 0 || fabs((double)masks[0][i] - 1 / .6) < 1e-6);
	ist_optimiser_finish(&encoders);
	bed_finish(&bed);
}

TEST_MAIN(cmocka_unit_test(test_the_loss_by_plain_loops), cmocka_unit_test(test_gradients),
	  cmocka_unit_test(test_one_item), cmocka_unit_test(test_one_level_alone),
	  cmocka_unit_test(test_routes_of_the_gradients), cmocka_unit_test(test_dropout))
