/* Input scaling: each kind by its definition, columns that do not vary, rows of zeros, files. */
#include "tests/unit/test.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/methods/scaling.h"

#define DIM 3

static const float x[] = {
    1, 4, 7, /* learned from */
    9, 9, 9, /* not */
    3, 0, 7, /* learned from */
    0, 0, 0, /* not */
};
static const uint32_t rows[] = {0, 2};

static void fit(struct ist_scaling *s, const char *kind)
{
	ist_scaling_fit(s, kind, x, DIM, rows, IST_COUNT(rows));
}

static void expect(const char *kind, size_t row, double a, double b, double c)
{
	const double want[DIM] = {a, b, c};
	struct ist_scaling s;
	float y[DIM];

	fit(&s, kind);
	ist_scaling_apply(&s, x + row * DIM, 1, y);
	for (int i = 0; i < DIM; i++)
		assert_float_equal(y[i], want[i], 1e-6);
	ist_scaling_finish(&s);
}

static void test_kinds(void **state)
{
	expect("none", 0, 1, 4, 7);
	/* means 2, 2, 7; population deviations 1, 2, and 0 that counts as 1 */
	expect("zscore", 0, -1, 1, 0);
	expect("zscore", 1, 7, 3.5, 2);
	/* unit rows (1, 4, 7) / sqrt 66 and (3, 0, 7) / sqrt 58 */
	expect("unit", 0, (1 / sqrt(66) - 3 / sqrt(58)) / 2, 2 / sqrt(66),
	       (7 / sqrt(66) - 7 / sqrt(58)) / 2);
	/* roots over roots of sums 12 and 10 */
	expect("sqrt_l2", 2, (sqrt(.3) - sqrt(1 / 12.)) / 2, -sqrt(4 / 12.) / 2,
	       (sqrt(.7) - sqrt(7 / 12.)) / 2);
}

static void test_zero_rows_are_only_centred(void **state)
{
	static const char *const kinds[] = {"unit", "sqrt_l2"};

	for (size_t k = 0; k < IST_COUNT(kinds); k++) {
		struct ist_scaling s;
		float y[DIM];

		fit(&s, kinds[k]);
		ist_scaling_apply(&s, x + 3 * DIM, 1, y);
		for (int i = 0; i < DIM; i++)
			assert_float_equal(y[i], -s.mean[i], 1e-7);
		ist_scaling_finish(&s);
	}
}

static void test_negative_parts_have_no_root(void **state)
{
	const float negative[DIM] = {-4, 0, 9};
	struct ist_scaling s;
	float y[DIM];

	fit(&s, "sqrt_l2");
	ist_scaling_apply(&s, negative, 1, y);
	assert_float_equal(y[0], -s.mean[0], 1e-7);
	assert_float_equal(y[2], 1 - s.mean[2], 1e-7);
	ist_scaling_finish(&s);
}

static void test_in_place_and_copies(void **state)
{
	struct ist_scaling s, copy;
	float y[4 * DIM], z[4 * DIM];

	for (int k = 0; k < IST_N_SCALINGS; k++) {
		fit(&s, ist_scaling_names[k]);
		ist_scaling_copy(&copy, &s);
		memcpy(y, x, sizeof(x));
		ist_scaling_apply(&s, y, 4, y);
		ist_scaling_finish(&s);
		ist_scaling_apply(&copy, x, 4, z);
		ist_scaling_finish(&copy);
		assert_memory_equal(y, z, sizeof(z));
	}
	assert_null(ist_scaling_names[IST_N_SCALINGS]);
	ist_scaling_finish(NULL);
}

/* Many columns: more than one block of them. */
static void test_wide(void **state)
{
	size_t dim = 1000, n = 7;
	ist_autofree float *wide = ist_alloc(n * dim, sizeof(*wide));
	uint32_t all[7];
	struct ist_scaling s;

	for (size_t i = 0; i < n; i++) {
		all[i] = (uint32_t)i;
		for (size_t j = 0; j < dim; j++)
			wide[i * dim + j] = (float)((double)j + (i % 2 == 0 ? 1 : -1));
	}
	ist_scaling_fit(&s, "zscore", wide, dim, all, n);
	ist_scaling_apply(&s, wide, n, wide);
	for (size_t j = 0; j < dim; j++) {
		double sum = 0, squares = 0;

		for (size_t i = 0; i < n; i++) {
			sum += (double)wide[i * dim + j];
			squares += pow((double)wide[i * dim + j], 2);
		}
		assert_float_equal(sum, 0, 1e-2);
		assert_float_equal(squares / (double)n, 1, 1e-2);
	}
	ist_scaling_finish(&s);
}

static void test_file(void **state)
{
	char folder[] = "/tmp/isthmus-test-XXXXXX";
	ist_autofree char *path = NULL;
	struct ist_safetensor t[2];
	struct ist_safetensors *file;
	struct ist_scaling s, read;
	char names[2][64];
	struct ist_err err;

	assert_non_null(mkdtemp(folder));
	path = ist_format("%s/s.safetensors", folder);
	fit(&s, "zscore");
	assert_int_equal(ist_scaling_tensors(&s, "image.", names, t), 2);
	assert_string_equal(t[0].name, "image.mean");
	assert_ist_ok(ist_safetensors_write(path, t, 2, NULL, &err));
	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	assert_ist_ok(ist_scaling_read(&read, "zscore", DIM, file, "image.", &err));
	assert_memory_equal(read.mean, s.mean, DIM * sizeof(float));
	assert_memory_equal(read.factor, s.factor, DIM * sizeof(float));
	ist_scaling_finish(&read);
	assert_int_equal(ist_scaling_read(&read, "zscore", DIM + 1, file, "image.", &err),
			 IST_CORRUPT);
	assert_int_equal(ist_scaling_read(&read, "zscore", DIM, file, "text.", &err), IST_CORRUPT);
	ist_safetensors_close(file);
	ist_scaling_finish(&s);
	assert_ist_ok(ist_dir_remove(folder, &err));
}

TEST_MAIN(cmocka_unit_test(test_kinds), cmocka_unit_test(test_zero_rows_are_only_centred),
	  cmocka_unit_test(test_negative_parts_have_no_root),
	  cmocka_unit_test(test_in_place_and_copies), cmocka_unit_test(test_wide),
	  cmocka_unit_test(test_file))
