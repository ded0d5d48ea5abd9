/* A training that is looked at while it goes on. A mistake ends the program. */
#ifndef IST_TESTS_FIGURES_WATCHED_H
#define IST_TESTS_FIGURES_WATCHED_H

#include "core/methods/method.h"
#include "tests/figures/runs.h"

struct watch {
	size_t every; /* epochs between two looks; 0: none */
	void (*look)(void *user, const struct ist_model *model, size_t epoch);
	void *user;
};

/* Trains by the setting; what the model learned last is kept, whatever was seen. Curves of the loss
 * go to stderr. *ret_seconds: without the looks. */
struct ist_model *train_watched(const struct setting *setting, const struct ist_pairs *pairs,
				uint64_t seed, const struct watch *watch, double *ret_seconds);
/* For looking at it afterwards; nothing where folder is NULL. */
void save_model(const struct ist_model *model, const char *folder);

#endif
