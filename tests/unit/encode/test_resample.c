/* Resampling against a plain loop in double, and what must hold whatever the filter. */
#include "core/encode/resample.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/unit/test.h"

static uint8_t *noise(uint32_t width, uint32_t height)
{
	uint8_t *rgb = ist_alloc((size_t)width * height, 3);
	struct ist_rng rng;

	ist_rng_init(&rng, width * 1000 + height, "noise");
	for (size_t i = 0; i < (size_t)width * height * 3; i++)
		rgb[i] = (uint8_t)ist_rng_below(&rng, 256);
	return rgb;
}

static double weight(enum ist_resample_filter filter, double x)
{
	x = fabs(x);
	if (filter == IST_FILTER_BOX)
		return x < 0.5 ? 1 : 0;
	if (filter == IST_FILTER_BILINEAR)
		return x < 1 ? 1 - x : 0;
	if (x < 1)
		return 1.5 * x * x * x - 2.5 * x * x + 1;
	return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/* One axis, every input looked at for every output: (n_in) -> (n_out), of every `stride`th. */
static void plain_axis(enum ist_resample_filter filter, const double *in, uint32_t n_in,
		       double *out, uint32_t n_out, size_t stride)
{
	double scale = (double)n_in / n_out, spread = scale > 1 ? scale : 1;

	for (uint32_t i = 0; i < n_out; i++) {
		double sum = 0, total = 0;

		for (uint32_t k = 0; k < n_in; k++) {
			double w = weight(filter, (k + 0.5 - (i + 0.5) * scale) / spread);

			sum += w * in[k * stride];
			total += w;
		}
		sum = rint(sum / total);
		out[i * stride] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
	}
}

static void check_against_plain(enum ist_resample_filter filter, uint32_t w_in, uint32_t h_in,
				uint32_t w_out, uint32_t h_out)
{
	ist_autofree uint8_t *rgb = noise(w_in, h_in);
	ist_autofree uint8_t *got = ist_alloc((size_t)w_out * h_out, 3);
	ist_autofree double *in = ist_alloc((size_t)w_in * h_in * 3, sizeof(*in));
	ist_autofree double *middle = ist_alloc((size_t)w_out * h_in * 3, sizeof(*middle));
	ist_autofree double *want = ist_alloc((size_t)w_out * h_out * 3, sizeof(*want));
	struct ist_pixels from = {w_in, h_in, rgb};
	struct ist_arena arena = {0};

	for (size_t i = 0; i < (size_t)w_in * h_in * 3; i++)
		in[i] = rgb[i];
	for (size_t y = 0; y < h_in; y++) {
		for (size_t c = 0; c < 3; c++)
			plain_axis(filter, in + y * w_in * 3 + c, w_in, middle + y * w_out * 3 + c,
				   w_out, 3);
	}
	for (size_t x = 0; x < (size_t)w_out * 3; x++)
		plain_axis(filter, middle + x, h_in, want + x, h_out, (size_t)w_out * 3);
	ist_resample(&from, filter, w_out, h_out, got, &arena);
	for (size_t i = 0; i < (size_t)w_out * h_out * 3; i++) {
		/* Halves may round either way, once a pass. */
		if (fabs(want[i] - got[i]) > 2)
			fail_msg("filter %d, %u x %u -> %u x %u, value %zu: %d instead of %g",
				 filter, w_in, h_in, w_out, h_out, i, got[i], want[i]);
	}
	ist_arena_finish(&arena);
}

static void test_against_plain(void **state)
{
	static const uint32_t sizes[][4] = {{16, 16, 8, 8}, {17, 11, 5, 7}, {5, 7, 17, 11},
					    {40, 3, 7, 3},  {3, 40, 3, 7},  {1, 1, 4, 4},
					    {9, 9, 1, 1},   {64, 1, 3, 1},  {12, 12, 12, 12}};

	for (int filter = 0; filter < IST_N_FILTERS; filter++) {
		for (size_t i = 0; i < IST_COUNT(sizes); i++)
			check_against_plain((enum ist_resample_filter)filter, sizes[i][0],
					    sizes[i][1], sizes[i][2], sizes[i][3]);
	}
}

static void test_flat_stays_flat(void **state)
{
	uint8_t grey[50 * 40 * 3], small[7 * 90 * 3];
	struct ist_pixels from = {50, 40, grey};

	memset(grey, 77, sizeof(grey));
	for (int filter = 0; filter < IST_N_FILTERS; filter++) {
		struct ist_arena arena = {0};

		ist_resample(&from, (enum ist_resample_filter)filter, 7, 90, small, &arena);
		for (size_t i = 0; i < sizeof(small); i++)
			assert_int_equal(small[i], 77);
		ist_arena_finish(&arena);
	}
}

/* One very long side must neither overflow nor lose brightness. */
static void test_extreme(void **state)
{
	uint32_t n = 300000;
	ist_autofree uint8_t *rgb = ist_alloc(n, 3);
	struct ist_pixels from = {n, 1, rgb};
	struct ist_arena arena = {0};
	uint8_t small[4 * 3];

	memset(rgb, 255, (size_t)n * 3);
	ist_resample(&from, IST_FILTER_BICUBIC, 4, 1, small, &arena);
	for (size_t i = 0; i < sizeof(small); i++)
		assert_in_range(small[i], 250, 255);
	ist_arena_finish(&arena);
}

static void test_fit(void **state)
{
	static const uint32_t cases[][5] = {
	    {100, 50, 0, 100, 50}, {100, 50, 200, 100, 50}, {100, 50, 50, 50, 25},
	    {50, 100, 50, 25, 50}, {1000, 1, 10, 10, 1},    {3, 2, 1, 1, 1},
	};

	for (size_t i = 0; i < IST_COUNT(cases); i++) {
		uint32_t width, height;

		ist_fit(cases[i][0], cases[i][1], cases[i][2], &width, &height);
		assert_int_equal(width, cases[i][3]);
		assert_int_equal(height, cases[i][4]);
	}
}

TEST_MAIN(cmocka_unit_test(test_against_plain), cmocka_unit_test(test_flat_stays_flat),
	  cmocka_unit_test(test_extreme), cmocka_unit_test(test_fit))
