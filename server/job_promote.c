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
#include "server/held_out.h"

/* ---- the gate ---- */

/* Candidate against active, both loaded from what the store kept: what is compared is what would
 * serve. */
static enum ist_code gate(const struct ist_promotion *p, struct ist_gate *ret, struct ist_err *err)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *theirs = NULL, *ours = NULL;
	ist_auto(ist_held_out_finish) struct ist_held_out held = {0};
	struct ist_collection_info info;
	struct ist_model_info active, candidate;
	enum ist_code code;

	if ((code = ist_collection_info(p->collection, &info, err)) ||
	    (code = ist_models_get(p->collection, info.active_model, &arena, &active, err)) ||
	    (code = ist_models_get(p->collection, p->model, &arena, &candidate, err)) ||
	    (code = ist_models_load(p->collection, info.active_model, &theirs, err)) ||
	    (code = ist_models_load(p->collection, p->model, &ours, err)))
		return code;
	code = ist_held_out_init(&held, p->collection,
				 (const char *const[]){candidate.report, active.report}, 2,
				 p->needs, err);
	if (code)
		return code;
	return ist_gate_compare(ours, theirs, &held.pairs, &p->job->hooks, ret, err);
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
