/*
 * The number type of the tensor core: float, or double where IST_REAL_DOUBLE is defined (a second
 * library from the same files, for tests against finite differences and golden numbers).
 */
#ifndef IST_CORE_TENSOR_REAL_H
#define IST_CORE_TENSOR_REAL_H

#include <math.h>

#ifdef IST_REAL_DOUBLE
typedef double ist_real;
#define IST_REAL_DTYPE "F64"
#define ist_real_sqrt sqrt
#define ist_real_exp exp
#define ist_real_log log
#define ist_safetensors_read_real ist_safetensors_read_f64
#else
typedef float ist_real;
#define IST_REAL_DTYPE "F32"
#define ist_real_sqrt sqrtf
#define ist_real_exp expf
#define ist_real_log logf
#define ist_safetensors_read_real ist_safetensors_read_f32
#endif

#endif
