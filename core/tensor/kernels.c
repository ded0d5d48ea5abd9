/*
 * Loops for the vectoriser, compiled once for each level of x86-64 (the loader takes the best that
 * the CPU has). Sums are taken in doubles with a fixed number of partial sums, so they are exact
 * enough for norms of millions of numbers and the same on every run.
 *
 * tanh and exp of the float build are polynomials after Cephes' ranges: relative error under 3e-7,
 * tested against libm. The double build, which only tests use, takes libm's.
 */
#include "core/tensor/kernels.h"

#include <stdint.h>
#include <string.h>

/* Not under sanitizers: clones are chosen by the loader, before their runtime is up. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

#ifdef IST_REAL_DOUBLE
static inline double exp1(double x)
{
	return exp(x);
}

static inline double tanh1(double x)
{
	return tanh(x);
}
#else
/* 2^k e^r with |r| <= ln 2 / 2, r taken off in two parts; x is clamped to what a float can hold. */
static inline float exp1(float x)
{
	float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
	float k = (clamped * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest whole */
	float r = clamped - k * 0.693359375f + k * 2.12194440e-4f;
	float p = 1.9875691500e-4f;
	uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;
	float power;

	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * r * r + r + 1.0f;
	memcpy(&power, &bits, sizeof(power));
	return x < -87.0f ? 0.0f : p * power;
}

/* Near 0 a polynomial, where 1 - 2 / (e^2x + 1) would lose digits. */
static inline float tanh1(float x)
{
	float a = fabsf(x), z = x * x;
	float e = exp1(-2.0f * (a > 10.0f ? 10.0f : a));
	float far = copysignf((1.0f - e) / (1.0f + e), x);
	float p = -5.70498872745e-3f;

	p = p * z + 2.06390887954e-2f;
	p = p * z - 5.37397155531e-2f;
	p = p * z + 1.33314422036e-1f;
	p = p * z - 3.33332819422e-1f;
	return a < 0.625f ? x + x * z * p : far;
}
#endif

CLONES void ist_k_tanh(ist_real *y, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = tanh1(x[i]);
}

/* From the result: tanh' = 1 - tanh^2, so the input need not be kept. */
CLONES void ist_k_tanh_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] += dy[i] * (1 - y[i] * y[i]);
}

CLONES void ist_k_relu(ist_real *y, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] > 0 ? x[i] : 0;
}

CLONES void ist_k_sigmoid(ist_real *y, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = (ist_real)0.5 + (ist_real)0.5 * tanh1((ist_real)0.5 * x[i]);
}

CLONES void ist_k_sigmoid_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] += dy[i] * y[i] * (1 - y[i]);
}

/* The gradient at 0 is 0, as everywhere. */
CLONES void ist_k_relu_back(ist_real *dx, const ist_real *dy, const ist_real *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] += y[i] > 0 ? dy[i] : 0;
}

CLONES void ist_k_lrelu(ist_real *y, ist_real slope, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

CLONES void ist_k_lrelu_back(ist_real *dx, ist_real slope, const ist_real *dy, const ist_real *y,
			     size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] += y[i] > 0 ? dy[i] : slope * dy[i];
}

CLONES void ist_k_exp(ist_real *y, const ist_real *x, ist_real shift, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = exp1(x[i] - shift);
}

CLONES void ist_k_add(ist_real *y, const ist_real *a, const ist_real *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = a[i] + b[i];
}

CLONES void ist_k_multiply(ist_real *y, const ist_real *a, const ist_real *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = a[i] * b[i];
}

CLONES void ist_k_multiply_add(ist_real *y, const ist_real *a, const ist_real *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a[i] * b[i];
}

CLONES void ist_k_axpy(ist_real *y, ist_real a, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

CLONES void ist_k_scale(ist_real *y, ist_real a, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = a * x[i];
}

/* n > 0 */
CLONES ist_real ist_k_max(const ist_real *x, size_t n)
{
	ist_real max = x[0];

#pragma omp simd reduction(max : max)
	for (size_t i = 1; i < n; i++)
		max = x[i] > max ? x[i] : max;
	return max;
}

/* `omp simd reduction` allows the reordering that -ffast-math would, in this loop alone. */
CLONES double ist_k_sum(const ist_real *x, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i];
	return sum;
}

CLONES double ist_k_dot(const ist_real *a, const ist_real *b, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

CLONES double ist_k_squares(const ist_real *x, double mean, size_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += ((double)x[i] - mean) * ((double)x[i] - mean);
	return sum;
}

CLONES void ist_k_normalise(ist_real *hat, ist_real *y, const ist_real *x, ist_real mean,
			    ist_real inverse, ist_real gamma, ist_real beta, size_t n)
{
#pragma omp simd
	for (size_t i = 0; i < n; i++) {
		hat[i] = (x[i] - mean) * inverse;
		y[i] = gamma * hat[i] + beta;
	}
}

CLONES void ist_k_normalise_back(ist_real *dx, const ist_real *dy, const ist_real *hat,
				 ist_real factor, ist_real mean, ist_real slope, size_t n)
{
#pragma omp simd
	for (size_t i = 0; i < n; i++)
		dx[i] += factor * (dy[i] - mean - hat[i] * slope);
}

/* Codes have at most a few thousand numbers, all of one size: float sums are exact enough here. */
CLONES ist_real ist_k_distance2(const ist_real *a, const ist_real *b, size_t n)
{
	ist_real sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

CLONES void ist_k_difference(ist_real *da, ist_real f, const ist_real *a, const ist_real *b,
			     size_t n)
{
	for (size_t i = 0; i < n; i++)
		da[i] += f * (a[i] - b[i]);
}

CLONES void ist_k_abs(ist_real *y, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] < 0 ? -x[i] : x[i];
}

/* The gradient at 0 is 0. */
CLONES void ist_k_abs_back(ist_real *dx, const ist_real *dy, const ist_real *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dx[i] += x[i] > 0 ? dy[i] : x[i] < 0 ? -dy[i] : 0;
}

CLONES ist_real ist_k_excess2(const ist_real *a, const ist_real *b, size_t n)
{
	ist_real sum = 0;

#pragma omp simd reduction(+ : sum)
	for (size_t i = 0; i < n; i++) {
		ist_real x = a[i] > b[i] ? a[i] - b[i] : 0;

		sum += x * x;
	}
	return sum;
}

CLONES void ist_k_excess(ist_real *d, ist_real f, const ist_real *a, const ist_real *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		d[i] += f * (a[i] > b[i] ? a[i] - b[i] : 0);
}

CLONES void ist_k_gru(const ist_real *restrict x, const ist_real *restrict p,
		      const ist_real *restrict before, ist_real *restrict gate,
		      ist_real *restrict un, ist_real *restrict state, size_t h)
{
	for (size_t k = 0; k < h; k++) {
		ist_real b = before != NULL ? before[k] : 0;
		ist_real r = (ist_real)0.5 + (ist_real)0.5 * tanh1((ist_real)0.5 * (x[k] + p[k]));
		ist_real z =
		    (ist_real)0.5 + (ist_real)0.5 * tanh1((ist_real)0.5 * (x[h + k] + p[h + k]));
		ist_real n = tanh1(x[2 * h + k] + r * p[2 * h + k]);

		gate[k] = r;
		gate[h + k] = z;
		gate[2 * h + k] = n;
		un[k] = p[2 * h + k];
		state[k] = n + z * (b - n);
	}
}

CLONES void ist_k_gru_back(ist_real *restrict dh, const ist_real *restrict gate,
			   const ist_real *restrict un, const ist_real *restrict before,
			   ist_real *restrict du, ist_real *restrict dx, size_t h)
{
	for (size_t k = 0; k < h; k++) {
		ist_real r = gate[k], z = gate[h + k], n = gate[2 * h + k];
		ist_real b = before != NULL ? before[k] : 0;
		ist_real dn = dh[k] * (1 - z) * (1 - n * n);
		ist_real dz = dh[k] * (b - n) * z * (1 - z);
		ist_real dr = dn * un[k] * r * (1 - r);

		dx[k] += dr;
		dx[h + k] += dz;
		dx[2 * h + k] += dn;
		du[k] = dr;
		du[h + k] = dz;
		du[2 * h + k] = dn * r;
		dh[k] *= z;
	}
}

CLONES void ist_k_sgd(const struct ist_rates *r, ist_real *restrict w, const ist_real *restrict g,
		      ist_real *restrict m, ist_real *restrict v, size_t n)
{
	const struct ist_rates k = *r;

	(void)v;
	for (size_t i = 0; i < n; i++) {
		ist_real d = k.scale * g[i] + k.decay * w[i];

		m[i] = k.momentum * m[i] + d;
		w[i] -= k.rate * m[i];
	}
}

/* One pass: seven numbers read or written where separate steps would touch fifteen. */
CLONES void ist_k_adam(const struct ist_rates *r, ist_real *restrict w, const ist_real *restrict g,
		       ist_real *restrict m, ist_real *restrict v, size_t n)
{
	const struct ist_rates k = *r;

	for (size_t i = 0; i < n; i++) {
		ist_real d = k.scale * g[i] + k.decay * w[i];

		m[i] = k.beta1 * m[i] + (1 - k.beta1) * d;
		v[i] = k.beta2 * v[i] + (1 - k.beta2) * d * d;
		w[i] -= k.rate * m[i] / (ist_real_sqrt(v[i]) * k.root + k.eps);
	}
}

CLONES void ist_k_rmsprop(const struct ist_rates *r, ist_real *restrict w,
			  const ist_real *restrict g, ist_real *restrict m, ist_real *restrict v,
			  size_t n)
{
	const struct ist_rates k = *r;

	(void)m;
	for (size_t i = 0; i < n; i++) {
		ist_real d = k.scale * g[i] + k.decay * w[i];

		v[i] = k.beta2 * v[i] + (1 - k.beta2) * d * d;
		w[i] -= k.rate * d / (ist_real_sqrt(v[i]) + k.eps);
	}
}
