/*
 * Writer of safetensors files: tensors in the order given, header padded with blanks so that the
 * data begins on 64 bytes (mapped floats are then aligned). Durable by core/base/file.h.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/tensor/safetensors.h"

/* What fill needs to know. */
struct job {
	const char *header;
	const struct ist_safetensor *t;
	size_t n;
};

static size_t bytes_of(const struct ist_safetensor *t)
{
	return ist_safetensor_count(t) * ist_safetensor_size(t->dtype);
}

/* Offsets follow from the order, so there is neither gap nor overlap. */
static json_t *header_make(const struct ist_safetensor *t, size_t n, const json_t *metadata)
{
	json_t *header = json_object();
	size_t at = 0;

	if (metadata != NULL)
		json_object_set(header, "__metadata__", (json_t *)metadata);
	for (size_t i = 0; i < n; i++) {
		json_t *shape = json_array();

		for (size_t k = 0; k < t[i].n_dims; k++)
			json_array_append_new(shape, json_integer((json_int_t)t[i].shape[k]));
		json_object_set_new(header, t[i].name,
				    json_pack("{s:s, s:o, s:[I, I]}", "dtype", t[i].dtype, "shape",
					      shape, "data_offsets", (json_int_t)at,
					      (json_int_t)(at + bytes_of(&t[i]))));
		at += bytes_of(&t[i]);
	}
	return header;
}

static enum ist_code put(FILE *f, const void *data, size_t len, struct ist_err *err)
{
	if (len > 0 && fwrite(data, 1, len, f) != len)
		return ist_fail_errno(err, "write");
	return IST_OK;
}

/* Length, header, blanks, data: what ist_file_write_with makes durable. */
static enum ist_code fill(FILE *f, void *user, struct ist_err *err)
{
	const struct job *job = user;
	size_t len = strlen(job->header);
	size_t padded = (len + 8 + 63) / 64 * 64 - 8;
	uint8_t size[8];
	enum ist_code code;

	for (int i = 0; i < 8; i++)
		size[i] = (uint8_t)(padded >> (8 * i));
	code = put(f, size, sizeof(size), err);
	if (code == IST_OK)
		code = put(f, job->header, len, err);
	for (; code == IST_OK && len < padded; len++)
		code = put(f, " ", 1, err);
	for (size_t i = 0; code == IST_OK && i < job->n; i++)
		code = put(f, job->t[i].data, bytes_of(&job->t[i]), err);
	return code;
}

enum ist_code ist_safetensors_write(const char *path, const struct ist_safetensor *t, size_t n,
				    const json_t *metadata, struct ist_err *err)
{
	json_t *header = header_make(t, n, metadata);
	ist_autofree char *text = json_dumps(header, JSON_COMPACT);
	struct job job = {.header = text, .t = t, .n = n};

	json_decref(header);
	if (text == NULL)
		return ist_fail(err, IST_INTERNAL, "%s: a tensor's name is not UTF-8", path);
	return ist_file_write_with(path, fill, &job, err);
}
