/*
 * The networks that imagine pictures (or features) from texts, and the one that judges them, after
 * Reed et al. (Generative Adversarial Text to Image Synthesis, 2016) with the conditioning
 * augmentation of StackGAN:
 *
 *   phi = lrelu(L t_l)   mu, s = L phi, L phi   t_c = mu + e^(s / 2) eps     no ReLU on mu and s
 *   G:  [z; t_c] -> linear -> 8 g x 4 x 4 -> { transposed convolution 4 x 4 / 2 } -> tanh
 *       with batch normalisation and ReLU between, and half as many channels after each
 *   D:  picture -> { convolution 4 x 4 / 2, f, 2 f, .. channels } -> 4 x 4, the condition spread
 *       over it -> convolution 1 x 1 -> convolution 4 x 4 -> logit, to which comes a projection:
 *       what is seen and what is asked for in the same numbers, multiplied and weighed
 *       with batch normalisation (but for the first and the last) and leaky ReLU
 *
 * For features both bodies are stacks of linear maps. Convolutions start at N(0, .02). A level is
 * of unit length: it is multiplied by sqrt(d) first, so that the maps over it see numbers about 1.
 */
#include <math.h>
#include <stdio.h>

#include "core/methods/gxn.h"
#include "core/tensor/ops.h"

#define NAME 64
#define SLOPE .2
#define INIT_SD .02
#define FIRST 4	       /* side of the smallest map */
#define KERNEL 4       /* of what doubles or halves a side */
#define WIDEST 8       /* channels of the smallest map are so many times g */
#define PROJECTION 256 /* numbers in which D compares what it sees and what is asked for */
#define FEATURE 16     /* width of a layer over features: so many times g or f */

static const char *named(char ret[NAME], const char *part, const char *layer)
{
	snprintf(ret, NAME, "%s.%s", part, layer);
	return ret;
}

static const char *numbered(char ret[NAME], const char *part, const char *layer, size_t i)
{
	snprintf(ret, NAME, "%s.%s%zu", part, layer, i);
	return ret;
}

/* Doublings from the smallest map to the picture. */
static size_t stages_of(const struct ist_gxn_settings *s)
{
	size_t n = 0;

	while ((size_t)FIRST << n < s->side)
		n++;
	return n;
}

static size_t at_least_1(size_t n)
{
	return n > 0 ? n : 1;
}

/* Channels of the generator's map after so many doublings. */
static size_t drawn_channels(const struct ist_gxn_settings *s, size_t stage)
{
	return stage == stages_of(s) ? 3 : at_least_1(WIDEST * s->g >> stage);
}

/* Channels of the discriminator's map after so many halvings. */
static size_t seen_channels(const struct ist_gxn_settings *s, size_t stage)
{
	return stage == 0 ? 3 : s->f << (stage - 1);
}

/* ---- weights ---- */

/* dim[0] outputs of a convolution, inputs of a transposed one. */
static void add_conv(struct ist_weights *group, const char *name, size_t first, size_t second,
		     size_t side, size_t n_out)
{
	char text[NAME];

	ist_weights_add_normal(group, named(text, name, "weight"), 4,
			       (size_t[]){first, second, side, side}, 0, INIT_SD);
	ist_weights_add_normal(group, named(text, name, "bias"), 1, &n_out, 0, 0);
}

/* No bias of its own: a normalisation follows. */
static void add_first(struct ist_weights *group, const char *part, size_t n_in, size_t n_out)
{
	char text[NAME];

	ist_weights_add_normal(group, named(text, part, "first.weight"), 2, (size_t[]){n_out, n_in},
			       0, INIT_SD);
	ist_weights_add_normal(group, named(text, part, "first.bias"), 1, &n_out, 0, 0);
}

static void declare_drawing(struct ist_weights *group, const char *part,
			    const struct ist_gxn_settings *s)
{
	char name[NAME];

	add_first(group, part, s->z + s->condition, drawn_channels(s, 0) * FIRST * FIRST);
	ist_layer_add_batch_norm(group, numbered(name, part, "norm", 0), drawn_channels(s, 0));
	for (size_t i = 1; i <= stages_of(s); i++) {
		add_conv(group, numbered(name, part, "up", i), drawn_channels(s, i - 1),
			 drawn_channels(s, i), KERNEL, drawn_channels(s, i));
		if (i < stages_of(s))
			ist_layer_add_batch_norm(group, numbered(name, part, "norm", i),
						 drawn_channels(s, i));
	}
}

static void declare_making(struct ist_weights *group, const char *part,
			   const struct ist_gxn_settings *s)
{
	size_t width = FEATURE * s->g;
	char name[NAME];

	add_first(group, part, s->z + s->condition, width);
	ist_layer_add_batch_norm(group, numbered(name, part, "norm", 0), width);
	ist_weights_add_linear(group, named(name, part, "middle"), width, width);
	ist_layer_add_batch_norm(group, numbered(name, part, "norm", 1), width);
	ist_weights_add_linear(group, named(name, part, "last"), width, s->n_in[IST_IMAGE]);
}

static void declare_generator(struct ist_weights *group, const char *part,
			      const struct ist_gxn_settings *s)
{
	char name[NAME];

	ist_weights_add_linear(group, named(name, part, "phi"), s->d, s->condition);
	ist_weights_add_linear(group, named(name, part, "mu"), s->condition, s->condition);
	ist_weights_add_linear(group, named(name, part, "sigma"), s->condition, s->condition);
	if (s->generator == IST_GXN_PIXELS)
		declare_drawing(group, part, s);
	else
		declare_making(group, part, s);
}

void ist_gxn_declare_render(struct ist_weights *theta, const struct ist_gxn_settings *s)
{
	declare_generator(theta, "render", s);
}

struct ist_weights *ist_gxn_generator(const struct ist_gxn_settings *s)
{
	struct ist_weights *group = ist_weights_create("generator");

	declare_generator(group, group->name, s);
	ist_weights_allocate(group, true);
	return group;
}

static void declare_looking(struct ist_weights *group, const struct ist_gxn_settings *s)
{
	size_t n = stages_of(s);
	char name[NAME];

	for (size_t i = 1; i <= n; i++) {
		add_conv(group, numbered(name, "D", "down", i), seen_channels(s, i),
			 seen_channels(s, i - 1), KERNEL, seen_channels(s, i));
		if (i > 1)
			ist_layer_add_batch_norm(group, numbered(name, "D", "norm", i),
						 seen_channels(s, i));
	}
	add_conv(group, "D.join", seen_channels(s, n), seen_channels(s, n) + s->condition, 1,
		 seen_channels(s, n));
	ist_layer_add_batch_norm(group, "D.norm", seen_channels(s, n));
	add_conv(group, "D.last", 1, seen_channels(s, n), FIRST, 1);
	if (!s->projection)
		return;
	ist_weights_add_linear(group, "D.seen", seen_channels(s, n) * FIRST * FIRST, PROJECTION);
	ist_weights_add_linear(group, "D.asked", s->condition, PROJECTION);
	ist_weights_add_linear(group, "D.match", PROJECTION, 1);
}

static void declare_weighing(struct ist_weights *group, const struct ist_gxn_settings *s)
{
	size_t width = FEATURE * s->f;

	ist_weights_add_linear(group, "D.first", s->n_in[IST_IMAGE], width);
	ist_weights_add_linear(group, "D.join", width + s->condition, width);
	ist_weights_add_linear(group, "D.last", width, 1);
}

struct ist_weights *ist_gxn_critic(const struct ist_gxn_settings *s)
{
	struct ist_weights *group = ist_weights_create("critic");

	ist_weights_add_linear(group, "D.condition", s->d, s->condition);
	if (s->generator == IST_GXN_PIXELS)
		declare_looking(group, s);
	else
		declare_weighing(group, s);
	ist_weights_allocate(group, true);
	return group;
}

/* ---- networks ---- */

static ist_node *linear(struct ist_graph *graph, struct ist_weights *group, const char *part,
			const char *layer, ist_node *x)
{
	char name[NAME];

	return ist_layer_linear(graph, group, named(name, part, layer), x);
}

static ist_node *relu_norm(struct ist_norms *norms, struct ist_graph *graph,
			   struct ist_weights *group, const char *part, size_t i, ist_node *x)
{
	char name[NAME];

	return ist_relu(
	    ist_layer_batch_norm(norms, graph, group, numbered(name, part, "norm", i), x));
}

/* sqrt(d) t_l */
static ist_node *level(const struct ist_gxn_settings *s, ist_node *t_l)
{
	return ist_scale(t_l, sqrt((double)s->d));
}

struct ist_gxn_condition ist_gxn_condition(struct ist_graph *graph, struct ist_weights *group,
					   const char *part, const struct ist_gxn_settings *s,
					   ist_node *t_l)
{
	ist_node *phi = ist_lrelu(linear(graph, group, part, "phi", level(s, t_l)), SLOPE);

	return (struct ist_gxn_condition){.mu = linear(graph, group, part, "mu", phi),
					  .log_variance = linear(graph, group, part, "sigma", phi)};
}

/* Rows as maps (N, channels, side, side). */
static ist_node *maps(ist_node *x, size_t channels, size_t side)
{
	if (x == NULL)
		return NULL;
	return ist_reshape(x, 4, (size_t[]){x->dim[0], channels, side, side});
}

static ist_node *draw(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *group,
		      const char *part, const struct ist_gxn_settings *s, ist_node *x)
{
	size_t n = stages_of(s);

	x = maps(linear(graph, group, part, "first", x), drawn_channels(s, 0), FIRST);
	x = relu_norm(norms, graph, group, part, 0, x);
	for (size_t i = 1; i <= n; i++) {
		char name[NAME], text[NAME];

		numbered(name, part, "up", i);
		x = ist_conv_transpose2d(x, ist_weight(graph, group, named(text, name, "weight")),
					 ist_weight(graph, group, named(text, name, "bias")), 2, 1);
		if (i < n)
			x = relu_norm(norms, graph, group, part, i, x);
	}
	return ist_tanh(x);
}

static ist_node *make(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *group,
		      const char *part, ist_node *x)
{
	x = relu_norm(norms, graph, group, part, 0, linear(graph, group, part, "first", x));
	x = relu_norm(norms, graph, group, part, 1, linear(graph, group, part, "middle", x));
	return linear(graph, group, part, "last", x);
}

ist_node *ist_gxn_generate(struct ist_norms *norms, struct ist_graph *graph,
			   struct ist_weights *group, const char *part,
			   const struct ist_gxn_settings *s, ist_node *z, ist_node *t_c)
{
	ist_node *x = ist_concat(z, t_c);

	return s->generator == IST_GXN_PIXELS ? draw(norms, graph, group, part, s, x)
					      : make(norms, graph, group, part, x);
}

ist_node *ist_gxn_look(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *critic,
		       const struct ist_gxn_settings *s, ist_node *x)
{
	char name[NAME];

	if (s->generator != IST_GXN_PIXELS)
		return ist_lrelu(ist_layer_linear(graph, critic, "D.first", x), SLOPE);
	for (size_t i = 1; i <= stages_of(s); i++) {
		x = ist_layer_conv(graph, critic, numbered(name, "D", "down", i), x, 2, 1);
		if (i > 1)
			x = ist_layer_batch_norm(norms, graph, critic,
						 numbered(name, "D", "norm", i), x);
		x = ist_lrelu(x, SLOPE);
	}
	return x;
}

static ist_node *as_rows(ist_node *x)
{
	if (x == NULL)
		return NULL;
	return ist_reshape(x, 2, (size_t[]){x->dim[0], x->size / x->dim[0]});
}

/* w' (S x . A t) + b: whether both sides agree, number by number. */
static ist_node *project(struct ist_graph *graph, struct ist_weights *critic, ist_node *seen,
			 ist_node *t)
{
	return ist_layer_linear(graph, critic, "D.match",
				ist_mul(ist_layer_linear(graph, critic, "D.seen", seen),
					ist_layer_linear(graph, critic, "D.asked", t)));
}

ist_node *ist_gxn_judge(struct ist_norms *norms, struct ist_graph *graph,
			struct ist_weights *critic, const struct ist_gxn_settings *s,
			ist_node *seen, ist_node *t_l)
{
	ist_node *t =
	    ist_lrelu(ist_layer_linear(graph, critic, "D.condition", level(s, t_l)), SLOPE);
	ist_node *x;

	if (s->generator != IST_GXN_PIXELS)
		return ist_layer_linear(
		    graph, critic, "D.last",
		    ist_lrelu(ist_layer_linear(graph, critic, "D.join", ist_concat(seen, t)),
			      SLOPE));
	x = ist_layer_conv(graph, critic, "D.join", ist_spread(seen, t), 1, 0);
	x = ist_lrelu(ist_layer_batch_norm(norms, graph, critic, "D.norm", x), SLOPE);
	x = as_rows(ist_layer_conv(graph, critic, "D.last", x, 1, 0));
	return s->projection ? ist_add(x, project(graph, critic, as_rows(seen), t)) : x;
}
