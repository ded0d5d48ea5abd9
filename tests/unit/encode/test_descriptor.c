/* The picture descriptor: what looks alike is near, and every picture has a feature. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/encode/encoder.h"
#include "tests/unit/test.h"

static struct ist_encoder *encoder;
static struct ist_encoder_workspace *ws;

/* A picture of one colour; the caller draws on it and frees rgb. */
static struct ist_pixels canvas(uint32_t width, uint32_t height, uint32_t colour)
{
	uint8_t *rgb = ist_alloc((size_t)width * height, 3);

	for (size_t i = 0; i < (size_t)width * height; i++) {
		rgb[i * 3] = (uint8_t)(colour >> 16);
		rgb[i * 3 + 1] = (uint8_t)(colour >> 8);
		rgb[i * 3 + 2] = (uint8_t)colour;
	}
	return (struct ist_pixels){width, height, rgb};
}

static void put(struct ist_pixels p, uint32_t x, uint32_t y, uint32_t colour)
{
	uint8_t *to = (uint8_t *)p.rgb + ((size_t)y * p.width + x) * 3;

	to[0] = (uint8_t)(colour >> 16);
	to[1] = (uint8_t)(colour >> 8);
	to[2] = (uint8_t)colour;
}

/* A disc or a square in the middle of (x, y), on white. */
static struct ist_pixels shape(bool disc, uint32_t side, uint32_t x, uint32_t y, uint32_t r,
			       uint32_t colour)
{
	struct ist_pixels p = canvas(side, side, 0xFFFFFF);

	for (uint32_t j = y - r; j < y + r; j++) {
		for (uint32_t i = x - r; i < x + r; i++) {
			double dx = (double)i - x, dy = (double)j - y;

			if (!disc || dx * dx + dy * dy < (double)r * r)
				put(p, i, j, colour);
		}
	}
	return p;
}

static float *encode(struct ist_pixels p)
{
	float *x = ist_alloc(encoder->dim, sizeof(*x));
	struct ist_err err;

	assert_ist_ok(ist_encoder_image(encoder, ws, &p, x, &err));
	free((void *)p.rgb);
	return x;
}

static double cosine(struct ist_pixels a, struct ist_pixels b)
{
	ist_autofree float *x = encode(a);
	ist_autofree float *y = encode(b);
	double xy = 0, xx = 0, yy = 0;

	for (size_t j = 0; j < encoder->dim; j++) {
		xy += (double)x[j] * y[j];
		xx += (double)x[j] * x[j];
		yy += (double)y[j] * y[j];
	}
	return xy / sqrt(xx * yy);
}

static void test_every_picture(void **state)
{
	static const uint32_t sizes[][2] = {{1, 1},	{1, 500},  {500, 1},   {2, 2},
					    {128, 128}, {3, 1000}, {1000, 700}};
	static const uint32_t colours[] = {0, 0xFFFFFF, 0x808080, 0xFF0000, 0x00FF00, 0xFEFEFE};

	for (size_t s = 0; s < IST_COUNT(sizes); s++) {
		for (size_t c = 0; c < IST_COUNT(colours); c++) {
			ist_autofree float *x =
			    encode(canvas(sizes[s][0], sizes[s][1], colours[c]));
			double sum = 0;

			for (size_t j = 0; j < encoder->dim; j++) {
				assert_true(x[j] >= 0 && x[j] <= 1.0001);
				sum += x[j];
			}
			assert_true(sum > 0);
		}
	}
}

/* On white, place and size matter less than form, and form is seen whatever the colour. */
static void test_cut_outs(void **state)
{
	double moved = cosine(shape(true, 200, 60, 70, 40, 0xC02020),
			      shape(true, 300, 200, 180, 70, 0xC02020));
	double other_form =
	    cosine(shape(true, 200, 60, 70, 40, 0xC02020), shape(false, 200, 60, 70, 40, 0xC02020));
	double other_colour =
	    cosine(shape(true, 200, 60, 70, 40, 0xC02020), shape(true, 200, 60, 70, 40, 0x2020C0));
	double all_other =
	    cosine(shape(true, 200, 60, 70, 40, 0xC02020), shape(false, 200, 60, 70, 40, 0x2020C0));

	assert_true(moved > 0.98);
	assert_true(moved > other_form && moved > other_colour);
	assert_true(other_form > all_other && other_colour > all_other);
}

static struct ist_pixels stripes(bool upright, uint32_t colour)
{
	struct ist_pixels p = canvas(120, 120, 0x404040);

	for (uint32_t y = 0; y < 120; y++) {
		for (uint32_t x = 0; x < 120; x++) {
			if ((upright ? x : y) / 10 % 2 == 0)
				put(p, x, y, colour);
		}
	}
	return p;
}

/* Upright with upright, whatever the contrast. */
static void test_stripes(void **state)
{
	double same = cosine(stripes(true, 0xB0B0B0), stripes(true, 0xA8A8A8));
	double turned = cosine(stripes(true, 0xB0B0B0), stripes(false, 0xB0B0B0));

	assert_true(same > turned + 0.1);
}

static void test_repeatable(void **state)
{
	struct ist_pixels a = canvas(77, 55, 0), b;
	struct ist_rng rng;
	ist_autofree float *x = NULL;
	ist_autofree float *y = NULL;

	ist_rng_init(&rng, 3, "noise");
	for (size_t i = 0; i < 77 * 55 * 3; i++)
		((uint8_t *)a.rgb)[i] = (uint8_t)ist_rng_below(&rng, 256);
	b = canvas(77, 55, 0);
	memcpy((uint8_t *)b.rgb, a.rgb, 77 * 55 * 3);
	x = encode(a);
	y = encode(b);
	assert_memory_equal(x, y, encoder->dim * sizeof(*x));
}

static int open_encoder(void **state)
{
	ws = ist_encoder_workspace_create();
	return ist_encoder_open("descriptor", NULL, &encoder, NULL);
}

static int close_encoder(void **state)
{
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_picture),
	    cmocka_unit_test(test_cut_outs),
	    cmocka_unit_test(test_stripes),
	    cmocka_unit_test(test_repeatable),
	};

	return cmocka_run_group_tests(tests, open_encoder, close_encoder);
}
