/*
 * The training loop. One thread drives it.
 *
 * Everything that decides a bit is in the checkpoint (weights, moments, step counts, where in which
 * epoch) or a function of (seed, epoch, batch) alone, so a training that was killed and resumed
 * ends with the same bits as one that was not.
 */
#include "core/methods/loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define CHECKPOINT_SECONDS 5 /* at least between two of them */
#define CHECKPOINT_SHARE 20  /* and so many times what the last one took */
#define TELL_SECONDS .5	     /* at most between two words on progress */
#define N_PROGRESS (sizeof(struct ist_progress) / sizeof(double))

/* Monotonic seconds: for how often, never for what. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- checkpoints ---- */

/* What a checkpoint must agree on to be this training's. */
static json_t *identity_of(const struct ist_loop *loop)
{
	ist_autofree char *params = json_dumps(loop->params, JSON_COMPACT | JSON_SORT_KEYS);
	ist_autofree char *seed = ist_format("%llu", (unsigned long long)loop->seed);
	ist_autofree char *rows = ist_format("%zu", loop->n_rows);

	return json_pack("{s:s, s:s, s:s}", "params", params, "seed", seed, "rows", rows);
}

static char *checkpoint_path(const struct ist_loop *loop)
{
	if (loop->hooks->checkpoint_dir == NULL)
		return NULL;
	return ist_format("%s/%s.safetensors", loop->hooks->checkpoint_dir, loop->name);
}

/* All groups with their moments, the best weights so far, and the place; *ret_n of them. */
static struct ist_safetensor *tensors_of(struct ist_loop *loop, struct ist_names *names,
					 size_t *ret_n)
{
	size_t most = 1 + ist_weights_n_tensors(loop->kept, false), n = 0;
	struct ist_safetensor *t;

	for (size_t i = 0; i < loop->n_groups; i++)
		most += ist_weights_n_tensors(loop->groups[i], true);
	t = ist_alloc(most, sizeof(*t));
	for (size_t i = 0; i < loop->n_groups; i++)
		n += ist_weights_tensors(loop->groups[i], true, "", names, t + n);
	if (loop->at.best_epoch >= 0)
		n += ist_weights_tensors(loop->kept, false, "best.", names, t + n);
	t[n++] = (struct ist_safetensor){.name = "progress",
					 .dtype = "F64",
					 .n_dims = 1,
					 .shape = {N_PROGRESS},
					 .data = &loop->at};
	*ret_n = n;
	return t;
}

/* Written whole to another name and renamed: a kill at any moment leaves the old one or the new. */
static enum ist_code checkpoint_save(struct ist_loop *loop, struct ist_err *err)
{
	ist_autofree char *path = checkpoint_path(loop);
	ist_auto(ist_names_finish) struct ist_names names = {0};
	ist_autofree struct ist_safetensor *tensors = NULL;
	double start = now();
	json_t *identity;
	enum ist_code code;
	size_t n;

	if (path == NULL)
		return IST_OK;
	tensors = tensors_of(loop, &names, &n);
	identity = identity_of(loop);
	code = ist_dir_make(loop->hooks->checkpoint_dir, err);
	if (code == IST_OK)
		code = ist_safetensors_write(path, tensors, n, identity, err);
	json_decref(identity);
	loop->saved = now();
	loop->save_took = loop->saved - start;
	return code;
}

/* Other parameters, another seed or other pairs: a checkpoint of another training. */
static bool is_ours(const struct ist_loop *loop, const struct ist_safetensors *file)
{
	json_t *identity = identity_of(loop), *value;
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

/* On failure the groups may be half read: the caller starts them anew. */
static enum ist_code checkpoint_read(struct ist_loop *loop, const struct ist_safetensors *file)
{
	struct ist_progress at;
	size_t n = N_PROGRESS;
	enum ist_code code = ist_safetensors_read_f64(file, "progress", 1, &n, &at.epoch, NULL);

	for (size_t i = 0; i < loop->n_groups && code == IST_OK; i++)
		code = ist_weights_read(loop->groups[i], true, "", file, NULL);
	if (code == IST_OK && at.best_epoch >= 0)
		code = ist_weights_read(loop->kept, false, "best.", file, NULL);
	if (code == IST_OK)
		loop->at = at;
	return code;
}

/* A checkpoint that is absent, damaged or another training's means starting from the beginning:
 * it costs time, never the result. */
static void checkpoint_resume(struct ist_loop *loop)
{
	ist_autofree char *path = checkpoint_path(loop);
	struct ist_safetensors *file;

	if (path == NULL || ist_safetensors_open(path, &file, NULL) != IST_OK)
		return;
	if (is_ours(loop, file) && checkpoint_read(loop, file) != IST_OK)
		for (size_t i = 0; i < loop->n_groups; i++)
			ist_weights_restart(loop->groups[i], loop->seed);
	ist_safetensors_close(file);
}

/* A checkpoint of a big model takes long; it may cost a twentieth of the time at most. */
static bool checkpoint_due(const struct ist_loop *loop)
{
	double since = now() - loop->saved;

	return since >= CHECKPOINT_SECONDS && since >= CHECKPOINT_SHARE * loop->save_took;
}

/* ---- the loop ---- */

/* Equal groups have equal slabs. */
static void keep(struct ist_loop *loop)
{
	memcpy(loop->kept->value, loop->groups[0]->value,
	       loop->kept->size * sizeof(*loop->kept->value));
}

/* The figure on validation of the weights as they are; NAN where nobody measures. */
static double validate(struct ist_loop *loop)
{
	struct ist_model *model;
	double figure;

	if (loop->patience == 0 || loop->hooks->validate == NULL)
		return NAN;
	model = loop->model(loop->user);
	figure = loop->hooks->validate(loop->hooks->user, model);
	ist_model_unref(model);
	return figure;
}

/* Means over the epoch; epochs are counted from 1 for people. */
static void report(struct ist_loop *loop, double figure)
{
	const struct ist_train_hooks *h = loop->hooks;

	for (size_t i = 0; i < loop->n_terms && h->curve != NULL; i++)
		if (!isnan(loop->at.sum[i]))
			h->curve(h->user, loop->terms[i], loop->at.epoch + 1,
				 loop->at.sum[i] / (double)loop->n_batches);
	if (h->curve != NULL && !isnan(figure))
		h->curve(h->user, "validation", loop->at.epoch + 1, figure);
}

/* Returns whether patience lets another epoch follow. */
static bool end_epoch(struct ist_loop *loop)
{
	double figure;

	if (loop->end_epoch != NULL)
		loop->end_epoch(loop->user, (size_t)loop->at.epoch);
	figure = validate(loop);
	report(loop, figure);
	if (!isnan(figure) && (loop->at.best_epoch < 0 || figure > loop->at.best)) {
		loop->at.best = figure;
		loop->at.best_epoch = loop->at.epoch;
		keep(loop);
	}
	memset(loop->at.sum, 0, sizeof(loop->at.sum));
	loop->at.epoch++;
	loop->at.batch = 0;
	return loop->at.best_epoch < 0 ||
	       loop->at.epoch - loop->at.best_epoch <= (double)loop->patience;
}

static void tell(struct ist_loop *loop)
{
	double done = loop->at.epoch + loop->at.batch / (double)loop->n_batches;
	size_t epoch = IST_MIN((size_t)loop->at.epoch + 1, (size_t)loop->epochs);
	char stage[64];

	snprintf(stage, sizeof(stage), "epoch %zu of %zu", epoch, (size_t)loop->epochs);
	if (loop->hooks->progress != NULL)
		loop->hooks->progress(loop->hooks->user, done / (double)loop->epochs, stage);
	loop->told = now();
}

static void step(struct ist_loop *loop)
{
	double terms[IST_MAX_TERMS] = {0};

	loop->step(loop->user, (size_t)loop->at.epoch, (size_t)loop->at.batch, terms);
	for (size_t i = 0; i < loop->n_terms; i++)
		loop->at.sum[i] += terms[i];
	loop->at.batch++;
}

/* From wherever a checkpoint left off. The stop is asked for before every step, and a checkpoint is
 * written on it whatever the time. */
static enum ist_code run_epoch(struct ist_loop *loop, struct ist_err *err)
{
	const struct ist_train_hooks *h = loop->hooks;

	if (loop->start_epoch != NULL)
		loop->start_epoch(loop->user, (size_t)loop->at.epoch);
	while (loop->at.batch < (double)loop->n_batches) {
		bool stop = h->stop != NULL && h->stop(h->user);
		enum ist_code code = IST_OK;

		if (stop || checkpoint_due(loop)) {
			tell(loop);
			code = checkpoint_save(loop, err);
		}
		if (code != IST_OK)
			return code;
		if (stop)
			return ist_fail(err, IST_CANCELLED, "the training was stopped");
		if (now() - loop->told > TELL_SECONDS)
			tell(loop);
		step(loop);
	}
	return IST_OK;
}

/* A model that answers NaN must not be kept. */
static enum ist_code check_finite(const struct ist_loop *loop, struct ist_err *err)
{
	for (size_t i = 0; i < loop->kept->size; i++)
		if (!isfinite(loop->kept->value[i]))
			return ist_fail(err, IST_INVALID,
					"%s: the weights grew beyond all bounds; a smaller lr may "
					"help",
					loop->name);
	return IST_OK;
}

void ist_loop_init(struct ist_loop *loop)
{
	loop->at = (struct ist_progress){.best_epoch = -1};
	checkpoint_resume(loop);
}

enum ist_code ist_loop_run(struct ist_loop *loop, struct ist_err *err)
{
	bool more = loop->at.epoch < (double)loop->epochs;

	loop->saved = now();
	while (more) {
		enum ist_code code = run_epoch(loop, err);

		if (code != IST_OK)
			return code;
		more = end_epoch(loop) && loop->at.epoch < (double)loop->epochs;
		tell(loop);
	}
	if (loop->at.best_epoch < 0)
		keep(loop);
	return check_finite(loop, err);
}
