/*
 * The judge of generated pictures: four convolutions (3x3, batch normalisation, ReLU; the first at
 * full size, for the small shapes are four pixels wide), a layer of 128 and two heads, shape and
 * colour. It never sees a generated picture before it judges one. Held-out scenes are put together
 * as no training scene is, so it must not learn what goes with what: pictures are moved about and
 * mirrored, and every other one has its channels mixed, which says nothing of its colour but all of
 * its shape.
 */
#include "tests/figures/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/layers.h"
#include "core/tensor/ops.h"
#include "core/tensor/optimiser.h"
#include "tests/figures/runs.h"

#define LAYERS 4
#define BATCH 64
#define EPOCHS 20
#define HIDDEN 128
#define N_SHAPES 3
#define N_COLOURS 8

static const size_t channels[LAYERS + 1] = {3, 16, 32, 64, 128};

/* One graph: for learning, or for looking. */
struct sight {
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *x, *places, *shape, *colour, *shape_id, *colour_id, *loss;
};

struct judge {
	size_t side;
	struct ist_weights *theta;
	struct sight learning, looking;
};

static void declare(struct ist_weights *theta)
{
	char name[16];

	for (size_t i = 0; i < LAYERS; i++) {
		snprintf(name, sizeof(name), "conv%zu", i);
		ist_layer_add_conv(theta, name, channels[i], channels[i + 1], 3);
		snprintf(name, sizeof(name), "norm%zu", i);
		ist_layer_add_batch_norm(theta, name, channels[i + 1]);
	}
	ist_weights_add_linear(theta, "hidden", channels[LAYERS], HIDDEN);
	ist_weights_add_linear(theta, "shape", HIDDEN, N_SHAPES);
	ist_weights_add_linear(theta, "colour", HIDDEN, N_COLOURS);
}

/* (N, C, H, W) -> (N, C): what is seen anywhere. `places` are all 1 / (H W). */
static ist_node *mean_over_places(struct sight *s, ist_node *map)
{
	size_t n = map->dim[2] * map->dim[3], rows = BATCH * map->dim[1];

	s->places = ist_input(s->graph, "places", n, 1);
	return ist_reshape(ist_matmul(ist_reshape(map, 2, (size_t[]){rows, n}), s->places), 2,
			   (size_t[]){BATCH, map->dim[1]});
}

static void build(struct sight *s, struct ist_weights *theta, size_t side, bool training)
{
	struct ist_graph *g = ist_graph_create();
	struct ist_err err;
	ist_node *map, *hidden;
	char name[16];

	*s = (struct sight){.graph = g, .norms = {.training = training}};
	s->x = ist_input(g, "x", BATCH, 3 * side * side);
	map = ist_reshape(s->x, 4, (size_t[]){BATCH, 3, side, side});
	for (size_t i = 0; i < LAYERS; i++) {
		snprintf(name, sizeof(name), "conv%zu", i);
		map = ist_layer_conv(g, theta, name, map, i == 0 ? 1 : 2, 1);
		snprintf(name, sizeof(name), "norm%zu", i);
		map = ist_relu(ist_layer_batch_norm(&s->norms, g, theta, name, map));
	}
	hidden = ist_relu(ist_layer_linear(g, theta, "hidden", mean_over_places(s, map)));
	s->shape = ist_layer_linear(g, theta, "shape", hidden);
	s->colour = ist_layer_linear(g, theta, "colour", hidden);
	s->shape_id = ist_ids(g, "shape", BATCH);
	s->colour_id = ist_ids(g, "colour", BATCH);
	s->loss = ist_add(ist_cross_entropy(s->shape, s->shape_id),
			  ist_cross_entropy(s->colour, s->colour_id));
	runs_check(ist_graph_compile(g, training, &err), &err);
	for (size_t i = 0; i < s->places->size; i++)
		s->places->value[i] = (ist_real)1 / (ist_real)s->places->size;
}

static void feed(struct sight *s, const float *x, size_t row)
{
	size_t width = s->x->size / BATCH;

	for (size_t j = 0; j < width; j++)
		s->x->value[row * width + j] = x[j];
}

/* How a training picture is changed. */
struct change {
	size_t right, down; /* pixels, around the edges */
	bool mirror, mixed;
	uint32_t channel[3];
};

static struct change draw_change(struct ist_rng *rng, size_t side)
{
	struct change c = {.right = ist_rng_below(rng, side),
			   .down = ist_rng_below(rng, side),
			   .mirror = ist_rng_below(rng, 2) == 1,
			   .mixed = ist_rng_below(rng, 2) == 1,
			   .channel = {0, 1, 2}};

	if (c.mixed)
		ist_rng_permute(rng, c.channel, 3);
	return c;
}

static void feed_changed(struct sight *s, const float *x, size_t side, const struct change *c,
			 size_t row)
{
	ist_real *to = s->x->value + row * 3 * side * side;

	for (size_t k = 0; k < 3; k++) {
		const float *from = x + c->channel[k] * side * side;

		for (size_t i = 0; i < side * side; i++) {
			size_t left = c->mirror ? side - 1 - i % side : i % side;
			size_t at = (i / side + c->down) % side * side + (left + c->right) % side;

			to[k * side * side + i] = from[at];
		}
	}
}

static void learn(struct judge *j, const struct pair_file *f, uint32_t *items, size_t n,
		  struct ist_rng *rng, struct ist_optimiser *adam)
{
	struct sight *s = &j->learning;

	ist_rng_permute(rng, items, n);
	for (size_t at = 0; at + BATCH <= n; at += BATCH) {
		for (size_t i = 0; i < BATCH; i++) {
			size_t pair = items[at + i];
			const struct scene_object *o = &f->scene[f->item[pair]][0];
			struct change change = draw_change(rng, j->side);

			feed_changed(s, f->x[IST_IMAGE] + pair * f->pairs.dim[IST_IMAGE], j->side,
				     &change, i);
			s->shape_id->ids[i] = o->shape;
			s->colour_id->ids[i] = change.mixed ? -1 : o->colour; /* -1: not asked */
		}
		ist_graph_forward(s->graph);
		ist_norms_track(&s->norms);
		ist_graph_backward(s->loss);
		ist_optimiser_step(adam, &j->theta, 1);
	}
}

/* What is judged are whole pictures, so the statistics must be theirs, not the changed ones'. */
static void settle(struct judge *j, const struct pair_file *f, const uint32_t *items, size_t n)
{
	for (size_t at = 0; at + BATCH <= n; at += BATCH) {
		for (size_t i = 0; i < BATCH; i++)
			feed(&j->learning,
			     f->x[IST_IMAGE] + (size_t)items[at + i] * f->pairs.dim[IST_IMAGE], i);
		ist_graph_forward(j->learning.graph);
		ist_norms_track(&j->learning.norms);
	}
}

struct judge *judge_train(const struct pair_file *file, uint64_t seed)
{
	struct judge *j = ist_alloc(1, sizeof(*j));
	struct ist_optimiser adam = {
	    .rule = &ist_optimiser_adam, .lr = 2e-3, .beta1 = .9, .beta2 = .999, .eps = 1e-8};
	ist_autofree uint32_t *items = NULL;
	struct ist_rng rng;
	size_t n;

	j->side = ist_pixels_side(file->pairs.dim[IST_IMAGE]);
	j->theta = ist_weights_create("judge");
	declare(j->theta);
	ist_weights_allocate(j->theta, true);
	ist_weights_init(j->theta, seed);
	build(&j->learning, j->theta, j->side, true);
	build(&j->looking, j->theta, j->side, false);
	items = pair_file_items(file, IST_TRAIN, &n);
	ist_rng_init(&rng, seed, "judge");
	for (size_t epoch = 0; epoch < EPOCHS; epoch++) {
		if (epoch == EPOCHS * 2 / 3)
			adam.lr /= 10;
		learn(j, file, items, n, &rng, &adam);
	}
	settle(j, file, items, n);
	ist_optimiser_finish(&adam);
	return j;
}

void judge_destroy(struct judge *j)
{
	if (j == NULL)
		return;
	ist_graph_destroy(j->learning.graph);
	ist_graph_destroy(j->looking.graph);
	ist_weights_destroy(j->theta);
	free(j);
}

static int best_of(const ist_node *logits, size_t row)
{
	size_t n = logits->size / BATCH, best = 0;
	const ist_real *x = logits->value + row * n;

	for (size_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return (int)best;
}

void judge_look(struct judge *j, const float *x, size_t n, struct scene_object *ret)
{
	struct sight *s = &j->looking;
	size_t width = s->x->size / BATCH;

	for (size_t at = 0; at < n; at += BATCH) {
		size_t rows = IST_MIN((size_t)BATCH, n - at);

		for (size_t i = 0; i < rows; i++)
			feed(s, x + (at + i) * width, i);
		ist_graph_forward(s->graph);
		for (size_t i = 0; i < rows; i++)
			ret[at + i] = (struct scene_object){.shape = best_of(s->shape, i),
							    .colour = best_of(s->colour, i),
							    .size = -1};
	}
}

bool judge_agrees(const struct scene_object *seen, const struct scene_object *asked)
{
	return seen->shape == asked->shape && seen->colour == asked->colour;
}

double judge_accuracy(struct judge *j, const struct pair_file *file)
{
	size_t n, width = file->pairs.dim[IST_IMAGE], right = 0;
	ist_autofree uint32_t *items = pair_file_items(file, IST_TEST, &n);

	for (size_t i = 0; i < n; i++) {
		struct scene_object seen;

		judge_look(j, file->x[IST_IMAGE] + items[i] * width, 1, &seen);
		right += judge_agrees(&seen, &file->scene[file->item[items[i]]][0]);
	}
	return (double)right / (double)n;
}
