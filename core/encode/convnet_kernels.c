/*
 * Loops over vectors of the compiler's own kind, compiled with AVX-512 where the compiler has it
 * (meson.build) and called only where the CPU has it. Tiles are one function each, made by a
 * macro, since their sums stay in registers only if their number is known to the compiler.
 */
#include "core/encode/convnet_kernels.h"

#include <string.h>

#define CLIP_MAX 6.0f
#define LANES IST_CONV_LANES
#define LINE 64 /* bytes of the cache */
#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <immintrin.h>

typedef float vec __attribute__((vector_size(64), aligned(64)));

bool ist_conv_kernels_usable(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#else
typedef float vec __attribute__((vector_size(64), aligned(16)));

bool ist_conv_kernels_usable(void)
{
	return false;
}
#endif

INLINE const vec *at(const float *x)
{
	return (const vec *)(const void *)x;
}

INLINE vec *at_mutable(float *x)
{
	return (vec *)(void *)x;
}

#if defined(__AVX512F__)
INLINE vec clipped(vec x)
{
	return (vec)_mm512_min_ps(_mm512_max_ps((__m512)x, _mm512_setzero_ps()),
				  _mm512_set1_ps(CLIP_MAX));
}
#else
INLINE vec clipped(vec x)
{
	for (int i = 0; i < LANES; i++)
		x[i] = x[i] < 0 ? 0 : x[i] > CLIP_MAX ? CLIP_MAX : x[i];
	return x;
}
#endif

/* ---- products ---- */

#define EACH_PLACE _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)
#define EACH_VECTOR _Pragma("GCC unroll 3") for (int v = 0; v < vectors; v++)

/* `fetch` goes on by `line` bytes for every input. */
INLINE void product(const struct ist_conv_product *p, const char *fetch, size_t line, const int n,
		    const int vectors)
{
	vec sum[IST_CONV_PLACES][IST_CONV_VECTORS];
	const size_t step = p->step, to_step = p->to_step, run = p->run;
	const vec *w = at(p->weights);
	const float *from = p->from;
	float *to = p->to;

	if (p->bias != NULL) {
		EACH_PLACE EACH_VECTOR sum[i][v] = at(p->bias)[v];
	} else {
		EACH_PLACE EACH_VECTOR sum[i][v] = at(to + (size_t)i * to_step)[v];
	}
	for (size_t r = 0; r < p->n_runs; r++, from += p->run_step) {
		for (size_t k = 0; k < run; k++, w += vectors) {
			__builtin_prefetch(fetch, 0, 2);
			fetch += line;
			EACH_PLACE EACH_VECTOR sum[i][v] += w[v] * from[(size_t)i * step + k];
		}
	}
	if (p->clip) {
		EACH_PLACE EACH_VECTOR sum[i][v] = clipped(sum[i][v]);
	}
	EACH_PLACE EACH_VECTOR at_mutable(to + (size_t)i * to_step)[v] = sum[i][v];
}

typedef void (*product_tile)(const struct ist_conv_product *p, const char *fetch, size_t line);

#define TILE(n, vectors)                                                                           \
	static void tile_##n##x##vectors(const struct ist_conv_product *p, const char *fetch,      \
					 size_t line)                                              \
	{                                                                                          \
		product(p, fetch, line, n, vectors);                                               \
	}
#define TILES(n) TILE(n, 1) TILE(n, 2) TILE(n, 3)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)

#define ROW(n)                                                                                     \
	{                                                                                          \
		tile_##n##x1, tile_##n##x2, tile_##n##x3                                           \
	}
static const product_tile tiles[IST_CONV_PLACES][IST_CONV_VECTORS] = {
    ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(8)};

/* Tiles of nearly the same height: seven and seven are faster than eight and six. */
void ist_conv_product(const struct ist_conv_product *p, size_t n, unsigned vectors)
{
	struct ist_conv_product tile = *p;
	size_t inputs = p->n_runs * p->run;

	for (size_t left = n; left > 0;) {
		size_t n_tiles = (left + IST_CONV_PLACES - 1) / IST_CONV_PLACES;
		size_t places = (left + n_tiles - 1) / n_tiles;

		bool feed = p->feed != NULL && p->feed->lines >= inputs;

		tiles[places - 1][vectors - 1](
		    &tile, feed ? p->feed->at : (const char *)(const void *)p->weights,
		    feed ? LINE : 0);
		if (feed) {
			p->feed->at += inputs * LINE;
			p->feed->lines -= inputs;
		}
		tile.from += places * p->step;
		tile.to += places * p->to_step;
		left -= places;
	}
}

/* ---- depthwise ---- */

#define RUN 7 /* places at once; sides of 224 halved again and again are multiples of it */

/* From place `first` on. */
INLINE void depthwise(const struct ist_conv_depthwise *d, size_t first, const int n,
		      const int kernel, const int stride)
{
	float *to = d->to + first * d->to_step;
	vec sum[RUN];

	for (int i = 0; i < n; i++)
		sum[i] = *at(d->bias);
	for (int y = 0; y < kernel; y++) {
		const float *row = d->rows[y] + first * (size_t)stride * d->step;

		for (int x = 0; x < kernel; x++)
			for (int i = 0; i < n; i++)
				sum[i] += at(d->weights)[y * kernel + x] *
					  *at(row + (size_t)(i * stride + x) * d->step);
	}
	for (int i = 0; i < n; i++)
		*at_mutable(to + (size_t)i * d->to_step) = clipped(sum[i]);
}

INLINE void depthwise_row(const struct ist_conv_depthwise *d, size_t n, const int kernel,
			  const int stride)
{
	size_t i = 0;

	for (; i + RUN <= n; i += RUN)
		depthwise(d, i, RUN, kernel, stride);
	for (; i < n; i++)
		depthwise(d, i, 1, kernel, stride);
}

void ist_conv_depthwise(const struct ist_conv_depthwise *d, size_t n, unsigned kernel,
			unsigned stride)
{
	if (kernel == 3 && stride == 1)
		depthwise_row(d, n, 3, 1);
	else if (kernel == 3)
		depthwise_row(d, n, 3, 2);
	else if (stride == 1)
		depthwise_row(d, n, 5, 1);
	else
		depthwise_row(d, n, 5, 2);
}

/* ---- the rest ---- */

void ist_conv_bytes(const uint8_t *from, size_t n, float *to)
{
	for (size_t i = 0; i < n; i++)
		to[i] = ((float)from[i] - 127.5f) / 127.5f;
}

void ist_conv_start(const float *bias, const float *from, size_t n, size_t vectors, float *to)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t v = 0; v < vectors; v++, to += LANES) {
			vec sum = at(bias)[v];

			if (from != NULL)
				sum += at(from)[i * vectors + v];
			*at_mutable(to) = sum;
		}
	}
}

void ist_conv_add(const float *from, size_t n, float *to)
{
	for (size_t i = 0; i < n; i++)
		at_mutable(to)[i] += at(from)[i];
}

void ist_conv_mean(const float *from, size_t n, size_t vectors, float *to)
{
	for (size_t v = 0; v < vectors; v++) {
		vec sum = {0};

		for (size_t i = 0; i < n; i++)
			sum += at(from)[i * vectors + v];
		at_mutable(to)[v] = sum / (float)n;
	}
}
