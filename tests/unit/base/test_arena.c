/* Arenas: what they hand out is zeroed, apart, and the same memory again after a reset. */
#include "core/base/arena.h"

#include <string.h>

#include "tests/unit/test.h"

static void zeroed_and_apart(void **state)
{
	struct ist_arena arena = {0};
	char *last = NULL;

	for (size_t n = 1; n < 20000; n = n * 3 / 2 + 1) {
		char *p = ist_arena_alloc(&arena, n, 1);

		assert_int_equal((uintptr_t)p % 64, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
		if (last != NULL)
			assert_int_equal((unsigned char)*last, 0xff);
		last = p;
	}
	assert_string_equal(ist_arena_format(&arena, "%s-%d", "a", 5), "a-5");
	assert_string_equal(ist_arena_strdup(&arena, "isthmus"), "isthmus");
	ist_arena_finish(&arena);
}

static void a_reset_reuses(void **state)
{
	struct ist_arena arena = {0};
	void *first[50];

	for (int i = 0; i < 50; i++)
		first[i] = ist_arena_alloc(&arena, 1000, 1);
	for (int turn = 0; turn < 3; turn++) {
		ist_arena_reset(&arena);
		for (int i = 0; i < 50; i++)
			assert_ptr_equal(ist_arena_alloc(&arena, 1000, 1), first[i]);
	}
	ist_arena_finish(&arena);
}

TEST_MAIN(cmocka_unit_test(zeroed_and_apart), cmocka_unit_test(a_reset_reuses))
