/*
 * The kernels. One body in GCC's vector extensions is compiled for each instruction set, so that
 * all rows add up in the same lanes; they differ by fused multiply-adds only. Sixteen lanes fill
 * one AVX-512 register or two of AVX2; four vectors at a time hide the latency of the additions
 * and share the query's loads. A vector's score does not depend on its neighbours in the four.
 */
#include "index/vectors_kernel.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float half __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float quarter __attribute__((vector_size(LANES / 4 * sizeof(float))));

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

/* One body for both scores: TERM adds what q and b (of any width) come to. */
#define BODY(name, TERM)                                                                           \
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
#define INNER(a, q, b) a += q * b
#define MINUS_L2(a, q, b) a -= (b - q) * (b - q)

/* Each becomes a function that is inlined into one wrapper an instruction set, below. */
BODY(inner, INNER)
BODY(l2, MINUS_L2)

#define KERNELS(suffix, attribute)                                                                 \
	attribute static void inner_##suffix(const float *query, const float *const x[4],          \
					     size_t dim, float ret[4])                             \
	{                                                                                          \
		inner_body(query, x, dim, ret);                                                    \
	}                                                                                          \
	attribute static void l2_##suffix(const float *query, const float *const x[4], size_t dim, \
					  float ret[4])                                            \
	{                                                                                          \
		l2_body(query, x, dim, ret);                                                       \
	}

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

/* The reference: a loop that nobody can get wrong, in double. */
static void inner_plain(const float *query, const float *const x[4], size_t dim, float ret[4])
{
	for (int v = 0; v < 4; v++) {
		double s = 0;

		for (size_t i = 0; i < dim; i++)
			s += (double)query[i] * x[v][i];
		ret[v] = (float)s;
	}
}

static void l2_plain(const float *query, const float *const x[4], size_t dim, float ret[4])
{
	for (int v = 0; v < 4; v++) {
		double s = 0;

		for (size_t i = 0; i < dim; i++) {
			double d = (double)query[i] - x[v][i];

			s -= d * d;
		}
		ret[v] = (float)s;
	}
}

/* For the rows that need nothing of the CPU. */
static bool always(void)
{
	return true;
}

KERNELS(generic, )

const struct ist_kernel ist_kernels[] = {
#ifdef __x86_64__
    {.name = "avx512", .usable = has_avx512, .inner = inner_avx512, .l2 = l2_avx512},
    {.name = "avx2", .usable = has_avx2, .inner = inner_avx2, .l2 = l2_avx2},
#endif
    {.name = "generic", .usable = always, .inner = inner_generic, .l2 = l2_generic},
    {.name = "plain", .usable = always, .inner = inner_plain, .l2 = l2_plain},
};
const size_t ist_n_kernels = sizeof(ist_kernels) / sizeof(ist_kernels[0]);

const struct ist_kernel *ist_kernel_best(void)
{
	const struct ist_kernel *kernel = ist_kernels;

	while (!kernel->usable())
		kernel++;
	return kernel;
}
