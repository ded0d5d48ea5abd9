/*
 * The kernels that OpenBLAS computes with are put right here, once, before main().
 *
 * OpenBLAS 0.3.21 (Debian 12) knows Intel's CPUs by model number. The newest (Raptor Lake, Emerald
 * Rapids, and what some hypervisors show of others) end among the Pentium 4s of its list, with
 * SSE3 kernels ("Prescott") that are four times slower than the CPU allows. A CPU with AVX2 that
 * finds itself there is told what it is; any other choice of OpenBLAS's stands.
 *
 * The documented way is the variable OPENBLAS_CORETYPE, read by OpenBLAS's constructor, which
 * runs before any of a program's own could set it. Hence OpenBLAS is made to choose again: its two
 * functions for that are exported, though not in its manual, and are the ones its own constructor
 * calls. Nothing has been computed yet and an OpenMP build keeps no threads of its own, so nothing
 * holds on to the first choice. Where a version lacks them, its choice stands. A value that the
 * user gave always wins.
 */
#include "core/blas/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define VARIABLE "OPENBLAS_CORETYPE"

/* OpenBLAS's; weak, since they are not part of what it promises. */
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern char *openblas_get_corename(void);

enum {
	LEAF1_FMA = 1u << 12,
	LEAF1_OSXSAVE = 1u << 27,
	LEAF1_AVX = 1u << 28,
	LEAF7_AVX2 = 1u << 5,
	XCR0_AVX = 0x06,    /* the system saves SSE and AVX registers … */
	XCR0_AVX512 = 0xe6, /* … and the three parts of AVX-512's */
};
/* F, DQ, CD, BW and VL: what the SkylakeX kernels are compiled for. */
static const uint32_t leaf7_skylakex = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;

static int has(uint32_t word, uint32_t bits)
{
	return (word & bits) == bits;
}

const char *ist_blas_kernel_for(const struct ist_blas_cpu *cpu)
{
	if (!has(cpu->leaf1_ecx, (uint32_t)LEAF1_FMA | LEAF1_OSXSAVE | LEAF1_AVX) ||
	    !has(cpu->xcr0, XCR0_AVX) || !has(cpu->leaf7_ebx, LEAF7_AVX2))
		return NULL;
	if (has(cpu->leaf7_ebx, leaf7_skylakex) && has(cpu->xcr0, XCR0_AVX512))
		return "SkylakeX";
	return "Haswell";
}

const char *ist_blas_correction(const struct ist_blas_cpu *cpu, const char *in_force,
				const char *users)
{
	if ((users && *users) || strcmp(in_force, "Prescott") != 0)
		return NULL;
	return ist_blas_kernel_for(cpu);
}

#if defined(__x86_64__)
static uint32_t read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

void ist_blas_cpu_read(struct ist_blas_cpu *ret_cpu)
{
	uint32_t a, b, c, d;

	memset(ret_cpu, 0, sizeof(*ret_cpu));
	if (!__get_cpuid(0, &a, &b, &c, &d))
		return;
	memcpy(ret_cpu->vendor, &b, 4);
	memcpy(ret_cpu->vendor + 4, &d, 4);
	memcpy(ret_cpu->vendor + 8, &c, 4);
	if (__get_cpuid(1, &a, &b, &c, &d))
		ret_cpu->leaf1_ecx = c;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		ret_cpu->leaf7_ebx = b;
	if (has(ret_cpu->leaf1_ecx, LEAF1_OSXSAVE))
		ret_cpu->xcr0 = read_xcr0();
}
#else
void ist_blas_cpu_read(struct ist_blas_cpu *ret_cpu)
{
	memset(ret_cpu, 0, sizeof(*ret_cpu));
}
#endif

bool ist_blas_choose_again(const char *name)
{
	const char *users = getenv(VARIABLE);
	char before[32] = "";

	if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init)
		return false;
	if (users)
		snprintf(before, sizeof(before), "%s", users);
	if (setenv(VARIABLE, name, 1) != 0)
		return false;
	gotoblas_dynamic_quit();
	gotoblas_dynamic_init();
	/* child processes choose for themselves */
	return users ? setenv(VARIABLE, before, 1) == 0 : unsetenv(VARIABLE) == 0;
}

__attribute__((constructor)) static void choose_kernel(void)
{
	struct ist_blas_cpu cpu;
	const char *better;

	ist_blas_cpu_read(&cpu);
	better = ist_blas_correction(&cpu, openblas_get_corename(), getenv(VARIABLE));
	if (better)
		ist_blas_choose_again(better);
}
