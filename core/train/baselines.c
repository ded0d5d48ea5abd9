/*
 * Baselines: a table of methods with parameters of their own. They see what the model saw (the
 * training part) and nothing is chosen for them, so every similarity that they have is reported.
 * The label predictor is ACMR without adversary and triplets, in the setting that suits it (weak
 * regularisation, few epochs, but never fewer steps than small collections need). Where there are
 * very many pairs, all of them learn from a sample.
 */
#include "core/train/baselines.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"

#define MAX_PAIRS 20000 /* that a baseline learns from */
#define LABEL_EPOCHS 20 /* of the label predictor */
#define LABEL_STEPS 600 /* and at least so many of its steps */
#define LABEL_BATCH 64

#define CORRAE_STEPS 600 /* of the auto-encoder, which learns most of what it does early */

struct baseline {
	const char *name, *method;
	json_t *(*params)(size_t n_train); /* NULL: the method's defaults */
	bool crosses_only;		   /* only where the encoders share a space */
	bool features_only;		   /* not over pixels or words as they are */
};
static json_t *corrae_params(size_t n_train);

static const struct baseline baselines[] = {
    {"linear", "linear", NULL},
    {"logistic", "logistic", NULL},
    {"corrae", "corrae", corrae_params, .features_only = true},
    {"label_predictor", "acmr", ist_label_predictor_params, .features_only = true},
    {"identity", "identity", NULL, .crosses_only = true},
};

json_t *ist_label_predictor_params(size_t n_train)
{
	size_t batches = IST_MAX(n_train / LABEL_BATCH, (size_t)1);
	size_t epochs = IST_MAX((size_t)LABEL_EPOCHS, (LABEL_STEPS + batches - 1) / batches);

	return json_pack("{s:i, s:i, s:f, s:I, s:i, s:s}", "triplet", 0, "adversary", 0, "reg",
			 0.03, "epochs", (json_int_t)epochs, "batch", LABEL_BATCH, "similarity",
			 "euclidean");
}

/* A report must not wait for long: as many steps as small collections get by default. */
static json_t *corrae_params(size_t n_train)
{
	size_t batches = IST_MAX(n_train / LABEL_BATCH, (size_t)1);

	return json_pack("{s:I, s:i}", "epochs",
			 (json_int_t)((CORRAE_STEPS + batches - 1) / batches), "batch",
			 LABEL_BATCH);
}

struct run {
	const struct ist_train_hooks *outer;
	const char *name;
	size_t number;
};

static void progress(void *user, double fraction, const char *stage)
{
	const struct run *run = user;
	ist_autofree char *text = ist_format("baseline %s", run->name);

	if (run->outer->progress != NULL)
		run->outer->progress(run->outer->user,
				     ((double)run->number + fraction) / IST_COUNT(baselines), text);
}

static bool stop(void *user)
{
	const struct run *run = user;

	return ist_stopped(run->outer);
}

/* The same pairs with a sample of the training part; *ret_part keeps the parts alive. */
static struct ist_pairs limited(const struct ist_pairs *pairs, uint8_t **ret_part)
{
	struct ist_pairs fewer = *pairs;
	ist_autofree uint32_t *rows = ist_alloc_raw(pairs->n, sizeof(*rows));
	struct ist_rng rng;
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->part[i] == IST_TRAIN)
			rows[n++] = (uint32_t)i;
	}
	if (n <= MAX_PAIRS)
		return fewer;
	*ret_part = ist_alloc_raw(pairs->n, 1);
	memcpy(*ret_part, pairs->part, pairs->n);
	ist_rng_init(&rng, 0, "baseline pairs");
	ist_rng_permute(&rng, rows, n);
	for (size_t i = MAX_PAIRS; i < n; i++)
		(*ret_part)[rows[i]] = IST_UNUSED;
	fewer.part = *ret_part;
	return fewer;
}

/* Pairs of the training part. */
static size_t count_train(const struct ist_pairs *pairs)
{
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++)
		n += pairs->part[i] == IST_TRAIN;
	return n;
}

/* At least two different ones, or there is nothing to learn. */
static bool has_labels(const struct ist_pairs *pairs)
{
	int32_t first = -1;

	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->part[i] != IST_TRAIN || pairs->label[i] < 0)
			continue;
		if (first >= 0 && pairs->label[i] != first)
			return true;
		first = pairs->label[i];
	}
	return false;
}

static enum ist_code skip(json_t *into, const char *why)
{
	json_object_set_new(into, "skipped", json_string(why));
	return IST_OK;
}

/* Pixels and codes of words are long, and say nothing to dense networks, which would be most of the
 * time that a training takes. */
static bool is_raw(const struct ist_pairs *pairs)
{
	return pairs->form[IST_IMAGE] != IST_FORM_VECTOR ||
	       pairs->form[IST_TEXT] != IST_FORM_VECTOR;
}

/* A floor that cannot be had is said to be missing; it does not spoil the training. */
static enum ist_code train_one(const struct ist_trials *trials, const struct ist_pairs *pairs,
			       const struct ist_method *method, json_t *params, uint64_t seed,
			       const struct ist_train_hooks *hooks, json_t *into,
			       struct ist_err *err)
{
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	struct ist_err why = {0};
	enum ist_code code;

	if ((method->needs & IST_NEEDS_LABELS) != 0 && !has_labels(pairs))
		return skip(into, "it learns from labels");
	code = method->train(pairs, params, seed, hooks, &model, &why);
	if (code == IST_CANCELLED)
		return ist_fail(err, code, "%s", why.text);
	if (code != IST_OK)
		return skip(into, why.text);
	return ist_report_model(trials, model, hooks, into, err);
}

/* Curves are left out: they are the model's. */
static enum ist_code run_one(const struct ist_trials *trials, const struct ist_pairs *pairs,
			     size_t number, uint64_t seed, const struct ist_train_hooks *outer,
			     json_t *table, struct ist_err *err)
{
	const struct baseline *b = &baselines[number];
	const struct ist_method *method = ist_method_find(b->method);
	struct run run = {.outer = outer, .name = b->name, .number = number};
	const struct ist_train_hooks hooks = {.user = &run, .progress = progress, .stop = stop};
	json_t *given, *params = NULL, *into;
	enum ist_code code;

	if (method == NULL || (b->crosses_only && !pairs->same_space))
		return IST_OK;
	given = b->params != NULL ? b->params(count_train(pairs)) : NULL;
	code = ist_params_complete(method, given, &params, err);
	json_decref(given);
	if (code != IST_OK)
		return ist_wrap(err, "baseline %s", b->name);
	into = json_object();
	json_object_set_new(table, b->name, into);
	json_object_set_new(into, "method", json_string(b->method));
	json_object_set_new(into, "params", params);
	progress(&run, 0, "");
	code = b->features_only && is_raw(pairs)
		   ? skip(into, "it learns from features, not from pixels or words as they are")
		   : train_one(trials, pairs, method, params, seed, &hooks, into, err);
	return code == IST_OK ? IST_OK : ist_wrap(err, "baseline %s", b->name);
}

enum ist_code ist_baselines(const struct ist_trials *trials, uint64_t seed,
			    const struct ist_train_hooks *hooks, json_t **ret, struct ist_err *err)
{
	static const struct ist_train_hooks none;
	ist_autofree uint8_t *part = NULL;
	struct ist_pairs pairs = limited(trials->pairs, &part);
	json_t *table = json_object();
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < IST_COUNT(baselines) && code == IST_OK; i++)
		code = run_one(trials, &pairs, i, seed, hooks != NULL ? hooks : &none, table, err);
	if (code != IST_OK) {
		json_decref(table);
		return code;
	}
	*ret = table;
	return IST_OK;
}
