/*
 * DMIM as a method: its parameters, and its models. The metric loss compares composed queries with
 * pictures by cosine; the text critic scores texts against pictures by an inner product of other
 * vectors. Both live in one embedding, side by side: a picture is [x / |x|; omega(x)], a composed
 * query [f / |f|; 0], a text [0; psi(t)], so that one index answers both kinds of queries. Without
 * a text critic an embedding is its first half, and texts reach no picture.
 */
#include "core/methods/dmim.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/image_network.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"
#include "core/tensor/ops.h"

#define COMPOSE_ROWS 256 /* rows of one pass */

static const char *const compositions[] = {"tirg", "concat", NULL};
static const char *const metrics[] = {"batch", "soft_triplet", NULL};
static const char *const estimators[] = {"jsd", "info_nce", NULL};
static const char *const text_networks[] = {"linear", "lstm", NULL};
static const char *const forms[] = {"vector", "map", NULL};
static const char *const text_withs[] = {"target", "reference", "both", "difference", NULL};

static const struct ist_param params[] = {
    IST_INT_BY_DATA("code", 2, 2048,
		    "Dimensions of pictures and composed queries (d); 256, of pixels 128"),
    IST_PARAM_IMAGE_NETWORK,
    IST_CHOICE_BY_DATA(
	"text_network", text_networks,
	"Over texts' features; lstm: over what the encoder \"words\" makes, and the default "
	"there"),
    IST_PARAM_CHANNELS,
    IST_CHOICE("form", forms, "What is composed: vectors, or the cnn's last map"),
    IST_INT_BY_DATA("vocabulary", 1, 10000000, "Words that the training texts hold"),
    IST_INT("locations", 16, 1, 64, "Places of a picture's map in the local term (cnn)"),
    IST_CHOICE("composition", compositions,
	       "How a text changes a picture: TIRG's gate and residual, or two layers over both"),
    IST_CHOICE("metric", metrics, "Batch classification, or soft triplets against 3 negatives"),
    IST_REAL("lambda_text", .05, 0, 1e3,
	     "Weight of the mutual information of text and picture; 0: no text queries"),
    IST_REAL("lambda_local", .05, 0, 1e3,
	     "Weight of the mutual information of composed and local features; with "
	     "lambda_text 0 too this is TIRG"),
    IST_CHOICE("estimator", estimators, "Of mutual information: Jensen-Shannon's or InfoNCE"),
    IST_CHOICE("text_with", text_withs,
	       "Which picture the text should tell about; text queries need the target"),
    IST_INT("critic", 128, 2, 4096, "Units of the critics (U)"),
    IST_REAL("critic_pace", 1, 1e-3, 1e3, "Factor on the critics' learning rate"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Passes over the training triples; by default 10, and at least 2,000 steps; "
		    "from pixels 8 and 1,200"),
    IST_INT_BY_DATA("batch", 2, 4096,
		    "Triples of a step (32, from pixels 64); the last incomplete batch of an epoch "
		    "is dropped"),
    IST_REAL("lr", 1e-3, 1e-8, 1, "Learning rate of AdamW at the start; it falls to 0"),
    IST_REAL("weight_decay", 1e-4, 0, 1, "AdamW's decay"),
    IST_CHOICE_BY_DATA(
	"image_scaling", ist_scaling_names,
	"What is done to pictures' features first, then all are brought to one size; by "
	"default sqrt_l2, or unit where some are negative; pixels: none"),
    IST_CHOICE_BY_DATA("text_scaling", ist_scaling_names,
		       "What is done to texts' features first; by default unit; words: none"),
    IST_PARAM_PATIENCE,
};

/* Where features come from a pretrained encoder, and where from pixels. */
static const struct {
	int code, batch;
	double epochs, steps; /* epochs at least, steps at least */
} usual[] = {{256, 32, 10, 2000}, {128, 64, 8, 1200}};

/* What was decided stands in the model's parameters, so that a report says what was used. */
void ist_dmim_decide(json_t *p, const struct ist_dmim_data *data)
{
	bool pixels = data->form[IST_IMAGE] == IST_FORM_PIXELS;
	bool words = data->form[IST_TEXT] == IST_FORM_WORDS;
	double steps;

	ist_param_decide(p, "code", json_integer(usual[pixels].code));
	ist_param_decide(p, "batch", json_integer(usual[pixels].batch));
	steps = floor((double)data->n_rows /
		      fmin((double)ist_param_int(p, "batch"), (double)data->n_rows));
	ist_param_decide(p, "epochs",
			 json_integer((json_int_t)fmax(usual[pixels].epochs,
						       ceil(usual[pixels].steps / steps))));
	ist_param_decide(p, "image_network", json_string(ist_image_networks[pixels]));
	ist_param_decide(p, "text_network", json_string(text_networks[words]));
	ist_param_decide(p, "vocabulary",
			 json_integer((json_int_t)IST_MAX(data->vocabulary, (size_t)1)));
	ist_param_decide(p, "image_scaling",
			 json_string(pixels	      ? "none"
				     : data->negative ? "unit"
						      : "sqrt_l2"));
	ist_param_decide(p, "text_scaling", json_string(words ? "none" : "unit"));
}

void ist_dmim_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		       void *ret)
{
	*(struct ist_dmim_settings *)ret = (struct ist_dmim_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .d = (size_t)ist_param_int(p, "code"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .composition = (enum ist_composition)ist_param_position(p, "composition", compositions),
	    .metric = (enum ist_dmim_metric)ist_param_position(p, "metric", metrics),
	    .lambda_text = ist_param_real(p, "lambda_text"),
	    .lambda_local = ist_param_real(p, "lambda_local"),
	    .estimator = (enum ist_dmim_estimator)ist_param_position(p, "estimator", estimators),
	    .text_with = (enum ist_dmim_text)ist_param_position(p, "text_with", text_withs),
	    .cnn = ist_param_position(p, "image_network", ist_image_networks) == 1,
	    .lstm = ist_param_position(p, "text_network", text_networks) == 1,
	    .map = ist_param_position(p, "form", forms) == 1,
	    .side = ist_pixels_side(n_in[IST_IMAGE]),
	    .channels = (size_t)ist_param_int(p, "channels"),
	    .vocabulary = (size_t)ist_param_int(p, "vocabulary"),
	    .locations = (size_t)ist_param_int(p, "locations"),
	    .critic = (size_t)ist_param_int(p, "critic"),
	    .lr = ist_param_real(p, "lr"),
	    .weight_decay = ist_param_real(p, "weight_decay"),
	    .critic_pace = ist_param_real(p, "critic_pace"),
	};
}

static struct ist_weights *theta(const void *settings, bool training)
{
	return ist_dmim_theta(settings, training);
}

static ist_node *code(struct ist_graph *graph, struct ist_weights *weights, const void *settings,
		      enum ist_modality m, ist_node *x)
{
	struct ist_norms norms = {.training = false};

	return m == IST_IMAGE ? ist_dmim_image(&norms, graph, weights, settings, x).x
			      : ist_dmim_text(graph, weights, settings, x);
}

static size_t dim(const void *settings, enum ist_modality m)
{
	const struct ist_dmim_settings *s = settings;

	return s->d + (ist_dmim_crosses(s) ? s->critic : 0);
}

const struct ist_network_kind ist_dmim_kind = {
    .settings_size = sizeof(struct ist_dmim_settings),
    .settings = ist_dmim_settings,
    .theta = theta,
    .code = code,
    .dim = dim,
};

struct ist_model *ist_dmim_model(struct ist_network *network, const json_t *p, uint64_t seed)
{
	struct ist_model *model = ist_network_model(&ist_method_dmim, network, "cosine", p, seed);

	model->crosses = ist_dmim_crosses(network->settings);
	model->similarity = model->crosses ? IST_INNER : IST_COSINE;
	return model;
}

/* ---- embedding ---- */

/* Which halves of an embedding are filled; the other is 0. */
struct halves {
	enum ist_modality m;
	bool metric, critic;
};

static ist_node *embedding(struct ist_graph *graph, const struct ist_network *network,
			   const void *user, ist_node *x)
{
	const struct ist_dmim_settings *s = network->settings;
	const struct halves *want = user;
	struct ist_norms norms = {.training = false};
	ist_node *e = code(graph, network->theta, s, want->m, x), *u;

	if (!ist_dmim_crosses(s))
		return ist_unit(e);
	u = ist_dmim_critic(&norms, graph, network->theta,
			    want->m == IST_IMAGE ? "omega_x" : "psi_t", e);
	return ist_concat(ist_scale(ist_unit(e), want->metric ? 1 : 0),
			  ist_scale(u, want->critic ? 1 : 0));
}

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	const struct halves all = {.m = m, .metric = m == IST_IMAGE, .critic = true};

	return ist_network_run(model->state, m, embedding, &all, x, n, model->dim[m], ret, err);
}

/* A picture asks for pictures by the metric loss's half, and for texts by the critic's. */
static enum ist_code embed_query(const struct ist_model *model, enum ist_modality from,
				 enum ist_modality to, const float *x, size_t n, float *ret,
				 struct ist_err *err)
{
	bool pictures = from == IST_IMAGE && to == IST_IMAGE;
	const struct halves half = {.m = from, .metric = pictures, .critic = !pictures};

	return ist_network_run(model->state, from, embedding, &half, x, n, model->dim[to], ret,
			       err);
}

/* ---- composing ---- */

struct composing {
	const struct ist_network *network;
	ist_node *in[IST_N_MODALITIES], *out;
};

static struct ist_graph *composing_graph(struct composing *c, size_t rows)
{
	const struct ist_dmim_settings *s = c->network->settings;
	struct ist_weights *w = c->network->theta;
	struct ist_graph *graph = ist_graph_create();
	struct ist_norms norms = {.training = false};
	struct ist_dmim_picture picture;

	c->in[IST_IMAGE] = ist_input(graph, "image", rows, s->n_in[IST_IMAGE]);
	c->in[IST_TEXT] = ist_input(graph, "text", rows, s->n_in[IST_TEXT]);
	picture = ist_dmim_image(&norms, graph, w, s, c->in[IST_IMAGE]);
	c->out = ist_unit(ist_dmim_compose(&norms, graph, w, s, &picture,
					   ist_dmim_text(graph, w, s, c->in[IST_TEXT])));
	return graph;
}

static void feed(const struct composing *c, enum ist_modality m, const float *x, size_t rows)
{
	const struct ist_scaling *scaling = &c->network->scaling[m];
	ist_autofree float *scaled = ist_alloc_raw(rows * scaling->dim, sizeof(*scaled));

	ist_scaling_apply(scaling, x, rows, scaled);
	for (size_t i = 0; i < rows * scaling->dim; i++)
		c->in[m]->value[i] = (ist_real)scaled[i];
}

/* The critic's half of a composed query is 0. */
static enum ist_code compose(const struct ist_model *model, const float *image, const float *text,
			     size_t n, float *ret, struct ist_err *err)
{
	struct composing c = {.network = model->state};
	size_t step = IST_MIN(n, (size_t)COMPOSE_ROWS), n_out = model->dim[IST_IMAGE];
	struct ist_graph *graph = composing_graph(&c, step);
	enum ist_code failed = ist_graph_compile(graph, false, err);

	if (failed == IST_OK)
		memset(ret, 0, n * n_out * sizeof(*ret));
	for (size_t at = 0; at < n && failed == IST_OK; at += step) {
		size_t rows = IST_MIN(step, n - at), d = c.out->dim[1];

		feed(&c, IST_IMAGE, image + at * model->dim_in[IST_IMAGE], rows);
		feed(&c, IST_TEXT, text + at * model->dim_in[IST_TEXT], rows);
		ist_graph_forward(graph);
		for (size_t i = 0; i < rows; i++)
			for (size_t j = 0; j < d; j++)
				ret[(at + i) * n_out + j] = (float)c.out->value[i * d + j];
	}
	ist_graph_destroy(graph);
	return failed;
}

const struct ist_method ist_method_dmim = {
    .name = "dmim",
    .title = "Deep mutual information maximisation over TIRG, for composed queries",
    .about = "A picture and words that change it find the picture that is meant: \"this "
	     "one, but at night\".",
    .paper = {.title = "Cross-modal Image Retrieval with Deep Mutual Information Maximization",
	      .authors = "Gu et al.",
	      .venue = "Neurocomputing",
	      .year = 2022,
	      .reconstruction = true},
    .needs = IST_NEEDS_TRIPLES,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT | IST_COMPOSE,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .network = &ist_dmim_kind,
    .train = ist_dmim_train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .embed = embed,
    .embed_query = embed_query,
    .compose = compose,
};
