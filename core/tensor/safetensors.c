/*
 * Reader of safetensors files. The header is JSON of the guest's making, so it is checked whole
 * before anything is handed out: known dtypes, shapes whose product does not overflow, byte ranges
 * that fit their shapes, lie inside the file, and cover it without overlap or hole. After that a
 * tensor is a pointer into the map and cannot lead outside of it.
 */
#include "core/tensor/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define HEADER_MAX (100u << 20)
#define TENSORS_MAX 1000000

struct entry {
	struct ist_safetensor t;
	size_t begin, end; /* in the bytes after the header */
};

struct ist_safetensors {
	struct ist_map map; /* empty where the caller keeps the bytes */
	json_t *header;	    /* owns names and dtypes */
	struct entry *entries;
	size_t n;
};

static const struct {
	const char *name;
	size_t size;
} dtypes[] = {
    {"F64", 8}, {"F32", 4}, {"F16", 2},	 {"BF16", 2},	 {"I64", 8},
    {"I32", 4}, {"I16", 2}, {"I8", 1},	 {"U64", 8},	 {"U32", 4},
    {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1},
};

size_t ist_safetensor_size(const char *dtype)
{
	for (size_t i = 0; i < IST_COUNT(dtypes); i++)
		if (strcmp(dtypes[i].name, dtype) == 0)
			return dtypes[i].size;
	return 0;
}

size_t ist_safetensor_count(const struct ist_safetensor *t)
{
	size_t count = 1;

	for (size_t i = 0; i < t->n_dims; i++)
		count *= t->shape[i];
	return count;
}

/* JSON's whole numbers fit 64 bits with a sign; 1.0 is no whole number here. */
static bool read_size(const json_t *json, size_t *ret)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return false;
	*ret = (size_t)json_integer_value(json);
	return true;
}

/* The shape's bytes, checked: a zero anywhere makes zero bytes, whatever the rest would overflow
 * to is refused all the same. */
static enum ist_code read_shape(const json_t *shape, struct ist_safetensor *t, size_t *ret_bytes,
				struct ist_err *err)
{
	size_t bytes = ist_safetensor_size(t->dtype);

	if (!json_is_array(shape) || json_array_size(shape) > IST_SAFETENSOR_DIMS)
		return ist_fail(err, IST_CORRUPT, "tensor %s: its shape is no list of at most %d",
				t->name, IST_SAFETENSOR_DIMS);
	t->n_dims = json_array_size(shape);
	for (size_t i = 0; i < t->n_dims; i++) {
		if (!read_size(json_array_get(shape, i), &t->shape[i]) ||
		    __builtin_mul_overflow(bytes, t->shape[i], &bytes))
			return ist_fail(err, IST_CORRUPT, "tensor %s: a size in its shape is bad",
					t->name);
	}
	*ret_bytes = bytes;
	return IST_OK;
}

/* One member of the header. Its name and dtype stay the header's. */
static enum ist_code read_entry(const char *name, const json_t *json, const uint8_t *data,
				size_t len, struct entry *e, struct ist_err *err)
{
	const json_t *offsets = json_object_get(json, "data_offsets");
	const char *dtype = json_string_value(json_object_get(json, "dtype"));
	enum ist_code code;
	size_t bytes = 0;

	e->t = (struct ist_safetensor){.name = name, .dtype = dtype};
	if (dtype == NULL || ist_safetensor_size(dtype) == 0)
		return ist_fail(err, IST_CORRUPT, "tensor %s: its dtype is not known", name);
	if (json_object_size(json) != 3)
		return ist_fail(err, IST_CORRUPT, "tensor %s: unknown members", name);
	code = read_shape(json_object_get(json, "shape"), &e->t, &bytes, err);
	if (code != IST_OK)
		return code;
	if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &e->begin) ||
	    !read_size(json_array_get(offsets, 1), &e->end))
		return ist_fail(err, IST_CORRUPT, "tensor %s: its data_offsets are bad", name);
	if (e->begin > e->end || e->end > len || e->end - e->begin != bytes)
		return ist_fail(err, IST_CORRUPT,
				"tensor %s: bytes %zu to %zu do not fit its shape or the file",
				name, e->begin, e->end);
	e->t.data = data + e->begin;
	return IST_OK;
}

static int by_offset(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->t.name, y->t.name);
}

/* No overlap, no hole, nothing after the last. Leaves the entries sorted by name. */
static enum ist_code check_cover(struct ist_safetensors *file, size_t len, struct ist_err *err)
{
	size_t at = 0;

	qsort(file->entries, file->n, sizeof(*file->entries), by_offset);
	for (size_t i = 0; i < file->n; at = file->entries[i++].end)
		if (file->entries[i].begin != at)
			return ist_fail(err, IST_CORRUPT,
					"tensor %s: overlaps another or leaves a gap",
					file->entries[i].t.name);
	if (at != len)
		return ist_fail(err, IST_CORRUPT, "%zu bytes belong to no tensor", len - at);
	qsort(file->entries, file->n, sizeof(*file->entries), by_name);
	return IST_OK;
}

/* The format allows texts only. */
static enum ist_code check_metadata(const json_t *metadata, struct ist_err *err)
{
	const char *key;
	json_t *value;

	if (metadata == NULL)
		return IST_OK;
	if (!json_is_object(metadata))
		return ist_fail(err, IST_CORRUPT, "__metadata__ is not an object");
	json_object_foreach(
	    (json_t *)metadata, key,
	    value) if (!json_is_string(value)) return ist_fail(err, IST_CORRUPT,
							       "__metadata__ %s is not a text",
							       key);
	return IST_OK;
}

static enum ist_code read_header(struct ist_safetensors *file, const uint8_t *data, size_t len,
				 struct ist_err *err)
{
	const char *name;
	json_t *value;
	enum ist_code code = check_metadata(json_object_get(file->header, "__metadata__"), err);

	if (code != IST_OK)
		return code;
	if (json_object_size(file->header) > TENSORS_MAX)
		return ist_fail(err, IST_CORRUPT, "more than %d tensors", TENSORS_MAX);
	file->entries = ist_alloc(json_object_size(file->header) + 1, sizeof(*file->entries));
	json_object_foreach(file->header, name, value)
	{
		if (strcmp(name, "__metadata__") == 0)
			continue;
		code = read_entry(name, value, data, len, &file->entries[file->n], err);
		if (code != IST_OK)
			return code;
		file->n++;
	}
	return check_cover(file, len, err);
}

/* Everything that was allocated by the time of a failure is the caller's to close. */
static enum ist_code parse_into(struct ist_safetensors *file, const uint8_t *data, size_t len,
				struct ist_err *err)
{
	uint64_t header = 0;
	json_error_t json_err;

	if (len < 8)
		return ist_fail(err, IST_CORRUPT, "too short for a safetensors file");
	for (int i = 7; i >= 0; i--)
		header = header << 8 | data[i];
	if (header > HEADER_MAX || header > len - 8)
		return ist_fail(err, IST_CORRUPT, "a header of %llu bytes does not fit the file",
				(unsigned long long)header);
	file->header =
	    json_loadb((const char *)data + 8, (size_t)header, JSON_REJECT_DUPLICATES, &json_err);
	if (!json_is_object(file->header))
		return ist_fail(err, IST_CORRUPT, "the header is not a JSON object");
	return read_header(file, data + 8 + header, len - 8 - (size_t)header, err);
}

enum ist_code ist_safetensors_parse(const void *data, size_t len, struct ist_safetensors **ret,
				    struct ist_err *err)
{
	struct ist_safetensors *file = ist_alloc(1, sizeof(*file));
	enum ist_code code = parse_into(file, data, len, err);

	if (code != IST_OK) {
		ist_safetensors_close(file);
		return code;
	}
	*ret = file;
	return IST_OK;
}

enum ist_code ist_safetensors_open(const char *path, struct ist_safetensors **ret,
				   struct ist_err *err)
{
	struct ist_map map;
	enum ist_code code = ist_map_open(&map, path, err);

	if (code != IST_OK)
		return code;
	code = ist_safetensors_parse(map.data, map.len, ret, err);
	if (code == IST_OK) {
		(*ret)->map = map;
		return IST_OK;
	}
	ist_map_finish(&map);
	ist_wrap(err, "%s", path);
	return code;
}

void ist_safetensors_close(struct ist_safetensors *file)
{
	if (file == NULL)
		return;
	free(file->entries);
	json_decref(file->header);
	ist_map_finish(&file->map);
	free(file);
}

size_t ist_safetensors_n(const struct ist_safetensors *file)
{
	return file->n;
}

const struct ist_safetensor *ist_safetensors_at(const struct ist_safetensors *file, size_t i)
{
	return i < file->n ? &file->entries[i].t : NULL;
}

/* By bisection: models have hundreds of tensors and each is looked up once a load. */
const struct ist_safetensor *ist_safetensors_find(const struct ist_safetensors *file,
						  const char *name)
{
	struct entry key = {.t.name = name};
	const struct entry *e =
	    bsearch(&key, file->entries, file->n, sizeof(*file->entries), by_name);

	return e != NULL ? &e->t : NULL;
}

const char *ist_safetensors_metadata(const struct ist_safetensors *file, const char *key)
{
	return json_string_value(
	    json_object_get(json_object_get(file->header, "__metadata__"), key));
}
