/*
 * CM-GANs' networks, with x an image's or a text's features, s its code, r its reconstruction:
 *
 *   E_m:   x -> block -> block = s    the second block is one for both modalities (tied), with
 *                                     running statistics of each
 *   Dec_m: s -> block -> linear = r   Cls_m: s -> linear
 *   D_m:   x -> linear                D_Cm:  [s ; x] -> block -> linear
 *
 * A block is linear, batch normalisation, leaky relu. Discriminators give logits. Each modality has
 * its letter, as in the paper: I and T.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/cmgan.h"
#include "core/tensor/ops.h"

#define NAME 32

static const char letter[IST_N_MODALITIES] = {[IST_IMAGE] = 'I', [IST_TEXT] = 'T'};
static const char *const site[IST_N_MODALITIES] = {[IST_IMAGE] = "_I", [IST_TEXT] = "_T"};

/* "E1.I"; for a part that both modalities share, "E2". */
static void part_name(char ret[NAME], const char *part, enum ist_modality m, bool shared)
{
	if (shared)
		snprintf(ret, NAME, "%s", part);
	else
		snprintf(ret, NAME, "%s.%c", part, letter[m]);
}

/* ---- weights ---- */

static void add_block(struct ist_weights *group, const char *part, enum ist_modality m, size_t n_in,
		      size_t n_out)
{
	char name[NAME];

	part_name(name, part, m, false);
	ist_layer_add_block(group, name, n_in, n_out);
	ist_layer_add_statistics(group, name, "", n_out);
}

static void add_linear(struct ist_weights *group, const char *part, enum ist_modality m,
		       size_t n_in, size_t n_out)
{
	char name[NAME];

	part_name(name, part, m, false);
	ist_weights_add_linear(group, name, n_in, n_out);
}

/* What both modalities may share is declared with the first of them. */
static void add_shared(struct ist_weights *theta_G, const struct ist_cmgan_settings *s,
		       enum ist_modality m)
{
	if (s->tied && m == IST_IMAGE)
		ist_layer_add_block(theta_G, "E2", s->code, s->code);
	if (s->tied)
		ist_layer_add_statistics(theta_G, "E2", site[m], s->code);
	else
		add_block(theta_G, "E2", m, s->code, s->code);
	if (s->one_head && m == IST_IMAGE)
		ist_weights_add_linear(theta_G, "cls", s->code, s->n_classes);
	if (!s->one_head)
		add_linear(theta_G, "cls", m, s->code, s->n_classes);
}

struct ist_weights *ist_cmgan_theta_G(const void *settings, bool training)
{
	const struct ist_cmgan_settings *s = settings;
	struct ist_weights *theta_G = ist_weights_create("theta_G");

	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++) {
		add_block(theta_G, "E1", m, s->n_in[m], s->code);
		add_shared(theta_G, s, m);
		add_block(theta_G, "dec1", m, s->code, s->code);
		add_linear(theta_G, "dec2", m, s->code, s->n_in[m]);
	}
	ist_weights_allocate(theta_G, training);
	return theta_G;
}

static struct ist_weights *theta_D_of(const struct ist_cmgan_settings *s)
{
	struct ist_weights *theta_D = ist_weights_create("theta_D");

	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++) {
		add_linear(theta_D, "D", m, s->n_in[m], 1);
		add_block(theta_D, "DC1", m, s->code + s->n_in[m], s->discriminator_hidden);
		add_linear(theta_D, "DC2", m, s->discriminator_hidden, 1);
	}
	ist_weights_allocate(theta_D, true);
	return theta_D;
}

/* ---- networks ---- */

/* One block in training: `ret` says where its statistics are. */
static ist_node *block(struct ist_graph *g, struct ist_weights *group, const char *part,
		       enum ist_modality m, bool shared, ist_node *x, struct ist_norm *ret)
{
	char name[NAME];

	part_name(name, part, m, shared);
	return ist_layer_block(g, group, name, shared ? site[m] : "", x, ret);
}

static ist_node *linear(struct ist_graph *g, struct ist_weights *group, const char *part,
			enum ist_modality m, bool shared, ist_node *x)
{
	char name[NAME];

	part_name(name, part, m, shared);
	return ist_layer_linear(g, group, name, x);
}

/* s = E_m(x) */
static ist_node *encode(struct ist_graph *g, const struct ist_cmgan *c, enum ist_modality m,
			ist_node *x, struct ist_norm norm[2])
{
	x = block(g, c->theta_G, "E1", m, false, x, &norm[0]);
	return block(g, c->theta_G, "E2", m, c->s.tied, x, &norm[1]);
}

/* r = Dec_m(s) */
static ist_node *decode(struct ist_graph *g, const struct ist_cmgan *c, enum ist_modality m,
			ist_node *s, struct ist_norm *norm)
{
	return linear(g, c->theta_G, "dec2", m, false,
		      block(g, c->theta_G, "dec1", m, false, s, norm));
}

/* D_Cm(s, x): does the code s belong to x, a feature of modality m? */
static ist_node *D_C(struct ist_graph *g, const struct ist_cmgan *c, enum ist_modality m,
		     ist_node *s, ist_node *x, struct ist_norm *norm)
{
	return linear(g, c->theta_D, "DC2", m, false,
		      block(g, c->theta_D, "DC1", m, false, ist_concat(s, x), norm));
}

static ist_node *block_fixed(struct ist_graph *g, struct ist_weights *theta_G, const char *part,
			     enum ist_modality m, bool shared, ist_node *x)
{
	char name[NAME];

	part_name(name, part, m, shared);
	return ist_layer_block_fixed(g, theta_G, name, shared ? site[m] : "", x);
}

ist_node *ist_cmgan_encode(struct ist_graph *g, struct ist_weights *theta_G, const void *settings,
			   enum ist_modality m, ist_node *x)
{
	const struct ist_cmgan_settings *s = settings;

	x = block_fixed(g, theta_G, "E1", m, false, x);
	return block_fixed(g, theta_G, "E2", m, s->tied, x);
}

ist_node *ist_cmgan_classify(struct ist_graph *g, struct ist_weights *theta_G, const void *settings,
			     enum ist_modality m, ist_node *s)
{
	const struct ist_cmgan_settings *p = settings;

	return linear(g, theta_G, "cls", m, p->one_head, s);
}

ist_node *ist_cmgan_decode(struct ist_graph *g, struct ist_weights *theta_G, enum ist_modality m,
			   ist_node *s)
{
	return linear(g, theta_G, "dec2", m, false, block_fixed(g, theta_G, "dec1", m, false, s));
}

/* ---- losses ---- */

/* Places in a modality's list of norms. */
enum { E1, E2, WRONG_E1, WRONG_E2, DEC, OWN, OTHER, WRONG };

/* L_Dm = -log D_m(x) - log(1 - D_m(r))
 * L_DCm = -log D_Cm(s, x) - 1/2 log(1 - D_Cm(s_other, x)) - 1/2 log(1 - D_Cm(s_wrong, c)),
 * c = x, or with wrong_own the wrong code's own original, as the authors' code has it. */
static void judge(struct ist_cmgan *c, enum ist_modality m)
{
	struct ist_cmgan_judges *j = &c->judges;
	struct ist_graph *g = j->graph;
	struct ist_norm *norm = j->norm[m];
	ist_node *x = j->x[m], *s = j->s[m], *s_other = j->s[!m];
	ist_node *s_wrong = encode(g, c, m, j->wrong[m], &norm[WRONG_E1]);
	ist_node *condition = c->s.wrong_own ? j->wrong[m] : x;
	ist_node *fake;

	j->r[m] = decode(g, c, m, s, &norm[DEC]);
	j->L_D[m] = ist_add(ist_bce(linear(g, c->theta_D, "D", m, false, x), 1),
			    ist_bce(linear(g, c->theta_D, "D", m, false, j->r[m]), 0));
	fake = ist_add(ist_bce(D_C(g, c, m, s_other, x, &norm[OTHER]), 0),
		       ist_bce(D_C(g, c, m, s_wrong, condition, &norm[WRONG]), 0));
	j->L_DC[m] = ist_add(ist_bce(D_C(g, c, m, s, x, &norm[OWN]), 1), ist_scale(fake, .5));
}

/* The generators' weights are constants here. */
static enum ist_code create_judges(struct ist_cmgan *c, struct ist_err *err)
{
	struct ist_cmgan_judges *j = &c->judges;

	j->graph = ist_graph_create();
	ist_graph_freeze(j->graph, c->theta_G);
	j->y = ist_ids(j->graph, "y", c->s.batch);
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++) {
		j->x[m] = ist_input(j->graph, "x", c->s.batch, c->s.n_in[m]);
		j->wrong[m] = ist_input(j->graph, "wrong", c->s.batch, c->s.n_in[m]);
		j->s[m] = encode(j->graph, c, m, j->x[m], &j->norm[m][E1]);
	}
	for (enum ist_modality m = 0; m < IST_N_MODALITIES; m++)
		judge(c, m);
	j->L = ist_add(ist_add(j->L_D[IST_IMAGE], j->L_D[IST_TEXT]),
		       ist_add(j->L_DC[IST_IMAGE], j->L_DC[IST_TEXT]));
	return ist_graph_compile(j->graph, true, err);
}

/* L_Gm = -log D_C,other(s, x_other) - log D_m(r) - log Cls_m(y | s): a code has to pass for one of
 * the other modality. The discriminators' weights are constants here. */
static enum ist_code create_generator(struct ist_cmgan *c, enum ist_modality m, struct ist_err *err)
{
	const struct ist_cmgan_settings *p = &c->s;
	struct ist_cmgan_generator *n = &c->generator[m];
	struct ist_graph *g = n->graph = ist_graph_create();
	ist_node *s, *r;

	ist_graph_freeze(g, c->theta_D);
	n->x = ist_input(g, "x", p->batch, p->n_in[m]);
	n->condition = ist_input(g, "condition", p->batch, p->n_in[!m]);
	n->y = ist_ids(g, "y", p->batch);
	s = encode(g, c, m, n->x, &n->norm[0]);
	n->L_cls = ist_cross_entropy(ist_cmgan_classify(g, c->theta_G, p, m, s), n->y);
	n->L_inter = ist_bce(D_C(g, c, !m, s, n->condition, &n->norm[2]), 1);
	r = decode(g, c, m, s, &n->norm[3]);
	n->L_intra = ist_bce(linear(g, c->theta_D, "D", m, false, r), 1);
	n->L_rec = ist_squared_error(n->x, r);
	n->L =
	    ist_add(ist_add(ist_scale(n->L_inter, p->inter), ist_scale(n->L_intra, p->intra)),
		    ist_add(ist_scale(n->L_cls, p->cls), ist_scale(n->L_rec, p->reconstruction)));
	return ist_graph_compile(g, true, err);
}

static struct ist_optimiser adam(const struct ist_cmgan_settings *s, double weight_decay)
{
	return (struct ist_optimiser){.rule = &ist_optimiser_adam,
				      .lr = s->lr,
				      .beta1 = s->beta1,
				      .beta2 = s->beta2,
				      .eps = 1e-8,
				      .weight_decay = weight_decay};
}

enum ist_code ist_cmgan_create(const struct ist_cmgan_settings *s, uint64_t seed,
			       struct ist_cmgan **ret, struct ist_err *err)
{
	struct ist_cmgan *c = ist_alloc(1, sizeof(*c));
	enum ist_code code;

	c->s = *s;
	c->theta_G = ist_cmgan_theta_G(s, true);
	c->theta_D = theta_D_of(s);
	ist_weights_init(c->theta_G, seed);
	ist_weights_init(c->theta_D, seed);
	c->optimiser_G = adam(s, s->weight_decay);
	c->optimiser_D = adam(s, 0);
	code = create_judges(c, err);
	for (enum ist_modality m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = create_generator(c, m, err);
	if (code != IST_OK) {
		ist_cmgan_destroy(c);
		return code;
	}
	*ret = c;
	return IST_OK;
}

void ist_cmgan_destroy(struct ist_cmgan *c)
{
	if (c == NULL)
		return;
	ist_graph_destroy(c->judges.graph);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_graph_destroy(c->generator[m].graph);
	ist_weights_destroy(c->theta_G);
	ist_weights_destroy(c->theta_D);
	ist_optimiser_finish(&c->optimiser_G);
	ist_optimiser_finish(&c->optimiser_D);
	free(c);
}

/* ---- the iteration ---- */

/* The authors run the encoders anew for every discriminator, in the order D_T, D_I, D_CT, D_CI, and
 * each run moves the running statistics; one run here counts as often and in that order. */
static void track_judges(struct ist_cmgan *c)
{
	static const struct {
		enum ist_modality m;
		int norm[8], n;
	} order[] = {
	    {IST_TEXT, {E1, E2, DEC}, 3},
	    {IST_IMAGE, {E1, E2, DEC}, 3},
	    {IST_TEXT, {E1, E2, WRONG_E1, WRONG_E2, OWN, OTHER, WRONG}, 7},
	    {IST_IMAGE, {E1, E2}, 2},
	    {IST_IMAGE, {E1, E2, WRONG_E1, WRONG_E2, OWN, OTHER, WRONG}, 7},
	    {IST_TEXT, {E1, E2}, 2},
	};

	for (size_t i = 0; i < IST_COUNT(order); i++)
		for (int k = 0; k < order[i].n; k++)
			ist_norm_track(&c->judges.norm[order[i].m][order[i].norm[k]]);
}

static void step_discriminators(struct ist_cmgan *c)
{
	ist_graph_forward(c->judges.graph);
	track_judges(c);
	ist_graph_backward(c->judges.L);
	ist_optimiser_step(&c->optimiser_D, &c->theta_D, 1);
}

/* The other generator's gradients are forgotten first: the groups are one, the updates two. */
static void step_generator(struct ist_cmgan *c, struct ist_cmgan_generator *n)
{
	ist_graph_forward(n->graph);
	for (size_t i = 0; i < IST_COUNT(n->norm); i++)
		ist_norm_track(&n->norm[i]);
	ist_weights_clear(c->theta_G);
	ist_graph_backward(n->L);
	ist_optimiser_step(&c->optimiser_G, &c->theta_G, 1);
}

static void copy(ist_node *to, const ist_node *from)
{
	memcpy(to->value, from->value, to->size * sizeof(*to->value));
}

void ist_cmgan_share(struct ist_cmgan *c)
{
	const struct ist_cmgan_judges *j = &c->judges;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		copy(c->generator[m].x, j->x[m]);
		copy(c->generator[m].condition, j->x[!m]);
		memcpy(c->generator[m].y->ids, j->y->ids, c->s.batch * sizeof(*j->y->ids));
	}
}

void ist_cmgan_step(struct ist_cmgan *c)
{
	ist_cmgan_share(c);
	step_discriminators(c);
	for (long i = 0; i < c->s.rounds; i++)
		for (int m = 0; m < IST_N_MODALITIES; m++)
			step_generator(c, &c->generator[m]);
}
