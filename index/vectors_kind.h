/*
 * What the kinds of vector index share: the index itself, a thread's workspace, and how to write
 * another kind. Private to index/vectors*.c, the generation's search and their tests.
 *
 * To add a kind: write vectors_<name>.c with one row, list it in vectors.c.
 */
#ifndef IST_INDEX_VECTORS_KIND_H
#define IST_INDEX_VECTORS_KIND_H

#include "index/faiss_glue.h"
#include "index/vectors.h"
#include "index/vectors_scan.h"

struct ist_vectors {
	const struct ist_vector_kind *kind;
	size_t dim, n;
	enum ist_similarity similarity;
	size_t ef; /* breadth of an approximate search; 0 for exact kinds */
	FaissIndex *index;
	const float *x;		      /* (n, dim) FAISS's memory; moves when the index grows */
	struct ist_faiss_graph graph; /* hnsw only; moves too */
};

/* A heap of candidates, the smallest key on top. */
struct ist_heap_node {
	float key;
	int32_t position;
};
struct ist_heap {
	struct ist_heap_node *node;
	size_t n, cap;
};

/* One thread's workspace. Everything grows to what the largest search needs and stays. */
struct ist_searcher {
	uint8_t *visited; /* visited[p] == mark: seen in this search */
	size_t n_visited;
	uint8_t mark;
	struct ist_heap candidates, found;
	/* The generation's: */
	int64_t *positions;
	size_t cap_positions;
	uint64_t *words;
	size_t cap_words;
	struct ist_vector_hit *hits;
	size_t cap_hits;
	struct ist_generation_hit *merged;
	size_t cap_merged;
};
void ist_searcher_finish(struct ist_searcher *s);
int64_t *ist_searcher_positions(struct ist_searcher *s, size_t n);
uint64_t *ist_searcher_words(struct ist_searcher *s, size_t n_positions); /* zeroed */
struct ist_vector_hit *ist_searcher_hits(struct ist_searcher *s, size_t n);

extern const struct ist_vector_kind ist_vectors_flat, ist_vectors_hnsw;

/* What FAISS builds by: that of vectors of one kind. */
static inline FaissMetricType ist_metric_of(enum ist_similarity similarity)
{
	return ist_similarity_score(similarity, IST_ALIKE) == IST_SCORE_L2 ? METRIC_L2
									   : METRIC_INNER_PRODUCT;
}

/* To be called after the index was made or has grown. */
void ist_vectors_refresh(struct ist_vectors *v);
/* The check that kinds share: what was read is of this width, length and metric. */
IST_CHECKED enum ist_code ist_vectors_check_read(const struct ist_vectors *v, struct ist_err *err);
/* Whether scoring the n_allowed vectors one by one costs less than an approximate search. */
bool ist_vectors_prefers_scan(const struct ist_vectors *v, size_t k, size_t n_allowed);

/* ist_vectors_save and ist_vectors_load, that also tell the file's checksum (NULL: not asked). */
IST_CHECKED enum ist_code ist_vectors_save_with(const struct ist_vectors *v, const char *path,
						uint64_t *ret_checksum, struct ist_err *err);
IST_CHECKED enum ist_code ist_vectors_load_with(const char *path, struct ist_vectors **ret,
						uint64_t *ret_checksum, struct ist_err *err);

#endif
