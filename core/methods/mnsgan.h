/*
 * MNS-GAN (Ma, Wang, Hou: ICECE 2021): what it adds to the adversarial common space. A
 * reconstruction: of the paper the abstract is at hand. Private to mnsgan*.c, its tests and
 * benchmarks.
 */
#ifndef IST_CORE_METHODS_MNSGAN_H
#define IST_CORE_METHODS_MNSGAN_H

#include "core/methods/adversarial.h"

struct ist_mnsgan_settings {
	struct ist_adversarial_settings net;
	bool hinge;	    /* form B; else form A, the tuplet */
	size_t n_negatives; /* of an anchor */
	double tau;	    /* form A */
	double lambda, mu;  /* form B */
	double eta;	    /* weight of the intra-modal half */
};

/* The network; pos (batch) and neg (batch n_negatives) are among its inputs. */
IST_CHECKED enum ist_code ist_mnsgan_create(const struct ist_mnsgan_settings *s, uint64_t seed,
					    struct ist_adversarial **ret, struct ist_err *err);

/* How the negatives of an anchor are chosen. */
struct ist_mnsgan_draw {
	bool one_class; /* all from one other class, not each from another */
	bool nearest;	/* within a class the item whose image is nearest; else any */
};
/* Fills a->pos with another item of the anchor's class (itself where it is alone) and a->neg with
 * items of other classes (-1 where there are too few), for the batch that stands in the inputs. */
void ist_mnsgan_draw(struct ist_adversarial *a, const struct ist_mnsgan_draw *how, uint64_t seed,
		     size_t epoch, size_t batch);

#endif
