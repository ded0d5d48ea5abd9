/*
 * Weight groups: declaring, slabs, initial values, and gradients kept in parts. A group is written
 * by one thread; a group that is not in training (a model's) is read by any number.
 */
#include "core/tensor/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/op.h"
#include "core/tensor/panel.h"

#define SETTLE_ROWS 36		      /* a thread's portion: whole tiles */
#define ALIGN (64 / sizeof(ist_real)) /* numbers of a cache line */

struct ist_weights *ist_weights_create(const char *name)
{
	struct ist_weights *group = ist_alloc(1, sizeof(*group));

	group->name = ist_strdup(name);
	return group;
}

void ist_weights_destroy(struct ist_weights *group)
{
	if (group == NULL)
		return;
	for (size_t i = 0; i < group->n; i++) {
		free(group->weights[i]->name);
		free(group->weights[i]->row_squares);
		free(group->weights[i]);
	}
	free(group->weights);
	free(group->value);
	free(group->gradient);
	free(group->moment[0]);
	free(group->moment[1]);
	free(group->name);
	free(group);
}

void ist_weights_add(struct ist_weights *group, const char *name, int n_dims, const size_t *dim,
		     size_t fan_in)
{
	struct ist_weight *w = ist_alloc(1, sizeof(*w));

	w->name = ist_strdup(name);
	w->n_dims = n_dims;
	w->fan_in = fan_in;
	w->pace = 1;
	w->size = 1;
	for (int i = 0; i < n_dims; i++)
		w->size *= w->dim[i] = dim[i];
	w->rows = n_dims > 1 ? dim[0] : 1;
	w->cols = w->rows > 0 ? w->size / w->rows : 0;
	group->weights = ist_resize(group->weights, group->n + 1, sizeof(*group->weights));
	group->weights[group->n++] = w;
	group->size += (w->size + ALIGN - 1) / ALIGN * ALIGN;
}

void ist_weights_add_normal(struct ist_weights *group, const char *name, int n_dims,
			    const size_t *dim, double mean, double sd)
{
	ist_weights_add(group, name, n_dims, dim, 0);
	group->weights[group->n - 1]->mean = mean;
	group->weights[group->n - 1]->sd = sd;
}

void ist_weights_add_eye(struct ist_weights *group, const char *name, size_t n_in, size_t n_out,
			 double sd)
{
	ist_weights_add_normal(group, name, 2, (size_t[]){n_out, n_in}, 0, sd);
	group->weights[group->n - 1]->eye = true;
}

void ist_weights_add_linear(struct ist_weights *group, const char *name, size_t n_in, size_t n_out)
{
	ist_autofree char *weight = ist_format("%s.weight", name);
	ist_autofree char *bias = ist_format("%s.bias", name);

	ist_weights_add(group, weight, 2, (size_t[]){n_out, n_in}, n_in);
	ist_weights_add(group, bias, 1, &n_out, n_in);
}

/* Each weight begins on a cache line of its own, so threads that update neighbours write apart. */
void ist_weights_allocate(struct ist_weights *group, bool training)
{
	size_t at = 0;

	group->value = ist_alloc_aligned(group->size, sizeof(ist_real));
	if (training) {
		group->gradient = ist_alloc_aligned(group->size, sizeof(ist_real));
		group->moment[0] = ist_alloc_aligned(group->size, sizeof(ist_real));
		group->moment[1] = ist_alloc_aligned(group->size, sizeof(ist_real));
	}
	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];

		w->value = group->value + at;
		if (training) {
			w->gradient = group->gradient + at;
			w->moment[0] = group->moment[0] + at;
			w->moment[1] = group->moment[1] + at;
			w->row_squares = ist_alloc(w->rows, sizeof(*w->row_squares));
		}
		at += (w->size + ALIGN - 1) / ALIGN * ALIGN;
	}
}

/* A weight's next initial value; PyTorch's linear default where there is a fan-in. */
static double initial(const struct ist_weight *w, struct ist_rng *rng)
{
	if (w->fan_in > 0)
		return (2 * ist_rng_uniform(rng) - 1) / sqrt((double)w->fan_in);
	return w->sd > 0 ? w->mean + w->sd * ist_rng_normal(rng) : w->mean;
}

/* A stream a name: adding a layer does not change the others' numbers. */
void ist_weights_init(struct ist_weights *group, uint64_t seed)
{
	for (size_t i = 0; i < group->n; i++) {
		struct ist_weight *w = group->weights[i];
		ist_autofree char *stream = ist_format("weights of %s", w->name);
		struct ist_rng rng;

		ist_rng_init(&rng, seed, stream);
		for (size_t k = 0; k < w->size; k++)
			w->value[k] = (ist_real)initial(w, &rng);
		for (size_t k = 0; w->eye && k < w->rows && k < w->cols; k++)
			w->value[k * w->cols + k] += 1;
	}
	ist_weights_touch(group);
}

/* After a checkpoint that turned out to be damaged half-way through reading it. */
void ist_weights_restart(struct ist_weights *group, uint64_t seed)
{
	for (size_t i = 0; i < group->n; i++)
		group->weights[i]->steps = 0;
	for (int k = 0; k < 2; k++)
		memset(group->moment[k], 0, group->size * sizeof(ist_real));
	ist_weights_init(group, seed);
}

struct ist_weight *ist_weights_find(const struct ist_weights *group, const char *name)
{
	for (size_t i = 0; i < group->n; i++)
		if (strcmp(group->weights[i]->name, name) == 0)
			return group->weights[i];
	return NULL;
}

void ist_weight_clear(struct ist_weight *w)
{
	w->has_gradient = w->has_dense = false;
	w->n_products = 0;
	w->decay = 0;
}

void ist_weights_clear(struct ist_weights *group)
{
	for (size_t i = 0; i < group->n; i++)
		ist_weight_clear(group->weights[i]);
}

/* Zeroed at the first use after a clear, not at the clear: most big weights never get a dense
 * part, and zeroing one would be a pass over its memory. */
ist_real *ist_weight_dense(struct ist_weight *w)
{
	if (!w->has_dense)
		memset(w->gradient, 0, w->size * sizeof(*w->gradient));
	w->has_gradient = w->has_dense = true;
	return w->gradient;
}

void ist_weight_product_rows(const struct ist_weight *w, const struct ist_product *p, size_t first,
			     size_t rows, bool add, ist_real *c)
{
	if (!p->panels) {
		ist_gemm_rows(p->dy, w->rows, first, rows, p->x, w->cols, p->n, add ? 1 : 0, c);
		return;
	}
	for (size_t col = 0; col < w->cols; col += IST_PANEL)
		ist_panel_multiply(p->dy + first * p->n, p->n, rows, p->x + col * p->n, p->n, add,
				   c + col, w->cols, IST_MIN((size_t)IST_PANEL, w->cols - col));
}

static void settle_panels(struct ist_weight *w, const struct ist_product *p)
{
	size_t n_blocks = (w->rows + SETTLE_ROWS - 1) / SETTLE_ROWS;

#pragma omp parallel for schedule(dynamic, 1) if (n_blocks > 1)
	for (size_t block = 0; block < n_blocks; block++) {
		size_t first = block * SETTLE_ROWS;

		ist_weight_product_rows(w, p, first, IST_MIN((size_t)SETTLE_ROWS, w->rows - first),
					w->has_dense, w->gradient + first * w->cols);
	}
}

/* Multiplies the products out into the dense part. */
static void settle_products(struct ist_weight *w)
{
	for (int i = 0; i < w->n_products; i++) {
		const struct ist_product *p = &w->product[i];

		if (p->panels)
			settle_panels(w, p);
		else
			ist_gemm(true, false, w->rows, w->cols, p->n, p->dy, p->x,
				 w->has_dense ? 1 : 0, w->gradient);
		w->has_dense = true;
	}
	w->n_products = 0;
}

void ist_weight_add_product(struct ist_weight *w, const struct ist_product *product)
{
	if (w->n_products == IST_MAX_PRODUCTS)
		settle_products(w);
	w->product[w->n_products++] = *product;
	w->has_gradient = true;
}

/* For clipping, which needs the whole norm first, and for whoever wants to look at gradients. */
void ist_weight_settle(struct ist_weight *w)
{
	settle_products(w);
	ist_weight_dense(w);
	ist_k_axpy(w->gradient, (ist_real)w->decay, w->value, w->size);
	w->decay = 0;
}

/* Row sums, added up in order: the optimiser renews them row by row while it moves the weight, and
 * a recomputation after resuming gives the same bits. */
double ist_weight_squares(struct ist_weight *w)
{
	double sum = 0;

	if (!w->squares_known) {
#pragma omp parallel for schedule(static) if (w->size > IST_PARALLEL_MIN)
		for (size_t i = 0; i < w->rows; i++) {
			const ist_real *row = w->value + i * w->cols;

			w->row_squares[i] = ist_k_dot(row, row, w->cols);
		}
		w->squares_known = true;
	}
	for (size_t i = 0; i < w->rows; i++)
		sum += w->row_squares[i];
	return sum;
}

void ist_weights_touch(struct ist_weights *group)
{
	for (size_t i = 0; i < group->n; i++)
		group->weights[i]->squares_known = false;
}
