/*
 * Methods and models.
 *
 * A method is one of the papers, or a baseline: one const row in one file, listed in methods.c.
 * Its parameter table validates the request, prints itself in the API and documents itself.
 * A model is a trained method: immutable, counted, shared by all threads. It maps features of a
 * modality into the common space and knows how alike two embeddings are.
 *
 * Parameters travel as a complete JSON object made by ist_params_complete: every key of the table,
 * each of its type and in its range.
 */
#ifndef IST_CORE_METHODS_METHOD_H
#define IST_CORE_METHODS_METHOD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/modality.h"

enum ist_param_kind { IST_PARAM_INT, IST_PARAM_REAL, IST_PARAM_BOOL, IST_PARAM_CHOICE };

struct ist_param {
	const char *name;
	enum ist_param_kind kind;
	double def, min, max;	    /* INT, REAL, BOOL (0, 1) */
	const char *const *choices; /* CHOICE: NULL-terminated; the first is the default */
	bool by_data; /* null by default: taken from the data (widths) or chosen on validation */
	const char *help;
};

/* How two embeddings compare. Greater is nearer, always. */
enum ist_similarity {
	IST_COSINE,    /* embeddings leave embed() with unit length: inner product */
	IST_EUCLIDEAN, /* minus the L2 distance */
	IST_INNER,     /* inner product as it is (posterior: probability of sharing a class) */
	IST_ORDER,     /* a text t and a picture v: - sum max(0, t - v)^2, how far the picture is
			* from holding all that the text says; two of a kind: - |a - b|^2 */
	IST_N_SIMILARITIES
};
extern const char *const ist_similarity_names[IST_N_SIMILARITIES];

enum ist_need { IST_NEEDS_LABELS = 1, IST_NEEDS_TRIPLES = 2, IST_NEEDS_TOKENS = 4 };
enum ist_ability {
	IST_EMBED_IMAGE = 1,
	IST_EMBED_TEXT = 2,
	IST_COMPOSE = 4,
	IST_CAPTION = 8,
	IST_RENDER = 16,
	IST_RECONSTRUCT = 32,
};

enum ist_part { IST_TRAIN, IST_VALIDATION, IST_TEST, IST_UNUSED, IST_N_PARTS };

/* Triples for composed retrieval: a reference picture, a text that says what to change, and the
 * picture that is wanted. A triple has its ends' part where both have the same, else IST_UNUSED. */
struct ist_triples {
	size_t n, n_images;
	const float *image;		    /* (n_images, dim[IST_IMAGE]) every picture, once */
	const uint8_t *image_part;	    /* (n_images) enum ist_part; a part's gallery */
	const int64_t *item;		    /* (n_images) rows of the store */
	const float *text;		    /* (n, dim[IST_TEXT]) */
	const uint32_t *reference, *target; /* (n) rows of image */
	const uint8_t *part;		    /* (n) */
};

/* What a training learns from. All arrays are borrowed and outlive the training. */
struct ist_pairs {
	size_t n;		      /* pairs; each further text of an item is a further pair */
	size_t dim[IST_N_MODALITIES]; /* widths of the features */
	const float *x[IST_N_MODALITIES]; /* (n, dim[m]) row-major */
	const int32_t *label;		  /* (n) 0 .. n_classes-1, -1 where there is none */
	size_t n_classes;
	const int64_t *item; /* (n) rows of the store; equal where two pairs share an item */
	const uint8_t *part; /* (n) enum ist_part */
	bool counts[IST_N_MODALITIES]; /* features are counts (see encoder.h) */
	enum ist_form form[IST_N_MODALITIES];
	const char *const *text; /* (n) UTF-8, NULL where none is stored; NULL: not loaded */
	bool same_space;	 /* both encoders share one space, so identity can cross (CLIP) */
	const struct ist_triples *triples; /* where the method needs them, else NULL */
};

struct ist_model;
struct ist_network_kind;

/* How a training talks to whoever started it; every member but `user` may be NULL. */
struct ist_train_hooks {
	void *user;
	void (*progress)(void *user, double fraction, const char *stage);
	void (*curve)(void *user, const char *name, double step, double value);
	/* Asked at least every 200 ms of work; true ends the training with IST_CANCELLED after a
	 * checkpoint. May also wait, so that queries go first. */
	bool (*stop)(void *user);
	/* For early stopping inside a method: how well a half-trained model does on the validation
	 * part (greater is better), NAN where there is none. */
	double (*validate)(void *user, const struct ist_model *model);
	const char *checkpoint_dir; /* resumed from if it holds one, bit for bit */
};

/* A parameter worth tuning, and the values to try beside its default; of a choice its number. */
struct ist_tuning {
	const char *param;
	double value[4];
	size_t n;
};

/* The parameters that give a model an ability which it has not with the defaults, as members of a
 * JSON object: what the refusal of a model without it says. */
struct ist_unlock {
	unsigned ability; /* enum ist_ability */
	const char *params;
};

/* A sentence that a model writes. */
struct ist_caption {
	const char *text;
	double log_probability;
};

struct ist_method {
	const char *name, *title;
	const char *about; /* what it is for, for who chooses; NULL: the title says it */
	struct {
		const char *title, *authors, *venue;
		int year;
		bool reconstruction; /* the loss is inferred from an abstract */
	} paper;		     /* title NULL for what is no paper */
	unsigned needs, can;	     /* enum ist_need, enum ist_ability */
	bool trains;		     /* false: identity */
	bool reads_texts;	     /* the training wants pairs.text */
	const struct ist_param *params;
	size_t n_params;
	const struct ist_tuning *tune; /* the two or three that matter most, in that order */
	size_t n_tune;
	/* Fits on the pairs whose part is IST_TRAIN, chooses on IST_VALIDATION only, never reads
	 * IST_TEST. The data-dependent parameters are written into `params`. */
	enum ist_code (*train)(const struct ist_pairs *pairs, json_t *params, uint64_t seed,
			       const struct ist_train_hooks *hooks, struct ist_model **ret,
			       struct ist_err *err);
	/* Reads what save wrote into a folder that already holds manifest.json. */
	enum ist_code (*load)(struct ist_model *model, const char *folder, struct ist_err *err);
	enum ist_code (*save)(const struct ist_model *model, const char *folder,
			      struct ist_err *err);
	void (*destroy)(struct ist_model *model); /* frees model->state */
	/* The same weights under another choice of the parameter `similarity`; NULL where a method
	 * has one way to rank. train() with that parameter null returns any of them, and ist_train
	 * keeps the one that does best on validation. */
	enum ist_code (*variant)(const struct ist_model *model, const char *similarity,
				 struct ist_model **ret, struct ist_err *err);
	/* x (n, dim_in[m]) -> ret (n, dim[m]). Any number of threads at once. */
	enum ist_code (*embed)(const struct ist_model *model, enum ist_modality m, const float *x,
			       size_t n, float *ret, struct ist_err *err);
	/* The embeddings of queries of modality `from` against items of modality `to`, where they
	 * are not those of items; NULL: they are. x (n, dim_in[from]) -> ret (n, dim[to]). */
	enum ist_code (*embed_query)(const struct ist_model *model, enum ist_modality from,
				     enum ist_modality to, const float *x, size_t n, float *ret,
				     struct ist_err *err);
	/* IST_COMPOSE: the query that a reference picture and a text make together, against
	 * pictures. image (n, dim_in[IST_IMAGE]), text (n, dim_in[IST_TEXT]) -> ret (n,
	 * dim[IST_IMAGE]). */
	enum ist_code (*compose)(const struct ist_model *model, const float *image,
				 const float *text, size_t n, float *ret, struct ist_err *err);
	/* IST_RECONSTRUCT: the features of modality `to` that features of `from` call up, in the
	 * encoder's own scale: x (n, dim_in[from]) -> ret (n, dim_in[to]). Any number of threads.
	 */
	enum ist_code (*reconstruct)(const struct ist_model *model, enum ist_modality from,
				     enum ist_modality to, const float *x, size_t n, float *ret,
				     struct ist_err *err);
	/* What a model with these parameters can do, of `can`; NULL: all of it. */
	unsigned (*abilities)(const json_t *params);
	const struct ist_unlock *unlocks; /* where that leaves something out by default */
	size_t n_unlocks;
	/* IST_CAPTION: sentences for a picture's feature x (dim_in[IST_IMAGE]), the most probable
	 * first, by a beam of that breadth (1: greedy). At most `beam` into ret, which has room for
	 * them; texts live in the arena. Any number of threads. */
	enum ist_code (*caption)(const struct ist_model *model, const float *x, size_t beam,
				 struct ist_arena *arena, struct ist_caption *ret, size_t *ret_n,
				 struct ist_err *err);
	/* IST_RENDER: pictures of a text's feature x (dim_in[IST_TEXT]), each from noise of its own
	 * that follows from the seed: ret (count, side, side, 3), 8 bits a channel. Any number of
	 * threads. */
	size_t (*render_side)(const struct ist_model *model);
	enum ist_code (*render)(const struct ist_model *model, const float *x, uint64_t seed,
				size_t count, uint8_t *ret, struct ist_err *err);
	/* Where models are networks (network.h). */
	const struct ist_network_kind *network;
};
extern const struct ist_method *const ist_methods[];	    /* ends with NULL */
const struct ist_method *ist_method_find(const char *name); /* NULL: none */

/* enum ist_ability of a model with these parameters. */
unsigned ist_method_abilities(const struct ist_method *method, const json_t *params);

/* Whom a query comes from, beside the modalities: a picture and a text together. */
#define IST_COMPOSED IST_N_MODALITIES
#define IST_N_SIDES (IST_N_MODALITIES + 1)

/* Logistic map from a similarity of a direction (query modality -> answer modality) to the
 * probability of a true match, fitted on validation; and the spread of random pairs. */
struct ist_calibration {
	bool fitted;
	double slope, offset;
	double mean, sd; /* of random pairs */
};

struct ist_model {
	const struct ist_method *method;
	json_t *params;
	enum ist_similarity similarity;
	size_t dim_in[IST_N_MODALITIES];
	size_t dim[IST_N_MODALITIES]; /* of embeddings; equal unless the spaces are apart */
	bool crosses;		      /* image and text embeddings can be compared */
	struct ist_calibration calibration[IST_N_SIDES][IST_N_MODALITIES]; /* from, to */
	uint64_t seed;
	json_t *data; /* what it learned from (fingerprint, counts), for the manifest; or NULL */
	void *state;  /* the method's */
	int refs;     /* atomic */
};

/* Checks what a client sent against the table (unknown keys, types, ranges; pointers are relative
 * to the params object) and fills in defaults. `given` may be NULL. */
IST_CHECKED enum ist_code ist_params_complete(const struct ist_method *method, const json_t *given,
					      json_t **ret, struct ist_err *err);
long ist_param_int(const json_t *params, const char *name);
double ist_param_real(const json_t *params, const char *name);
bool ist_param_bool(const json_t *params, const char *name);
const char *ist_param_choice(const json_t *params, const char *name);
bool ist_param_is_null(const json_t *params, const char *name);
/* Where a choice stands in its table, which has been checked to hold it. */
int ist_param_position(const json_t *params, const char *name, const char *const *choices);
/* The value of a parameter that was left open; takes `value` over. */
void ist_param_decide(json_t *params, const char *name, json_t *value);

struct ist_model *ist_model_create(const struct ist_method *method); /* one reference */
struct ist_model *ist_model_ref(struct ist_model *model);
void ist_model_unref(struct ist_model *model);
/* For `ist_auto(ist_model_unref_ptr) struct ist_model *model`. */
static inline void ist_model_unref_ptr(struct ist_model **model)
{
	ist_model_unref(*model);
}
/* The folder is made; manifest.json (which carries the checksum of model.safetensors, where the
 * method writes one) is written last and durably. */
IST_CHECKED enum ist_code ist_model_save(const struct ist_model *model, const char *folder,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_model_load(const char *folder, struct ist_model **ret,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_model_embed(const struct ist_model *model, enum ist_modality m,
					  const float *x, size_t n, float *ret,
					  struct ist_err *err);
/* Of queries: what embed says, unless the method embeds them in another way than items. */
IST_CHECKED enum ist_code ist_model_embed_query(const struct ist_model *model,
						enum ist_modality from, enum ist_modality to,
						const float *x, size_t n, float *ret,
						struct ist_err *err);
/* struct ist_method's compose. */
IST_CHECKED enum ist_code ist_model_compose(const struct ist_model *model, const float *image,
					    const float *text, size_t n, float *ret,
					    struct ist_err *err);
/* The calibrated probability of a true match, NAN where none was fitted. `from`: a modality, or
 * IST_COMPOSED. */
double ist_model_score(const struct ist_model *model, int from, enum ist_modality to,
		       double similarity);
/* (similarity - mean) / sd of random pairs of that direction; the similarity if unknown. */
double ist_model_standardise(const struct ist_model *model, int from, enum ist_modality to,
			     double similarity);
/* Another model of the same method, parameters, shape and data, without state and calibration. */
struct ist_model *ist_model_like(const struct ist_model *model);
/* The identity model of a collection with these encoders: the encoders' own spaces. */
struct ist_model *ist_identity_create(const size_t dim[IST_N_MODALITIES], bool same_space);

#endif
