/*
 * A generation of n rows (default 50,000 x 256): how long appends, the merge, saving and loading
 * take, what it costs in memory, and milliseconds a search with fresh vectors, deaths and filters.
 * Reported, never asserted.
 *
 *   build/tests/bench/index/bench-generation [n dim]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/generation.h"
#include "tests/unit/index/vectors_sample.h"

#define K 10
#define N_QUERIES 500

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "bench-generation: %s\n", err->text);
	exit(1);
}

static double resident_mb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all = 0, resident = 0;

	if (f == NULL || fscanf(f, "%ld %ld", &all, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return 1e-6 * (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void search(const struct ist_generation *g, const float *queries, size_t dim,
		   const int64_t *rows, size_t n_rows, bool exact, size_t n, const char *what)
{
	struct ist_searcher *s = ist_searcher_create();
	struct ist_watermark mark = ist_generation_watermark(g);
	struct ist_generation_hit hits[K], want[K];
	size_t n_hits, n_want, right = 0, all = 0;
	struct ist_err err;
	double took = 0;

	for (size_t q = 0; q < n; q++) {
		double start = now();

		must(ist_generation_search(g, mark, s, IST_IMAGE, IST_IMAGE, queries + q * dim, K,
					   rows, n_rows, exact, hits, &n_hits, &err),
		     &err);
		took += now() - start;
		if (q % 4 != 0)
			continue;
		must(ist_generation_search(g, mark, s, IST_IMAGE, IST_IMAGE, queries + q * dim, K,
					   rows, n_rows, true, want, &n_want, &err),
		     &err);
		for (size_t i = 0; i < n_hits; i++)
			right += hits[i].similarity >= want[n_want - 1].similarity;
		all += n_want;
	}
	printf("  %-28s %8.4f ms  recall %.4f\n", what, 1e3 * took / (double)n,
	       (double)right / (double)all);
	ist_searcher_destroy(s);
}

static void filtered(const struct ist_generation *g, const float *queries, size_t dim, size_t n)
{
	static const size_t every[] = {1000, 100, 10, 2};
	ist_autofree int64_t *rows = ist_alloc(n, sizeof(*rows));
	char what[64];

	for (size_t e = 0; e < IST_COUNT(every); e++) {
		size_t n_rows = 0;

		for (size_t row = every[e]; row <= n; row += every[e])
			rows[n_rows++] = (int64_t)row;
		snprintf(what, sizeof(what), "filter: %zu rows", n_rows);
		search(g, queries, dim, rows, n_rows, false, 200, what);
	}
}

static struct ist_generation *merge(struct ist_generation *g, int64_t upto, const char *what)
{
	struct ist_generation_info info;
	struct ist_generation *merged;
	struct ist_err err;
	double start = now(), carry;

	must(ist_generation_merge(g, upto, NULL, NULL, &merged, &err), &err);
	carry = now();
	ist_generation_carry(merged, g);
	ist_generation_info(merged, &info);
	printf("%s: %.2f s (carry %.4f s), %s, recall %.4f\n", what, carry - start, now() - carry,
	       info.kind, info.recall);
	ist_generation_unref(g);
	return merged;
}

static struct ist_generation *reload(struct ist_generation *g, struct ist_model *model)
{
	char folder[] = "/tmp/bench-generation-XXXXXX";
	struct ist_generation_info info;
	struct ist_err err;
	double start = now(), saved, before;

	if (mkdtemp(folder) == NULL)
		exit(1);
	must(ist_generation_save(g, folder, &err), &err);
	saved = now();
	ist_generation_unref(g);
	before = resident_mb();
	must(ist_generation_load(model, folder, &g, &err), &err);
	ist_generation_info(g, &info);
	printf("save %.3f s, load %.3f s, %.1f MB (resident: %.1f more)\n", saved - start,
	       now() - saved, 1e-6 * (double)info.bytes, resident_mb() - before);
	must(ist_dir_remove(folder, &err), &err);
	return g;
}

int main(int argc, char **argv)
{
	size_t n = argc == 3 ? strtoul(argv[1], NULL, 10) : 50000, more = n / 25;
	size_t dim = argc == 3 ? strtoul(argv[2], NULL, 10) : 256;
	float *x = sample_vectors(n + more, dim, IST_COSINE, 1, "base");
	float *queries = sample_vectors(N_QUERIES, dim, IST_COSINE, 1, "queries");
	struct ist_model *model = sample_model(dim, dim, IST_COSINE);
	struct ist_generation *g = ist_generation_create(model);
	double start = now();

	ist_threads_use((int)sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < n; i++)
		ist_generation_append(g, IST_IMAGE, (int64_t)i + 1, 0, x + i * dim);
	ist_generation_publish(g);
	printf("%zu x %zu: append %.3f s\n", n, dim, now() - start);
	search(g, queries, dim, NULL, 0, false, 50, "all fresh");
	g = merge(g, (int64_t)n, "merge of all");
	g = reload(g, model);
	ist_threads_use(1);
	search(g, queries, dim, NULL, 0, false, N_QUERIES, "base only");
	search(g, queries, dim, NULL, 0, true, 50, "exact");
	filtered(g, queries, dim, n);
	for (size_t i = n; i < n + more; i++)
		ist_generation_append(g, IST_IMAGE, (int64_t)i + 1, 0, x + i * dim);
	ist_generation_publish(g);
	search(g, queries, dim, NULL, 0, false, N_QUERIES, "4 % fresh");
	for (size_t row = 10; row <= n; row += 10)
		ist_generation_kill(g, (int64_t)row);
	search(g, queries, dim, NULL, 0, false, N_QUERIES, "4 % fresh, 10 % dead");
	g = merge(g, (int64_t)(n + more), "merge of 4 % fresh, 10 % dead");
	search(g, queries, dim, NULL, 0, false, N_QUERIES, "merged");
	ist_generation_unref(g);
	ist_model_unref(model);
	free(queries);
	free(x);
	return 0;
}
