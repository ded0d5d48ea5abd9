/*
 * Vector indexes by kind. A kind is a row of ist_vector_kinds (flat, hnsw, …) over FAISS's C API;
 * no FAISS type leaves index/. Positions are 0 .. n-1 in the order of adding; what they mean is the
 * caller's business (generation.h). Similarities are reported as in method.h: greater is nearer
 * (inner product, minus the L2 distance, or minus the violations of an order). Who asks whom
 * matters to the last alone: under the others every direction is the same.
 *
 * Building: one thread. Searching: any number of threads at once, each with its own searcher.
 */
#ifndef IST_INDEX_VECTORS_H
#define IST_INDEX_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/methods/similarity.h"

struct ist_vectors;  /* an index of one kind */
struct ist_searcher; /* a thread's workspace: visited table, heaps; grows, then allocates nothing */

struct ist_vector_hit {
	int64_t position;
	float similarity;
};

/* Which positions may be found: bit (p & 63) of words[p >> 6]. Words are read atomically, so that
 * one thread may clear bits while others search. */
struct ist_bitset {
	uint64_t *words;
	size_t n; /* positions */
	size_t n_set;
};

struct ist_vector_kind {
	const char *name; /* "flat", "hnsw": the word in files and in the API */
	bool exact;
	size_t from; /* chosen automatically where a scan costs this much; measured. See kind_for */
	enum ist_code (*create)(struct ist_vectors *v, struct ist_err *err);
	void (*destroy)(struct ist_vectors *v);
	enum ist_code (*add)(struct ist_vectors *v, const float *x, size_t n, struct ist_err *err);
	/* Fills at most k hits, best first; *ret_n says how many. allowed NULL: all. ef: breadth of
	 * an approximate search, 0 for the index's own. */
	enum ist_code (*search)(const struct ist_vectors *v, struct ist_searcher *s,
				const float *query, enum ist_direction direction, size_t k,
				size_t ef, const struct ist_bitset *allowed,
				struct ist_vector_hit *ret, size_t *ret_n, struct ist_err *err);
	enum ist_code (*write)(const struct ist_vectors *v, FILE *f, struct ist_err *err);
	enum ist_code (*read)(struct ist_vectors *v, FILE *f, struct ist_err *err);
	/* A copy of `from` into the empty v that can grow on its own, with room for n vectors in
	 * all; NULL: build it anew. */
	enum ist_code (*clone)(struct ist_vectors *v, const struct ist_vectors *from, size_t n,
			       struct ist_err *err);
};
extern const struct ist_vector_kind *const ist_vector_kinds[]; /* ends with NULL */
const struct ist_vector_kind *ist_vector_kind_find(const char *name);
/* The automatic choice: the last kind whose `from` is at most n * (dim + IST_VECTOR_COST), which is
 * what scanning n vectors costs, in floats: each has a cost beside its arithmetic. */
#define IST_VECTOR_COST 32
const struct ist_vector_kind *ist_vector_kind_for(size_t n, size_t dim);

/* Creates an empty index. Adding goes in blocks that take at most about a second, so that the
 * caller can stop between them. */
IST_CHECKED enum ist_code ist_vectors_create(const struct ist_vector_kind *kind, size_t dim,
					     enum ist_similarity similarity,
					     struct ist_vectors **ret, struct ist_err *err);
IST_CHECKED enum ist_code ist_vectors_clone(const struct ist_vectors *from, size_t n,
					    struct ist_vectors **ret, struct ist_err *err);
void ist_vectors_destroy(struct ist_vectors *v);
size_t ist_vectors_n(const struct ist_vectors *v);
size_t ist_vectors_dim(const struct ist_vectors *v);
size_t ist_vectors_bytes(const struct ist_vectors *v);
const struct ist_vector_kind *ist_vectors_kind(const struct ist_vectors *v);
IST_CHECKED enum ist_code ist_vectors_add(struct ist_vectors *v, const float *x, size_t n,
					  struct ist_err *err);
/* Room for n vectors in all, so that the index ends up no larger than its data. */
void ist_vectors_reserve(struct ist_vectors *v, size_t n);
const float *ist_vectors_at(const struct ist_vectors *v, int64_t position); /* (dim) */
IST_CHECKED enum ist_code ist_vectors_search(const struct ist_vectors *v, struct ist_searcher *s,
					     const float *query, enum ist_direction direction,
					     size_t k, size_t ef, const struct ist_bitset *allowed,
					     struct ist_vector_hit *ret, size_t *ret_n,
					     struct ist_err *err);
/* The reference path, and the one for few candidates: exact over a list of positions (NULL: all
 * allowed ones). */
IST_CHECKED enum ist_code ist_vectors_scan(const struct ist_vectors *v, const float *query,
					   enum ist_direction direction, size_t k,
					   const int64_t *positions, size_t n_positions,
					   const struct ist_bitset *allowed,
					   struct ist_vector_hit *ret, size_t *ret_n,
					   struct ist_err *err);
/* recall@k against the exact search over n queries (n, dim), each in its direction (NULL: alike);
 * sets the index's own ef to the smallest that reaches `target`, and says what was reached. Where
 * directions are scored differently it is the worse one's recall. A hit counts if it is as near as
 * the k-th nearest, so that equal vectors are worth the same. */
IST_CHECKED enum ist_code ist_vectors_tune(struct ist_vectors *v, const float *queries,
					   const enum ist_direction *directions, size_t n, size_t k,
					   double target, double *ret_recall, struct ist_err *err);
size_t ist_vectors_ef(const struct ist_vectors *v); /* 0 for exact kinds */
/* A durable, checksummed file; a damaged one is IST_CORRUPT. */
IST_CHECKED enum ist_code ist_vectors_save(const struct ist_vectors *v, const char *path,
					   struct ist_err *err);
IST_CHECKED enum ist_code ist_vectors_load(const char *path, struct ist_vectors **ret,
					   struct ist_err *err);

struct ist_searcher *ist_searcher_create(void);
void ist_searcher_destroy(struct ist_searcher *s);

/* To be called once by every thread that searches, embeds or builds: how many threads BLAS and
 * OpenMP may use in it (1 for all but the builder and the trainer). */
void ist_threads_use(int n);

#endif
