/*
 * ist_train: checks, the method's own training, the choice of a similarity on validation,
 * calibration, and the report. The test part is read by the report only, after everything has
 * been decided. The caller's hooks are passed down through stages that scale their progress.
 */
#include "core/train/train.h"

#include <math.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/methods/linalg.h"
#include "core/train/baselines.h"
#include "core/train/calibrate.h"
#include "core/train/composed.h"
#include "core/train/report.h"
#include "core/train/stage.h"

#define MIN_TRAIN 10 /* pairs */
#define MIN_TEST 2   /* items */
#define HASH_BLOCK ((size_t)16 << 20)

/* What part of the whole each stage takes. */
#define SHARE_METHOD 0.75
#define SHARE_BASELINES 0.95

/* ---- checks ---- */

static size_t count_part(const struct ist_pairs *pairs, enum ist_part part, bool labelled)
{
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++)
		n += pairs->part[i] == part && (!labelled || pairs->label[i] >= 0);
	return n;
}

static size_t count_items(const struct ist_pairs *pairs, enum ist_part part)
{
	struct ist_trial trial;
	size_t n;

	ist_trial_init(&trial, pairs, part, IST_IMAGE, IST_TEXT, IST_MAX_GALLERY);
	n = trial.n_queries;
	ist_trial_finish(&trial);
	return n;
}

/* Classes that the training part really has. */
static size_t count_classes(const struct ist_pairs *pairs)
{
	ist_autofree uint8_t *seen = ist_alloc(pairs->n_classes, 1);
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->part[i] == IST_TRAIN && pairs->label[i] >= 0 && !seen[pairs->label[i]]) {
			seen[pairs->label[i]] = 1;
			n++;
		}
	}
	return n;
}

/* A method of triples needs no pairs; what they allow is measured beside. */
static enum ist_code check_triples(const struct ist_pairs *pairs, struct ist_err *err)
{
	size_t train = ist_composed_count(pairs, IST_TRAIN);
	size_t test = ist_composed_count(pairs, IST_TEST);

	if (train < MIN_TRAIN)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu triples with both pictures in the training part, %d are "
				"needed",
				train, MIN_TRAIN);
	if (test < MIN_TEST)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu triples with both pictures held out to measure on, %d are "
				"needed",
				test, MIN_TEST);
	return IST_OK;
}

enum ist_code ist_train_check(const struct ist_method *method, const struct ist_pairs *pairs,
			      struct ist_err *err)
{
	bool labelled = (method->needs & IST_NEEDS_LABELS) != 0;
	size_t n = count_part(pairs, IST_TRAIN, labelled);

	if ((method->needs & IST_NEEDS_TRIPLES) != 0)
		return check_triples(pairs, err);
	if (n < MIN_TRAIN)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu %spairs of image and text to train on, %d are needed", n,
				labelled ? "labelled " : "", MIN_TRAIN);
	if (labelled && count_classes(pairs) < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%s learns from labels: the training part has %zu, 2 are needed",
				method->name, count_classes(pairs));
	n = count_items(pairs, IST_TEST);
	if (n < MIN_TEST)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu items held out to measure on, %d are needed", n, MIN_TEST);
	return IST_OK;
}

enum ist_code ist_train_check_params(const struct ist_method *method, const json_t *params,
				     bool has_validation, struct ist_err *err)
{
	const char *const *names = ist_method_similarities(method);

	if (has_validation)
		return IST_OK;
	if (names != NULL && ist_param_is_null(params, "similarity"))
		return ist_fail_at(err, IST_INVALID, "/similarity",
				   "must be named: without a validation part it cannot be chosen");
	if (ist_param_int(params, "patience") > 0)
		return ist_fail_at(err, IST_INVALID, "/patience",
				   "must be 0: without a validation part nothing can stop early");
	return IST_OK;
}

/* ---- early stopping ---- */

/* The stage in which a method learns, and what its figure on validation is taken from. */
struct learning {
	struct ist_stage stage; /* first: the hooks get its address */
	const struct ist_trials *validation;
	const struct ist_composed *composed; /* of the validation part */
};

/* The hook that early stopping asks; NAN tells it that there is nothing to go by. */
static double validate(void *user, const struct ist_model *model)
{
	const struct learning *l = user;
	const struct ist_train_hooks quiet = {.user = l->stage.outer->user,
					      .stop = l->stage.outer->stop};
	double figure = NAN;

	if (model->method->compose != NULL)
		return l->composed->n_queries > 0 && ist_composed_figure(l->composed, model, &quiet,
									 &figure, NULL) == IST_OK
			   ? figure
			   : NAN;
	if (l->validation->direction[IST_IMAGE].n_queries == 0 || !model->crosses ||
	    ist_trials_figure(l->validation, model, &quiet, &figure, NULL) != IST_OK)
		return NAN;
	return figure;
}

/* ---- what it learned from ---- */

/* SHA-256 over the digests of blocks, so that the poll comes often. */
static enum ist_code add_digest(const void *data, size_t len, uint8_t state[IST_SHA256_SIZE],
				const struct ist_train_hooks *hooks, struct ist_err *err)
{
	for (size_t at = 0; at < len; at += HASH_BLOCK) {
		uint8_t both[2 * IST_SHA256_SIZE];

		memcpy(both, state, IST_SHA256_SIZE);
		ist_sha256((const char *)data + at, IST_MIN(len - at, HASH_BLOCK),
			   both + IST_SHA256_SIZE);
		ist_sha256(both, sizeof(both), state);
		if (ist_stopped(hooks))
			return ist_fail(err, IST_CANCELLED, "cancelled");
	}
	return IST_OK;
}

static enum ist_code add_triples(const struct ist_pairs *pairs, uint8_t state[IST_SHA256_SIZE],
				 const struct ist_train_hooks *hooks, struct ist_err *err)
{
	const struct ist_triples *t = pairs->triples;
	const struct {
		const void *data;
		size_t bytes;
	} part[] = {
	    {t->image, t->n_images * pairs->dim[IST_IMAGE] * sizeof(float)},
	    {t->text, t->n * pairs->dim[IST_TEXT] * sizeof(float)},
	    {t->reference, t->n * sizeof(*t->reference)},
	    {t->target, t->n * sizeof(*t->target)},
	    {t->part, t->n},
	};
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < IST_COUNT(part) && code == IST_OK; i++)
		code = add_digest(part[i].data, part[i].bytes, state, hooks, err);
	return code;
}

/* Features, labels and parts: two models of one fingerprint learned from the same. */
static enum ist_code fingerprint(const struct ist_pairs *pairs, const struct ist_train_hooks *hooks,
				 json_t **ret, struct ist_err *err)
{
	uint8_t state[IST_SHA256_SIZE] = {0};
	char hex[IST_SHA256_HEX];
	enum ist_code code = IST_OK;

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = add_digest(pairs->x[m], pairs->n * pairs->dim[m] * sizeof(float), state,
				  hooks, err);
	if (code == IST_OK)
		code =
		    add_digest(pairs->label, pairs->n * sizeof(*pairs->label), state, hooks, err);
	if (code == IST_OK)
		code = add_digest(pairs->part, pairs->n, state, hooks, err);
	if (code == IST_OK && pairs->triples != NULL)
		code = add_triples(pairs, state, hooks, err);
	if (code != IST_OK)
		return code;
	ist_hex(state, sizeof(state), hex);
	*ret = json_pack("{s:s, s:I, s:I, s:I, s:I}", "fingerprint", hex, "pairs",
			 (json_int_t)pairs->n, "classes", (json_int_t)pairs->n_classes, "train",
			 (json_int_t)count_part(pairs, IST_TRAIN, false), "validation",
			 (json_int_t)count_part(pairs, IST_VALIDATION, false));
	return IST_OK;
}

/* ---- the choice of a similarity ---- */

/* Measures each way to rank on validation and keeps the best in *model. */
static enum ist_code choose(const struct ist_trials *validation, const char *const *names,
			    const struct ist_train_hooks *hooks, struct ist_model **model,
			    json_t *table, struct ist_err *err)
{
	ist_auto(ist_model_unref_ptr) struct ist_model *best = NULL;
	double best_figure = -1;

	for (size_t i = 0; names[i] != NULL; i++) {
		ist_auto(ist_model_unref_ptr) struct ist_model *variant = NULL;
		double figure = 0;
		enum ist_code code = (*model)->method->variant(*model, names[i], &variant, err);

		if (code == IST_OK)
			code = ist_trials_figure(validation, variant, hooks, &figure, err);
		if (code != IST_OK)
			return code;
		json_object_set_new(table, names[i], json_real(round(figure * 1e6) / 1e6));
		if (figure <= best_figure)
			continue;
		best_figure = figure;
		ist_model_unref(best);
		best = ist_steal(&variant);
	}
	ist_model_unref(*model);
	*model = ist_steal(&best);
	return IST_OK;
}

/* ---- the whole ---- */

struct training {
	const struct ist_method *method;
	const struct ist_pairs *pairs;
	json_t *params;
	uint64_t seed;
	struct ist_trials validation, test;
	struct ist_composed composed, composed_test; /* without triples: no queries */
	struct ist_model *model;
	json_t *baselines; /* of an earlier report; NULL: none */
	json_t *report;
};

static void training_finish(struct training *t)
{
	ist_trials_finish(&t->validation);
	ist_trials_finish(&t->test);
	ist_composed_finish(&t->composed);
	ist_composed_finish(&t->composed_test);
	ist_model_unref(t->model);
	json_decref(t->report);
}

/* Everything that decides about the model; the test part is not touched. Only here may checkpoints
 * be kept: a baseline must not find a method's files. */
static enum ist_code learn(struct training *t, const struct ist_train_hooks *hooks,
			   struct ist_err *err)
{
	const char *const *names = ist_method_similarities(t->method);
	bool choosing = names != NULL && ist_param_is_null(t->params, "similarity");
	json_t *data = NULL;
	int64_t begin_us = ist_monotonic_us();
	enum ist_code code;

	code = fingerprint(t->pairs, hooks, &data, err);
	if (code == IST_OK)
		code = t->method->train(t->pairs, t->params, t->seed, hooks, &t->model, err);
	json_object_set_new(t->report, "training_s",
			    json_real(round(1e-3 * (double)(ist_monotonic_us() - begin_us)) / 1e3));
	if (code == IST_OK && choosing) {
		json_t *table = json_object();

		json_object_set_new(t->report, "validation", table);
		code = choose(&t->validation, names, hooks, &t->model, table, err);
		if (code == IST_OK)
			json_object_set(t->params, "similarity",
					json_object_get(t->model->params, "similarity"));
	}
	if (code != IST_OK) {
		json_decref(data);
		return code;
	}
	json_decref(t->model->data);
	t->model->data = data;
	code = ist_calibrate(t->model, t->pairs, hooks, err);
	return code == IST_OK ? ist_composed_calibrate(t->model, t->pairs, hooks, err) : code;
}

/* Figures and baselines of queries across image and text. */
static enum ist_code report_pairs(struct training *t, const struct ist_train_hooks *outer,
				  struct ist_err *err)
{
	struct ist_stage stage;
	struct ist_train_hooks hooks =
	    ist_stage_hooks(&stage, outer, SHARE_METHOD, SHARE_BASELINES);
	json_t *baselines = json_incref(t->baselines);
	enum ist_code code = IST_OK;

	if (baselines == NULL)
		code = ist_baselines(&t->test, t->seed, &hooks, &baselines, err);
	if (code != IST_OK)
		return code;
	json_object_set_new(t->report, "baselines", baselines);
	hooks = ist_stage_begin(&stage, outer, SHARE_BASELINES, 1, "measuring on held-out items");
	code = ist_report_trials(&t->test, &hooks, t->report, err);
	if (code == IST_OK && t->model->crosses)
		code = ist_report_model(&t->test, t->model, &hooks, t->report, err);
	return code;
}

/* The same of composed queries, under "composed". */
static enum ist_code report_composed(struct training *t, const struct ist_train_hooks *outer,
				     struct ist_err *err)
{
	struct ist_stage stage;
	struct ist_train_hooks hooks = ist_stage_begin(&stage, outer, SHARE_METHOD, SHARE_BASELINES,
						       "measuring composed queries");
	json_t *figures = NULL, *baselines = NULL;
	enum ist_code code;

	code = ist_composed_report(&t->composed_test, t->model, &hooks, &figures, err);
	if (code != IST_OK)
		return code;
	json_object_set_new(t->report, "composed", figures);
	code = ist_composed_baselines(&t->composed, &t->composed_test, &hooks, &baselines, err);
	if (code != IST_OK)
		return code;
	json_object_set_new(figures, "baselines", baselines);
	json_object_set_new(figures, "split",
			    json_pack("{s:I, s:I, s:I}", "train",
				      (json_int_t)ist_composed_count(t->pairs, IST_TRAIN),
				      "validation",
				      (json_int_t)ist_composed_count(t->pairs, IST_VALIDATION),
				      "test", (json_int_t)ist_composed_count(t->pairs, IST_TEST)));
	return IST_OK;
}

/* Everything about the model that is read from the test part. A method of triples may have no
 * pairs, or none held out. */
static enum ist_code report(struct training *t, const struct ist_train_hooks *outer,
			    struct ist_err *err)
{
	bool composes = t->model->method->compose != NULL;
	enum ist_code code = composes ? report_composed(t, outer, err) : IST_OK;

	if (code == IST_OK &&
	    (!composes || (t->model->crosses && count_items(t->pairs, IST_TEST) >= MIN_TEST)))
		code = report_pairs(t, outer, err);
	return code;
}

enum ist_code ist_train_beside(const struct ist_method *method, const struct ist_pairs *pairs,
			       json_t *params, uint64_t seed, json_t *baselines,
			       const struct ist_train_hooks *hooks, struct ist_model **ret,
			       json_t **ret_report, struct ist_err *err)
{
	ist_auto(training_finish) struct training t = {.method = method,
						       .pairs = pairs,
						       .params = params,
						       .seed = seed,
						       .baselines = baselines};
	struct learning learning = {.validation = &t.validation, .composed = &t.composed};
	struct ist_train_hooks inner = ist_stage_hooks(&learning.stage, hooks, 0, SHARE_METHOD);
	enum ist_code code;

	if (method->train == NULL)
		return ist_fail(err, IST_INVALID, "%s cannot be trained", method->name);
	code = ist_train_check(method, pairs, err);
	if (code == IST_OK)
		code = ist_train_check_params(method, params,
					      count_part(pairs, IST_VALIDATION, false) > 0 ||
						  ist_composed_count(pairs, IST_VALIDATION) > 0,
					      err);
	if (code != IST_OK)
		return code;
	ist_trials_init(&t.validation, pairs, IST_VALIDATION);
	ist_trials_init(&t.test, pairs, IST_TEST);
	ist_composed_init(&t.composed, pairs, IST_VALIDATION);
	ist_composed_init(&t.composed_test, pairs, IST_TEST);
	t.report = json_pack("{s:n}", "validation");
	inner.validate = validate;
	inner.checkpoint_dir = learning.stage.outer->checkpoint_dir;
	code = learn(&t, &inner, err);
	if (code == IST_OK)
		code = report(&t, learning.stage.outer, err);
	if (code != IST_OK)
		return code;
	ist_stage_begin(&learning.stage, hooks, 1, 1, "done");
	*ret = ist_steal(&t.model);
	*ret_report = ist_steal(&t.report);
	return IST_OK;
}

enum ist_code ist_train(const struct ist_method *method, const struct ist_pairs *pairs,
			json_t *params, uint64_t seed, const struct ist_train_hooks *hooks,
			struct ist_model **ret, json_t **ret_report, struct ist_err *err)
{
	return ist_train_beside(method, pairs, params, seed, NULL, hooks, ret, ret_report, err);
}
