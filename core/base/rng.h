/*
 * Counter-based random numbers (Philox4x32-10): a number is a pure function of (seed, stream,
 * counter), so the same seed gives the same result whatever the thread count and order of use.
 * A stream is a name for a purpose ("batches", "weights of theta_imd"); a state may be copied,
 * saved and restored as the plain struct that it is.
 */
#ifndef IST_CORE_BASE_RNG_H
#define IST_CORE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct ist_rng {
	uint64_t seed;
	uint64_t stream;
	uint64_t counter; /* numbers drawn so far */
};

void ist_rng_init(struct ist_rng *rng, uint64_t seed, const char *stream);
uint32_t ist_rng_u32(struct ist_rng *rng);
uint64_t ist_rng_below(struct ist_rng *rng, uint64_t n);	  /* 0 .. n-1, unbiased; n > 0 */
double ist_rng_uniform(struct ist_rng *rng);			  /* [0, 1) */
double ist_rng_normal(struct ist_rng *rng);			  /* mean 0, sd 1 */
void ist_rng_permute(struct ist_rng *rng, uint32_t *a, size_t n); /* Fisher-Yates, in place */

#endif
