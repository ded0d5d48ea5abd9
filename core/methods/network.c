/*
 * Models that are networks. A model's file is model.safetensors: the weights under the paper's
 * names and both scalings. Networks are immutable once trained; embedding may run on any number of
 * threads, each call with a graph of its own over the shared weights.
 */
#include "core/methods/network.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/methods/maps.h"
#include "core/tensor/ops.h"

#define EMBED_ROWS 256 /* rows of one pass */
#define WEIGHTS "model.safetensors"

struct ist_network *ist_network_create(const struct ist_network_kind *kind, const json_t *params,
				       const size_t n_in[IST_N_MODALITIES], size_t n_classes)
{
	struct ist_network *network = ist_alloc(1, sizeof(*network));

	network->refs = 1;
	network->kind = kind;
	network->settings = ist_alloc(1, kind->settings_size);
	network->code = (size_t)ist_param_int(params, "code");
	network->n_classes = n_classes;
	memcpy(network->n_in, n_in, sizeof(network->n_in));
	kind->settings(params, n_in, n_classes, network->settings);
	network->theta = kind->theta(network->settings, false);
	return network;
}

struct ist_network *ist_network_copy(const struct ist_network *network, const json_t *params,
				     const struct ist_weights *theta)
{
	struct ist_network *copy =
	    ist_network_create(network->kind, params, network->n_in, network->n_classes);

	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_copy(&copy->scaling[m], &network->scaling[m]);
	memcpy(copy->theta->value, theta->value, theta->size * sizeof(*theta->value));
	return copy;
}

/* The last variant of a model frees it. */
void ist_network_unref(struct ist_network *network)
{
	if (network == NULL || __atomic_sub_fetch(&network->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_finish(&network->scaling[m]);
	ist_weights_destroy(network->theta);
	free(network->settings);
	free(network);
}

/* A method scales both sides alike, or has a parameter for each. */
static const char *scaling_of(const json_t *params, enum ist_modality m)
{
	const char *own = ist_param_choice(params, ist_scaling_param(m));

	return own != NULL ? own : ist_param_choice(params, "input_scaling");
}

void ist_network_fit_scaling(struct ist_network *network, const json_t *params,
			     const struct ist_pairs *pairs, const uint32_t *rows, size_t n)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_fit(&network->scaling[m], scaling_of(params, m), pairs->x[m],
				network->n_in[m], rows, n);
}

void ist_network_feed(const struct ist_network *network, const struct ist_pairs *pairs,
		      enum ist_modality m, const uint32_t *rows, ist_node *ret, float *scratch)
{
	size_t dim = network->n_in[m];

	for (size_t i = 0; i < ret->dim[0]; i++) {
		ist_scaling_apply(&network->scaling[m], pairs->x[m] + rows[i] * dim, 1, scratch);
		for (size_t j = 0; j < dim; j++)
			ret->value[i * dim + j] = (ist_real)scratch[j];
	}
}

/* ---- ways to rank ---- */

/* The parameter's words and what they mean to an index. */
static const struct {
	const char *name;
	enum ist_similarity similarity;
} rankings[] = {
    {"euclidean", IST_EUCLIDEAN},
    {"cosine", IST_COSINE},
    {"posterior", IST_INNER},
    {"order", IST_ORDER},
};

const char *ist_network_similarity(const struct ist_method *method, const json_t *params)
{
	for (size_t i = 0; i < method->n_params; i++)
		if (strcmp(method->params[i].name, "similarity") == 0)
			return ist_param_is_null(params, "similarity")
				   ? method->params[i].choices[0]
				   : ist_param_choice(params, "similarity");
	return ist_similarity_names[IST_COSINE];
}

/* A posterior has a dimension a class. */
static size_t dim_of(const struct ist_network *network, enum ist_similarity similarity,
		     enum ist_modality m)
{
	if (network->kind->dim != NULL)
		return network->kind->dim(network->settings, m);
	return similarity == IST_INNER ? network->n_classes : network->code;
}

/* Takes one more reference. */
static void set_network(struct ist_model *model, struct ist_network *network,
			const char *similarity)
{
	__atomic_add_fetch(&network->refs, 1, __ATOMIC_RELAXED);
	model->state = network;
	for (size_t i = 0; i < IST_COUNT(rankings); i++)
		if (strcmp(rankings[i].name, similarity) == 0)
			model->similarity = rankings[i].similarity;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		model->dim_in[m] = network->n_in[m];
		model->dim[m] = dim_of(network, model->similarity, m);
	}
}

struct ist_model *ist_network_model(const struct ist_method *method, struct ist_network *network,
				    const char *similarity, const json_t *params, uint64_t seed)
{
	struct ist_model *model = ist_model_create(method);

	model->params = json_deep_copy(params);
	model->seed = seed;
	model->crosses = true;
	set_network(model, network, similarity);
	return model;
}

enum ist_code ist_network_variant(const struct ist_model *model, const char *similarity,
				  struct ist_model **ret, struct ist_err *err)
{
	(void)err;
	*ret = ist_model_like(model);
	set_network(*ret, model->state, similarity);
	json_object_set_new((*ret)->params, "similarity", json_string(similarity));
	return IST_OK;
}

void ist_network_destroy(struct ist_model *model)
{
	ist_network_unref(model->state);
	model->state = NULL;
}

/* ---- files ---- */

enum ist_code ist_network_save(const struct ist_model *model, const char *folder,
			       struct ist_err *err)
{
	const struct ist_network *network = model->state;
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	ist_autofree struct ist_safetensor *t =
	    ist_alloc(ist_weights_n_tensors(network->theta, false) + 4, sizeof(*t));
	ist_auto(ist_names_finish) struct ist_names names = {0};
	char scaling_names[IST_N_MODALITIES][2][64];
	size_t n = ist_weights_tensors(network->theta, false, "", &names, t);

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree char *prefix =
		    ist_format("%s.", ist_modality_name((enum ist_modality)m));

		n += ist_scaling_tensors(&network->scaling[m], prefix, scaling_names[m], t + n);
	}
	return ist_safetensors_write(path, t, n, NULL, err);
}

static enum ist_code read_weights(struct ist_network *network, const json_t *params,
				  const struct ist_safetensors *file, struct ist_err *err)
{
	enum ist_code code = ist_weights_read(network->theta, false, "", file, err);

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++) {
		ist_autofree char *prefix =
		    ist_format("%s.", ist_modality_name((enum ist_modality)m));

		code = ist_scaling_read(&network->scaling[m], scaling_of(params, m),
					network->n_in[m], file, prefix, err);
	}
	return code;
}

/* Of the label predictor, whatever its name; false where one belongs and none is. */
static bool read_n_classes(const struct ist_network_kind *kind, const struct ist_safetensors *file,
			   size_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < IST_COUNT(kind->heads) && kind->heads[i] != NULL; i++) {
		const struct ist_safetensor *head = ist_safetensors_find(file, kind->heads[i]);

		if (head != NULL && head->n_dims == 1)
			*ret = head->shape[0];
	}
	return *ret > 0 || kind->label == NULL;
}

/* All widths but the number of classes are the manifest's, and the reader refuses a file that has
 * others. */
static enum ist_code load_file(struct ist_model *model, const struct ist_safetensors *file,
			       struct ist_err *err)
{
	const struct ist_network_kind *kind = model->method->network;
	struct ist_network *network;
	size_t n_classes;

	if (!read_n_classes(kind, file, &n_classes))
		return ist_fail(err, IST_CORRUPT, "no label predictor in it");
	network = ist_network_create(kind, model->params, model->dim_in, n_classes);
	model->state = network;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		if (model->dim[m] != dim_of(network, model->similarity, m))
			return ist_fail(err, IST_CORRUPT, "%zu dimensions do not fit the manifest",
					dim_of(network, model->similarity, m));
	return read_weights(network, model->params, file, err);
}

enum ist_code ist_network_load(struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/" WEIGHTS, folder);
	struct ist_safetensors *file;
	enum ist_code code = ist_safetensors_open(path, &file, err);

	if (code != IST_OK)
		return code;
	code = load_file(model, file, err);
	ist_safetensors_close(file);
	return code == IST_OK ? IST_OK : ist_wrap(err, "%s", path);
}

/* ---- embedding ---- */

/* Rows past the end of the last pass hold what the pass before left; nobody reads them. */
static enum ist_code run_blocks(const struct ist_network *network, enum ist_modality m,
				ist_node *in, const ist_node *out, const float *x, size_t n,
				float *ret, struct ist_err *err)
{
	size_t step = in->dim[0], n_in = network->n_in[m];
	ist_autofree float *scaled = NULL;
	enum ist_code code = ist_graph_compile(in->graph, false, err);

	if (code != IST_OK)
		return code;
	scaled = ist_alloc_raw(step * n_in, sizeof(*scaled));
	for (size_t at = 0; at < n; at += step) {
		size_t rows = IST_MIN(step, n - at), n_out = out->dim[1];

		ist_scaling_apply(&network->scaling[m], x + at * n_in, rows, scaled);
		for (size_t i = 0; i < rows * n_in; i++)
			in->value[i] = (ist_real)scaled[i];
		ist_graph_forward(in->graph);
		for (size_t i = 0; i < rows * n_out; i++)
			ret[at * n_out + i] = (float)out->value[i];
	}
	return IST_OK;
}

enum ist_code ist_network_run(const struct ist_network *network, enum ist_modality m,
			      ist_network_formula *formula, const void *user, const float *x,
			      size_t n, size_t n_out, float *ret, struct ist_err *err)
{
	struct ist_graph *graph;
	ist_node *in, *out;
	enum ist_code code;

	if (n == 0)
		return IST_OK;
	graph = ist_graph_create();
	in = ist_input(graph, "x", IST_MIN(n, (size_t)EMBED_ROWS), network->n_in[m]);
	out = formula(graph, network, user, in);
	code = out == NULL || out->dim[1] == n_out
		   ? run_blocks(network, m, in, out, x, n, ret, err)
		   : ist_fail(err, IST_INTERNAL, "%zu numbers a row, not %zu", out->dim[1], n_out);
	ist_graph_destroy(graph);
	return code;
}

enum ist_code ist_network_reconstruct(const struct ist_model *model, ist_network_formula *formula,
				      const void *user, enum ist_modality from,
				      enum ist_modality to, const float *x, size_t n, float *ret,
				      struct ist_err *err)
{
	const struct ist_network *network = model->state;
	enum ist_code code =
	    ist_network_run(network, from, formula, user, x, n, network->n_in[to], ret, err);

	if (code == IST_OK)
		ist_scaling_invert(&network->scaling[to], n, ret);
	return code;
}

struct embedding {
	enum ist_modality m;
	enum ist_similarity similarity;
};

/* The formulas of one similarity: from scaled features to embeddings. */
static ist_node *embedding(struct ist_graph *graph, const struct ist_network *network,
			   const void *user, ist_node *x)
{
	const struct ist_network_kind *kind = network->kind;
	const struct embedding *e = user;
	ist_node *code = kind->code(graph, network->theta, network->settings, e->m, x);

	if (e->similarity == IST_COSINE)
		return ist_unit(code);
	if (e->similarity == IST_INNER)
		return ist_softmax(
		    kind->label(graph, network->theta, network->settings, e->m, code));
	return code;
}

enum ist_code ist_network_embed(const struct ist_model *model, enum ist_modality m, const float *x,
				size_t n, float *ret, struct ist_err *err)
{
	const struct embedding e = {.m = m, .similarity = model->similarity};

	return ist_network_run(model->state, m, embedding, &e, x, n, model->dim[m], ret, err);
}
