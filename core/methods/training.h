/*
 * The training of a method whose models are networks: rows, scalings, sampler and loop of one run.
 * A method's own struct begins with it, so that its callbacks get both.
 */
#ifndef IST_CORE_METHODS_TRAINING_H
#define IST_CORE_METHODS_TRAINING_H

#include "core/methods/loop.h"
#include "core/methods/network.h"
#include "core/methods/samplers.h"

struct ist_training {
	const struct ist_method *method;
	const struct ist_pairs *pairs;
	json_t *params;
	uint64_t seed;
	uint32_t *rows; /* (n_rows) what is learned from */
	size_t n_rows;
	struct ist_sampler sampler;
	struct ist_network *kept; /* what the model will be: scalings from the start */
	struct ist_loop loop;
	float *scratch; /* a scaled row */
	/* After the weights were started, or a checkpoint was read: those that no optimiser moves
	 * are written here. May be NULL. */
	void (*started)(struct ist_training *t);
};

/* Picks the training rows (labelled ones only, if asked). */
IST_CHECKED enum ist_code ist_training_pick(struct ist_training *t, bool labelled,
					    struct ist_err *err);
/* With decided parameters: the sampler for batches of that size, the network and its scalings. All
 * are functions of pairs and seed, so a resumed training makes them again. */
void ist_training_start(struct ist_training *t, const struct ist_sampler_kind *sampler,
			size_t batch);
/* A batch of a modality into an input of as many rows. */
void ist_training_feed(struct ist_training *t, enum ist_modality m, const uint32_t *rows,
		       ist_node *ret);
/* Runs the loop to the end; what is the method's own (terms, n_terms, step, start_epoch) stands in
 * t->loop, whose user will be t. groups[0] is what the model keeps. */
IST_CHECKED enum ist_code ist_training_run(struct ist_training *t,
					   struct ist_weights *const *groups, size_t n_groups,
					   const struct ist_train_hooks *hooks,
					   struct ist_model **ret, struct ist_err *err);
void ist_training_finish(struct ist_training *t);

#endif
