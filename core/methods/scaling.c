/*
 * Input scaling, fitted in double precision in one order, so that equal rows give equal bits. Every
 * kind ends in y = (x - mean) * factor: the ones that do not need a mean or a factor hold 0 or 1.
 */
#include "core/methods/scaling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

#define SD_FLOOR 1e-8
#define SIDE 256 /* columns of a block, so that the sums stay in the nearest cache */

const char *const ist_scaling_names[IST_N_SCALINGS + 1] = {
    [IST_SCALING_ZSCORE] = "zscore",
    [IST_SCALING_SQRT_L2] = "sqrt_l2",
    [IST_SCALING_UNIT] = "unit",
    [IST_SCALING_NONE] = "none",
};

/* Names were checked by the parameter table. */
static enum ist_scaling_kind kind_of(const char *name)
{
	for (int k = 0; k < IST_N_SCALINGS; k++)
		if (strcmp(ist_scaling_names[k], name) == 0)
			return (enum ist_scaling_kind)k;
	return IST_SCALING_NONE;
}

/* The kind's own first step; ret may be x. */
static void first_step(enum ist_scaling_kind kind, const float *x, size_t dim, float *ret)
{
	double sum = 0;
	float scale;

	for (size_t j = 0; j < dim; j++) {
		float v = kind == IST_SCALING_SQRT_L2 ? sqrtf(fmaxf(x[j], 0)) : x[j];

		sum += (double)v * (double)v;
		ret[j] = v;
	}
	scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
	for (size_t j = 0; j < dim; j++)
		ret[j] *= scale;
}

static bool has_first_step(enum ist_scaling_kind kind)
{
	return kind == IST_SCALING_SQRT_L2 || kind == IST_SCALING_UNIT;
}

static void init(struct ist_scaling *s, enum ist_scaling_kind kind, size_t dim)
{
	*s = (struct ist_scaling){.kind = kind, .dim = dim};
	s->mean = ist_alloc_aligned(dim, sizeof(float));
	s->factor = ist_alloc_aligned(dim, sizeof(float));
	for (size_t j = 0; j < dim; j++)
		s->factor[j] = 1;
}

/* Sums over rows of (x - mean)^power for power 1 or 2, of up to SIDE columns from `from`. */
static void column_sums(const float *x, size_t dim, const uint32_t *rows, size_t n_rows,
			size_t from, size_t n, const double *mean, double *ret)
{
	memset(ret, 0, n * sizeof(*ret));
	for (size_t i = 0; i < n_rows; i++) {
		const float *row = x + (size_t)rows[i] * dim + from;

		for (size_t j = 0; j < n; j++) {
			double d = (double)row[j] - (mean != NULL ? mean[j] : 0);

			ret[j] += mean != NULL ? d * d : d;
		}
	}
}

/* Two passes, so that a large mean does not eat the digits of a small deviation. */
static void fit_zscore(struct ist_scaling *s, const float *x, const uint32_t *rows, size_t n_rows)
{
	double mean[SIDE], squares[SIDE];

	for (size_t from = 0; from < s->dim; from += SIDE) {
		size_t n = IST_MIN(s->dim - from, (size_t)SIDE);

		column_sums(x, s->dim, rows, n_rows, from, n, NULL, mean);
		for (size_t j = 0; j < n; j++)
			mean[j] /= (double)n_rows;
		column_sums(x, s->dim, rows, n_rows, from, n, mean, squares);
		for (size_t j = 0; j < n; j++) {
			double sd = sqrt(squares[j] / (double)n_rows);

			s->mean[from + j] = (float)mean[j];
			s->factor[from + j] = (float)(sd < SD_FLOOR ? 1 : 1 / sd);
		}
	}
}

/* The mean of what the first step makes of the rows. */
static void fit_mean(struct ist_scaling *s, const float *x, const uint32_t *rows, size_t n_rows)
{
	double *sum = ist_alloc(s->dim, sizeof(*sum));
	float *row = ist_alloc(s->dim, sizeof(*row));

	for (size_t i = 0; i < n_rows; i++) {
		first_step(s->kind, x + (size_t)rows[i] * s->dim, s->dim, row);
		for (size_t j = 0; j < s->dim; j++)
			sum[j] += (double)row[j];
	}
	for (size_t j = 0; j < s->dim; j++)
		s->mean[j] = (float)(sum[j] / (double)n_rows);
	free(sum);
	free(row);
}

void ist_scaling_fit(struct ist_scaling *s, const char *kind, const float *x, size_t dim,
		     const uint32_t *rows, size_t n_rows)
{
	init(s, kind_of(kind), dim);
	if (n_rows == 0)
		return;
	if (s->kind == IST_SCALING_ZSCORE)
		fit_zscore(s, x, rows, n_rows);
	else if (has_first_step(s->kind))
		fit_mean(s, x, rows, n_rows);
}

void ist_scaling_apply(const struct ist_scaling *s, const float *x, size_t n, float *ret)
{
	for (size_t i = 0; i < n; i++) {
		const float *from = x + i * s->dim;
		float *to = ret + i * s->dim;

		if (has_first_step(s->kind)) {
			first_step(s->kind, from, s->dim, to);
			from = to;
		}
		for (size_t j = 0; j < s->dim; j++)
			to[j] = (from[j] - s->mean[j]) * s->factor[j];
	}
}

/* A root is squared again, a negative one to 0: the feature was not negative there. */
void ist_scaling_invert(const struct ist_scaling *s, size_t n, float *x)
{
	for (size_t i = 0; i < n * s->dim; i++) {
		size_t j = i % s->dim;

		x[i] = x[i] / s->factor[j] + s->mean[j];
		if (s->kind == IST_SCALING_SQRT_L2)
			x[i] = x[i] > 0 ? x[i] * x[i] : 0;
	}
}

bool ist_rows_negative(const float *x, size_t dim, const uint32_t *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++)
		for (size_t j = 0; j < dim; j++)
			if (x[rows[i] * dim + j] < 0)
				return true;
	return false;
}

void ist_scaling_equalise(struct ist_scaling *s, const float *x, const uint32_t *rows,
			  size_t n_rows)
{
	float *row = ist_alloc(s->dim, sizeof(*row)), factor;
	double squares = 0, n = (double)n_rows * (double)s->dim;

	for (size_t i = 0; i < n_rows; i++) {
		ist_scaling_apply(s, x + (size_t)rows[i] * s->dim, 1, row);
		for (size_t j = 0; j < s->dim; j++)
			squares += (double)row[j] * (double)row[j];
	}
	factor = squares > 0 ? (float)sqrt(n / squares) : 1;
	for (size_t j = 0; j < s->dim; j++)
		s->factor[j] *= factor;
	free(row);
}

void ist_scaling_copy(struct ist_scaling *s, const struct ist_scaling *from)
{
	init(s, from->kind, from->dim);
	memcpy(s->mean, from->mean, from->dim * sizeof(*s->mean));
	memcpy(s->factor, from->factor, from->dim * sizeof(*s->factor));
}

void ist_scaling_finish(struct ist_scaling *s)
{
	if (s == NULL)
		return;
	free(s->mean);
	free(s->factor);
	*s = (struct ist_scaling){0};
}

size_t ist_scaling_tensors(const struct ist_scaling *s, const char *prefix, char names[2][64],
			   struct ist_safetensor ret[2])
{
	const float *data[2] = {s->mean, s->factor};
	const char *const suffix[2] = {"mean", "factor"};

	for (int i = 0; i < 2; i++) {
		snprintf(names[i], 64, "%s%s", prefix, suffix[i]);
		ret[i] = (struct ist_safetensor){.name = names[i],
						 .dtype = "F32",
						 .n_dims = 1,
						 .shape = {s->dim},
						 .data = data[i]};
	}
	return 2;
}

enum ist_code ist_scaling_read(struct ist_scaling *s, const char *kind, size_t dim,
			       const struct ist_safetensors *file, const char *prefix,
			       struct ist_err *err)
{
	char names[2][64];
	struct ist_safetensor t[2];
	enum ist_code code;

	init(s, kind_of(kind), dim);
	ist_scaling_tensors(s, prefix, names, t);
	code = ist_safetensors_read_f32(file, names[0], 1, &dim, s->mean, err);
	if (code == IST_OK)
		code = ist_safetensors_read_f32(file, names[1], 1, &dim, s->factor, err);
	if (code != IST_OK)
		ist_scaling_finish(s);
	return code;
}
