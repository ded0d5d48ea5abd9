/* PNG files of our own: what was put in comes out, bit for bit. */
#include "tests/unit/test.h"

#include <png.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "server/png.h"

static void check(uint32_t width, uint32_t height)
{
	size_t n = (size_t)width * height * 3;
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};
	ist_autofree uint8_t *rgb = ist_alloc(n, 1), *back = ist_alloc(n, 1);
	png_image image = {.version = PNG_IMAGE_VERSION};
	struct ist_err err = {0};

	for (size_t i = 0; i < n; i++)
		rgb[i] = (uint8_t)(i * 2654435761u >> 13);
	ist_buf_puts(&buf, "before");
	assert_ist_ok(ist_png_put(&buf, rgb, width, height, &err));
	assert_memory_equal(buf.data, "before", 6);
	assert_true(png_image_begin_read_from_memory(&image, buf.data + 6, buf.len - 6));
	assert_int_equal(image.width, width);
	assert_int_equal(image.height, height);
	assert_int_equal(image.format, PNG_FORMAT_RGB);
	assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
	assert_memory_equal(rgb, back, n);
}

static void test_round_trip(void **state)
{
	check(1, 1);
	check(32, 32);
	check(64, 64);
	check(7, 300);
}

static void test_refused(void **state)
{
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};
	struct ist_err err = {0};
	uint8_t rgb[3] = {0};

	assert_int_equal(ist_png_put(&buf, rgb, 0, 1, &err), IST_INTERNAL);
	assert_int_equal(buf.len, 0);
}

TEST_MAIN(cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused))
