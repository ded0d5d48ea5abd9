/*
 * Affine maps a modality, shared by the linear baselines: their application, their file
 * (model.safetensors: image.weight, image.bias, image.mean, image.factor, the same of text), and
 * the choice of the rows that a baseline learns from.
 */
#include "core/methods/maps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"

#define WEIGHTS "model.safetensors"
#define BLOCK 256 /* rows scaled at a time */

struct ist_maps *ist_maps_create(void)
{
	struct ist_maps *maps = ist_alloc(1, sizeof(*maps));

	maps->refs = 1;
	return maps;
}

struct ist_maps *ist_maps_ref(struct ist_maps *maps)
{
	__atomic_add_fetch(&maps->refs, 1, __ATOMIC_RELAXED);
	return maps;
}

void ist_maps_unref(struct ist_maps *maps)
{
	if (maps == NULL || __atomic_sub_fetch(&maps->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_scaling_finish(&maps->scaling[m]);
		free(maps->weight[m]);
		free(maps->bias[m]);
	}
	free(maps);
}

void ist_maps_destroy(struct ist_model *model)
{
	ist_maps_unref(model->state);
}

const char *ist_scaling_param(enum ist_modality m)
{
	return m == IST_IMAGE ? "image_scaling" : "text_scaling";
}

/* A side as the tensors of its file; the names live as long as the caller's buffer. */
static size_t describe(const struct ist_model *model, enum ist_modality m, char names[4][64],
		       struct ist_safetensor ret[4])
{
	const struct ist_maps *maps = model->state;
	const char *side = ist_modality_name(m);
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%s.", side);
	snprintf(names[0], sizeof(names[0]), "%s.weight", side);
	snprintf(names[1], sizeof(names[1]), "%s.bias", side);
	ret[0] = (struct ist_safetensor){.name = names[0],
					 .dtype = "F32",
					 .n_dims = 2,
					 .shape = {model->dim_in[m], model->dim[m]},
					 .data = maps->weight[m]};
	ret[1] = (struct ist_safetensor){.name = names[1],
					 .dtype = "F32",
					 .n_dims = 1,
					 .shape = {model->dim[m]},
					 .data = maps->bias[m]};
	return 2 + ist_scaling_tensors(&maps->scaling[m], prefix, names + 2, ret + 2);
}

enum ist_code ist_maps_save(const struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_safetensor tensors[4 * IST_N_MODALITIES];
	char names[4 * IST_N_MODALITIES][64];
	size_t n = 0;

	for (int m = 0; m < IST_N_MODALITIES; m++)
		n += describe(model, m, names + n, tensors + n);
	return ist_safetensors_write(path, tensors, n, NULL, err);
}

/* Shapes come from the manifest and are checked against the file by the reader. */
static enum ist_code load_side(const struct ist_model *model, struct ist_maps *maps,
			       enum ist_modality m, const struct ist_safetensors *file,
			       struct ist_err *err)
{
	const size_t shape[2] = {model->dim_in[m], model->dim[m]};
	ist_autofree char *weight = ist_format("%s.weight", ist_modality_name(m));
	ist_autofree char *bias = ist_format("%s.bias", ist_modality_name(m));
	ist_autofree char *prefix = ist_format("%s.", ist_modality_name(m));
	enum ist_code code;

	maps->weight[m] = ist_alloc_raw(shape[0] * shape[1], sizeof(float));
	maps->bias[m] = ist_alloc_raw(shape[1], sizeof(float));
	code = ist_safetensors_read_f32(file, weight, 2, shape, maps->weight[m], err);
	if (code == IST_OK)
		code = ist_safetensors_read_f32(file, bias, 1, shape + 1, maps->bias[m], err);
	if (code == IST_OK)
		code = ist_scaling_read(&maps->scaling[m],
					ist_param_choice(model->params, ist_scaling_param(m)),
					shape[0], file, prefix, err);
	return code;
}

/* The state is set only when all of it has been read. */
enum ist_code ist_maps_load(struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_maps *maps = ist_maps_create();
	struct ist_safetensors *file = NULL;
	enum ist_code code;

	code = ist_safetensors_open(path, &file, err);
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = load_side(model, maps, m, file, err);
	ist_safetensors_close(file);
	if (code != IST_OK) {
		ist_maps_unref(maps);
		return code;
	}
	model->state = maps;
	return IST_OK;
}

/* Biases are laid down first, so that the product adds to them in one pass. */
void ist_maps_apply(const struct ist_maps *maps, enum ist_modality m, size_t dim, const float *x,
		    size_t n, float *ret)
{
	size_t dim_in = maps->scaling[m].dim, block = IST_MIN(n, (size_t)BLOCK);
	ist_autofree float *scaled = ist_alloc_raw(block * dim_in, sizeof(float));

	for (size_t at = 0; at < n; at += block) {
		size_t rows = IST_MIN(n - at, block);

		ist_scaling_apply(&maps->scaling[m], x + at * dim_in, rows, scaled);
		for (size_t i = 0; i < rows; i++)
			memcpy(ret + (at + i) * dim, maps->bias[m], dim * sizeof(float));
		ist_gemm_f32(IST_PLAIN, IST_PLAIN, rows, dim, dim_in, 1, scaled, maps->weight[m], 1,
			     ret + at * dim);
	}
}

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Ascending order keeps the reading of a mapped matrix sequential. */
uint32_t *ist_training_rows(const struct ist_pairs *pairs, bool labelled, size_t limit,
			    uint64_t seed, size_t *ret_n)
{
	uint32_t *rows = ist_alloc_raw(pairs->n, sizeof(*rows));
	struct ist_rng rng;
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->part[i] == IST_TRAIN && (!labelled || pairs->label[i] >= 0))
			rows[n++] = (uint32_t)i;
	}
	if (n > limit) {
		ist_rng_init(&rng, seed, "training rows");
		ist_rng_permute(&rng, rows, n);
		n = limit;
		qsort(rows, n, sizeof(*rows), ascending);
	}
	*ret_n = n;
	return rows;
}

void ist_unit_rows(float *x, size_t n, size_t dim)
{
	for (size_t i = 0; i < n; i++) {
		float *row = x + i * dim;
		double sum = 0;

		for (size_t j = 0; j < dim; j++)
			sum += (double)row[j] * row[j];
		for (size_t j = 0; sum > 0 && j < dim; j++)
			row[j] = (float)(row[j] / sqrt(sum));
	}
}
