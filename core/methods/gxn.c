/*
 * GXN as a method: its parameters, and its models. The two levels become one embedding, so that an
 * index knows one definition of order: a text is [sqrt(lambda) |t_h|; sqrt(1 - lambda) |t_l|], a
 * picture the same of v, and the sum of max(0, t - v)^2 over all 2 d numbers is lambda times the
 * abstract level's violation plus 1 - lambda times the grounded one's. Where the violation is
 * max(0, v - t), numbers x become sqrt(lambda) - x, which turns the order around. With cosine there
 * is no absolute value, and the inner product is lambda h + (1 - lambda) l.
 */
#include "core/methods/gxn.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/defaults.h"
#include "core/methods/image_network.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"
#include "core/tensor/ops.h"

static const char *const similarities[] = {"order", "cosine", NULL};
static const char *const violations[] = {"text_over_image", "image_over_text", NULL};
static const char *const negatives[] = {"sum", "hardest", NULL};
static const char *const text_networks[] = {"linear", "gru", NULL};
static const char *const rates[] = {"constant", "cosine", NULL};
static const char *const generators[] = {"none", "feature", "pixels", NULL};

static const struct ist_param params[] = {
    IST_INT("code", 256, 2, 2048, "Dimensions of each of the two levels (d)"),
    IST_CHOICE(
	"similarity", similarities,
	"How the levels compare: by order (what a text says, its picture holds), or by cosine"),
    IST_CHOICE("violation", violations,
	       "What breaks the order: a text's number above its picture's, or the reverse"),
    IST_CHOICE(
	"negatives", negatives,
	"Of a batch in the ranking loss: all, or after a fifth of the epochs the hardest one"),
    IST_REAL("lambda", .5, 0, 1, "Weight of the abstract level; the grounded one has the rest"),
    IST_REAL_BY_DATA("margin", 0, 10, "Of the ranking loss (alpha); .2, of pixels .05"),
    IST_PARAM_IMAGE_NETWORK,
    IST_CHOICE_BY_DATA(
	"text_network", text_networks,
	"Over texts' features; gru: one both ways for the abstract level and one for the "
	"grounded, over what the encoder \"words\" makes, and the default there"),
    IST_PARAM_CHANNELS,
    IST_INT("hidden", 64, 2, 2048, "Units of each gru"),
    IST_INT("word_width", 64, 2, 2048, "Dimensions of a word's vector"),
    IST_INT_BY_DATA("vocabulary", 1, 10000000, "Words that the training texts hold"),
    IST_REAL_BY_DATA("dropout", 0, .95,
		     "Share of the numbers under the last maps that a step leaves out; .5, of "
		     "pixels 0"),
    IST_INT_BY_DATA("epochs", 1, 100000,
		    "Passes over the training pairs; by default 50 (cosine: 20), and 300 to 6,000 "
		    "(120 to 2,500) steps; of pixels as many as make 1,500; with a generator, "
		    "or captions of pixels, at least 5,000"),
    IST_INT("batch", 64, 2, 4096,
	    "Pairs of a step; the last incomplete batch of an epoch is dropped"),
    IST_REAL_BY_DATA("lr", 1e-8, 1, "Learning rate of the encoders' AdamW; 1e-3, of pixels 2e-3"),
    IST_CHOICE_BY_DATA(
	"lr_schedule", rates,
	"Of the encoders' rate and of caption_lr; cosine: falling to 0, the default with "
	"captions, whose pictures' statistics must come to rest"),
    IST_REAL_BY_DATA("weight_decay", 0, 1, "AdamW's decay; .1, of pixels 0"),
    IST_BOOL("captions", false, "Learn to write sentences from pictures (needs stored texts)"),
    IST_INT_BY_DATA("dictionary", 1, 60000,
		    "Words that sentences are made of, the most frequent ones; all, up to 5,000"),
    IST_INT("caption_words", 20, 1, 200, "The longest sentence; longer texts are cut"),
    IST_INT("decoder", 128, 2, 4096, "Units of the sentence decoder"),
    IST_REAL("caption_lr", 3e-3, 1e-8, 1, "Learning rate of its Adam under cross-entropy"),
    IST_INT_BY_DATA("scst_epochs", 0, 100000,
		    "The last epochs, which add self-critical training on CIDEr-D; by default a "
		    "seventh"),
    IST_REAL("scst_lr", 2e-4, 1e-8, 1, "Learning rate of the decoder in these epochs"),
    IST_REAL("gamma", .9, 0, 1, "Share of the self-critical loss in them"),
    IST_REAL("sampling", .25, 0, 1,
	     "Scheduled sampling: share of own words in place of the true ones, reached slowly"),
    IST_CHOICE("generator", generators,
	       "What is imagined from texts: nothing, pictures' features, or pictures (needs the "
	       "image encoder \"pixels\")"),
    IST_INT("z", 32, 1, 1024, "Dimensions of the generator's noise"),
    IST_INT("condition", 64, 1, 1024, "Dimensions of what it sees of a text (t_c)"),
    IST_INT("generator_width", 32, 1, 512, "Channels of the generator's widest map but its first"),
    IST_INT("critic_width", 32, 1, 512, "Channels of the discriminator's first layer"),
    IST_REAL("beta_f", .5, 0, 100, "Weight of generated pictures in the discriminator's loss"),
    IST_REAL("beta_w", .5, 0, 100, "Weight of true pictures under wrong texts in it"),
    IST_BOOL("projection", true,
	     "The discriminator of pictures also weighs what is seen times what is asked for, "
	     "number by number (not in the paper)"),
    IST_INT("wrong_draws", 1, 1, 1024,
	    "A wrong text is the most alike of so many drawn from the batch (not in the paper)"),
    IST_REAL("beta_s", 2, 0, 100, "Weight of the condition's divergence from N(0, 1)"),
    IST_REAL("gan_lr", 4e-4, 1e-8, 1, "Learning rate of the generator (StackGAN: 2e-4)"),
    IST_REAL("critic_lr", 2e-4, 1e-8, 1, "Learning rate of the discriminator"),
    IST_REAL("instance_noise", .15, 0, 2,
	     "Noise on all pictures that the discriminator sees, of values -1 .. 1: its standard "
	     "deviation at the start, falling to 0 (not in the paper)"),
    IST_REAL("smoothing", .1, 0, .5,
	     "The discriminator's target for true pairs is 1 minus that (not in the paper)"),
    IST_REAL("average", .999, 0, .99999,
	     "The model keeps a running average of the generator: how much of it stays at a step; "
	     "0: the last one"),
    IST_CHOICE_BY_DATA(
	"image_scaling", ist_scaling_names,
	"What is done to pictures' features first; by default sqrt_l2, or unit where some "
	"are negative; pixels: none"),
    IST_CHOICE_BY_DATA("text_scaling", ist_scaling_names,
		       "What is done to texts' features first; by default unit; words: none"),
    IST_PARAM_PATIENCE,
};

static const struct ist_tuning tune[] = {
    {"similarity", {1}, 1},
    {"margin", {.1, .3}, 2},
    {"dropout", {.2, .7}, 2},
    {"lambda", {.25, .75}, 2},
};

/* ---- what the data decide ---- */

static bool chosen(const json_t *p, const char *name, const char *value)
{
	return strcmp(ist_param_choice(p, name), value) == 0;
}

/* Where features come from a pretrained encoder, and where from pixels or words. */
static const struct {
	double margin, dropout, lr, weight_decay;
} usual[] = {{.2, .5, 1e-3, .1}, {.05, 0, 2e-3, 0}};

/* Epochs where features are maps of a pretrained encoder, by similarity; but so many steps at
 * least, for pairs that are few, and at most, for those that are many. */
static const struct {
	double epochs, least, most;
} schedule[] = {[IST_COSINE] = {20, 120, 2500}, [IST_ORDER] = {50, 300, 6000}};

#define STEPS_RAW 1500	      /* networks that learn to see or to read */
#define STEPS_GENERATORS 5000 /* pictures, and sentences about pixels, come after a plateau */
#define SCST_SHARE 7

static void decide_epochs(json_t *p, const struct ist_gxn_data *data, bool raw)
{
	int score = chosen(p, "similarity", "order") ? IST_ORDER : IST_COSINE;
	double batch = fmin((double)ist_param_int(p, "batch"), (double)data->n_rows);
	double steps = fmax(floor((double)data->n_rows / fmax(batch, 1)), 1);
	double epochs = fmin(schedule[score].epochs, ceil(schedule[score].most / steps));

	epochs = fmax(epochs, ceil(schedule[score].least / steps));
	if (raw)
		epochs = ceil(STEPS_RAW / steps);
	if ((raw && ist_param_bool(p, "captions")) || !chosen(p, "generator", "none"))
		epochs = fmax(epochs, ceil(STEPS_GENERATORS / steps));
	ist_param_decide(p, "epochs", json_integer((json_int_t)epochs));
	ist_param_decide(p, "scst_epochs",
			 json_integer(ist_param_bool(p, "captions")
					  ? ist_param_int(p, "epochs") / SCST_SHARE
					  : 0));
}

/* What was decided stands in the model's parameters, so that a report says what was used. */
void ist_gxn_decide(json_t *p, const struct ist_gxn_data *data)
{
	bool pixels = data->form[IST_IMAGE] == IST_FORM_PIXELS;
	bool words = data->form[IST_TEXT] == IST_FORM_WORDS, raw;

	ist_param_decide(p, "image_network", json_string(ist_image_networks[pixels]));
	ist_param_decide(p, "text_network", json_string(text_networks[words]));
	raw = chosen(p, "image_network", "cnn") || chosen(p, "text_network", "gru");
	ist_param_decide(p, "margin", json_real(usual[raw].margin));
	ist_param_decide(p, "dropout", json_real(usual[raw].dropout));
	ist_param_decide(p, "lr", json_real(usual[raw].lr));
	ist_param_decide(p, "lr_schedule", json_string(rates[ist_param_bool(p, "captions")]));
	ist_param_decide(p, "weight_decay", json_real(usual[raw].weight_decay));
	ist_param_decide(p, "vocabulary",
			 json_integer((json_int_t)IST_MAX(data->vocabulary, (size_t)1)));
	ist_param_decide(p, "dictionary",
			 json_integer((json_int_t)IST_MAX(data->dictionary, (size_t)1)));
	ist_param_decide(p, "image_scaling",
			 json_string(pixels	      ? "none"
				     : data->negative ? "unit"
						      : "sqrt_l2"));
	ist_param_decide(p, "text_scaling", json_string(words ? "none" : "unit"));
	decide_epochs(p, data, raw);
}

static void caption_settings(const json_t *p, struct ist_gxn_settings *s)
{
	s->captions = ist_param_bool(p, "captions");
	s->dictionary = (size_t)ist_param_int(p, "dictionary");
	s->caption_words = (size_t)ist_param_int(p, "caption_words");
	s->decoder = (size_t)ist_param_int(p, "decoder");
	s->caption_lr = ist_param_real(p, "caption_lr");
	s->scst_lr = ist_param_real(p, "scst_lr");
	s->gamma = ist_param_real(p, "gamma");
	s->sampling = ist_param_real(p, "sampling");
}

static void generator_settings(const json_t *p, struct ist_gxn_settings *s)
{
	s->generator = (enum ist_gxn_generator)ist_param_position(p, "generator", generators);
	s->z = (size_t)ist_param_int(p, "z");
	s->condition = (size_t)ist_param_int(p, "condition");
	s->g = (size_t)ist_param_int(p, "generator_width");
	s->f = (size_t)ist_param_int(p, "critic_width");
	s->beta_f = ist_param_real(p, "beta_f");
	s->beta_w = ist_param_real(p, "beta_w");
	s->beta_s = ist_param_real(p, "beta_s");
	s->projection = ist_param_bool(p, "projection");
	s->wrong_draws = (size_t)ist_param_int(p, "wrong_draws");
	s->gan_lr = ist_param_real(p, "gan_lr");
	s->critic_lr = ist_param_real(p, "critic_lr");
	s->noise = ist_param_real(p, "instance_noise");
	s->smoothing = ist_param_real(p, "smoothing");
	s->average = ist_param_real(p, "average");
}

void ist_gxn_settings(const json_t *p, const size_t n_in[IST_N_MODALITIES], size_t n_classes,
		      void *ret)
{
	struct ist_gxn_settings *s = ret;

	(void)n_classes;
	*s = (struct ist_gxn_settings){
	    .n_in = {n_in[IST_IMAGE], n_in[IST_TEXT]},
	    .d = (size_t)ist_param_int(p, "code"),
	    .batch = (size_t)ist_param_int(p, "batch"),
	    .cnn = ist_param_position(p, "image_network", ist_image_networks) == 1,
	    .gru = ist_param_position(p, "text_network", text_networks) == 1,
	    .side = ist_pixels_side(n_in[IST_IMAGE]),
	    .channels = (size_t)ist_param_int(p, "channels"),
	    .vocabulary = (size_t)ist_param_int(p, "vocabulary"),
	    .words = n_in[IST_TEXT],
	    .hidden = (size_t)ist_param_int(p, "hidden"),
	    .word_width = (size_t)ist_param_int(p, "word_width"),
	    .score = chosen(p, "similarity", "order") ? IST_ORDER : IST_COSINE,
	    .image_over_text = chosen(p, "violation", "image_over_text"),
	    .hardest = chosen(p, "negatives", "hardest"),
	    .lambda = ist_param_real(p, "lambda"),
	    .margin = ist_param_real(p, "margin"),
	    .dropout = ist_param_real(p, "dropout"),
	    .lr = ist_param_real(p, "lr"),
	    .cosine_rate = chosen(p, "lr_schedule", "cosine"),
	    .weight_decay = ist_param_real(p, "weight_decay"),
	};
	caption_settings(p, s);
	generator_settings(p, s);
}

struct ist_optimiser ist_gxn_encoders_optimiser(const struct ist_gxn_settings *s)
{
	return (struct ist_optimiser){.rule = &ist_optimiser_adam,
				      .lr = s->lr,
				      .beta1 = .9,
				      .beta2 = .999,
				      .eps = 1e-8,
				      .weight_decay = s->weight_decay,
				      .decoupled = true,
				      .prefix = {"image.", "text."}};
}

/* ---- models ---- */

struct ist_weights *ist_gxn_theta(const void *settings, bool training)
{
	const struct ist_gxn_settings *s = settings;
	struct ist_weights *theta = ist_weights_create("theta");

	ist_gxn_declare_encoders(theta, s);
	if (s->captions)
		ist_gxn_declare_captions(theta, s);
	if (s->generator != IST_GXN_NONE)
		ist_gxn_declare_render(theta, s);
	ist_weights_allocate(theta, training);
	return theta;
}

/* sqrt(weight) |x|, or x with its sign. */
static ist_node *level(const struct ist_gxn_settings *s, ist_node *x, double weight)
{
	return ist_scale(s->score == IST_COSINE ? x : ist_abs(x), sqrt(weight));
}

/* Both levels as one embedding (N, 2 d). */
static ist_node *code(struct ist_graph *graph, struct ist_weights *weights, const void *settings,
		      enum ist_modality m, ist_node *x)
{
	const struct ist_gxn_settings *s = settings;
	struct ist_norms norms = {.training = false};
	struct ist_gxn_levels e = m == IST_IMAGE ? ist_gxn_image(&norms, graph, weights, s, x, NULL)
						 : ist_gxn_text(graph, weights, s, x, NULL);

	return ist_concat(level(s, e.h, s->lambda), level(s, e.l, 1 - s->lambda));
}

static size_t dim(const void *settings, enum ist_modality m)
{
	const struct ist_gxn_settings *s = settings;

	(void)m;
	return 2 * s->d;
}

const struct ist_network_kind ist_gxn_kind = {
    .settings_size = sizeof(struct ist_gxn_settings),
    .settings = ist_gxn_settings,
    .theta = ist_gxn_theta,
    .code = code,
    .dim = dim,
};

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	const struct ist_gxn_settings *s = ((const struct ist_network *)model->state)->settings;
	enum ist_code failed = ist_network_embed(model, m, x, n, ret, err);
	size_t dim = model->dim[m];

	if (failed != IST_OK || s->score != IST_ORDER || !s->image_over_text)
		return failed;
	for (size_t i = 0; i < n * dim; i++)
		ret[i] = (float)sqrt(i % dim < s->d ? s->lambda : 1 - s->lambda) - ret[i];
	return IST_OK;
}

/* Generators are there where they were trained. */
static unsigned abilities(const json_t *p)
{
	unsigned can = IST_EMBED_IMAGE | IST_EMBED_TEXT;

	if (ist_param_bool(p, "captions"))
		can |= IST_CAPTION;
	if (!chosen(p, "generator", "none"))
		can |= IST_RECONSTRUCT;
	if (chosen(p, "generator", "pixels"))
		can |= IST_RENDER;
	return can;
}

static const struct ist_unlock unlocks[] = {
    {IST_CAPTION, "\"captions\": true"},
    {IST_RENDER, "\"generator\": \"pixels\""},
    {IST_RECONSTRUCT, "\"generator\": \"feature\""},
};

const struct ist_method ist_method_gxn = {
    .name = "gxn",
    .title = "Look, imagine and match: two levels in one order, with sentences and pictures",
    .about = "Pairs without labels: the exact picture for a sentence and the sentence for a "
	     "picture; with captions it also writes sentences, with a generator it draws.",
    .paper = {.title = "Look, Imagine and Match: Improving Textual-Visual Cross-Modal Retrieval "
		       "with Generative Models",
	      .authors = "Jiuxiang Gu, Jianfei Cai, Shafiq Joty, Li Niu, Gang Wang",
	      .venue = "CVPR",
	      .year = 2018},
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT | IST_CAPTION | IST_RENDER | IST_RECONSTRUCT,
    .abilities = abilities,
    .unlocks = unlocks,
    .n_unlocks = IST_COUNT(unlocks),
    .trains = true,
    .reads_texts = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = ist_gxn_train,
    .load = ist_network_load,
    .save = ist_network_save,
    .destroy = ist_network_destroy,
    .embed = embed,
    .caption = ist_gxn_caption,
    .reconstruct = ist_gxn_reconstruct,
    .render_side = ist_gxn_render_side,
    .render = ist_gxn_render,
    .network = &ist_gxn_kind,
};
