/*
 * What a trained network keeps as a model: input scalings, one group of weights, and the formulas
 * from features to codes and label logits. Embedding, the ways to rank (Euclidean distance or
 * cosine of codes, the posterior over classes), files and references are the same for every method
 * whose row names a kind here.
 */
#ifndef IST_CORE_METHODS_NETWORK_H
#define IST_CORE_METHODS_NETWORK_H

#include "core/methods/method.h"
#include "core/methods/scaling.h"
#include "core/tensor/graph.h"

struct ist_network_kind {
	size_t settings_size;
	/* Reads complete and decided parameters. */
	void (*settings)(const json_t *params, const size_t n_in[IST_N_MODALITIES],
			 size_t n_classes, void *ret);
	/* The group that a model keeps, declared and allocated. */
	struct ist_weights *(*theta)(const void *settings, bool training);
	/* Codes (N, code) of scaled features (N, n_in[m]), for any graph that does not train. */
	ist_node *(*code)(struct ist_graph *graph, struct ist_weights *theta, const void *settings,
			  enum ist_modality m, ist_node *x);
	/* Label logits (N, n_classes) of codes; NULL: there is no posterior. */
	ist_node *(*label)(struct ist_graph *graph, struct ist_weights *theta, const void *settings,
			   enum ist_modality m, ist_node *code);
	/* Dimensions of embeddings; NULL: the code's, or a posterior's. */
	size_t (*dim)(const void *settings, enum ist_modality m);
	/* Names that a label predictor's bias can have; its length is the number of classes. */
	const char *heads[2];
};

struct ist_network {
	int refs; /* variants of one model share it; atomic */
	const struct ist_network_kind *kind;
	void *settings;
	size_t n_in[IST_N_MODALITIES], code, n_classes;
	struct ist_scaling scaling[IST_N_MODALITIES];
	struct ist_weights *theta;
};

/* Weights 0, no scaling yet. The parameter `code` is the dimension of the common space. */
struct ist_network *ist_network_create(const struct ist_network_kind *kind, const json_t *params,
				       const size_t n_in[IST_N_MODALITIES], size_t n_classes);
void ist_network_unref(struct ist_network *network);
/* Another one with the same scaling and with these weights, of an equal group. */
struct ist_network *ist_network_copy(const struct ist_network *network, const json_t *params,
				     const struct ist_weights *theta);

/* For trainings. Fits both scalings (the parameter `input_scaling`) on the listed rows. */
void ist_network_fit_scaling(struct ist_network *network, const json_t *params,
			     const struct ist_pairs *pairs, const uint32_t *rows, size_t n);
/* Scaled features of the listed rows into an input of as many rows; scratch (n_in[m]). */
void ist_network_feed(const struct ist_network *network, const struct ist_pairs *pairs,
		      enum ist_modality m, const uint32_t *rows, ist_node *ret, float *scratch);

/* The parameter `similarity`, or the first of its choices while it is open. */
const char *ist_network_similarity(const struct ist_method *method, const json_t *params);
/* A model over one more reference of the network. */
struct ist_model *ist_network_model(const struct ist_method *method, struct ist_network *network,
				    const char *similarity, const json_t *params, uint64_t seed);

/* Runs a formula over rows of features, in blocks, on the calling thread: x (n, n_in) of modality
 * m is scaled first; ret (n, n_out). */
typedef ist_node *ist_network_formula(struct ist_graph *graph, const struct ist_network *network,
				      const void *user, ist_node *x);
IST_CHECKED enum ist_code ist_network_run(const struct ist_network *network, enum ist_modality m,
					  ist_network_formula *formula, const void *user,
					  const float *x, size_t n, size_t n_out, float *ret,
					  struct ist_err *err);

/* The same to reconstructed features of modality `to`, brought back to the encoder's scale. */
IST_CHECKED enum ist_code ist_network_reconstruct(const struct ist_model *model,
						  ist_network_formula *formula, const void *user,
						  enum ist_modality from, enum ist_modality to,
						  const float *x, size_t n, float *ret,
						  struct ist_err *err);

/* For method rows. */
IST_CHECKED enum ist_code ist_network_variant(const struct ist_model *model, const char *similarity,
					      struct ist_model **ret, struct ist_err *err);
IST_CHECKED enum ist_code ist_network_load(struct ist_model *model, const char *folder,
					   struct ist_err *err);
IST_CHECKED enum ist_code ist_network_save(const struct ist_model *model, const char *folder,
					   struct ist_err *err);
void ist_network_destroy(struct ist_model *model);
IST_CHECKED enum ist_code ist_network_embed(const struct ist_model *model, enum ist_modality m,
					    const float *x, size_t n, float *ret,
					    struct ist_err *err);

#endif
