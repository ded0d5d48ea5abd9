/*
 * The parts of the transformer encoder: what its files share.
 *
 * Inside a run tokens lie in strips: 16 tokens side by side, feature by feature, (features, 16)
 * floats a strip. A product with weights as files hold them then needs no packing of either side
 * and no sum across a register: a number of the weight times 16 tokens. Norms, softmax and
 * activations go down the strip. A token is a lane of its strip and never mixes with its
 * neighbours but by attention, so what a strip is shared with changes no bit.
 */
#ifndef IST_CORE_ENCODE_TRANSFORMER_PRIVATE_H
#define IST_CORE_ENCODE_TRANSFORMER_PRIVATE_H

#include "core/base/memory.h"
#include "core/encode/team.h"
#include "core/encode/transformer.h"

#define IST_LANES 16

/* Compiled for each level of x86-64, the best taken when the program starts; not under sanitizers,
 * whose runtime is not up when the loader chooses. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define IST_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define IST_CLONES
#endif

/* One feature of a strip; unaligned by type, as a caller's numbers may be. */
typedef float ist_lanes
    __attribute__((vector_size(IST_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline ist_lanes *ist_lanes_at(const float *strip, size_t feature)
{
	return (ist_lanes *)(strip + feature * IST_LANES);
}

static inline size_t ist_strips(size_t rows)
{
	return (rows + IST_LANES - 1) / IST_LANES;
}

/* x (rows, width) <-> strips (n_strips, width, 16); lanes past the rows are 0. A step. */
void ist_strips_from_rows(struct ist_team *team, const float *x, size_t rows, size_t width,
			  float *ret);
void ist_strips_to_rows(struct ist_team *team, const float *x, size_t rows, size_t width,
			float *ret);

/* ret (n_strips, n out, 16) = act(the n layers of x (n_strips, in, 16)), side by
 * side. A step. */
void ist_linear_strips(struct ist_team *team, const struct ist_linear *layers, size_t n, size_t in,
		       size_t out, enum ist_activation act, const float *x, size_t n_strips,
		       float *ret);
/* For tests, which call it before other threads start: the widest registers to use, in bits (512,
 * 256 or 0: plain loops). Returns whether the CPU has them. */
bool ist_linear_limit(int bits);

/* x: (n), in place. */
void ist_activation_run(enum ist_activation act, float *x, size_t n);

/* Floats of one thread's scratch for sequences of up to `longest` tokens. */
size_t ist_attention_scratch(const struct ist_transformer *t, size_t longest);
/*
 * One head of all n sequences: qkv (n_strips, 3 width, 16) holds query, key and value one below the
 * other; the head's features of ret (n_strips, width, 16) are written where a sequence has tokens.
 */
void ist_attention_head(const struct ist_transformer *t, size_t head, const size_t *starts,
			size_t n, const float *qkv, float *ret, float *scratch);

/* x (width, 16) += part (which may be NULL); then ret, which may be x, = norm(x), lane by lane. */
void ist_norm_strip(const struct ist_norm *norm, float eps, size_t width, float *x,
		    const float *part, float *ret);

#endif
