/*
 * Bootstrap statistics. Every draw is a function of (seed, number of the draw), so that figures
 * that are computed twice are equal. Intervals are percentile intervals at 95 %.
 */
#ifndef IST_CORE_TRAIN_STATS_H
#define IST_CORE_TRAIN_STATS_H

#include "core/train/metrics.h"

#define IST_DRAWS 2000	      /* of an interval in a report */
#define IST_DRAWS_LEVELS 4000 /* of the two-level bootstrap */

struct ist_interval {
	double value, low, high;
};

/* Every metric of one direction; queries of one item are drawn together. */
IST_CHECKED enum ist_code ist_bootstrap_figures(const struct ist_figures *figures, uint64_t seed,
						const struct ist_train_hooks *hooks,
						struct ist_interval ret[IST_N_METRICS],
						struct ist_err *err);

/* Paired differences x (n) that come in n_clusters clusters (NULL: each its own), of one or two
 * directions; the figure is the mean over directions of the mean over queries. *ret_p (may be
 * NULL): two-sided, of no difference. */
struct ist_differences {
	size_t n;
	const double *x;
	const uint32_t *cluster;
};
struct ist_interval ist_bootstrap_paired(const struct ist_differences *direction,
					 size_t n_directions, size_t n_clusters, uint64_t seed,
					 double *ret_p);

/* Two levels: runs (seeds or folds), then the queries within each run drawn. x[r] holds the paired
 * differences of run r. *ret_p (may be NULL): two-sided, of no difference. */
struct ist_interval ist_bootstrap_levels(const double *const *x, const size_t *n, size_t n_runs,
					 size_t draws, uint64_t seed, double *ret_p);

/* Holm's adjusted p-values, in place of p (n). */
void ist_holm(double *p, size_t n);

/* The q-quantile of x (n > 0), sorted in place; linear between order statistics. */
double ist_quantile(double *x, size_t n, double q);

#endif
