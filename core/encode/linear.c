/* Dense layers with weights as files hold them, (out, in). */
#include <string.h>

#include "core/encode/transformer_private.h"
#include "core/tensor/gemm.h"

void ist_linear_run(const struct ist_linear *linear, size_t in, size_t out, enum ist_activation act,
		    const float *x, size_t rows, float *ret, struct ist_arena *arena)
{
	for (size_t i = 0; i < rows && linear->bias != NULL; i++)
		memcpy(ret + i * out, linear->bias, out * sizeof(*ret));
	ist_gemm(false, true, rows, out, in, x, linear->weight, linear->bias != NULL ? 1 : 0, ret);
	ist_activation_run(act, ret, rows * out);
}
