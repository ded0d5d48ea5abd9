/*
 * Automatic training: every method that the data allow is tried within a time budget, the choice
 * between them is made inside the training part by cross-validation, and all of them are then
 * measured on the same held-out queries.
 *
 *   1. Each candidate, quick ones first, is cross-validated over FOLDS folds of the training items
 *      with its defaults, and under each of its similarities.
 *   2. The best few are tuned, one parameter after the other (the rows of struct ist_method's
 *      `tune`), in the same folds.
 *   3. All are trained on the whole training part and reported like any training.
 *
 * The test part is read in the reports only, after everything has been decided. What the budget
 * leaves no time for is left out and says what it would have cost.
 */
#ifndef IST_CORE_TRAIN_SELECT_H
#define IST_CORE_TRAIN_SELECT_H

#include "core/train/compare.h"

#define IST_FOLDS 3

struct ist_select_options {
	int aim; /* enum ist_aim, or -1: by class where the training part has labels */
	double budget_s;
	uint64_t seed;
	const char *const *methods; /* names to try, NULL at the end; NULL: all */
	int64_t (*clock_us)(void);  /* that the budget goes by; NULL: the monotonic one */
};

struct ist_candidate {
	const struct ist_method *method;
	json_t *params;	    /* complete; the similarity is named */
	double figure;	    /* mean of the folds, by the aim */
	double cv_s, fit_s; /* what cross-validating and training it took */
	double estimate_s;  /* of one left out: what it would have taken */
	size_t n_tried;	    /* configurations */
	char *left_out;	    /* NULL, or why there is no model */
	struct ist_model *model;
	json_t *report; /* of ist_train */
};

struct ist_selection {
	enum ist_aim aim;
	struct ist_candidate *candidates; /* (n) in order of the method table */
	size_t n;
	size_t chosen; /* the one with the best figure of those that have a model */
};

/* Whether any method can be tried: IST_NOT_ENOUGH_DATA says what is missing. */
IST_CHECKED enum ist_code ist_select_check(const struct ist_pairs *pairs, struct ist_err *err);
/* Whether a method that may be tried reads pairs.text. */
bool ist_select_reads_texts(const struct ist_select_options *options);
/* IST_NOT_ENOUGH_DATA also where the budget was too short for every method. What the folds gave is
 * kept in hooks->checkpoint_dir and not computed again. */
IST_CHECKED enum ist_code ist_select(const struct ist_pairs *pairs,
				     const struct ist_select_options *options,
				     const struct ist_train_hooks *hooks, struct ist_selection *ret,
				     struct ist_err *err);
void ist_selection_finish(struct ist_selection *s);
/* The table of the models on the test part, beside what was left out: {"aim", "metric", "table":
 * [{"method", "params", "similarity", "cross_validated", "configurations", "training_s",
 * image_to_text, …}], "left_out": [{"method", "reason", "estimated_s"}]}. Row order is that of the
 * candidates with a model; differences are to the chosen one. */
IST_CHECKED enum ist_code ist_selection_table(const struct ist_selection *s,
					      const struct ist_pairs *pairs,
					      const struct ist_train_hooks *hooks, json_t **ret,
					      struct ist_err *err);

#endif
