/* Reading fixtures and comparing with them. */
#include "tests/golden/golden.h"
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>

#include "core/base/memory.h"

void golden_open(struct golden *g, const char *folder, const char *name)
{
	ist_autofree char *path = ist_format("%s/%s.golden", folder, name);
	struct ist_err err;

	*g = (struct golden){0};
	assert_ist_ok(ist_safetensors_open(path, &g->file, &err));
}

void golden_close(struct golden *g)
{
	ist_safetensors_close(g->file);
}

bool golden_has(const struct golden *g, const char *name)
{
	return ist_safetensors_find(g->file, name) != NULL;
}

const double *golden_numbers(const struct golden *g, const char *name, size_t count)
{
	const struct ist_safetensor *t = ist_safetensors_find(g->file, name);

	if (t == NULL || ist_safetensor_count(t) != count)
		fail_msg("%s is not in the fixture with %zu numbers", name, count);
	return t->data;
}

double golden_hyper(const struct golden *g, const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "hyper/%s", name);
	return golden_numbers(g, key, 1)[0];
}

void golden_load(const struct golden *g, const char *name, size_t step, size_t steps, ist_node *x)
{
	const double *all = golden_numbers(g, name, steps * x->size) + step * x->size;

	for (size_t i = 0; i < x->size; i++) {
		if (x->ids != NULL)
			x->ids[i] = (int32_t)all[i];
		else
			x->value[i] = (ist_real)all[i];
	}
}

void golden_compare(struct golden *g, const char *name, const ist_real *x, size_t n)
{
	const double *want = golden_numbers(g, name, n);

	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)x[i] - want[i]) <=
		      GOLDEN_ABSOLUTE + GOLDEN_RELATIVE * fabs(want[i])))
			fail_msg("%s[%zu]: %.12g, expected %.12g", name, i, (double)x[i], want[i]);
	g->checked += n;
}
