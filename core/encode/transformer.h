/*
 * The transformer encoder: the stack of blocks that BERT (norm after each part) and both towers of
 * CLIP (norm before each part; the text tower looks back only) have in common.
 *
 *   after:  x = norm(x + attention(x));  x = norm(x + mlp(x))
 *   before: x = x + attention(norm(x));  x = x + mlp(norm(x))
 *
 * Sequences of different lengths lie end to end in one array of tokens, without padding. Weights
 * are used where they are, (out, in) as files hold them: a mapped file is the only copy.
 * Everything here is immutable during a run; scratch comes from the caller's arena. As many threads
 * are used as the caller's OpenMP setting says; their number changes no bit.
 */
#ifndef IST_CORE_ENCODE_TRANSFORMER_H
#define IST_CORE_ENCODE_TRANSFORMER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"

enum ist_activation {
	IST_ACT_NONE,
	IST_ACT_GELU,	    /* x/2 (1 + erf(x / sqrt 2)) */
	IST_ACT_GELU_TANH,  /* x/2 (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) */
	IST_ACT_QUICK_GELU, /* x sigmoid(1.702 x) */
	IST_ACT_RELU,
	IST_N_ACTS,
};

/* By config.json's word ("gelu", "quick_gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast",
 * "relu"); false: not known. */
bool ist_activation_find(const char *name, enum ist_activation *ret);

/* y = x weight^T + bias */
struct ist_linear {
	const float *weight; /* (out, in) */
	const float *bias;   /* (out); NULL: none */
};

/* LayerNorm with the biased variance */
struct ist_norm {
	const float *weight, *bias; /* (width) each */
};

struct ist_transformer_block {
	struct ist_norm attention_norm;	     /* after or before the attention */
	struct ist_linear query, key, value; /* (width, width) each */
	struct ist_linear output;	     /* (width, width) */
	struct ist_norm mlp_norm;	     /* after or before the mlp */
	struct ist_linear up, down;	     /* (inner, width), (width, inner) */
};

struct ist_transformer {
	size_t n_blocks;
	size_t width;	/* a multiple of n_heads */
	size_t n_heads; /* of width / n_heads each */
	size_t inner;	/* the mlp's hidden width */
	enum ist_activation activation;
	bool norm_before;
	bool causal; /* a token attends to itself and those before it */
	float eps;   /* of the norms */
	const struct ist_transformer_block *blocks;
};

/* x: (starts[n], width), changed in place. Sequence i is tokens starts[i] to starts[i + 1];
 * starts: (n + 1), starts[0] = 0. The model's own final norm is not part of it. */
void ist_transformer_run(const struct ist_transformer *t, const size_t *starts, size_t n, float *x,
			 struct ist_arena *arena);

/* x: (rows, width), each row normalised in place. */
void ist_norm_run(const struct ist_norm *norm, float eps, size_t rows, size_t width, float *x);

/* ret: (rows, out) = act(x weight^T + bias), x: (rows, in). */
void ist_linear_run(const struct ist_linear *linear, size_t in, size_t out, enum ist_activation act,
		    const float *x, size_t rows, float *ret, struct ist_arena *arena);

#endif
