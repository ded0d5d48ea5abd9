/*
 * CM-GANs as a method: its parameters, what presets and data decide about them, and the
 * reconstruction of features from codes, also of the other modality. Models are networks
 * (network.h); nothing here is written after training, so any thread may use one.
 */
#include "core/methods/cmgan.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/rows.h"

#define STEPS_MIN 400 /* iterations of a training whose epochs are not given, at least */

static const char *const presets[] = {"auto", "paper", NULL};
static const char *const conditions[] = {"anchor", "own", NULL};
static const char *const similarities[] = {"cosine", "euclidean", "posterior", NULL};

static const struct ist_param params[] = {
    IST_CHOICE("preset", presets,
	       "Where values that are not given come from: the data (auto) or the authors' code"),
    IST_INT_BY_DATA("code", 2, 4096, "Dimensions of the common space, and width of all encoders"),
    IST_INT_BY_DATA("discriminator_hidden", 1, 4096,
		    "Width of the hidden layer of the discriminators of codes"),
    {.name = "tied",
     .kind = IST_PARAM_BOOL,
     .def = 1,
     .help = "One second encoder block for both modalities"},
    {.name = "one_head",
     .kind = IST_PARAM_BOOL,
     .def = 0,
     .help = "One class head for both modalities; the authors have two"},
    IST_CHOICE("wrong_condition", conditions,
	       "What the code of another class is judged beside: the anchor's original, or, as in "
	       "the authors' code, its own, which carries no sign of a mismatch"),
    IST_REAL("inter", 1, 0, 1e4, "Weight of the game between the modalities; 0: none"),
    IST_REAL("intra", 1, 0, 1e4, "Weight of the game on reconstructions; 0: none"),
    IST_REAL("cls", 1, 0, 1e4, "Weight of the class heads"),
    IST_REAL("reconstruction", 0, 0, 1e4,
	     "Weight of the squared error of reconstructions, summed over columns (not in the "
	     "paper); where they are to be looked at, 2 over the features' width is a start"),
    IST_INT("rounds", 5, 1, 100, "Updates of the generators for one of the discriminators"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Rounds of as many iterations as the pairs would fill batches; by default 15 "
		    "or 100, and at least 400 iterations"),
    IST_INT("batch", 64, 2, 4096, "Slots of an iteration"),
    IST_REAL("lr", 1e-3, 1e-8, 1, "Learning rate of Adam"),
    IST_INT("halve_every", 100, 1, 100000, "Epochs after which the rate is halved"),
    IST_REAL_BY_DATA("weight_decay", 0, 10, "Of the generators' weights (not in the paper)"),
    IST_REAL("beta1", .5, 0, .9999, "Adam's smoothing of the gradient"),
    IST_REAL("beta2", .999, 0, .999999, "Adam's smoothing of its square"),
    IST_PARAM_INPUT_SCALING,
    IST_CHOICE_BY_DATA(
	"similarity", similarities,
	"How embeddings are ranked: cosine of codes (the paper's), their distance, or the "
	"probability of sharing a class; chosen on validation when not given"),
    IST_PARAM_PATIENCE,
};

/* Narrow and wide features, the authors' code. */
static const struct ist_default defaults[] = {
    {"code", 128, 128, {1024}},
    {"discriminator_hidden", 64, 64, {512}},
    {"weight_decay", .1, .01, {0}},
    {"epochs", 15, 100, {1000}},
};

void ist_cmgan_decide(json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_rows)
{
	ist_defaults_epochs(defaults, IST_COUNT(defaults), n_in, n_rows, STEPS_MIN, p);
	ist_defaults_fill(&ist_method_cmgan, defaults, IST_COUNT(defaults), n_in, p);
}

void ist_cmgan_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
			void *ret)
{
	*(struct ist_cmgan_settings *)ret = (struct ist_cmgan_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .code = (size_t)ist_param_int(p, "code"),
	    .n_classes = n_classes,
	    .discriminator_hidden = (size_t)ist_param_int(p, "discriminator_hidden"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .tied = ist_param_bool(p, "tied"),
	    .one_head = ist_param_bool(p, "one_head"),
	    .wrong_own = strcmp(ist_param_choice(p, "wrong_condition"), "own") == 0,
	    .inter = ist_param_real(p, "inter"),
	    .intra = ist_param_real(p, "intra"),
	    .cls = ist_param_real(p, "cls"),
	    .reconstruction = ist_param_real(p, "reconstruction"),
	    .rounds = ist_param_int(p, "rounds"),
	    .lr = ist_param_real(p, "lr"),
	    .beta1 = ist_param_real(p, "beta1"),
	    .beta2 = ist_param_real(p, "beta2"),
	    .weight_decay = ist_param_real(p, "weight_decay"),
	};
}

const struct ist_network_kind ist_cmgan_kind = {
    .settings_size = sizeof(struct ist_cmgan_settings),
    .settings = ist_cmgan_settings,
    .theta = ist_cmgan_theta_G,
    .code = ist_cmgan_encode,
    .label = ist_cmgan_classify,
    .heads = {"cls.I.bias", "cls.bias"},
};

/* ---- reconstruction ---- */

struct direction {
	enum ist_modality from, to;
};

/* r = Dec_to(E_from(x)): within a modality what the code kept, across them what it calls up. */
static ist_node *reconstruction(struct ist_graph *graph, const struct ist_network *network,
				const void *user, ist_node *x)
{
	const struct direction *d = user;
	ist_node *s = ist_cmgan_encode(graph, network->theta, network->settings, d->from, x);

	return ist_cmgan_decode(graph, network->theta, d->to, s);
}

static enum ist_code reconstruct(const struct ist_model *model, enum ist_modality from,
				 enum ist_modality to, const float *x, size_t n, float *ret,
				 struct ist_err *err)
{
	const struct direction d = {from, to};

	return ist_network_reconstruct(model, reconstruction, &d, from, to, x, n, ret, err);
}

static const struct ist_tuning tune[] = {
    {"weight_decay", {0.01, 0.1}, 2},
    {"epochs", {30, 120}, 2},
};

const struct ist_method ist_method_cmgan = {
    .name = "cmgan",
    .title = "Cross-modal generative adversarial networks",
    .about = "Two generators imagine one side from the other: shows what a text calls "
	     "up among pictures.",
    .paper = {.title = "CM-GANs: Cross-modal Generative Adversarial Networks for Common "
		       "Representation Learning",
	      .authors = "Yuxin Peng, Jinwei Qi, Yuxin Yuan",
	      .venue = "ACM TOMM",
	      .year = 2019},
    .needs = IST_NEEDS_LABELS,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT | IST_RECONSTRUCT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = ist_cmgan_train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .variant = ist_network_variant,
    .embed = ist_network_embed,
    .reconstruct = reconstruct,
    .network = &ist_cmgan_kind,
};
