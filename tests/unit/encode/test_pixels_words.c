/*
 * The encoders that hand on the input itself: pixels channel by channel, never all 0; words in
 * their order, equal words by equal codes, whatever their case.
 */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/encode/encoder.h"

static struct ist_encoder *open_encoder(const char *name)
{
	struct ist_encoder *encoder;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(name, NULL, &encoder, &err));
	return encoder;
}

static void encode_plane(const char *name, const uint8_t colour[3], uint32_t side, float *ret)
{
	struct ist_encoder *encoder = open_encoder(name);
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	uint8_t *rgb = malloc(3 * side * side);
	const struct ist_pixels pixels = {.width = side, .height = side, .rgb = rgb};
	struct ist_err err;

	for (size_t i = 0; i < side * side; i++)
		memcpy(rgb + 3 * i, colour, 3);
	assert_ist_ok(ist_encoder_image(encoder, ws, &pixels, ret, &err));
	free(rgb);
	ist_encoder_workspace_destroy(ws);
	ist_encoder_close(encoder);
}

static void check_pixels(const char *name, uint32_t side)
{
	size_t places = (size_t)side * side;
	struct ist_encoder *encoder = open_encoder(name);
	float *x = malloc(3 * places * sizeof(*x));

	assert_int_equal(encoder->dim, 3 * places);
	assert_int_equal(ist_pixels_side(encoder->dim), side);
	encode_plane(name, (const uint8_t[]){255, 127, 0}, 2 * side, x);
	for (size_t k = 0; k < places; k++) {
		assert_true(x[k] == 1);
		assert_true(x[places + k] == .5F);
		assert_true(x[2 * places + k] == 1 / 256.0F);
	}
	encode_plane(name, (const uint8_t[]){0, 0, 0}, side, x);
	assert_true(x[0] > 0);
	/* A collection may have them cropped instead of padded. */
	assert_true(encoder->frame.short_side >= encoder->frame.side);
	free(x);
	ist_encoder_close(encoder);
}

static void test_pixels(void **state)
{
	check_pixels("pixels", 32);
	check_pixels("pixels64", 64);
	assert_int_equal(ist_pixels_side(2048), 0);
}

static void encode_text(const char *text, float *ret)
{
	struct ist_encoder *encoder = open_encoder(IST_WORDS_NAME);
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	const struct ist_str str = {text, strlen(text)};
	struct ist_err err;

	assert_int_equal(encoder->dim, IST_WORDS_MAX);
	assert_ist_ok(ist_encoder_texts(encoder, ws, &str, 1, ret, &err));
	ist_encoder_workspace_destroy(ws);
	ist_encoder_close(encoder);
}

static void test_words(void **state)
{
	float a[IST_WORDS_MAX], b[IST_WORDS_MAX];
	char many[4 * IST_WORDS_MAX + 200] = "";

	encode_text("make the red circle red", a);
	encode_text("Make, the RED circle: red!", b);
	assert_memory_equal(a, b, sizeof(a));
	assert_true(a[2] == a[4] && a[2] != a[3] && a[5] == 0);
	for (size_t k = 0; k < 5; k++)
		assert_true(a[k] >= 1 && a[k] < 0x1p24F && a[k] == floorf(a[k]));
	for (size_t i = 0; i < IST_WORDS_MAX + 20; i++)
		strncat(many, "abc ", sizeof(many) - strlen(many) - 1);
	encode_text(many, b);
	assert_true(b[IST_WORDS_MAX - 1] == b[0]);
	encode_text("", b);
	assert_true(b[0] > 0 && b[1] == 0);
}

static void test_forms(void **state)
{
	assert_int_equal(ist_form_of("pixels"), IST_FORM_PIXELS);
	assert_int_equal(ist_form_of("pixels64"), IST_FORM_PIXELS);
	assert_int_equal(ist_form_of("words"), IST_FORM_WORDS);
	assert_int_equal(ist_form_of("efficientnet-lite0"), IST_FORM_VECTOR);
}

TEST_MAIN(cmocka_unit_test(test_pixels), cmocka_unit_test(test_words), cmocka_unit_test(test_forms))
