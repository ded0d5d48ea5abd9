/*
 * MNS-GAN's own term. The abstract's criticism of triplets, that pushing an anchor away from one
 * negative class does not push it from the others, is the classic argument for the (N+1)-tuplet
 * (Sohn, 2016): an anchor meets one negative of every other class at once. The second half of the
 * term takes positives and negatives inside one modality, the abstract's intra-modal
 * discrimination.
 */
#include "core/methods/mnsgan.h"
#include "core/tensor/ops.h"

/* Form A: log(1 + sum_c e^((d(a, p) - d(a, n_c)) / tau)), d = |a - b|^2
 * Form B: d2(a, p) + lambda mean_c max(0, mu - d2(a, n_c)), d2 = |a - b| */
static ist_node *l(const struct ist_mnsgan_settings *s, ist_node *anchor, ist_node *other,
		   ist_node *p, ist_node *n)
{
	if (s->hinge)
		return ist_tuplet_hinge(ist_distance(anchor, other), p, n, s->lambda, s->mu);
	return ist_tuplet(ist_distance2(anchor, other), p, n, s->tau);
}

/* Each item's own position: across the modalities the positive is the own pair. */
static ist_node *own_pairs(struct ist_graph *graph, size_t n)
{
	ist_node *own = ist_ids(graph, "own", n);

	for (size_t i = 0; i < n; i++)
		own->ids[i] = (int32_t)i;
	return own;
}

/* L_mns = 1/2 (l_V->T + l_T->V) + eta 1/2 (l_V->V + l_T->T), each a mean over anchors */
static ist_node *multi_negative(struct ist_adversarial *a, const void *settings)
{
	const struct ist_mnsgan_settings *s = settings;
	ist_node *own = own_pairs(a->graph, s->net.batch), *inter, *intra;

	a->pos = ist_ids(a->graph, "pos", s->net.batch);
	a->neg = ist_ids(a->graph, "neg", s->net.batch * s->n_negatives);
	inter = ist_add(l(s, a->v, a->t, own, a->neg), l(s, a->t, a->v, own, a->neg));
	intra = ist_add(l(s, a->v, a->v, a->pos, a->neg), l(s, a->t, a->t, a->pos, a->neg));
	return ist_add(ist_scale(inter, .5), ist_scale(intra, .5 * s->eta));
}

enum ist_code ist_mnsgan_create(const struct ist_mnsgan_settings *s, uint64_t seed,
				struct ist_adversarial **ret, struct ist_err *err)
{
	return ist_adversarial_create(&s->net, multi_negative, s, seed, ret, err);
}
