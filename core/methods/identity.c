/*
 * identity: the encoders' own spaces, which every collection has before any training. Features
 * are brought to unit length and compared by cosine; a query crosses from one modality to the
 * other only where both encoders share one space. Features that are counts are weighed by inverse
 * document frequency first, where it is known: fitted on the training part, smoothed so that no
 * column vanishes (log((1 + n) / (1 + df)) + 1).
 */
#include "core/methods/identity.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/rows.h"
#include "core/tensor/safetensors.h"

#define WEIGHTS "model.safetensors"

struct identity {
	float *weight[IST_N_MODALITIES]; /* (dim) or NULL: plain */
};

static void destroy(struct ist_model *model)
{
	struct identity *state = model->state;

	for (int m = 0; m < IST_N_MODALITIES; m++)
		free(state->weight[m]);
	free(state);
}

void ist_identity_weigh(struct ist_model *model, enum ist_modality m, const float *weight)
{
	struct identity *state = model->state;

	if (state == NULL)
		state = model->state = ist_alloc(1, sizeof(*state));
	free(state->weight[m]);
	state->weight[m] = ist_alloc_raw(model->dim[m], sizeof(float));
	memcpy(state->weight[m], weight, model->dim[m] * sizeof(float));
}

struct ist_model *ist_identity_create(const size_t dim[IST_N_MODALITIES], bool same_space)
{
	struct ist_model *model = ist_model_create(&ist_method_identity);

	model->params = json_object();
	model->similarity = IST_COSINE;
	memcpy(model->dim_in, dim, sizeof(model->dim_in));
	memcpy(model->dim, dim, sizeof(model->dim));
	model->crosses = same_space && dim[IST_IMAGE] == dim[IST_TEXT];
	return model;
}

/* Document frequency is counted over training pairs alone: held-out texts stay unseen. */
static void fit_idf(struct ist_model *model, enum ist_modality m, const struct ist_pairs *pairs)
{
	size_t dim = pairs->dim[m], n = 0;
	ist_autofree size_t *df = ist_alloc(dim, sizeof(*df));
	ist_autofree float *weight = ist_alloc(dim, sizeof(*weight));

	for (size_t i = 0; i < pairs->n; i++) {
		const float *row = pairs->x[m] + i * dim;

		if (pairs->part[i] != IST_TRAIN)
			continue;
		n++;
		for (size_t j = 0; j < dim; j++)
			df[j] += row[j] != 0;
	}
	for (size_t j = 0; j < dim; j++)
		weight[j] = (float)(log((1.0 + (double)n) / (1.0 + (double)df[j])) + 1);
	ist_identity_weigh(model, m, weight);
}

static enum ist_code train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			   const struct ist_train_hooks *hooks, struct ist_model **ret,
			   struct ist_err *err)
{
	struct ist_model *model = ist_identity_create(pairs->dim, pairs->same_space);

	model->seed = seed;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		if (pairs->counts[m])
			fit_idf(model, m, pairs);
	}
	*ret = model;
	return IST_OK;
}

static const char *const tensor_name[IST_N_MODALITIES] = {"image.weight", "text.weight"};

/* Only reached with weights: a plain identity is its manifest. */
static enum ist_code save(const struct ist_model *model, const char *folder, struct ist_err *err)
{
	const struct identity *state = model->state;
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_safetensor tensors[IST_N_MODALITIES];
	size_t n = 0;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		if (state->weight[m] == NULL)
			continue;
		tensors[n++] = (struct ist_safetensor){.name = tensor_name[m],
						       .dtype = "F32",
						       .n_dims = 1,
						       .shape = {model->dim[m]},
						       .data = state->weight[m]};
	}
	return ist_safetensors_write(path, tensors, n, NULL, err);
}

static enum ist_code load(struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_safetensors *file = NULL;
	enum ist_code code;

	code = ist_safetensors_open(path, &file, err);
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++) {
		ist_autofree float *weight = NULL;

		if (ist_safetensors_find(file, tensor_name[m]) == NULL)
			continue;
		weight = ist_alloc_raw(model->dim[m], sizeof(*weight));
		code =
		    ist_safetensors_read_f32(file, tensor_name[m], 1, &model->dim[m], weight, err);
		if (code == IST_OK)
			ist_identity_weigh(model, m, weight);
	}
	ist_safetensors_close(file);
	return code;
}

static void embed_row(const float *x, const float *weight, size_t dim, float *ret)
{
	double sum = 0;

	for (size_t j = 0; j < dim; j++) {
		ret[j] = weight != NULL ? x[j] * weight[j] : x[j];
		sum += (double)ret[j] * ret[j];
	}
	if (sum <= 0)
		return;
	for (size_t j = 0; j < dim; j++)
		ret[j] = (float)(ret[j] / sqrt(sum));
}

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	const struct identity *state = model->state;
	const float *weight = state != NULL ? state->weight[m] : NULL;
	size_t dim = model->dim[m];

	for (size_t i = 0; i < n; i++)
		embed_row(x + i * dim, weight, dim, ret + i * dim);
	return IST_OK;
}

const struct ist_method ist_method_identity = {
    .name = "identity",
    .title = "The encoders' own spaces, before any training",
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = false,
    .train = train,
    .load = load,
    .save = save,
    .destroy = destroy,
    .embed = embed,
};
