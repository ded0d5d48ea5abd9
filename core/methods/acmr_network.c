/*
 * ACMR's own term: structure preservation. L_imi is a mean over anchors of means over positives and
 * negatives, not the paper's sum, so that alpha and lambda mean the same whatever the batch and its
 * classes.
 */
#include "core/methods/acmr.h"
#include "core/tensor/ops.h"

/* L_imi: like items near, others at least mu away, from both sides (eqs 4 to 6) */
static ist_node *structure_preservation(struct ist_adversarial *a, const void *settings)
{
	const struct ist_acmr_settings *s = settings;
	ist_node *l2 = ist_distance(a->v, a->t);

	return ist_add(ist_contrastive(l2, a->y, s->lambda, s->mu, s->own_pair),
		       ist_contrastive(ist_transpose(l2), a->y, s->lambda, s->mu, s->own_pair));
}

enum ist_code ist_acmr_create(const struct ist_acmr_settings *s, uint64_t seed,
			      struct ist_adversarial **ret, struct ist_err *err)
{
	return ist_adversarial_create(&s->net, structure_preservation, s, seed, ret, err);
}
