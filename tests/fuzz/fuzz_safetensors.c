/*
 * Any bytes as a safetensors file: what is accepted stays inside the file, and every tensor that
 * can be read as numbers is read.
 */
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_tensor(const struct ist_safetensors *file, const struct ist_safetensor *t,
			 const uint8_t *data, size_t len)
{
	size_t count = ist_safetensor_count(t), bytes = count * ist_safetensor_size(t->dtype);
	const uint8_t *from = t->data;
	double *x;

	if (from < data || from + bytes > data + len || ist_safetensors_find(file, t->name) != t)
		abort();
	x = ist_alloc(count + 1, sizeof(*x));
	if (ist_safetensors_read_f64(file, t->name, t->n_dims, t->shape, x, NULL) == IST_OK) {
		float *y = ist_alloc(count + 1, sizeof(*y));

		/* As floats by another way: halves are the same numbers. */
		if (ist_safetensor_floats(t, y, NULL) != IST_OK)
			abort();
		for (size_t i = 0; i < count && ist_safetensor_size(t->dtype) == 2; i++)
			if (y[i] != (float)x[i] && (y[i] == y[i] || x[i] == x[i]))
				abort();
		free(y);
	}
	free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ist_safetensors *file;

	if (ist_safetensors_parse(data, len, &file, NULL) != IST_OK)
		return 0;
	for (size_t i = 0; i < ist_safetensors_n(file); i++)
		check_tensor(file, ist_safetensors_at(file, i), data, len);
	ist_safetensors_close(file);
	return 0;
}
