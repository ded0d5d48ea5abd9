/*
 * Percentile bootstrap over queries (clustered by item, since two texts of one item share an
 * image), its paired and two-level forms, and Holm's correction. Any thread; no state.
 */
#include "core/train/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"

#define LOW 0.025
#define HIGH 0.975
#define POLL 32 /* draws between two polls */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

double ist_quantile(double *x, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;

	qsort(x, n, sizeof(*x), by_value);
	return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

/* The stream of one draw. */
static void draw_rng(uint64_t seed, size_t draw, struct ist_rng *ret)
{
	ist_rng_init(ret, seed, "bootstrap");
	ret->stream ^= (draw + 1) * 0x9E3779B97F4A7C15u;
}

/* How often each of the clusters that occur is drawn; `used` lists them. */
static void draw_clusters(uint64_t seed, size_t draw, const uint32_t *used, size_t n_used,
			  uint32_t *weight)
{
	struct ist_rng rng;

	draw_rng(seed, draw, &rng);
	for (size_t i = 0; i < n_used; i++)
		weight[used[i]] = 0;
	for (size_t i = 0; i < n_used; i++)
		weight[used[ist_rng_below(&rng, n_used)]]++;
}

/* Clusters that have queries at all: a sample may leave some without. */
static size_t mark_used(const uint32_t *cluster, size_t n, uint8_t *seen, uint32_t *used,
			size_t n_used)
{
	for (size_t i = 0; i < n; i++) {
		if (!seen[cluster[i]]) {
			seen[cluster[i]] = 1;
			used[n_used++] = cluster[i];
		}
	}
	return n_used;
}

/* One resampling serves all metrics, so that their intervals belong together. */
static enum ist_code draw_figures(const struct ist_figures *figures, uint64_t seed, double *draws,
				  const struct ist_train_hooks *hooks, struct ist_err *err)
{
	ist_autofree uint8_t *seen = ist_alloc(figures->n_clusters, 1);
	ist_autofree uint32_t *used = ist_alloc(figures->n_clusters, sizeof(*used));
	ist_autofree uint32_t *weight = ist_alloc(figures->n_clusters, sizeof(*weight));
	ist_autofree uint32_t *order = ist_figures_order(figures);
	size_t n_used = mark_used(figures->cluster, figures->n, seen, used, 0);
	double mean[IST_N_METRICS];

	for (size_t d = 0; d < IST_DRAWS; d++) {
		draw_clusters(seed, d, used, n_used, weight);
		ist_figures_mean(figures, order, weight, mean);
		for (int i = 0; i < IST_N_METRICS; i++)
			draws[(size_t)i * IST_DRAWS + d] = mean[i];
		if (d % POLL == 0 && ist_stopped(hooks))
			return ist_fail(err, IST_CANCELLED, "cancelled");
	}
	return IST_OK;
}

enum ist_code ist_bootstrap_figures(const struct ist_figures *figures, uint64_t seed,
				    const struct ist_train_hooks *hooks,
				    struct ist_interval ret[IST_N_METRICS], struct ist_err *err)
{
	ist_autofree double *draws = ist_alloc(IST_N_METRICS * IST_DRAWS, sizeof(*draws));
	ist_autofree uint32_t *order = ist_figures_order(figures);
	double mean[IST_N_METRICS];
	enum ist_code code;

	code = draw_figures(figures, seed, draws, hooks, err);
	if (code != IST_OK)
		return code;
	ist_figures_mean(figures, order, NULL, mean);
	for (int i = 0; i < IST_N_METRICS; i++) {
		double *of_metric = draws + (size_t)i * IST_DRAWS;

		ret[i].value = mean[i];
		ret[i].low = ist_quantile(of_metric, IST_DRAWS, LOW);
		ret[i].high = ist_quantile(of_metric, IST_DRAWS, HIGH);
	}
	return IST_OK;
}

/* Two-sided: how often draws of the difference lie on the rarer side of 0. */
static double p_of_no_difference(const double *draw, size_t n)
{
	size_t below = 0, above = 0;

	for (size_t d = 0; d < n; d++) {
		below += draw[d] <= 0;
		above += draw[d] >= 0;
	}
	return fmin(1, 2 * (double)(IST_MIN(below, above) + 1) / (double)(n + 1));
}

/* Mean over directions of the weighted mean over queries; weight NULL: all 1. */
static double mean_difference(const struct ist_differences *direction, size_t n_directions,
			      const uint32_t *weight)
{
	double mean = 0;

	for (size_t d = 0; d < n_directions; d++) {
		double sum = 0, total = 0;

		for (size_t i = 0; i < direction[d].n; i++) {
			double w = weight != NULL ? weight[direction[d].cluster[i]] : 1;

			sum += w * direction[d].x[i];
			total += w;
		}
		mean += total > 0 ? sum / total / (double)n_directions : 0;
	}
	return mean;
}

struct ist_interval ist_bootstrap_paired(const struct ist_differences *direction,
					 size_t n_directions, size_t n_clusters, uint64_t seed,
					 double *ret_p)
{
	ist_autofree double *draws = ist_alloc(IST_DRAWS, sizeof(*draws));
	ist_autofree uint8_t *seen = ist_alloc(n_clusters, 1);
	ist_autofree uint32_t *used = ist_alloc(n_clusters, sizeof(*used));
	ist_autofree uint32_t *weight = ist_alloc(n_clusters, sizeof(*weight));
	struct ist_interval ret = {.value = mean_difference(direction, n_directions, NULL)};
	size_t n_used = 0;

	for (size_t d = 0; d < n_directions; d++)
		n_used = mark_used(direction[d].cluster, direction[d].n, seen, used, n_used);
	for (size_t d = 0; d < IST_DRAWS; d++) {
		draw_clusters(seed, d, used, n_used, weight);
		draws[d] = mean_difference(direction, n_directions, weight);
	}
	if (ret_p != NULL)
		*ret_p = p_of_no_difference(draws, IST_DRAWS);
	ret.low = ist_quantile(draws, IST_DRAWS, LOW);
	ret.high = ist_quantile(draws, IST_DRAWS, HIGH);
	return ret;
}

static double mean_of(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return n > 0 ? sum / (double)n : 0;
}

/* Runs are drawn first, then queries anew within every drawn run. */
static double draw_levels(const double *const *x, const size_t *n, size_t n_runs, uint64_t seed,
			  size_t draw)
{
	struct ist_rng rng;
	double mean = 0;

	draw_rng(seed, draw, &rng);
	for (size_t i = 0; i < n_runs; i++) {
		size_t run = ist_rng_below(&rng, n_runs);
		double sum = 0;

		for (size_t q = 0; q < n[run]; q++)
			sum += x[run][ist_rng_below(&rng, n[run])];
		mean += sum / (double)IST_MAX(n[run], (size_t)1) / (double)n_runs;
	}
	return mean;
}

struct ist_interval ist_bootstrap_levels(const double *const *x, const size_t *n, size_t n_runs,
					 size_t draws, uint64_t seed, double *ret_p)
{
	ist_autofree double *mean = ist_alloc(draws, sizeof(*mean));
	struct ist_interval ret = {0};

	for (size_t r = 0; r < n_runs; r++)
		ret.value += mean_of(x[r], n[r]) / (double)n_runs;
	for (size_t d = 0; d < draws; d++)
		mean[d] = draw_levels(x, n, n_runs, seed, d);
	if (ret_p != NULL)
		*ret_p = p_of_no_difference(mean, draws);
	ret.low = ist_quantile(mean, draws, LOW);
	ret.high = ist_quantile(mean, draws, HIGH);
	return ret;
}

void ist_holm(double *p, size_t n)
{
	ist_autofree uint8_t *done = ist_alloc(n, 1);
	double floor = 0;

	for (size_t step = 0; step < n; step++) {
		size_t least = n;

		for (size_t i = 0; i < n; i++) {
			if (!done[i] && (least == n || p[i] < p[least]))
				least = i;
		}
		floor = fmax(floor, fmin(1, (double)(n - step) * p[least]));
		done[least] = 1;
		p[least] = floor;
	}
}
