/*
 * Models: counted, immutable once trained, and their life on disk.
 *
 * A model's folder holds manifest.json (method, parameters, shape, similarity, calibration, what
 * it learned from, program version, checksum of the weights) and what its method writes, which is
 * model.safetensors. The manifest is written last: a folder without one is no model. Any thread
 * may take and drop references; embedding only reads.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/methods/method.h"

#define MANIFEST "manifest.json"
#define MANIFEST_LIMIT ((size_t)4 << 20)
#define WEIGHTS "model.safetensors"
#define FORMAT "isthmus-model"
#define FORMAT_VERSION 1
#define DIM_LIMIT ((size_t)1 << 20)

const char *const ist_similarity_names[IST_N_SIMILARITIES] = {
    [IST_COSINE] = "cosine",
    [IST_EUCLIDEAN] = "euclidean",
    [IST_INNER] = "inner",
    [IST_ORDER] = "order",
};

struct ist_model *ist_model_create(const struct ist_method *method)
{
	struct ist_model *model = ist_alloc(1, sizeof(*model));

	model->method = method;
	model->refs = 1;
	for (int from = 0; from < IST_N_SIDES; from++) {
		for (int to = 0; to < IST_N_MODALITIES; to++)
			model->calibration[from][to].sd = 1;
	}
	return model;
}

struct ist_model *ist_model_like(const struct ist_model *model)
{
	struct ist_model *other = ist_model_create(model->method);

	other->params = json_deep_copy(model->params);
	other->data = json_deep_copy(model->data);
	other->similarity = model->similarity;
	other->crosses = model->crosses;
	other->seed = model->seed;
	memcpy(other->dim_in, model->dim_in, sizeof(other->dim_in));
	memcpy(other->dim, model->dim, sizeof(other->dim));
	return other;
}

struct ist_model *ist_model_ref(struct ist_model *model)
{
	__atomic_add_fetch(&model->refs, 1, __ATOMIC_RELAXED);
	return model;
}

void ist_model_unref(struct ist_model *model)
{
	if (model == NULL || __atomic_sub_fetch(&model->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (model->method->destroy != NULL && model->state != NULL)
		model->method->destroy(model);
	json_decref(model->params);
	json_decref(model->data);
	free(model);
}

/* {"image": n, "text": n}: dimensions have names in files, never positions. */
static json_t *by_modality(const size_t values[IST_N_MODALITIES])
{
	json_t *object = json_object();

	for (int m = 0; m < IST_N_MODALITIES; m++)
		json_object_set_new(object, ist_modality_name(m),
				    json_integer((json_int_t)values[m]));
	return object;
}

static const char *side_name(int side)
{
	return side == IST_COMPOSED ? "composed" : ist_modality_name((enum ist_modality)side);
}

/* Directions that a model can be asked in; composed queries want pictures. */
static bool has_direction(const struct ist_model *model, int from, int to)
{
	return from != IST_COMPOSED || (to == IST_IMAGE && (model->method->can & IST_COMPOSE) != 0);
}

/* All directions, fitted or not: mean and deviation are there even where no map is. */
static json_t *calibration_json(const struct ist_model *model)
{
	json_t *all = json_object();

	for (int from = 0; from < IST_N_SIDES; from++) {
		for (int to = 0; to < IST_N_MODALITIES; to++) {
			const struct ist_calibration *c = &model->calibration[from][to];
			ist_autofree char *name =
			    ist_format("%s_to_%s", side_name(from), ist_modality_name(to));

			if (!has_direction(model, from, to))
				continue;

			json_object_set_new(all, name,
					    json_pack("{s:b, s:f, s:f, s:f, s:f}", "fitted",
						      c->fitted, "slope", c->slope, "offset",
						      c->offset, "mean", c->mean, "sd", c->sd));
		}
	}
	return all;
}

/* SHA-256 of the weights file as hex; IST_OK with "" where the method wrote none. */
static enum ist_code weights_sum(const char *folder, char ret[IST_SHA256_HEX], struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	ist_auto(ist_map_finish) struct ist_map map = {0};
	enum ist_code code;

	code = ist_map_open(&map, path, err);
	if (code == IST_OK)
		ist_sha256_hex(map.data, map.len, ret);
	return code;
}

/* Has the method write its weights, then describes them; a plain identity has none. */
static enum ist_code manifest_of(const struct ist_model *model, const char *folder, json_t **ret,
				 struct ist_err *err)
{
	char sum[IST_SHA256_HEX] = "";
	enum ist_code code = IST_OK;

	if (model->method->save != NULL && model->state != NULL) {
		code = model->method->save(model, folder, err);
		if (code == IST_OK)
			code = weights_sum(folder, sum, err);
	}
	if (code != IST_OK)
		return code;
	*ret = json_pack("{s:s, s:i, s:s, s:s, s:O?, s:s, s:o, s:o, s:b, s:I, s:o, s:O?, s:s}",
			 "format", FORMAT, "version", FORMAT_VERSION, "program", IST_VERSION,
			 "method", model->method->name, "params", model->params, "similarity",
			 ist_similarity_names[model->similarity], "dim_in",
			 by_modality(model->dim_in), "dim", by_modality(model->dim), "crosses",
			 model->crosses, "seed", (json_int_t)model->seed, "calibration",
			 calibration_json(model), "data", model->data, "weights_sha256", sum);
	return *ret != NULL ? IST_OK : ist_fail(err, IST_INTERNAL, "manifest: not JSON");
}

enum ist_code ist_model_save(const struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" MANIFEST, folder);
	ist_autofree char *text = NULL;
	json_t *manifest = NULL;
	enum ist_code code;

	code = ist_dir_make(folder, err);
	if (code == IST_OK)
		code = manifest_of(model, folder, &manifest, err);
	if (code == IST_OK) {
		text = json_dumps(manifest, JSON_INDENT(1) | JSON_SORT_KEYS);
		json_decref(manifest);
		code = ist_file_write(path, text, strlen(text), err);
	}
	return code == IST_OK ? IST_OK : ist_wrap(err, "save model %s", folder);
}

/* Bounded before anything is allocated by them: a manifest is a guest, too. */
static bool read_dims(const json_t *manifest, const char *key, size_t ret[IST_N_MODALITIES])
{
	const json_t *object = json_object_get(manifest, key);

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		json_int_t n = json_integer_value(json_object_get(object, ist_modality_name(m)));

		if (n < 1 || (size_t)n > DIM_LIMIT)
			return false;
		ret[m] = (size_t)n;
	}
	return true;
}

/* A deviation of 0 would make every standardised similarity infinite. */
static bool read_calibration(const json_t *manifest, struct ist_model *model)
{
	const json_t *all = json_object_get(manifest, "calibration");

	for (int from = 0; from < IST_N_SIDES; from++) {
		for (int to = 0; to < IST_N_MODALITIES; to++) {
			struct ist_calibration *c = &model->calibration[from][to];
			ist_autofree char *name =
			    ist_format("%s_to_%s", side_name(from), ist_modality_name(to));
			int fitted;

			if (!has_direction(model, from, to))
				continue;

			if (json_unpack(json_object_get(all, name), "{s:b, s:F, s:F, s:F, s:F}",
					"fitted", &fitted, "slope", &c->slope, "offset", &c->offset,
					"mean", &c->mean, "sd", &c->sd) != 0 ||
			    !(c->sd > 0))
				return false;
			c->fitted = fitted != 0;
		}
	}
	return true;
}

/* By name, so that the order of the enumeration is free to change. */
static bool read_similarity(const char *name, enum ist_similarity *ret)
{
	for (int i = 0; i < IST_N_SIMILARITIES; i++) {
		if (strcmp(ist_similarity_names[i], name) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* Everything of the manifest but the weights. */
static enum ist_code read_manifest(const json_t *manifest, struct ist_model **ret,
				   struct ist_err *err)
{
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	const char *format, *name, *similarity;
	json_t *params, *data;
	json_int_t seed;
	int version, crosses;

	if (json_unpack((json_t *)manifest, "{s:s, s:i, s:s, s:s, s:o, s:o, s:b, s:I}", "format",
			&format, "version", &version, "method", &name, "similarity", &similarity,
			"params", &params, "data", &data, "crosses", &crosses, "seed",
			&seed) != 0 ||
	    strcmp(format, FORMAT) != 0)
		return ist_fail(err, IST_CORRUPT, "the manifest is not a model's");
	if (version > FORMAT_VERSION)
		return ist_fail(err, IST_CORRUPT, "written by a newer program (format %d, not %d)",
				version, FORMAT_VERSION);
	if (ist_method_find(name) == NULL)
		return ist_fail(err, IST_CORRUPT, "no method is named %s", name);
	model = ist_model_create(ist_method_find(name));
	model->crosses = crosses != 0;
	model->seed = (uint64_t)seed;
	model->data = json_is_object(data) ? json_incref(data) : NULL;
	if (!read_similarity(similarity, &model->similarity) ||
	    !read_dims(manifest, "dim_in", model->dim_in) ||
	    !read_dims(manifest, "dim", model->dim) || !read_calibration(manifest, model))
		return ist_fail(err, IST_CORRUPT, "the manifest is damaged");
	if (ist_params_complete(model->method, json_is_null(params) ? NULL : params, &model->params,
				err) != IST_OK) {
		ist_wrap(err, "the manifest's parameters");
		return err != NULL ? (err->code = IST_CORRUPT) : IST_CORRUPT;
	}
	*ret = ist_steal(&model);
	return IST_OK;
}

/* The checksum first: the reader of a format is no place to find out about a torn write. */
static enum ist_code load_weights(struct ist_model *model, const char *folder, const char *expected,
				  struct ist_err *err)
{
	char sum[IST_SHA256_HEX];
	enum ist_code code;

	if (expected == NULL || expected[0] == '\0')
		return IST_OK;
	code = weights_sum(folder, sum, err);
	if (code != IST_OK)
		return code;
	if (strcmp(sum, expected) != 0)
		return ist_fail(err, IST_CORRUPT, WEIGHTS ": the checksum is not the manifest's");
	return model->method->load != NULL ? model->method->load(model, folder, err) : IST_OK;
}

enum ist_code ist_model_load(const char *folder, struct ist_model **ret, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" MANIFEST, folder);
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *manifest = NULL;
	enum ist_code code;

	code = ist_file_read(path, MANIFEST_LIMIT, &text, err);
	if (code == IST_OK) {
		manifest = json_loadb(text.data != NULL ? text.data : "", text.len, 0, NULL);
		if (!json_is_object(manifest))
			code = ist_fail(err, IST_CORRUPT, MANIFEST " is not JSON");
	}
	if (code == IST_OK)
		code = read_manifest(manifest, &model, err);
	if (code == IST_OK)
		code = load_weights(model, folder,
				    json_string_value(json_object_get(manifest, "weights_sha256")),
				    err);
	json_decref(manifest);
	if (code != IST_OK)
		return ist_wrap(err, "load model %s", folder);
	*ret = ist_steal(&model);
	return IST_OK;
}

enum ist_code ist_model_embed(const struct ist_model *model, enum ist_modality m, const float *x,
			      size_t n, float *ret, struct ist_err *err)
{
	if (n == 0)
		return IST_OK;
	return model->method->embed(model, m, x, n, ret, err);
}

enum ist_code ist_model_embed_query(const struct ist_model *model, enum ist_modality from,
				    enum ist_modality to, const float *x, size_t n, float *ret,
				    struct ist_err *err)
{
	if (model->method->embed_query == NULL || n == 0)
		return ist_model_embed(model, from, x, n, ret, err);
	return model->method->embed_query(model, from, to, x, n, ret, err);
}

enum ist_code ist_model_compose(const struct ist_model *model, const float *image,
				const float *text, size_t n, float *ret, struct ist_err *err)
{
	return n == 0 ? IST_OK : model->method->compose(model, image, text, n, ret, err);
}

double ist_model_score(const struct ist_model *model, int from, enum ist_modality to,
		       double similarity)
{
	const struct ist_calibration *c = &model->calibration[from][to];

	return c->fitted ? 1 / (1 + exp(-(c->slope * similarity + c->offset))) : NAN;
}

double ist_model_standardise(const struct ist_model *model, int from, enum ist_modality to,
			     double similarity)
{
	const struct ist_calibration *c = &model->calibration[from][to];

	return (similarity - c->mean) / c->sd;
}
