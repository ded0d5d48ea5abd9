/* Batches: every row once an epoch, classes evenly, the same for the same seed and epoch. */
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/samplers.h"
#include "tests/unit/test.h"

#define N 103

static void rows_of(uint32_t rows[N])
{
	for (uint32_t i = 0; i < N; i++)
		rows[i] = 3 * i + 1;
}

static void plain_takes_every_row_once(void **state)
{
	uint32_t rows[N], seen[3 * N + 1] = {0};
	struct ist_sampler s;

	rows_of(rows);
	ist_sampler_init(&s, &ist_sampler_plain, rows, N, NULL, 10, 1);
	assert_int_equal(s.n_batches, 10); /* the last three rows are left out */
	ist_sampler_start(&s, 4);
	for (size_t b = 0; b < s.n_batches; b++) {
		const uint32_t *batch = ist_sampler_batch(&s, b);

		for (size_t i = 0; i < s.batch; i++) {
			assert_int_equal(batch[i] % 3, 1);
			assert_int_equal(seen[batch[i]]++, 0);
		}
	}
	ist_sampler_finish(&s);
}

static void few_rows_are_one_batch(void **state)
{
	const uint32_t rows[3] = {5, 6, 7};
	struct ist_sampler s;

	ist_sampler_init(&s, &ist_sampler_plain, rows, 3, NULL, 64, 1);
	assert_int_equal(s.batch, 3);
	assert_int_equal(s.n_batches, 1);
	ist_sampler_finish(&s);
}

/* Classes of 90, 9 and 4 rows: each batch of 9 holds three of each. */
static void balanced_batches_hold_all_classes(void **state)
{
	uint32_t rows[N];
	int32_t label[3 * N + 1];
	struct ist_sampler s;

	rows_of(rows);
	for (size_t i = 0; i < N; i++)
		label[rows[i]] = i < 90 ? 4 : i < 99 ? 0 : 2;
	ist_sampler_init(&s, &ist_sampler_balanced, rows, N, label, 9, 1);
	assert_int_equal(s.n_classes, 3);
	for (uint64_t epoch = 0; epoch < 3; epoch++) {
		ist_sampler_start(&s, epoch);
		for (size_t b = 0; b < s.n_batches; b++) {
			size_t count[5] = {0};

			for (size_t i = 0; i < 9; i++)
				count[label[ist_sampler_batch(&s, b)[i]]]++;
			assert_int_equal(count[4], 3);
			assert_int_equal(count[0], 3);
			assert_int_equal(count[2], 3);
		}
	}
	ist_sampler_finish(&s);
}

static void an_epoch_is_a_function_of_its_number(void **state)
{
	const struct ist_sampler_kind *kinds[] = {&ist_sampler_plain, &ist_sampler_balanced};
	uint32_t rows[N], before[N];
	int32_t label[3 * N + 1] = {0};

	rows_of(rows);
	for (size_t k = 0; k < IST_COUNT(kinds); k++) {
		struct ist_sampler a, b;

		ist_sampler_init(&a, kinds[k], rows, N, label, 8, 9);
		ist_sampler_init(&b, kinds[k], rows, N, label, 8, 9);
		for (uint64_t epoch = 0; epoch < 5; epoch++)
			ist_sampler_start(&a, epoch);
		ist_sampler_start(&b, 4); /* without the four before */
		assert_memory_equal(a.order, b.order, N * sizeof(uint32_t));
		memcpy(before, a.order, sizeof(before));
		ist_sampler_start(&a, 5);
		assert_memory_not_equal(a.order, before, sizeof(before));
		ist_sampler_finish(&a);
		ist_sampler_finish(&b);
	}
}

TEST_MAIN(cmocka_unit_test(plain_takes_every_row_once), cmocka_unit_test(few_rows_are_one_batch),
	  cmocka_unit_test(balanced_batches_hold_all_classes),
	  cmocka_unit_test(an_epoch_is_a_function_of_its_number))
