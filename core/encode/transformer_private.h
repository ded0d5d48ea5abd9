/* The parts of the transformer encoder: what its files share. */
#ifndef IST_CORE_ENCODE_TRANSFORMER_PRIVATE_H
#define IST_CORE_ENCODE_TRANSFORMER_PRIVATE_H

#include "core/encode/transformer.h"

/* Compiled for each level of x86-64, the best taken when the program starts; not under sanitizers,
 * whose runtime is not up when the loader chooses. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define IST_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define IST_CLONES
#endif

/* x: (n), in place. */
void ist_activation_run(enum ist_activation act, float *x, size_t n);

/* Scratch of one thread for sequences of up to `longest` tokens, in floats. */
size_t ist_attention_scratch(const struct ist_transformer *t, size_t longest);
/* One head of one sequence: qkv (n, 3 width) holds query, key and value side by side; its part of
 * ret (n, width) is written. */
void ist_attention_head(const struct ist_transformer *t, size_t head, const float *qkv, size_t n,
			float *ret, float *scratch);

#endif
