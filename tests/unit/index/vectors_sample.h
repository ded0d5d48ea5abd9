/*
 * Vectors for the tests and benchmarks of this folder: clusters within clusters, of which most of
 * the spread lies in few directions, like embeddings of real data. The same seed, the same vectors.
 */
#ifndef IST_TESTS_UNIT_INDEX_VECTORS_SAMPLE_H
#define IST_TESTS_UNIT_INDEX_VECTORS_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/methods/method.h"
#include "index/vectors.h"

/* (n, dim), to be freed. Of unit length for IST_COSINE; for IST_INNER softmax outputs; for
 * IST_ORDER of unit length without negative numbers, and texts say only a part of what a picture
 * holds. `stream` tells draws of one distribution apart (base and queries). */
float *sample_side(size_t n, size_t dim, enum ist_similarity similarity, enum ist_modality side,
		   uint64_t seed, const char *stream);
/* Of pictures. */
float *sample_vectors(size_t n, size_t dim, enum ist_similarity similarity, uint64_t seed,
		      const char *stream);
/* The similarity of a query a and a vector b, by a loop in double. */
double sample_similarity(const float *a, const float *b, size_t dim, enum ist_similarity similarity,
			 enum ist_direction direction);
/* The k best of n by brute force; allowed NULL: all. Returns how many. */
size_t sample_nearest(const float *x, size_t n, size_t dim, enum ist_similarity similarity,
		      enum ist_direction direction, const float *query, size_t k,
		      const struct ist_bitset *allowed, struct ist_vector_hit *ret);
/* An identity model of these widths with the given similarity; crosses. */
struct ist_model *sample_model(size_t dim_image, size_t dim_text, enum ist_similarity similarity);

#endif
