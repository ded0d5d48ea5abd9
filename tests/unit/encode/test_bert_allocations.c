/*
 * A sentence encoder that has seen its largest call allocates nothing any more, on one thread and
 * on two. The C library's allocator is replaced by one that counts and passes on, so what OpenMP
 * allocates is counted, too.
 *
 * usage: test FOLDER WEIGHTS-FOLDER: a small BERT, and a large one that may be missing
 */
#include <errno.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "tests/unit/test.h"

static const char *folders[2];
static bool counting;
static size_t allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTS 0 /* the sanitizer's allocator is in the way */
#else
#define COUNTS 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void count(void)
{
	if (__atomic_load_n(&counting, __ATOMIC_RELAXED))
		__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count();
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count();
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	count();
	*ret = __libc_memalign(alignment, size);
	return *ret != NULL ? 0 : ENOMEM;
}
#endif

#define TEXT(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
static const struct ist_str texts[] = {
    TEXT("A frog."),
    TEXT("An albino peahen (a female peafowl, or peacock)."),
    TEXT("Cr\u00e8me br\u00fbl\u00e9e"),
    TEXT("a much longer text, with many words, that is cut where the small encoder ends, words "
	 "words words words words words words words words words words words words words"),
};

static size_t during_calls(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   float *x)
{
	size_t before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	struct ist_err err;

	__atomic_store_n(&counting, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < 10; i++) {
		assert_ist_ok(ist_encoder_texts(encoder, ws, texts, IST_COUNT(texts), x, &err));
		assert_ist_ok(ist_encoder_texts(encoder, ws, texts, 1 + i % 2, x, &err));
	}
	__atomic_store_n(&counting, false, __ATOMIC_RELAXED);
	return __atomic_load_n(&allocations, __ATOMIC_RELAXED) - before;
}

static void check(const char *folder)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder = NULL;
	int threads = omp_get_max_threads();
	ist_autofree float *x = NULL;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(NULL, folder, &encoder, &err));
	x = ist_alloc(IST_COUNT(texts) * encoder->dim, sizeof(*x));
	for (int n = 1; n <= 2; n++) {
		omp_set_num_threads(n);
		assert_true(during_calls(encoder, ws, x) > 0 || n > 1); /* the counting works */
		assert_int_equal(during_calls(encoder, ws, x), 0);
	}
	omp_set_num_threads(threads);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void test_small(void **state)
{
	if (!COUNTS)
		skip();
	check(folders[0]);
}

static void test_large(void **state)
{
	if (!COUNTS || access(folders[1], R_OK) != 0)
		skip();
	check(folders[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_small),
					   cmocka_unit_test(test_large)};

	if (argc != 3)
		return 2;
	folders[0] = argv[1];
	folders[1] = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
