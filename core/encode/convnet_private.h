/* What the ways to compute a chain of convolutions share with convnet.c. */
#ifndef IST_CORE_ENCODE_CONVNET_PRIVATE_H
#define IST_CORE_ENCODE_CONVNET_PRIVATE_H

#include <pthread.h>

#include "core/encode/convnet.h"

#define IST_CONV_CLIP 6.0f

struct ist_conv_layer {
	struct ist_conv conv;
	struct ist_shape3 from, to;
};

struct ist_convnet {
	const struct ist_convnet_kind *kind;
	struct ist_conv_layer *layers;
	size_t n;
	void *state; /* the kind's */
	pthread_mutex_t lock;
	struct ist_convnet_pass *idle; /* guarded by lock */
};

struct ist_convnet_pass {
	struct ist_convnet *net;
	struct ist_convnet_pass *next; /* in the idle list */
	int threads;		       /* that it was made for */
	void *state;		       /* the kind's */
};

struct ist_convnet_kind {
	const char *name;
	bool (*takes)(const struct ist_convnet *net);
	enum ist_code (*compile)(struct ist_convnet *net, struct ist_err *err);
	enum ist_code (*load)(struct ist_convnet *net, size_t i, const float *weights,
			      const float *bias, struct ist_err *err);
	void (*finish)(struct ist_convnet *net); /* a half-made one too */
	/* Any thread, several at once. */
	enum ist_code (*start)(struct ist_convnet_pass *pass, struct ist_err *err);
	void (*stop)(struct ist_convnet_pass *pass); /* a half-made one too */
	void (*put)(struct ist_convnet_pass *pass, const float *chw);
	void (*put_bytes)(struct ist_convnet_pass *pass, const uint8_t *hwc);
	enum ist_code (*forward)(struct ist_convnet_pass *pass, ist_convnet_see see, void *user,
				 struct ist_err *err);
	void (*pooled)(const struct ist_convnet_pass *pass, float *ret);
	enum ist_code (*map)(const struct ist_convnet_pass *pass, float *ret, struct ist_err *err);
};

extern const struct ist_convnet_kind ist_convnet_fused, ist_convnet_onednn;

/* Zeros before and after an axis of `size` with SAME padding, the smaller half before. */
struct ist_conv_pads {
	uint32_t before, after;
};
struct ist_conv_pads ist_conv_pads(uint32_t size, const struct ist_conv *conv);

static inline float ist_conv_byte(uint8_t v)
{
	return ((float)v - 127.5f) / 127.5f;
}

#endif
