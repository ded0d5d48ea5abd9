/*
 * A generation's life and its writer's side. It is counted: the store holds one reference, each
 * reader one, and the last to let go frees it. See generation_search.c for the readers' side,
 * generation_merge.c for how one is made, generation_file.c for its files.
 */
#include "index/generation.h"

#include <math.h>

#include "core/base/memory.h"
#include "index/generation_parts.h"

struct ist_generation *ist_generation_create(struct ist_model *model)
{
	struct ist_generation *g = ist_alloc(1, sizeof(*g));

	g->refs = 1;
	g->model = ist_model_ref(model);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_base_init(&g->base[m], model->dim[m], model->similarity);
		g->fresh[m].dim = model->dim[m];
	}
	return g;
}

struct ist_generation *ist_generation_ref(struct ist_generation *g)
{
	__atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

/* Acquire and release: whoever frees it has seen all that the others did with it. */
void ist_generation_unref(struct ist_generation *g)
{
	if (g == NULL || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_base_finish(&g->base[m]);
		ist_fresh_finish(&g->fresh[m]);
	}
	ist_model_unref(g->model);
	free(g);
}

struct ist_model *ist_generation_model(const struct ist_generation *g)
{
	return g->model;
}

static size_t base_bytes(const struct ist_base *base)
{
	size_t ids = base->n * (sizeof(*base->rows) + sizeof(*base->ordinals)) + base->n / 8;

	return base->index != NULL ? ids + ist_vectors_bytes(base->index) : ids;
}

void ist_generation_info(const struct ist_generation *g, struct ist_generation_info *ret)
{
	const struct ist_base *larger = &g->base[g->base[IST_TEXT].n > g->base[IST_IMAGE].n];

	*ret = (struct ist_generation_info){
	    .kind = larger->index != NULL ? ist_vectors_kind(larger->index)->name : "flat",
	    .recall = larger->recall,
	    .base_row = g->base_row,
	    .base_items = __atomic_load_n(&g->base_items, __ATOMIC_RELAXED),
	    .fresh_items = __atomic_load_n(&g->fresh_items, __ATOMIC_RELAXED),
	    .bytes = sizeof(*g),
	};
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ret->base += g->base[m].n;
		ret->fresh += ist_fresh_published(&g->fresh[m]);
		ret->dead += __atomic_load_n(&g->base[m].n_dead, __ATOMIC_RELAXED) +
			     __atomic_load_n(&g->fresh[m].n_dead, __ATOMIC_RELAXED);
		ret->bytes += base_bytes(&g->base[m]) + ist_fresh_bytes(&g->fresh[m]);
		/* The worse of two measured bases. */
		if (g->base[m].recall < ret->recall)
			ret->recall = g->base[m].recall;
	}
}

/* An item counts once, whichever of its vectors comes first. */
void ist_generation_append(struct ist_generation *g, enum ist_modality m, int64_t row,
			   uint32_t ordinal, const float *embedding)
{
	struct ist_fresh *fresh = &g->fresh[m];
	bool is_new = (fresh->n == 0 || ist_fresh_row(fresh, fresh->n - 1) != row) &&
		      !ist_fresh_has(&g->fresh[ist_modality_other(m)], row);

	if (is_new)
		__atomic_fetch_add(&g->fresh_items, 1, __ATOMIC_RELAXED);
	ist_fresh_append(fresh, row, ordinal, embedding);
}

/* Killing twice, or what is not here, changes nothing: bits and counts move together. */
void ist_generation_kill(struct ist_generation *g, int64_t row)
{
	size_t in_base = 0, in_fresh = 0;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		in_base += ist_base_kill(&g->base[m], row);
		in_fresh += ist_fresh_kill(&g->fresh[m], row);
	}
	if (in_base > 0)
		__atomic_fetch_sub(&g->base_items, 1, __ATOMIC_RELAXED);
	if (in_fresh > 0)
		__atomic_fetch_sub(&g->fresh_items, 1, __ATOMIC_RELAXED);
}

/* Both modalities in turn: a reader may see a new item's picture and not yet its texts, for as long
 * as it takes to store one word. */
void ist_generation_publish(struct ist_generation *g)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_fresh_publish(&g->fresh[m]);
}

/* Both lists ascend, so one pass does. */
void ist_generation_keep_only(struct ist_generation *g, const int64_t *live, size_t n)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		struct ist_base *base = &g->base[m];
		size_t j = 0;

		for (size_t i = 0; i < base->n; i++) {
			while (j < n && live[j] < base->rows[i])
				j++;
			if ((j == n || live[j] != base->rows[i]) && ist_bit(base->live, i))
				ist_generation_kill(g, base->rows[i]);
		}
	}
}

struct ist_watermark ist_generation_watermark(const struct ist_generation *g)
{
	struct ist_watermark mark;

	for (int m = 0; m < IST_N_MODALITIES; m++)
		mark.fresh[m] = ist_fresh_published(&g->fresh[m]);
	return mark;
}

/* Vectors of a row follow one another where rows are in order. */
static const float *fresh_vector(const struct ist_fresh *fresh, size_t n, int64_t row,
				 uint32_t ordinal)
{
	size_t i = ist_fresh_is_ordered(fresh) ? ist_fresh_lower(fresh, n, row) : 0;

	for (; i < n; i++) {
		struct ist_fresh_place at = ist_fresh_at(fresh, i);

		if (at.segment->rows[at.offset] == row &&
		    at.segment->ordinals[at.offset] == ordinal)
			return at.segment->x + at.offset * fresh->dim;
		if (at.segment->rows[at.offset] > row && ist_fresh_is_ordered(fresh))
			break;
	}
	return NULL;
}

const float *ist_generation_vector(const struct ist_generation *g, struct ist_watermark mark,
				   enum ist_modality m, int64_t row, uint32_t ordinal)
{
	const struct ist_base *base = &g->base[m];

	for (size_t i = ist_rows_lower(base->rows, base->n, row);
	     i < base->n && base->rows[i] == row; i++)
		if (base->ordinals[i] == ordinal)
			return ist_base_at(base, i);
	return fresh_vector(&g->fresh[m], mark.fresh[m], row, ordinal);
}
