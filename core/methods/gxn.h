/*
 * GXN (Gu, Cai, Joty, Niu, Wang: Look, Imagine and Match, CVPR 2018). Pictures and texts are
 * embedded on two levels, an abstract one (h) and a grounded one (l), and compared on both; while
 * it learns, a decoder writes sentences from v_l and a generator draws pictures (or makes features)
 * from t_l, so that the grounded level holds what can be said and seen. Private to gxn*.c, tests
 * and benchmarks.
 */
#ifndef IST_CORE_METHODS_GXN_H
#define IST_CORE_METHODS_GXN_H

#include "core/base/rng.h"
#include "core/methods/layers.h"
#include "core/methods/network.h"
#include "core/tensor/optimiser.h"

enum ist_gxn_generator { IST_GXN_NONE, IST_GXN_FEATURE, IST_GXN_PIXELS };

struct ist_gxn_settings {
	size_t n_in[IST_N_MODALITIES];
	size_t d, batch; /* of a level; pairs of a step */
	bool cnn; /* pictures are pixels, seen by a convolutional network; else linear maps */
	bool gru; /* texts are words, read by gated recurrent units; else linear maps */
	size_t side, channels;	   /* of the pictures; of the first layer, doubled by each */
	size_t vocabulary;	   /* words that training has seen */
	size_t words;		   /* T: the longest text of a training; else all of n_in */
	size_t hidden, word_width; /* of a reader's state; of a word's vector */
	enum ist_similarity score; /* IST_ORDER or IST_COSINE */
	bool image_over_text;	   /* order: a violation is max(0, v - t), else max(0, t - v) */
	bool hardest;		   /* after a warm-up only the hardest negative counts, else all */
	double lambda, margin;	   /* weight of the abstract level; alpha */
	double dropout, lr, weight_decay;
	bool cosine_rate; /* learning rates fall to 0, else they stay */

	bool captions;
	size_t dictionary;    /* words that a sentence may be made of */
	size_t caption_words; /* the longest sentence */
	size_t decoder;	      /* units of the decoder */
	double caption_lr, scst_lr;
	double gamma;	 /* share of L_rl in the mix of the last epochs */
	double sampling; /* scheduled sampling's largest share of own words */

	enum ist_gxn_generator generator;
	size_t z, condition; /* noise; t_c */
	size_t g, f;	     /* widths of generator and discriminator */
	double beta_f, beta_w, beta_s;
	bool projection;	  /* D also weighs a product of picture and text */
	size_t wrong_draws;	  /* a wrong text is the most alike of so many */
	double gan_lr, critic_lr; /* of G, of D */
	double smoothing;	  /* D's target for true pairs is 1 minus that */
	double noise;		  /* sd on all pictures that D sees, at the start; 0 at the end */
	double average; /* how slowly the kept generator follows the live one; 0: at once */
};

/* ---- encoders (gxn_encoders.c) ---- */

/* Each (N, d) of unit length, before the absolute value: what the generators start from. */
struct ist_gxn_levels {
	ist_node *h, *l;
};

void ist_gxn_declare_encoders(struct ist_weights *theta, const struct ist_gxn_settings *s);
/* Of scaled features (N, n_in). `mask` (N, ist_gxn_mask_width) is multiplied into what the last
 * maps see: 0 or 1 / (1 - dropout); NULL: nothing is dropped. */
struct ist_gxn_levels ist_gxn_image(struct ist_norms *norms, struct ist_graph *graph,
				    struct ist_weights *theta, const struct ist_gxn_settings *s,
				    ist_node *features, ist_node *mask);
/* Of scaled features, or of codes of words (N, T). */
struct ist_gxn_levels ist_gxn_text(struct ist_graph *graph, struct ist_weights *theta,
				   const struct ist_gxn_settings *s, ist_node *features,
				   ist_node *mask);
/* t_l alone, nothing dropped. */
ist_node *ist_gxn_text_grounded(struct ist_graph *graph, struct ist_weights *theta,
				const struct ist_gxn_settings *s, ist_node *features);
size_t ist_gxn_mask_width(const struct ist_gxn_settings *s, enum ist_modality m);
/* Columns of the input that training reads of a modality: n_in, or `words` of texts. */
size_t ist_gxn_width(const struct ist_gxn_settings *s, enum ist_modality m);

/* ---- a step's data (gxn_train.c) ---- */

/* The same arrays at every step. Draws come from (seed, a name of one's own, step) alone, so that a
 * resumed training has the same bits. */
struct ist_gxn_batch {
	uint64_t seed;
	size_t epoch, step;		     /* step: since the training began */
	const ist_real *x[IST_N_MODALITIES]; /* (batch, ist_gxn_width) scaled */
	const int32_t *item;		     /* (batch) equal where pairs share an item */
	const uint32_t *row;		     /* (batch) rows of the training's pairs */
	const char *const *text;	     /* (batch) NULL where captions are off */
	bool scst;			     /* the last epochs: L_xe+rl; before them L_xe */
	double phase;			     /* 0 .. 1: how much of these epochs is over */
	double rate;			     /* factor on learning rates */
};
/* For draws of one step: ist_rng_init, then a stream of that step's. */
void ist_gxn_rng(const struct ist_gxn_batch *batch, const char *name, struct ist_rng *ret);
/* Fills a mask, where there is one: 0 with probability p, else 1 / (1 - p). */
void ist_gxn_drop(ist_node *mask, double p, struct ist_rng *rng);

/* ---- matching (gxn_ranking.c) ---- */

/* L_R+ over a batch. Both graphs' root: all negatives, the hardest ones. */
struct ist_gxn_ranking {
	struct ist_gxn_settings s;
	struct ist_weights *theta;
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *x[IST_N_MODALITIES], *mask[IST_N_MODALITIES], *item;
	struct ist_gxn_levels v, t;
	ist_node *score; /* (N, N) s*: rows texts, columns pictures */
	ist_node *L_sum, *L_hardest;
};

/* s* of texts' levels (N, d) and pictures' (M, d): (N, M). */
ist_node *ist_gxn_score(const struct ist_gxn_settings *s, struct ist_gxn_levels t,
			struct ist_gxn_levels v);
IST_CHECKED enum ist_code ist_gxn_ranking_create(const struct ist_gxn_settings *s,
						 struct ist_weights *theta,
						 struct ist_gxn_ranking **ret, struct ist_err *err);
void ist_gxn_ranking_destroy(struct ist_gxn_ranking *ranking);
/* One step; `again`: the second of a batch, with a dropout of its own. Returns L_R+. */
double ist_gxn_ranking_step(struct ist_gxn_ranking *ranking, const struct ist_gxn_batch *batch,
			    bool hardest, bool again, struct ist_optimiser *encoders);
/* A pass that moves nothing but the running statistics, by that momentum. */
void ist_gxn_ranking_settle(struct ist_gxn_ranking *ranking, const struct ist_gxn_batch *batch,
			    double momentum);

/* ---- image -> text (gxn_caption.c, gxn_judge.c, gxn_decode.c) ---- */

struct ist_gxn_captions;
struct ist_gxn_caption_terms {
	double L_xe, L_rl, reward; /* reward: mean CIDEr-D of drawn sentences */
};

/* Words of a dictionary made of the texts of these rows: the parameter `dictionary`. */
size_t ist_gxn_dictionary_size(const struct ist_pairs *pairs, const uint32_t *rows, size_t n);
void ist_gxn_declare_captions(struct ist_weights *theta, const struct ist_gxn_settings *s);
/* rows: what is trained on, for the dictionary, the references and their document frequencies. */
IST_CHECKED enum ist_code
ist_gxn_captions_create(const struct ist_gxn_settings *s, struct ist_weights *theta,
			const struct ist_pairs *pairs, const uint32_t *rows, size_t n,
			struct ist_gxn_captions **ret, struct ist_err *err);
void ist_gxn_captions_destroy(struct ist_gxn_captions *captions);
/* After weights were started or a checkpoint was read: the dictionary into theta. */
void ist_gxn_captions_start(struct ist_gxn_captions *captions);
/* A step on (7), L_xe or (1 - gamma) L_xe + gamma L_rl: of the encoders and of its own optimiser.
 */
void ist_gxn_captions_step(struct ist_gxn_captions *captions, const struct ist_gxn_batch *batch,
			   struct ist_optimiser *encoders, struct ist_gxn_caption_terms *ret);
/* The mean CIDEr-D of greedy sentences for pictures of the validation part, some hundred at most,
 * against their own texts; NAN where there are none. Features are scaled by the network's. */
double ist_gxn_captions_judge(struct ist_gxn_captions *captions, const struct ist_network *network,
			      const struct ist_pairs *pairs);
/* struct ist_method's caption. */
IST_CHECKED enum ist_code ist_gxn_caption(const struct ist_model *model, const float *x,
					  size_t beam, struct ist_arena *arena,
					  struct ist_caption *ret, size_t *ret_n,
					  struct ist_err *err);

/* ---- text -> image (gxn_generator.c, gxn_imagine.c, gxn_render.c) ---- */

/*
 * Three groups: `theta` keeps render.* (phi, mu, sigma, G) as a running average of the live ones,
 * which are the group `generator` and have its name for a prefix; `critic` is D. The last two are
 * the caller's to start and destroy, allocated for training, and needed only to resume.
 */
void ist_gxn_declare_render(struct ist_weights *theta, const struct ist_gxn_settings *s);
struct ist_weights *ist_gxn_generator(const struct ist_gxn_settings *s);
struct ist_weights *ist_gxn_critic(const struct ist_gxn_settings *s);

/* N(mu, sigma), from which t_c is drawn: (N, condition) of t_l (N, d). */
struct ist_gxn_condition {
	ist_node *mu, *log_variance;
};
struct ist_gxn_condition ist_gxn_condition(struct ist_graph *graph, struct ist_weights *group,
					   const char *part, const struct ist_gxn_settings *s,
					   ist_node *t_l);
/* G(z, t_c): pictures (N, 3, side, side) in -1 .. 1, or scaled features (N, n_in). */
ist_node *ist_gxn_generate(struct ist_norms *norms, struct ist_graph *graph,
			   struct ist_weights *group, const char *part,
			   const struct ist_gxn_settings *s, ist_node *z, ist_node *t_c);
/* D in two steps, so that one look serves several texts: what it sees of pictures (N, 3, side,
 * side) or of features (N, n_in), and the logits (N values) of that being what t_l says. */
ist_node *ist_gxn_look(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *critic,
		       const struct ist_gxn_settings *s, ist_node *x);
ist_node *ist_gxn_judge(struct ist_norms *norms, struct ist_graph *graph,
			struct ist_weights *critic, const struct ist_gxn_settings *s,
			ist_node *seen, ist_node *t_l);

/* What D learns from: features (or pictures) of true pairs, what G makes of their texts, those
 * texts' levels and another item's. L = L_real + beta_w L_wrong + beta_f L_fake. */
struct ist_gxn_judges {
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *real, *fake, *t_l, *t_wrong;
	ist_node *L_real, *L_wrong, *L_fake, *L;
};
/* What G and the reader of texts learn from: L = L_fool + beta_s L_KL. */
struct ist_gxn_dreams {
	struct ist_graph *graph;
	struct ist_norms norms; /* of the generator alone: D's are not tracked */
	ist_node *text, *z, *eps, *t_l, *fake, *noise; /* noise NULL: none */
	ist_node *L_fool, *L_KL, *L;
};

/* What the model will draw with: the kept generator, as a query runs it but for its statistics. */
struct ist_gxn_rest {
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *text, *z;
};

struct ist_gxn_imagine {
	struct ist_gxn_settings s;
	struct ist_weights *theta, *generator, *critic;
	struct ist_gxn_judges judges;
	struct ist_gxn_dreams dreams;
	struct ist_gxn_rest rest;
	struct ist_optimiser optimiser_G, optimiser_D;
	struct ist_weight **kept; /* (generator->n) theta's counterparts */
	ist_real *noise;	  /* numbers that noise on pictures is taken from; or NULL */
};
struct ist_gxn_imagine_terms {
	double L_D, L_G, L_KL; /* L_G: of -log D(G(z, t_c), t_l) alone */
};

IST_CHECKED enum ist_code ist_gxn_imagine_create(const struct ist_gxn_settings *s,
						 struct ist_weights *theta,
						 struct ist_weights *generator,
						 struct ist_weights *critic,
						 struct ist_gxn_imagine **ret, struct ist_err *err);
void ist_gxn_imagine_destroy(struct ist_gxn_imagine *imagine);
/* D's step, then G's, which also steps the encoders (t_l's way through t_c). Pictures are read from
 * the batch as the encoder "pixels" makes them: image_scaling has to be none for them. */
void ist_gxn_imagine_step(struct ist_gxn_imagine *imagine, const struct ist_gxn_batch *batch,
			  struct ist_optimiser *encoders, struct ist_gxn_imagine_terms *ret);
/* One batch's share of the kept generator's statistics, taken while its weights rest: averages of
 * statistics are not the statistics of averaged weights. */
void ist_gxn_imagine_settle(struct ist_gxn_imagine *imagine, const struct ist_gxn_batch *batch,
			    double momentum);
/* G(z, mu(t_l)) of scaled texts (N, n_in) by the kept weights. */
ist_node *ist_gxn_draw(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *theta,
		       const struct ist_gxn_settings *s, ist_node *text, ist_node *z);
/* struct ist_method's render_side, render and reconstruct. */
size_t ist_gxn_render_side(const struct ist_model *model);
IST_CHECKED enum ist_code ist_gxn_render(const struct ist_model *model, const float *x,
					 uint64_t seed, size_t count, uint8_t *ret,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_gxn_reconstruct(const struct ist_model *model, enum ist_modality from,
					      enum ist_modality to, const float *x, size_t n,
					      float *ret, struct ist_err *err);

/* ---- the method (gxn.c) ---- */

/* What the data decide where nothing is said. */
struct ist_gxn_data {
	enum ist_form form[IST_N_MODALITIES];
	bool negative; /* some pictures' features are */
	size_t n_rows, vocabulary, dictionary;
};
void ist_gxn_decide(json_t *params, const struct ist_gxn_data *data);
void ist_gxn_settings(const json_t *params, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		      void *ret);
/* Everything that a model keeps: encoders, and the generators that are on. */
struct ist_weights *ist_gxn_theta(const void *settings, bool training);
extern const struct ist_network_kind ist_gxn_kind;
/* The encoders' optimiser: AdamW over image.* and text.*. */
struct ist_optimiser ist_gxn_encoders_optimiser(const struct ist_gxn_settings *s);

/* struct ist_method's train (gxn_train.c). */
IST_CHECKED enum ist_code ist_gxn_train(const struct ist_pairs *pairs, json_t *params,
					uint64_t seed, const struct ist_train_hooks *hooks,
					struct ist_model **ret, struct ist_err *err);

#endif
