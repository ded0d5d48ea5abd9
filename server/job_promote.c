/*
 * The last step of a training. Candidate and active model are compared on held-out pairs that both
 * left alone, both loaded from what the store kept: what is compared is what would serve.
 */
#include "server/job_promote.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/stage.h"
#include "core/train/train.h"
#include "server/split_json.h"

/* ---- the gate ---- */

/* How the active model's test part was drawn; false for what never trained (identity). */
bool ist_report_split(const char *text, struct ist_split *ret)
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
static enum ist_code compare(const struct ist_promotion *p, const struct ist_model *ours,
			     const struct ist_model *theirs, const char *their_report,
			     struct ist_gate *ret, struct ist_err *err)
{
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0}, other = {0};
	ist_autofree uint8_t *part = NULL;
	struct ist_split split;
	struct ist_pairs pairs;
	enum ist_code code = ist_training_set_load(p->collection, &p->split, p->needs, &set, err);

	if (code)
		return code;
	pairs = set.pairs;
	if (ist_report_split(their_report, &split)) {
		code = ist_training_set_load(p->collection, &split, p->needs, &other, err);
		if (code)
			return code;
		pairs.part = part = common_parts(&set.pairs, &other.pairs);
	}
	return ist_gate_compare(ours, theirs, &pairs, &p->job->hooks, ret, err);
}

/* Candidate against active, both loaded from what the store kept: what is compared is what would
 * serve. */
static enum ist_code gate(const struct ist_promotion *p, struct ist_gate *ret, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *theirs = NULL, *ours = NULL;
	struct ist_collection_info info;
	struct ist_model_info active;
	enum ist_code code;

	if ((code = ist_collection_info(p->collection, &info, err)) ||
	    (code = ist_models_get(p->collection, info.active_model, &arena, &active, err)) ||
	    (code = ist_models_load(p->collection, info.active_model, &theirs, err)) ||
	    (code = ist_models_load(p->collection, p->model, &ours, err)))
		return code;
	return compare(p, ours, theirs, active.report, ret, err);
}

/* ---- activation ---- */

struct decision {
	bool activate;
	char reason[300];
};

/* Whether to activate, and why, in words for people. */
static enum ist_code decide(const struct ist_promotion *p, struct decision *ret,
			    struct ist_err *err)
{
	struct ist_gate verdict = {0};
	enum ist_code code;

	*ret = (struct decision){0};
	if (strcmp(p->activate, "never") == 0) {
		snprintf(ret->reason, sizeof(ret->reason), "activate is \"never\"");
		return IST_OK;
	}
	if (strcmp(p->activate, "always") == 0) {
		snprintf(ret->reason, sizeof(ret->reason), "activate is \"always\"");
		ret->activate = true;
		return IST_OK;
	}
	code = gate(p, &verdict, err);
	ret->activate = verdict.activate;
	snprintf(ret->reason, sizeof(ret->reason), "%s", verdict.reason);
	return code;
}

/* Activating ends with the swap, which nobody can cancel any more; without it the point of no
 * return is here. */
static enum ist_code activate(const struct ist_promotion *p, const struct decision *decision,
			      struct ist_err *err)
{
	struct ist_stage stage;
	struct ist_train_hooks hooks;

	if (decision->activate) {
		hooks = ist_stage_begin(&stage, &p->job->hooks, 0.93, 1, "building the index");
		return ist_models_activate(p->collection, p->model, &hooks, err);
	}
	if (!ist_job_live_commit(p->job->live))
		return ist_fail(err, IST_CANCELLED, "cancelled");
	return IST_OK;
}

/* A cancelled training leaves no model. */
enum ist_code ist_promote_take_back(const struct ist_promotion *p, enum ist_code code,
				    struct ist_err *err)
{
	struct ist_err ignored;

	if (code == IST_CANCELLED && ist_job_live_cancelled(p->job->live) &&
	    ist_models_delete(p->collection, p->model, &ignored))
		return ist_fail(err, ignored.code, "cancelled, but model %s stays: %s", p->model,
				ignored.text);
	return code;
}

enum ist_code ist_promote(const struct ist_promotion *p, json_t *into, struct ist_err *err)
{
	struct decision decision;
	enum ist_code code = decide(p, &decision, err);

	if (!code)
		code = activate(p, &decision, err);
	if (code)
		return code;
	json_object_set_new(into, "model", json_string(p->model));
	json_object_set_new(into, "activated", json_boolean(decision.activate));
	json_object_set_new(into, "reason", json_string(decision.reason));
	return IST_OK;
}
