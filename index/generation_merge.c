/*
 * How a generation gets its base: from a stream of embeddings (a model is activated, a damaged
 * index is rebuilt), or from an older generation (a merge). Both run aside while the older one
 * answers and takes writes; ist_generation_carry then brings over what happened meanwhile.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "index/generation_parts.h"

#define DEAD_MAX 0.2 /* of a base that is reused */
#define QUERIES_MIN 32
#define QUERIES_MAX 300
#define QUERIES_WORK 2e9 /* multiplications that measuring against exact search may take */
#define NEIGHBOURS 10

enum ist_code ist_generation_base_add(struct ist_generation *g, enum ist_modality m,
				      const int64_t *rows, const uint32_t *ordinals,
				      const float *embeddings, size_t n, struct ist_err *err)
{
	if (n == 0)
		return IST_OK;
	return ist_base_add(&g->base[m], rows, ordinals, embeddings, n, err);
}

/* ---- held-out queries ---- */

static double length_of(const float *x, size_t dim)
{
	double s = 0;

	for (size_t i = 0; i < dim; i++)
		s += (double)x[i] * x[i];
	return sqrt(s);
}

static void make_unit(float *x, size_t dim)
{
	double length = length_of(x, dim);

	for (size_t i = 0; length > 0 && i < dim; i++)
		x[i] = (float)(x[i] / length);
}

/* Moves a vector of the base by the difference of two of its neighbours: as far as a new one would
 * lie from those that are there, and in the directions in which they differ. Noise in all
 * directions makes queries that are easier than real ones. */
static enum ist_code move(const struct ist_base *base, struct ist_searcher *s, float *x,
			  struct ist_rng *rng, struct ist_err *err)
{
	struct ist_vector_hit hits[NEIGHBOURS];
	const float *a, *b;
	size_t n;
	enum ist_code code =
	    ist_vectors_search(base->index, s, x, IST_ALIKE, NEIGHBOURS, 0, NULL, hits, &n, err);

	if (code != IST_OK)
		return code;
	a = ist_vectors_at(base->index, hits[ist_rng_below(rng, n)].position);
	b = ist_vectors_at(base->index, hits[ist_rng_below(rng, n)].position);
	for (size_t i = 0; i < base->dim; i++)
		x[i] += a[i] - b[i];
	if (base->similarity == IST_COSINE)
		make_unit(x, base->dim);
	return IST_OK;
}

/* Half of the queries come from the other modality where it is comparable, because that is what
 * people will ask; the others are the base's own vectors, moved. These also stand in for the other
 * modality where none of it is stored. */
static enum ist_code make_queries(const struct ist_generation *g, enum ist_modality m,
				  float *queries, enum ist_direction *directions, size_t n,
				  struct ist_err *err)
{
	const struct ist_base *own = &g->base[m], *other = &g->base[ist_modality_other(m)];
	bool crosses = g->model->crosses && other->dim == own->dim;
	ist_auto(ist_searcher_finish) struct ist_searcher s = {0};
	enum ist_code code = IST_OK;
	struct ist_rng rng;

	ist_rng_init(&rng, 0, "index queries");
	for (size_t i = 0; i < n && code == IST_OK; i++) {
		bool cross = crosses && i % 2 == 0;
		const struct ist_base *from = cross && other->index != NULL ? other : own;
		float *query = queries + i * own->dim;

		directions[i] = ist_direction_of(cross ? ist_modality_other(m) : m, m);
		memcpy(query, ist_base_at(from, ist_rng_below(&rng, from->n)),
		       own->dim * sizeof(*query));
		if (from == own)
			code = move(own, &s, query, &rng, err);
	}
	return code;
}

/* Exact search of the queries is what measuring costs, so their number falls as the base grows. */
static enum ist_code tune(struct ist_generation *g, enum ist_modality m, bool may_replace,
			  const struct ist_stop *stop, struct ist_err *err)
{
	struct ist_base *base = &g->base[m];
	double work = (double)base->n * (double)base->dim;
	size_t n = (size_t)fmax(QUERIES_MIN, fmin(QUERIES_MAX, QUERIES_WORK / fmax(work, 1)));
	ist_autofree float *queries = NULL;
	ist_autofree enum ist_direction *directions = NULL;
	enum ist_code code;

	if (base->index == NULL || ist_vectors_kind(base->index)->exact) {
		base->recall = base->index != NULL ? 1 : NAN;
		return IST_OK;
	}
	if (ist_stop_asked(stop))
		return ist_fail(err, IST_CANCELLED, "stopped while measuring an index");
	queries = ist_alloc_raw(n * base->dim, sizeof(*queries));
	directions = ist_alloc(n, sizeof(*directions));
	code = make_queries(g, m, queries, directions, n, err);
	return code != IST_OK ? code
			      : ist_base_tune(base, queries, directions, n, may_replace, stop, err);
}

/* ---- counting ---- */

/* The first live position from i on; n if there is none. */
static size_t next_live(const struct ist_base *base, size_t i)
{
	while (i < base->n && !ist_bit(base->live, i))
		i++;
	return i;
}

static size_t skip_row(const struct ist_base *base, size_t i, int64_t row)
{
	while (i < base->n && base->rows[i] == row)
		i = next_live(base, i + 1);
	return i;
}

/* Both lists ascend: one pass over the union of their rows. */
size_t ist_generation_count_items(const struct ist_generation *g)
{
	const struct ist_base *a = &g->base[IST_IMAGE], *b = &g->base[IST_TEXT];
	size_t i = next_live(a, 0), j = next_live(b, 0), n = 0;

	while (i < a->n || j < b->n) {
		int64_t row =
		    i < a->n && (j == b->n || a->rows[i] < b->rows[j]) ? a->rows[i] : b->rows[j];

		i = skip_row(a, i, row);
		j = skip_row(b, j, row);
		n++;
	}
	return n;
}

/* All bases are built before one is tuned: each lends the other its queries. */
static enum ist_code finish(struct ist_generation *g, int64_t base_row,
			    const struct ist_vector_kind *kind, const struct ist_stop *stop,
			    struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = ist_base_build(&g->base[m], kind, stop, err);
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = tune(g, (enum ist_modality)m, kind == NULL, stop, err);
	g->base_row = base_row;
	if (code == IST_OK)
		g->base_items = ist_generation_count_items(g);
	return code;
}

enum ist_code ist_generation_base_finish(struct ist_generation *g, int64_t base_row,
					 const struct ist_vector_kind *kind, bool (*stop)(void *),
					 void *user, struct ist_err *err)
{
	struct ist_stop asked = {stop, user};

	return finish(g, base_row, kind, &asked, err);
}

/* ---- merging ---- */

struct taken {
	int64_t row;
	uint32_t ordinal;
	size_t position; /* in the old fresh part */
};

static int by_order(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

/* The live vectors of the first n of the fresh part up to base_row, in order. */
static struct taken *take_fresh(const struct ist_fresh *fresh, size_t n, int64_t base_row,
				size_t *ret_n)
{
	struct taken *list = ist_alloc_raw(n, sizeof(*list));
	size_t n_taken = 0;

	for (size_t i = 0; i < n; i++) {
		struct ist_fresh_place at = ist_fresh_at(fresh, i);
		int64_t row = at.segment->rows[at.offset];

		if (row <= base_row && ist_bit(at.segment->live, at.offset))
			list[n_taken++] = (struct taken){row, at.segment->ordinals[at.offset], i};
	}
	qsort(list, n_taken, sizeof(*list), by_order);
	*ret_n = n_taken;
	return list;
}

static enum ist_code add_taken(struct ist_base *base, const struct ist_fresh *fresh,
			       const struct taken *taken, struct ist_err *err)
{
	struct ist_fresh_place at = ist_fresh_at(fresh, taken->position);

	return ist_base_add(base, &taken->row, &taken->ordinal,
			    at.segment->x + at.offset * fresh->dim, 1, err);
}

/* Clones the index, keeps its ids and deaths; what follows is added to the clone. */
static enum ist_code extend(struct ist_base *base, const struct ist_base *old, size_t n_taken,
			    struct ist_err *err)
{
	enum ist_code code = ist_vectors_clone(old->index, old->n + n_taken, &base->index, err);

	if (code != IST_OK)
		return code;
	base->n = base->cap = old->n;
	base->rows = ist_alloc_raw(old->n, sizeof(*base->rows));
	base->ordinals = ist_alloc_raw(old->n, sizeof(*base->ordinals));
	memcpy(base->rows, old->rows, old->n * sizeof(*base->rows));
	memcpy(base->ordinals, old->ordinals, old->n * sizeof(*base->ordinals));
	return IST_OK;
}

/* What dies while this runs is brought by the carrying. */
static void copy_deaths(struct ist_base *base, const struct ist_base *old)
{
	ist_base_set_live(base);
	for (size_t i = 0; i < old->n; i++) {
		if (!ist_bit(old->live, i)) {
			base->live[i >> 6] &= ~((uint64_t)1 << (i & 63));
			base->n_dead++;
		}
	}
}

/* Graphs remove nothing: beyond a part of dead vectors, walking through them costs more than a
 * build. New rows must follow the old ones, because positions are in order of row. */
static bool can_extend(const struct ist_base *old, const struct taken *taken, size_t n_taken)
{
	size_t n_dead = __atomic_load_n(&old->n_dead, __ATOMIC_RELAXED);
	const struct ist_vector_kind *kind;

	if (old->index == NULL)
		return false;
	kind = ist_vectors_kind(old->index);
	return kind->clone != NULL && kind == ist_base_kind(old, old->n + n_taken) &&
	       (double)n_dead <= DEAD_MAX * (double)old->n &&
	       (n_taken == 0 || taken[0].row > old->rows[old->n - 1]);
}

/* The live vectors of both, in order, into an empty base. */
static enum ist_code collect(struct ist_base *base, const struct ist_base *old,
			     const struct ist_fresh *fresh, const struct taken *taken,
			     size_t n_taken, struct ist_err *err)
{
	size_t i = next_live(old, 0), j = 0;
	enum ist_code code = IST_OK;

	while (code == IST_OK && (i < old->n || j < n_taken)) {
		if (j == n_taken || (i < old->n && old->rows[i] <= taken[j].row)) {
			code = ist_base_add(base, &old->rows[i], &old->ordinals[i],
					    ist_base_at(old, i), 1, err);
			i = next_live(old, i + 1);
		} else {
			code = add_taken(base, fresh, &taken[j++], err);
		}
	}
	return code;
}

/* `taken` draws the line for the carrying: what was published later is not in here. */
static enum ist_code merge_modality(struct ist_generation *g, const struct ist_generation *old,
				    enum ist_modality m, int64_t base_row, struct ist_err *err)
{
	const struct ist_base *from = &old->base[m];
	const struct ist_fresh *fresh = &old->fresh[m];
	struct ist_base *base = &g->base[m];
	ist_autofree struct taken *taken = NULL;
	size_t n_taken;
	enum ist_code code;

	base->refused_at = from->refused_at;
	g->taken[m] = ist_fresh_published(fresh);
	taken = take_fresh(fresh, g->taken[m], base_row, &n_taken);
	if (!can_extend(from, taken, n_taken))
		return collect(base, from, fresh, taken, n_taken, err);
	code = extend(base, from, n_taken, err);
	for (size_t i = 0; i < n_taken && code == IST_OK; i++)
		code = add_taken(base, fresh, &taken[i], err);
	if (code == IST_OK)
		copy_deaths(base, from);
	return code;
}

enum ist_code ist_generation_merge(const struct ist_generation *old, int64_t base_row,
				   bool (*stop)(void *), void *user, struct ist_generation **ret,
				   struct ist_err *err)
{
	struct ist_generation *g = ist_generation_create(old->model);
	struct ist_stop asked = {stop, user};
	enum ist_code code = IST_OK;

	base_row = base_row > old->base_row ? base_row : old->base_row;
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = merge_modality(g, old, (enum ist_modality)m, base_row, err);
	if (code == IST_OK)
		code = finish(g, base_row, NULL, &asked, err);
	if (code != IST_OK) {
		ist_generation_unref(g);
		return code;
	}
	*ret = g;
	return IST_OK;
}

/* What died in old's base, then its fresh part in order: a dead row may have been taken alive, so
 * it is killed; a live one is appended unless the merge took it. */
void ist_generation_carry(struct ist_generation *merged, const struct ist_generation *old)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		const struct ist_base *base = &old->base[m];
		const struct ist_fresh *fresh = &old->fresh[m];

		for (size_t i = 0; i < base->n; i++)
			if (!ist_bit(base->live, i))
				ist_generation_kill(merged, base->rows[i]);
		for (size_t i = 0; i < fresh->n; i++) {
			struct ist_fresh_place at = ist_fresh_at(fresh, i);
			int64_t row = at.segment->rows[at.offset];

			if (!ist_bit(at.segment->live, at.offset))
				ist_generation_kill(merged, row);
			else if (i >= merged->taken[m] || row > merged->base_row)
				ist_generation_append(merged, (enum ist_modality)m, row,
						      at.segment->ordinals[at.offset],
						      at.segment->x + at.offset * fresh->dim);
		}
	}
	ist_generation_publish(merged);
}
