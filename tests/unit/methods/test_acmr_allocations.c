/*
 * A training step allocates nothing after the second. The C library's allocator is replaced by one
 * that counts and passes on, so what OpenMP allocates is counted too. What OpenBLAS takes inside a
 * product is not: its AVX-512 kernels borrow a buffer for each small one, whoever calls them.
 */
#include "tests/unit/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#include "core/methods/acmr.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTS 0 /* the sanitizer's allocator is in the way */
static size_t allocations;
static bool counting;
#else
#define COUNTS 1
static size_t allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool counting; /* only during steps: the loader itself allocates before dladdr works */

static void count(const void *caller)
{
	Dl_info info;

	if (!__atomic_load_n(&counting, __ATOMIC_RELAXED))
		return;
	if (dladdr(caller, &info) == 0 || strstr(info.dli_fname, "openblas") == NULL)
		__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(__builtin_return_address(0));
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	count(__builtin_return_address(0));
	*ret = __libc_memalign(alignment, size);
	return *ret != NULL ? 0 : ENOMEM;
}
#endif

static size_t during_steps(struct ist_adversarial *acmr, int n)
{
	size_t before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);

	__atomic_store_n(&counting, true, __ATOMIC_RELAXED);
	for (int i = 0; i < n; i++)
		ist_adversarial_step(acmr);
	__atomic_store_n(&counting, false, __ATOMIC_RELAXED);
	return __atomic_load_n(&allocations, __ATOMIC_RELAXED) - before;
}

static void test_steps(void **state)
{
	struct ist_acmr_settings s = {.net = {.n_in = {1000, 300},
					      .hidden = {{200, 0}, {100, 50}},
					      .code = 40,
					      .n_classes = 10,
					      .classifier_hidden = 50,
					      .batch = 64,
					      .alpha = 1,
					      .beta = 1,
					      .reg = .1,
					      .adversary = 1,
					      .k = 2,
					      .lr = 1e-3,
					      .beta1 = .5,
					      .beta2 = .999},
				      .lambda = 1,
				      .mu = 5};
	struct ist_adversarial *acmr;
	struct ist_err err;

	if (!COUNTS)
		skip();
	omp_set_num_threads(2);
	assert_ist_ok(ist_acmr_create(&s, 0, &acmr, &err));
	assert_true(during_steps(acmr, 2) > 0); /* the counting works */
	assert_int_equal(during_steps(acmr, 20), 0);
	ist_adversarial_destroy(acmr);
}

TEST_MAIN(cmocka_unit_test(test_steps))
