/*
 * Input scaling: what is done to a feature before a method sees it. Fitted on the rows that a
 * training learns from, kept in the model, applied to gallery and queries alike.
 *
 *   zscore   (x - mean) / sd of each column; population sd, sd < 1e-8 counts as 1
 *   sqrt_l2  square root of the non-negative part, unit length, minus the mean of training
 *   unit     unit length, minus the mean of training
 *   none     as it is
 *
 * A row of zeros stays zero where a length is divided by. Fitted scalings are immutable: any
 * thread may apply one.
 */
#ifndef IST_CORE_METHODS_SCALING_H
#define IST_CORE_METHODS_SCALING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/tensor/safetensors.h"

enum ist_scaling_kind {
	IST_SCALING_ZSCORE,
	IST_SCALING_SQRT_L2,
	IST_SCALING_UNIT,
	IST_SCALING_NONE,
	IST_N_SCALINGS
};
extern const char *const ist_scaling_names[IST_N_SCALINGS + 1]; /* ends with NULL */

/* The row of a parameter table that chooses the scaling of one modality's features. */
#define IST_PARAM_SCALING(modality)                                                                \
	{                                                                                          \
		.name = modality "_scaling", .kind = IST_PARAM_CHOICE,                             \
		.choices = ist_scaling_names,                                                      \
		.help = "what is done to " modality " features first"                              \
	}

struct ist_scaling {
	enum ist_scaling_kind kind;
	size_t dim;
	float *mean, *factor; /* (dim) y = (x - mean) * factor, after the kind's own first step */
};

/* x (…, dim) row-major; the rows listed in `rows` are learned from. `kind` is one of the names. */
void ist_scaling_fit(struct ist_scaling *s, const char *kind, const float *x, size_t dim,
		     const uint32_t *rows, size_t n_rows);
/* Whether any number of the listed rows is below 0: the square root is for features that are not.
 */
bool ist_rows_negative(const float *x, size_t dim, const uint32_t *rows, size_t n_rows);
/* Multiplies every factor by one number, so that the numbers of the listed rows, all columns
 * together, have mean square 1: for networks that want inputs of one size but not of equal columns.
 */
void ist_scaling_equalise(struct ist_scaling *s, const float *x, const uint32_t *rows,
			  size_t n_rows);
/* x (n, dim) -> ret (n, dim); in place is allowed. */
void ist_scaling_apply(const struct ist_scaling *s, const float *x, size_t n, float *ret);
/* Features from scaled ones, in place: x (n, dim). What a scaling divides away (the length of a
 * row) is lost. */
void ist_scaling_invert(const struct ist_scaling *s, size_t n, float *x);
void ist_scaling_copy(struct ist_scaling *s, const struct ist_scaling *from);
void ist_scaling_finish(struct ist_scaling *s);

/* For a model's file: two tensors, `mean` and `factor`, named by what stands in `names`
 * (two buffers of 64 bytes that the tensors borrow), e.g. "image.mean". Returns 2. */
size_t ist_scaling_tensors(const struct ist_scaling *s, const char *prefix, char names[2][64],
			   struct ist_safetensor ret[2]);
IST_CHECKED enum ist_code ist_scaling_read(struct ist_scaling *s, const char *kind, size_t dim,
					   const struct ist_safetensors *file, const char *prefix,
					   struct ist_err *err);

#endif
