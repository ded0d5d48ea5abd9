/*
 * The readers' side: the k best rows of a modality. The base gives its nearest vectors (by its
 * index, or exactly), the fresh part its own (exactly), and both lists become one with a hit a row.
 *
 * A list that was cut short may hide better rows than the other list's last ones. The result
 * stands only if its k-th row is at least as near as the end of every list that was cut; else both
 * are fetched again, twice as long. Where rows have one vector each the first round is enough.
 *
 * Nothing here takes a lock. A row that dies during a search may still be found by it.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/generation_parts.h"

struct search {
	const struct ist_base *base;
	const struct ist_fresh *fresh;
	size_t n_fresh;
	struct ist_searcher *s;
	const float *query;
	enum ist_direction direction;
	const int64_t *rows; /* NULL: all */
	size_t n_rows;
	bool exact;
	/* With `rows`: what they come to, in s->positions; the fresh ones after the base's. */
	size_t n_base_list, n_fresh_list;
	struct ist_bitset allowed; /* words NULL: all of the base */
	bool scan_list;
	float cut; /* nothing unseen is nearer than this */
	size_t n;  /* in s->merged */
};

/* ---- the filter: rows to positions ---- */

/* All live vectors of one row. */
static void take_base_row(struct search *search, size_t *i, int64_t row)
{
	const struct ist_base *base = search->base;

	for (; *i < base->n && base->rows[*i] == row; (*i)++)
		if (ist_bit(base->live, *i))
			search->s->positions[search->n_base_list++] = (int64_t)*i;
}

/* The first position from `from` on whose row is >= row: doubling steps, then halving. Costs next
 * to nothing where rows lie close together, and a logarithm where they do not. */
static size_t gallop(const struct ist_base *base, size_t from, int64_t row)
{
	size_t step = 1, low = from, high;

	while (low + step < base->n && base->rows[low + step] < row) {
		low += step;
		step *= 2;
	}
	high = IST_MIN(low + step, base->n);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (base->rows[middle] < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void list_base(struct search *search)
{
	size_t i = 0;

	for (size_t j = 0; j < search->n_rows && i < search->base->n; j++) {
		i = gallop(search->base, i, search->rows[j]);
		take_base_row(search, &i, search->rows[j]);
	}
}

static bool is_listed(const struct search *search, int64_t row)
{
	size_t at = ist_rows_lower(search->rows, search->n_rows, row);

	return at < search->n_rows && search->rows[at] == row;
}

/* The fresh part is short and need not be in order, so each of its rows is looked up. */
static void list_fresh(struct search *search)
{
	int64_t *list = search->s->positions + search->n_base_list;

	for (size_t i = 0; i < search->n_fresh; i++)
		if (ist_fresh_is_live(search->fresh, i) &&
		    is_listed(search, ist_fresh_row(search->fresh, i)))
			list[search->n_fresh_list++] = (int64_t)i;
}

static void allow_listed(struct search *search)
{
	uint64_t *words = ist_searcher_words(search->s, search->base->n);
	const int64_t *list = search->s->positions;

	for (size_t i = 0; i < search->n_base_list; i++)
		words[list[i] >> 6] |= (uint64_t)1 << (list[i] & 63);
	search->allowed = (struct ist_bitset){words, search->base->n, search->n_base_list};
}

/* Once a search, before the rounds. Without filter or deaths the index is searched as it is. */
static void prepare(struct search *search, size_t k)
{
	const struct ist_base *base = search->base;
	size_t n_dead = __atomic_load_n(&base->n_dead, __ATOMIC_RELAXED);

	if (search->rows == NULL) {
		if (n_dead > 0)
			search->allowed =
			    (struct ist_bitset){base->live, base->n, base->n - n_dead};
		return;
	}
	ist_searcher_positions(search->s, base->n + search->n_fresh);
	list_base(search);
	list_fresh(search);
	search->scan_list = search->exact || base->index == NULL ||
			    ist_vectors_prefers_scan(base->index, k, search->n_base_list);
	if (!search->scan_list)
		allow_listed(search);
}

/* ---- the two lists ---- */

/* Four ways: a list of positions, a scan, and the index with or without a selector. */
static enum ist_code find_in_base(struct search *search, size_t want, size_t *ret_n,
				  struct ist_err *err)
{
	struct ist_vector_hit *hits = ist_searcher_hits(search->s, want);
	const struct ist_vectors *index = search->base->index;
	const struct ist_bitset *allowed = search->allowed.words != NULL ? &search->allowed : NULL;

	*ret_n = 0;
	if (index == NULL)
		return IST_OK;
	if (search->scan_list)
		return ist_vectors_scan(index, search->query, search->direction, want,
					search->s->positions, search->n_base_list, NULL, hits,
					ret_n, err);
	if (search->exact)
		return ist_vectors_scan(index, search->query, search->direction, want, NULL, 0,
					allowed, hits, ret_n, err);
	return ist_vectors_search(index, search->s, search->query, search->direction, want, 0,
				  allowed, hits, ret_n, err);
}

static void scan_segments(const struct search *search, struct ist_scan *scan)
{
	size_t first = 0;

	for (int t = 0; first < search->n_fresh; t++) {
		const struct ist_segment *segment = &search->fresh->segments[t];
		size_t n = IST_MIN((size_t)FRESH_UNIT << t, search->n_fresh - first);

		ist_scan_run(scan, segment->x, n, (int64_t)first, segment->live, 0);
		first += n;
	}
}

static size_t find_in_fresh(struct search *search, size_t want)
{
	struct ist_scan scan;
	const int64_t *list = search->s->positions + search->n_base_list;

	ist_scan_init(&scan, search->query, search->fresh->dim, search->base->similarity,
		      search->direction, want, ist_searcher_hits(search->s, want));
	if (search->rows == NULL)
		scan_segments(search, &scan);
	for (size_t i = 0; search->rows != NULL && i < search->n_fresh_list; i++) {
		struct ist_fresh_place at = ist_fresh_at(search->fresh, (size_t)list[i]);
		const float *x = at.segment->x + at.offset * search->fresh->dim;

		ist_prefetch(x, search->fresh->dim);
		ist_scan_push(&scan, x, list[i]);
	}
	return ist_scan_finish(&scan);
}

/* A full list may have been cut: what it left out is at most as near as its last. */
static void note_cut(struct search *search, size_t n, size_t want)
{
	if (n == want)
		search->cut = fmaxf(search->cut, search->s->hits[n - 1].similarity);
}

static void merge_base(struct search *search, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ist_vector_hit *hit = &search->s->hits[i];

		search->s->merged[search->n++] = (struct ist_generation_hit){
		    search->base->rows[hit->position],
		    search->base->ordinals[hit->position],
		    hit->similarity,
		};
	}
}

static void merge_fresh(struct search *search, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ist_vector_hit *hit = &search->s->hits[i];
		struct ist_fresh_place at = ist_fresh_at(search->fresh, (size_t)hit->position);

		search->s->merged[search->n++] = (struct ist_generation_hit){
		    at.segment->rows[at.offset],
		    at.segment->ordinals[at.offset],
		    hit->similarity,
		};
	}
}

/* ---- one hit a row ---- */

static int by_rank(const void *a, const void *b)
{
	const struct ist_generation_hit *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity > y->similarity ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static int by_row(const void *a, const void *b)
{
	const struct ist_generation_hit *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return by_rank(a, b);
}

/* Then rows are distinct without further ado. */
static bool has_one_vector_a_row(const struct search *search)
{
	return search->base->n == search->base->n_rows &&
	       !__atomic_load_n(&search->fresh->repeated, __ATOMIC_ACQUIRE) &&
	       ist_fresh_is_ordered(search->fresh);
}

static void keep_best_of_rows(struct search *search)
{
	struct ist_generation_hit *hits = search->s->merged;
	size_t n = 0;

	qsort(hits, search->n, sizeof(*hits), by_row);
	for (size_t i = 0; i < search->n; i++)
		if (n == 0 || hits[i].row != hits[n - 1].row)
			hits[n++] = hits[i];
	search->n = n;
}

static void reserve_merged(struct ist_searcher *s, size_t n)
{
	if (n <= s->cap_merged)
		return;
	free(s->merged);
	s->cap_merged = n;
	s->merged = ist_alloc_raw(n, sizeof(*s->merged));
}

/* Up to `want` vectors of either part, then the best of each row, in order of rank. */
static enum ist_code one_round(struct search *search, size_t want, struct ist_err *err)
{
	size_t n;
	enum ist_code code;

	reserve_merged(search->s, 2 * want);
	search->n = 0;
	search->cut = -INFINITY;
	code = find_in_base(search, want, &n, err);
	if (code != IST_OK)
		return code;
	note_cut(search, n, want);
	merge_base(search, n);
	n = find_in_fresh(search, want);
	note_cut(search, n, want);
	merge_fresh(search, n);
	if (!has_one_vector_a_row(search))
		keep_best_of_rows(search);
	qsort(search->s->merged, search->n, sizeof(*search->s->merged), by_rank);
	return IST_OK;
}

/* Vectors to ask for, so that about k rows come out: k times the mean number a row. */
static size_t first_want(const struct search *search, size_t k)
{
	size_t n_rows = __atomic_load_n(&search->fresh->n_rows, __ATOMIC_RELAXED);
	size_t base = search->base->n_rows > 0 ? (search->base->n - 1) / search->base->n_rows : 0;
	size_t fresh = search->n_fresh > 0 && n_rows > 0 ? (search->n_fresh - 1) / n_rows : 0;

	return k * (1 + IST_MAX(base, fresh));
}

/* Ends: `want` doubles until it covers everything, and then nothing was cut. */
enum ist_code ist_generation_search(const struct ist_generation *g, struct ist_watermark mark,
				    struct ist_searcher *s, int from, enum ist_modality m,
				    const float *query, size_t k, const int64_t *rows,
				    size_t n_rows, bool exact, struct ist_generation_hit *ret,
				    size_t *ret_n, struct ist_err *err)
{
	struct search search = {
	    .base = &g->base[m],
	    .fresh = &g->fresh[m],
	    .n_fresh = mark.fresh[m],
	    .s = s,
	    .query = query,
	    .direction = ist_direction_of(from, m),
	    .rows = rows,
	    .n_rows = n_rows,
	    .exact = exact,
	};
	size_t total = search.base->n + search.n_fresh, want;

	*ret_n = 0;
	k = IST_MIN(k, total);
	if (k == 0 || (rows != NULL && n_rows == 0))
		return IST_OK;
	want = IST_MIN(first_want(&search, k), total);
	prepare(&search, want);
	for (;;) {
		enum ist_code code = one_round(&search, want, err);

		if (code != IST_OK)
			return code;
		if (want == total || (search.n >= k && s->merged[k - 1].similarity >= search.cut) ||
		    search.cut == -INFINITY)
			break;
		want = IST_MIN(2 * want, total);
	}
	*ret_n = IST_MIN(search.n, k);
	memcpy(ret, s->merged, *ret_n * sizeof(*ret));
	return IST_OK;
}
