/*
 * CM-GANs (Peng, Qi, Yuan: CM-GANs, TOMM 2019, arXiv 1710.05106): the network with its losses and
 * its iteration, as the authors' code has them, apart from data and files. Private to cmgan*.c, its
 * tests and benchmarks.
 */
#ifndef IST_CORE_METHODS_CMGAN_H
#define IST_CORE_METHODS_CMGAN_H

#include "core/methods/layers.h"
#include "core/methods/network.h"
#include "core/tensor/optimiser.h"

struct ist_cmgan_settings {
	size_t n_in[IST_N_MODALITIES];
	size_t code, n_classes, discriminator_hidden, batch;
	bool tied;		  /* one second encoder block for both modalities */
	bool one_head;		  /* one class head for both */
	bool wrong_own;		  /* the wrong code is judged beside its own original */
	double inter, intra, cls; /* weights of the generators' terms */
	double reconstruction;	  /* of the squared error, which the paper does not have */
	long rounds;		  /* updates of the generators for one of the discriminators */
	double lr, beta1, beta2, weight_decay; /* the latter on the generators only */
};

/* What one modality's generator is trained by. */
struct ist_cmgan_generator {
	struct ist_graph *graph;
	ist_node *x, *condition, *y; /* a batch: own features, the other modality's, classes */
	ist_node *L_cls, *L_inter, *L_intra, *L_rec, *L; /* unweighted terms, weighted sum */
	struct ist_norm norm[4]; /* E1, E2, D_C of the other modality, Dec */
};

/* What the discriminators are trained by: one forward pass of both encoders serves all four, for
 * nothing that one learns reaches another. */
struct ist_cmgan_judges {
	struct ist_graph *graph;
	/* A batch: matched pairs, a document of another class for each, the pairs' classes. */
	ist_node *x[IST_N_MODALITIES], *wrong[IST_N_MODALITIES], *y;
	ist_node *s[IST_N_MODALITIES], *r[IST_N_MODALITIES]; /* codes, reconstructions */
	ist_node *L_D[IST_N_MODALITIES], *L_DC[IST_N_MODALITIES], *L;
	/* Of each modality: E1 and E2 on real and on wrong, Dec, D_C on own, other and wrong. */
	struct ist_norm norm[IST_N_MODALITIES][8];
};

struct ist_cmgan {
	struct ist_cmgan_settings s;
	struct ist_weights *theta_G, *theta_D;
	struct ist_cmgan_judges judges;
	struct ist_cmgan_generator generator[IST_N_MODALITIES];
	struct ist_optimiser optimiser_G, optimiser_D;
};

/* Fills in what the preset and the data leave open. */
void ist_cmgan_decide(json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_rows);
/* The networks of trained models. */
extern const struct ist_network_kind ist_cmgan_kind;
/* Reads decided parameters; batch is the table's. */
void ist_cmgan_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
			void *ret);
/* E1, E2, cls, dec of both modalities, with running statistics: what a model keeps. */
struct ist_weights *ist_cmgan_theta_G(const void *settings, bool training);
/* By running statistics, in any graph: codes of scaled features, class logits of codes, scaled
 * features of codes. */
ist_node *ist_cmgan_encode(struct ist_graph *graph, struct ist_weights *theta_G,
			   const void *settings, enum ist_modality m, ist_node *x);
ist_node *ist_cmgan_classify(struct ist_graph *graph, struct ist_weights *theta_G,
			     const void *settings, enum ist_modality m, ist_node *s);
ist_node *ist_cmgan_decode(struct ist_graph *graph, struct ist_weights *theta_G,
			   enum ist_modality m, ist_node *s);

IST_CHECKED enum ist_code ist_cmgan_create(const struct ist_cmgan_settings *s, uint64_t seed,
					   struct ist_cmgan **ret, struct ist_err *err);
void ist_cmgan_destroy(struct ist_cmgan *c);
/* Hands the batch that stands in judges.x, .wrong and .y on to the generators. */
void ist_cmgan_share(struct ist_cmgan *c);
/* One iteration on it. Allocates nothing after the second. */
void ist_cmgan_step(struct ist_cmgan *c);

/* struct ist_method's train. */
enum ist_code ist_cmgan_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			      const struct ist_train_hooks *hooks, struct ist_model **ret,
			      struct ist_err *err);

#endif
