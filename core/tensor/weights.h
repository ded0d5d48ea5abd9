/*
 * Weights: what training moves. They live in named groups, each with one slab of values, one of
 * gradients and two of moments; sharing a weight is naming it twice in a formula.
 *
 * A gradient is kept in parts until somebody needs it whole: a dense part, products dY'X of linear
 * layers that are not multiplied out (both factors stay alive in the graph until its next forward),
 * and a multiple of the weight itself (norms, decay). The optimiser multiplies and applies them in
 * one pass, block by block in the cache, so that big gradients are never written to memory.
 */
#ifndef IST_CORE_TENSOR_WEIGHTS_H
#define IST_CORE_TENSOR_WEIGHTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/tensor/real.h"
#include "core/tensor/safetensors.h"

#define IST_MAX_DIMS 4
#define IST_MAX_PRODUCTS 4

/* dY (n, rows of the weight), X (n, cols of the weight); with `panels` dY is turned (rows, n) and
 * X packed by ist_panel_pack. */
struct ist_product {
	const ist_real *dy, *x;
	size_t n;
	bool panels;
};

struct ist_weight {
	char *name;
	int n_dims;
	size_t dim[IST_MAX_DIMS];
	size_t rows, cols; /* cols = size / rows; a bias is one row */
	size_t size, fan_in;
	double mean, sd;			/* of the initial values, where fan_in is 0 */
	bool eye;				/* ones on the diagonal are added to them */
	double pace;				/* factor on the learning rate; 1 */
	ist_real *value, *gradient, *moment[2]; /* in the group's slabs */
	uint64_t steps;				/* updates so far */
	/* gradient = dense (where has_dense) + sum of products + decay * value */
	bool has_gradient, has_dense;
	struct ist_product product[IST_MAX_PRODUCTS];
	int n_products;
	double decay;
	double *row_squares; /* (rows) sums of squares of the values, while squares_known */
	bool squares_known;
};

struct ist_weights {
	char *name;
	struct ist_weight **weights;
	size_t n;
	ist_real *value, *gradient, *moment[2]; /* slabs of `size` numbers */
	size_t size;
};

struct ist_weights *ist_weights_create(const char *name);
void ist_weights_destroy(struct ist_weights *group);

/* Declaring, before allocate: one weight of any shape, or "<name>.weight" (n_out, n_in) with
 * "<name>.bias" (n_out). */
void ist_weights_add(struct ist_weights *group, const char *name, int n_dims, const size_t *dim,
		     size_t fan_in);
/* One whose initial values are N(mean, sd): all `mean` with sd 0. */
void ist_weights_add_normal(struct ist_weights *group, const char *name, int n_dims,
			    const size_t *dim, double mean, double sd);
/* A matrix near the identity: N(0, sd) with ones added on the diagonal. */
void ist_weights_add_eye(struct ist_weights *group, const char *name, size_t n_in, size_t n_out,
			 double sd);
void ist_weights_add_linear(struct ist_weights *group, const char *name, size_t n_in, size_t n_out);
/* The slabs; values only unless `training`. Values start at 0. */
void ist_weights_allocate(struct ist_weights *group, bool training);
/* Uniform in +-1/sqrt(fan_in) or normal, each weight from a random stream of its own name. */
void ist_weights_init(struct ist_weights *group, uint64_t seed);
/* The same, with moments and step counts back at 0. */
void ist_weights_restart(struct ist_weights *group, uint64_t seed);
struct ist_weight *ist_weights_find(const struct ist_weights *group, const char *name);

/* Forgets the gradients of the whole group, where it is in several graphs. */
void ist_weights_clear(struct ist_weights *group);
/* Gradients. `clear` forgets; the others add a part; `settle` makes the dense part the whole. */
void ist_weight_clear(struct ist_weight *w);
ist_real *ist_weight_dense(struct ist_weight *w); /* to be added to */
void ist_weight_add_product(struct ist_weight *w, const struct ist_product *product);
/* Rows first .. first + rows of a product, on the calling thread: c (rows, cols), added to with
 * `add`. */
void ist_weight_product_rows(const struct ist_weight *w, const struct ist_product *product,
			     size_t first, size_t rows, bool add, ist_real *c);
void ist_weight_settle(struct ist_weight *w);
/* Frobenius norm squared; summed up anew only where the values changed since. */
double ist_weight_squares(struct ist_weight *w);
/* To be called after values were written by hand. */
void ist_weights_touch(struct ist_weights *group);

/*
 * Values under their names and, for resuming, moments ("<name>.moment0", ".moment1") and step
 * counts ("<name>.steps"): appended to `t`, which has room for ist_weights_n_tensors. Texts are
 * allocated in `names`, a list that ist_names_finish frees.
 */
struct ist_names {
	char **text;
	size_t n;
};
void ist_names_finish(struct ist_names *names);
size_t ist_weights_n_tensors(const struct ist_weights *group, bool resumable);
size_t ist_weights_tensors(const struct ist_weights *group, bool resumable, const char *prefix,
			   struct ist_names *names, struct ist_safetensor *t);
IST_CHECKED enum ist_code ist_weights_read(struct ist_weights *group, bool resumable,
					   const char *prefix, const struct ist_safetensors *file,
					   struct ist_err *err);

#endif
