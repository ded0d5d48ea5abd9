/* An encoder allocates nothing once its workspace has grown: texts and pictures of a golden folder.
 */
#include <omp.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "tests/unit/allocations.h"
#include "tests/unit/test.h"

#define N_TEXTS 70
#define SIDE 50

static const char *golden;

static size_t during(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
		     const struct ist_pixels *pixels, float *ret, int n)
{
	static const char *const texts[] = {"a bird", "", "An owl in a tree, at night, 12 3",
					    "\xc3\xa9t\xc3\xa9"};
	struct ist_str list[N_TEXTS];
	size_t count;

	for (size_t i = 0; i < N_TEXTS; i++)
		list[i] = (struct ist_str){texts[i % 4], strlen(texts[i % 4])};
	allocations_begin();
	for (int i = 0; i < n; i++) {
		if (ist_encoder_arch_takes(encoder->arch, IST_TEXT) &&
		    ist_encoder_texts(encoder, ws, list, N_TEXTS, ret, NULL) != IST_OK)
			abort();
		if (ist_encoder_arch_takes(encoder->arch, IST_IMAGE) &&
		    ist_encoder_image(encoder, ws, pixels, ret, NULL) != IST_OK)
			abort();
	}
	count = allocations_end();
	return count;
}

static void check(int n_threads)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	static uint8_t rgb[SIDE * SIDE * 3] = {9, 200, 31};
	struct ist_pixels pixels = {SIDE, SIDE, rgb};
	struct ist_encoder *encoder = NULL;
	ist_autofree float *x = NULL;
	struct ist_err err;

	omp_set_num_threads(n_threads);
	assert_ist_ok(ist_encoder_open(NULL, golden, &encoder, &err));
	x = ist_alloc(encoder->dim * N_TEXTS, sizeof(*x));
	assert_true(during(encoder, ws, &pixels, x, 2) > 0); /* the counting works */
	assert_int_equal(during(encoder, ws, &pixels, x, 10), 0);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void test_warm(void **state)
{
	if (!ALLOCATIONS_COUNT)
		skip();
	check(1);
	check(2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_warm)};

	golden = argc > 1 ? argv[1] : "tests/golden/clip";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
