/*
 * An encoder's folder; see folder.h. Weights are mapped and stay in the file: what checks or hashes
 * them walks over the map in blocks and gives each block's pages back behind itself, so that a
 * model is resident only as far as it is computed with.
 */
#include "core/encode/folder.h"

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define CONFIG_LIMIT (1 << 20)
#define INDEX_LIMIT (16 << 20)
#define SHARDS_MAX 256
#define BLOCK (1u << 20)

#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"

struct shard {
	char *name;
	struct ist_map map;
	struct ist_safetensors *file;
};

struct ist_folder {
	char *path;
	json_t *config;
	struct shard *shards; /* sorted by name */
	size_t n_shards;
	float **owned; /* converted weights */
	size_t n_owned;
	XXH3_state_t *hash;
	struct ist_err fault; /* the first of ist_folder_weight */
};

/* ---- files and the fingerprint ---- */

/* Names and lengths stand before bytes, so that no two folders run together to one stream. */
static void hash_head(struct ist_folder *folder, const char *name, uint64_t len)
{
	XXH3_128bits_update(folder->hash, name, strlen(name) + 1);
	XXH3_128bits_update(folder->hash, &len, sizeof(len));
}

enum ist_code ist_folder_read(struct ist_folder *folder, const char *name, size_t limit,
			      struct ist_buf *ret, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", folder->path, name);
	size_t before = ret->len;
	enum ist_code code;

	if (access(path, F_OK) != 0) {
		hash_head(folder, name, UINT64_MAX);
		return ist_fail(err, IST_NOT_FOUND, "there is no %s in it", name);
	}
	code = ist_file_read(path, limit, ret, err);
	if (code != IST_OK)
		return code;
	hash_head(folder, name, ret->len - before);
	XXH3_128bits_update(folder->hash, ret->data + before, ret->len - before);
	return IST_OK;
}

enum ist_code ist_folder_json(struct ist_folder *folder, const char *name, size_t limit,
			      json_t **ret, struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	enum ist_code code = ist_folder_read(folder, name, limit, &text, err);
	json_error_t where;
	json_t *json;

	if (code != IST_OK)
		return code;
	json = json_loadb(text.len > 0 ? text.data : "", text.len, 0, &where);
	if (json == NULL)
		return ist_fail(err, IST_CORRUPT, "%s: line %d: %s", name, where.line, where.text);
	if (!json_is_object(json)) {
		json_decref(json);
		return ist_fail(err, IST_CORRUPT, "%s is not a JSON object", name);
	}
	*ret = json;
	return IST_OK;
}

void ist_folder_fingerprint(const struct ist_folder *folder, uint8_t ret[IST_FINGERPRINT])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(folder->hash));
	memcpy(ret, canonical.digest, IST_FINGERPRINT);
}

/* ---- walking over mapped bytes ---- */

/* Whole pages around the bytes: that a neighbour loses a page costs it a soft fault. */
static void evict(const uint8_t *data, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)data / page * page;

	if (len > 0)
		madvise((void *)begin, (uintptr_t)data + len - begin, MADV_DONTNEED);
}

/* `visit` says whether to go on. */
static bool walk(const uint8_t *data, size_t len, bool (*visit)(const uint8_t *, size_t, void *),
		 void *user)
{
	bool go = true;

	for (size_t at = 0; at < len && go; at += BLOCK) {
		size_t n = IST_MIN(len - at, BLOCK);

		go = visit(data + at, n, user);
		evict(data + at, n);
	}
	return go;
}

static bool hash_block(const uint8_t *data, size_t len, void *user)
{
	XXH3_128bits_update(user, data, len);
	return true;
}

/* ---- opening ---- */

static enum ist_code open_shard(struct ist_folder *folder, const char *name, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", folder->path, name);
	struct shard *shard = &folder->shards[folder->n_shards++];
	enum ist_code code;

	*shard = (struct shard){.name = ist_strdup(name)};
	code = ist_map_open(&shard->map, path, err);
	if (code != IST_OK)
		return code;
	code = ist_safetensors_parse(shard->map.data, shard->map.len, &shard->file, err);
	if (code != IST_OK)
		return ist_wrap(err, "%s", name);
	hash_head(folder, name, shard->map.len);
	walk(shard->map.data, shard->map.len, hash_block, folder->hash);
	return IST_OK;
}

static bool has_shard(const struct ist_folder *folder, const char *name)
{
	for (size_t i = 0; i < folder->n_shards; i++)
		if (strcmp(folder->shards[i].name, name) == 0)
			return true;
	return false;
}

/* A shard's name comes from a file and must not lead out of the folder. */
static bool is_shard_name(const char *name)
{
	size_t len = name != NULL ? strlen(name) : 0;

	return len > 12 && len < 256 && strcmp(name + len - 12, ".safetensors") == 0 &&
	       strchr(name, '/') == NULL;
}

/* The index names a shard for each tensor; every one that is named is opened. */
static enum ist_code open_shards(struct ist_folder *folder, const json_t *map, struct ist_err *err)
{
	const char *tensor;
	json_t *value;
	enum ist_code code = IST_OK;

	if (json_object_size(map) == 0)
		return ist_fail(err, IST_CORRUPT, INDEX ": \"weight_map\" is missing");
	json_object_foreach((json_t *)map, tensor, value)
	{
		const char *name = json_string_value(value);

		if (!is_shard_name(name))
			return ist_fail(err, IST_CORRUPT, INDEX ": tensor %.100s has no good file",
					tensor);
		if (has_shard(folder, name))
			continue;
		if (folder->n_shards == SHARDS_MAX)
			return ist_fail(err, IST_CORRUPT, INDEX ": more than %d files", SHARDS_MAX);
		code = open_shard(folder, name, err);
		if (code != IST_OK)
			return code;
	}
	return IST_OK;
}

static enum ist_code open_weights(struct ist_folder *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder->path);
	json_t *index = NULL;
	enum ist_code code;

	folder->shards = ist_alloc(SHARDS_MAX, sizeof(*folder->shards));
	if (access(path, F_OK) == 0)
		return open_shard(folder, WEIGHTS, err);
	code = ist_folder_json(folder, INDEX, INDEX_LIMIT, &index, err);
	if (code == IST_NOT_FOUND)
		return ist_fail(err, IST_NOT_FOUND, "there is no " WEIGHTS " (the weights)");
	if (code == IST_OK)
		code = open_shards(folder, json_object_get(index, "weight_map"), err);
	json_decref(index);
	return code;
}

enum ist_code ist_folder_open(const char *path, struct ist_folder **ret, struct ist_err *err)
{
	struct ist_folder *folder = ist_alloc(1, sizeof(*folder));
	enum ist_code code;

	folder->path = ist_strdup(path);
	folder->hash = XXH3_createState();
	if (folder->hash == NULL)
		abort();
	XXH3_128bits_reset(folder->hash);
	code = ist_folder_json(folder, "config.json", CONFIG_LIMIT, &folder->config, err);
	if (code == IST_OK)
		code = open_weights(folder, err);
	if (code != IST_OK) {
		ist_folder_close(folder);
		return code;
	}
	*ret = folder;
	return IST_OK;
}

void ist_folder_drop_weights(struct ist_folder *folder)
{
	for (size_t i = 0; i < folder->n_shards; i++) {
		ist_safetensors_close(folder->shards[i].file);
		ist_map_finish(&folder->shards[i].map);
		free(folder->shards[i].name);
	}
	for (size_t i = 0; i < folder->n_owned; i++)
		free(folder->owned[i]);
	free(ist_steal(&folder->shards));
	free(ist_steal(&folder->owned));
	folder->n_shards = folder->n_owned = 0;
}

void ist_folder_close(struct ist_folder *folder)
{
	if (folder == NULL)
		return;
	ist_folder_drop_weights(folder);
	json_decref(folder->config);
	XXH3_freeState(folder->hash);
	free(folder->path);
	free(folder);
}

const json_t *ist_folder_config(const struct ist_folder *folder)
{
	return folder->config;
}

void ist_folder_evict(const struct ist_folder *folder)
{
	for (size_t i = 0; i < folder->n_shards; i++)
		evict(folder->shards[i].map.data, folder->shards[i].map.len);
}

/* ---- weights ---- */

const struct ist_safetensor *ist_folder_find(const struct ist_folder *folder, const char *name)
{
	const struct ist_safetensor *t = NULL;

	for (size_t i = 0; i < folder->n_shards && t == NULL; i++)
		t = ist_safetensors_find(folder->shards[i].file, name);
	return t;
}

/* "[512, 768]" */
static void print_shape(struct ist_buf *text, const size_t *size, size_t n)
{
	ist_buf_putc(text, '[');
	for (size_t i = 0; i < n; i++)
		ist_buf_printf(text, "%s%zu", i > 0 ? ", " : "", size[i]);
	ist_buf_putc(text, ']');
}

static enum ist_code check_shape(const struct ist_safetensor *t, const struct ist_shape *shape,
				 struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf is = {0}, wanted = {0};

	if (t->n_dims == shape->n && memcmp(t->shape, shape->size, shape->n * sizeof(size_t)) == 0)
		return IST_OK;
	print_shape(&is, t->shape, t->n_dims);
	print_shape(&wanted, shape->size, shape->n);
	return ist_fail(err, IST_CORRUPT, "tensor %s has the shape %s, wanted: %s", t->name,
			is.data, wanted.data);
}

/* Exponent bits all set: infinite or not a number. Bytes are counted in whole elements, which
 * blocks hold because a block is a multiple of every element's size. */
static bool finite_32(const uint8_t *data, size_t len, void *user)
{
	unsigned bad = 0;

	for (size_t i = 0; i + 4 <= len; i += 4) {
		uint32_t bits;

		memcpy(&bits, data + i, sizeof(bits));
		bad |= (bits & 0x7f800000u) == 0x7f800000u;
	}
	return bad == 0;
}

#define FINITE_16(name, exponent)                                                                  \
	static bool name(const uint8_t *data, size_t len, void *user)                              \
	{                                                                                          \
		unsigned bad = 0;                                                                  \
                                                                                                   \
		for (size_t i = 0; i + 2 <= len; i += 2) {                                         \
			uint16_t bits;                                                             \
                                                                                                   \
			memcpy(&bits, data + i, sizeof(bits));                                     \
			bad |= (bits & (exponent)) == (exponent);                                  \
		}                                                                                  \
		return bad == 0;                                                                   \
	}
FINITE_16(finite_f16, 0x7c00u)
FINITE_16(finite_bf16, 0x7f80u)

static const struct {
	const char *name;
	bool (*finite)(const uint8_t *data, size_t len, void *user);
	bool direct; /* used where it lies */
} dtypes[] = {
    {"F32", finite_32, true},
    {"F16", finite_f16, false},
    {"BF16", finite_bf16, false},
};

static enum ist_code convert(struct ist_folder *folder, const struct ist_safetensor *t,
			     const float **ret, struct ist_err *err)
{
	float *x = ist_alloc_aligned(ist_safetensor_count(t) + 1, sizeof(*x));
	enum ist_code code = ist_safetensor_floats(t, x, err);

	folder->owned = ist_resize(folder->owned, folder->n_owned + 1, sizeof(*folder->owned));
	folder->owned[folder->n_owned++] = x;
	evict(t->data, ist_safetensor_count(t) * ist_safetensor_size(t->dtype));
	*ret = x;
	return code;
}

static enum ist_code take(struct ist_folder *folder, const char *name,
			  const struct ist_shape *shape, const float **ret, struct ist_err *err)
{
	const struct ist_safetensor *t = ist_folder_find(folder, name);
	enum ist_code code;
	size_t k = 0;

	if (t == NULL)
		return ist_fail(err, IST_CORRUPT, "there is no tensor %s", name);
	code = check_shape(t, shape, err);
	if (code != IST_OK)
		return code;
	while (k < IST_COUNT(dtypes) && strcmp(dtypes[k].name, t->dtype) != 0)
		k++;
	if (k == IST_COUNT(dtypes))
		return ist_fail(err, IST_CORRUPT, "tensor %s is %s, wanted: F32, F16 or BF16", name,
				t->dtype);
	if (!walk(t->data, ist_safetensor_count(t) * ist_safetensor_size(t->dtype),
		  dtypes[k].finite, NULL))
		return ist_fail(err, IST_CORRUPT, "tensor %s holds a number that is not finite",
				name);
	if (!dtypes[k].direct || (uintptr_t)t->data % sizeof(float) != 0)
		return convert(folder, t, ret, err);
	*ret = t->data;
	return IST_OK;
}

const float *ist_folder_weight(struct ist_folder *folder, struct ist_shape shape,
			       const char *format, ...)
{
	const float *weight = NULL;
	char name[256];
	va_list args;

	if (folder->fault.code != IST_OK)
		return NULL;
	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	return take(folder, name, &shape, &weight, &folder->fault) == IST_OK ? weight : NULL;
}

enum ist_code ist_folder_check(const struct ist_folder *folder, struct ist_err *err)
{
	if (folder->fault.code != IST_OK && err != NULL)
		*err = folder->fault;
	return folder->fault.code;
}
