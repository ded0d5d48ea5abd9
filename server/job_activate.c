/*
 * Swapping in a model whose index has to be built first. Queries go on with the old one meanwhile;
 * the store swaps them over in one step, or not at all if the job is cancelled before.
 */
#include "core/base/memory.h"
#include "server/jobs.h"

static enum ist_code run(struct ist_job *job, json_t **ret_result, struct ist_err *err)
{
	const char *model = json_string_value(json_object_get(job->request, "model"));
	struct ist_collection *c;
	enum ist_code code = ist_store_collection_get(job->store, job->collection, &c, err);

	if (code)
		return code;
	if (model == NULL)
		code = ist_fail(err, IST_INVALID, "the request names no model");
	else
		code = ist_models_activate(c, model, &job->hooks, err);
	if (!code)
		*ret_result = json_pack("{s:s, s:b, s:s}", "model", model, "activated", 1, "reason",
					"asked for");
	ist_collection_unref(c);
	return code;
}

const struct ist_job_kind ist_job_activate = {"activate", IST_LANE_INDEX, run};
