/*
 * Weights of fused blocks: which networks they are made for, where everything lies, how the plain
 * weights are put there. What a chunk needs lies together and chunks follow each other as they are
 * used, so that one can be asked for while the one before is worked on.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/convnet_fused.h"

#define LANES IST_CONV_LANES
#define CHUNK IST_CONV_CHUNK
#define LINE 64 /* bytes of the cache */

/* ---- which nets ---- */

static bool is_product(const struct ist_conv *c, bool clip)
{
	return !c->depthwise && c->kernel == 1 && c->stride == 1 && c->clip == clip;
}

static bool is_middle(const struct ist_conv *c)
{
	return c->depthwise && c->clip && !c->last && (c->kernel == 3 || c->kernel == 5) &&
	       c->stride <= 2;
}

/* It takes the place of the expansion that the first block does not have, and so cannot be added to
 * what that block gives. */
static bool is_stem(const struct ist_conv_layer *l)
{
	return !l[0].conv.depthwise && l[0].conv.clip && l[0].conv.in == 3 && !l[2].conv.adds;
}

/* A stem and a block without an expansion, blocks of three layers, a head. */
bool ist_conv_fused_takes(const struct ist_convnet *net)
{
	const struct ist_conv_layer *l = net->layers;

	if (!ist_conv_kernels_usable() || net->n < 4 || (net->n - 4) % 3 != 0 || !is_stem(l))
		return false;
	for (size_t i = 0; i + 1 < net->n; i += 3) {
		if (i > 0 && (!is_product(&l[i].conv, true) || l[i].conv.last))
			return false;
		if (!is_middle(&l[i + 1].conv) || !is_product(&l[i + 2].conv, false) ||
		    !l[i + 2].conv.last)
			return false;
	}
	return is_product(&l[net->n - 1].conv, true);
}

/* ---- where they lie ---- */

float *ist_conv_piece(struct ist_conv_pieces *p, size_t n)
{
	float *start = p->memory != NULL ? p->memory + p->n : NULL;

	p->n += (n + LANES - 1) / LANES * LANES;
	return start;
}

static void describe_block(struct ist_conv_block *b, const struct ist_conv_layer *expand,
			   const struct ist_conv_layer *depthwise)
{
	const struct ist_conv *c = &depthwise->conv;

	*b = (struct ist_conv_block){
	    .expand = expand,
	    .depthwise = depthwise,
	    .project = depthwise + 1,
	    .rows = ist_conv_pads(depthwise->from.height, c),
	    .columns = ist_conv_pads(depthwise->from.width, c),
	    .in = ist_conv_vectors(expand->conv.in),
	    .middle = ist_conv_vectors(c->out),
	    .out = ist_conv_vectors(depthwise[1].conv.out),
	    .inputs = (size_t)expand->conv.in * expand->conv.kernel * expand->conv.kernel,
	};
	b->width = b->columns.before + depthwise->from.width + b->columns.after;
	b->n_chunks = (b->middle + CHUNK - 1) / CHUNK;
	b->chunks = ist_alloc(b->n_chunks, sizeof(*b->chunks));
}

static void place_chunk(struct ist_conv_chunk *c, const struct ist_conv_block *b, size_t wide,
			struct ist_conv_pieces *pieces)
{
	size_t area = (size_t)b->depthwise->conv.kernel * b->depthwise->conv.kernel;
	size_t before = pieces->n;

	c->wide = wide;
	c->widen_bias = ist_conv_piece(pieces, wide * LANES);
	c->widen = ist_conv_piece(pieces, b->inputs * wide * LANES);
	c->taps_bias = ist_conv_piece(pieces, wide * LANES);
	c->taps = ist_conv_piece(pieces, wide * area * LANES);
	c->narrow = ist_conv_piece(pieces, wide * LANES * b->out * LANES);
	if (pieces->memory == NULL)
		return;
	c->follow.at = (const char *)(pieces->memory + pieces->n);
	c->follow.lines = (pieces->n - before) * sizeof(float) / LINE;
}

static void place_all(struct ist_conv_fused *net, struct ist_conv_pieces *pieces)
{
	size_t inputs = net->layers[net->n_layers - 1].conv.in;

	for (size_t i = 0; i < net->n; i++) {
		struct ist_conv_block *b = &net->blocks[i];

		b->bias = ist_conv_piece(pieces, b->out * LANES);
		for (size_t k = 0; k < b->n_chunks; k++)
			place_chunk(&b->chunks[k], b, IST_MIN((size_t)CHUNK, b->middle - k * CHUNK),
				    pieces);
	}
	for (size_t k = 0; k < net->n_head; k++) {
		struct ist_conv_chunk *c = &net->head[k];

		c->wide = IST_MIN((size_t)CHUNK, net->head_vectors - k * CHUNK);
		c->widen_bias = ist_conv_piece(pieces, c->wide * LANES);
		c->widen = ist_conv_piece(pieces, inputs * c->wide * LANES);
		if (pieces->memory != NULL && k + 1 < net->n_head)
			c->follow =
			    (struct ist_conv_feed){(const char *)(pieces->memory + pieces->n),
						   inputs * c->wide * LANES * sizeof(float) / LINE};
	}
}

static void describe_picture(struct ist_conv_fused *net)
{
	const struct ist_conv_layer *stem = net->layers;
	struct ist_conv_pads rows = ist_conv_pads(stem->from.height, &stem->conv);
	struct ist_conv_pads columns = ist_conv_pads(stem->from.width, &stem->conv);

	net->picture_rows = rows;
	net->picture_columns = columns;
	net->picture_height = rows.before + stem->from.height + rows.after;
	net->picture_width = columns.before + stem->from.width + columns.after;
}

enum ist_code ist_conv_fused_compile(struct ist_convnet *whole, struct ist_err *err)
{
	struct ist_conv_fused *net = whole->state = ist_alloc(1, sizeof(*net));
	const struct ist_conv_layer *l = whole->layers;
	struct ist_conv_pieces pieces = {0};

	net->layers = l;
	net->n_layers = whole->n;
	net->n = 1 + (whole->n - 4) / 3;
	net->blocks = ist_alloc(net->n, sizeof(*net->blocks));
	for (size_t i = 0; i < net->n; i++) {
		describe_block(&net->blocks[i], l + 3 * i, l + 3 * i + 1);
		net->blocks[i].last = 3 * i + 2;
	}
	net->blocks[0].stem = true;
	net->head_vectors = ist_conv_vectors(l[whole->n - 1].conv.out);
	net->n_head = (net->head_vectors + CHUNK - 1) / CHUNK;
	net->head = ist_alloc(net->n_head, sizeof(*net->head));
	describe_picture(net);
	place_all(net, &pieces);
	net->memory = pieces.memory = ist_alloc_aligned(pieces.n, sizeof(float));
	pieces.n = 0;
	place_all(net, &pieces);
	return IST_OK;
}

void ist_conv_fused_finish(struct ist_convnet *whole)
{
	struct ist_conv_fused *net = whole->state;

	if (net == NULL)
		return;
	for (size_t i = 0; i < net->n; i++)
		free(net->blocks[i].chunks);
	free(net->blocks);
	free(net->head);
	free(net->memory);
	free(net);
}

/* ---- what is put there ---- */

/* Plain weights are (outputs, inputs). */
struct plain {
	const float *weights;
	size_t inputs, outputs;
};

/* (rows, wide, 16): outputs from vector v on, inputs from `first` on; past the ends it stays 0. */
static void pack(const struct plain *p, size_t v, size_t wide, size_t first, size_t rows, float *to)
{
	for (size_t k = 0; k < rows && first + k < p->inputs; k++) {
		for (size_t j = 0; j < wide * LANES && v * LANES + j < p->outputs; j++)
			to[k * wide * LANES + j] =
			    p->weights[(v * LANES + j) * p->inputs + first + k];
	}
}

/* A vector's or several vectors' share of n numbers. */
static void pack_bias(const float *bias, size_t n, size_t v, size_t wide, float *to)
{
	for (size_t j = 0; j < wide * LANES && v * LANES + j < n; j++)
		to[j] = bias[v * LANES + j];
}

static void load_widen(struct ist_conv_chunk *chunks, size_t n, const struct plain *p,
		       const float *bias)
{
	for (size_t k = 0; k < n; k++) {
		pack(p, k * CHUNK, chunks[k].wide, 0, p->inputs, chunks[k].widen);
		pack_bias(bias, p->outputs, k * CHUNK, chunks[k].wide, chunks[k].widen_bias);
	}
}

/* A stem's window is read row by row, its colours last. */
static void load_stem(struct ist_conv_block *b, const float *weights, const float *bias)
{
	const struct ist_conv *c = &b->expand->conv;
	size_t area = (size_t)c->kernel * c->kernel;
	ist_autofree float *turned = ist_alloc(c->out * b->inputs, sizeof(*turned));
	const struct plain plain = {turned, b->inputs, c->out};

	for (size_t o = 0; o < c->out; o++)
		for (size_t i = 0; i < c->in; i++)
			for (size_t k = 0; k < area; k++)
				turned[(o * area + k) * c->in + i] =
				    weights[(o * c->in + i) * area + k];
	load_widen(b->chunks, b->n_chunks, &plain, bias);
}

static void load_taps(struct ist_conv_block *b, const float *weights, const float *bias)
{
	const struct ist_conv *c = &b->depthwise->conv;
	size_t area = (size_t)c->kernel * c->kernel;
	const struct plain plain = {weights, area, c->out};

	for (size_t k = 0; k < b->n_chunks; k++) {
		struct ist_conv_chunk *chunk = &b->chunks[k];

		for (size_t j = 0; j < chunk->wide; j++)
			pack(&plain, k * CHUNK + j, 1, 0, area, chunk->taps + j * area * LANES);
		pack_bias(bias, c->out, k * CHUNK, chunk->wide, chunk->taps_bias);
	}
}

static void load_narrow(struct ist_conv_block *b, const float *weights, const float *bias)
{
	const struct ist_conv *c = &b->project->conv;
	const struct plain plain = {weights, c->in, c->out};

	for (size_t k = 0; k < b->n_chunks; k++) {
		size_t rows = b->chunks[k].wide * LANES;

		for (size_t v = 0; v < b->out; v += CHUNK)
			pack(&plain, v, IST_MIN((size_t)CHUNK, b->out - v), k * CHUNK * LANES, rows,
			     b->chunks[k].narrow + v * LANES * rows);
	}
	pack_bias(bias, c->out, 0, b->out, b->bias);
}

enum ist_code ist_conv_fused_load(struct ist_convnet *whole, size_t i, const float *weights,
				  const float *bias, struct ist_err *err)
{
	struct ist_conv_fused *net = whole->state;
	const struct ist_conv *c = &net->layers[i].conv;
	const struct plain plain = {weights, c->in, c->out};
	struct ist_conv_block *b = &net->blocks[IST_MIN(i / 3, net->n - 1)];

	if (i + 1 == net->n_layers)
		load_widen(net->head, net->n_head, &plain, bias);
	else if (i == 0)
		load_stem(b, weights, bias);
	else if (c->depthwise)
		load_taps(b, weights, bias);
	else if (c->clip)
		load_widen(b->chunks, b->n_chunks, &plain, bias);
	else
		load_narrow(b, weights, bias);
	return IST_OK;
}
