/*
 * Activations of the transformer encoder, as loops for the vectoriser. exp is a polynomial with a
 * relative error under 3e-7; GELU's error function goes through the same exp:
 *
 *   gelu(x) = max(x, 0) - |x|/2 erfc(|x| / sqrt 2),   log erfc(a / sqrt 2) = a P(a) for a <= 6.5
 *
 * with P of degree 8, fitted by weighted least squares (error of gelu under 5e-8; at 6.5, and
 * counted as that beyond, the term is under 1e-9). No branch, and no digits lost on the negative
 * side.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/exp_inline.h"
#include "core/encode/transformer_private.h"

static const struct {
	const char *name;
	enum ist_activation act;
} names[] = {
    {"gelu", IST_ACT_GELU},
    {"gelu_new", IST_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", IST_ACT_GELU_TANH},
    {"gelu_fast", IST_ACT_GELU_TANH},
    {"quick_gelu", IST_ACT_QUICK_GELU},
    {"relu", IST_ACT_RELU},
};

bool ist_activation_find(const char *name, enum ist_activation *ret)
{
	for (size_t i = 0; i < IST_COUNT(names); i++) {
		if (strcmp(names[i].name, name) == 0) {
			*ret = names[i].act;
			return true;
		}
	}
	return false;
}

static inline float bound(float x, float limit)
{
	return x < -limit ? -limit : x > limit ? limit : x;
}

static inline float sigmoid(float x)
{
	return 1.0f / (1.0f + ist_exp_inline(-bound(x, 87.0f)));
}

static inline float gelu1(float x)
{
	float a = fabsf(bound(x, 6.5f));
	float p = 2.7238331767875934e-07f;

	p = p * a - 5.408626748248935e-06f;
	p = p * a + 4.465434540179558e-05f;
	p = p * a - 0.00017377866606693715f;
	p = p * a - 3.2358624594053254e-05f;
	p = p * a + 0.004849872086197138f;
	p = p * a - 0.036372166126966476f;
	p = p * a - 0.3182999789714813f;
	p = p * a - 0.797885537147522f;
	return (x < 0 ? 0 : x) - 0.5f * a * ist_exp_inline(a * p);
}

IST_CLONES static void gelu(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = gelu1(x[i]);
}

/* (1 + tanh u) / 2 is sigmoid(2u). */
IST_CLONES static void gelu_tanh(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= sigmoid(1.5957691216f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
}

IST_CLONES static void quick_gelu(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= sigmoid(1.702f * x[i]);
}

IST_CLONES static void relu(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = x[i] < 0 ? 0 : x[i];
}

void ist_activation_run(enum ist_activation act, float *x, size_t n)
{
	static void (*const loops[IST_N_ACTS])(float *x, size_t n) = {
	    [IST_ACT_GELU] = gelu,
	    [IST_ACT_GELU_TANH] = gelu_tanh,
	    [IST_ACT_QUICK_GELU] = quick_gelu,
	    [IST_ACT_RELU] = relu,
	};

	if (loops[act] != NULL)
		loops[act](x, n);
}
