/*
 * Speed of every operator, forward and backward, against what the machine can do: GFLOP/s beside
 * those of a plain run of fused multiply-adds in registers, GB/s beside those of a copy between
 * arrays that do not fit any cache. Sizes are those of a training step: a batch of 64 rows, widths
 * of 2000 and 4096. Milliseconds are medians. Reported, never asserted.
 *
 *   build/tests/bench/operators/bench-operators [threads]
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/blas/blas.h"
#include "core/tensor/optimiser.h"
#include "tests/unit/tensor/cases.h"

#define RUNS 15
#define COPY ((size_t)48 << 20) /* bytes of each array */

static const struct sizes sizes = {64, 2000, 4096};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *x, size_t n)
{
	qsort(x, n, sizeof(*x), ascending);
	return x[n / 2];
}

/* Best of some: what the machine can, not what it did. */
static double copy_rate(void)
{
	char *from = ist_alloc_aligned(COPY, 1), *to = ist_alloc_aligned(COPY, 1);
	double best = 0;

	for (int run = 0; run < RUNS; run++) {
		double start = now();

#pragma omp parallel for schedule(static)
		for (size_t at = 0; at < COPY; at += 1 << 20)
			memcpy(to + at, from + at, 1 << 20);
		best = IST_MAX(best, 2.0 * (double)COPY / (now() - start));
	}
	free(from);
	free(to);
	return best;
}

/* Twelve independent sums keep both multiply-add units of a core at work. */
#define CHAINS 12
typedef float wide __attribute__((vector_size(64)));

#if defined(__x86_64__) && !defined(__clang__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
static float
multiply_adds(float factor, size_t n)
{
	wide sum[CHAINS] = {{0}}, total = {0};

	for (size_t i = 0; i < n; i++) {
#pragma GCC unroll 12
		for (int k = 0; k < CHAINS; k++)
			sum[k] = sum[k] * factor + .5f;
	}
	for (int k = 0; k < CHAINS; k++)
		total += sum[k];
	return total[0];
}

static double multiply_add_rate(void)
{
	const size_t n = 200000;
	double best = 0;

	for (int run = 0; run < RUNS; run++) {
		double start = now();

#pragma omp parallel
		{
			volatile float keep = multiply_adds(.5f, n);

			(void)keep;
		}
		best = IST_MAX(best, 2.0 * CHAINS * 16 * (double)n * omp_get_max_threads() /
					 (now() - start));
	}
	return best;
}

static void fill(const ist_node *x, struct ist_rng *rng)
{
	if (x->ids != NULL) {
		for (size_t i = 0; i < x->dim[0]; i++)
			x->ids[i] = (int32_t)ist_rng_below(rng, 10);
		return;
	}
	for (size_t i = 0; i < x->size; i++)
		x->value[i] = (ist_real)ist_rng_uniform(rng);
}

static void run_case(const struct op_case *c, double flops_peak, double bytes_peak)
{
	struct ist_weights *theta = ist_weights_create("theta");
	struct ist_graph *graph = ist_graph_create();
	double forward[RUNS], backward[RUNS], rate, peak;
	struct ist_rng rng;
	ist_node *y;

	ist_rng_init(&rng, 0, "operators");
	ist_weights_add(theta, "w", 2, (size_t[]){sizes.m, sizes.k}, sizes.k);
	ist_weights_add(theta, "b", 1, &sizes.m, sizes.k);
	ist_weights_allocate(theta, true);
	y = c->build(graph, theta, sizes);
	if (ist_graph_compile(graph, true, NULL) != IST_OK)
		abort();
	for (int i = 0; i < y->n_in; i++)
		fill(y->in[i], &rng);
	for (int run = 0; run < RUNS; run++) {
		double start = now(), middle;

		ist_weights_touch(theta);
		ist_graph_forward(graph);
		middle = now();
		ist_graph_backward(y);
		for (size_t i = 0; i < theta->n; i++)
			if (theta->weights[i]->n_products > 0)
				ist_weight_settle(theta->weights[i]);
		forward[run] = middle - start;
		backward[run] = now() - middle;
	}
	rate = (c->flops != NULL ? c->flops : c->bytes)(&sizes) / median(forward, RUNS);
	peak = c->flops != NULL ? flops_peak : bytes_peak;
	printf("%-14s %-17s %9.3f ms %7.1f %-8s %3.0f %%   backward %9.3f ms\n", c->op->name,
	       c->what, 1e3 * median(forward, RUNS), rate / 1e9,
	       c->flops != NULL ? "GFLOP/s" : "GB/s", 100 * rate / peak,
	       1e3 * median(backward, RUNS));
	ist_graph_destroy(graph);
	ist_weights_destroy(theta);
}

/* Reads weight, gradient and both moments, writes weight and moments. */
static void run_rule(const struct ist_optimiser_rule *rule, double bytes_peak)
{
	struct ist_weights *theta = ist_weights_create("theta");
	struct ist_optimiser o = {
	    .rule = rule, .lr = 1e-4, .beta1 = .5, .beta2 = .999, .eps = 1e-8};
	double times[RUNS], rate;

	ist_weights_add(theta, "w", 2, (size_t[]){sizes.m, sizes.k}, sizes.k);
	ist_weights_allocate(theta, true);
	ist_weights_init(theta, 0);
	for (int run = 0; run < RUNS; run++) {
		double start;

		ist_weight_clear(theta->weights[0]);
		ist_weight_dense(theta->weights[0]);
		start = now();
		ist_optimiser_step(&o, &theta, 1);
		times[run] = now() - start;
	}
	rate = (rule == &ist_optimiser_adam ? 7 : 5) * (double)theta->size * sizeof(ist_real) /
	       median(times, RUNS);
	printf("%-14s %-17s %9.3f ms %7.1f %-8s %3.0f %%\n", rule->name, "update",
	       1e3 * median(times, RUNS), rate / 1e9, "GB/s", 100 * rate / bytes_peak);
	ist_optimiser_finish(&o);
	ist_weights_destroy(theta);
}

int main(int argc, char **argv)
{
	double flops, bytes;

	omp_set_num_threads(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1);
	flops = multiply_add_rate();
	bytes = copy_rate();
	printf("%d thread(s), kernels %s: %.0f GFLOP/s of multiply-adds, %.1f GB/s of copying; "
	       "OpenBLAS %.0f GFLOP/s a core\n",
	       omp_get_max_threads(), ist_blas_kernel(), flops / 1e9, bytes / 1e9,
	       ist_blas_gflops());
	printf("(small arrays stay in the caches, so their GB/s can be above those of copying)\n");
	for (size_t i = 0; i < n_op_cases; i++)
		run_case(&op_cases[i], flops, bytes);
	for (size_t i = 0; ist_optimiser_rules[i] != NULL; i++)
		run_rule(ist_optimiser_rules[i], bytes);
	return 0;
}
