/* exp for loops that the compiler vectorises; relative error under 3e-7. */
#ifndef IST_CORE_ENCODE_EXP_INLINE_H
#define IST_CORE_ENCODE_EXP_INLINE_H

#include <stdint.h>
#include <string.h>

/* 2^k e^r with |r| <= ln 2 / 2, ln 2 taken off in two parts. For x up to 88; exactly 0 under -87,
 * where a float has no more digits to give; what is no number stays none. */
static inline float ist_exp_inline(float x)
{
	float bounded = x > -87.0f ? x : -87.0f; /* also of what is no number */
	float k = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest whole */
	float r = x - k * 0.693359375f + k * 2.12194440e-4f;
	float p = 1.9875691500e-4f, power;
	uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;

	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * r * r + r + 1.0f;
	memcpy(&power, &bits, sizeof(power));
	return x < -87.0f ? 0.0f : p * power;
}

#endif
