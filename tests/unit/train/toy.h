/*
 * A toy collection for the tests of training: items of n_classes clusters, seen through two
 * different random linear maps with noise, so that the modalities correlate but share no space.
 */
#ifndef IST_TESTS_UNIT_TRAIN_TOY_H
#define IST_TESTS_UNIT_TRAIN_TOY_H

#include "core/methods/method.h"

struct toy {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t *label;
	int64_t *item;
	uint8_t *part;
};

/* n items in classes i % n_classes; of each ten items 1 is validation (if asked) and 3 are test. */
void toy_init(struct toy *toy, size_t n, size_t n_classes, bool validation, double noise);
void toy_finish(struct toy *toy);
void toy_unlabel(struct toy *toy);
/* A model of the named method; takes over `given`, parameters or NULL. */
struct ist_model *toy_train(struct toy *toy, const char *name, json_t *given);

#endif
