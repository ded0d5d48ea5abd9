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

INLINE void load(lanes *ret, const float *x)
{
	memcpy(ret, x, sizeof(*ret));
}

INLINE float sum(const lanes *a)
{
	half h[2];
	quarter q[2];

	memcpy(h, a, sizeof(h));
	h[0] += h[1];
	memcpy(q, h, sizeof(q));
	q[0] += q[1];
	return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}

INLINE void inner_body(const float *query, const float *const x[4], size_t dim, float ret[4])
{
	lanes a[4] = {{0}}, q, b;
	size_t i = 0;

	for (; i + LANES <= dim; i += LANES) {
		load(&q, query + i);
		for (int v = 0; v < 4; v++) {
			load(&b, x[v] + i);
			a[v] += q * b;
		}
	}
	for (int v = 0; v < 4; v++)
		ret[v] = sum(&a[v]);
	for (; i < dim; i++)
		for (int v = 0; v < 4; v++)
			ret[v] += query[i] * x[v][i];
}

INLINE void l2_body(const float *query, const float *const x[4], size_t dim, float ret[4])
{
	lanes a[4] = {{0}}, q, b;
	size_t i = 0;

	for (; i + LANES <= dim; i += LANES) {
		load(&q, query + i);
		for (int v = 0; v < 4; v++) {
			load(&b, x[v] + i);
			b -= q;
			a[v] -= b * b;
		}
	}
	for (int v = 0; v < 4; v++)
		ret[v] = sum(&a[v]);
	for (; i < dim; i++) {
		for (int v = 0; v < 4; v++) {
			float d = x[v][i] - query[i];

			ret[v] -= d * d;
		}
	}
}

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
