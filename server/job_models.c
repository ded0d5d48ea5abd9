/* Pages through the collection's models and reads the member `job` of their reports. */
#include "server/job_models.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/compare.h"
#include "server/split_json.h"

#define PAGE 100

void ist_job_report_complete(const struct ist_job *job, const struct ist_split *split,
			     size_t skipped, json_t *report)
{
	json_t *counts = json_object_get(report, "split");

	if (counts == NULL) {
		counts = json_object();
		json_object_set_new(report, "split", counts);
	}
	json_object_set_new(counts, "seed", json_integer((json_int_t)split->seed));
	json_object_set_new(counts, "skipped", json_integer((json_int_t)skipped));
	json_object_set_new(counts, "definition", ist_split_json(split));
	json_object_set_new(report, "job", json_string(job->id));
}

static bool is_of(const struct ist_model_info *model, const char *job)
{
	json_t *report =
	    model->report != NULL ? json_loads(model->report, JSON_DECODE_ANY, NULL) : NULL;
	const char *name = json_string_value(json_object_get(report, "job"));
	bool is = name != NULL && strcmp(name, job) == 0;

	json_decref(report);
	return is;
}

enum ist_code ist_job_models(struct ist_collection *c, const char *job, char (**ret)[32],
			     size_t *ret_n, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_autofree char(*ids)[32] = NULL;
	struct ist_model_info *models;
	char after[32] = "";
	size_t n = 0, page = 1;

	while (page > 0) {
		enum ist_code code = ist_models_list(c, after, PAGE, &arena, &models, &page, err);

		if (code)
			return code;
		for (size_t i = 0; i < page; i++) {
			snprintf(after, sizeof(after), "%s", models[i].id);
			if (!is_of(&models[i], job))
				continue;
			ids = ist_resize(ids, n + 1, sizeof(*ids));
			memcpy(ids[n++], models[i].id, sizeof(*ids));
		}
	}
	*ret = ist_steal(&ids);
	*ret_n = n;
	return IST_OK;
}

enum ist_code ist_job_put_model(struct ist_collection *c, const char *id,
				const struct ist_model *model, const struct ist_pairs *pairs,
				json_t *row, struct ist_err *err)
{
	uint64_t bytes = 0;
	double us = 0;
	enum ist_code code = ist_embed_cost(model, pairs, &us, err);

	if (!code)
		code = ist_models_bytes(c, id, &bytes, err);
	json_object_set_new(row, "id", json_string(id));
	json_object_set_new(row, "embed_us", json_real(us));
	json_object_set_new(row, "bytes", json_integer((json_int_t)bytes));
	return code;
}
