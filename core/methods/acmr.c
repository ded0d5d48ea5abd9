/*
 * ACMR as a method: its parameters, what presets and data decide about them, and trained models.
 * A model is the projectors and the label predictor behind the input scaling; the three ways to
 * rank share one state. Models are immutable; embed may run on any number of threads.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/acmr.h"
#include "core/methods/rows.h"
#include "core/tensor/ops.h"

#define EMBED_ROWS 256 /* rows of one pass */
#define WIDE 256       /* features above this count as wide */
#define STEPS_MIN 600  /* steps of a training whose epochs are not given, at least */

static const char *const presets[] = {"auto", "paper", "demo", NULL};
static const char *const positives[] = {"class", "pair", NULL};
static const char *const similarities[] = {"euclidean", "cosine", "posterior", NULL};

#define INT(n, d, lo, hi, h)                                                                       \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_INT, .def = d, .min = lo, .max = hi, .help = h        \
	}
#define REAL(n, d, lo, hi, h)                                                                      \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_REAL, .def = d, .min = lo, .max = hi, .help = h       \
	}
#define INT_BY_DATA(n, lo, hi, h)                                                                  \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_INT, .min = lo, .max = hi, .by_data = true, .help = h \
	}
#define REAL_BY_DATA(n, lo, hi, h)                                                                 \
	{                                                                                          \
		.name = n, .kind = IST_PARAM_REAL, .min = lo, .max = hi, .by_data = true,          \
		.help = h                                                                          \
	}

static const struct ist_param params[] = {
    {.name = "preset",
     .kind = IST_PARAM_CHOICE,
     .choices = presets,
     .help = "Where values that are not given come from: the data (auto), the paper, or the "
	     "widths, schedule and weights of the authors' demo"},
    INT_BY_DATA("image_hidden_1", 0, 8192,
		"Width of the image projector's first hidden layer; 0: none"),
    INT_BY_DATA("image_hidden_2", 0, 8192, "Width of its second hidden layer; 0: none"),
    INT_BY_DATA("text_hidden_1", 0, 8192,
		"Width of the text projector's first hidden layer; 0: none"),
    INT_BY_DATA("text_hidden_2", 0, 8192, "Width of its second hidden layer; 0: none"),
    INT_BY_DATA("code", 2, 2048, "Dimensions of the common space"),
    INT("classifier_hidden", 50, 1, 4096, "Width of the modality classifier's hidden layer"),
    REAL_BY_DATA("alpha", 0, 1e4, "Weight of structure preservation (L_imi)"),
    REAL_BY_DATA("beta", 0, 1e4, "Weight of label prediction (L_imd)"),
    REAL_BY_DATA("lambda", 0, 1e4, "Weight of unlike items within L_imi"),
    REAL_BY_DATA("mu", 0, 1e4, "Distance that unlike items should keep"),
    REAL_BY_DATA("reg", 0, 1e4, "Weight of the projectors' Frobenius norms (L_reg)"),
    REAL("adversary", 1, 0, 1e4, "Weight of the modality classifier (L_adv); 0: no adversary"),
    REAL("triplet", 1, 0, 1e4, "Factor on alpha; 0 with adversary 0: the label predictor alone"),
    INT_BY_DATA("k", 1, 100, "Updates of the projectors for one of the modality classifier"),
    INT_BY_DATA("epochs", 1, 100000,
		"Passes over the training pairs; by default 60 or 80, and at least 600 steps"),
    INT("batch", 64, 2, 4096, "Pairs of a step; the last incomplete batch of an epoch is dropped"),
    REAL_BY_DATA("lr", 1e-8, 1, "Learning rate of Adam"),
    REAL("beta1", .5, 0, .9999, "Adam's smoothing of the gradient"),
    REAL("beta2", .999, 0, .999999, "Adam's smoothing of its square"),
    {.name = "positives",
     .kind = IST_PARAM_CHOICE,
     .choices = positives,
     .help = "What an anchor is drawn to: all items of its class, or its own pair only"},
    {.name = "input_scaling",
     .kind = IST_PARAM_CHOICE,
     .choices = ist_scaling_names,
     .help = "What is done to features first, fitted on the training pairs"},
    {.name = "similarity",
     .kind = IST_PARAM_CHOICE,
     .choices = similarities,
     .by_data = true,
     .help = "How embeddings are ranked: distance of codes (the paper's), cosine of codes, or the "
	     "probability of sharing a class (not in the paper); chosen on validation when not "
	     "given"},
    INT("patience", 0, 0, 100000,
	"Epochs without a better figure on validation before training stops; 0: never"),
};

/* What is left open is taken from a row; -1 marks what the paper leaves open too. */
struct defaults {
	const char *name;
	double narrow, wide, paper, demo;
};
static const struct defaults defaults[] = {
    {"image_hidden_1", 100, 0, 2000, 512},
    {"image_hidden_2", 0, 0, 0, 100},
    {"text_hidden_1", 100, 0, 500, 40},
    {"text_hidden_2", 0, 0, 0, 100},
    {"code", 40, 100, 200, 40},
    {"alpha", 3, .1, 1, 1},
    {"beta", 1, 1, 1, 100},
    {"lambda", 3, 3, .05, .2},
    {"mu", 5, 10, 3, .1},
    {"reg", .1, .03, 1, 0},
    {"k", 1, 1, 4, 1},
    {"epochs", 80, 60, 50, 50},
    {"lr", 3e-4, 3e-4, 1e-4, 1e-4},
};

/* The authors' demo has another loss (one hinge on sums over the batch) and does not train its
 * adversary; its preset takes over widths, schedule and weights. */
static double default_of(const struct defaults *d, const char *preset, bool wide)
{
	if (strcmp(preset, "paper") == 0)
		return d->paper;
	if (strcmp(preset, "demo") == 0)
		return d->demo;
	return wide ? d->wide : d->narrow;
}

/* Whether a parameter goes into JSON as a whole number. */
static bool is_whole(const char *name)
{
	for (size_t i = 0; i < IST_COUNT(params); i++)
		if (strcmp(params[i].name, name) == 0)
			return params[i].kind == IST_PARAM_INT;
	return false;
}

/* Epochs that make up for how few steps one has where pairs are few. */
static double epochs_for_steps(const json_t *p, double epochs, size_t n_rows)
{
	size_t batch = IST_MIN((size_t)ist_param_int(p, "batch"), n_rows);
	size_t steps = n_rows / IST_MAX(batch, (size_t)1);

	return fmax(epochs, ceil((double)STEPS_MIN / (double)IST_MAX(steps, (size_t)1)));
}

/* What was decided stands in the model's parameters, so that a report says what was used. */
void ist_acmr_decide(json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_rows)
{
	const char *preset = ist_param_choice(p, "preset");
	bool wide = IST_MAX(n_in[IST_IMAGE], n_in[IST_TEXT]) > WIDE;

	for (size_t i = 0; i < IST_COUNT(defaults); i++) {
		double x = default_of(&defaults[i], preset, wide);

		if (strcmp(defaults[i].name, "epochs") == 0 && strcmp(preset, "auto") == 0)
			x = epochs_for_steps(p, x, n_rows);
		if (ist_param_is_null(p, defaults[i].name))
			json_object_set_new(p, defaults[i].name,
					    is_whole(defaults[i].name) ? json_integer((json_int_t)x)
								       : json_real(x));
	}
}

/* From a complete and decided object; alpha carries the switch `triplet`. */
void ist_acmr_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		       struct ist_acmr_settings *ret)
{
	*ret = (struct ist_acmr_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .hidden = {[IST_IMAGE] = {(size_t)ist_param_int(p, "image_hidden_1"),
				      (size_t)ist_param_int(p, "image_hidden_2")},
		       [IST_TEXT] = {(size_t)ist_param_int(p, "text_hidden_1"),
				     (size_t)ist_param_int(p, "text_hidden_2")}},
	    .code = (size_t)ist_param_int(p, "code"),
	    .n_classes = n_classes,
	    .classifier_hidden = (size_t)ist_param_int(p, "classifier_hidden"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .alpha = ist_param_real(p, "alpha") * ist_param_real(p, "triplet"),
	    .beta = ist_param_real(p, "beta"),
	    .lambda = ist_param_real(p, "lambda"),
	    .mu = ist_param_real(p, "mu"),
	    .reg = ist_param_real(p, "reg"),
	    .adversary = ist_param_real(p, "adversary"),
	    .own_pair = strcmp(ist_param_choice(p, "positives"), "pair") == 0,
	    .k = ist_param_int(p, "k"),
	    .lr = ist_param_real(p, "lr"),
	    .beta1 = ist_param_real(p, "beta1"),
	    .beta2 = ist_param_real(p, "beta2"),
	};
}

const char *ist_acmr_similarity(const json_t *p)
{
	return ist_param_is_null(p, "similarity") ? similarities[0]
						  : ist_param_choice(p, "similarity");
}

struct ist_acmr_state *ist_acmr_state_create(const struct ist_acmr_settings *s)
{
	struct ist_acmr_state *state = ist_alloc(1, sizeof(*state));

	state->refs = 1;
	state->s = *s;
	state->theta = ist_acmr_theta(s, false);
	return state;
}

/* The last variant of a model frees it. */
void ist_acmr_state_unref(struct ist_acmr_state *state)
{
	if (state == NULL || __atomic_sub_fetch(&state->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_scaling_finish(&state->scaling[m]);
	ist_weights_destroy(state->theta);
	free(state);
}

/* The parameter's words and what they mean to an index. */
static const struct {
	const char *name;
	enum ist_similarity similarity;
} rankings[] = {
    {"euclidean", IST_EUCLIDEAN},
    {"cosine", IST_COSINE},
    {"posterior", IST_INNER},
};

/* A posterior has a dimension a class. */
static size_t dim_of(const struct ist_acmr_settings *s, enum ist_similarity similarity)
{
	return similarity == IST_INNER ? s->n_classes : s->code;
}

/* Takes one more reference of the state. */
static void set_state(struct ist_model *model, struct ist_acmr_state *state, const char *similarity)
{
	__atomic_add_fetch(&state->refs, 1, __ATOMIC_RELAXED);
	model->state = state;
	for (size_t i = 0; i < IST_COUNT(rankings); i++)
		if (strcmp(rankings[i].name, similarity) == 0)
			model->similarity = rankings[i].similarity;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		model->dim_in[m] = state->s.n_in[m];
		model->dim[m] = dim_of(&state->s, model->similarity);
	}
}

struct ist_model *ist_acmr_model(struct ist_acmr_state *state, const char *similarity,
				 const json_t *p, uint64_t seed)
{
	struct ist_model *model = ist_model_create(&ist_method_acmr);

	model->params = json_deep_copy(p);
	model->seed = seed;
	model->crosses = true;
	set_state(model, state, similarity);
	return model;
}

static enum ist_code variant(const struct ist_model *model, const char *similarity,
			     struct ist_model **ret, struct ist_err *err)
{
	(void)err;
	*ret = ist_model_like(model);
	set_state(*ret, model->state, similarity);
	json_object_set_new((*ret)->params, "similarity", json_string(similarity));
	return IST_OK;
}

static void destroy(struct ist_model *model)
{
	ist_acmr_state_unref(model->state);
	model->state = NULL;
}

/* One file: theta under the paper's names, and both scalings. */
static enum ist_code save(const struct ist_model *model, const char *folder, struct ist_err *err)
{
	const struct ist_acmr_state *state = model->state;
	ist_autofree char *path = ist_format("%s/model.safetensors", folder);
	ist_autofree struct ist_safetensor *t =
	    ist_alloc(ist_weights_n_tensors(state->theta, false) + 4, sizeof(*t));
	ist_auto(ist_names_finish) struct ist_names names = {0};
	char scaling_names[IST_N_MODALITIES][2][64];
	size_t n = ist_weights_tensors(state->theta, false, "", &names, t);

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree char *prefix =
		    ist_format("%s.", ist_modality_name((enum ist_modality)m));

		n += ist_scaling_tensors(&state->scaling[m], prefix, scaling_names[m], t + n);
	}
	return ist_safetensors_write(path, t, n, NULL, err);
}

static enum ist_code read_state(struct ist_acmr_state *state, const char *scaling,
				const struct ist_safetensors *file, struct ist_err *err)
{
	enum ist_code code = ist_weights_read(state->theta, false, "", file, err);

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++) {
		ist_autofree char *prefix =
		    ist_format("%s.", ist_modality_name((enum ist_modality)m));

		code = ist_scaling_read(&state->scaling[m], scaling, state->s.n_in[m], file, prefix,
					err);
	}
	return code;
}

/* The number of classes is the label predictor's; all other widths are the manifest's, and the
 * reader refuses a file that has others. */
static enum ist_code load(struct ist_model *model, const char *folder, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/model.safetensors", folder);
	struct ist_safetensors *file;
	const struct ist_safetensor *head;
	struct ist_acmr_settings s;
	enum ist_code code = ist_safetensors_open(path, &file, err);

	if (code != IST_OK)
		return code;
	head = ist_safetensors_find(file, "cls.bias");
	if (head == NULL || head->n_dims != 1) {
		ist_safetensors_close(file);
		return ist_fail(err, IST_CORRUPT, "%s: no label predictor in it", path);
	}
	ist_acmr_settings(model->params, model->dim_in, head->shape[0], &s);
	model->state = ist_acmr_state_create(&s);
	for (int m = 0; m < IST_N_MODALITIES; m++)
		if (model->dim[m] != dim_of(&s, model->similarity) && code == IST_OK)
			code = ist_fail(err, IST_CORRUPT, "%zu dimensions do not fit the manifest",
					dim_of(&s, model->similarity));
	if (code == IST_OK)
		code = read_state(model->state, ist_param_choice(model->params, "input_scaling"),
				  file, err);
	ist_safetensors_close(file);
	return code == IST_OK ? IST_OK : ist_wrap(err, "%s", path);
}

/* The formulas of one similarity: from scaled features to embeddings. */
static ist_node *embedding(struct ist_graph *graph, const struct ist_model *model,
			   enum ist_modality m, ist_node *x)
{
	const struct ist_acmr_state *state = model->state;
	ist_node *code = ist_acmr_project(graph, state->theta, &state->s, m, x);

	if (model->similarity == IST_COSINE)
		return ist_unit(code);
	if (model->similarity == IST_INNER)
		return ist_softmax(ist_acmr_label(graph, state->theta, code));
	return code;
}

/* A graph a call: it is a few dozen nodes over shared weights, and makes embed safe on any number
 * of threads. Rows past the end of the last pass hold what the pass before left; nobody reads them.
 */
static enum ist_code embed_rows(const struct ist_model *model, enum ist_modality m, const float *x,
				size_t n, size_t step, float *ret, struct ist_err *err)
{
	const struct ist_acmr_state *state = model->state;
	size_t n_in = model->dim_in[m], dim = model->dim[m];
	struct ist_graph *graph = ist_graph_create();
	ist_node *in = ist_input(graph, "x", step, n_in), *out = embedding(graph, model, m, in);
	float *scaled = ist_alloc_raw(step * n_in, sizeof(*scaled));
	enum ist_code code = ist_graph_compile(graph, false, err);

	for (size_t at = 0; at < n && code == IST_OK; at += step) {
		size_t rows = IST_MIN(step, n - at);

		ist_scaling_apply(&state->scaling[m], x + at * n_in, rows, scaled);
		for (size_t i = 0; i < rows * n_in; i++)
			in->value[i] = (ist_real)scaled[i];
		ist_graph_forward(graph);
		for (size_t i = 0; i < rows * dim; i++)
			ret[at * dim + i] = (float)out->value[i];
	}
	free(scaled);
	ist_graph_destroy(graph);
	return code;
}

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	return n == 0 ? IST_OK
		      : embed_rows(model, m, x, n, IST_MIN(n, (size_t)EMBED_ROWS), ret, err);
}

const struct ist_method ist_method_acmr = {
    .name = "acmr",
    .title = "Adversarial cross-modal retrieval",
    .paper = {.title = "Adversarial Cross-Modal Retrieval",
	      .authors = "Bokun Wang, Yang Yang, Xing Xu, Alan Hanjalic, Heng Tao Shen",
	      .venue = "ACM Multimedia",
	      .year = 2017},
    .needs = IST_NEEDS_LABELS,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .train = ist_acmr_train,
    .load = load,
    .save = save,
    .destroy = destroy,
    .variant = variant,
    .embed = embed,
};
