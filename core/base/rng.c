/*
 * Philox4x32-10 (Salmon et al., SC 2011): ten rounds of multiply and xor turn (counter, key) into
 * four random words. The key is the seed; the counter's high half is the stream's name, hashed with
 * FNV-1a, its low half the block. One number is one word of a block, so skipping is free.
 */
#include "core/base/rng.h"

#include <math.h>

static void philox(const uint32_t counter[4], uint64_t seed, uint32_t ret[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0;
		uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	ret[0] = c0;
	ret[1] = c1;
	ret[2] = c2;
	ret[3] = c3;
}

void ist_rng_init(struct ist_rng *rng, uint64_t seed, const char *stream)
{
	uint64_t hash = 14695981039346656037u;

	for (; *stream != '\0'; stream++)
		hash = (hash ^ (uint8_t)*stream) * 1099511628211u;
	*rng = (struct ist_rng){.seed = seed, .stream = hash};
}

uint32_t ist_rng_u32(struct ist_rng *rng)
{
	uint64_t block = rng->counter >> 2;
	uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)rng->stream,
			       (uint32_t)(rng->stream >> 32)};
	uint32_t words[4];

	philox(counter, rng->seed, words);
	return words[rng->counter++ & 3];
}

static uint64_t draw64(struct ist_rng *rng)
{
	uint64_t high = ist_rng_u32(rng);

	return high << 32 | ist_rng_u32(rng);
}

uint64_t ist_rng_below(struct ist_rng *rng, uint64_t n)
{
	uint64_t reject =
	    -n % n; /* 2^64 mod n: the draws below it would make some results likelier */
	uint64_t x;

	do
		x = draw64(rng);
	while (x < reject);
	return x % n;
}

double ist_rng_uniform(struct ist_rng *rng)
{
	return (double)(draw64(rng) >> 11) * 0x1p-53;
}

/* Box-Muller, one of the pair: the other is left, so that every call draws the same count. */
double ist_rng_normal(struct ist_rng *rng)
{
	double radius = sqrt(-2 * log(1 - ist_rng_uniform(rng)));

	return radius * cos(2 * M_PI * ist_rng_uniform(rng));
}

void ist_rng_permute(struct ist_rng *rng, uint32_t *a, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)ist_rng_below(rng, i);
		uint32_t swap = a[i - 1];

		a[i - 1] = a[j];
		a[j] = swap;
	}
}
