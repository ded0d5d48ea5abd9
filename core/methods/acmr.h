/*
 * ACMR (Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017): what it
 * adds to the adversarial common space. Private to acmr*.c, its tests and benchmarks.
 */
#ifndef IST_CORE_METHODS_ACMR_H
#define IST_CORE_METHODS_ACMR_H

#include "core/methods/adversarial.h"

/* The network's settings and the paper's symbols of L_imi. */
struct ist_acmr_settings {
	struct ist_adversarial_settings net;
	double lambda, mu;
	bool own_pair; /* the own pair is the only positive */
};

IST_CHECKED enum ist_code ist_acmr_create(const struct ist_acmr_settings *s, uint64_t seed,
					  struct ist_adversarial **ret, struct ist_err *err);

/* Fills in what the preset and the data leave open. */
void ist_acmr_decide(json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_rows);

/* struct ist_method's train. */
enum ist_code ist_acmr_train(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			     const struct ist_train_hooks *hooks, struct ist_model **ret,
			     struct ist_err *err);

#endif
