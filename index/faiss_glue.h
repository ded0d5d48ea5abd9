/*
 * What FAISS 1.7.3 has in C++ only, for the C files of this folder. The C API lacks: HNSW indexes
 * with a chosen metric and breadth of construction, their graph, a search with parameters and an ID
 * selector, room made ahead, the vectors' own memory, and a clone of an HNSW index that can be
 * written (its faiss_clone_index returns the parent class, which write_index refuses).
 * No exception leaves these functions.
 */
#ifndef IST_INDEX_FAISS_GLUE_H
#define IST_INDEX_FAISS_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <faiss/c_api/Index_c.h>

#include "core/base/error.h"

/* The links of an HNSW index, for a walk of our own. Borrowed until the index next grows. */
struct ist_faiss_graph {
	const size_t *offsets; /* (n + 1) where a vector's links begin */
	const int32_t *links;  /* all levels of a vector in a row; -1 ends a level early */
	const int *level_at;   /* (levels + 1) where a level begins among a vector's links */
	int32_t entry;	       /* -1: empty */
	int top;	       /* the entry's level */
};

IST_CHECKED enum ist_code ist_faiss_hnsw_new(int dim, int n_links, int ef_construction,
					     FaissMetricType metric, FaissIndex **ret,
					     struct ist_err *err);
/* With room for n vectors in all. */
IST_CHECKED enum ist_code ist_faiss_clone(const FaissIndex *index, size_t n, FaissIndex **ret,
					  struct ist_err *err);
IST_CHECKED enum ist_code ist_faiss_reserve(FaissIndex *index, size_t n, struct ist_err *err);
/* Of a flat or an HNSW index: (n, dim). NULL where there are none. */
const float *ist_faiss_data(const FaissIndex *index);
bool ist_faiss_is_flat(const FaissIndex *index);
bool ist_faiss_is_hnsw(const FaissIndex *index);
void ist_faiss_graph_of(const FaissIndex *index, struct ist_faiss_graph *ret);
/* Whether sizes and links fit together, so that a walk stays within the arrays. */
bool ist_faiss_graph_is_sound(const FaissIndex *index);
size_t ist_faiss_bytes(const FaissIndex *index); /* of graph and vectors */
/* FAISS's own search with parameters and a selector: the reference of vectors_hnsw.c.
 * `words` (NULL: all) as in struct ist_bitset. labels are -1 where nothing was found. */
IST_CHECKED enum ist_code ist_faiss_hnsw_search(const FaissIndex *index, const float *query,
						size_t k, size_t ef, const uint64_t *words,
						float *distances, int64_t *labels,
						struct ist_err *err);
/* The text of the C API's last failure, as an error. */
enum ist_code ist_faiss_fail(struct ist_err *err, const char *what);

#ifdef __cplusplus
}
#endif

#endif
