/*
 * Weight groups as safetensors: values under the weights' own names, which other tools read as they
 * are; for resuming also moments and step counts. Everything is written in the number type of the
 * build, so a resumed training goes on with the same bits.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/weights.h"

static const char *const suffix[] = {"", ".moment0", ".moment1"};

void ist_names_finish(struct ist_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->text[i]);
	free(names->text);
	*names = (struct ist_names){0};
}

/* Tensors borrow their names; the list owns them until the file is written. */
static const char *keep(struct ist_names *names, char *text)
{
	names->text = ist_resize(names->text, names->n + 1, sizeof(*names->text));
	names->text[names->n++] = text;
	return text;
}

/* In the order of the suffixes. */
static const ist_real *part_of(const struct ist_weight *w, size_t part)
{
	return part == 0 ? w->value : w->moment[part - 1];
}

size_t ist_weights_n_tensors(const struct ist_weights *group, bool resumable)
{
	return resumable ? group->n * IST_COUNT(suffix) + group->n : group->n;
}

size_t ist_weights_tensors(const struct ist_weights *group, bool resumable, const char *prefix,
			   struct ist_names *names, struct ist_safetensor *t)
{
	size_t n = 0;

	for (size_t i = 0; i < group->n; i++) {
		const struct ist_weight *w = group->weights[i];

		for (size_t k = 0; k < (resumable ? IST_COUNT(suffix) : 1); k++) {
			t[n] = (struct ist_safetensor){
			    .name = keep(names, ist_format("%s%s%s", prefix, w->name, suffix[k])),
			    .dtype = IST_REAL_DTYPE,
			    .n_dims = (size_t)w->n_dims,
			    .data = part_of(w, k)};
			memcpy(t[n++].shape, w->dim, sizeof(w->dim));
		}
		if (resumable)
			t[n++] = (struct ist_safetensor){
			    .name = keep(names, ist_format("%s%s.steps", prefix, w->name)),
			    .dtype = "I64",
			    .data = &w->steps};
	}
	return n;
}

/* Shapes are checked by the reader: a file of another network fails at its first weight. */
static enum ist_code read_weight(struct ist_weight *w, bool resumable, const char *prefix,
				 const struct ist_safetensors *file, struct ist_err *err)
{
	ist_autofree char *steps_name = ist_format("%s%s.steps", prefix, w->name);
	int64_t steps = 0;
	enum ist_code code = IST_OK;

	for (size_t k = 0; k < (resumable ? IST_COUNT(suffix) : 1) && code == IST_OK; k++) {
		ist_autofree char *name = ist_format("%s%s%s", prefix, w->name, suffix[k]);

		code = ist_safetensors_read_real(file, name, (size_t)w->n_dims, w->dim,
						 k == 0 ? w->value : w->moment[k - 1], err);
	}
	if (code == IST_OK && resumable)
		code = ist_safetensors_read_i64(file, steps_name, 0, NULL, &steps, err);
	if (code == IST_OK && resumable)
		w->steps = (uint64_t)steps;
	return code;
}

enum ist_code ist_weights_read(struct ist_weights *group, bool resumable, const char *prefix,
			       const struct ist_safetensors *file, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < group->n && code == IST_OK; i++)
		code = read_weight(group->weights[i], resumable, prefix, file, err);
	ist_weights_touch(group);
	return code;
}
