/*
 * The base: an index and its id map. It is filled by one thread (add, build, tune) and shared
 * afterwards; from then on only live bits change. Building goes in blocks that aim at a quarter of
 * a second, so that a stop is heard soon.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "index/generation_parts.h"

#define TUNE_K 10
#define TUNE_TARGET 0.995 /* what is promised is .99: more on the sample, which is small */
#define RECALL_MIN 0.95	  /* below this the structure does not suit the data */
#define BLOCK_SECONDS 0.25
#define BLOCK_FIRST 1024

void ist_base_init(struct ist_base *base, size_t dim, enum ist_similarity similarity)
{
	*base = (struct ist_base){.dim = dim, .similarity = similarity, .recall = NAN};
}

void ist_base_finish(struct ist_base *base)
{
	ist_vectors_destroy(base->index);
	free(base->rows);
	free(base->ordinals);
	free(base->live);
	free(base->pending);
	*base = (struct ist_base){0};
}

/* `pending` lies in one piece behind what the index holds already. */
static void reserve(struct ist_base *base, size_t n)
{
	size_t held = base->index != NULL ? ist_vectors_n(base->index) : 0;

	if (n <= base->cap)
		return;
	base->cap = IST_MAX(n, base->cap * 2);
	base->rows = ist_resize(base->rows, base->cap, sizeof(*base->rows));
	base->ordinals = ist_resize(base->ordinals, base->cap, sizeof(*base->ordinals));
	base->pending = ist_resize(base->pending, base->cap - held, base->dim * sizeof(float));
}

/* Order is what makes a row findable by halving; a caller that breaks it must hear of it. */
enum ist_code ist_base_add(struct ist_base *base, const int64_t *rows, const uint32_t *ordinals,
			   const float *x, size_t n, struct ist_err *err)
{
	size_t held = base->index != NULL ? ist_vectors_n(base->index) : 0;

	reserve(base, base->n + n);
	for (size_t i = 0; i < n; i++) {
		size_t at = base->n + i;

		if (at > 0 &&
		    (rows[i] < base->rows[at - 1] ||
		     (rows[i] == base->rows[at - 1] && ordinals[i] <= base->ordinals[at - 1])))
			return ist_fail(err, IST_INTERNAL, "row %lld is out of order",
					(long long)rows[i]);
		base->rows[at] = rows[i];
		base->ordinals[at] = ordinals[i];
	}
	memcpy(base->pending + (base->n - held) * base->dim, x, n * base->dim * sizeof(*x));
	base->n += n;
	return IST_OK;
}

void ist_base_set_live(struct ist_base *base)
{
	size_t n_words = (base->n + 63) / 64;

	free(base->live);
	base->live = ist_alloc(n_words, sizeof(*base->live));
	memset(base->live, 0xff, base->n / 64 * sizeof(*base->live));
	if (base->n % 64 != 0)
		base->live[n_words - 1] = ((uint64_t)1 << (base->n % 64)) - 1;
	base->n_dead = 0;
	base->n_rows = 0;
	for (size_t i = 0; i < base->n; i++)
		base->n_rows += i == 0 || base->rows[i] != base->rows[i - 1];
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool ist_stop_asked(const struct ist_stop *stop)
{
	return stop->ask != NULL && stop->ask(stop->user);
}

/* A block's size follows from how long the last one took: vectors get dearer as a graph grows. */
static enum ist_code add_blocks(struct ist_base *base, const struct ist_stop *stop,
				struct ist_err *err)
{
	size_t held = ist_vectors_n(base->index), n = base->n - held, block = BLOCK_FIRST;
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < n && code == IST_OK;) {
		size_t some = IST_MIN(block, n - i);
		double start = now(), took;

		if (ist_stop_asked(stop))
			return ist_fail(err, IST_CANCELLED, "stopped while building an index");
		code = ist_vectors_add(base->index, base->pending + i * base->dim, some, err);
		took = now() - start;
		i += some;
		if (took < BLOCK_SECONDS / 2)
			block *= 2;
		else if (took > BLOCK_SECONDS * 2)
			block = IST_MAX(block / 2, 16);
	}
	return code;
}

/* By size; but where a structure did not suit, it is not tried again before the data doubles. */
const struct ist_vector_kind *ist_base_kind(const struct ist_base *base, size_t n)
{
	return n < 2 * base->refused_at ? ist_vector_kinds[0] : ist_vector_kind_for(n, base->dim);
}

/* On failure the base is unfit for use, and its generation is thrown away by the caller. */
enum ist_code ist_base_build(struct ist_base *base, const struct ist_vector_kind *kind,
			     const struct ist_stop *stop, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	if (kind == NULL)
		kind = ist_base_kind(base, base->n);
	if (base->n > 0 && base->index == NULL)
		code = ist_vectors_create(kind, base->dim, base->similarity, &base->index, err);
	if (code == IST_OK && base->index != NULL) {
		ist_vectors_reserve(base->index, base->n);
		code = add_blocks(base, stop, err);
	}
	free(base->pending);
	base->pending = NULL;
	if (base->n > 0) {
		base->rows = ist_resize(base->rows, base->n, sizeof(*base->rows));
		base->ordinals = ist_resize(base->ordinals, base->n, sizeof(*base->ordinals));
	}
	base->cap = base->n;
	if (code == IST_OK && base->live == NULL)
		ist_base_set_live(base);
	return code;
}

/* The same vectors in the exact kind. */
static enum ist_code make_exact(struct ist_base *base, const struct ist_stop *stop,
				struct ist_err *err)
{
	struct ist_vectors *old = base->index;
	enum ist_code code;

	base->index = NULL;
	base->pending = ist_alloc_raw(base->n, base->dim * sizeof(float));
	memcpy(base->pending, ist_vectors_at(old, 0), base->n * base->dim * sizeof(float));
	ist_vectors_destroy(old);
	code = ist_base_build(base, ist_vector_kinds[0], stop, err);
	base->recall = 1;
	base->refused_at = base->n;
	return code;
}

enum ist_code ist_base_tune(struct ist_base *base, const float *queries,
			    const enum ist_direction *directions, size_t n, bool may_replace,
			    const struct ist_stop *stop, struct ist_err *err)
{
	enum ist_code code;

	if (base->index == NULL)
		return IST_OK;
	code = ist_vectors_tune(base->index, queries, directions, n, TUNE_K, TUNE_TARGET,
				&base->recall, err);
	if (code == IST_OK && may_replace && base->recall < RECALL_MIN)
		code = make_exact(base, stop, err);
	return code;
}

size_t ist_rows_lower(const int64_t *rows, size_t n, int64_t row)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle] < row)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The bit that was set before tells whether a vector dies now, so that none is counted twice. */
size_t ist_base_kill(struct ist_base *base, int64_t row)
{
	size_t died = 0;

	for (size_t i = ist_rows_lower(base->rows, base->n, row);
	     i < base->n && base->rows[i] == row; i++) {
		uint64_t bit = (uint64_t)1 << (i & 63);

		died +=
		    (__atomic_fetch_and(&base->live[i >> 6], ~bit, __ATOMIC_RELAXED) & bit) != 0;
	}
	__atomic_fetch_add(&base->n_dead, died, __ATOMIC_RELAXED);
	return died;
}

const float *ist_base_at(const struct ist_base *base, size_t position)
{
	return ist_vectors_at(base->index, (int64_t)position);
}
