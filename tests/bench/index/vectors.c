/*
 * Milliseconds a query and recall of each kind of index by size and width, on one thread; the time
 * to build, save and load; searches under selectors of all densities, by walk and by scan; what a
 * scan costs by order and by inner products. What it prints sets `from` of the kinds and
 * COST_PER_EF of vectors_hnsw.c. Reported, never asserted.
 *
 *   build/tests/bench/index/bench-vectors [n dim | order]    default: a table of sizes, two
 * minutes; order: what concerns it, half a minute
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/vectors_kind.h"
#include "tests/unit/index/vectors_sample.h"

#define K 10
#define N_QUERIES 500

static const char *const direction_names[IST_N_DIRECTIONS] = {
    [IST_ALIKE] = "alike",
    [IST_TEXT_TO_IMAGE] = "text to image",
    [IST_IMAGE_TO_TEXT] = "image to text",
};

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
			 enum ist_direction direction, size_t n, const struct ist_bitset *allowed)
{
	struct ist_vector_hit hits[K];
	struct ist_err err;
	size_t n_hits;
	double start = now();

	for (size_t q = 0; q < n; q++)
		must(ist_vectors_search(v, s, queries + q * v->dim, direction, K, 0, allowed, hits,
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

static void selectors(struct ist_vectors *v, struct ist_searcher *s, const float *queries,
		      enum ist_direction direction)
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
		as_chosen = search_all(v, s, queries, direction, 200, &set);
		printf("  selector %-5g %8.4f ms (%s)\n", densities[d], as_chosen,
		       ist_vectors_prefers_scan(v, K, set.n_set) ? "scan" : "walk");
		free(set.words);
	}
}

/* Who is asked, and by whom. */
static enum ist_modality asked(enum ist_direction direction)
{
	return direction == IST_IMAGE_TO_TEXT ? IST_TEXT : IST_IMAGE;
}

static enum ist_modality asking(enum ist_direction direction)
{
	return direction == IST_TEXT_TO_IMAGE ? IST_TEXT : IST_IMAGE;
}

static void run(size_t n, size_t dim, enum ist_similarity similarity, enum ist_direction direction,
		bool detailed)
{
	float *x = sample_side(n, dim, similarity, asked(direction), 1, "base");
	float *queries =
	    sample_side(2 * N_QUERIES, dim, similarity, asking(direction), 1, "queries");
	enum ist_direction directions[N_QUERIES / 2];
	struct ist_searcher *s = ist_searcher_create();
	double seconds, recall, save, load, ms;
	struct ist_err err;

	for (size_t i = 0; i < IST_COUNT(directions); i++)
		directions[i] = direction;
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_vectors *v;

		ist_threads_use((int)sysconf(_SC_NPROCESSORS_ONLN));
		v = build(ist_vector_kinds[i], x, n, dim, similarity, &seconds);
		ist_threads_use(1);
		/* Tuned on one half of the queries, recall and time from the other. */
		must(ist_vectors_tune(v, queries, directions, IST_COUNT(directions), K, 0.995,
				      &recall, &err),
		     &err);
		ms = search_all(v, s, queries + N_QUERIES * dim, direction, N_QUERIES, NULL);
		save_and_load(v, &save, &load);
		printf("%7zu x %-4zu %-9s %-13s %-5s ef %3zu recall %.4f  %8.4f ms  build %6.2f s  "
		       "save %5.2f s  load %5.3f s  %6.1f MB\n",
		       n, dim, ist_similarity_names[similarity], direction_names[direction],
		       v->kind->name, v->ef, recall, ms, seconds, save, load,
		       1e-6 * (double)ist_vectors_bytes(v));
		if (detailed && !v->kind->exact) {
			if (direction == IST_ALIKE)
				printf("  FAISS's own search %8.4f ms\n",
				       search_faiss(v, queries + N_QUERIES * dim, 200));
			selectors(v, s, queries + N_QUERIES * dim, direction);
		}
		ist_vectors_destroy(v);
	}
	ist_searcher_destroy(s);
	free(queries);
	free(x);
}

/* What an exact search costs under each score: the same vectors, the same query. */
static void scans(size_t n, size_t dim)
{
	static const struct {
		enum ist_similarity similarity;
		enum ist_direction direction;
	} rows[] = {{IST_INNER, IST_ALIKE},
		    {IST_EUCLIDEAN, IST_ALIKE},
		    {IST_ORDER, IST_TEXT_TO_IMAGE},
		    {IST_ORDER, IST_IMAGE_TO_TEXT}};
	enum { ROUNDS = 8 };
	float *x = sample_side(n, dim, IST_ORDER, IST_IMAGE, 1, "base");
	struct ist_vectors *v[IST_COUNT(rows)];
	double seconds, best[IST_COUNT(rows)];
	struct ist_vector_hit hits[K];
	struct ist_err err;
	size_t n_hits;

	for (size_t i = 0; i < IST_COUNT(rows); i++) {
		v[i] = build(&ist_vectors_flat, x, n, dim, rows[i].similarity, &seconds);
		best[i] = 1e9;
	}
	/* In turn, so that all see the same machine. */
	for (size_t r = 0; r < ROUNDS * IST_COUNT(rows); r++) {
		size_t i = r % IST_COUNT(rows);
		double start = now();

		must(ist_vectors_scan(v[i], x + r * dim, rows[i].direction, K, NULL, 0, NULL, hits,
				      &n_hits, &err),
		     &err);
		best[i] = fmin(best[i], now() - start);
	}
	for (size_t i = 0; i < IST_COUNT(rows); i++) {
		printf("scan of %zu x %zu  %-9s %-13s %8.4f ms  %6.2f G floats/s  %.2f of inner\n",
		       n, dim, ist_similarity_names[rows[i].similarity],
		       direction_names[rows[i].direction], 1e3 * best[i],
		       1e-9 * (double)(n * dim) / best[i], best[0] / best[i]);
		ist_vectors_destroy(v[i]);
	}
	free(x);
}

int main(int argc, char **argv)
{
	static const size_t sizes[][2] = {
	    {1000, 256}, {5000, 256},  {20000, 256}, {5000, 40},
	    {20000, 40}, {100000, 40}, {20000, 10},  {100000, 10},
	};
	static const size_t ordered[][2] = {{1000, 512}, {3000, 512},  {5000, 512}, {10000, 512},
					    {5000, 128}, {10000, 128}, {20000, 128}};

	printf("kernel: %s\n", ist_score_kernel_best()->name);
	if (argc == 3) {
		size_t n = strtoul(argv[1], NULL, 10), dim = strtoul(argv[2], NULL, 10);

		for (int similarity = 0; similarity < IST_N_SIMILARITIES; similarity++)
			run(n, dim, (enum ist_similarity)similarity, IST_ALIKE, true);
		run(n, dim, IST_ORDER, IST_TEXT_TO_IMAGE, true);
		run(n, dim, IST_ORDER, IST_IMAGE_TO_TEXT, true);
		return 0;
	}
	scans(50000, 512);
	scans(1000, 512);
	for (size_t i = 0; i < IST_COUNT(ordered); i++)
		for (int d = 0; d < IST_N_DIRECTIONS; d++)
			run(ordered[i][0], ordered[i][1], IST_ORDER, (enum ist_direction)d, false);
	if (argc == 2 && strcmp(argv[1], "order") == 0)
		return 0;
	for (size_t i = 0; i < IST_COUNT(sizes); i++)
		run(sizes[i][0], sizes[i][1], IST_COSINE, IST_ALIKE, false);
	run(50000, 256, IST_COSINE, IST_ALIKE, true);
	return 0;
}
