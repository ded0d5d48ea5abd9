/*
 * The loop that every network is trained in: epochs of batches, checkpoints, early stopping,
 * curves, progress. A method says what moves and what a step is.
 */
#ifndef IST_CORE_METHODS_LOOP_H
#define IST_CORE_METHODS_LOOP_H

#include "core/methods/method.h"
#include "core/tensor/weights.h"

#define IST_MAX_TERMS 16

/* Where a training stands; plain numbers, for they are one tensor of its checkpoint. */
struct ist_progress {
	double epoch, batch;	   /* the next step */
	double sum[IST_MAX_TERMS]; /* of the terms over this epoch's steps */
	double best, best_epoch;   /* on validation; best_epoch -1: none yet */
};

struct ist_loop {
	/* Set before ist_loop_init; everything is borrowed. */
	const char *name; /* the checkpoint's file is <name>.safetensors */
	const struct ist_train_hooks *hooks;
	const json_t *params; /* decided; with seed and n_rows what a checkpoint must agree on */
	uint64_t seed;
	size_t n_rows, n_batches; /* rows trained on; steps of an epoch */
	long epochs, patience;	  /* patience 0: no early stopping */
	/* All that moves. groups[0] is what a model keeps: the best of it, or the last where nobody
	 * judges, is left in `kept`, an equal group without moments. */
	struct ist_weights *const *groups;
	size_t n_groups;
	struct ist_weights *kept;
	const char *const *terms; /* names of the curves */
	size_t n_terms;
	void *user;
	void (*start_epoch)(void *user, size_t epoch); /* may be NULL */
	/* After its last step, before validation; curves of its own go to the hooks. NULL: none. */
	void (*end_epoch)(void *user, size_t epoch);
	/* One step on that batch; the values of the terms go to terms (n_terms), NAN for one that
	 * an epoch does not have. */
	void (*step)(void *user, size_t epoch, size_t batch, double *terms);
	/* A model of a copy of groups[0] as it is, for validation. */
	struct ist_model *(*model)(void *user);

	struct ist_progress at;
	double saved, save_took, told; /* when; seconds; when */
};

/* From the beginning, or from where the checkpoint of the same training left off. */
void ist_loop_init(struct ist_loop *loop);
/* To the end, or IST_CANCELLED after a checkpoint; IST_INVALID where the weights left all bounds.
 */
IST_CHECKED enum ist_code ist_loop_run(struct ist_loop *loop, struct ist_err *err);

#endif
