/*
 * DMIM (Gu et al., Cross-modal Image Retrieval with Deep Mutual Information Maximization,
 * Neurocomputing 2022): composed retrieval, TIRG with two mutual-information terms. Only the
 * abstract is public: which features the terms join, the estimators and the weights are this
 * project's reconstruction. Private to dmim*.c, its tests and benchmarks.
 */
#ifndef IST_CORE_METHODS_DMIM_H
#define IST_CORE_METHODS_DMIM_H

#include "core/methods/image_network.h"
#include "core/methods/network.h"
#include "core/methods/tirg.h"
#include "core/tensor/optimiser.h"

#define IST_DMIM_NEGATIVES 3 /* of an anchor in the soft triplet loss */

enum ist_dmim_metric { IST_DMIM_BATCH, IST_DMIM_TRIPLET };
enum ist_dmim_estimator { IST_DMIM_JSD, IST_DMIM_INFO_NCE };
/* x*: the picture that the text should tell about. */
enum ist_dmim_text { IST_DMIM_TARGET, IST_DMIM_REFERENCE, IST_DMIM_BOTH, IST_DMIM_DIFFERENCE };

struct ist_dmim_settings {
	size_t n_in[IST_N_MODALITIES];
	size_t d, batch;
	bool cnn;  /* pictures are pixels, seen by a convolutional network; else a linear map */
	bool lstm; /* texts are words, read by a long short-term memory; else a linear map */
	bool map;  /* composed as maps before they are flattened (needs the cnn) */
	size_t side, channels; /* of the pictures; of the first layer, doubled by each */
	size_t vocabulary;     /* words that training has seen */
	size_t locations;      /* L: places of a map in the local term */
	size_t words;	       /* T in training: the longest text */
	enum ist_composition composition;
	enum ist_dmim_metric metric;
	double lambda_text, lambda_local; /* lambda1, lambda2; 0 takes a term out */
	enum ist_dmim_estimator estimator;
	enum ist_dmim_text text_with;
	size_t critic; /* U */
	double lr, weight_decay, critic_pace;
};

/* The text critic scores a text against pictures: text queries can be answered. */
bool ist_dmim_crosses(const struct ist_dmim_settings *s);

struct ist_dmim {
	struct ist_dmim_settings s;
	struct ist_weights *theta;   /* encoders, composition, scale, the text critic */
	struct ist_weights *critics; /* the local critic */
	struct ist_graph *graph;
	struct ist_norms norms;
	struct ist_optimiser optimiser;
	ist_node *image, *text, *target, *own; /* a batch: features; 0 .. N-1 */
	ist_node *negatives;		       /* soft triplet: of the stack of 2 N */
	ist_node *places;		       /* cnn: (N L) of the local map */
	ist_node *x, *t, *x_tgt, *f;
	ist_node *L_metric, *L_text, *L_local, *L; /* unweighted terms, weighted sum */
};

/* Everything that a model keeps. */
struct ist_weights *ist_dmim_theta(const struct ist_dmim_settings *s, bool training);
/* What becomes of a picture: x (N, d); with the cnn also its early map, which the composed feature
 * is compared with, and the last one, which x is made of. */
struct ist_dmim_picture {
	ist_node *x, *local, *map;
};
/* Of scaled features (N, n_in). */
struct ist_dmim_picture ist_dmim_image(struct ist_norms *norms, struct ist_graph *graph,
				       struct ist_weights *theta, const struct ist_dmim_settings *s,
				       ist_node *features);
/* From a last map, or one that was composed: (N, d). */
ist_node *ist_dmim_flatten(struct ist_graph *graph, struct ist_weights *theta, ist_node *map);
/* t (N, d) of scaled features, or of codes of words. */
ist_node *ist_dmim_text(struct ist_graph *graph, struct ist_weights *theta,
			const struct ist_dmim_settings *s, ist_node *features);
/* f (N, d) */
ist_node *ist_dmim_compose(struct ist_norms *norms, struct ist_graph *graph,
			   struct ist_weights *theta, const struct ist_dmim_settings *s,
			   const struct ist_dmim_picture *picture, ist_node *t);
/* Declares both encoders. */
void ist_dmim_declare_encoders(struct ist_weights *theta, const struct ist_dmim_settings *s);
/* One side of the text critic: psi(t) or omega(x), (N, U). */
ist_node *ist_dmim_critic(struct ist_norms *norms, struct ist_graph *graph,
			  struct ist_weights *group, const char *name, ist_node *a);

IST_CHECKED enum ist_code ist_dmim_create(const struct ist_dmim_settings *s, uint64_t seed,
					  struct ist_dmim **ret, struct ist_err *err);
void ist_dmim_destroy(struct ist_dmim *dmim);
/* One step at this learning rate on the batch that stands in the inputs. Allocates nothing after
 * the second. */
void ist_dmim_step(struct ist_dmim *dmim, double lr);

/* What the data decide where nothing is said. */
struct ist_dmim_data {
	enum ist_form form[IST_N_MODALITIES];
	bool negative; /* some pictures' features are */
	size_t n_rows, vocabulary;
};
/* Fills it in; then reads the settings. */
void ist_dmim_decide(json_t *params, const struct ist_dmim_data *data);
void ist_dmim_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		       void *ret);
extern const struct ist_network_kind ist_dmim_kind;
/* A model over one more reference of the network. */
struct ist_model *ist_dmim_model(struct ist_network *network, const json_t *params, uint64_t seed);

/* struct ist_method's train. */
IST_CHECKED enum ist_code ist_dmim_train(const struct ist_pairs *pairs, json_t *params,
					 uint64_t seed, const struct ist_train_hooks *hooks,
					 struct ist_model **ret, struct ist_err *err);

#endif
