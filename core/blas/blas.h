/*
 * OpenBLAS as this program uses it: the variant that it is linked with, the kernels in force.
 *
 * Linking with blas_dep is enough: before main() the kernels that fit the CPU are chosen (see
 * kernel.c for why OpenBLAS's own choice does not do). Matrix products themselves are <cblas.h>.
 */
#ifndef IST_CORE_BLAS_BLAS_H
#define IST_CORE_BLAS_BLAS_H

/* The kernels in force, OpenBLAS's own word: "SkylakeX", "Haswell", "Zen", "Prescott", … */
const char *ist_blas_kernel(void);

/*
 * What sgemm reaches on one core, in GFLOP/s: measured at the first call, in a few milliseconds,
 * and remembered. 0 where there was no memory to measure with. Any thread may call it.
 */
double ist_blas_gflops(void);

#endif
