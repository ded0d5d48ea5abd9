/*
 * Starting a training. All that can be refused is refused here, before the 202: method, parameters,
 * split, and too little data. What is queued is complete, so that later defaults change nothing.
 */
#include "server/api.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/select.h"
#include "core/train/train.h"
#include "server/daemon.h"
#include "server/fields.h"
#include "server/job_submit.h"
#include "server/json.h"
#include "server/split_json.h"

/* Items up to which the pairs are read before the answer; what more hold, the job finds out. */
#define CHECK_ITEMS_MAX 5000
#define BUDGET_S 600 /* of "auto" */
#define BUDGET_MAX_S 604800

struct body {
	const char *method;
	const json_t *params, *split;
	int64_t seed;
	int activate;
	double budget_s; /* the rest with "auto" only; negative: not given */
	int aim;
};

static const char *const activations[] = {"if_better", "always", "never", NULL};
static const struct ist_field fields[] = {
    {"method", IST_FIELD_STRING, offsetof(struct body, method), .required = true},
    {"params", IST_FIELD_OBJECT, offsetof(struct body, params)},
    {"split", IST_FIELD_OBJECT, offsetof(struct body, split)},
    {"seed", IST_FIELD_INT, offsetof(struct body, seed), 0, 9007199254740991.0},
    {"activate", IST_FIELD_CHOICE, offsetof(struct body, activate), .choices = activations},
    {"budget_s", IST_FIELD_REAL, offsetof(struct body, budget_s), 1, BUDGET_MAX_S},
    {"aim", IST_FIELD_CHOICE, offsetof(struct body, aim), .choices = ist_aim_names},
};

/* A method that trains, by its name; the error lists those that there are. */
static enum ist_code find_method(const char *name, const struct ist_method **ret,
				 struct ist_err *err)
{
	const struct ist_method *method = ist_method_find(name);
	ist_auto(ist_buf_finish) struct ist_buf names = {0};

	if (method != NULL && method->trains) {
		*ret = method;
		return IST_OK;
	}
	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		if ((*m)->trains)
			ist_buf_printf(&names, "\"%s\", ", (*m)->name);
	return ist_fail_at(err, IST_INVALID, "/method", "must be one of %s\"auto\", got \"%.64s\"",
			   names.len ? names.data : "", name);
}

/* The cheap part of "is there enough": whether there can be any pair at all. Costs no look at the
 * items. */
static enum ist_code check_counts(const struct ist_collection_info *info,
				  const struct ist_method *method, struct ist_err *err)
{
	if (info->items == 0)
		return ist_fail(err, IST_NOT_ENOUGH_DATA, "the collection is empty");
	if ((method->needs & IST_NEEDS_LABELS) && info->labelled == 0)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%s learns from labels, and no item has one", method->name);
	if ((method->needs & IST_NEEDS_TRIPLES) && info->triples == 0)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%s learns from triples, and there are none", method->name);
	return IST_OK;
}

/* Whether there is enough to train and to measure. The pairs are read where that takes a moment;
 * with more items the job itself finds out. */
static enum ist_code check_data(struct ist_collection *c, const struct ist_collection_info *info,
				const struct ist_method *method, const struct ist_split *split,
				struct ist_err *err)
{
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0};
	enum ist_code code = check_counts(info, method, err);

	if (code || info->items > CHECK_ITEMS_MAX)
		return code;
	code = ist_training_set_load(c, split, method->needs, &set, err);
	return code ? code : ist_train_check(method, &set.pairs, err);
}

/* The split of this training: the collection's, with what the body says otherwise. */
static enum ist_code find_split(const struct ist_collection_info *info, const struct body *body,
				struct ist_split *ret, struct ist_err *err)
{
	*ret = info->split;
	if (body->split != NULL && ist_split_parse(body->split, &info->split, ret, err))
		return ist_err_in(err, "split");
	return IST_OK;
}

/* The same for "auto", which chooses method and parameters itself. */
static enum ist_code complete_auto(struct ist_collection *c, const struct body *body, json_t **ret,
				   struct ist_err *err)
{
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0};
	struct ist_collection_info info;
	struct ist_split split;
	enum ist_code code;

	if (body->params != NULL)
		return ist_fail_at(err, IST_INVALID, "/params", "are for \"auto\" to choose");
	if ((code = ist_collection_info(c, &info, err)) ||
	    (code = find_split(&info, body, &split, err)))
		return code;
	if (info.items == 0)
		return ist_fail(err, IST_NOT_ENOUGH_DATA, "the collection is empty");
	if (info.items <= CHECK_ITEMS_MAX) {
		code = ist_training_set_load(c, &split, 0, &set, err);
		if (!code)
			code = ist_select_check(&set.pairs, err);
	}
	if (code)
		return code;
	*ret = json_pack("{s:s, s:f, s:s?, s:o, s:I, s:s}", "method", "auto", "budget_s",
			 body->budget_s < 0 ? BUDGET_S : body->budget_s, "aim",
			 body->aim >= 0 ? ist_aim_names[body->aim] : NULL, "split",
			 ist_split_json(&split), "seed", (json_int_t)body->seed, "activate",
			 activations[body->activate]);
	return IST_OK;
}

/* The request as the job will read it: every parameter, the whole split, seed and gate. What is
 * wrong with it is said with a pointer into the body. */
static enum ist_code complete(struct ist_collection *c, const struct body *body, json_t **ret,
			      struct ist_err *err)
{
	const struct ist_method *method = NULL;
	struct ist_collection_info info;
	struct ist_split split;
	json_t *params = NULL;
	bool has_validation;
	enum ist_code code;

	if ((code = find_method(body->method, &method, err)))
		return code;
	if (body->budget_s >= 0 || body->aim >= 0)
		return ist_fail_at(err, IST_INVALID, body->aim >= 0 ? "/aim" : "/budget_s",
				   "goes with the method \"auto\" only");
	if ((code = ist_collection_info(c, &info, err)) ||
	    (code = find_split(&info, body, &split, err)))
		return code;
	has_validation = split.field[0] ? !split.no_validation : split.validation > 0;
	if ((code = ist_params_complete(method, body->params, &params, err)) ||
	    (code = ist_train_check_params(method, params, has_validation, err))) {
		json_decref(params);
		return ist_err_in(err, "params");
	}
	code = check_data(c, &info, method, &split, err);
	if (code) {
		json_decref(params);
		return code;
	}
	*ret = json_pack("{s:s, s:o, s:o, s:I, s:s}", "method", method->name, "params", params,
			 "split", ist_split_json(&split), "seed", (json_int_t)body->seed,
			 "activate", activations[body->activate]);
	return IST_OK;
}

enum ist_code ist_api_create_training(struct ist_request *rq, struct ist_reply *re,
				      struct ist_err *err)
{
	struct body body = {.budget_s = -1, .aim = -1};
	struct ist_collection *c;
	json_t *request = NULL;
	bool is_auto;
	enum ist_code code = ist_fields_read(rq->json, fields, IST_COUNT(fields), &body, err);

	if (code || (code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err)))
		return code;
	is_auto = strcmp(body.method, "auto") == 0;
	code = (is_auto ? complete_auto : complete)(c, &body, &request, err);
	ist_collection_unref(c);
	if (!code)
		code = ist_submit_and_reply(rq, re, is_auto ? "auto" : "train", request, err);
	json_decref(request);
	return code;
}
