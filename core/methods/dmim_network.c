/*
 * DMIM's network: encoders, TIRG's composition, the metric loss, and two terms that maximise mutual
 * information: of the text with the picture that it asks for, and of the composed feature with the
 * local features of that picture's encoder. Nobody plays against anybody: encoders and critics
 * ascend the same bounds in one step. A weight of 0 takes a term and its critic out; with both 0
 * this is TIRG, bit for bit.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/dmim.h"
#include "core/tensor/ops.h"

static const size_t one = 1;

bool ist_dmim_crosses(const struct ist_dmim_settings *s)
{
	return s->lambda_text > 0 &&
	       (s->text_with == IST_DMIM_TARGET || s->text_with == IST_DMIM_BOTH);
}

/* ---- critics ---- */

static const char *part_of(char ret[48], const char *name, const char *part)
{
	snprintf(ret, 48, "%s.%s", name, part);
	return ret;
}

static void declare_critic(struct ist_weights *group, const char *name, size_t n_in, size_t units)
{
	char part[48];

	ist_weights_add_linear(group, part_of(part, name, "fc1"), n_in, units);
	ist_layer_add_batch_norm(group, part_of(part, name, "norm"), units);
	ist_weights_add_linear(group, part_of(part, name, "fc2"), units, units);
	ist_weights_add_eye(group, part_of(part, name, "shortcut.weight"), n_in, units, .01);
	ist_weights_add_normal(group, part_of(part, name, "shortcut.bias"), 1, &units, 0, 0);
}

/* W2 ReLU(BN(W1 a)) + Ws a, Ws near the identity (Deep InfoMax) */
ist_node *ist_dmim_critic(struct ist_norms *norms, struct ist_graph *g, struct ist_weights *group,
			  const char *name, ist_node *a)
{
	char part[48];
	ist_node *h = ist_layer_linear(g, group, part_of(part, name, "fc1"), a);

	h = ist_relu(ist_layer_batch_norm(norms, g, group, part_of(part, name, "norm"), h));
	return ist_add(ist_layer_linear(g, group, part_of(part, name, "fc2"), h),
		       ist_layer_linear(g, group, part_of(part, name, "shortcut"), a));
}

struct ist_weights *ist_dmim_theta(const struct ist_dmim_settings *s, bool training)
{
	struct ist_weights *theta = ist_weights_create("theta");

	ist_dmim_declare_encoders(theta, s);
	if (s->map)
		ist_tirg_declare_map(theta, ist_image_channels(s->channels, IST_IMAGE_LAYERS),
				     s->d);
	else
		ist_tirg_declare(theta, s->composition, s->d);
	ist_weights_add_normal(theta, "s", 1, &one, 4, 0);
	if (s->lambda_text > 0) {
		declare_critic(theta, "psi_t", s->d, s->critic);
		declare_critic(theta, "omega_x", s->d, s->critic);
	}
	ist_weights_allocate(theta, training);
	return theta;
}

/* Kept by nobody: it serves the training alone. */
static struct ist_weights *critics(const struct ist_dmim_settings *s)
{
	struct ist_weights *group = ist_weights_create("critics");

	if (s->lambda_local > 0) {
		declare_critic(group, "psi_f", s->d, s->critic);
		declare_critic(group, "omega_m",
			       s->cnn ? ist_image_channels(s->channels, IST_IMAGE_EARLY)
				      : s->n_in[IST_IMAGE],
			       s->critic);
		ist_weights_add_normal(group, "omega_m.layer.weight", 1, &s->critic, 1, 0);
		ist_weights_add_normal(group, "omega_m.layer.bias", 1, &s->critic, 0, 0);
	}
	ist_weights_allocate(group, true);
	return group;
}

/* ---- losses ---- */

/* s v / |v| */
static ist_node *scaled_unit(struct ist_dmim *a, ist_node *v)
{
	return ist_times(ist_unit(v), ist_weight(a->graph, a->theta, "s"));
}

/* Batch classification: which of the batch's targets is the own one? Or the soft triplet loss. */
static ist_node *metric(struct ist_dmim *a)
{
	ist_node *q = scaled_unit(a, a->f), *y = scaled_unit(a, a->x_tgt);

	if (a->s.metric == IST_DMIM_TRIPLET)
		return ist_soft_triplet(q, y, a->negatives);
	return ist_cross_entropy(ist_matmul(q, ist_transpose(y)), a->own);
}

/* Scores of psi against omega, and the estimator over them. */
static ist_node *information(const struct ist_dmim *a, ist_node *psi, ist_node *omega)
{
	ist_node *u = ist_matmul(psi, ist_transpose(omega));

	return a->s.estimator == IST_DMIM_JSD ? ist_jsd(u) : ist_info_nce(u);
}

static ist_node *omega_x(struct ist_dmim *a, ist_node *x)
{
	return ist_dmim_critic(&a->norms, a->graph, a->theta, "omega_x", x);
}

/* L_MI(t; x*) */
static ist_node *text_term(struct ist_dmim *a)
{
	ist_node *psi = ist_dmim_critic(&a->norms, a->graph, a->theta, "psi_t", a->t);

	switch (a->s.text_with) {
	case IST_DMIM_REFERENCE:
		return information(a, psi, omega_x(a, a->x));
	case IST_DMIM_BOTH:
		return ist_scale(ist_add(information(a, psi, omega_x(a, a->x_tgt)),
					 information(a, psi, omega_x(a, a->x))),
				 .5);
	case IST_DMIM_DIFFERENCE:
		return information(a, psi, omega_x(a, ist_add(a->x_tgt, ist_scale(a->x, -1))));
	default:
		return information(a, psi, omega_x(a, a->x_tgt));
	}
}

/* L_MI(M(target); f): M is the target's map after an early layer, of which places are drawn, or the
 * frozen feature, which has one place. */
static ist_node *local_term(struct ist_dmim *a, ist_node *map)
{
	ist_node *psi = ist_dmim_critic(&a->norms, a->graph, a->critics, "psi_f", a->f);
	ist_node *m = a->s.cnn ? ist_places(map, a->places) : a->target;
	ist_node *omega = ist_dmim_critic(&a->norms, a->graph, a->critics, "omega_m", m);

	omega = ist_layer_norm(omega, ist_weight(a->graph, a->critics, "omega_m.layer.weight"),
			       ist_weight(a->graph, a->critics, "omega_m.layer.bias"));
	return information(a, psi, omega);
}

/* L = L_metric + lambda1 L_MI(t; x*) + lambda2 L_MI(M; f) */
static void losses(struct ist_dmim *a, ist_node *map)
{
	a->L = a->L_metric = metric(a);
	if (a->s.lambda_text > 0) {
		a->L_text = text_term(a);
		a->L = ist_add(a->L, ist_scale(a->L_text, a->s.lambda_text));
	}
	if (a->s.lambda_local > 0) {
		a->L_local = local_term(a, map);
		a->L = ist_add(a->L, ist_scale(a->L_local, a->s.lambda_local));
	}
}

static void formulas(struct ist_dmim *a)
{
	const struct ist_dmim_settings *s = &a->s;
	struct ist_graph *g = a->graph;
	struct ist_dmim_picture reference, target;

	a->image = ist_input(g, "image", s->batch, s->n_in[IST_IMAGE]);
	a->text = ist_input(g, "text", s->batch, s->lstm ? s->words : s->n_in[IST_TEXT]);
	a->target = ist_input(g, "target", s->batch, s->n_in[IST_IMAGE]);
	a->own = ist_ids(g, "own", s->batch);
	for (size_t i = 0; i < s->batch; i++)
		a->own->ids[i] = (int32_t)i;
	a->negatives = ist_ids(g, "negatives", 2 * s->batch * IST_DMIM_NEGATIVES);
	a->places = ist_ids(g, "places", s->batch * s->locations);

	reference = ist_dmim_image(&a->norms, g, a->theta, s, a->image);
	target = ist_dmim_image(&a->norms, g, a->theta, s, a->target);
	a->x = reference.x;
	a->x_tgt = target.x;
	a->t = ist_dmim_text(g, a->theta, s, a->text);
	a->f = ist_dmim_compose(&a->norms, g, a->theta, s, &reference, a->t);
	losses(a, target.local);
}

/* ---- the whole ---- */

/* The critics may learn at a pace of their own. */
static void set_pace(struct ist_weights *group, const char *prefix, double pace)
{
	for (size_t i = 0; i < group->n; i++)
		if (strncmp(group->weights[i]->name, prefix, strlen(prefix)) == 0)
			group->weights[i]->pace = pace;
}

enum ist_code ist_dmim_create(const struct ist_dmim_settings *s, uint64_t seed,
			      struct ist_dmim **ret, struct ist_err *err)
{
	struct ist_dmim *a = ist_alloc(1, sizeof(*a));
	enum ist_code code;

	a->s = *s;
	a->theta = ist_dmim_theta(s, true);
	a->critics = critics(s);
	ist_weights_init(a->theta, seed);
	ist_weights_init(a->critics, seed);
	set_pace(a->theta, "psi_", s->critic_pace);
	set_pace(a->theta, "omega_", s->critic_pace);
	set_pace(a->critics, "", s->critic_pace);
	a->optimiser = (struct ist_optimiser){.rule = &ist_optimiser_adam,
					      .beta1 = .9,
					      .beta2 = .999,
					      .eps = 1e-8,
					      .weight_decay = s->weight_decay,
					      .decoupled = true};
	a->norms.training = true;
	a->graph = ist_graph_create();
	formulas(a);
	code = ist_graph_compile(a->graph, true, err);
	if (code != IST_OK) {
		ist_dmim_destroy(a);
		return code;
	}
	*ret = a;
	return IST_OK;
}

void ist_dmim_destroy(struct ist_dmim *a)
{
	if (a == NULL)
		return;
	ist_graph_destroy(a->graph);
	ist_weights_destroy(a->theta);
	ist_weights_destroy(a->critics);
	ist_optimiser_finish(&a->optimiser);
	free(a);
}

void ist_dmim_step(struct ist_dmim *a, double lr)
{
	struct ist_weights *groups[] = {a->theta, a->critics};

	a->optimiser.lr = lr;
	ist_graph_forward(a->graph);
	ist_norms_track(&a->norms);
	ist_graph_backward(a->L);
	ist_optimiser_step(&a->optimiser, groups, 2);
}
