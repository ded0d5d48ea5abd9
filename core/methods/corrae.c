/*
 * Corr-AE as a method, and a baseline of every report: its parameters, its training, and the
 * reconstruction of features from codes. It needs no labels. Models are networks (network.h).
 */
#include "core/methods/corrae.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/rows.h"
#include "core/methods/training.h"

#define STEPS_MIN 600 /* steps of a training whose epochs are not given, at least */

static const char *const forms[] = {"own", "cross", "full", NULL};

static const struct ist_param params[] = {
    IST_CHOICE("form", forms,
	       "What is reconstructed from a code: its own modality (Corr-AE), the other one "
	       "(Corr-Cross-AE), or both (Corr-Full-AE)"),
    IST_REAL("alpha", .8, 0, 1, "Weight of the distance of a pair's codes, against reconstruction"),
    IST_INT("hidden", 0, 0, 8192, "Width of a hidden layer of encoders and decoders; 0: none"),
    IST_INT("code", 64, 2, 2048, "Dimensions of the common space"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Passes over the training pairs; by default 20, and at least 600 steps"),
    IST_INT("batch", 64, 2, 4096, "Pairs of a step"),
    IST_REAL("lr", 1e-3, 1e-8, 1, "Learning rate of Adam"),
    IST_REAL("beta1", .9, 0, .9999, "Adam's smoothing of the gradient"),
    IST_REAL("beta2", .999, 0, .999999, "Adam's smoothing of its square"),
    IST_REAL("weight_decay", 1e-4, 0, 10, "Of all weights"),
    IST_PARAM_INPUT_SCALING,
    IST_PARAM_PATIENCE,
};
static const struct ist_default defaults[] = {{"epochs", 20, 20, {0}}};

static enum ist_corrae_form form_of(const json_t *p)
{
	enum ist_corrae_form form = IST_CORRAE_OWN;

	while (strcmp(forms[form], ist_param_choice(p, "form")) != 0)
		form++;
	return form;
}

void ist_corrae_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
			 void *ret)
{
	(void)n_classes;
	*(struct ist_corrae_settings *)ret = (struct ist_corrae_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .hidden = (size_t)ist_param_int(p, "hidden"),
	    .code = (size_t)ist_param_int(p, "code"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .form = form_of(p),
	    .alpha = ist_param_real(p, "alpha"),
	    .lr = ist_param_real(p, "lr"),
	    .beta1 = ist_param_real(p, "beta1"),
	    .beta2 = ist_param_real(p, "beta2"),
	    .weight_decay = ist_param_real(p, "weight_decay"),
	};
}

/* ---- training ---- */

enum { REC, CORR, TOTAL, N_TERMS };
static const char *const term_names[N_TERMS] = {"L_rec", "L_corr", "loss"};

struct training {
	struct ist_training t; /* first: callbacks get its address */
	struct ist_corrae *net;
};

static void start_epoch(void *user, size_t epoch)
{
	struct training *t = user;

	ist_sampler_start(&t->t.sampler, epoch);
}

static void step(void *user, size_t epoch, size_t batch, double *terms)
{
	struct training *t = user;
	const uint32_t *row = ist_sampler_batch(&t->t.sampler, batch);

	(void)epoch;
	for (int m = 0; m < IST_N_MODALITIES; m++)
		ist_training_feed(&t->t, m, row, t->net->x[m]);
	ist_corrae_step(t->net);
	terms[REC] = (double)t->net->L_rec->value[0];
	terms[CORR] = (double)t->net->L_corr->value[0];
	terms[TOTAL] = (double)t->net->L->value[0];
}

static enum ist_code prepare(struct training *t, struct ist_err *err)
{
	const struct ist_pairs *pairs = t->t.pairs;
	struct ist_corrae_settings s;
	enum ist_code code = ist_training_pick(&t->t, false, err);

	if (code != IST_OK)
		return code;
	ist_defaults_epochs(defaults, IST_COUNT(defaults), pairs->dim, t->t.n_rows, STEPS_MIN,
			    t->t.params);
	ist_corrae_settings(t->t.params, pairs->dim, 0, &s);
	s.batch = IST_MIN(s.batch, t->t.n_rows);
	ist_training_start(&t->t, &ist_sampler_plain, s.batch);
	return ist_corrae_create(&s, t->t.seed, &t->net, err);
}

static enum ist_code train(const struct ist_pairs *pairs, json_t *p, uint64_t seed,
			   const struct ist_train_hooks *hooks, struct ist_model **ret,
			   struct ist_err *err)
{
	struct training t = {.t = {.method = &ist_method_corrae,
				   .pairs = pairs,
				   .params = p,
				   .seed = seed,
				   .loop = {.terms = term_names,
					    .n_terms = N_TERMS,
					    .start_epoch = start_epoch,
					    .step = step}}};
	enum ist_code code = prepare(&t, err);

	if (code == IST_OK)
		code = ist_training_run(&t.t, &t.net->theta, 1, hooks, ret, err);
	ist_corrae_destroy(t.net);
	ist_training_finish(&t.t);
	return code;
}

/* ---- reconstruction ---- */

struct direction {
	enum ist_modality from, to;
};

static ist_node *reconstruction(struct ist_graph *graph, const struct ist_network *network,
				const void *user, ist_node *x)
{
	const struct direction *d = user;
	ist_node *code = ist_corrae_kind.code(graph, network->theta, network->settings, d->from, x);

	return ist_corrae_decode(graph, network->theta, network->settings, d->to, code);
}

static enum ist_code reconstruct(const struct ist_model *model, enum ist_modality from,
				 enum ist_modality to, const float *x, size_t n, float *ret,
				 struct ist_err *err)
{
	const struct direction d = {from, to};

	return ist_network_reconstruct(model, reconstruction, &d, from, to, x, n, ret, err);
}

static const struct ist_tuning tune[] = {
    {"alpha", {0.5, 0.95}, 2},
    {"code", {32, 128}, 2},
};

const struct ist_method ist_method_corrae = {
    .name = "corrae",
    .title = "Correspondence auto-encoder",
    .about = "Pairs without labels: codes from which a picture or a text can be made again, near "
	     "each other where they belong together. A baseline of every report.",
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .paper = {.title = "Cross-modal Retrieval with Correspondence Autoencoder",
	      .authors = "Fangxiang Feng, Xiaojie Wang, Ruifan Li",
	      .venue = "ACM Multimedia",
	      .year = 2014},
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT | IST_RECONSTRUCT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .train = train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .embed = ist_network_embed,
    .reconstruct = reconstruct,
    .network = &ist_corrae_kind,
};
