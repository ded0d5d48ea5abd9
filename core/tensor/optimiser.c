/*
 * Optimisers. A step is one pass over the weights in blocks of rows: the block's gradient is put
 * together in a thread's scratch (products of linear layers multiplied out there), the rule is
 * applied, and the block's row norms are taken while it is still in the cache. The blocks depend on
 * the shapes alone and share nothing, so the number of threads changes no bit.
 */
#include "core/tensor/optimiser.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/base/memory.h"

#define BLOCK (128 * 1024) /* numbers of a block, about: half a megabyte of float */

/* m = momentum m + g; w -= lr m */
static void rates_sgd(const struct ist_optimiser *o, uint64_t t, struct ist_rates *ret)
{
	(void)t;
	ret->rate = (ist_real)o->lr;
	ret->momentum = (ist_real)o->momentum;
}

/* w -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps) */
static void rates_adam(const struct ist_optimiser *o, uint64_t t, struct ist_rates *ret)
{
	ret->rate = (ist_real)(o->lr / (1 - pow(o->beta1, (double)t)));
	ret->beta1 = (ist_real)o->beta1;
	ret->beta2 = (ist_real)o->beta2;
	ret->root = (ist_real)(1 / sqrt(1 - pow(o->beta2, (double)t)));
	ret->eps = (ist_real)o->eps;
}

/* v = beta2 v + (1 - beta2) g^2; w -= lr g / (sqrt v + eps) */
static void rates_rmsprop(const struct ist_optimiser *o, uint64_t t, struct ist_rates *ret)
{
	(void)t;
	ret->rate = (ist_real)o->lr;
	ret->beta2 = (ist_real)o->beta2;
	ret->eps = (ist_real)o->eps;
}

const struct ist_optimiser_rule ist_optimiser_sgd = {
    .name = "sgd", .rates = rates_sgd, .update = ist_k_sgd};
const struct ist_optimiser_rule ist_optimiser_adam = {
    .name = "adam", .rates = rates_adam, .update = ist_k_adam};
const struct ist_optimiser_rule ist_optimiser_rmsprop = {
    .name = "rmsprop", .rates = rates_rmsprop, .update = ist_k_rmsprop};
const struct ist_optimiser_rule *const ist_optimiser_rules[] = {
    &ist_optimiser_sgd, &ist_optimiser_adam, &ist_optimiser_rmsprop, NULL};

/* By the weight's width alone, never by threads. */
static size_t block_rows(const struct ist_weight *w)
{
	size_t rows = BLOCK / IST_MAX(w->cols, (size_t)1);

	return IST_MIN(IST_MAX(rows, (size_t)1), IST_MAX(w->rows, (size_t)1));
}

/* Rows first .. first + rows of the gradient but for its multiple of w; in scratch, or in place
 * where there is a dense part. */
static const ist_real *gradient_block(struct ist_weight *w, size_t first, size_t rows,
				      ist_real *scratch)
{
	ist_real *g = w->has_dense ? w->gradient + first * w->cols : scratch;

	if (!w->has_dense && w->n_products == 0)
		memset(g, 0, rows * w->cols * sizeof(*g));
	for (int i = 0; i < w->n_products; i++)
		ist_weight_product_rows(w, &w->product[i], first, rows, w->has_dense || i > 0, g);
	return g;
}

/* A row at a time, so that its gradient, value and moments meet in the nearest cache and its norm
 * is taken from there. */
static void update_block(const struct ist_optimiser *o, const struct ist_rates *r,
			 struct ist_weight *w, size_t first, ist_real *scratch)
{
	size_t rows = IST_MIN(block_rows(w), w->rows - first);
	size_t at = first * w->cols;
	const ist_real *g = gradient_block(w, first, rows, scratch);

	for (size_t i = 0; i < rows; i++, at += w->cols) {
		if (o->decoupled)
			ist_k_scale(w->value + at,
				    (ist_real)(1 - o->lr * w->pace * o->weight_decay),
				    w->value + at, w->cols);
		o->rule->update(r, w->value + at, g + i * w->cols, w->moment[0] + at,
				w->moment[1] + at, w->cols);
		if (w->squares_known)
			w->row_squares[first + i] =
			    ist_k_dot(w->value + at, w->value + at, w->cols);
	}
}

/* Blocks go to whichever thread is free; the order changes nothing. */
static void update_weight(struct ist_optimiser *o, struct ist_weight *w, double scale)
{
	struct ist_rates r = {.scale = (ist_real)scale,
			      .decay = (ist_real)(w->decay + (o->decoupled ? 0 : o->weight_decay))};
	size_t step = block_rows(w), n_blocks = (w->rows + step - 1) / step;
	int threads = omp_get_max_threads();

	o->rule->rates(o, ++w->steps, &r);
	r.rate *= (ist_real)w->pace;
	if (n_blocks > 1 && threads > 1 && !omp_in_parallel()) {
#pragma omp parallel for schedule(dynamic, 1)
		for (size_t i = 0; i < n_blocks; i++)
			update_block(o, &r, w, i * step,
				     o->scratch + (size_t)omp_get_thread_num() * o->n_scratch);
		return;
	}
	omp_set_num_threads(1);
	for (size_t i = 0; i < n_blocks; i++)
		update_block(o, &r, w, i * step, o->scratch);
	omp_set_num_threads(threads);
}

/* Has a gradient, and is this optimiser's to move. */
static bool moves(const struct ist_optimiser *o, const struct ist_weight *w)
{
	size_t n = 0;

	while (n < IST_COUNT(o->prefix) && o->prefix[n] != NULL)
		n++;
	for (size_t i = 0; i < n; i++)
		if (strncmp(w->name, o->prefix[i], strlen(o->prefix[i])) == 0)
			return w->has_gradient;
	return n == 0 && w->has_gradient;
}

/* The factor that brings the whole gradient down to the largest norm allowed. */
static double clip_factor(const struct ist_optimiser *o, struct ist_weights *const *groups,
			  size_t n)
{
	double squares = 0, norm;

	for (size_t k = 0; k < n; k++) {
		for (size_t i = 0; i < groups[k]->n; i++) {
			struct ist_weight *w = groups[k]->weights[i];

			if (!moves(o, w))
				continue;
			ist_weight_settle(w);
			for (size_t row = 0; row < w->rows; row++) {
				const ist_real *g = w->gradient + row * w->cols;

				squares += ist_k_dot(g, g, w->cols);
			}
		}
	}
	norm = sqrt(squares);
	return norm > o->clip ? o->clip / norm : 1;
}

/* Scratch for the largest block, for every thread; kept from step to step. */
static void reserve(struct ist_optimiser *o, struct ist_weights *const *groups, size_t n)
{
	size_t most = 0, threads = (size_t)omp_get_max_threads();

	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < groups[k]->n; i++)
			most = IST_MAX(most, block_rows(groups[k]->weights[i]) *
						 groups[k]->weights[i]->cols);
	most = (most + 63) / 64 * 64;
	if (most <= o->n_scratch && threads <= o->n_threads)
		return;
	free(o->scratch);
	o->n_threads = IST_MAX(threads, o->n_threads);
	o->n_scratch = IST_MAX(most, o->n_scratch);
	o->scratch = ist_alloc_aligned(o->n_threads * o->n_scratch, sizeof(ist_real));
}

void ist_optimiser_step(struct ist_optimiser *o, struct ist_weights *const *groups, size_t n)
{
	double scale = o->clip > 0 ? clip_factor(o, groups, n) : 1;

	reserve(o, groups, n);
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < groups[k]->n; i++)
			if (moves(o, groups[k]->weights[i]))
				update_weight(o, groups[k]->weights[i], scale);
}

void ist_optimiser_finish(struct ist_optimiser *o)
{
	free(o->scratch);
	o->scratch = NULL;
	o->n_scratch = o->n_threads = 0;
}
