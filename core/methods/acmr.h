/*
 * ACMR (Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017): the
 * network with its losses and its step, apart from data and files. Private to acmr*.c, its tests
 * and benchmarks.
 */
#ifndef IST_CORE_METHODS_ACMR_H
#define IST_CORE_METHODS_ACMR_H

#include "core/base/arena.h"
#include "core/methods/method.h"
#include "core/methods/scaling.h"
#include "core/tensor/graph.h"
#include "core/tensor/optimiser.h"

#define IST_ACMR_HIDDEN 2 /* hidden layers of a projector, at most */

/* Widths, the paper's symbols, and how it is trained. */
struct ist_acmr_settings {
	size_t n_in[IST_N_MODALITIES];
	size_t hidden[IST_N_MODALITIES][IST_ACMR_HIDDEN]; /* 0: no such layer */
	size_t code, n_classes, classifier_hidden, batch;
	double alpha, beta, lambda, mu, reg, adversary;
	bool own_pair; /* the own pair is the only positive */
	long k;	       /* updates of the projectors for one of the modality classifier */
	double lr, beta1, beta2;
};

struct ist_acmr {
	struct ist_acmr_settings s;
	struct ist_weights *theta;   /* theta_V, theta_T, theta_imd: fV.*, fT.*, cls.* */
	struct ist_weights *theta_D; /* D.* */
	struct ist_graph *graph;
	struct ist_optimiser optimiser;
	ist_node *image, *text, *y, *l; /* a batch: features, classes, factor of the reversal */
	ist_node *v, *t, *p_v, *p_t, *D_v, *D_t;
	ist_node *L_imd, *L_imi, *L_reg, *L_adv, *L; /* unweighted terms, weighted sum */
};

/* theta declared and allocated, values 0. */
struct ist_weights *ist_acmr_theta(const struct ist_acmr_settings *s, bool training);
/* Codes (batch, code) of features (batch, n_in), in any graph. */
ist_node *ist_acmr_project(struct ist_graph *graph, struct ist_weights *theta,
			   const struct ist_acmr_settings *s, enum ist_modality m, ist_node *x);
/* Label logits (batch, n_classes) of codes. */
ist_node *ist_acmr_label(struct ist_graph *graph, struct ist_weights *theta, ist_node *code);

IST_CHECKED enum ist_code ist_acmr_create(const struct ist_acmr_settings *s, uint64_t seed,
					  struct ist_acmr **ret, struct ist_err *err);
void ist_acmr_destroy(struct ist_acmr *acmr);
/* One step on the batch that stands in image, text, y and l. Allocates nothing after the second. */
void ist_acmr_step(struct ist_acmr *acmr);

/* What a trained model keeps; shared by its variants. */
struct ist_acmr_state {
	int refs; /* atomic */
	struct ist_acmr_settings s;
	struct ist_scaling scaling[IST_N_MODALITIES];
	struct ist_weights *theta;
};
struct ist_acmr_state *ist_acmr_state_create(const struct ist_acmr_settings *s);
void ist_acmr_state_unref(struct ist_acmr_state *state);
/* A model over one more reference of the state. */
struct ist_model *ist_acmr_model(struct ist_acmr_state *state, const char *similarity,
				 const json_t *params, uint64_t seed);

/* The parameter `similarity`, or the paper's while it is open. */
const char *ist_acmr_similarity(const json_t *params);
/* Fills in what the preset and the data decide; then reads the settings. */
void ist_acmr_decide(json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_rows);
void ist_acmr_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		       struct ist_acmr_settings *ret);

/* struct ist_method's train. */
enum ist_code ist_acmr_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			     const struct ist_train_hooks *hooks, struct ist_model **ret,
			     struct ist_err *err);

#endif
