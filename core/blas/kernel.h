/*
 * Which OpenBLAS kernels fit a CPU: the choice alone, so that a test can ask about any CPU.
 */
#ifndef IST_CORE_BLAS_KERNEL_H
#define IST_CORE_BLAS_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* What the choice looks at: CPUID's answers, and which registers the system saves. */
struct ist_blas_cpu {
	char vendor[13];    /* leaf 0: "GenuineIntel", "AuthenticAMD", … */
	uint32_t leaf1_ecx; /* leaf 1: FMA, OSXSAVE, AVX */
	uint32_t leaf7_ebx; /* leaf 7, subleaf 0: AVX2, AVX-512 */
	uint32_t xcr0;	    /* 0 without OSXSAVE */
};

/* The best kernels for a CPU with AVX2, as a value of OPENBLAS_CORETYPE; NULL for lesser ones. */
const char *ist_blas_kernel_for(const struct ist_blas_cpu *cpu);

/*
 * What to put in place of the kernels in force, or NULL to leave them: given the CPU, OpenBLAS's
 * choice and the user's own value (NULL or "" where there is none).
 */
const char *ist_blas_correction(const struct ist_blas_cpu *cpu, const char *in_force,
				const char *users);

/*
 * Makes OpenBLAS choose again, with that value of OPENBLAS_CORETYPE. Only before the first product
 * and before other threads start; false where this OpenBLAS cannot.
 */
bool ist_blas_choose_again(const char *name);

/* The CPU at hand; all zero on other architectures. */
void ist_blas_cpu_read(struct ist_blas_cpu *ret_cpu);

#endif
