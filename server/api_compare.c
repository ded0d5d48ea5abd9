/* Comparing models: the request is checked against the models there are, the job does the rest. */
#include "server/api.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/train/compare.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/job_submit.h"
#include "server/json.h"

#define MODELS_MAX 20
#define QUERIES_MAX 200
#define QUERIES_DEFAULT 20

struct body {
	const json_t *models;
	int64_t queries;
	int aim;
};

static const struct ist_field fields[] = {
    {"models", IST_FIELD_ARRAY, offsetof(struct body, models), 2, MODELS_MAX},
    {"queries", IST_FIELD_INT, offsetof(struct body, queries), 0, QUERIES_MAX},
    {"aim", IST_FIELD_CHOICE, offsetof(struct body, aim), .choices = ist_aim_names},
};

/* Each must be there, once. Whether it crosses the modalities is for the job: that takes loading.
 */
static enum ist_code check_models(struct ist_collection *c, const json_t *models,
				  struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct ist_model_info info;

	for (size_t i = 0; i < json_array_size(models); i++) {
		const char *id = json_string_value(json_array_get(models, i));
		enum ist_code code =
		    id == NULL ? ist_fail_at(err, IST_INVALID, "", "must be the id of a model")
			       : ist_models_get(c, id, &arena, &info, err);

		for (size_t k = 0; k < i && !code; k++)
			if (strcmp(id, json_string_value(json_array_get(models, k))) == 0)
				code = ist_fail_at(err, IST_INVALID, "", "stands there twice");
		if (code) {
			code = ist_err_in_index(err, i);
			return ist_err_in(err, "models");
		}
	}
	return IST_OK;
}

/* All that trained, the newest first where there are too many. */
static enum ist_code list_models(struct ist_collection *c, json_t *ret, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	struct ist_model_info *models;
	char after[32] = "";
	size_t n = 1;

	while (n > 0) {
		enum ist_code code = ist_models_list(c, after, 100, &arena, &models, &n, err);

		if (code)
			return code;
		for (size_t i = 0; i < n; i++) {
			memcpy(after, models[i].id, sizeof(after));
			if (strcmp(models[i].method, "identity") == 0)
				continue;
			json_array_append_new(ret, json_string(models[i].id));
			if (json_array_size(ret) > MODELS_MAX)
				json_array_remove(ret, 0);
		}
	}
	if (json_array_size(ret) < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"there are %zu trained models, 2 are needed to compare",
				json_array_size(ret));
	return IST_OK;
}

static enum ist_code complete(struct ist_collection *c, const struct body *body, json_t **ret,
			      struct ist_err *err)
{
	json_t *models = body->models != NULL ? json_deep_copy(body->models) : json_array();
	enum ist_code code =
	    body->models != NULL ? check_models(c, models, err) : list_models(c, models, err);

	if (code) {
		json_decref(models);
		return code;
	}
	*ret = json_pack("{s:o, s:I, s:s?}", "models", models, "queries", (json_int_t)body->queries,
			 "aim", body->aim >= 0 ? ist_aim_names[body->aim] : NULL);
	return IST_OK;
}

enum ist_code ist_api_compare_models(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct body body = {.queries = QUERIES_DEFAULT, .aim = -1};
	struct ist_collection *c;
	json_t *request = NULL;
	enum ist_code code = rq->json == NULL
				 ? IST_OK
				 : ist_fields_read(rq->json, fields, IST_COUNT(fields), &body, err);

	if (code || (code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err)))
		return code;
	code = complete(c, &body, &request, err);
	ist_collection_unref(c);
	if (!code)
		code = ist_submit_and_reply(rq, re, "compare", request, err);
	json_decref(request);
	return code;
}
