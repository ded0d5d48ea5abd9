/*
 * MNS-GAN as a method: its parameters, and what the data decide about them. Network, training and
 * models are those of the adversarial common space (adversarial.h); the loss is inferred from the
 * paper's abstract, and the row says so.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/mnsgan.h"
#include "core/methods/rows.h"

#define STEPS_MIN 600 /* steps of a training whose epochs are not given, at least */
#define CLASSES 10    /* of a batch: the default number of negatives is one from each other */

static const char *const forms[] = {"tuplet", "hinge", NULL};
static const char *const classes[] = {"each", "one", NULL};
static const char *const picks[] = {"random", "nearest", NULL};
static const char *const similarities[] = {"euclidean", "cosine", "posterior", NULL};

static const struct ist_param params[] = {
    IST_CHOICE("form", forms,
	       "The multi-negative term: a tuplet, log(1 + sum exp((d+ - d-) / tau)) on squared "
	       "distances, or a hinge, d+ + lambda mean max(0, mu - d-)"),
    IST_INT_BY_DATA("negatives", 1, 255,
		    "Negatives of an anchor, each from another class; by default one from every "
		    "other class of a batch, 9 at most"),
    IST_CHOICE("negative_classes", classes,
	       "Each negative from another class, or all from one (a control)"),
    IST_CHOICE("pick", picks, "Which item of a class is the negative"),
    IST_INT("per_class", 6, 1, 64, "Pairs of a class in a batch"),
    IST_REAL("tau", 10, 1e-3, 1e4, "Temperature of the tuplet"),
    IST_REAL("eta", .5, 0, 1e3, "Weight of the intra-modal half"),
    IST_PARAM_PROJECTORS,
    IST_REAL_BY_DATA("alpha", 0, 1e4, "Weight of the multi-negative term (L_mns)"),
    IST_REAL("beta", 1, 0, 1e4, "Weight of label prediction (L_imd)"),
    IST_REAL("lambda", 3, 0, 1e4, "Weight of the negatives in the hinge"),
    IST_REAL_BY_DATA("mu", 0, 1e4, "Distance that the hinge asks of negatives"),
    IST_REAL_BY_DATA("reg", 0, 1e4, "Weight of the projectors' Frobenius norms (L_reg)"),
    IST_REAL("adversary", 1, 0, 1e4, "Weight of the modality classifier (L_adv); 0: no adversary"),
    IST_INT("k", 1, 1, 100, "Updates of the projectors for one of the modality classifier"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Passes over as many pairs as there are; by default 30 or 60, and at least 600 "
		    "steps"),
    IST_INT("batch", 60, 2, 4096, "Pairs of a step"),
    IST_REAL("lr", 3e-4, 1e-8, 1, "Learning rate of Adam"),
    IST_REAL("beta1", .5, 0, .9999, "Adam's smoothing of the gradient"),
    IST_REAL("beta2", .999, 0, .999999, "Adam's smoothing of its square"),
    IST_PARAM_INPUT_SCALING,
    IST_CHOICE_BY_DATA(
	"similarity", similarities,
	"How embeddings are ranked: distance of codes, cosine of codes, or the probability of "
	"sharing a class; chosen on validation when not given"),
    IST_PARAM_PATIENCE,
};

/* Narrow and wide features; alpha of the tuplet. */
static const struct ist_default defaults[] = {
    {"image_hidden_1", 100, 0, {0}},
    {"image_hidden_2", 0, 0, {0}},
    {"text_hidden_1", 100, 0, {0}},
    {"text_hidden_2", 0, 0, {0}},
    {"code", 40, 100, {0}},
    {"alpha", 10, .1, {0}},
    {"mu", 5, 10, {0}},
    {"reg", .1, .03, {0}},
    {"epochs", 30, 60, {0}},
};
static const struct ist_default hinge_defaults[] = {{"alpha", 3, .1, {0}}};

static bool is_hinge(const json_t *p)
{
	return strcmp(ist_param_choice(p, "form"), "hinge") == 0;
}

/* One negative from every other class of a batch of ten, or of all classes there are. */
static void decide(json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_rows, size_t n_classes)
{
	size_t k = IST_MAX(IST_MIN(n_classes, (size_t)CLASSES), (size_t)2) - 1;

	if (ist_param_is_null(p, "negatives"))
		json_object_set_new(p, "negatives", json_integer((json_int_t)k));
	if (is_hinge(p))
		ist_defaults_fill(&ist_method_mnsgan, hinge_defaults, IST_COUNT(hinge_defaults),
				  n_in, p);
	ist_defaults_epochs(defaults, IST_COUNT(defaults), n_in, n_rows, STEPS_MIN, p);
	ist_defaults_fill(&ist_method_mnsgan, defaults, IST_COUNT(defaults), n_in, p);
}

static enum ist_code create(const json_t *p, const struct ist_adversarial_settings *net,
			    uint64_t seed, struct ist_adversarial **ret, struct ist_err *err)
{
	struct ist_mnsgan_settings s = {.net = *net,
					.hinge = is_hinge(p),
					.n_negatives = (size_t)ist_param_int(p, "negatives"),
					.tau = ist_param_real(p, "tau"),
					.lambda = ist_param_real(p, "lambda"),
					.mu = ist_param_real(p, "mu"),
					.eta = ist_param_real(p, "eta")};

	return ist_mnsgan_create(&s, seed, ret, err);
}

static void draw(struct ist_adversarial *a, const json_t *p, uint64_t seed, size_t epoch,
		 size_t batch)
{
	const struct ist_mnsgan_draw how = {
	    .one_class = strcmp(ist_param_choice(p, "negative_classes"), "one") == 0,
	    .nearest = strcmp(ist_param_choice(p, "pick"), "nearest") == 0,
	};

	ist_mnsgan_draw(a, &how, seed, epoch, batch);
}

static const struct ist_adversarial_method adversarial = {
    .method = &ist_method_mnsgan,
    .sampler = &ist_sampler_balanced,
    .decide = decide,
    .create = create,
    .draw = draw,
};

static enum ist_code train(const struct ist_pairs *pairs, json_t *p, uint64_t seed,
			   const struct ist_train_hooks *hooks, struct ist_model **ret,
			   struct ist_err *err)
{
	return ist_adversarial_train(&adversarial, pairs, p, seed, hooks, ret, err);
}

static const struct ist_tuning tune[] = {
    {"alpha", {0.1, 1, 10}, 3},
    {"tau", {3, 30}, 2},
};

const struct ist_method ist_method_mnsgan = {
    .name = "mnsgan",
    .title = "Multi-negative sampling adversarial network",
    .about = "As acmr, with many negatives to each pair. For classes that lie close "
	     "together.",
    .paper = {.title = "MNS-GAN (doi 10.1109/ICECE54449.2021.9674509), from its abstract",
	      .authors = "Ma, Wang, Hou",
	      .venue = "ICECE",
	      .year = 2021,
	      .reconstruction = true},
    .needs = IST_NEEDS_LABELS,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .variant = ist_network_variant,
    .embed = ist_network_embed,
    .network = &ist_adversarial_kind,
};
