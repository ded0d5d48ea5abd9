/* The plain list: append at the end, look at everything, sort. */
#include "tests/unit/index/generation_model.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "tests/unit/index/vectors_sample.h"
#include "tests/unit/test.h"

void naive_finish(struct naive *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->entries[i].x);
	free(list->entries);
}

void naive_append(struct naive *list, int64_t row, uint32_t ordinal, const float *x)
{
	if (list->n == list->cap) {
		list->cap = 2 * list->cap + 64;
		list->entries = ist_resize(list->entries, list->cap, sizeof(*list->entries));
	}
	list->entries[list->n++] = (struct naive_entry){
	    row, ordinal, true, false,
	    memcpy(ist_alloc_raw(list->dim, sizeof(float)), x, list->dim * sizeof(float))};
}

void naive_kill(struct naive *list, int64_t row)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->entries[i].row == row)
			list->entries[i].live = false;
}

void naive_publish(struct naive *list)
{
	for (size_t i = 0; i < list->n; i++)
		list->entries[i].published = true;
}

static bool is_in(const int64_t *rows, size_t n, int64_t row)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i] == row)
			return true;
	return rows == NULL;
}

static int by_rank(const void *a, const void *b)
{
	const struct ist_generation_hit *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity > y->similarity ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static bool is_found(const struct ist_generation_hit *hits, size_t n, int64_t row)
{
	for (size_t i = 0; i < n; i++)
		if (hits[i].row == row)
			return true;
	return false;
}

/* What the list says of a query of `from`. */
static double similarity_of(const struct naive *list, int from, const float *query, const float *x)
{
	return sample_similarity(query, x, list->dim, list->similarity,
				 ist_direction_of(from, list->side));
}

size_t naive_search(const struct naive *list, int from, const float *query, size_t k,
		    const int64_t *rows, size_t n_rows, struct ist_generation_hit *ret)
{
	ist_autofree struct ist_generation_hit *all = ist_alloc(list->n, sizeof(*all));
	size_t n_all = 0, n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct naive_entry *e = &list->entries[i];

		if (e->live && e->published && is_in(rows, n_rows, e->row))
			all[n_all++] = (struct ist_generation_hit){
			    e->row, e->ordinal, (float)similarity_of(list, from, query, e->x)};
	}
	qsort(all, n_all, sizeof(*all), by_rank);
	for (size_t i = 0; i < n_all && n < k; i++)
		if (!is_found(ret, n, all[i].row))
			ret[n++] = all[i];
	return n;
}

/* Of any result: rows are distinct, in order, allowed; similarities are true. */
static void check_hits(const struct naive *list, int from, const float *query, const int64_t *rows,
		       size_t n_rows, const struct ist_generation_hit *hits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double truth = NAN;

		for (size_t j = 0; j < list->n; j++)
			if (list->entries[j].row == hits[i].row &&
			    list->entries[j].ordinal == hits[i].ordinal && list->entries[j].live &&
			    list->entries[j].published)
				truth = similarity_of(list, from, query, list->entries[j].x);
		assert_true(fabs(hits[i].similarity - truth) <= 2e-4);
		assert_true(is_in(rows, n_rows, hits[i].row));
		assert_false(is_found(hits, i, hits[i].row));
		assert_true(i == 0 || by_rank(&hits[i - 1], &hits[i]) < 0);
	}
}

void naive_compare(const struct naive *list, const struct ist_generation *g, struct ist_searcher *s,
		   int from, const float *query, size_t k, const int64_t *rows, size_t n_rows,
		   double at_least)
{
	ist_autofree struct ist_generation_hit *want = ist_alloc(k, sizeof(*want));
	ist_autofree struct ist_generation_hit *got = ist_alloc(k, sizeof(*got));
	size_t n_want = naive_search(list, from, query, k, rows, n_rows, want), n_got, right = 0;
	struct ist_err err;

	assert_ist_ok(ist_generation_search(g, ist_generation_watermark(g), s, from, list->side,
					    query, k, rows, n_rows, at_least >= 1, got, &n_got,
					    &err));
	assert_int_equal(n_got, n_want);
	check_hits(list, from, query, rows, n_rows, got, n_got);
	for (size_t i = 0; i < n_got; i++)
		right += got[i].similarity >= want[n_want - 1].similarity - 1e-4f;
	assert_true((double)right >= at_least * (double)n_want);
}
