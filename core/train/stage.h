/* A stage of long work: hooks that pass everything on, with the stage's fractions made fractions of
 * the whole. */
#ifndef IST_CORE_TRAIN_STAGE_H
#define IST_CORE_TRAIN_STAGE_H

#include "core/methods/method.h"

struct ist_stage {
	const struct ist_train_hooks *outer; /* any member may be NULL */
	double from, to;		     /* its share of the whole */
	const char *prefix;		     /* before the name of every curve; NULL: none */
};

/* Hooks for one stage; *stage outlives their use. No checkpoints: whoever may keep some says so. */
struct ist_train_hooks ist_stage_hooks(struct ist_stage *stage, const struct ist_train_hooks *outer,
				       double from, double to);
/* The same, and says at once what begins. */
struct ist_train_hooks ist_stage_begin(struct ist_stage *stage, const struct ist_train_hooks *outer,
				       double from, double to, const char *name);

#endif
