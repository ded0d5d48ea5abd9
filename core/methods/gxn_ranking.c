/*
 * GXN's matching: s*(t, v) = lambda s(t_h, v_h) + (1 - lambda) s(t_l, v_l) between all texts and
 * all pictures of a batch, and the ranking loss over it, to which every pair of different items is
 * a negative of both its sides, or only the hardest one of each.
 */
#include "core/methods/gxn.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/ops.h"

/* s(t, v) = -|max(0, t - v)|^2 of non-negative vectors, or the inner product. */
static ist_node *score(const struct ist_gxn_settings *s, ist_node *t, ist_node *v)
{
	if (s->score == IST_COSINE)
		return ist_matmul(t, ist_transpose(v));
	t = ist_abs(t);
	v = ist_abs(v);
	return ist_scale(s->image_over_text ? ist_transpose(ist_order(v, t)) : ist_order(t, v), -1);
}

ist_node *ist_gxn_score(const struct ist_gxn_settings *s, struct ist_gxn_levels t,
			struct ist_gxn_levels v)
{
	return ist_add(ist_scale(score(s, t.h, v.h), s->lambda),
		       ist_scale(score(s, t.l, v.l), 1 - s->lambda));
}

/* Without dropout there is no mask at all. */
static ist_node *mask_input(struct ist_gxn_ranking *r, const char *name, enum ist_modality m)
{
	if (r->s.dropout == 0)
		return NULL;
	return ist_input(r->graph, name, r->s.batch, ist_gxn_mask_width(&r->s, m));
}

static void formulas(struct ist_gxn_ranking *r)
{
	const struct ist_gxn_settings *s = &r->s;
	struct ist_graph *g = r->graph;

	r->x[IST_IMAGE] = ist_input(g, "image", s->batch, ist_gxn_width(s, IST_IMAGE));
	r->x[IST_TEXT] = ist_input(g, "text", s->batch, ist_gxn_width(s, IST_TEXT));
	r->mask[IST_IMAGE] = mask_input(r, "image mask", IST_IMAGE);
	r->mask[IST_TEXT] = mask_input(r, "text mask", IST_TEXT);
	r->item = ist_ids(g, "item", s->batch);
	r->v = ist_gxn_image(&r->norms, g, r->theta, s, r->x[IST_IMAGE], r->mask[IST_IMAGE]);
	r->t = ist_gxn_text(g, r->theta, s, r->x[IST_TEXT], r->mask[IST_TEXT]);
	r->score = ist_gxn_score(s, r->t, r->v);
	r->L_sum = ist_ranking(r->score, r->item, s->margin, false);
	if (s->hardest)
		r->L_hardest = ist_ranking(r->score, r->item, s->margin, true);
}

enum ist_code ist_gxn_ranking_create(const struct ist_gxn_settings *s, struct ist_weights *theta,
				     struct ist_gxn_ranking **ret, struct ist_err *err)
{
	struct ist_gxn_ranking *r = ist_alloc(1, sizeof(*r));
	enum ist_code code;

	r->s = *s;
	r->theta = theta;
	r->norms.training = true;
	r->graph = ist_graph_create();
	formulas(r);
	code = ist_graph_compile(r->graph, true, err);
	if (code != IST_OK)
		ist_gxn_ranking_destroy(r);
	else
		*ret = r;
	return code;
}

void ist_gxn_ranking_destroy(struct ist_gxn_ranking *r)
{
	if (r == NULL)
		return;
	ist_graph_destroy(r->graph);
	free(r);
}

void ist_gxn_drop(ist_node *mask, double p, struct ist_rng *rng)
{
	uint32_t below = (uint32_t)(p * 4294967296.0);
	ist_real kept = (ist_real)(1 / (1 - p));

	for (size_t i = 0; mask != NULL && i < mask->size; i++)
		mask->value[i] = ist_rng_u32(rng) < below ? 0 : kept;
}

static void feed(struct ist_gxn_ranking *r, const struct ist_gxn_batch *batch, bool again)
{
	struct ist_rng rng;

	ist_gxn_rng(batch, again ? "dropout again" : "dropout", &rng);
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		memcpy(r->x[m]->value, batch->x[m], r->x[m]->size * sizeof(*r->x[m]->value));
		ist_gxn_drop(r->mask[m], r->s.dropout, &rng);
	}
	memcpy(r->item->ids, batch->item, r->s.batch * sizeof(*r->item->ids));
}

/* Other graphs may have left gradients on weights that are not this one's. */
double ist_gxn_ranking_step(struct ist_gxn_ranking *r, const struct ist_gxn_batch *batch,
			    bool hardest, bool again, struct ist_optimiser *encoders)
{
	ist_node *L = hardest && r->L_hardest != NULL ? r->L_hardest : r->L_sum;

	feed(r, batch, again);
	ist_weights_clear(r->theta);
	ist_graph_forward(r->graph);
	ist_norms_track(&r->norms);
	ist_graph_backward(L);
	ist_optimiser_step(encoders, &r->theta, 1);
	return (double)L->value[0];
}

void ist_gxn_ranking_settle(struct ist_gxn_ranking *r, const struct ist_gxn_batch *batch,
			    double momentum)
{
	feed(r, batch, false);
	ist_graph_forward(r->graph);
	ist_norms_move(&r->norms, momentum);
}
