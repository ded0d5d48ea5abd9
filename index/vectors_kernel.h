/*
 * How near one query is to stored vectors, four at a time: the only arithmetic of search. A row for
 * each instruction set; the plain one is the reference that the others are tested against.
 * Scores: greater is nearer (the inner product, or minus the squared L2 distance).
 */
#ifndef IST_INDEX_VECTORS_KERNEL_H
#define IST_INDEX_VECTORS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

typedef void ist_kernel_score(const float *query, const float *const x[4], size_t dim,
			      float ret[4]);

struct ist_kernel {
	const char *name;
	bool (*usable)(void);	 /* on this CPU */
	ist_kernel_score *inner; /* <q, x> */
	ist_kernel_score *l2;	 /* -|q - x|^2 */
};
extern const struct ist_kernel ist_kernels[]; /* best first; the last works everywhere */
extern const size_t ist_n_kernels;
const struct ist_kernel *ist_kernel_best(void);

#endif
