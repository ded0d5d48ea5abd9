/*
 * Separable resampling. For every output pixel of an axis the taps that it reads and their weights
 * are computed once, in double, and rounded to fixed point; then each axis is one pass of integer
 * multiply-adds. Scaling down widens the filter by the scale, which is what removes aliasing.
 */
#include "core/encode/resample.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

#define PRECISION 22

static double box(double x)
{
	return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double triangle(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

/* Catmull-Rom's cubic: a = -0.5. */
static double cubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const struct {
	double (*weight)(double x);
	double support;
} filters[IST_N_FILTERS] = {
    [IST_FILTER_BOX] = {box, 0.5},
    [IST_FILTER_BILINEAR] = {triangle, 1},
    [IST_FILTER_BICUBIC] = {cubic, 2},
};

/* Output pixel i of an axis is the sum of n[i] inputs from first[i] on, by weights[i * width]. */
struct taps {
	uint32_t width; /* taps of a pixel at most */
	uint32_t *first, *n;
	int32_t *weights; /* (n_out, width) */
};

/* Taps that would lie outside the picture are cut off, and the rest made to sum to 1 again. */
static void fill_pixel(struct taps *taps, enum ist_filter filter, uint32_t i, uint32_t n_in,
		       double scale)
{
	double spread = IST_MAX(scale, 1), support = filters[filter].support * spread;
	double centre = (i + 0.5) * scale, sum = 0;
	int32_t *weights = taps->weights + (size_t)i * taps->width;
	double low = IST_MAX(centre - support + 0.5, 0),
	       high = IST_MIN(centre + support + 0.5, n_in);
	uint32_t first = (uint32_t)low, n = (uint32_t)high - first;

	n = IST_MIN(IST_MAX(n, 1), taps->width);
	first = IST_MIN(first, n_in - n);
	for (uint32_t k = 0; k < n; k++)
		sum += filters[filter].weight((first + k - centre + 0.5) / spread);
	for (uint32_t k = 0; k < n; k++) {
		double w = filters[filter].weight((first + k - centre + 0.5) / spread);

		w = sum != 0 ? w / sum : 1.0 / n;
		weights[k] = (int32_t)(w * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5));
	}
	taps->first[i] = first;
	taps->n[i] = n;
}

/* All output pixels of one axis. The arena's memory is zeroed, so unused taps weigh nothing. */
static struct taps make_taps(enum ist_filter filter, uint32_t n_in, uint32_t n_out,
			     struct ist_arena *arena)
{
	double scale = (double)n_in / n_out;
	double reach = ceil(filters[filter].support * IST_MAX(scale, 1)) * 2 + 1;
	struct taps taps = {.width = (uint32_t)IST_MIN(reach, n_in)};

	taps.first = ist_arena_alloc(arena, n_out, sizeof(*taps.first));
	taps.n = ist_arena_alloc(arena, n_out, sizeof(*taps.n));
	taps.weights = ist_arena_alloc(arena, (size_t)n_out * taps.width, sizeof(*taps.weights));
	for (uint32_t i = 0; i < n_out; i++)
		fill_pixel(&taps, filter, i, n_in, scale);
	return taps;
}

/* The sum starts at one half, so the shift rounds; a cubic overshoots on both sides. */
static inline uint8_t clip(int32_t sum)
{
	sum >>= PRECISION;
	return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

/* One row: (width_in, 3) -> (n_out, 3) */
static void across(const struct taps *taps, const uint8_t *in, uint32_t n_out, uint8_t *out)
{
	for (uint32_t i = 0; i < n_out; i++, out += 3) {
		const uint8_t *p = in + (size_t)taps->first[i] * 3;
		const int32_t *w = taps->weights + (size_t)i * taps->width;
		int32_t r = 1 << (PRECISION - 1), g = r, b = r;

		for (uint32_t k = 0; k < taps->n[i]; k++, p += 3) {
			r += w[k] * p[0];
			g += w[k] * p[1];
			b += w[k] * p[2];
		}
		out[0] = clip(r);
		out[1] = clip(g);
		out[2] = clip(b);
	}
}

/* All rows: (height_in, stride) -> (n_out, stride); `sums` is (stride) of scratch. Whole rows are
 * added up, tap after tap, which the compiler turns into vector code. */
static void down(const struct taps *taps, const uint8_t *in, size_t stride, uint32_t n_out,
		 uint8_t *out, int32_t *sums)
{
	for (uint32_t i = 0; i < n_out; i++, out += stride) {
		const int32_t *w = taps->weights + (size_t)i * taps->width;

		for (size_t x = 0; x < stride; x++)
			sums[x] = 1 << (PRECISION - 1);
		for (uint32_t k = 0; k < taps->n[i]; k++) {
			const uint8_t *row = in + (taps->first[i] + k) * stride;

			for (size_t x = 0; x < stride; x++)
				sums[x] += w[k] * row[x];
		}
		for (size_t x = 0; x < stride; x++)
			out[x] = clip(sums[x]);
	}
}

void ist_fit(uint32_t width, uint32_t height, uint32_t side, uint32_t *ret_width,
	     uint32_t *ret_height)
{
	uint32_t longer = IST_MAX(width, height);

	*ret_width = width;
	*ret_height = height;
	if (side == 0 || longer <= side)
		return;
	*ret_width = IST_MAX((uint32_t)(((uint64_t)width * side + longer / 2) / longer), 1);
	*ret_height = IST_MAX((uint32_t)(((uint64_t)height * side + longer / 2) / longer), 1);
}

/* Sides that stay as they are cost no pass: a picture of the right size is copied. */
void ist_resample(const struct ist_pixels *from, enum ist_filter filter, uint32_t width,
		  uint32_t height, uint8_t *ret, struct ist_arena *arena)
{
	size_t stride = (size_t)width * 3;
	const uint8_t *rows = from->rgb;

	if (width != from->width) {
		struct taps taps = make_taps(filter, from->width, width, arena);
		uint8_t *narrowed =
		    height == from->height ? ret : ist_arena_alloc(arena, from->height, stride);

		for (uint32_t y = 0; y < from->height; y++)
			across(&taps, from->rgb + (size_t)y * from->width * 3, width,
			       narrowed + y * stride);
		rows = narrowed;
	}
	if (height != from->height) {
		struct taps taps = make_taps(filter, from->height, height, arena);
		int32_t *sums = ist_arena_alloc(arena, stride, sizeof(*sums));

		down(&taps, rows, stride, height, ret, sums);
	} else if (rows == from->rgb) {
		memcpy(ret, rows, stride * height);
	}
}
