/* Products in panels against plain loops: whole and cut panels, every height of a tile, long runs.
 */
#include "tests/unit/test.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/tensor/panel.h"
#include "core/tensor/weights.h"

static ist_real *random_matrix(size_t rows, size_t cols)
{
	ist_real *x = ist_alloc(rows * cols, sizeof(*x));
	struct ist_rng rng;

	ist_rng_init(&rng, rows * 1000 + cols, "panel");
	for (size_t i = 0; i < rows * cols; i++)
		x[i] = (ist_real)(2 * ist_rng_uniform(&rng) - 1);
	return x;
}

/* c = dy'x, with and without adding, through ist_weight_product_rows in uneven portions. */
static void check(size_t n, size_t rows, size_t cols)
{
	ist_autofree ist_real *dy = random_matrix(n, rows), *x = random_matrix(n, cols);
	ist_autofree ist_real *turned = ist_alloc(rows * n, sizeof(*turned));
	ist_autofree ist_real *panels = ist_alloc(n * ist_panel_round(cols), sizeof(*panels));
	ist_autofree ist_real *c = ist_alloc(rows * cols, sizeof(*c));
	const struct ist_weight w = {.rows = rows, .cols = cols};
	const struct ist_product p = {.dy = turned, .x = panels, .n = n, .panels = true};

	ist_turn(dy, n, rows, n, rows, turned);
	ist_panel_pack(x, n, cols, panels);
	for (int add = 0; add < 2; add++)
		for (size_t first = 0; first < rows; first += 7)
			ist_weight_product_rows(&w, &p, first, IST_MIN((size_t)7, rows - first),
						add, c + first * cols);
	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < cols; j++) {
			double want = 0;

			for (size_t k = 0; k < n; k++)
				want += 2 * (double)dy[k * rows + i] * (double)x[k * cols + j];
			if (!(fabs((double)c[i * cols + j] - want) <= 1e-4 * (1 + fabs(want))))
				fail_msg("%zu %zu %zu [%zu, %zu]: %g, expected %g", n, rows, cols,
					 i, j, (double)c[i * cols + j], want);
		}
	}
}

static void check_sizes(void)
{
	static const size_t sizes[] = {1, 5, 6, 63, 64, 65, 130};

	for (size_t i = 0; i < IST_COUNT(sizes); i++)
		for (size_t j = 0; j < IST_COUNT(sizes); j++)
			check(sizes[(i + j) % IST_COUNT(sizes)], sizes[i], sizes[j]);
	check(2500, 13, 70); /* more than one run */
}

/* By every kind of tile that the CPU has, and by none. */
static void test_products(void **state)
{
	static const int bits[] = {0, 256, 512};

	for (size_t i = 0; i < IST_COUNT(bits); i++) {
		if (!ist_panels_limit(bits[i]))
			continue;
		if (bits[i] == 0)
			assert_false(ist_panels_usable());
		else
			check_sizes();
	}
	ist_panels_limit(512);
}

static void test_pack_turned(void **state)
{
	size_t rows = 70, cols = 33;
	ist_autofree ist_real *x = random_matrix(rows, cols);
	ist_autofree ist_real *packed = ist_alloc(ist_panel_round(rows) * cols, sizeof(*packed));

	for (size_t i = 0; i < ist_panel_round(rows) * cols; i++)
		packed[i] = 99;
	ist_panel_pack_turned(x, rows, cols, packed);
	for (size_t i = 0; i < ist_panel_round(rows); i++) {
		for (size_t j = 0; j < cols; j++) {
			ist_real got = packed[i / 64 * 64 * cols + j * 64 + i % 64];

			assert_true(got == (i < rows ? x[i * cols + j] : 0));
		}
	}
}

TEST_MAIN(cmocka_unit_test(test_products), cmocka_unit_test(test_pack_turned))
