/*
 * A training: load the pairs, train and measure, keep the model, and activate it if that was asked
 * and the gate agrees. Its request is complete (parameters, split, seed), so that it means the same
 * when it is taken up again after a crash. The report names the job, so that a model that was kept
 * just before a crash is found again and not trained twice.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "server/jobs.h"
#include "server/metrics.h"
#include "server/split_json.h"

struct training {
	struct ist_job *job;
	struct ist_collection *collection;
	const struct ist_method *method;
	struct ist_split split;
	json_t *params;
	uint64_t seed;
	const char *activate; /* "always", "never", "if_better" */
	char model[32];	      /* the one that was made */
};

/* ---- progress: every step of a training has its share of the whole ---- */

struct step {
	const struct ist_train_hooks *outer;
	double from, to;
};

static void step_progress(void *user, double fraction, const char *stage)
{
	const struct step *step = user;

	step->outer->progress(step->outer->user, step->from + fraction * (step->to - step->from),
			      stage);
}

static void step_curve(void *user, const char *name, double x, double y)
{
	const struct step *step = user;

	step->outer->curve(step->outer->user, name, x, y);
}

static bool step_stop(void *user)
{
	const struct step *step = user;

	return step->outer->stop(step->outer->user);
}

/* The job's hooks for one step; `step` outlives its use. Says at once what begins. */
static struct ist_train_hooks step_begin(struct step *step, const char *stage)
{
	step_progress(step, 0, stage);
	return (struct ist_train_hooks){.user = step,
					.progress = step_progress,
					.curve = step_curve,
					.stop = step_stop,
					.checkpoint_dir = step->outer->checkpoint_dir};
}

/* From the row to what it asks. */
static enum ist_code read_request(struct training *t, struct ist_err *err)
{
	const json_t *request = t->job->request;
	const char *name = json_string_value(json_object_get(request, "method"));
	const struct ist_split none = IST_SPLIT_DEFAULT;
	enum ist_code code;

	t->method = name != NULL ? ist_method_find(name) : NULL;
	t->activate = json_string_value(json_object_get(request, "activate"));
	t->seed = (uint64_t)json_integer_value(json_object_get(request, "seed"));
	if (t->method == NULL || t->activate == NULL)
		return ist_fail(err, IST_INVALID, "no method %s is known", name ? name : "null");
	code = ist_split_parse(json_object_get(request, "split"), &none, &t->split, err);
	if (!code) /* what it holds is checked again: another version may have written it */
		code = ist_params_complete(t->method, json_object_get(request, "params"),
					   &t->params, err);
	return code ? code
		    : ist_store_collection_get(t->job->store, t->job->collection, &t->collection,
					       err);
}

/* ---- training ---- */

/* What the report says of the split: counts come from ist_train, the rest is ours. `definition`
 * is what the gate of a later training needs to find this model's test part again. */
static void complete_report(const struct training *t, const struct ist_training_set *set,
			    json_t *report)
{
	json_t *split = json_object_get(report, "split");

	if (split == NULL) {
		split = json_object();
		json_object_set_new(report, "split", split);
	}
	json_object_set_new(split, "seed", json_integer((json_int_t)t->split.seed));
	json_object_set_new(split, "skipped", json_integer((json_int_t)set->skipped));
	json_object_set_new(split, "definition", ist_split_json(&t->split));
	json_object_set_new(report, "job", json_string(t->job->id));
}

/* The long part. A cancellation that comes after the last step is still heeded: from the moment the
 * model has its row it would have to be taken back. */
static enum ist_code train_and_keep(struct training *t, struct ist_err *err)
{
	struct ist_training_set set = {0};
	struct ist_model *model = NULL;
	json_t *report = NULL;
	struct step step = {&t->job->hooks, 0, 0.9};
	struct ist_train_hooks hooks = step_begin(&step, "reading pairs");
	enum ist_code code;

	code = ist_training_set_load(t->collection, &t->split, t->method->needs, &set, err);
	if (code)
		return code;
	code = ist_train_check(t->method, &set.pairs, err);
	if (!code)
		code = ist_train(t->method, &set.pairs, t->params, t->seed, &hooks, &model, &report,
				 err);
	if (!code && ist_job_live_cancelled(t->job->live))
		code = ist_fail(err, IST_CANCELLED, "cancelled");
	if (!code) {
		complete_report(t, &set, report);
		code = ist_models_add(t->collection, model, report, t->model, err);
		ist_metrics_count(IST_COUNT_TRAININGS, code == IST_OK);
	}
	json_decref(report);
	ist_model_unref(model);
	ist_training_set_finish(&set);
	return code;
}

/* The model that an earlier attempt at this job kept; "" if there is none. */
static enum ist_code find_kept(struct training *t, struct ist_err *err)
{
	struct ist_arena arena = {0};
	struct ist_model_info *models;
	size_t n = 1;
	char after[32] = "";
	enum ist_code code = IST_OK;

	while (!code && n > 0 && t->model[0] == '\0') {
		code = ist_models_list(t->collection, after, 100, &arena, &models, &n, err);
		for (size_t i = 0; !code && i < n; i++) {
			json_t *report = models[i].report != NULL
					     ? json_loads(models[i].report, JSON_DECODE_ANY, NULL)
					     : NULL;
			const char *job = json_string_value(json_object_get(report, "job"));

			if (job != NULL && strcmp(job, t->job->id) == 0)
				snprintf(t->model, sizeof(t->model), "%s", models[i].id);
			json_decref(report);
			snprintf(after, sizeof(after), "%s", models[i].id);
		}
	}
	ist_arena_finish(&arena);
	return code;
}

/* ---- the gate ---- */

/* How the active model's test part was drawn; false for what never trained (identity). */
static bool split_of_report(const char *text, struct ist_split *ret)
{
	const struct ist_split none = IST_SPLIT_DEFAULT;
	json_t *report = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	const json_t *definition = json_object_get(json_object_get(report, "split"), "definition");
	struct ist_err ignored;
	bool known = definition != NULL && !ist_split_parse(definition, &none, ret, &ignored);

	json_decref(report);
	return known;
}

/* The parts of `set` with IST_TEST left only where the other split has it too. Both sets are in
 * order of row; between their loading items may have come or gone, and such are left out. */
static uint8_t *common_parts(const struct ist_pairs *pairs, const struct ist_pairs *other)
{
	uint8_t *part = ist_alloc(pairs->n + 1, 1);
	size_t k = 0;

	memcpy(part, pairs->part, pairs->n);
	for (size_t i = 0; i < pairs->n; i++) {
		while (k < other->n && other->item[k] < pairs->item[i])
			k++;
		if (part[i] == IST_TEST && (k == other->n || other->item[k] != pairs->item[i] ||
					    other->part[k] != IST_TEST))
			part[i] = IST_UNUSED;
	}
	return part;
}

/* Compares on the pairs of the candidate's split that both models held back. */
static enum ist_code compare(struct training *t, const struct ist_model *ours,
			     const struct ist_model *theirs, const char *their_report,
			     struct ist_gate *ret, struct ist_err *err)
{
	unsigned needs = t->method->needs;
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0}, other = {0};
	ist_autofree uint8_t *part = NULL;
	struct ist_split split;
	struct ist_pairs pairs;
	enum ist_code code = ist_training_set_load(t->collection, &t->split, needs, &set, err);

	if (code)
		return code;
	pairs = set.pairs;
	if (split_of_report(their_report, &split)) {
		code = ist_training_set_load(t->collection, &split, needs, &other, err);
		if (code)
			return code;
		pairs.part = part = common_parts(&set.pairs, &other.pairs);
	}
	return ist_gate_compare(ours, theirs, &pairs, &t->job->hooks, ret, err);
}

/* Candidate against active, both loaded from what the store kept: what is compared is what would
 * serve. */
static enum ist_code gate(struct training *t, struct ist_gate *ret, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *theirs = NULL, *ours = NULL;
	struct ist_collection_info info;
	struct ist_model_info active;
	enum ist_code code;

	if ((code = ist_collection_info(t->collection, &info, err)) ||
	    (code = ist_models_get(t->collection, info.active_model, &arena, &active, err)) ||
	    (code = ist_models_load(t->collection, info.active_model, &theirs, err)) ||
	    (code = ist_models_load(t->collection, t->model, &ours, err)))
		return code;
	return compare(t, ours, theirs, active.report, ret, err);
}

/* ---- activation ---- */

struct decision {
	bool activate;
	char reason[300];
};

/* Whether to activate, and why, in words for people. */
static enum ist_code decide(struct training *t, struct decision *ret, struct ist_err *err)
{
	struct ist_gate verdict = {0};
	enum ist_code code;

	*ret = (struct decision){0};
	if (strcmp(t->activate, "never") == 0) {
		snprintf(ret->reason, sizeof(ret->reason), "activate is \"never\"");
		return IST_OK;
	}
	if (strcmp(t->activate, "always") == 0) {
		snprintf(ret->reason, sizeof(ret->reason), "activate is \"always\"");
		ret->activate = true;
		return IST_OK;
	}
	code = gate(t, &verdict, err);
	ret->activate = verdict.activate;
	snprintf(ret->reason, sizeof(ret->reason), "%s", verdict.reason);
	return code;
}

/* Activating ends with the swap, which nobody can cancel any more; without it the point of no
 * return is here. */
static enum ist_code activate(struct training *t, const struct decision *decision,
			      struct ist_err *err)
{
	struct step step = {&t->job->hooks, 0.93, 1};
	struct ist_train_hooks hooks;

	if (decision->activate) {
		hooks = step_begin(&step, "building the index");
		return ist_models_activate(t->collection, t->model, &hooks, err);
	}
	if (!ist_job_live_commit(t->job->live))
		return ist_fail(err, IST_CANCELLED, "cancelled");
	return IST_OK;
}

/* A cancelled training leaves no model. One that only stops keeps it for the next attempt. */
static enum ist_code take_back(struct training *t, enum ist_code code, struct ist_err *err)
{
	struct ist_err ignored;

	if (code == IST_CANCELLED && ist_job_live_cancelled(t->job->live) &&
	    ist_models_delete(t->collection, t->model, &ignored))
		return ist_fail(err, ignored.code, "cancelled, but model %s stays: %s", t->model,
				ignored.text);
	return code;
}

/* The whole, step by step; every step can be the first one of a second attempt. */
static enum ist_code train(struct training *t, json_t **ret_result, struct ist_err *err)
{
	struct decision decision;
	enum ist_code code = read_request(t, err);

	if (!code)
		code = find_kept(t, err);
	if (!code && t->model[0] == '\0')
		code = train_and_keep(t, err);
	if (code)
		return code;
	code = decide(t, &decision, err);
	if (!code)
		code = activate(t, &decision, err);
	if (code)
		return take_back(t, code, err);
	*ret_result = json_pack("{s:s, s:b, s:s}", "model", t->model, "activated",
				decision.activate, "reason", decision.reason);
	return IST_OK;
}

static enum ist_code run(struct ist_job *job, json_t **ret_result, struct ist_err *err)
{
	struct training t = {.job = job};
	enum ist_code code = train(&t, ret_result, err);

	json_decref(t.params);
	ist_collection_unref(t.collection);
	return code;
}

const struct ist_job_kind ist_job_train = {"train", IST_LANE_TRAIN, run};
