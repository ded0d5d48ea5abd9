/*
 * Models of a collection: looking at them, taking one away, swapping one in, going back, measuring
 * again. "identity" is one of them from the start and stays.
 */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/job_submit.h"
#include "server/json.h"
#include "server/model_ability.h"
#include "server/rfc3339.h"
#include "server/split_json.h"

#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define PAIRS_MAX 10000

/* The collection of the path; a reference. */
static enum ist_code collection_of(struct ist_request *rq, struct ist_collection **ret,
				   struct ist_err *err)
{
	return ist_store_collection_get(rq->daemon->store, rq->segment[0], ret, err);
}

/* The collection and the model of the path; the collection only on success. */
static enum ist_code model_of(struct ist_request *rq, struct ist_collection **ret,
			      struct ist_model_info *ret_info, struct ist_err *err)
{
	enum ist_code code = collection_of(rq, ret, err);

	if (code)
		return code;
	code = ist_models_get(*ret, rq->segment[1], rq->arena, ret_info, err);
	if (code)
		ist_collection_unref(*ret);
	return code;
}

/* A JSON text of a row as a value, or what stands for its absence, which is stolen. */
static json_t *value_of(const char *text, json_t *otherwise)
{
	json_t *value = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	if (value == NULL)
		return otherwise;
	json_decref(otherwise);
	return value;
}

/* A model as clients see it. */
static json_t *model_json(const struct ist_model_info *info)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:b, s:o, s:o}", "id", info->id, "method",
			 info->method, "params", value_of(info->params, json_object()), "can",
			 ist_abilities_json(ist_model_info_abilities(info)), "dim",
			 (json_int_t)info->dim, "seed", (json_int_t)info->seed, "active",
			 info->active, "created_at", ist_rfc3339_json(info->created_us), "report",
			 value_of(info->report, json_null()));
}

/* Reads the model again: what was just done to it shows. */
static enum ist_code reply_model(struct ist_request *rq, struct ist_reply *re,
				 struct ist_collection *c, const char *id, struct ist_err *err)
{
	struct ist_model_info info;
	enum ist_code code = ist_models_get(c, id, rq->arena, &info, err);

	if (!code)
		ist_reply_json(re, 200, model_json(&info));
	return code;
}

/* ---- list, get, delete ---- */

/* In the order of their making, identity first. */
enum ist_code ist_api_list_models(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	const char *cursor = ist_request_query(rq, "cursor");
	struct ist_model_info *models = NULL;
	struct ist_collection *c;
	json_t *list;
	long limit;
	size_t n = 0, shown;
	enum ist_code code =
	    ist_request_query_int(rq, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit, err);

	if (!code && cursor != NULL && (strlen(cursor) > 31 || *cursor == '\0'))
		code = ist_fail_at(err, IST_INVALID, "/cursor", "is none of ours");
	if (code || (code = collection_of(rq, &c, err)))
		return code;
	code = ist_models_list(c, cursor != NULL ? cursor : "", (size_t)limit + 1, rq->arena,
			       &models, &n, err);
	ist_collection_unref(c);
	if (code)
		return code;
	shown = IST_MIN(n, (size_t)limit);
	list = json_array();
	for (size_t i = 0; i < shown; i++)
		json_array_append_new(list, model_json(&models[i]));
	ist_reply_json(re, 200,
		       json_pack("{s:o, s:s?}", "models", list, "next",
				 n > shown ? models[shown - 1].id : NULL));
	return IST_OK;
}

enum ist_code ist_api_get_model(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	struct ist_model_info info;
	enum ist_code code = model_of(rq, &c, &info, err);

	if (code)
		return code;
	ist_reply_json(re, 200, model_json(&info));
	ist_collection_unref(c);
	return IST_OK;
}

/* The store refuses the same, under its lock; here it is said in better words. */
enum ist_code ist_api_delete_model(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	struct ist_collection *c;
	struct ist_model_info info;
	enum ist_code code = model_of(rq, &c, &info, err);

	if (code)
		return code;
	if (strcmp(info.id, "identity") == 0)
		code = ist_fail(err, IST_CONFLICT, "identity belongs to the collection and stays");
	else if (info.active)
		code = ist_fail(err, IST_CONFLICT, "model %s is active; activate another one first",
				info.id);
	else
		code = ist_models_delete(c, info.id, err);
	ist_collection_unref(c);
	if (!code)
		ist_reply_empty(re, 204);
	return code;
}

/* ---- activate, roll back ---- */

/* Some clients send {} with every POST; there is nothing that it could hold here. */
static enum ist_code check_nothing(const json_t *json, struct ist_err *err)
{
	return json == NULL ? IST_OK : ist_fields_read(json, NULL, 0, NULL, err);
}

/* At once where the index is there, else by a job. */
static enum ist_code activate(struct ist_request *rq, struct ist_reply *re,
			      struct ist_collection *c, const char *id, struct ist_err *err)
{
	static const struct ist_train_hooks none = {0};
	json_t *request;
	enum ist_code code;

	if (ist_models_is_ready(c, id)) {
		code = ist_models_activate(c, id, &none, err);
		return code ? code : reply_model(rq, re, c, id, err);
	}
	request = json_pack("{s:s}", "model", id);
	code = ist_submit_and_reply(rq, re, "activate", request, err);
	json_decref(request);
	return code;
}

enum ist_code ist_api_activate_model(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_collection *c;
	struct ist_model_info info;
	enum ist_code code = check_nothing(rq->json, err);

	if (code || (code = model_of(rq, &c, &info, err)))
		return code;
	if (info.active)
		ist_reply_json(re, 200, model_json(&info));
	else
		code = activate(rq, re, c, info.id, err);
	ist_collection_unref(c);
	return code;
}

/* Activates what the latest activation replaced. The store keeps its index at hand, so that this is
 * quick; a second rollback goes to and fro between the same two. */
static enum ist_code roll_back(struct ist_request *rq, struct ist_reply *re,
			       struct ist_collection *c, struct ist_err *err)
{
	char id[32];
	enum ist_code code = ist_models_previous(c, id, err);

	return code ? code : activate(rq, re, c, id, err);
}

enum ist_code ist_api_rollback(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)
{
	struct ist_collection *c;
	enum ist_code code = check_nothing(rq->json, err);

	if (code || (code = collection_of(rq, &c, err)))
		return code;
	code = roll_back(rq, re, c, err);
	ist_collection_unref(c);
	return code;
}

/* The same for who names the model that is to go: it must be the active one. */
enum ist_code ist_api_rollback_model(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct ist_collection *c;
	struct ist_model_info info;
	enum ist_code code = check_nothing(rq->json, err);

	if (code || (code = model_of(rq, &c, &info, err)))
		return code;
	code = info.active ? roll_back(rq, re, c, err)
			   : ist_fail(err, IST_CONFLICT,
				      "model %s is not active: there is nothing to undo", info.id);
	ist_collection_unref(c);
	return code;
}

/* ---- evaluate ---- */

struct evaluate_body {
	int split;
	const json_t *pairs;
};

static const char *const splits[] = {"test", "validation", "train", NULL};
static const struct ist_field evaluate_fields[] = {
    {"split", IST_FIELD_CHOICE, offsetof(struct evaluate_body, split), .choices = splits},
    {"pairs", IST_FIELD_ARRAY, offsetof(struct evaluate_body, pairs), 1, PAIRS_MAX},
};

/* One pair: the id of an item with a picture, and of one with a text (often the same). */
static enum ist_code check_pair(struct ist_collection *c, const json_t *pair,
				struct ist_arena *arena, struct ist_err *err)
{
	struct ist_item item;

	if (json_array_size(pair) != 2)
		return ist_fail_at(err, IST_INVALID, "",
				   "must be two ids: of a picture and of a text");
	for (size_t k = 0; k < 2; k++) {
		const char *id = json_string_value(json_array_get(pair, k));
		enum ist_code code =
		    id == NULL ? ist_fail_at(err, IST_INVALID, "", "must be the id of an item")
			       : ist_item_get(c, id, false, arena, &item, err);

		if (code)
			return ist_err_in_index(err, k);
	}
	return IST_OK;
}

/* All ids are looked up before the 202, so that a typing error is no failed job. */
static enum ist_code check_pairs(struct ist_collection *c, const json_t *pairs, struct ist_err *err)
{
	struct ist_arena arena = {0};
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < json_array_size(pairs) && !code; i++) {
		code = check_pair(c, json_array_get(pairs, i), &arena, err);
		if (code) {
			code = ist_err_in_index(err, i);
			code = ist_err_in(err, "pairs");
		}
		ist_arena_reset(&arena);
	}
	ist_arena_finish(&arena);
	return code;
}

/* How the model's own parts were drawn; the collection's split for one that never trained. */
static enum ist_code definition_of(struct ist_collection *c, const struct ist_model_info *model,
				   json_t **ret, struct ist_err *err)
{
	json_t *report = value_of(model->report, json_null());
	struct ist_collection_info info;
	enum ist_code code = IST_OK;

	*ret = json_incref(json_object_get(json_object_get(report, "split"), "definition"));
	json_decref(report);
	if (*ret == NULL && !(code = ist_collection_info(c, &info, err)))
		*ret = ist_split_json(&info.split);
	return code;
}

/* The request as the job will read it; the split that is meant goes along, as it may be another
 * when the job starts. */
static enum ist_code evaluate_request(struct ist_collection *c, const struct ist_model_info *model,
				      const struct evaluate_body *body, json_t **ret,
				      struct ist_err *err)
{
	json_t *definition = NULL;
	enum ist_code code;

	if (body->pairs != NULL && body->split >= 0)
		return ist_fail_at(err, IST_INVALID, "/pairs",
				   "stands in place of \"split\", not beside it");
	code = body->pairs != NULL ? check_pairs(c, body->pairs, err)
				   : definition_of(c, model, &definition, err);
	if (code)
		return code;
	*ret = body->pairs != NULL
		   ? json_pack("{s:s, s:O}", "model", model->id, "pairs", body->pairs)
		   : json_pack("{s:s, s:s, s:o}", "model", model->id, "split",
			       splits[IST_MAX(body->split, 0)], "definition", definition);
	return IST_OK;
}

enum ist_code ist_api_evaluate_model(struct ist_request *rq, struct ist_reply *re,
				     struct ist_err *err)
{
	struct evaluate_body body = {.split = -1};
	struct ist_collection *c;
	struct ist_model_info model;
	json_t *request = NULL;
	enum ist_code code = rq->json == NULL
				 ? IST_OK
				 : ist_fields_read(rq->json, evaluate_fields,
						   IST_COUNT(evaluate_fields), &body, err);

	if (code || (code = model_of(rq, &c, &model, err)))
		return code;
	code = evaluate_request(c, &model, &body, &request, err);
	if (!code)
		code = ist_submit_and_reply(rq, re, "evaluate", request, err);
	json_decref(request);
	ist_collection_unref(c);
	return code;
}
