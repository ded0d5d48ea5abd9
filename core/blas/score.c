/*
 * The kernels. One body in GCC's vector extensions is compiled for each instruction set, so that
 * all rows add up in the same lanes; they differ by fused multiply-adds only. Sixteen lanes fill
 * one AVX-512 register or two of AVX2; four vectors at a time hide the latency of the additions
 * and share the query's loads. A vector's score does not depend on its neighbours in the four.
 */
#include "core/blas/score.h"

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float half __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float quarter __attribute__((vector_size(LANES / 4 * sizeof(float))));
typedef int32_t lanes_bits __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int32_t half_bits __attribute__((vector_size(LANES / 2 * sizeof(int32_t))));
typedef int32_t quarter_bits __attribute__((vector_size(LANES / 4 * sizeof(int32_t))));

/* Sixteen sums to eight, eight to four, four to one; between the steps the rest of the vector joins
 * in at the width that is left. */
INLINE half halved(const lanes *a)
{
	half h[2];

	memcpy(h, a, sizeof(h));
	return h[0] + h[1];
}

INLINE quarter quartered(const half *a)
{
	quarter q[2];

	memcpy(q, a, sizeof(q));
	return q[0] + q[1];
}

INLINE float sum(const quarter *a)
{
	return ((*a)[0] + (*a)[2]) + ((*a)[1] + (*a)[3]);
}

/* b + |b|, twice what of b is above 0: without a comparison, which GCC takes apart where a vector
 * is wider than the registers. A NaN stays one. */
#define ABOVE(name, type, bits)                                                                    \
	INLINE void above_##name(type *b)                                                          \
	{                                                                                          \
		bits raw;                                                                          \
                                                                                                   \
		memcpy(&raw, b, sizeof(raw));                                                      \
		raw &= INT32_MAX;                                                                  \
		type magnitude;                                                                    \
		memcpy(&magnitude, &raw, sizeof(raw));                                             \
		*b += magnitude;                                                                   \
	}
ABOVE(lanes, lanes, lanes_bits)
ABOVE(half, half, half_bits)
ABOVE(quarter, quarter, quarter_bits)
ABOVE(float, float, int32_t)

/* One body for all scores: TERM adds what q and b (of any width) come to, SCALE times too much. */
#define BODY(name, TERM, SCALE)                                                                    \
	INLINE void name##_body(const float *query, const float *const x[4], size_t dim,           \
				float ret[4])                                                      \
	{                                                                                          \
		lanes a[4] = {{0}};                                                                \
		half h[4];                                                                         \
		quarter r[4];                                                                      \
		size_t i = 0;                                                                      \
                                                                                                   \
		for (; i + LANES <= dim; i += LANES)                                               \
			STEP(a, lanes, TERM)                                                       \
		for (int v = 0; v < 4; v++)                                                        \
			h[v] = halved(&a[v]);                                                      \
		if (i + LANES / 2 <= dim) {                                                        \
			STEP(h, half, TERM)                                                        \
			i += LANES / 2;                                                            \
		}                                                                                  \
		for (int v = 0; v < 4; v++)                                                        \
			r[v] = quartered(&h[v]);                                                   \
		if (i + LANES / 4 <= dim) {                                                        \
			STEP(r, quarter, TERM)                                                     \
			i += LANES / 4;                                                            \
		}                                                                                  \
		for (int v = 0; v < 4; v++)                                                        \
			ret[v] = sum(&r[v]);                                                       \
		for (; i < dim; i++)                                                               \
			STEP(ret, float, TERM)                                                     \
		for (int v = 0; v < 4; v++)                                                        \
			ret[v] /= SCALE;                                                           \
	}
#define STEP(to, type, TERM)                                                                       \
	{                                                                                          \
		type q, b;                                                                         \
                                                                                                   \
		memcpy(&q, query + i, sizeof(q));                                                  \
		for (int v = 0; v < 4; v++) {                                                      \
			memcpy(&b, x[v] + i, sizeof(b));                                           \
			TERM(to[v], q, b);                                                         \
		}                                                                                  \
	}
#define ABOVE_OF(b)                                                                                \
	_Generic(&(b), lanes *                                                                     \
		 : above_lanes, half *                                                             \
		 : above_half, quarter *                                                           \
		 : above_quarter, float *                                                          \
		 : above_float)(&(b))
#define INNER(a, q, b) a += q * b
#define MINUS_L2(a, q, b) a -= (b - q) * (b - q)
#define MINUS_OVER(a, q, b)                                                                        \
	{                                                                                          \
		b = q - b;                                                                         \
		ABOVE_OF(b);                                                                       \
		a -= b * b;                                                                        \
	}
#define MINUS_UNDER(a, q, b)                                                                       \
	{                                                                                          \
		b -= q;                                                                            \
		ABOVE_OF(b);                                                                       \
		a -= b * b;                                                                        \
	}

/* Each becomes a function that is inlined into one wrapper an instruction set, below. The squares
 * of doubles are four times too much; to divide by four is exact. */
BODY(inner, INNER, 1)
BODY(l2, MINUS_L2, 1)
BODY(over, MINUS_OVER, 4)
BODY(under, MINUS_UNDER, 4)

#define KERNEL(name, suffix, attribute)                                                            \
	attribute static void name##_##suffix(const float *query, const float *const x[4],         \
					      size_t dim, float ret[4])                            \
	{                                                                                          \
		name##_body(query, x, dim, ret);                                                   \
	}
#define KERNELS(suffix, attribute)                                                                 \
	KERNEL(inner, suffix, attribute)                                                           \
	KERNEL(l2, suffix, attribute)                                                              \
	KERNEL(over, suffix, attribute)                                                            \
	KERNEL(under, suffix, attribute)

#ifdef __x86_64__
KERNELS(avx512, __attribute__((target("avx512f"))))
KERNELS(avx2, __attribute__((target("avx2,fma"))))

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

/* The reference: loops that nobody can get wrong, in double. */
#define PLAIN(name, TERM)                                                                          \
	static void name##_plain(const float *query, const float *const x[4], size_t dim,          \
				 float ret[4])                                                     \
	{                                                                                          \
		for (int v = 0; v < 4; v++) {                                                      \
			double s = 0;                                                              \
                                                                                                   \
			for (size_t i = 0; i < dim; i++) {                                         \
				double q = query[i], b = x[v][i];                                  \
                                                                                                   \
				s += TERM;                                                         \
			}                                                                          \
			ret[v] = (float)s;                                                         \
		}                                                                                  \
	}
PLAIN(inner, q *b)
PLAIN(l2, -(q - b) * (q - b))
PLAIN(over, q - b < 0 ? 0 : -(q - b) * (q - b))
PLAIN(under, b - q < 0 ? 0 : -(b - q) * (b - q))

/* For the rows that need nothing of the CPU. */
static bool always(void)
{
	return true;
}

KERNELS(generic, )

#define ROW(suffix, can)                                                                           \
	{                                                                                          \
		.name = #suffix, .usable = can, .score = {                                         \
			[IST_SCORE_INNER] = inner_##suffix,                                        \
			[IST_SCORE_L2] = l2_##suffix,                                              \
			[IST_SCORE_OVER] = over_##suffix,                                          \
			[IST_SCORE_UNDER] = under_##suffix,                                        \
		}                                                                                  \
	}

const struct ist_score_kernel ist_score_kernels[] = {
#ifdef __x86_64__
    ROW(avx512, has_avx512),
    ROW(avx2, has_avx2),
#endif
    ROW(generic, always),
    ROW(plain, always),
};
const size_t ist_n_score_kernels = sizeof(ist_score_kernels) / sizeof(ist_score_kernels[0]);

const struct ist_score_kernel *ist_score_kernel_best(void)
{
	const struct ist_score_kernel *kernel = ist_score_kernels;

	while (!kernel->usable())
		kernel++;
	return kernel;
}
