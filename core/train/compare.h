/*
 * Several models on the same held-out queries: figures of each with intervals, and whether one is
 * better than another, by paired bootstrap over items with Holm's correction for all comparisons
 * of the table.
 */
#ifndef IST_CORE_TRAIN_COMPARE_H
#define IST_CORE_TRAIN_COMPARE_H

#include "core/train/report.h"

/* What a comparison goes by; both are means over the two directions. */
enum ist_aim {
	IST_AIM_CLASS,	  /* average precision over the whole ranking, relevant by label */
	IST_AIM_INSTANCE, /* reciprocal rank of the query's own item */
	IST_N_AIMS
};
extern const char *const ist_aim_names[]; /* "class", "instance", NULL */
/* "map_all", "reciprocal_rank": the figure's name */
const char *ist_aim_metric(enum ist_aim aim);
/* By class where held-out items have labels, else by instance. */
enum ist_aim ist_aim_of(const struct ist_trials *trials);

/* One model's figures in both directions, and what each query counts for the aim. */
struct ist_contestant {
	struct ist_figures figures[IST_N_MODALITIES];
	double *value[IST_N_MODALITIES]; /* (queries) */
	double mean;
};

struct ist_comparison {
	const struct ist_trials *trials;
	enum ist_aim aim;
	struct ist_contestant *contestants;
	size_t n;
};

void ist_comparison_init(struct ist_comparison *c, const struct ist_trials *trials,
			 enum ist_aim aim);
void ist_comparison_finish(struct ist_comparison *c);
/* Measures a model that crosses modalities; it becomes number c->n - 1. */
IST_CHECKED enum ist_code ist_comparison_add(struct ist_comparison *c,
					     const struct ist_model *model,
					     const struct ist_train_hooks *hooks,
					     struct ist_err *err);
/* The number of the one with the greatest mean; the first of equals. */
size_t ist_comparison_best(const struct ist_comparison *c);
/* An array, a row each: {"image_to_text", "text_to_image" (metrics with intervals), "mean",
 * "difference": {value, low, high} to row `to`, "p" (adjusted), "significant"}; the last three are
 * null in row `to` itself. */
IST_CHECKED enum ist_code ist_comparison_rows(const struct ist_comparison *c, size_t to,
					      const struct ist_train_hooks *hooks, json_t **ret,
					      struct ist_err *err);

/* What embedding one feature costs in microseconds: the mean over both modalities of a sample of
 * the pairs, on this thread. */
IST_CHECKED enum ist_code ist_embed_cost(const struct ist_model *model,
					 const struct ist_pairs *pairs, double *ret_us,
					 struct ist_err *err);

/* A held-out query of which two contestants think differently. */
struct ist_apart {
	enum ist_modality from;
	uint32_t pair; /* whose feature the query is */
	double value[2];
};
/* The queries with the greatest differences between a and b, at most `most`, those where a is
 * better and those where b is in turn. ret (most); the number of those found is returned. */
size_t ist_comparison_apart(const struct ist_comparison *c, size_t a, size_t b, size_t most,
			    struct ist_apart *ret);

#endif
