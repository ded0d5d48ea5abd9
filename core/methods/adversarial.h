/*
 * The adversarial common space that ACMR introduced and MNS-GAN builds on: two projectors, a label
 * predictor on their codes, and a modality classifier that they play against through gradient
 * reversal. What draws matching items together, L_imi, is the method's own.
 */
#ifndef IST_CORE_METHODS_ADVERSARIAL_H
#define IST_CORE_METHODS_ADVERSARIAL_H

#include "core/methods/network.h"
#include "core/methods/samplers.h"
#include "core/tensor/optimiser.h"

#define IST_HIDDEN 2 /* hidden layers of a projector, at most */

/* The rows of a parameter table that size the networks. */
#define IST_PARAM_PROJECTORS                                                                       \
	IST_INT_BY_DATA("image_hidden_1", 0, 8192,                                                 \
			"Width of the image projector's first hidden layer; 0: none"),             \
	    IST_INT_BY_DATA("image_hidden_2", 0, 8192,                                             \
			    "Width of its second hidden layer; 0: none"),                          \
	    IST_INT_BY_DATA("text_hidden_1", 0, 8192,                                              \
			    "Width of the text projector's first hidden layer; 0: none"),          \
	    IST_INT_BY_DATA("text_hidden_2", 0, 8192,                                              \
			    "Width of its second hidden layer; 0: none"),                          \
	    IST_INT_BY_DATA("code", 2, 2048, "Dimensions of the common space"),                    \
	    IST_INT("classifier_hidden", 50, 1, 4096,                                              \
		    "Width of the modality classifier's hidden layer")

/* Widths, weights of the terms (0 takes one out), and how it is trained. */
struct ist_adversarial_settings {
	size_t n_in[IST_N_MODALITIES];
	size_t hidden[IST_N_MODALITIES][IST_HIDDEN]; /* 0: no such layer */
	size_t code, n_classes, classifier_hidden, batch;
	double alpha, beta, reg, adversary;
	long k; /* updates of the projectors for one of the modality classifier */
	double lr, beta1, beta2;
};

struct ist_adversarial {
	struct ist_adversarial_settings s;
	struct ist_weights *theta;   /* theta_V, theta_T, theta_imd: fV.*, fT.*, cls.* */
	struct ist_weights *theta_D; /* D.* */
	struct ist_graph *graph;
	struct ist_optimiser optimiser;
	ist_node *image, *text, *y, *l; /* a batch: features, classes, factor of the reversal */
	ist_node *pos, *neg; /* positions in the batch, where a method's L_imi has them */
	ist_node *v, *t, *p_v, *p_t, *D_v, *D_t;
	ist_node *L_imd, *L_imi, *L_reg, *L_adv, *L; /* unweighted terms, weighted sum */
};

/* L_imi of the codes in v and t; may add inputs to the graph. */
typedef ist_node *ist_structure(struct ist_adversarial *a, const void *settings);

IST_CHECKED enum ist_code ist_adversarial_create(const struct ist_adversarial_settings *s,
						 ist_structure *structure, const void *settings,
						 uint64_t seed, struct ist_adversarial **ret,
						 struct ist_err *err);
void ist_adversarial_destroy(struct ist_adversarial *a);
/* One step on the batch that stands in the inputs. Allocates nothing after the second. */
void ist_adversarial_step(struct ist_adversarial *a);

/* The networks of trained models. */
extern const struct ist_network_kind ist_adversarial_kind;

/* What a method adds to the common training. */
struct ist_adversarial_method {
	const struct ist_method *method;
	const struct ist_sampler_kind *sampler;
	/* Fills in what the preset and the data leave open. */
	void (*decide)(json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_rows,
		       size_t n_classes);
	/* The network of decided parameters; a->s.batch may not exceed n_rows. */
	enum ist_code (*create)(const json_t *params, const struct ist_adversarial_settings *s,
				uint64_t seed, struct ist_adversarial **ret, struct ist_err *err);
	/* Draws a->pos and a->neg for the classes in a->y; NULL where there is nothing to draw. */
	void (*draw)(struct ist_adversarial *a, const json_t *params, uint64_t seed, size_t epoch,
		     size_t batch);
};

/* struct ist_method's train but for the first argument. */
IST_CHECKED enum ist_code ist_adversarial_train(const struct ist_adversarial_method *method,
						const struct ist_pairs *pairs, json_t *params,
						uint64_t seed, const struct ist_train_hooks *hooks,
						struct ist_model **ret, struct ist_err *err);

/* Reads the common settings from decided parameters. */
void ist_adversarial_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES],
			      size_t n_classes, struct ist_adversarial_settings *ret);

#endif
