/*
 * The gate of "if_better": a candidate replaces the active model when it is better on the items
 * that both held back, by the lower bound of a paired bootstrap over items. The figure is the mean
 * over both directions of MAP@all, or of R@10 where nothing is labelled. Against a model that
 * cannot cross between the modalities the candidate has to beat chance instead. A model that
 * composes is judged by composed queries, against what the active model makes of them; it does not
 * replace one that answers texts and cannot compose, for those queries would be lost.
 */
#include <stdio.h>

#include "core/base/memory.h"
#include "core/train/composed.h"
#include "core/train/report.h"
#include "core/train/train.h"

#define MIN_QUERIES 30
#define SEED 0

/* Figures of one model in both directions; the caller finishes them, also after an error. */
static enum ist_code measure(const struct ist_trials *trials, const struct ist_model *model,
			     const struct ist_train_hooks *hooks,
			     struct ist_figures figures[IST_N_MODALITIES], struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		ist_figures_init(&figures[from], &trials->direction[from]);
		code = ist_measure(model, trials->pairs, &trials->direction[from], hooks,
				   &figures[from], err);
	}
	return code;
}

/* What the candidate has to beat, a query at a time, taken off its figures. */
static enum ist_code subtract(const struct ist_trials *trials, const struct ist_model *active,
			      enum ist_metric metric, const struct ist_train_hooks *hooks,
			      struct ist_figures figures[IST_N_MODALITIES], struct ist_err *err)
{
	struct ist_figures other[IST_N_MODALITIES] = {0};
	enum ist_code code = IST_OK;

	if (active->crosses)
		code = measure(trials, active, hooks, other, err);
	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		double chance[IST_N_METRICS];

		ist_chance(&trials->direction[from], chance);
		for (size_t q = 0; q < figures[from].n; q++)
			figures[from].value[metric][q] -=
			    active->crosses ? other[from].value[metric][q] : chance[metric];
	}
	for (int from = 0; from < IST_N_MODALITIES; from++)
		ist_figures_finish(&other[from]);
	return code;
}

/* The lower bound decides: a model is not swapped for luck. */
static void decide(const struct ist_model *active, bool by_label, const struct ist_interval *found,
		   struct ist_gate *ret)
{
	const char *metric = by_label ? "MAP@all" : "R@10";
	const char *rival = active->crosses ? "the active model" : "chance";

	ret->difference = found->value;
	ret->low = found->low;
	ret->high = found->high;
	ret->activate = found->low > 0;
	snprintf(ret->reason, sizeof(ret->reason),
		 "%s of both directions is %+.4f [%+.4f, %+.4f] against %s on %zu held-out items: "
		 "%s",
		 metric, ret->difference, ret->low, ret->high, rival, ret->n_queries,
		 ret->activate ? "better" : "not surely better");
}

/* Reciprocal ranks of the candidate minus the active model's, over common composed queries. */
static enum ist_code compare_composed(const struct ist_composed *trial,
				      const struct ist_model *candidate,
				      const struct ist_model *active,
				      const struct ist_train_hooks *hooks, struct ist_gate *ret,
				      struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures ours = {0}, theirs = {0};
	struct ist_differences differences;
	struct ist_interval found;
	enum ist_code code = ist_composed_measure(trial, candidate, hooks, &ours, err);

	if (code == IST_OK)
		code = ist_composed_measure(trial, active, hooks, &theirs, err);
	if (code != IST_OK)
		return code;
	for (size_t q = 0; q < ours.n; q++)
		ours.value[IST_MAP_ALL][q] -= theirs.value[IST_MAP_ALL][q];
	differences = (struct ist_differences){ours.n, ours.value[IST_MAP_ALL], ours.cluster};
	found = ist_bootstrap_paired(&differences, 1, ours.n_clusters, SEED, NULL);
	ret->difference = found.value;
	ret->low = found.low;
	ret->high = found.high;
	ret->activate = found.low > 0;
	snprintf(
	    ret->reason, sizeof(ret->reason),
	    "the mean reciprocal rank of composed queries is %+.4f [%+.4f, %+.4f] against %s on "
	    "%zu held-out triples: %s",
	    found.value, found.low, found.high,
	    active->method->compose != NULL ? "the active model" : "the picture alone",
	    ret->n_queries, ret->activate ? "better" : "not surely better");
	return IST_OK;
}

static enum ist_code gate_composed(const struct ist_model *candidate,
				   const struct ist_model *active, const struct ist_pairs *pairs,
				   const struct ist_train_hooks *hooks, struct ist_gate *ret,
				   struct ist_err *err)
{
	ist_auto(ist_composed_finish) struct ist_composed trial = {0};
	struct ist_gate gate = {0};
	enum ist_code code = IST_OK;

	ist_composed_init(&trial, pairs, IST_TEST);
	gate.n_queries = trial.n_queries;
	if (active->crosses && active->method->compose == NULL)
		snprintf(gate.reason, sizeof(gate.reason),
			 "the active model answers texts and cannot compose: name this one in "
			 "composed queries, or activate it by hand");
	else if (gate.n_queries < MIN_QUERIES)
		snprintf(gate.reason, sizeof(gate.reason),
			 "only %zu held-out triples are common to both models, %d are needed",
			 gate.n_queries, MIN_QUERIES);
	else
		code = compare_composed(&trial, candidate, active, hooks, &gate, err);
	if (code == IST_OK)
		*ret = gate;
	return code;
}

enum ist_code ist_gate_compare(const struct ist_model *candidate, const struct ist_model *active,
			       const struct ist_pairs *pairs, const struct ist_train_hooks *hooks,
			       struct ist_gate *ret, struct ist_err *err)
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	struct ist_figures figures[IST_N_MODALITIES] = {0};
	struct ist_differences direction[IST_N_MODALITIES];
	struct ist_gate gate = {0};
	struct ist_interval found;
	enum ist_metric metric;
	enum ist_code code;

	if (candidate->method->compose != NULL)
		return gate_composed(candidate, active, pairs, hooks, ret, err);
	ist_trials_init(&trials, pairs, IST_TEST);
	gate.n_queries = trials.direction[IST_IMAGE].n_queries;
	if (!candidate->crosses || gate.n_queries < MIN_QUERIES) {
		snprintf(gate.reason, sizeof(gate.reason),
			 !candidate->crosses
			     ? "it cannot compare images with texts"
			     : "only %zu held-out items are common to both models, %d are needed",
			 gate.n_queries, MIN_QUERIES);
		*ret = gate;
		return IST_OK;
	}
	metric = trials.by_label ? IST_MAP_ALL : IST_R_10;
	code = measure(&trials, candidate, hooks, figures, err);
	if (code == IST_OK)
		code = subtract(&trials, active, metric, hooks, figures, err);
	if (code == IST_OK) {
		for (int from = 0; from < IST_N_MODALITIES; from++)
			direction[from] = (struct ist_differences){
			    figures[from].n, figures[from].value[metric], figures[from].cluster};
		found = ist_bootstrap_paired(direction, IST_N_MODALITIES,
					     trials.direction[IST_IMAGE].n_items, SEED, NULL);
		decide(active, trials.by_label, &found, &gate);
		*ret = gate;
	}
	for (int from = 0; from < IST_N_MODALITIES; from++)
		ist_figures_finish(&figures[from]);
	return code;
}
