/*
 * What random rankings reach, in closed form. With R of N relevant and a random order, position k
 * is relevant with probability R/N, and given that, the k-1 before it hold (k-1)(R-1)/(N-1) others
 * on average, so that
 *
 *   E[AP] = 1/N (H_N + (R-1)/(N-1) (N - H_N)),   H_N = 1 + 1/2 + ... + 1/N.
 *
 * MAP@50 is the same formula within the first 50 places, over the hypergeometric number of hits.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/train/metrics.h"

#define CUT 50

static double harmonic(size_t n)
{
	double sum = 0;

	for (size_t k = 1; k <= n; k++)
		sum += 1.0 / (double)k;
	return sum;
}

static double expected_ap(double n, double h_n, double r)
{
	return n > 1 ? (h_n + (r - 1) / (n - 1) * (n - h_n)) / n : 1;
}

static double log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

static double expected_ap_cut(double n, double r)
{
	double cut = fmin(CUT, n), h_cut = harmonic((size_t)cut), sum = 0;

	for (double h = fmax(1, r + cut - n); h <= fmin(cut, r); h++)
		sum += exp(log_choose(r, h) + log_choose(n - r, cut - h) - log_choose(n, cut)) *
		       expected_ap(cut, h_cut, h);
	return sum;
}

/* P(the best of `own` entries is among the first k of n). */
static double recall(double n, double own, double k)
{
	double missed = 1;

	for (double i = 0; i < k; i++)
		missed *= fmax(0, n - own - i) / fmax(1, n - i);
	return 1 - missed;
}

/* The same for one k over all queries, given how many own entries each has. */
static double mean_recall(const struct ist_trial *trial, const uint32_t *own, double k)
{
	double n = (double)trial->n_gallery, sum = 0;

	for (size_t q = 0; q < trial->n_queries; q++) {
		double o = own[trial->query_item[q]];

		sum += k > 10 && n - o >= k ? 1 - exp(log_choose(n - o, k) - log_choose(n, k))
					    : recall(n, o, k);
	}
	return sum / (double)trial->n_queries;
}

/* The smallest rank that at least half of all queries reach, from 1. */
static double median_rank(const struct ist_trial *trial, const uint32_t *own)
{
	size_t low = 1, high = trial->n_gallery;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mean_recall(trial, own, (double)middle) >= 0.5 - 1e-12)
			high = middle;
		else
			low = middle + 1;
	}
	return (double)low;
}

void ist_chance(const struct ist_trial *trial, double ret[IST_N_METRICS])
{
	ist_autofree uint32_t *own = ist_alloc(trial->n_items, sizeof(*own));
	ist_autofree double *cut = ist_alloc(trial->n_gallery + 1, sizeof(*cut)); /* by R, 0: new */
	double n = (double)trial->n_gallery, h_n = harmonic(trial->n_gallery);

	for (int i = 0; i < IST_N_METRICS; i++)
		ret[i] = 0;
	if (trial->n_queries == 0)
		return;
	for (size_t i = 0; i < trial->n_gallery; i++)
		own[trial->gallery_item[i]]++;
	for (size_t q = 0; q < trial->n_queries; q++) {
		uint32_t r = trial->n_relevant[q];

		if (cut[r] == 0)
			cut[r] = expected_ap_cut(n, r);
		ret[IST_MAP_ALL] += expected_ap(n, h_n, r) / (double)trial->n_queries;
		ret[IST_MAP_50] += cut[r] / (double)trial->n_queries;
	}
	ret[IST_R_1] = mean_recall(trial, own, 1);
	ret[IST_R_5] = mean_recall(trial, own, 5);
	ret[IST_R_10] = mean_recall(trial, own, 10);
	ret[IST_MEDIAN_RANK] = median_rank(trial, own);
}
