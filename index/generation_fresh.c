/*
 * The fresh part: vectors written since the base was built. One writer appends and publishes,
 * readers go as far as the published count that they took. Segments are allocated by the writer
 * before anything in them is published, so readers need no more than that one acquire.
 */
#include <string.h>

#include "core/base/memory.h"
#include "index/generation_parts.h"

static size_t segment_size(int t)
{
	return (size_t)FRESH_UNIT << t;
}

/* Of a large segment only what is written takes memory: the system gives pages when touched. */
static void segment_init(struct ist_segment *segment, size_t size, size_t dim)
{
	segment->x = ist_alloc_raw(size, dim * sizeof(float));
	segment->rows = ist_alloc_raw(size, sizeof(*segment->rows));
	segment->ordinals = ist_alloc_raw(size, sizeof(*segment->ordinals));
	segment->live = ist_alloc(size / 64, sizeof(*segment->live));
}

void ist_fresh_finish(struct ist_fresh *fresh)
{
	for (int t = 0; t < FRESH_SEGMENTS; t++) {
		free(fresh->segments[t].x);
		free(fresh->segments[t].rows);
		free(fresh->segments[t].ordinals);
		free(fresh->segments[t].live);
	}
}

/* Notes what readers must know of the order before the vector can be seen. */
static void count_row(struct ist_fresh *fresh, int64_t row)
{
	int64_t last = fresh->n > 0 ? ist_fresh_row(fresh, fresh->n - 1) : INT64_MIN;

	if (fresh->n > 0 && row < last)
		__atomic_store_n(&fresh->unordered, true, __ATOMIC_RELEASE);
	if (fresh->n == 0 || row != last)
		__atomic_fetch_add(&fresh->n_rows, 1, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&fresh->repeated, true, __ATOMIC_RELEASE);
}

void ist_fresh_append(struct ist_fresh *fresh, int64_t row, uint32_t ordinal, const float *x)
{
	struct ist_fresh_place at = ist_fresh_at(fresh, fresh->n);
	struct ist_segment *segment = &fresh->segments[at.segment - fresh->segments];

	if (segment->x == NULL)
		segment_init(segment, segment_size((int)(segment - fresh->segments)), fresh->dim);
	count_row(fresh, row);
	memcpy(segment->x + at.offset * fresh->dim, x, fresh->dim * sizeof(*x));
	segment->rows[at.offset] = row;
	segment->ordinals[at.offset] = ordinal;
	__atomic_fetch_or(&segment->live[at.offset >> 6], (uint64_t)1 << (at.offset & 63),
			  __ATOMIC_RELAXED);
	fresh->n++;
}

void ist_fresh_publish(struct ist_fresh *fresh)
{
	__atomic_store_n(&fresh->published, fresh->n, __ATOMIC_RELEASE);
}

size_t ist_fresh_published(const struct ist_fresh *fresh)
{
	return __atomic_load_n(&fresh->published, __ATOMIC_ACQUIRE);
}

bool ist_fresh_is_ordered(const struct ist_fresh *fresh)
{
	return !__atomic_load_n(&fresh->unordered, __ATOMIC_ACQUIRE);
}

/* Positions below n were in order when n was published, whatever has come since. */
size_t ist_fresh_lower(const struct ist_fresh *fresh, size_t n, int64_t row)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ist_fresh_row(fresh, middle) < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next position from `from` on that holds the row; n if there is none. Rows come in order as a
 * rule, so a look at one place is enough. */
static size_t find_from(const struct ist_fresh *fresh, size_t from, int64_t row)
{
	if (!ist_fresh_is_ordered(fresh)) {
		while (from < fresh->n && ist_fresh_row(fresh, from) != row)
			from++;
		return from;
	}
	from = IST_MAX(from, ist_fresh_lower(fresh, fresh->n, row));
	return from < fresh->n && ist_fresh_row(fresh, from) == row ? from : fresh->n;
}

bool ist_fresh_has(const struct ist_fresh *fresh, int64_t row)
{
	return find_from(fresh, 0, row) < fresh->n;
}

/* Also what is not published yet: it will be dead when it is. */
size_t ist_fresh_kill(struct ist_fresh *fresh, int64_t row)
{
	size_t died = 0;

	for (size_t i = find_from(fresh, 0, row); i < fresh->n; i = find_from(fresh, i + 1, row)) {
		struct ist_fresh_place at = ist_fresh_at(fresh, i);
		uint64_t bit = (uint64_t)1 << (at.offset & 63);

		died +=
		    (__atomic_fetch_and(&at.segment->live[at.offset >> 6], ~bit, __ATOMIC_RELAXED) &
		     bit) != 0;
	}
	__atomic_fetch_add(&fresh->n_dead, died, __ATOMIC_RELAXED);
	return died;
}

size_t ist_fresh_bytes(const struct ist_fresh *fresh)
{
	size_t n = ist_fresh_published(fresh);

	return n * (fresh->dim * sizeof(float) + sizeof(int64_t) + sizeof(uint32_t));
}
