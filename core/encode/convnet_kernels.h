/*
 * The inner loops of fused convolutions, for CPUs with registers of 16 floats. Channels are the
 * lanes: they come in vectors of 16, what is past the last one being zero, and a tile is some
 * places by up to three vectors of outputs, which stay in registers over all inputs.
 */
#ifndef IST_CORE_ENCODE_CONVNET_KERNELS_H
#define IST_CORE_ENCODE_CONVNET_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IST_CONV_LANES 16
#define IST_CONV_PLACES 8  /* of a tile at most */
#define IST_CONV_VECTORS 3 /* of its outputs */
#define IST_CONV_KERNEL 5  /* rows of a depthwise window at most */

/* Whether this CPU and this build have them. */
bool ist_conv_kernels_usable(void);

/* What is computed with next, asked into the second-level cache a line at a time while products
 * run: weights are read once a picture, and memory would be waited for at every chunk. */
struct ist_conv_feed {
	const char *at;
	size_t lines; /* that are left */
};

/*
 * Products: `n` places by `vectors` vectors of outputs. A place's inputs are n_runs runs of `run`
 * floats, so that a convolution reads its window where it lies.
 */
struct ist_conv_product {
	const float *from;
	size_t step; /* floats from a place to the next */
	size_t n_runs, run_step, run;
	const float *weights; /* (n_runs, run, vectors, 16) */
	const float *bias;    /* (vectors, 16); NULL: the sums go on from what is in `to` */
	bool clip;	      /* to 0..6 */
	float *to;
	size_t to_step;
	struct ist_conv_feed *feed; /* NULL: none */
};
void ist_conv_product(const struct ist_conv_product *p, size_t n, unsigned vectors);

/* One row of a depthwise convolution, one vector of channels: kernel 3 or 5, stride 1 or 2. */
struct ist_conv_depthwise {
	const float *rows[IST_CONV_KERNEL]; /* of the first place's window */
	size_t step;			    /* floats from a column to the next */
	const float *weights;		    /* (kernel, kernel, 16) */
	const float *bias;		    /* (16) */
	float *to;			    /* clipped to 0..6 */
	size_t to_step;
};
void ist_conv_depthwise(const struct ist_conv_depthwise *d, size_t n, unsigned kernel,
			unsigned stride);

/* n bytes to -1..1 */
void ist_conv_bytes(const uint8_t *from, size_t n, float *to);
/* to = bias, or bias + from: n places of `vectors` vectors; both are packed. */
void ist_conv_start(const float *bias, const float *from, size_t n, size_t vectors, float *to);
/* to += from: n vectors */
void ist_conv_add(const float *from, size_t n, float *to);
/* The mean of n places: (n, vectors, 16) -> (vectors, 16) */
void ist_conv_mean(const float *from, size_t n, size_t vectors, float *to);

#endif
