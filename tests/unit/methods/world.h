/*
 * Made-up pairs of four classes, each with a direction in either modality; the last fifth is held
 * out, one pair has no label. And what tests ask of a model of them.
 */
#ifndef IST_TESTS_UNIT_METHODS_WORLD_H
#define IST_TESTS_UNIT_METHODS_WORLD_H

#include "core/methods/method.h"

#define WORLD_CLASSES 4
#define WORLD_PAIRS 150
#define WORLD_IMAGE 20
#define WORLD_TEXT 12
#define WORLD_SEED 7 /* of trainings */

struct world {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t label[WORLD_PAIRS];
	uint8_t part[WORLD_PAIRS];
	int64_t item[WORLD_PAIRS];
};

void world_init(struct world *w);
void world_finish(struct world *w);

/* Complete parameters of a method out of JSON text; the test fails on an error. */
json_t *world_params(const char *method, const char *given);
struct ist_model *world_train(const struct world *w, const char *method, const char *given,
			      const struct ist_train_hooks *hooks);
/* Embeddings of all pairs, (WORLD_PAIRS, dim[m]); freed by the caller. */
float *world_embed(const struct ist_model *model, const struct world *w, enum ist_modality m);
double world_distance(const float *a, const float *b, size_t dim);
/* The share of held-out images whose nearest held-out text is of their class; by order, or by
 * distance for all the others. */
double world_precision(const struct ist_model *model, const struct world *w);
void world_assert_same(const struct ist_model *a, const struct ist_model *b, const struct world *w);

/* A stop hook that counts, stops at one call, or kills the process at one. */
struct world_stopper {
	int asked, stop_at, kill_at;
};
bool world_stop(void *user);
/* Trains until the stop; the checkpoint it leaves is somewhere within an epoch. */
void world_run_stopped(const struct world *w, const char *method, const char *given,
		       const char *folder, int after);
/* Trains in a child that kills itself after some steps. */
void world_run_killed(const struct world *w, const char *method, const char *given,
		      const char *folder, int after);

#endif
