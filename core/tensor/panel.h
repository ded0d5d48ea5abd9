/*
 * Products with a factor in panels: b packed as (k, 64), so that a row of a times a panel is a run
 * of whole registers. Training's big products have one short side (the batch) and one factor, the
 * weight, that is read once: packing the short factor once and streaming the other unpacked is
 * about twice as fast as a general product, which packs both. Float on CPUs with AVX2 or AVX-512;
 * elsewhere ist_panels_usable says no and callers take ist_gemm.
 *
 * Every number is summed over k in order, so how rows are shared out changes no bit.
 */
#ifndef IST_CORE_TENSOR_PANEL_H
#define IST_CORE_TENSOR_PANEL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/tensor/real.h"

#define IST_PANEL 64 /* columns */

bool ist_panels_usable(void);
/* For tests, which call it before other threads start: the widest registers to use, in bits (512,
 * 256 or 0: no panels). Returns whether the CPU has them. */
bool ist_panels_limit(int bits);
static inline size_t ist_panel_round(size_t n)
{
	return (n + IST_PANEL - 1) / IST_PANEL * IST_PANEL;
}

/* x (rows, cols) -> panels of columns: (cols / 64, rows, 64); what is past the end is 0. */
void ist_panel_pack(const ist_real *x, size_t rows, size_t cols, ist_real *ret);
/* x (rows, cols) -> panels of rows, turned: (rows / 64, cols, 64). */
void ist_panel_pack_turned(const ist_real *x, size_t rows, size_t cols, ist_real *ret);
/* The first `cols` columns of x (rows, from_pitch) -> (cols, pitch); what is past the rows is left
 * alone. */
void ist_turn(const ist_real *x, size_t rows, size_t from_pitch, size_t pitch, size_t cols,
	      ist_real *ret);

/* c (rows, cols; pitch) = a (rows, k; lda) times one panel (k, 64), plus c itself with `add`;
 * cols <= 64. On the calling thread. */
void ist_panel_multiply(const ist_real *a, size_t lda, size_t rows, const ist_real *panel, size_t k,
			bool add, ist_real *c, size_t pitch, size_t cols);

#endif
