/*
 * Exact search: scores vectors one after another and keeps the k best. The state may be fed in
 * pieces (blocks of an index, segments of a fresh part), so that many queries can share a block
 * while it is in the cache. The scan belongs to one thread; `hits` is the caller's, room for k.
 */
#ifndef IST_INDEX_VECTORS_SCAN_H
#define IST_INDEX_VECTORS_SCAN_H

#include "core/methods/similarity.h"
#include "index/vectors.h"

#define IST_PREFETCH_MAX 1024 /* bytes; the processor follows a run by itself */
#define IST_SCAN_WAIT 8	      /* two fours */

struct ist_scan {
	const float *query;
	size_t dim, k;
	enum ist_similarity similarity;
	ist_score *score;
	struct ist_vector_hit *hits; /* a heap, the worst on top; similarity holds the raw score */
	size_t n;
	/* Those that wait to be scored; while they do, their memory is on its way. */
	const float *x[IST_SCAN_WAIT];
	int64_t position[IST_SCAN_WAIT];
	int n_waiting;
};

ist_score *ist_score_for(enum ist_similarity similarity, enum ist_direction direction);

void ist_scan_init(struct ist_scan *scan, const float *query, size_t dim,
		   enum ist_similarity similarity, enum ist_direction direction, size_t k,
		   struct ist_vector_hit *hits);
void ist_scan_flush(struct ist_scan *scan);

/* For vectors that do not lie in a row: starts fetching x, which is pushed later. */
static inline void ist_prefetch(const float *x, size_t dim)
{
	const char *bytes = (const char *)x;

	for (size_t i = 0; i < dim * sizeof(*x) && i < IST_PREFETCH_MAX; i += 64)
		__builtin_prefetch(bytes + i);
}

static inline void ist_scan_push(struct ist_scan *scan, const float *x, int64_t position)
{
	scan->x[scan->n_waiting] = x;
	scan->position[scan->n_waiting] = position;
	if (++scan->n_waiting == IST_SCAN_WAIT)
		ist_scan_flush(scan);
}

/* n vectors in a row, at positions first, first + 1, …; `live` (NULL: all) has the bit of x[0] at
 * `live_first`. */
void ist_scan_run(struct ist_scan *scan, const float *x, size_t n, int64_t first,
		  const uint64_t *live, size_t live_first);
/* Best first, ties by position; similarities instead of scores. Returns how many. */
size_t ist_scan_finish(struct ist_scan *scan);

static inline bool ist_bit(const uint64_t *words, size_t i)
{
	return __atomic_load_n(&words[i >> 6], __ATOMIC_RELAXED) >> (i & 63) & 1;
}

#endif
