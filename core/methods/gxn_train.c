/*
 * GXN's training, the paper's Algorithm 1: pairs in shuffled batches; of each the decoder's step,
 * then one of the ranking loss; the imagination's step, then another of the ranking loss. Without
 * generators a batch is one step of the ranking loss. The last epochs write sentences under the
 * self-critical loss as well. The loop (loop.h) does the rest. One thread drives it.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"
#include "core/methods/training.h"
#include "core/methods/word_network.h"

#define WARM_UP 5   /* all negatives for so much of the epochs, before the hardest alone */
#define SETTLING 24 /* batches that statistics are taken from */

enum { RANK, XE, RL, REWARD, JUDGE, DREAM, KL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_R", "L_xe", "L_rl", "reward",
						"L_D", "L_G",  "L_KL"};

struct training {
	struct ist_training t; /* first: callbacks get its address */
	struct ist_gxn_settings s;
	struct ist_weights *theta, *generator, *critic; /* the last two where one imagines */
	struct ist_vocabulary vocabulary;		/* where texts are words */
	struct ist_gxn_ranking *ranking;
	struct ist_gxn_captions *captions;
	struct ist_gxn_imagine *imagine;
	struct ist_optimiser encoders;
	struct ist_gxn_batch batch;
	ist_real *x[IST_N_MODALITIES]; /* what the batch borrows */
	int32_t *item;
	const char **text;
	const char *terms[N_TERMS]; /* of what is on */
};

void ist_gxn_rng(const struct ist_gxn_batch *batch, const char *name, struct ist_rng *ret)
{
	ist_rng_init(ret, batch->seed, name);
	ret->stream ^= (batch->step + 1) * 0x9E3779B97F4A7C15u;
}

/* ---- a step ---- */

static void start_epoch(void *user, size_t epoch)
{
	struct training *t = user;

	ist_sampler_start(&t->t.sampler, epoch);
}

/* As many columns of the scaled rows as training reads. */
static void feed(struct training *t, enum ist_modality m, const uint32_t *row)
{
	const struct ist_pairs *pairs = t->t.pairs;
	size_t dim = pairs->dim[m], width = ist_gxn_width(&t->s, m);

	for (size_t i = 0; i < t->s.batch; i++) {
		ist_scaling_apply(&t->t.kept->scaling[m], pairs->x[m] + row[i] * dim, 1,
				  t->t.scratch);
		for (size_t j = 0; j < width; j++)
			t->x[m][i * width + j] = (ist_real)t->t.scratch[j];
	}
}

/* The first place in the batch of each row's item. */
static void name_items(struct training *t, const uint32_t *row)
{
	const int64_t *item = t->t.pairs->item;

	for (size_t i = 0; i < t->s.batch; i++) {
		size_t first = 0;

		while (item[row[first]] != item[row[i]])
			first++;
		t->item[i] = (int32_t)first;
	}
}

/* How far the epochs of this kind are. */
static void set_phase(struct training *t, size_t epoch, size_t number)
{
	double epochs = (double)t->t.loop.epochs;
	double last = t->s.captions ? (double)ist_param_int(t->t.params, "scst_epochs") : 0;
	double done = (double)epoch + (double)number / (double)t->t.loop.n_batches;
	double first = epochs > last ? epochs - last : 0;

	t->batch.scst = last > 0 && (double)epoch >= first;
	t->batch.phase = t->batch.scst ? (done - first) / (epochs - first) : done / first;
}

/* (1 + cos(pi done)) / 2 over all epochs, or 1. */
static void set_rate(struct training *t, size_t epoch, size_t number)
{
	double steps = (double)t->t.loop.epochs * (double)t->t.loop.n_batches;
	double done = (double)(epoch * t->t.loop.n_batches + number) / steps;

	t->batch.rate = t->s.cosine_rate ? (1 + cos(3.14159265358979323846 * done)) / 2 : 1;
	t->encoders.lr = t->s.lr * t->batch.rate;
}

static void load_batch(struct training *t, size_t epoch, size_t number)
{
	const uint32_t *row = ist_sampler_batch(&t->t.sampler, number);

	t->batch.epoch = epoch;
	t->batch.step = epoch * t->t.loop.n_batches + number;
	t->batch.row = row;
	feed(t, IST_IMAGE, row);
	feed(t, IST_TEXT, row);
	name_items(t, row);
	for (size_t i = 0; t->text != NULL && i < t->s.batch; i++)
		t->text[i] = t->t.pairs->text[row[i]];
	set_phase(t, epoch, number);
	set_rate(t, epoch, number);
}

static double rank(struct training *t, bool again)
{
	bool hardest = t->batch.epoch * WARM_UP >= (size_t)t->t.loop.epochs;

	return ist_gxn_ranking_step(t->ranking, &t->batch, hardest, again, &t->encoders);
}

static void write_captions(struct training *t, double *terms)
{
	struct ist_gxn_caption_terms told;

	ist_gxn_captions_step(t->captions, &t->batch, &t->encoders, &told);
	terms[XE] = told.L_xe;
	terms[RL] = t->batch.scst ? told.L_rl : NAN;
	terms[REWARD] = t->batch.scst ? told.reward : NAN;
}

/* Terms of what is on. */
static bool is_on(const struct ist_gxn_settings *s, int term)
{
	return term == RANK || (term < JUDGE ? s->captions : s->generator != IST_GXN_NONE);
}

static void imagine(struct training *t, double all[N_TERMS])
{
	struct ist_gxn_imagine_terms terms;

	ist_gxn_imagine_step(t->imagine, &t->batch, &t->encoders, &terms);
	all[JUDGE] = terms.L_D;
	all[DREAM] = terms.L_G;
	all[KL] = terms.L_KL;
}

static void step(void *user, size_t epoch, size_t number, double *terms)
{
	struct training *t = user;
	double all[N_TERMS];
	size_t n = 0;

	load_batch(t, epoch, number);
	if (t->captions != NULL)
		write_captions(t, all);
	all[RANK] = rank(t, false);
	if (t->imagine != NULL) {
		imagine(t, all);
		all[RANK] = rank(t, true);
	}
	for (int i = 0; i < N_TERMS; i++)
		if (is_on(&t->s, i))
			terms[n++] = all[i];
}

/* Statistics that run along lag behind weights that move fast, and a model lives by them: on
 * pictures that are mostly ground its embeddings would be worth a fraction. So they are taken anew,
 * as the mean over some batches while the weights rest. */
static void settle_statistics(struct training *t, size_t epoch)
{
	size_t n = IST_MIN(t->t.loop.n_batches, (size_t)SETTLING);

	if (!t->s.cnn && t->imagine == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		load_batch(t, epoch, i);
		if (t->s.cnn)
			ist_gxn_ranking_settle(t->ranking, &t->batch, 1 / (double)(i + 1));
		if (t->imagine != NULL)
			ist_gxn_imagine_settle(t->imagine, &t->batch, 1 / (double)(i + 1));
	}
}

/* How the sentences are, by what they are trained for in the end. */
static void end_epoch(void *user, size_t epoch)
{
	struct training *t = user;
	const struct ist_train_hooks *h = t->t.loop.hooks;
	double cider;

	settle_statistics(t, epoch);
	if (t->captions == NULL || h->curve == NULL)
		return;
	cider = ist_gxn_captions_judge(t->captions, t->t.kept, t->t.pairs);
	if (!isnan(cider))
		h->curve(h->user, "CIDEr-D", (double)epoch + 1, cider);
}

/* ---- before the first ---- */

/* Networks over pixels and words can only read what those encoders make. */
static enum ist_code check_networks(const struct training *t, struct ist_err *err)
{
	const struct ist_pairs *pairs = t->t.pairs;

	if (t->s.cnn && pairs->form[IST_IMAGE] != IST_FORM_PIXELS)
		return ist_fail_at(err, IST_INVALID, "/image_network",
				   "cnn reads what the image encoder \"pixels\" makes");
	if (t->s.gru && pairs->form[IST_TEXT] != IST_FORM_WORDS)
		return ist_fail_at(err, IST_INVALID, "/text_network",
				   "gru reads what the text encoder \"words\" makes");
	if (t->s.gru && strcmp(ist_param_choice(t->t.params, "text_scaling"), "none") != 0)
		return ist_fail_at(err, IST_INVALID, "/text_scaling",
				   "words are codes, which gru reads as they are: none");
	if (t->s.captions && pairs->text == NULL)
		return ist_fail_at(err, IST_INVALID, "/captions",
				   "sentences are learned from the texts themselves, and none are "
				   "stored");
	if (t->s.generator == IST_GXN_PIXELS && pairs->form[IST_IMAGE] != IST_FORM_PIXELS)
		return ist_fail_at(err, IST_INVALID, "/generator",
				   "pixels draws what the image encoder \"pixels\" makes");
	if (t->s.generator == IST_GXN_PIXELS &&
	    strcmp(ist_param_choice(t->t.params, "image_scaling"), "none") != 0)
		return ist_fail_at(err, IST_INVALID, "/image_scaling",
				   "pixels are drawn as they are: none");
	return IST_OK;
}

/* Everything that the data decide. */
static void decide(struct training *t)
{
	const struct ist_pairs *pairs = t->t.pairs;
	struct ist_gxn_data data = {.n_rows = t->t.n_rows};

	memcpy(data.form, pairs->form, sizeof(data.form));
	data.negative =
	    ist_rows_negative(pairs->x[IST_IMAGE], pairs->dim[IST_IMAGE], t->t.rows, t->t.n_rows);
	if (pairs->form[IST_TEXT] == IST_FORM_WORDS)
		ist_vocabulary_collect(&t->vocabulary, pairs->x[IST_TEXT], pairs->dim[IST_TEXT],
				       t->t.rows, t->t.n_rows);
	data.vocabulary = t->vocabulary.n;
	if (ist_param_bool(t->t.params, "captions"))
		data.dictionary = ist_gxn_dictionary_size(pairs, t->t.rows, t->t.n_rows);
	ist_gxn_decide(t->t.params, &data);
	ist_gxn_settings(t->t.params, pairs->dim, 0, &t->s);
	t->s.batch = IST_MIN(t->s.batch, t->t.n_rows);
	if (t->s.gru)
		t->s.words = IST_MAX(t->vocabulary.longest, (size_t)1);
}

/* Both sides come to one size, so that one learning rate suits them. */
static void equalise(struct training *t)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		if (strcmp(ist_param_choice(t->t.params, ist_scaling_param((enum ist_modality)m)),
			   "none") != 0)
			ist_scaling_equalise(&t->t.kept->scaling[m], t->t.pairs->x[m], t->t.rows,
					     t->t.n_rows);
}

static void create_batch(struct training *t)
{
	size_t n = t->s.batch;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		t->x[m] = ist_alloc(n * ist_gxn_width(&t->s, (enum ist_modality)m), sizeof(**t->x));
		t->batch.x[m] = t->x[m];
	}
	t->item = ist_alloc(n, sizeof(*t->item));
	t->batch.item = t->item;
	if (t->s.captions)
		t->text = ist_alloc(n, sizeof(*t->text));
	t->batch.text = t->text;
	t->batch.seed = t->t.seed;
}

static void name_terms(struct training *t)
{
	struct ist_loop *loop = &t->t.loop;

	loop->terms = t->terms;
	for (int i = 0; i < N_TERMS; i++)
		if (is_on(&t->s, i))
			t->terms[loop->n_terms++] = term_names[i];
}

static enum ist_code create_imagine(struct training *t, struct ist_err *err)
{
	if (t->s.generator == IST_GXN_NONE)
		return IST_OK;
	t->generator = ist_gxn_generator(&t->s);
	t->critic = ist_gxn_critic(&t->s);
	ist_weights_init(t->generator, t->t.seed);
	ist_weights_init(t->critic, t->t.seed);
	return ist_gxn_imagine_create(&t->s, t->theta, t->generator, t->critic, &t->imagine, err);
}

static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	enum ist_code code = ist_training_pick(&t->t, false, err);

	if (code != IST_OK)
		return code;
	decide(t);
	if ((code = check_networks(t, err)) != IST_OK)
		return code;
	ist_training_start(&t->t, &ist_sampler_plain, t->s.batch);
	equalise(t);
	create_batch(t);
	name_terms(t);
	t->encoders = ist_gxn_encoders_optimiser(&t->s);
	t->theta = ist_gxn_theta(&t->s, true);
	ist_weights_init(t->theta, t->t.seed);
	code = ist_gxn_ranking_create(&t->s, t->theta, &t->ranking, err);
	if (code == IST_OK && t->s.captions)
		code = ist_gxn_captions_create(&t->s, t->theta, t->t.pairs, t->t.rows, t->t.n_rows,
					       &t->captions, err);
	return code == IST_OK ? create_imagine(t, err) : code;
}

static void started(struct ist_training *training)
{
	struct training *t = (struct training *)training;

	if (t->s.gru)
		ist_vocabulary_set(&t->vocabulary, t->theta);
	if (t->captions != NULL)
		ist_gxn_captions_start(t->captions);
}

static void finish(struct training *t)
{
	ist_gxn_ranking_destroy(t->ranking);
	ist_gxn_captions_destroy(t->captions);
	ist_gxn_imagine_destroy(t->imagine);
	ist_weights_destroy(t->theta);
	ist_weights_destroy(t->generator);
	ist_weights_destroy(t->critic);
	ist_optimiser_finish(&t->encoders);
	ist_vocabulary_finish(&t->vocabulary);
	free(t->x[IST_IMAGE]);
	free(t->x[IST_TEXT]);
	free(t->item);
	free(t->text);
	ist_training_finish(&t->t);
}

enum ist_code ist_gxn_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			    const struct ist_train_hooks *hooks, struct ist_model **ret,
			    struct ist_err *err)
{
	struct training t = {
	    .t = {.method = &ist_method_gxn,
		  .pairs = pairs,
		  .params = params,
		  .seed = seed,
		  .started = started,
		  .loop = {.start_epoch = start_epoch, .end_epoch = end_epoch, .step = step}}};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code =
		    ist_training_run(&t.t, (struct ist_weights *[]){t.theta, t.generator, t.critic},
				     t.imagine != NULL ? 3 : 1, hooks, ret, err);
	finish(&t);
	return code;
}
