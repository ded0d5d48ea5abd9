/*
 * A training: load the pairs, train and measure, keep the model, and activate it if that was asked
 * and the gate agrees. Its request is complete (parameters, split, seed), so that it means the same
 * when it is taken up again after a crash. The report names the job, so that a model that was kept
 * just before a crash is found again and not trained twice.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/stage.h"
#include "core/train/train.h"
#include "server/job_models.h"
#include "server/job_promote.h"
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

/* The long part. A cancellation that comes after the last step is still heeded: from the moment the
 * model has its row it would have to be taken back. */
static enum ist_code train_and_keep(struct training *t, struct ist_err *err)
{
	struct ist_training_set set = {0};
	struct ist_model *model = NULL;
	json_t *report = NULL;
	struct ist_stage stage;
	struct ist_train_hooks hooks =
	    ist_stage_begin(&stage, &t->job->hooks, 0, 0.9, "reading pairs");
	enum ist_code code;

	hooks.checkpoint_dir = t->job->hooks.checkpoint_dir;
	code = ist_training_set_load(t->collection, &t->split, ist_training_needs(t->method), &set,
				     err);
	if (code)
		return code;
	code = ist_train_check(t->method, &set.pairs, err);
	if (!code)
		code = ist_train(t->method, &set.pairs, t->params, t->seed, &hooks, &model, &report,
				 err);
	if (!code && ist_job_live_cancelled(t->job->live))
		code = ist_fail(err, IST_CANCELLED, "cancelled");
	if (!code) {
		ist_job_report_complete(t->job, &t->split, set.skipped, report);
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
	char(*ids)[32];
	size_t n;
	enum ist_code code = ist_job_models(t->collection, t->job->id, &ids, &n, err);

	if (code)
		return code;
	if (n > 0)
		snprintf(t->model, sizeof(t->model), "%s", ids[0]);
	free(ids);
	return IST_OK;
}

/* The whole, step by step; every step can be the first one of a second attempt. */
static enum ist_code train(struct training *t, json_t **ret_result, struct ist_err *err)
{
	struct ist_promotion promotion;
	json_t *result;
	enum ist_code code = read_request(t, err);

	if (!code)
		code = find_kept(t, err);
	if (!code && t->model[0] == '\0')
		code = train_and_keep(t, err);
	if (code)
		return code;
	promotion = (struct ist_promotion){.job = t->job,
					   .collection = t->collection,
					   .model = t->model,
					   .needs = t->method->needs,
					   .activate = t->activate};
	result = json_object();
	code = ist_promote(&promotion, result, err);
	if (code) {
		json_decref(result);
		return ist_promote_take_back(&promotion, code, err);
	}
	*ret_result = result;
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
