/* Bootstrap intervals against normal theory, pairs, clusters, two levels; Holm by hand. */
#include <math.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/train/stats.h"
#include "tests/unit/test.h"

#define N 400

static void near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.6f is not %.6f +- %.6f", got, expected, tolerance);
}

static void draw(double *x, size_t n, double mean, const char *name)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 11, name);
	for (size_t i = 0; i < n; i++)
		x[i] = mean + ist_rng_normal(&rng);
}

static void quantiles(void **state)
{
	double x[5] = {5, 1, 4, 2, 3};

	near(ist_quantile(x, 5, 0), 1, 0);
	near(ist_quantile(x, 5, 0.5), 3, 0);
	near(ist_quantile(x, 5, 0.625), 3.5, 1e-12);
	near(ist_quantile(x, 5, 1), 5, 0);
	near(ist_quantile(x, 1, 0.3), 1, 0);
}

/* Of a mean of n normal numbers: half the width is 1.96 / sqrt(n). */
static void width_is_as_theory_says(void **state)
{
	uint32_t cluster[N];
	double x[N], sum = 0, squares = 0, sd;
	struct ist_differences d = {N, x, cluster};
	struct ist_interval found;

	draw(x, N, 0.3, "x");
	for (uint32_t i = 0; i < N; i++) {
		cluster[i] = i;
		sum += x[i];
	}
	for (size_t i = 0; i < N; i++)
		squares += (x[i] - sum / N) * (x[i] - sum / N);
	sd = sqrt(squares / N);
	found = ist_bootstrap_paired(&d, 1, N, 1, NULL);
	near(found.value, sum / N, 1e-12);
	near((found.high - found.low) / 2, 1.96 * sd / sqrt(N), 0.01);
	near((found.high + found.low) / 2, sum / N, 0.01);
}

/* Four equal queries an item carry the information of one. */
static void clusters_widen_the_interval(void **state)
{
	uint32_t cluster[N], alone[N];
	double x[N];
	struct ist_differences clustered = {N, x, cluster}, single = {N, x, alone};
	struct ist_interval wide, narrow;

	draw(x, N / 4, 0, "clusters");
	for (uint32_t i = N; i-- > 0;) {
		cluster[i] = i / 4;
		alone[i] = i;
		x[i] = x[i / 4];
	}
	wide = ist_bootstrap_paired(&clustered, 1, N, 1, NULL);
	narrow = ist_bootstrap_paired(&single, 1, N, 1, NULL);
	near((wide.high - wide.low) / (narrow.high - narrow.low), 2, 0.25);
}

static void directions_are_averaged(void **state)
{
	const double a[2] = {1, 1}, b[4] = {3, 3, 3, 3};
	const uint32_t ca[2] = {0, 1}, cb[4] = {0, 0, 1, 1};
	const struct ist_differences d[2] = {{2, a, ca}, {4, b, cb}};
	struct ist_interval found = ist_bootstrap_paired(d, 2, 2, 0, NULL);

	near(found.value, 2, 1e-12);
	near(found.low, 2, 1e-12);
	near(found.high, 2, 1e-12);
}

static void equal_seeds_give_equal_intervals(void **state)
{
	uint32_t cluster[N];
	double x[N];
	struct ist_differences d = {N, x, cluster};
	struct ist_interval a, b, c;

	draw(x, N, 0, "again");
	for (uint32_t i = 0; i < N; i++)
		cluster[i] = i;
	a = ist_bootstrap_paired(&d, 1, N, 5, NULL);
	b = ist_bootstrap_paired(&d, 1, N, 5, NULL);
	c = ist_bootstrap_paired(&d, 1, N, 6, NULL);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(a.low != c.low);
}

/* Runs that differ among themselves: the spread of the run means dominates. */
static void the_level_of_runs_counts(void **state)
{
	double x[5][N];
	const double *runs[5];
	size_t n[5];
	struct ist_interval spread, same;
	double p;

	for (size_t r = 0; r < 5; r++) {
		draw(x[r], N, 0, "level");
		for (size_t i = 0; i < N; i++)
			x[r][i] = 0.001 * x[r][i] + (double)r - 2;
		runs[r] = x[r];
		n[r] = N;
	}
	spread = ist_bootstrap_levels(runs, n, 5, IST_DRAWS_LEVELS, 0, &p);
	near(spread.value, 0, 0.01);
	near(spread.high - spread.low, 2 * 1.96 * sqrt(2.0 / 5), 0.3); /* variance of 5 runs: 2 */
	assert_true(p > 0.5);
	for (size_t r = 0; r < 5; r++)
		runs[r] = x[4];
	same = ist_bootstrap_levels(runs, n, 5, IST_DRAWS_LEVELS, 0, &p);
	near(same.value, 2, 0.01);
	assert_true(same.high - same.low < 0.01);
	near(p, 2.0 / (IST_DRAWS_LEVELS + 1), 1e-12);
}

static void holm_by_hand(void **state)
{
	double p[4] = {0.01, 0.04, 0.03, 0.005};

	ist_holm(p, 4);
	near(p[3], 0.02, 1e-12); /* 4 x .005 */
	near(p[0], 0.03, 1e-12); /* 3 x .01 */
	near(p[2], 0.06, 1e-12); /* 2 x .03 */
	near(p[1], 0.06, 1e-12); /* 1 x .04, but not below its forerunner */
	p[0] = 0.6;
	p[1] = 0.9;
	ist_holm(p, 2);
	near(p[0], 1, 0);
	near(p[1], 1, 0);
}

/* Figures: R@1 of half right is a binomial share. */
static void figures(void **state)
{
	struct ist_trial trial = {.n_queries = N, .n_items = N};
	struct ist_interval found[IST_N_METRICS];
	struct ist_figures f;
	struct ist_err err;

	trial.query_item = ist_alloc(N, sizeof(uint32_t));
	for (uint32_t i = 0; i < N; i++)
		trial.query_item[i] = i;
	ist_figures_init(&f, &trial);
	for (size_t i = 0; i < N; i++) {
		f.value[IST_R_1][i] = i % 2;
		f.rank[i] = (uint32_t)(i % 2 == 0 ? 8 : 0);
	}
	assert_ist_ok(ist_bootstrap_figures(&f, 0, NULL, found, &err));
	near(found[IST_R_1].value, 0.5, 1e-12);
	near(found[IST_R_1].high - found[IST_R_1].low, 2 * 1.96 * 0.5 / sqrt(N), 0.015);
	near(found[IST_MAP_ALL].high, 0, 0);
	near(found[IST_MEDIAN_RANK].low, 1, 0);
	near(found[IST_MEDIAN_RANK].high, 9, 0);
	ist_figures_finish(&f);
	free(trial.query_item);
}

TEST_MAIN(cmocka_unit_test(quantiles), cmocka_unit_test(width_is_as_theory_says),
	  cmocka_unit_test(clusters_widen_the_interval), cmocka_unit_test(directions_are_averaged),
	  cmocka_unit_test(equal_seeds_give_equal_intervals),
	  cmocka_unit_test(the_level_of_runs_counts), cmocka_unit_test(holm_by_hand),
	  cmocka_unit_test(figures))
