/*
 * Every kind of index against brute force: three similarities, selectors of all densities, the
 * edges (empty, k beyond n, equal vectors), and hnsw's own walk against FAISS's search.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/vectors_kind.h"
#include "tests/unit/index/vectors_sample.h"

#define N 3000
#define N_LARGE 16000 /* so that half of them, with EF_SMALL, are walked and not scanned */
#define EF_SMALL 32
#define DIM 24
#define K 10
#define N_QUERIES 40

static const struct {
	enum ist_similarity similarity;
	enum ist_direction direction;
} asked[] = {
    {IST_COSINE, IST_ALIKE}, {IST_EUCLIDEAN, IST_ALIKE},     {IST_INNER, IST_ALIKE},
    {IST_ORDER, IST_ALIKE},  {IST_ORDER, IST_TEXT_TO_IMAGE}, {IST_ORDER, IST_IMAGE_TO_TEXT},
};
static const double densities[] = {0.001, 0.01, 0.1, 0.5, 1};

struct fixture {
	float *x, *queries;
	struct ist_vectors *v;
	struct ist_searcher *s;
	enum ist_direction direction;
};

static void setup_direction(struct fixture *f, const struct ist_vector_kind *kind,
			    enum ist_similarity similarity, enum ist_direction direction, size_t n,
			    size_t dim)
{
	struct ist_err err;

	ist_threads_use(1);
	f->direction = direction;
	f->x = sample_side(n, dim, similarity,
			   direction == IST_IMAGE_TO_TEXT ? IST_TEXT : IST_IMAGE, 7, "base");
	f->queries =
	    sample_side(N_QUERIES, dim, similarity,
			direction == IST_TEXT_TO_IMAGE ? IST_TEXT : IST_IMAGE, 7, "queries");
	f->s = ist_searcher_create();
	assert_ist_ok(ist_vectors_create(kind, dim, similarity, &f->v, &err));
	ist_vectors_reserve(f->v, n);
	for (size_t i = 0; i < n; i += 2500)
		assert_ist_ok(ist_vectors_add(f->v, f->x + i * dim, IST_MIN(n - i, 2500), &err));
	assert_int_equal(ist_vectors_n(f->v), n);
}

static void setup(struct fixture *f, const struct ist_vector_kind *kind,
		  enum ist_similarity similarity, size_t n, size_t dim)
{
	setup_direction(f, kind, similarity, IST_ALIKE, n, dim);
}

static void teardown(struct fixture *f)
{
	ist_vectors_destroy(f->v);
	ist_searcher_destroy(f->s);
	free(f->x);
	free(f->queries);
}

static struct ist_bitset some(size_t n, double density)
{
	struct ist_bitset set = {ist_alloc((n + 63) / 64, 8), n, 0};
	struct ist_rng rng;

	ist_rng_init(&rng, 3, "bits");
	for (size_t i = 0; i < n; i++) {
		if (ist_rng_uniform(&rng) >= density)
			continue;
		set.words[i / 64] |= (uint64_t)1 << (i % 64);
		set.n_set++;
	}
	return set;
}

/* How many of the hits are as near as the brute-force ones; what must hold of any hit is asserted.
 */
static size_t compare(const struct fixture *f, const float *query, const struct ist_bitset *allowed,
		      const struct ist_vector_hit *hits, size_t n_hits,
		      const struct ist_vector_hit *want, size_t n_want)
{
	size_t right = 0;

	assert_int_equal(n_hits, n_want);
	for (size_t i = 0; i < n_hits; i++) {
		double true_one = sample_similarity(query, ist_vectors_at(f->v, hits[i].position),
						    f->v->dim, f->v->similarity, f->direction);

		assert_true(fabs(hits[i].similarity - true_one) <= 2e-4);
		assert_true(allowed == NULL || ist_bit(allowed->words, (size_t)hits[i].position));
		assert_true(i == 0 || hits[i].similarity <= hits[i - 1].similarity);
		for (size_t j = 0; j < i; j++)
			assert_true(hits[i].position != hits[j].position);
		right += hits[i].similarity >= want[n_want - 1].similarity - 1e-5f;
	}
	return right;
}

static double recall(struct fixture *f, size_t n, size_t k, const struct ist_bitset *allowed)
{
	ist_autofree struct ist_vector_hit *hits = ist_alloc(k, sizeof(*hits));
	ist_autofree struct ist_vector_hit *want = ist_alloc(k, sizeof(*want));
	size_t right = 0, all = 0, n_hits;
	struct ist_err err;

	for (size_t q = 0; q < N_QUERIES; q++) {
		const float *query = f->queries + q * f->v->dim;
		size_t n_want = sample_nearest(f->x, n, f->v->dim, f->v->similarity, f->direction,
					       query, k, allowed, want);

		assert_ist_ok(ist_vectors_search(f->v, f->s, query, f->direction, k, 0, allowed,
						 hits, &n_hits, &err));
		right += compare(f, query, allowed, hits, n_hits, want, n_want);
		all += n_want;
	}
	return all == 0 ? 1 : (double)right / (double)all;
}

static void each_kind_finds_what_brute_force_finds(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		for (size_t j = 0; j < IST_COUNT(asked); j++) {
			struct fixture f;
			double r;

			setup_direction(&f, ist_vector_kinds[i], asked[j].similarity,
					asked[j].direction, N, DIM);
			r = recall(&f, N, K, NULL);
			assert_true(ist_vector_kinds[i]->exact ? r == 1 : r >= 0.97);
			teardown(&f);
		}
	}
}

static void selectors_of_all_densities(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct fixture f;

		setup(&f, ist_vector_kinds[i], IST_COSINE, N_LARGE, DIM);
		f.v->ef = EF_SMALL;
		assert_true(ist_vector_kinds[i]->exact ||
			    !ist_vectors_prefers_scan(f.v, K, N_LARGE / 2));
		for (size_t d = 0; d < IST_COUNT(densities); d++) {
			struct ist_bitset set = some(N_LARGE, densities[d]);
			double r = recall(&f, N_LARGE, K, &set);

			assert_true(ist_vector_kinds[i]->exact ? r == 1 : r >= 0.97);
			free(set.words);
		}
		teardown(&f);
	}
}

/* Allowed are only the vectors farthest from the query: the walk has to go through all others. */
static void a_selector_far_from_the_query(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		ist_autofree struct ist_vector_hit *all = ist_alloc(N_LARGE, sizeof(*all));
		struct ist_bitset set = {ist_alloc(N_LARGE / 64 + 1, 8), N_LARGE, 0};
		struct ist_vector_hit hits[K];
		struct fixture f;
		struct ist_err err;
		size_t n_hits;

		setup(&f, ist_vector_kinds[i], IST_EUCLIDEAN, N_LARGE, DIM);
		f.v->ef = EF_SMALL;
		sample_nearest(f.x, N_LARGE, DIM, IST_EUCLIDEAN, IST_ALIKE, f.queries, N_LARGE,
			       NULL, all);
		for (size_t j = N_LARGE / 2; j < N_LARGE; j++, set.n_set++)
			set.words[all[j].position / 64] |= (uint64_t)1 << (all[j].position % 64);
		assert_ist_ok(ist_vectors_search(f.v, f.s, f.queries, IST_ALIKE, K, 0, &set, hits,
						 &n_hits, &err));
		assert_true(compare(&f, f.queries, &set, hits, n_hits, all + N_LARGE / 2, K) >=
			    K - 1);
		free(set.words);
		teardown(&f);
	}
}

static void k_beyond_what_there_is(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_bitset set = some(300, 0.5);
		struct fixture f;

		setup(&f, ist_vector_kinds[i], IST_COSINE, 300, DIM);
		assert_true(recall(&f, 300, 300, NULL) == 1);
		assert_true(recall(&f, 300, 1000, NULL) == 1);
		assert_true(recall(&f, 300, 300, &set) == 1);
		free(set.words);
		teardown(&f);
	}
}

static void an_empty_index_finds_nothing(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_vectors *v;
		struct ist_searcher *s = ist_searcher_create();
		struct ist_vector_hit hit;
		struct ist_err err;
		double r;
		size_t n = 9;

		assert_ist_ok(ist_vectors_create(ist_vector_kinds[i], 4, IST_COSINE, &v, &err));
		assert_ist_ok(ist_vectors_search(v, s, (float[]){1, 0, 0, 0}, IST_ALIKE, 1, 0, NULL,
						 &hit, &n, &err));
		assert_int_equal(n, 0);
		assert_ist_ok(
		    ist_vectors_tune(v, (float[]){1, 0, 0, 0}, NULL, 1, 1, 0.9, &r, &err));
		ist_vectors_destroy(v);
		ist_searcher_destroy(s);
	}
	ist_vectors_destroy(NULL);
	ist_searcher_destroy(NULL);
}

static void a_selector_that_allows_nothing(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct ist_bitset set = some(N, 0);
		struct fixture f;

		setup(&f, ist_vector_kinds[i], IST_COSINE, N, DIM);
		assert_true(recall(&f, N, K, &set) == 1);
		free(set.words);
		teardown(&f);
	}
}

/* A graph of equal vectors falls into islands; k of them must be found all the same. */
static void equal_vectors(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		struct fixture f;
		struct ist_vector_hit hits[K];
		struct ist_err err;
		size_t n_hits;

		setup(&f, ist_vector_kinds[i], IST_COSINE, 40, DIM);
		for (size_t j = 0; j < 400; j++)
			assert_ist_ok(ist_vectors_add(f.v, f.x, 1, &err));
		assert_ist_ok(
		    ist_vectors_search(f.v, f.s, f.x, IST_ALIKE, K, 0, NULL, hits, &n_hits, &err));
		assert_int_equal(n_hits, K);
		for (size_t j = 0; j < K; j++)
			assert_true(fabsf(hits[j].similarity - 1) < 1e-5f);
		teardown(&f);
	}
}

static void tuning_reaches_its_target(void **state)
{
	struct fixture f;
	struct ist_err err;
	double low, high;
	size_t ef;

	setup(&f, &ist_vectors_hnsw, IST_COSINE, N, DIM);
	assert_ist_ok(ist_vectors_tune(f.v, f.queries, NULL, N_QUERIES, K, 0.5, &low, &err));
	ef = ist_vectors_ef(f.v);
	assert_ist_ok(ist_vectors_tune(f.v, f.queries, NULL, N_QUERIES, K, 0.995, &high, &err));
	assert_true(low >= 0.5 && high >= 0.995);
	assert_true(ef <= ist_vectors_ef(f.v));
	assert_true(recall(&f, N, K, NULL) >= 0.995);
	teardown(&f);
}

/* With the same breadth both searches of one graph find (nearly) the same. */
static void the_walk_finds_what_faiss_finds(void **state)
{
	for (size_t j = 0; j < IST_COUNT(asked) && asked[j].direction == IST_ALIKE; j++) {
		struct ist_bitset set = some(N, 0.9);
		struct fixture f;
		struct ist_vector_hit ours[K];
		float d[K];
		int64_t theirs[K];
		size_t n, same = 0;
		struct ist_err err;

		setup(&f, &ist_vectors_hnsw, asked[j].similarity, N, DIM);
		for (size_t q = 0; q < 2 * N_QUERIES; q++) {
			const float *query = f.queries + q / 2 * DIM;
			const struct ist_bitset *allowed = q % 2 ? &set : NULL;

			assert_ist_ok(ist_vectors_search(f.v, f.s, query, IST_ALIKE, K, 128,
							 allowed, ours, &n, &err));
			assert_ist_ok(ist_faiss_hnsw_search(
			    f.v->index, query, K, 128, q % 2 ? set.words : NULL, d, theirs, &err));
			for (size_t i = 0; i < K; i++)
				for (size_t l = 0; l < K; l++)
					same += ours[i].position == theirs[l];
		}
		assert_true((double)same >= 0.98 * 2 * N_QUERIES * K);
		free(set.words);
		teardown(&f);
	}
}

static void a_clone_grows_on_its_own(void **state)
{
	struct fixture f;
	struct ist_vectors *clone;
	struct ist_err err;

	setup(&f, &ist_vectors_hnsw, IST_COSINE, N, DIM);
	assert_ist_ok(ist_vectors_clone(f.v, N + 10, &clone, &err));
	assert_ist_ok(ist_vectors_add(clone, f.queries, N_QUERIES, &err));
	assert_int_equal(ist_vectors_n(f.v), N);
	assert_int_equal(ist_vectors_n(clone), N + N_QUERIES);
	assert_memory_equal(ist_vectors_at(clone, N + 3), f.queries + 3 * DIM, DIM * sizeof(float));
	assert_memory_equal(ist_vectors_at(clone, 0), f.x, DIM * sizeof(float));
	ist_vectors_destroy(f.v);
	f.v = clone;
	free(f.x);
	f.x = ist_alloc(N + N_QUERIES, DIM * sizeof(float));
	memcpy(f.x, ist_vectors_at(clone, 0), (N + N_QUERIES) * DIM * sizeof(float));
	assert_true(recall(&f, N + N_QUERIES, K, NULL) >= 0.97);
	teardown(&f);
}

static void the_table_of_kinds(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		const struct ist_vector_kind *kind = ist_vector_kinds[i];

		assert_ptr_equal(ist_vector_kind_find(kind->name), kind);
		assert_ptr_equal(ist_vector_kind_for(kind->from / (64 + IST_VECTOR_COST) + 1, 64),
				 kind);
	}
	assert_null(ist_vector_kind_find("none"));
	assert_true(ist_vector_kinds[0]->exact);
	assert_false(ist_vectors_hnsw.exact);
}

static void odd_widths_are_refused(void **state)
{
	struct ist_vectors *v;
	struct ist_err err;

	assert_int_equal(ist_vectors_create(&ist_vectors_flat, 0, IST_COSINE, &v, &err),
			 IST_INVALID);
	assert_int_equal(ist_vectors_create(&ist_vectors_hnsw, 1 << 20, IST_COSINE, &v, &err),
			 IST_INVALID);
}

static void a_scan_of_a_list(void **state)
{
	const int64_t list[] = {5, 17, 18, 2999}, bad[] = {3, N};
	struct fixture f;
	struct ist_vector_hit hits[K];
	struct ist_err err;
	size_t n;

	setup(&f, &ist_vectors_flat, IST_INNER, N, DIM);
	assert_ist_ok(
	    ist_vectors_scan(f.v, f.queries, IST_ALIKE, K, list, 4, NULL, hits, &n, &err));
	assert_int_equal(n, 4);
	assert_ist_ok(
	    ist_vectors_scan(f.v, f.queries, IST_ALIKE, 2, list, 4, NULL, hits, &n, &err));
	assert_int_equal(n, 2);
	assert_true(hits[0].similarity >= hits[1].similarity);
	assert_int_equal(
	    ist_vectors_scan(f.v, f.queries, IST_ALIKE, 2, bad, 2, NULL, hits, &n, &err),
	    IST_INTERNAL);
	teardown(&f);
}

/* What is no number sorts last and breaks nothing. */
static void vectors_that_are_no_numbers(void **state)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++) {
		float broken[DIM] = {NAN};
		struct ist_vector_hit hits[301];
		struct fixture f;
		struct ist_err err;
		size_t n;

		setup(&f, ist_vector_kinds[i], IST_EUCLIDEAN, 300, DIM);
		assert_ist_ok(ist_vectors_add(f.v, broken, 1, &err));
		assert_ist_ok(ist_vectors_search(f.v, f.s, f.queries, IST_ALIKE, 301, 0, NULL, hits,
						 &n, &err));
		assert_int_equal(n, 301);
		assert_int_equal(hits[300].position, 300);
		teardown(&f);
	}
}

TEST_MAIN(cmocka_unit_test(each_kind_finds_what_brute_force_finds),
	  cmocka_unit_test(selectors_of_all_densities),
	  cmocka_unit_test(a_selector_far_from_the_query), cmocka_unit_test(k_beyond_what_there_is),
	  cmocka_unit_test(an_empty_index_finds_nothing),
	  cmocka_unit_test(a_selector_that_allows_nothing), cmocka_unit_test(equal_vectors),
	  cmocka_unit_test(tuning_reaches_its_target),
	  cmocka_unit_test(the_walk_finds_what_faiss_finds),
	  cmocka_unit_test(a_clone_grows_on_its_own), cmocka_unit_test(the_table_of_kinds),
	  cmocka_unit_test(odd_widths_are_refused), cmocka_unit_test(a_scan_of_a_list),
	  cmocka_unit_test(vectors_that_are_no_numbers))
