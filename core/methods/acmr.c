/*
 * ACMR as a method: its parameters, and what presets and data decide about them. Network, training
 * and models are those of the adversarial common space (adversarial.h).
 */
#include "core/methods/acmr.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/rows.h"

#define STEPS_MIN 600 /* steps of a training whose epochs are not given, at least */

static const char *const presets[] = {"auto", "paper", "demo", NULL};
static const char *const positives[] = {"class", "pair", NULL};
static const char *const similarities[] = {"euclidean", "cosine", "posterior", NULL};

static const struct ist_param params[] = {
    {.name = "preset",
     .kind = IST_PARAM_CHOICE,
     .choices = presets,
     .help = "Where values that are not given come from: the data (auto), the paper, or the "
	     "widths, schedule and weights of the authors' demo"},
    IST_PARAM_PROJECTORS,
    IST_REAL_BY_DATA("alpha", 0, 1e4, "Weight of structure preservation (L_imi)"),
    IST_REAL_BY_DATA("beta", 0, 1e4, "Weight of label prediction (L_imd)"),
    IST_REAL_BY_DATA("lambda", 0, 1e4, "Weight of unlike items within L_imi"),
    IST_REAL_BY_DATA("mu", 0, 1e4, "Distance that unlike items should keep"),
    IST_REAL_BY_DATA("reg", 0, 1e4, "Weight of the projectors' Frobenius norms (L_reg)"),
    IST_REAL("adversary", 1, 0, 1e4, "Weight of the modality classifier (L_adv); 0: no adversary"),
    IST_REAL("triplet", 1, 0, 1e4,
	     "Factor on alpha; 0 with adversary 0: the label predictor alone"),
    IST_INT_BY_DATA("k", 1, 100, "Updates of the projectors for one of the modality classifier"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Passes over the training pairs; by default 60 or 80, and at least 600 steps"),
    IST_INT("batch", 64, 2, 4096,
	    "Pairs of a step; the last incomplete batch of an epoch is dropped"),
    IST_REAL_BY_DATA("lr", 1e-8, 1, "Learning rate of Adam"),
    IST_REAL("beta1", .5, 0, .9999, "Adam's smoothing of the gradient"),
    IST_REAL("beta2", .999, 0, .999999, "Adam's smoothing of its square"),
    {.name = "positives",
     .kind = IST_PARAM_CHOICE,
     .choices = positives,
     .help = "What an anchor is drawn to: all items of its class, or its own pair only"},
    IST_PARAM_INPUT_SCALING,
    IST_CHOICE_BY_DATA(
	"similarity", similarities,
	"How embeddings are ranked: distance of codes (the paper's), cosine of codes, or the "
	"probability of sharing a class (not in the paper); chosen on validation when not "
	"given"),
    IST_PARAM_PATIENCE,
};

/* Narrow and wide features, then the presets "paper" and "demo". The authors' demo has another loss
 * (one hinge on sums over the batch) and does not train its adversary; its preset takes over
 * widths, schedule and weights. */
static const struct ist_default defaults[] = {
    {"image_hidden_1", 100, 0, {2000, 512}},
    {"image_hidden_2", 0, 0, {0, 100}},
    {"text_hidden_1", 100, 0, {500, 40}},
    {"text_hidden_2", 0, 0, {0, 100}},
    {"code", 40, 100, {200, 40}},
    {"alpha", 3, .1, {1, 1}},
    {"beta", 1, 1, {1, 100}},
    {"lambda", 3, 3, {.05, .2}},
    {"mu", 5, 10, {3, .1}},
    {"reg", .1, .03, {1, 0}},
    {"k", 1, 1, {4, 1}},
    {"epochs", 80, 60, {50, 50}},
    {"lr", 3e-4, 3e-4, {1e-4, 1e-4}},
};

void ist_acmr_decide(json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_rows)
{
	ist_defaults_epochs(defaults, IST_COUNT(defaults), n_in, n_rows, STEPS_MIN, p);
	ist_defaults_fill(&ist_method_acmr, defaults, IST_COUNT(defaults), n_in, p);
}

static void decide(json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_rows, size_t n_classes)
{
	(void)n_classes;
	ist_acmr_decide(p, n_in, n_rows);
}

/* alpha carries the switch `triplet`. */
static enum ist_code create(const json_t *p, const struct ist_adversarial_settings *net,
			    uint64_t seed, struct ist_adversarial **ret, struct ist_err *err)
{
	struct ist_acmr_settings s = {.net = *net,
				      .lambda = ist_param_real(p, "lambda"),
				      .mu = ist_param_real(p, "mu"),
				      .own_pair =
					  strcmp(ist_param_choice(p, "positives"), "pair") == 0};

	s.net.alpha *= ist_param_real(p, "triplet");
	return ist_acmr_create(&s, seed, ret, err);
}

static const struct ist_adversarial_method adversarial = {
    .method = &ist_method_acmr,
    .sampler = &ist_sampler_plain,
    .decide = decide,
    .create = create,
};

enum ist_code ist_acmr_train(const struct ist_pairs *pairs, json_t *p, uint64_t seed,
			     const struct ist_train_hooks *hooks, struct ist_model **ret,
			     struct ist_err *err)
{
	return ist_adversarial_train(&adversarial, pairs, p, seed, hooks, ret, err);
}

static const struct ist_tuning tune[] = {
    {"alpha", {0, 0.3, 3}, 3},
    {"reg", {0.01, 0.1}, 2},
};

const struct ist_method ist_method_acmr = {
    .name = "acmr",
    .title = "Adversarial cross-modal retrieval",
    .about = "Pairs with labels: learns a common space in which a class lies together "
	     "and pictures cannot be told from texts. A good first choice.",
    .paper = {.title = "Adversarial Cross-Modal Retrieval",
	      .authors = "Bokun Wang, Yang Yang, Xing Xu, Alan Hanjalic, Heng Tao Shen",
	      .venue = "ACM Multimedia",
	      .year = 2017},
    .needs = IST_NEEDS_LABELS,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = ist_acmr_train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .variant = ist_network_variant,
    .embed = ist_network_embed,
    .network = &ist_adversarial_kind,
};
