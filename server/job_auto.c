/*
 * Automatic training: ist_select tries what the data allow and chooses, every model that came of it
 * is kept beside the others, and the chosen one is promoted like any trained model. The result
 * holds the table of all of them. An attempt that a crash cut short begins again with the folds
 * that its checkpoint holds; models that it had kept are taken back first.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/select.h"
#include "core/train/stage.h"
#include "server/job_models.h"
#include "server/job_promote.h"
#include "server/metrics.h"
#include "server/split_json.h"

struct automatic {
	struct ist_job *job;
	struct ist_collection *collection;
	struct ist_select_options options;
	struct ist_split split;
	unsigned needs; /* enum ist_need: what the pairs are loaded with */
	const char *activate;
	char chosen[32]; /* model */
	json_t *result;
};

static enum ist_code read_request(struct automatic *a, struct ist_err *err)
{
	const json_t *request = a->job->request;
	const char *aim = json_string_value(json_object_get(request, "aim"));
	const struct ist_split none = IST_SPLIT_DEFAULT;

	a->options.aim = -1;
	for (int i = 0; i < IST_N_AIMS; i++)
		if (aim != NULL && strcmp(aim, ist_aim_names[i]) == 0)
			a->options.aim = i;
	a->options.budget_s = json_number_value(json_object_get(request, "budget_s"));
	a->options.seed = (uint64_t)json_integer_value(json_object_get(request, "seed"));
	a->activate = json_string_value(json_object_get(request, "activate"));
	if (a->activate == NULL)
		return ist_fail(err, IST_INVALID, "the request names no activation");
	return ist_split_parse(json_object_get(request, "split"), &none, &a->split, err);
}

/* With the aim "class" methods learn from the same labelled pairs, so that they can be compared. */
static enum ist_code needs_of(struct automatic *a, struct ist_err *err)
{
	struct ist_collection_info info;
	enum ist_code code = ist_collection_info(a->collection, &info, err);

	if (!code && a->options.aim != IST_AIM_INSTANCE && info.labelled > 0)
		a->needs = IST_NEEDS_LABELS;
	return code;
}

/* One that became active meanwhile stays. */
static enum ist_code take_back(struct automatic *a, struct ist_err *err)
{
	ist_autofree char(*ids)[32] = NULL;
	struct ist_err ignored;
	size_t n;
	enum ist_code code = ist_job_models(a->collection, a->job->id, &ids, &n, err);

	for (size_t i = 0; i < n && !code; i++) {
		code = ist_models_delete(a->collection, ids[i], &ignored);
		if (code == IST_CONFLICT || code == IST_NOT_FOUND)
			code = IST_OK;
		if (code)
			ist_fail(err, code, "model %s stays: %s", ids[i], ignored.text);
	}
	return code;
}

/* Every model gets its folder and row; `table` has a row for each in the same order. */
static enum ist_code keep_all(struct automatic *a, const struct ist_selection *found,
			      const struct ist_training_set *set, json_t *table,
			      struct ist_err *err)
{
	size_t row = 0;
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < found->n && !code; i++) {
		const struct ist_candidate *c = &found->candidates[i];
		char id[32];

		if (c->model == NULL)
			continue;
		ist_job_report_complete(a->job, &a->split, set->skipped, c->report);
		code = ist_models_add(a->collection, c->model, c->report, id, err);
		ist_metrics_count(IST_COUNT_TRAININGS, code == IST_OK);
		if (!code)
			code = ist_job_put_model(a->collection, id, c->model, &set->pairs,
						 json_array_get(table, row++), err);
		if (!code && i == found->chosen)
			snprintf(a->chosen, sizeof(a->chosen), "%s", id);
	}
	return code;
}

static enum ist_code select_and_keep(struct automatic *a, struct ist_err *err)
{
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0};
	ist_auto(ist_selection_finish) struct ist_selection found = {0};
	struct ist_stage stage;
	struct ist_train_hooks hooks =
	    ist_stage_begin(&stage, &a->job->hooks, 0, 0.9, "reading pairs");
	enum ist_code code;

	hooks.checkpoint_dir = a->job->hooks.checkpoint_dir;
	code = ist_training_set_load(
	    a->collection, &a->split,
	    a->needs | (ist_select_reads_texts(&a->options) ? IST_WITH_TEXTS : 0), &set, err);
	if (!code)
		code = ist_select(&set.pairs, &a->options, &hooks, &found, err);
	if (!code)
		code = ist_selection_table(&found, &set.pairs, &hooks, &a->result, err);
	if (!code && ist_job_live_cancelled(a->job->live))
		code = ist_fail(err, IST_CANCELLED, "cancelled");
	if (!code)
		code = keep_all(a, &found, &set, json_object_get(a->result, "table"), err);
	return code;
}

static enum ist_code promote(struct automatic *a, struct ist_err *err)
{
	const struct ist_promotion promotion = {.job = a->job,
						.collection = a->collection,
						.model = a->chosen,
						.needs = a->needs,
						.activate = a->activate};

	return ist_promote(&promotion, a->result, err);
}

/* A job that fails or is cancelled leaves no model; one that only stops begins again. */
static enum ist_code train(struct automatic *a, struct ist_err *err)
{
	struct ist_err other;
	enum ist_code code;

	if ((code = read_request(a, err)) ||
	    (code = ist_store_collection_get(a->job->store, a->job->collection, &a->collection,
					     err)) ||
	    (code = needs_of(a, err)) || (code = take_back(a, err)))
		return code;
	code = select_and_keep(a, err);
	if (!code)
		code = promote(a, err);
	if (code && take_back(a, &other))
		ist_wrap(err, "%s", other.text);
	return code;
}

static enum ist_code run(struct ist_job *job, json_t **ret_result, struct ist_err *err)
{
	struct automatic a = {.job = job};
	enum ist_code code = train(&a, err);

	if (!code)
		*ret_result = json_incref(a.result);
	json_decref(a.result);
	ist_collection_unref(a.collection);
	return code;
}

const struct ist_job_kind ist_job_auto = {"auto", IST_LANE_TRAIN, run};
