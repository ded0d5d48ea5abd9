/*
 * The codecs without a process around them, so that the sanitizers see inside: every kind of
 * picture gives its pixels, and no cut, no flipped bit and no claim of a size does harm.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "server/decode/codec.h"
#include "tests/unit/decode/fixtures.h"
#include "tests/unit/test.h"

#define MAX_PIXELS 1000000
#define N_MUTATIONS 150

/* fontconfig, which librsvg brings, keeps what it found until the end. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfontconfig\nleak:libpango\nleak:librsvg\n";
}

static uint8_t out[MAX_PIXELS * 3];
static bool have_svg;

static bool is_svg(const struct fixture *f)
{
	return strstr(f->name, ".svg") != NULL;
}

/* The file is copied into memory of exactly its size: reading beyond it is then seen. */
static struct ist_decode_answer run(const struct fixture *f, const void *data, size_t len,
				    uint32_t side, uint32_t want)
{
	struct ist_decode_request request = {
	    .magic = IST_DECODE_MAGIC,
	    .want = want,
	    .len = len,
	    .frame = {.geometry = IST_GEOMETRY_WHOLE, .side = side}};
	ist_autofree uint8_t *exact = malloc(len > 0 ? len : 1);
	struct ist_decode_answer answer;

	memcpy(exact, data, len);
	ist_decode(&request, exact, is_svg(f), MAX_PIXELS, out, sizeof(out), &answer);
	return answer;
}

static void test_every_kind(void **state)
{
	size_t n;
	struct fixture *all = fixtures_read(&n);

	for (size_t i = 0; i < n; i++) {
		struct ist_decode_answer a;

		if (is_svg(&all[i]) && !have_svg)
			continue;
		a = run(&all[i], all[i].file.data, all[i].file.len, 0, IST_DECODE_PIXELS);
		if (a.status != IST_DECODE_OK)
			fail_msg("%s: %s", all[i].name, a.text);
		assert_string_equal(a.type, all[i].type);
		assert_int_equal(a.width, a.out_width);
		assert_int_equal(a.len, all[i].rgb.len);
		fixture_check(&all[i], a.out_width, a.out_height, out);
	}
	fixtures_free(all, n);
}

static void test_scaled(void **state)
{
	size_t n;
	struct fixture *all = fixtures_read(&n);

	for (size_t i = 0; i < n; i++) {
		struct ist_decode_answer a;
		uint32_t longer = IST_MAX(all[i].width, all[i].height);

		if (is_svg(&all[i]) && !have_svg)
			continue;
		a = run(&all[i], all[i].file.data, all[i].file.len, 8, IST_DECODE_PIXELS);
		assert_int_equal(a.status, IST_DECODE_OK);
		assert_int_equal(a.width, all[i].width);
		assert_int_equal(a.height, all[i].height);
		assert_int_equal(IST_MAX(a.out_width, a.out_height), IST_MIN(longer, 8));
		assert_int_equal(a.len, a.out_width * a.out_height * 3);
	}
	fixtures_free(all, n);
}

static void test_bombs(void **state)
{
	size_t n;
	struct fixture *all = bombs_read(&n);

	for (size_t i = 0; i < n; i++) {
		struct ist_decode_answer a;

		if (is_svg(&all[i]) && !have_svg)
			continue;
		a = run(&all[i], all[i].file.data, all[i].file.len, 64, IST_DECODE_PIXELS);
		if (a.status != IST_DECODE_TOO_LARGE)
			fail_msg("%s: status %u, %s", all[i].name, a.status, a.text);
	}
	fixtures_free(all, n);
}

/* A cut file is refused or, where only its tail is missing, gives a picture; never a crash. */
static void test_truncated(void **state)
{
	size_t n, refused = 0, cuts = 0;
	struct fixture *all = fixtures_read(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t len = 0; len < all[i].file.len; len += 1 + all[i].file.len / 40) {
			struct ist_decode_answer a;

			if (is_svg(&all[i]) && !have_svg)
				continue;
			a = run(&all[i], all[i].file.data, len, 0, IST_DECODE_PIXELS);
			cuts++;
			refused += a.status != IST_DECODE_OK;
			if (len < all[i].file.len / 2 && a.status == IST_DECODE_OK)
				fail_msg("%s: half of it is taken for a picture", all[i].name);
			assert_true(a.status == IST_DECODE_OK || a.text[0] != '\0');
		}
	}
	assert_true(refused > cuts * 9 / 10);
	fixtures_free(all, n);
}

static void test_mutated(void **state)
{
	struct ist_rng rng;
	size_t n;
	struct fixture *all = fixtures_read(&n);

	ist_rng_init(&rng, 1, "mutations");
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < N_MUTATIONS && !is_svg(&all[i]); k++) {
			ist_autofree char *copy = malloc(all[i].file.len);
			struct ist_decode_answer a;

			memcpy(copy, all[i].file.data, all[i].file.len);
			for (uint64_t m = 1 + ist_rng_below(&rng, 4); m > 0; m--)
				copy[ist_rng_below(&rng, all[i].file.len)] =
				    (char)ist_rng_below(&rng, 256);
			a = run(&all[i], copy, all[i].file.len, (uint32_t)(k % 2 * 8),
				IST_DECODE_PIXELS);
			assert_true(a.status <= IST_DECODE_TOO_LARGE);
			assert_true(a.status != IST_DECODE_OK ||
				    (uint64_t)a.width * a.height <= MAX_PIXELS);
		}
	}
	fixtures_free(all, n);
}

static void test_unknown(void **state)
{
	static const char *const texts[] = {
	    "",	  "G",	      "GIF",	      "hello, this is no picture",
	    "BM", "\xFF\xD8", "RIFF____WEBP", "<html></html>"};
	struct fixture f = {.name = "text"};

	for (size_t i = 0; i < IST_COUNT(texts); i++) {
		struct ist_decode_answer a =
		    run(&f, texts[i], strlen(texts[i]), 0, IST_DECODE_PIXELS);

		assert_int_equal(a.status, IST_DECODE_BROKEN);
		assert_true(a.text[0] != '\0');
	}
}

static void test_thumbnail(void **state)
{
	size_t n;
	struct fixture *all = fixtures_read(&n);
	const struct fixture *few = fixture_find(all, n, "palette1.png");
	const struct fixture *many = fixture_find(all, n, "444.jpg");
	struct ist_decode_answer a =
	    run(few, few->file.data, few->file.len, 0, IST_DECODE_THUMBNAIL);

	assert_int_equal(a.status, IST_DECODE_OK);
	assert_string_equal(a.out_type, "image/png");
	assert_true(a.len > 8 && memcmp(out, "\x89PNG", 4) == 0);
	{ /* what was written can be read, and is the picture */
		ist_autofree uint8_t *copy = malloc(a.len);

		memcpy(copy, out, a.len);
		a = run(few, copy, a.len, 0, IST_DECODE_PIXELS);
		assert_int_equal(a.status, IST_DECODE_OK);
		fixture_check(few, a.out_width, a.out_height, out);
	}
	a = run(many, many->file.data, many->file.len, 20, IST_DECODE_THUMBNAIL);
	assert_int_equal(a.status, IST_DECODE_OK);
	assert_string_equal(a.out_type, "image/jpeg");
	assert_int_equal(a.out_width, 20);
	fixtures_free(all, n);
}

static void test_orientation_is_bounded(void **state)
{
	static const uint8_t loop[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 255, 255, 0x12, 1, 3, 0};
	static const uint8_t far[] = {'M', 'M', 0, 42, 255, 255, 255, 255, 0, 0};

	for (size_t len = 0; len <= sizeof(loop); len++) {
		ist_autofree uint8_t *exact = malloc(len > 0 ? len : 1);

		memcpy(exact, loop, len);
		assert_int_equal(ist_exif_orientation(exact, len), 1);
	}
	assert_int_equal(ist_exif_orientation(far, sizeof(far)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind), cmocka_unit_test(test_scaled),
	    cmocka_unit_test(test_bombs),      cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_mutated),    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_thumbnail),  cmocka_unit_test(test_orientation_is_bounded),
	};

	have_svg = ist_svg_load();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
