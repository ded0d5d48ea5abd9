/*
 * How near one query is to vectors, four at a time: the only arithmetic of search, and of rankings
 * by order in reports. A row for each instruction set; the plain one is the reference that the
 * others are tested against. Scores: greater is nearer.
 */
#ifndef IST_CORE_BLAS_SCORE_H
#define IST_CORE_BLAS_SCORE_H

#include <stdbool.h>
#include <stddef.h>

typedef void ist_score(const float *query, const float *const x[4], size_t dim, float ret[4]);

enum ist_score_kind {
	IST_SCORE_INNER, /* <q, x> */
	IST_SCORE_L2,	 /* -|q - x|^2 */
	IST_SCORE_OVER,	 /* -sum max(0, q - x)^2: what x lacks of q */
	IST_SCORE_UNDER, /* -sum max(0, x - q)^2: what q lacks of x */
	IST_N_SCORES
};

struct ist_score_kernel {
	const char *name;
	bool (*usable)(void); /* on this CPU */
	ist_score *score[IST_N_SCORES];
};
extern const struct ist_score_kernel
    ist_score_kernels[]; /* best first; the last works everywhere */
extern const size_t ist_n_score_kernels;
const struct ist_score_kernel *ist_score_kernel_best(void);

#endif
