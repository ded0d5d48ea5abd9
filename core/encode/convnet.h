/*
 * Chains of convolutions for inference: what an image network is once batch normalisation is
 * folded into its weights. Described by a table of layers, compiled for one picture size, loaded
 * layer by layer, run by any number of threads at once.
 *
 * Padding is TensorFlow's SAME: out = ceil(in / stride), the odd row or column at the bottom right.
 * What a layer gives is clipped to 0..6 or left as it is. Layers come in blocks; a block may add
 * its input to what its last layer gives.
 */
#ifndef IST_CORE_ENCODE_CONVNET_H
#define IST_CORE_ENCODE_CONVNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define IST_CONVNET_NAME 32

struct ist_conv {
	char name[IST_CONVNET_NAME]; /* "block 2 expand" */
	uint32_t in, out;	     /* channels */
	uint32_t kernel, stride;
	bool depthwise; /* each channel by itself: in == out */
	bool clip;	/* to 0..6 */
	bool last;	/* of its block */
	bool adds;	/* the block's input, to what a last one gives */
};

struct ist_convnet;

struct ist_shape3 { /* of what a layer gives */
	uint32_t channels, height, width;
};

/* How a net is computed: a row for each way, the fastest first. The last one takes any net. */
struct ist_convnet_kind;
extern const struct ist_convnet_kind *const ist_convnet_kinds[]; /* ends with NULL */
const char *ist_convnet_kind_name(const struct ist_convnet_kind *kind);

/* The layers are copied. `kind` NULL: the first that takes the net on this CPU; IST_INVALID where a
 * given one does not. A net is complete, and from then on immutable, when each layer has its
 * weights. */
IST_CHECKED enum ist_code ist_convnet_create(const struct ist_convnet_kind *kind,
					     const struct ist_conv *layers, size_t n,
					     uint32_t height, uint32_t width,
					     struct ist_convnet **ret, struct ist_err *err);
void ist_convnet_destroy(struct ist_convnet *net);

/* Layer i's weights, (out, in, kernel, kernel) or (out, 1, kernel, kernel), and bias, (out): copied
 * into the layout that is computed with. */
IST_CHECKED enum ist_code ist_convnet_load(struct ist_convnet *net, size_t i, const float *weights,
					   const float *bias, struct ist_err *err);

size_t ist_convnet_n(const struct ist_convnet *net); /* layers */
/* The shape of layer i's result. */
struct ist_shape3 ist_convnet_shape(const struct ist_convnet *net, size_t i);

/* One pass through the net: its buffers, lent to one thread at a time. */
struct ist_convnet_pass;

/* A free one or a new one; as many are kept as ever were in use together. It uses as many threads
 * as the calling thread's OpenMP setting says; with one, the same picture gives the same bits. */
IST_CHECKED enum ist_code ist_convnet_begin(struct ist_convnet *net, struct ist_convnet_pass **ret,
					    struct ist_err *err);
void ist_convnet_end(struct ist_convnet_pass *pass); /* NULL is allowed */

/* The picture: (channels, height, width); or bytes, (height, width, channels), to -1..1 */
void ist_convnet_put(struct ist_convnet_pass *pass, const float *chw);
void ist_convnet_put_bytes(struct ist_convnet_pass *pass, const uint8_t *hwc);

/* From the input to the last layer. `see` (NULL: nobody) is called after the last layer of every
 * block with what that gives, where that is kept anywhere: the stem's is not when it is fused. */
typedef void (*ist_convnet_see)(void *user, size_t layer, const float *chw);
IST_CHECKED enum ist_code ist_convnet_forward(struct ist_convnet_pass *pass, ist_convnet_see see,
					      void *user, struct ist_err *err);

/* After that: the last layer's means over all places, (channels), and the layer itself, (height,
 * width, channels). */
void ist_convnet_pooled(const struct ist_convnet_pass *pass, float *ret);
IST_CHECKED enum ist_code ist_convnet_map(const struct ist_convnet_pass *pass, float *ret,
					  struct ist_err *err);

#endif
