/*
 * A chain of inverted residual blocks with its weights packed for the kernels: what
 * convnet_weights.c makes and convnet_fused.c runs. Activations are (places, vectors, 16).
 */
#ifndef IST_CORE_ENCODE_CONVNET_FUSED_H
#define IST_CORE_ENCODE_CONVNET_FUSED_H

#include "core/encode/convnet_kernels.h"
#include "core/encode/convnet_private.h"

#define IST_CONV_CHUNK IST_CONV_VECTORS /* vectors of a block's middle that go together */

/* Weights in the order of their use; all chunks of a net follow each other in memory. */
struct ist_conv_chunk {
	size_t wide;		   /* vectors */
	float *widen, *widen_bias; /* (inputs, wide, 16), (wide, 16) */
	float *taps, *taps_bias;   /* (wide, kernel, kernel, 16), (wide, 16) */
	float *narrow; /* by up to three vectors of the result: (wide * 16, vectors, 16) */
	struct ist_conv_feed follow; /* as much as this one has, from its end on */
};

struct ist_conv_block {
	const struct ist_conv_layer *expand, *depthwise, *project; /* expand: or the stem */
	bool stem;
	size_t last;			    /* number of the layer that it ends with */
	struct ist_conv_pads rows, columns; /* of the depthwise convolution */
	size_t in, middle, out;		    /* vectors */
	size_t inputs;			    /* numbers that the expansion reads for a place */
	size_t width;			    /* of the padded middle */
	struct ist_conv_chunk *chunks;
	size_t n_chunks;
	float *bias; /* of the result: (out, 16) */
};

struct ist_conv_fused {
	const struct ist_conv_layer *layers;
	size_t n_layers;
	struct ist_conv_block *blocks;
	size_t n;
	struct ist_conv_chunk *head; /* widen and widen_bias only */
	size_t n_head, head_vectors;
	float *memory; /* all weights */
	struct ist_conv_pads picture_rows, picture_columns;
	size_t picture_height, picture_width; /* padded */
};

/* Pieces of one allocation, each beginning at a cache line; without memory they are only counted.
 */
struct ist_conv_pieces {
	float *memory;
	size_t n;
};
float *ist_conv_piece(struct ist_conv_pieces *p, size_t n);

static inline size_t ist_conv_vectors(size_t channels)
{
	return (channels + IST_CONV_LANES - 1) / IST_CONV_LANES;
}

static inline size_t ist_conv_places(const struct ist_shape3 *s)
{
	return (size_t)s->height * s->width;
}

/* The rows of ist_convnet_fused that are about weights. */
bool ist_conv_fused_takes(const struct ist_convnet *net);
enum ist_code ist_conv_fused_compile(struct ist_convnet *net, struct ist_err *err);
enum ist_code ist_conv_fused_load(struct ist_convnet *net, size_t i, const float *weights,
				  const float *bias, struct ist_err *err);
void ist_conv_fused_finish(struct ist_convnet *net);

#endif
