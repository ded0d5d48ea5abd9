/*
 * The kernels that OpenBLAS computes with: the decision for made-up CPUs, and what is in force in
 * child processes that start with and without the user's word, or choose again.
 */
#include "core/blas/blas.h"
#include "core/blas/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FMA (1u << 12)
#define OSXSAVE (1u << 27)
#define AVX (1u << 28)
#define AVX2 (1u << 5)
#define AVX512 (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31)
#define AVX512_F_CD (1u << 16 | 1u << 28)

static const struct {
	const char *label;
	struct ist_blas_cpu cpu;
	const char *want;
} cpus[] = {
    {"none of it", {"GenuineIntel", 0, 0, 0}, NULL},
    {"AVX alone", {"GenuineIntel", OSXSAVE | AVX, 0, 7}, NULL},
    {"AVX2", {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2, 7}, "Haswell"},
    {"AVX2 of AMD", {"AuthenticAMD", FMA | OSXSAVE | AVX, AVX2, 7}, "Haswell"},
    {"AVX2 of another", {"CentaurHauls", FMA | OSXSAVE | AVX, AVX2, 7}, "Haswell"},
    {"AVX2, no FMA", {"GenuineIntel", OSXSAVE | AVX, AVX2, 7}, NULL},
    {"AVX2, system saves no registers", {"GenuineIntel", FMA | AVX, AVX2, 0}, NULL},
    {"AVX2, system saves SSE alone", {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2, 3}, NULL},
    {"AVX-512", {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2 | AVX512, 0xe7}, "SkylakeX"},
    {"AVX-512 of AMD", {"AuthenticAMD", FMA | OSXSAVE | AVX, AVX2 | AVX512, 0xe7}, "SkylakeX"},
    {"AVX-512, not saved", {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2 | AVX512, 7}, "Haswell"},
    {"AVX-512 in part", {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2 | AVX512_F_CD, 0xe7}, "Haswell"},
};

static void chooses_for_any_cpu(void **state)
{
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		const char *got = ist_blas_kernel_for(&cpus[i].cpu);

		print_message("%s: %s\n", cpus[i].label, got ? got : "OpenBLAS's choice");
		if (cpus[i].want) {
			assert_non_null(got);
			assert_string_equal(got, cpus[i].want);
		} else {
			assert_null(got);
		}
	}
}

static void corrects_prescott_alone(void **state)
{
	const struct ist_blas_cpu new = {"GenuineIntel", FMA | OSXSAVE | AVX, AVX2 | AVX512, 0xe7};
	const struct ist_blas_cpu old = {"GenuineIntel", 0, 0, 0};

	assert_string_equal(ist_blas_correction(&new, "Prescott", NULL), "SkylakeX");
	assert_string_equal(ist_blas_correction(&new, "Prescott", ""), "SkylakeX");
	assert_null(ist_blas_correction(&new, "Prescott", "Prescott"));
	assert_null(ist_blas_correction(&new, "Haswell", NULL));
	assert_null(ist_blas_correction(&old, "Prescott", NULL));
}

/* Runs this program again to print its kernel: with that environment, told to use one or not. */
static void kernel_of_child(char *variable, char *use, char *ret_name, size_t size)
{
	char *arguments[] = {"test_kernel", "print", use, NULL};
	char *environment[] = {variable, NULL};
	int ends[2], status;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		execve("/proc/self/exe", arguments, environment);
		_exit(127);
	}
	close(ends[1]);
	n = read(ends[0], ret_name, size - 1);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(n > 0);
	ret_name[n] = '\0';
}

static void fits_this_cpu(void **state)
{
	struct ist_blas_cpu cpu;
	char name[64];

	ist_blas_cpu_read(&cpu);
	if (!ist_blas_kernel_for(&cpu))
		skip();
	kernel_of_child(NULL, NULL, name, sizeof(name));
	assert_string_not_equal(name, "Prescott");
	kernel_of_child("OPENBLAS_CORETYPE=", NULL, name, sizeof(name));
	assert_string_not_equal(name, "Prescott");
}

static void users_choice_wins(void **state)
{
	static char *const names[] = {"Prescott", "Nehalem"};
	char variable[64], name[64];

	for (size_t i = 0; i < 2; i++) {
		snprintf(variable, sizeof(variable), "OPENBLAS_CORETYPE=%s", names[i]);
		kernel_of_child(variable, NULL, name, sizeof(name));
		assert_string_equal(name, names[i]);
	}
}

/* As on a CPU that OpenBLAS misjudges: the kernels change, the user's environment does not. */
static void chooses_again(void **state)
{
	char name[64];

	kernel_of_child(NULL, "Nehalem", name, sizeof(name));
	assert_string_equal(name, "Nehalem");
	kernel_of_child("OPENBLAS_CORETYPE=Prescott", "Nehalem", name, sizeof(name));
	assert_string_equal(name, "Nehalem");
}

static void speed_is_measured_once(void **state)
{
	double first = ist_blas_gflops();

	print_message("%s: %.1f GFLOP/s\n", ist_blas_kernel(), first);
	assert_true(first > 0);
	assert_true(ist_blas_gflops() == first);
}

/* In a child: prints its kernel, after choosing again where told to. */
static int print_kernel(const char *use)
{
	const char *before = getenv("OPENBLAS_CORETYPE");
	char *kept = before ? strdup(before) : NULL;
	int bad = use && !ist_blas_choose_again(use);

	before = getenv("OPENBLAS_CORETYPE");
	bad |= kept ? !before || strcmp(before, kept) != 0 : before != NULL;
	free(kept);
	fputs(ist_blas_kernel(), stdout);
	return bad;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chooses_for_any_cpu), cmocka_unit_test(corrects_prescott_alone),
	    cmocka_unit_test(fits_this_cpu),	   cmocka_unit_test(users_choice_wins),
	    cmocka_unit_test(chooses_again),	   cmocka_unit_test(speed_is_measured_once),
	};

	if (argc >= 2 && strcmp(argv[1], "print") == 0)
		return print_kernel(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
