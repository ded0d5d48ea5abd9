/* Fixtures of an independent implementation's numbers, and comparison within their tolerances. */
#ifndef IST_TESTS_GOLDEN_GOLDEN_H
#define IST_TESTS_GOLDEN_GOLDEN_H

#include "core/tensor/graph.h"
#include "core/tensor/safetensors.h"

#ifdef IST_REAL_DOUBLE
#define GOLDEN_ABSOLUTE 1e-9
#define GOLDEN_RELATIVE 1e-9
#else
#define GOLDEN_ABSOLUTE 1e-5
#define GOLDEN_RELATIVE 1e-4
#endif

struct golden {
	struct ist_safetensors *file;
	size_t checked; /* numbers that were compared */
};

void golden_open(struct golden *g, const char *folder, const char *name);
void golden_close(struct golden *g);

/* The numbers of that name; the test fails where there are not `count` of them. */
const double *golden_numbers(const struct golden *g, const char *name, size_t count);
double golden_hyper(const struct golden *g, const char *name);
bool golden_has(const struct golden *g, const char *name);
/* Step `step` of an input with one row of numbers a step, into a leaf. */
void golden_load(const struct golden *g, const char *name, size_t step, size_t steps, ist_node *x);

/* The test fails on the first number that is not equal within the tolerance. */
void golden_compare(struct golden *g, const char *name, const ist_real *x, size_t n);

#endif
