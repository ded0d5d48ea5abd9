/*
 * What the linear baselines have in common: an affine map a modality after its input scaling, the
 * rows they learn from, and how they are kept. Any thread may apply maps that are fitted.
 */
#ifndef IST_CORE_METHODS_MAPS_H
#define IST_CORE_METHODS_MAPS_H

#include "core/methods/defaults.h"
#include "core/methods/scaling.h"

struct ist_maps {
	struct ist_scaling scaling[IST_N_MODALITIES];
	float *weight[IST_N_MODALITIES]; /* (dim_in, dim) */
	float *bias[IST_N_MODALITIES];	 /* (dim) */
	int refs;			 /* variants of one model share their maps; atomic */
};

struct ist_maps *ist_maps_create(void);
struct ist_maps *ist_maps_ref(struct ist_maps *maps);
void ist_maps_unref(struct ist_maps *maps);

/* For method rows whose state is an ist_maps. load makes the state from model.safetensors. */
IST_CHECKED enum ist_code ist_maps_load(struct ist_model *model, const char *folder,
					struct ist_err *err);
IST_CHECKED enum ist_code ist_maps_save(const struct ist_model *model, const char *folder,
					struct ist_err *err);
void ist_maps_destroy(struct ist_model *model);

/* ret (n, dim) = scaled x (n, dim_in) weight + bias. */
void ist_maps_apply(const struct ist_maps *maps, enum ist_modality m, size_t dim, const float *x,
		    size_t n, float *ret);

/* Training pairs (labelled ones only, if asked), at most `limit` of them drawn by the seed, in
 * ascending order; freed by the caller. */
uint32_t *ist_training_rows(const struct ist_pairs *pairs, bool labelled, size_t limit,
			    uint64_t seed, size_t *ret_n);

/* The scaling parameters' name of a modality: "image_scaling", "text_scaling". */
const char *ist_scaling_param(enum ist_modality m);

/* x (n, dim): every row to unit length; a row of zeros stays. */
void ist_unit_rows(float *x, size_t n, size_t dim);

#endif
