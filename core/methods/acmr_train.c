/*
 * ACMR's training: epochs of shuffled batches, checkpoints, early stopping. One thread drives it.
 *
 * Everything that decides a bit is in the checkpoint (weights, moments, step counts, where in which
 * epoch) or a function of (seed, epoch) alone (the order of the pairs), so a training that was
 * killed and resumed ends with the same bits as one that was not.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/methods/acmr.h"
#include "core/methods/samplers.h"

#define CHECKPOINT "acmr.safetensors"
#define CHECKPOINT_SECONDS 5 /* at least between two of them */
#define TELL_SECONDS .5	     /* at most between two words on progress */
#define CHECKPOINT_SHARE 20  /* and so many times what the last one took */

enum { IMD, IMI, REG, ADV, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_imd", "L_imi", "L_reg", "L_adv", "loss"};

/* What a checkpoint holds beside the weights; plain numbers in one tensor. */
struct progress {
	double epoch, batch;	 /* the next step */
	double sum[N_TERMS];	 /* of this epoch's steps */
	double best, best_epoch; /* on validation; best_epoch -1: none yet */
};
#define N_PROGRESS (sizeof(struct progress) / sizeof(double))

struct training {
	const struct ist_pairs *pairs;
	json_t *params;
	uint64_t seed;
	const struct ist_train_hooks *hooks;
	struct ist_acmr *acmr;
	struct ist_acmr_state *best; /* scaling from the start; theta where patience keeps one */
	uint32_t *rows;		     /* training rows */
	size_t n_rows;
	struct ist_sampler sampler;
	long epochs, patience;
	struct progress at;
	float *scaled;		       /* a batch of one modality */
	double saved, save_took, told; /* when; seconds; when */
};

/* Monotonic seconds: for how often, never for what. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Unlabelled pairs cannot take part: every term but the adversary needs a class. */
static void pick_rows(struct training *t)
{
	t->rows = ist_alloc(t->pairs->n + 1, sizeof(*t->rows));
	for (size_t i = 0; i < t->pairs->n; i++)
		if (t->pairs->part[i] == IST_TRAIN && t->pairs->label[i] >= 0)
			t->rows[t->n_rows++] = (uint32_t)i;
}

/* Scaling a batch when it is needed spares a second copy of all features. */
static void load_batch(struct training *t)
{
	struct ist_acmr *a = t->acmr;
	ist_node *in[IST_N_MODALITIES] = {[IST_IMAGE] = a->image, [IST_TEXT] = a->text};
	const uint32_t *row = ist_sampler_batch(&t->sampler, (size_t)t->at.batch);

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		size_t dim = t->pairs->dim[m];

		for (size_t i = 0; i < a->s.batch; i++)
			ist_scaling_apply(&t->best->scaling[m], t->pairs->x[m] + row[i] * dim, 1,
					  t->scaled + i * dim);
		for (size_t i = 0; i < a->s.batch * dim; i++)
			in[m]->value[i] = (ist_real)t->scaled[i];
	}
	for (size_t i = 0; i < a->s.batch; i++)
		a->y->ids[i] = t->pairs->label[row[i]];
	/* l = 2 / (1 + e^(-10 p)) - 1: the adversary is let in as training proceeds. */
	a->l->value[0] = (ist_real)(2 / (1 + exp(-10 * t->at.epoch / (double)t->epochs)) - 1);
}

/* The curves show means over an epoch. */
static void add_terms(struct training *t)
{
	const struct ist_acmr *a = t->acmr;
	const ist_node *const terms[N_TERMS] = {a->L_imd, a->L_imi, a->L_reg, a->L_adv, a->L};

	for (int i = 0; i < N_TERMS; i++)
		t->at.sum[i] += (double)terms[i]->value[0];
}

/* ---- checkpoints ---- */

/* What a checkpoint must agree on to be this training's. */
static json_t *identity_of(const struct training *t)
{
	ist_autofree char *params = json_dumps(t->params, JSON_COMPACT | JSON_SORT_KEYS);
	ist_autofree char *seed = ist_format("%llu", (unsigned long long)t->seed);
	ist_autofree char *rows = ist_format("%zu", t->n_rows);

	return json_pack("{s:s, s:s, s:s}", "params", params, "seed", seed, "rows", rows);
}

static char *checkpoint_path(const struct training *t)
{
	if (t->hooks->checkpoint_dir == NULL)
		return NULL;
	return ist_format("%s/%s", t->hooks->checkpoint_dir, CHECKPOINT);
}

/* Written whole to another name and renamed: a kill at any moment leaves the old one or the new. */
static enum ist_code checkpoint_save(struct training *t, struct ist_err *err)
{
	const struct ist_acmr *a = t->acmr;
	ist_autofree char *path = checkpoint_path(t);
	ist_auto(ist_names_finish) struct ist_names names = {0};
	ist_autofree struct ist_safetensor *tensors = NULL;
	json_t *identity;
	size_t n = 0;
	double start = now();
	enum ist_code code;

	if (path == NULL)
		return IST_OK;
	tensors = ist_alloc(ist_weights_n_tensors(a->theta, true) +
				ist_weights_n_tensors(a->theta_D, true) +
				ist_weights_n_tensors(t->best->theta, false) + 1,
			    sizeof(*tensors));
	n += ist_weights_tensors(a->theta, true, "", &names, tensors + n);
	n += ist_weights_tensors(a->theta_D, true, "", &names, tensors + n);
	if (t->at.best_epoch >= 0)
		n += ist_weights_tensors(t->best->theta, false, "best.", &names, tensors + n);
	tensors[n++] = (struct ist_safetensor){
	    .name = "progress", .dtype = "F64", .n_dims = 1, .shape = {N_PROGRESS}, .data = &t->at};
	identity = identity_of(t);
	code = ist_dir_make(t->hooks->checkpoint_dir, err);
	if (code == IST_OK)
		code = ist_safetensors_write(path, tensors, n, identity, err);
	json_decref(identity);
	t->saved = now();
	t->save_took = t->saved - start;
	return code;
}

/* Other parameters, another seed or other pairs: a checkpoint of another training. */
static bool is_ours(const struct training *t, const struct ist_safetensors *file)
{
	json_t *identity = identity_of(t), *value;
	const char *key;
	bool same = true;

	json_object_foreach(identity, key, value)
	{
		const char *stored = ist_safetensors_metadata(file, key);

		same = same && stored != NULL && strcmp(stored, json_string_value(value)) == 0;
	}
	json_decref(identity);
	return same;
}

/* On failure theta may be half read: the caller starts it anew. */
static enum ist_code checkpoint_read(struct training *t, const struct ist_safetensors *file)
{
	struct progress at;
	size_t n = N_PROGRESS;
	enum ist_code code = ist_safetensors_read_f64(file, "progress", 1, &n, &at.epoch, NULL);

	if (code == IST_OK)
		code = ist_weights_read(t->acmr->theta, true, "", file, NULL);
	if (code == IST_OK)
		code = ist_weights_read(t->acmr->theta_D, true, "", file, NULL);
	if (code == IST_OK && at.best_epoch >= 0)
		code = ist_weights_read(t->best->theta, false, "best.", file, NULL);
	if (code == IST_OK)
		t->at = at;
	return code;
}

/* A checkpoint that is absent, damaged or another training's means starting from the beginning:
 * it costs time, never the result. */
static void checkpoint_resume(struct training *t)
{
	ist_autofree char *path = checkpoint_path(t);
	struct ist_safetensors *file;

	if (path == NULL || ist_safetensors_open(path, &file, NULL) != IST_OK)
		return;
	if (is_ours(t, file) && checkpoint_read(t, file) != IST_OK) {
		ist_weights_restart(t->acmr->theta, t->seed);
		ist_weights_restart(t->acmr->theta_D, t->seed);
	}
	ist_safetensors_close(file);
}

/* A checkpoint of a big model takes long; it may cost a twentieth of the time at most. */
static bool checkpoint_due(const struct training *t)
{
	double since = now() - t->saved;

	return since >= CHECKPOINT_SECONDS && since >= CHECKPOINT_SHARE * t->save_took;
}

/* ---- the loop ---- */

/* Equal groups have equal slabs. */
static void copy_theta(struct ist_acmr_state *state, const struct ist_acmr *acmr)
{
	memcpy(state->theta->value, acmr->theta->value,
	       acmr->theta->size * sizeof(*state->theta->value));
}

/* The figure on validation of the weights as they are; NAN where nobody measures. */
static double validate(struct training *t)
{
	struct ist_acmr_state *state;
	struct ist_model *model;
	double figure;

	if (t->patience == 0 || t->hooks->validate == NULL)
		return NAN;
	state = ist_acmr_state_create(&t->acmr->s);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_copy(&state->scaling[m], &t->best->scaling[m]);
	copy_theta(state, t->acmr);
	model = ist_acmr_model(state, ist_acmr_similarity(t->params), t->params, t->seed);
	ist_acmr_state_unref(state);
	figure = t->hooks->validate(t->hooks->user, model);
	ist_model_unref(model);
	return figure;
}

/* Epochs are counted from 1 for people. */
static void report(struct training *t, double figure)
{
	const struct ist_train_hooks *h = t->hooks;

	for (int i = 0; i < N_TERMS && h->curve != NULL; i++)
		h->curve(h->user, term_names[i], t->at.epoch + 1,
			 t->at.sum[i] / (double)t->sampler.n_batches);
	if (h->curve != NULL && !isnan(figure))
		h->curve(h->user, "validation", t->at.epoch + 1, figure);
}

/* Returns whether another epoch follows. */
static bool end_epoch(struct training *t)
{
	double figure = validate(t);

	report(t, figure);
	if (!isnan(figure) && (t->at.best_epoch < 0 || figure > t->at.best)) {
		t->at.best = figure;
		t->at.best_epoch = t->at.epoch;
		copy_theta(t->best, t->acmr);
	}
	memset(t->at.sum, 0, sizeof(t->at.sum));
	t->at.epoch++;
	t->at.batch = 0;
	return t->at.best_epoch < 0 || t->at.epoch - t->at.best_epoch <= (double)t->patience;
}

static void tell(struct training *t)
{
	double done = t->at.epoch + t->at.batch / (double)t->sampler.n_batches;
	size_t epoch = IST_MIN((size_t)t->at.epoch + 1, (size_t)t->epochs);
	char stage[64];

	snprintf(stage, sizeof(stage), "epoch %zu of %zu", epoch, (size_t)t->epochs);
	if (t->hooks->progress != NULL)
		t->hooks->progress(t->hooks->user, done / (double)t->epochs, stage);
	t->told = now();
}

/* From wherever a checkpoint left off. The stop is asked for before every step, and a checkpoint is
 * written on it whatever the time. */
static enum ist_code run_epoch(struct training *t, struct ist_err *err)
{
	ist_sampler_start(&t->sampler, (uint64_t)t->at.epoch);
	while (t->at.batch < (double)t->sampler.n_batches) {
		bool stop = t->hooks->stop != NULL && t->hooks->stop(t->hooks->user);
		enum ist_code code = IST_OK;

		if (stop || checkpoint_due(t)) {
			tell(t);
			code = checkpoint_save(t, err);
		}
		if (code != IST_OK)
			return code;
		if (stop)
			return ist_fail(err, IST_CANCELLED, "the training was stopped");
		if (now() - t->told > TELL_SECONDS)
			tell(t);
		load_batch(t);
		ist_acmr_step(t->acmr);
		add_terms(t);
		t->at.batch++;
	}
	return IST_OK;
}

static enum ist_code run(struct training *t, struct ist_err *err)
{
	bool more = t->at.epoch < (double)t->epochs;

	t->saved = now();
	while (more) {
		enum ist_code code = run_epoch(t, err);

		if (code != IST_OK)
			return code;
		more = end_epoch(t) && t->at.epoch < (double)t->epochs;
		tell(t);
	}
	if (t->at.best_epoch < 0)
		copy_theta(t->best, t->acmr);
	return IST_OK;
}

/* A model that answers NaN must not be kept. */
static bool is_finite(const struct ist_weights *group)
{
	for (size_t i = 0; i < group->size; i++)
		if (!isfinite(group->value[i]))
			return false;
	return true;
}

/* Everything before the first step. Scaling and sampler are functions of the pairs and the seed, so
 * a resumed training makes them again. */
static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	struct ist_acmr_settings s;
	enum ist_code code;

	pick_rows(t);
	if (t->n_rows < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"acmr needs at least 2 labelled training pairs, not %zu",
				t->n_rows);
	ist_acmr_decide(t->params, t->pairs->dim, t->n_rows);
	ist_acmr_settings(t->params, t->pairs->dim, t->pairs->n_classes, &s);
	s.batch = IST_MIN(s.batch, t->n_rows);
	ist_sampler_init(&t->sampler, &ist_sampler_plain, t->rows, t->n_rows, NULL, s.batch,
			 t->seed);
	t->epochs = ist_param_int(t->params, "epochs");
	t->patience = ist_param_int(t->params, "patience");
	t->scaled = ist_alloc(s.batch * IST_MAX(s.n_in[0], s.n_in[1]), sizeof(*t->scaled));
	t->best = ist_acmr_state_create(&s);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_fit(&t->best->scaling[m], ist_param_choice(t->params, "input_scaling"),
				t->pairs->x[m], s.n_in[m], t->rows, t->n_rows);
	code = ist_acmr_create(&s, t->seed, &t->acmr, err);
	if (code == IST_OK)
		checkpoint_resume(t);
	return code;
}

static void finish(struct training *t)
{
	ist_acmr_destroy(t->acmr);
	ist_acmr_state_unref(t->best);
	free(t->rows);
	ist_sampler_finish(&t->sampler);
	free(t->scaled);
}

enum ist_code ist_acmr_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			     const struct ist_train_hooks *hooks, struct ist_model **ret,
			     struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	struct training t = {.pairs = pairs,
			     .params = params,
			     .seed = seed,
			     .hooks = hooks != NULL ? hooks : &none,
			     .at = {.best_epoch = -1}};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code = run(&t, err);
	if (code == IST_OK && !is_finite(t.best->theta))
		code = ist_fail(err, IST_INVALID,
				"acmr: the weights grew beyond all bounds; a smaller lr may help");
	if (code == IST_OK)
		*ret = ist_acmr_model(t.best, ist_acmr_similarity(params), params, seed);
	finish(&t);
	return code;
}
