/*
 * Corr-AE (Feng, Wang, Li: Cross-modal Retrieval with Correspondence Autoencoder, ACM MM 2014): the
 * network with its loss and its step. Private to corrae*.c, its tests and benchmarks.
 */
#ifndef IST_CORE_METHODS_CORRAE_H
#define IST_CORE_METHODS_CORRAE_H

#include "core/methods/network.h"
#include "core/tensor/optimiser.h"

/* What is reconstructed from a code. */
enum ist_corrae_form { IST_CORRAE_OWN, IST_CORRAE_CROSS, IST_CORRAE_FULL };

struct ist_corrae_settings {
	size_t n_in[IST_N_MODALITIES], hidden, code, batch; /* hidden 0: no such layer */
	enum ist_corrae_form form;
	double alpha; /* weight of the correspondence of codes; 1 - alpha of the reconstructions */
	double lr, beta1, beta2, weight_decay;
};

struct ist_corrae {
	struct ist_corrae_settings s;
	struct ist_weights *theta;
	struct ist_graph *graph;
	struct ist_optimiser optimiser;
	ist_node *x[IST_N_MODALITIES]; /* a batch */
	ist_node *L_rec, *L_corr, *L;  /* unweighted terms, weighted sum */
};

extern const struct ist_network_kind ist_corrae_kind;

/* Reads decided parameters. */
void ist_corrae_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES],
			 size_t n_classes, void *ret);
/* Scaled features of codes, in any graph. */
ist_node *ist_corrae_decode(struct ist_graph *graph, struct ist_weights *theta,
			    const void *settings, enum ist_modality m, ist_node *code);

IST_CHECKED enum ist_code ist_corrae_create(const struct ist_corrae_settings *s, uint64_t seed,
					    struct ist_corrae **ret, struct ist_err *err);
void ist_corrae_destroy(struct ist_corrae *a);
/* One step on the batch that stands in x. Allocates nothing after the second. */
void ist_corrae_step(struct ist_corrae *a);

#endif
