/*
 * Milliseconds a query and recall of each kind of index by size and width, on one thread; the time
 * to build, save and load; searches under selectors of all densities, by walk and by scan. What it
 * prints sets `from` of the kinds and COST_PER_EF of vectors_hnsw.c. Reported, never asserted.
 *
 *   build/tests/bench/index/bench-vectors [n dim]    default: a table of sizes, about a minute
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/vectors_kind.h"
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
	fprintf(stderr, "bench-vectors: %s\n", err->text);
	exit(1);
}

static struct ist_vectors *build(const struct ist_vector_kind *kind, const float *x, size_t n,
				 size_t dim, enum ist_similarity similarity, double *ret_seconds)
{
	struct ist_vectors *v;
	struct ist_err err;
	double start = now();

	must(ist_vectors_create(kind, dim, similarity, &v, &err), &err);
	ist_vectors_reserve(v, n);
	for (size_t i = 0; i < n; i += 4096)
		must(ist_vectors_add(v, x + i * dim, IST_MIN(4096, n - i), &err), &err);
	*ret_seconds = now() - start;
	return v;
}

static double search_all(const struct ist_vectors *v, struct ist_searcher *s, const float *queries,
			 size_t n, const struct ist_bitset *allowed)
{
	struct ist_vector_hit hits[K];
	struct ist_err err;
	size_t n_hits;
	double start = now();

	for (size_t q = 0; q < n; q++)
		must(ist_vectors_search(v, s, queries + q * v->dim, IST_ALIKE, K, 0, allowed, hits,
					&n_hits, &err),
		     &err);
	return 1e3 * (now() - start) / (double)n;
}

static void save_and_load(const struct ist_vectors *v, double *ret_save, double *ret_load)
{
	ist_autofree char *path = ist_format("/tmp/bench-vectors-%ld", (long)getpid());
	struct ist_vectors *loaded;
	struct ist_err err;
	double start = now();

	must(ist_vectors_save(v, path, &err), &err);
	*ret_save = now() - start;
	start = now();
	must(ist_vectors_load(path, &loaded, &err), &err);
	*ret_load = now() - start;
	ist_vectors_destroy(loaded);
	unlink(path);
}

/* The reference: FAISS's own search at the same breadth. */
static double search_faiss(const struct ist_vectors *v, const float *queries, size_t n)
{
	float d[K];
	int64_t labels[K];
	struct ist_err err;
	double start = now();

	for (size_t q = 0; q < n; q++)
		must(ist_faiss_hnsw_search(v->index, queries + q * v->dim, K, v->ef, NULL, d,
					   labels, &err),
		     &err);
	return 1e3 * (now() - start) / (double)n;
}

static void selectors(struct ist_vectors *v, struct ist_searcher *s, const float *queries)
{
	static const double densities[] = {0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9};
	size_t n_words = v->n / 64 + 1;

	for (size_t d = 0; d < IST_COUNT(densities); d++) {
		struct ist_bitset set = {ist_alloc(n_words, 8), v->n, 0};
		struct ist_rng rng;
		double as_chosen;

		ist_rng_init(&rng, 1, "bits");
		for (size_t i = 0; i < v->n; i++) {
			if (ist_rng_uniform(&rng) >= densities[d])
				continue;
			set.words[i / 64] |= (uint64_t)1 << (i % 64);
			set.n_set++;
		}
		as_chosen = search_all(v, s, queries, 200, &set);
		printf("  selector %-5g %8.4f ms (%s)\n", densities[d], as_chosen,
		       ist_vectors_prefers_scan(v, K, set.n_set) ? "scan" : "walk");
		free(set.words);
	}
}

static void run(size_t n, size_t dim, enum ist_similarity similarity, bool detailed)
{
	float *x = sample_vectors(n, dim, similarity, 1, "base");
	float *queries = sample_vectors(2 * N_QUERIES, dim, similarity, 1, "queries");
	struct ist_searcher *s = ist_searcher_create();
	double seconds, recall, save, load, ms;
	struct ist_err err;

	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_vectors *v;

		ist_threads_use((int)sysconf(_SC_NPROCESSORS_ONLN));
		v = build(ist_vector_kinds[i], x, n, dim, similarity, &seconds);
		ist_threads_use(1);
		/* Tuned on one half of the queries, recall and time from the other. */
		must(ist_vectors_tune(v, queries, NULL, N_QUERIES / 2, K, 0.995, &recall, &err),
		     &err);
		ms = search_all(v, s, queries + N_QUERIES * dim, N_QUERIES, NULL);
		save_and_load(v, &save, &load);
		printf("%7zu x %-4zu %-9s %-5s ef %3zu recall %.4f  %8.4f ms  build %6.2f s  save "
		       "%5.2f s  load %5.3f s  %6.1f MB\n",
		       n, dim, ist_similarity_names[similarity], v->kind->name, v->ef, recall, ms,
		       seconds, save, load, 1e-6 * (double)ist_vectors_bytes(v));
		if (detailed && !v->kind->exact) {
			printf("  FAISS's own search %8.4f ms\n",
			       search_faiss(v, queries + N_QUERIES * dim, 200));
			selectors(v, s, queries + N_QUERIES * dim);
		}
		ist_vectors_destroy(v);
	}
	ist_searcher_destroy(s);
	free(queries);
	free(x);
}

int main(int argc, char **argv)
{
	static const size_t sizes[][2] = {
	    {1000, 256}, {5000, 256},  {20000, 256}, {5000, 40},
	    {20000, 40}, {100000, 40}, {20000, 10},  {100000, 10},
	};

	printf("kernel: %s\n", ist_score_kernel_best()->name);
	if (argc == 3) {
		size_t n = strtoul(argv[1], NULL, 10), dim = strtoul(argv[2], NULL, 10);

		for (int similarity = 0; similarity < IST_N_SIMILARITIES; similarity++)
			run(n, dim, (enum ist_similarity)similarity, true);
		return 0;
	}
	for (size_t i = 0; i < IST_COUNT(sizes); i++)
		run(sizes[i][0], sizes[i][1], IST_COSINE, false);
	run(50000, 256, IST_COSINE, true);
	return 0;
}
