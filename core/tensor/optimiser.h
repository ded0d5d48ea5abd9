/*
 * Optimisers: rows of a table. A step moves every weight of the groups that got a gradient since
 * it was last cleared; a weight without one keeps its moments and its step count.
 */
#ifndef IST_CORE_TENSOR_OPTIMISER_H
#define IST_CORE_TENSOR_OPTIMISER_H

#include "core/tensor/kernels.h"
#include "core/tensor/weights.h"

struct ist_optimiser;

struct ist_optimiser_rule {
	const char *name; /* "sgd", "adam", "rmsprop" */
	/* The numbers of a weight's t-th step (t from 1). */
	void (*rates)(const struct ist_optimiser *o, uint64_t t, struct ist_rates *ret);
	void (*update)(const struct ist_rates *r, ist_real *w, const ist_real *g, ist_real *m,
		       ist_real *v, size_t n);
};
extern const struct ist_optimiser_rule ist_optimiser_sgd, ist_optimiser_adam, ist_optimiser_rmsprop;
extern const struct ist_optimiser_rule *const ist_optimiser_rules[]; /* ends with NULL */

struct ist_optimiser {
	const struct ist_optimiser_rule *rule;
	double lr;
	double beta1, beta2; /* adam; rmsprop: beta2 is its smoothing */
	double momentum;     /* sgd */
	double eps;
	double weight_decay;	     /* L2: adds weight_decay * w to the gradient */
	bool decoupled;		     /* instead takes lr * weight_decay * w off first (AdamW) */
	double clip;		     /* largest norm of the gradient over all groups; 0: none */
	const char *prefix[2];	     /* moves weights whose names begin so alone; NULL: all */
	ist_real *scratch;	     /* a block of gradient for each thread */
	size_t n_scratch, n_threads; /* numbers of a block; blocks */
};

void ist_optimiser_step(struct ist_optimiser *o, struct ist_weights *const *groups, size_t n);
void ist_optimiser_finish(struct ist_optimiser *o);

#endif
