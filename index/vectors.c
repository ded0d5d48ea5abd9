/*
 * The table of kinds, and what all kinds share: life, the exact scan, tuning, a thread's workspace.
 * An index is built by one thread; once built it is only read, by any number of threads, and owns
 * no lock.
 */
#include "index/vectors.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/vectors_kind.h"

#define DIM_MAX 65536

const struct ist_vector_kind *const ist_vector_kinds[] = {
    &ist_vectors_flat,
    &ist_vectors_hnsw,
    NULL,
};

const struct ist_vector_kind *ist_vector_kind_find(const char *name)
{
	for (size_t i = 0; ist_vector_kinds[i] != NULL; i++)
		if (strcmp(ist_vector_kinds[i]->name, name) == 0)
			return ist_vector_kinds[i];
	return NULL;
}

const struct ist_vector_kind *ist_vector_kind_for(size_t n, size_t dim)
{
	const struct ist_vector_kind *best = ist_vector_kinds[0];

	for (size_t i = 1; ist_vector_kinds[i] != NULL; i++)
		if (n * (dim + IST_VECTOR_COST) >= ist_vector_kinds[i]->from)
			best = ist_vector_kinds[i];
	return best;
}

void ist_vectors_refresh(struct ist_vectors *v)
{
	v->n = (size_t)faiss_Index_ntotal(v->index);
	v->x = ist_faiss_data(v->index);
	if (ist_faiss_is_hnsw(v->index))
		ist_faiss_graph_of(v->index, &v->graph);
}

/* Without an index yet: destroy copes with that, so a failure half-way needs no other path. */
static struct ist_vectors *allocate(const struct ist_vector_kind *kind, size_t dim,
				    enum ist_similarity similarity)
{
	struct ist_vectors *v = ist_alloc(1, sizeof(*v));

	v->kind = kind;
	v->dim = dim;
	v->similarity = similarity;
	return v;
}

enum ist_code ist_vectors_create(const struct ist_vector_kind *kind, size_t dim,
				 enum ist_similarity similarity, struct ist_vectors **ret,
				 struct ist_err *err)
{
	struct ist_vectors *v;
	enum ist_code code;

	if (dim == 0 || dim > DIM_MAX)
		return ist_fail(err, IST_INVALID, "a vector has 1 to %d dimensions, not %zu",
				DIM_MAX, dim);
	v = allocate(kind, dim, similarity);
	code = kind->create(v, err);
	if (code != IST_OK) {
		ist_vectors_destroy(v);
		return code;
	}
	ist_vectors_refresh(v);
	*ret = v;
	return IST_OK;
}

/* The tuned breadth goes with the clone: a little growth hardly changes what is needed. */
enum ist_code ist_vectors_clone(const struct ist_vectors *from, size_t n, struct ist_vectors **ret,
				struct ist_err *err)
{
	struct ist_vectors *v;
	enum ist_code code;

	if (from->kind->clone == NULL)
		return ist_fail(err, IST_INTERNAL, "%s cannot be cloned", from->kind->name);
	v = allocate(from->kind, from->dim, from->similarity);
	v->ef = from->ef;
	code = from->kind->clone(v, from, n, err);
	if (code != IST_OK) {
		ist_vectors_destroy(v);
		return code;
	}
	ist_vectors_refresh(v);
	*ret = v;
	return IST_OK;
}

void ist_vectors_destroy(struct ist_vectors *v)
{
	if (v == NULL)
		return;
	if (v->index != NULL)
		v->kind->destroy(v);
	free(v);
}

size_t ist_vectors_n(const struct ist_vectors *v)
{
	return v->n;
}

size_t ist_vectors_dim(const struct ist_vectors *v)
{
	return v->dim;
}

size_t ist_vectors_bytes(const struct ist_vectors *v)
{
	return sizeof(*v) + ist_faiss_bytes(v->index);
}

const struct ist_vector_kind *ist_vectors_kind(const struct ist_vectors *v)
{
	return v->kind;
}

size_t ist_vectors_ef(const struct ist_vectors *v)
{
	return v->ef;
}

void ist_vectors_reserve(struct ist_vectors *v, size_t n)
{
	/* Without it the index only ends up larger than it need be. */
	if (ist_faiss_reserve(v->index, n, NULL) == IST_OK)
		ist_vectors_refresh(v);
}

/* Refreshed even after a failure: FAISS may have moved its memory before it failed. */
enum ist_code ist_vectors_add(struct ist_vectors *v, const float *x, size_t n, struct ist_err *err)
{
	enum ist_code code;

	if (n == 0)
		return IST_OK;
	code = v->kind->add(v, x, n, err);
	ist_vectors_refresh(v);
	return code;
}

const float *ist_vectors_at(const struct ist_vectors *v, int64_t position)
{
	return v->x + (size_t)position * v->dim;
}

enum ist_code ist_vectors_search(const struct ist_vectors *v, struct ist_searcher *s,
				 const float *query, enum ist_direction direction, size_t k,
				 size_t ef, const struct ist_bitset *allowed,
				 struct ist_vector_hit *ret, size_t *ret_n, struct ist_err *err)
{
	k = IST_MIN(k, v->n);
	if (k == 0) {
		*ret_n = 0;
		return IST_OK;
	}
	return v->kind->search(v, s, query, direction, k, ef, allowed, ret, ret_n, err);
}

/* A position beyond the index is the caller's mistake; it is told rather than read past the end. */
enum ist_code ist_vectors_scan(const struct ist_vectors *v, const float *query,
			       enum ist_direction direction, size_t k, const int64_t *positions,
			       size_t n_positions, const struct ist_bitset *allowed,
			       struct ist_vector_hit *ret, size_t *ret_n, struct ist_err *err)
{
	const uint64_t *words = allowed != NULL ? allowed->words : NULL;
	struct ist_scan scan;

	ist_scan_init(&scan, query, v->dim, v->similarity, direction, k, ret);
	if (k > 0 && positions == NULL)
		ist_scan_run(&scan, v->x, v->n, 0, words, 0);
	for (size_t i = 0; k > 0 && positions != NULL && i < n_positions; i++) {
		if (positions[i] < 0 || (size_t)positions[i] >= v->n)
			return ist_fail(err, IST_INTERNAL, "no position %lld",
					(long long)positions[i]);
		if (words != NULL && !ist_bit(words, (size_t)positions[i]))
			continue;
		ist_prefetch(ist_vectors_at(v, positions[i]), v->dim);
		ist_scan_push(&scan, ist_vectors_at(v, positions[i]), positions[i]);
	}
	*ret_n = ist_scan_finish(&scan);
	return IST_OK;
}

/* ---- tuning ---- */

/* From where less is hardly quicker. */
static const size_t ef_ladder[] = {32, 48, 64, 96, 128, 192, 256, 384, 512, 768};

/* What an index is measured by. */
struct sample {
	const float *queries;		     /* (n, dim) */
	const enum ist_direction *direction; /* (n); NULL: alike */
	size_t n, k;
	float *kth; /* (n) the similarity of the k-th nearest */
};

static enum ist_direction direction_of(const struct sample *sample, size_t q)
{
	return sample->direction != NULL ? sample->direction[q] : IST_ALIKE;
}

/* Queries share a block of vectors while it is in the cache; one by one they would each read the
 * whole index from memory. */
static void exact_kth(const struct ist_vectors *v, struct sample *sample)
{
	size_t n = sample->n, k = sample->k;
	ist_autofree struct ist_scan *scans = ist_alloc(n, sizeof(*scans));
	ist_autofree struct ist_vector_hit *hits = ist_alloc(n * k, sizeof(*hits));
	size_t block = IST_MAX(65536 / v->dim, 16);

	for (size_t q = 0; q < n; q++)
		ist_scan_init(&scans[q], sample->queries + q * v->dim, v->dim, v->similarity,
			      direction_of(sample, q), k, hits + q * k);
	for (size_t i = 0; i < v->n; i += block)
		for (size_t q = 0; q < n; q++)
			ist_scan_run(&scans[q], v->x + i * v->dim, IST_MIN(block, v->n - i),
				     (int64_t)i, NULL, 0);
	for (size_t q = 0; q < n; q++)
		sample->kth[q] = hits[q * k + ist_scan_finish(&scans[q]) - 1].similarity;
}

/* The recall of the index as it is set now, the least of those by kind of score: ten easy queries
 * must not make up for ten hard ones. The walk and the exact scan score with the same kernel, so
 * equal vectors have equal similarities and a plain comparison counts them. */
static enum ist_code measure(const struct ist_vectors *v, struct ist_searcher *s,
			     const struct sample *sample, double *ret, struct ist_err *err)
{
	ist_autofree struct ist_vector_hit *hits = ist_alloc(sample->k, sizeof(*hits));
	size_t right[IST_N_SCORES] = {0}, all[IST_N_SCORES] = {0}, n_hits;

	for (size_t q = 0; q < sample->n; q++) {
		enum ist_direction direction = direction_of(sample, q);
		enum ist_score_kind kind = ist_similarity_score(v->similarity, direction);
		enum ist_code code =
		    ist_vectors_search(v, s, sample->queries + q * v->dim, direction, sample->k, 0,
				       NULL, hits, &n_hits, err);

		if (code != IST_OK)
			return code;
		for (size_t i = 0; i < n_hits; i++)
			right[kind] += hits[i].similarity >= sample->kth[q];
		all[kind] += sample->k;
	}
	*ret = 1;
	for (int kind = 0; kind < IST_N_SCORES; kind++)
		if (all[kind] > 0)
			*ret = fmin(*ret, (double)right[kind] / (double)all[kind]);
	return IST_OK;
}

/* Recall grows with ef, so the first rung that reaches the target is the cheapest; where none does,
 * the last one stays and its recall is the answer. */
enum ist_code ist_vectors_tune(struct ist_vectors *v, const float *queries,
			       const enum ist_direction *directions, size_t n, size_t k,
			       double target, double *ret_recall, struct ist_err *err)
{
	ist_auto(ist_searcher_finish) struct ist_searcher s = {0};
	ist_autofree float *kth = ist_alloc(n, sizeof(*kth));
	struct sample sample = {queries, directions, n, IST_MIN(k, v->n), kth};

	*ret_recall = 1;
	if (v->kind->exact || sample.k == 0 || n == 0)
		return IST_OK;
	exact_kth(v, &sample);
	for (size_t i = 0; i < IST_COUNT(ef_ladder); i++) {
		enum ist_code code;

		v->ef = ef_ladder[i];
		code = measure(v, &s, &sample, ret_recall, err);
		if (code != IST_OK || *ret_recall >= target)
			return code;
	}
	return IST_OK;
}

/* ---- a thread's workspace ---- */

struct ist_searcher *ist_searcher_create(void)
{
	return ist_alloc(1, sizeof(struct ist_searcher));
}

void ist_searcher_finish(struct ist_searcher *s)
{
	free(s->visited);
	free(s->candidates.node);
	free(s->found.node);
	free(s->positions);
	free(s->words);
	free(s->hits);
	free(s->merged);
	*s = (struct ist_searcher){0};
}

void ist_searcher_destroy(struct ist_searcher *s)
{
	if (s == NULL)
		return;
	ist_searcher_finish(s);
	free(s);
}

/* Room for n, the contents lost: a workspace holds nothing between two uses. */
static void *grown(void *p, size_t *cap, size_t n, size_t size)
{
	if (n <= *cap)
		return p;
	*cap = IST_MAX(n, *cap * 2);
	free(p);
	return ist_alloc_raw(*cap, size);
}

int64_t *ist_searcher_positions(struct ist_searcher *s, size_t n)
{
	return s->positions = grown(s->positions, &s->cap_positions, n, sizeof(*s->positions));
}

uint64_t *ist_searcher_words(struct ist_searcher *s, size_t n_positions)
{
	size_t n = (n_positions + 63) / 64;

	s->words = grown(s->words, &s->cap_words, n, sizeof(*s->words));
	memset(s->words, 0, n * sizeof(*s->words));
	return s->words;
}

struct ist_vector_hit *ist_searcher_hits(struct ist_searcher *s, size_t n)
{
	return s->hits = grown(s->hits, &s->cap_hits, n, sizeof(*s->hits));
}

/* OpenMP's OpenBLAS follows the same setting, which is the calling thread's own. */
void ist_threads_use(int n)
{
	omp_set_num_threads(n);
}
