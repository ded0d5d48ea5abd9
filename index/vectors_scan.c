/*
 * The exact search. Its order is total (score, then position), so that what it finds does not
 * depend on the order in which blocks were fed. A score that is not a number sorts last.
 */
#include "index/vectors_scan.h"

#include <math.h>
#include <stdlib.h>

ist_score *ist_score_for(enum ist_similarity similarity, enum ist_direction direction)
{
	return ist_score_kernel_best()->score[ist_similarity_score(similarity, direction)];
}

void ist_scan_init(struct ist_scan *scan, const float *query, size_t dim,
		   enum ist_similarity similarity, enum ist_direction direction, size_t k,
		   struct ist_vector_hit *hits)
{
	*scan = (struct ist_scan){
	    .query = query,
	    .dim = dim,
	    .k = k,
	    .similarity = similarity,
	    .score = ist_score_for(similarity, direction),
	    .hits = hits,
	};
}

/* The total order: of equal scores the later position is worse. */
static inline bool is_worse(const struct ist_vector_hit *a, const struct ist_vector_hit *b)
{
	return a->similarity < b->similarity ||
	       (a->similarity == b->similarity && a->position > b->position);
}

/* Replaces the worst hit, on top, by a better one. */
static void sift_down(struct ist_vector_hit *hits, size_t n, struct ist_vector_hit hit)
{
	size_t i = 0, child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && is_worse(&hits[child + 1], &hits[child]))
			child++;
		if (!is_worse(&hits[child], &hit))
			break;
		hits[i] = hits[child];
		i = child;
	}
	hits[i] = hit;
}

static void sift_up(struct ist_vector_hit *hits, size_t i, struct ist_vector_hit hit)
{
	while (i > 0 && is_worse(&hit, &hits[(i - 1) / 2])) {
		hits[i] = hits[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	hits[i] = hit;
}

/* Most vectors end at the comparison with the worst of the k. */
static inline void offer(struct ist_scan *scan, int64_t position, float score)
{
	struct ist_vector_hit hit = {position, isnan(score) ? -INFINITY : score};

	if (scan->n < scan->k)
		sift_up(scan->hits, scan->n++, hit);
	else if (is_worse(&scan->hits[0], &hit))
		sift_down(scan->hits, scan->n, hit);
}

/* A kernel takes four: fewer are filled up with the first, whose result is thrown away. */
static void score_four(struct ist_scan *scan, int first, int n)
{
	const float *x[4];
	float score[4];

	for (int i = 0; i < 4; i++)
		x[i] = scan->x[first + (i < n ? i : 0)];
	scan->score(scan->query, x, scan->dim, score);
	for (int i = 0; i < n; i++)
		offer(scan, scan->position[first + i], score[i]);
}

void ist_scan_flush(struct ist_scan *scan)
{
	for (int i = 0; i < scan->n_waiting; i += 4)
		score_four(scan, i, scan->n_waiting - i < 4 ? scan->n_waiting - i : 4);
	scan->n_waiting = 0;
}

/* Without gaps the processor fetches ahead by itself; between gaps it has to be told. */
void ist_scan_run(struct ist_scan *scan, const float *x, size_t n, int64_t first,
		  const uint64_t *live, size_t live_first)
{
	if (live == NULL) {
		for (size_t i = 0; i < n; i++)
			ist_scan_push(scan, x + i * scan->dim, first + (int64_t)i);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!ist_bit(live, live_first + i))
			continue;
		ist_prefetch(x + i * scan->dim, scan->dim);
		ist_scan_push(scan, x + i * scan->dim, first + (int64_t)i);
	}
}

static int compare_hits(const void *a, const void *b)
{
	return is_worse(a, b) ? 1 : is_worse(b, a) ? -1 : 0;
}

size_t ist_scan_finish(struct ist_scan *scan)
{
	ist_scan_flush(scan);
	qsort(scan->hits, scan->n, sizeof(*scan->hits), compare_hits);
	for (size_t i = 0; i < scan->n; i++)
		scan->hits[i].similarity =
		    ist_similarity_of_score(scan->similarity, scan->hits[i].similarity);
	return scan->n;
}
