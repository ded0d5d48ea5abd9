/*
 * Retrieval metrics: MAP@all, MAP@50, R@1/5/10 and median rank of one direction (queries of one
 * modality against a gallery of the other).
 *
 * Images are counted once an item, texts once a pair, so an item with several texts has one image
 * and several texts. Relevant is an item of the query's label; where the query has none, the
 * query's own item. Recall and median rank go by the query's own item: the best rank among its
 * texts, or the rank of its image. Equal similarities are ordered by pair.
 *
 *   P_q(k) = 1/k sum_{j<=k} rel_q(j)
 *   MAP@all: AP = 1/R_q sum_k P_q(k) rel_q(k)           over the whole ranking
 *   MAP@50:  AP = 1/H_q sum_{k<=50} P_q(k) rel_q(k)     H_q = hits inside the top 50, 0 if none
 *   R@K:     own item within the first K;  median rank: floor(median) + 1 of ranks from 0
 */
#ifndef IST_CORE_TRAIN_METRICS_H
#define IST_CORE_TRAIN_METRICS_H

#include "core/methods/method.h"

enum ist_metric {
	IST_MAP_ALL,
	IST_MAP_50,
	IST_R_1,
	IST_R_5,
	IST_R_10,
	IST_MEDIAN_RANK,
	IST_N_METRICS
};
extern const char *const ist_metric_names[IST_N_METRICS]; /* "map_all", … */

/* Larger held-out parts are measured on a sample, the same one for every model. */
#define IST_MAX_GALLERY 20000 /* pairs */
#define IST_MAX_QUERIES 5000

/* What is ranked against what in one direction. */
struct ist_trial {
	enum ist_modality from, to; /* of the queries, of the gallery */
	size_t n_queries, n_gallery;
	uint32_t *query, *gallery; /* the pair whose feature it is */
	int32_t *query_label, *gallery_label;
	uint32_t *query_item, *gallery_item; /* numbers of items, 0 .. n_items-1 */
	size_t n_items;
	uint32_t *n_relevant; /* (n_queries) R_q */
};

/* What came of each query. */
struct ist_figures {
	size_t n;		     /* queries */
	double *value[IST_R_10 + 1]; /* AP, AP at 50, and 0 or 1 for each recall */
	uint32_t *rank;		     /* of the own item, from 0 */
	uint32_t *cluster;	     /* queries of one item are drawn together */
	size_t n_clusters;
};

/* All pairs of a part; a sample of its items where they are more than max_gallery pairs. */
void ist_trial_init(struct ist_trial *trial, const struct ist_pairs *pairs, enum ist_part part,
		    enum ist_modality from, enum ist_modality to, size_t max_gallery);
void ist_trial_finish(struct ist_trial *trial);

void ist_figures_init(struct ist_figures *figures, const struct ist_trial *trial);
void ist_figures_finish(struct ist_figures *figures);

/* Scratch for one thread, for galleries of n. */
struct ist_ranker {
	uint32_t *order; /* (n) the gallery, best first, after ist_rank */
	uint32_t *key, *other_order, *other_key;
};
void ist_ranker_init(struct ist_ranker *ranker, size_t n);
void ist_ranker_finish(struct ist_ranker *ranker);

/* Ranks a gallery by similarity (n), descending, ties by position; NaN comes last. */
void ist_rank(struct ist_ranker *ranker, const float *similarity, size_t n);
/* Fills query q of the figures from a ranking of the trial's gallery. */
void ist_figures_take(struct ist_figures *figures, const struct ist_trial *trial, size_t q,
		      const uint32_t *order);

/* Embeds and ranks every query of the trial. The model must cross modalities. */
IST_CHECKED enum ist_code ist_measure(const struct ist_model *model, const struct ist_pairs *pairs,
				      const struct ist_trial *trial,
				      const struct ist_train_hooks *hooks, struct ist_figures *ret,
				      struct ist_err *err);
/* The same with rankings drawn at random: what no model at all would reach. */
IST_CHECKED enum ist_code ist_measure_random(const struct ist_trial *trial, uint64_t seed,
					     const struct ist_train_hooks *hooks,
					     struct ist_figures *ret, struct ist_err *err);
/* The expectation of every metric over random rankings, in closed form. */
void ist_chance(const struct ist_trial *trial, double ret[IST_N_METRICS]);

/* Of all queries, or each query counted weight[its cluster] times; weight may be NULL. order:
 * queries by ascending rank (ist_figures_order). */
void ist_figures_mean(const struct ist_figures *figures, const uint32_t *order,
		      const uint32_t *weight, double ret[IST_N_METRICS]);
uint32_t *ist_figures_order(const struct ist_figures *figures); /* freed by the caller */

/* Embeds the features of the listed pairs, in blocks: (n, dim[m]), freed by the caller. */
IST_CHECKED enum ist_code ist_embed_pairs(const struct ist_model *model,
					  const struct ist_pairs *pairs, enum ist_modality m,
					  const uint32_t *pair, size_t n,
					  const struct ist_train_hooks *hooks, float **ret,
					  struct ist_err *err);

#endif
