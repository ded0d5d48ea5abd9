/*
 * GXN's sentences in training (the paper's equations 4 to 7). A batch's references are unrolled
 * over time under cross-entropy; by scheduled sampling some of the words that the decoder reads are
 * its own. In the self-critical phase sentences that it draws stand below them, each word's
 * log-probability weighted by how much better the whole sentence did, by CIDEr-D with the end as a
 * word, than the one that the decoder writes when it always takes the most probable word:
 *
 *   L_xe = -mean log p(w_t | w_<t, v_l)        L_rl = -mean (r(c~) - r(c-)) log p(c~_t)
 *   L = (1 - gamma) L_xe + gamma L_rl
 *
 * A step encodes the pictures, writes sentences word by word with the decoder of gxn_decode.c, and
 * runs the rest of the same graph over them. It allocates nothing after the second.
 */
#include "core/methods/gxn_caption.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/ops.h"

#define DICTIONARY 5000 /* words, unless more are asked for: the output's width */
/* Of Adam. While greedy sentences earn more than drawn ones, every word that is not drawn is pushed
 * up a little; Adam would make whole steps of that for the least probable ones. */
#define XE_EPS 1e-8
#define SCST_EPS 1e-3

/* ---- declaring ---- */

static const char **texts_of(const struct ist_pairs *pairs, const uint32_t *rows, size_t n)
{
	const char **text = ist_alloc(n + 1, sizeof(*text));

	for (size_t i = 0; i < n && pairs->text != NULL; i++)
		text[i] = pairs->text[rows[i]];
	return text;
}

size_t ist_gxn_dictionary_size(const struct ist_pairs *pairs, const uint32_t *rows, size_t n)
{
	ist_autofree const char **text = texts_of(pairs, rows, n);
	struct ist_dictionary dictionary;
	size_t words;

	ist_dictionary_init(&dictionary, text, n, DICTIONARY);
	words = dictionary.n;
	ist_dictionary_finish(&dictionary);
	return words;
}

/* The dictionary is no weight that moves. v_l has unit length: P starts large enough that what a
 * picture adds to a word is as large as the word. */
void ist_gxn_declare_captions(struct ist_weights *theta, const struct ist_gxn_settings *s)
{
	size_t h = s->decoder, v = IST_TOKEN_WORDS + s->dictionary;

	ist_weights_add_normal(theta, "caption.dictionary", 2,
			       (size_t[]){s->dictionary, IST_DICTIONARY_BYTES}, 0, 0);
	ist_weights_add_normal(theta, "caption.words", 2, (size_t[]){v, h}, 0, 1);
	ist_weights_add_normal(theta, "caption.picture.weight", 2, (size_t[]){h, s->d}, 0, 1);
	ist_weights_add_normal(theta, "caption.picture.bias", 1, &h, 0, 0);
	ist_weights_add_linear(theta, "caption.input", h, 3 * h);
	ist_weights_add(theta, "caption.state.weight", 2, (size_t[]){3 * h, h}, h);
	ist_weights_add_linear(theta, "caption.output", h, v);
}

/* ---- unrolled ---- */

static void inputs(struct ist_gxn_unrolled *u, const struct ist_gxn_settings *s, bool samples)
{
	size_t all = u->moments * u->rows;

	u->said = ist_ids(u->graph, "said", all);
	u->steps = ist_input(u->graph, "steps", u->rows, u->moments);
	u->next = ist_ids(u->graph, "next", all);
	u->xe_weight = ist_input(u->graph, "xe weight", all, 1);
	u->rl_weight = samples ? ist_input(u->graph, "rl weight", all, 1) : NULL;
}

/* What is made before u->picture is known before anything is said. */
void ist_gxn_unroll(struct ist_gxn_unrolled *u, struct ist_weights *theta,
		    const struct ist_gxn_settings *s, size_t moments, bool samples)
{
	struct ist_graph *g = u->graph = ist_graph_create();
	size_t copies = samples ? 2 : 1;
	ist_node *words, *h;

	u->rows = copies * s->batch;
	u->moments = moments;
	u->norms.training = true;
	u->x = ist_input(g, "image", s->batch, s->n_in[IST_IMAGE]);
	if (s->dropout > 0)
		u->mask = ist_input(g, "mask", s->batch, ist_gxn_mask_width(s, IST_IMAGE));
	u->picture = ist_gxn_picture(&u->norms, g, theta, s, u->x, u->mask);
	inputs(u, s, samples);
	words = ist_lookup(ist_weight(g, theta, "caption.words"), u->said);
	words = ist_add(words, ist_repeat(u->picture, copies * moments));
	h = ist_gru(ist_layer_linear(g, theta, "caption.input", words),
		    ist_weight(g, theta, "caption.state.weight"), u->steps, false);
	u->logits = ist_layer_linear(g, theta, "caption.output", h);
	u->L = u->L_xe = ist_weighted_cross_entropy(u->logits, u->next, u->xe_weight);
	if (!samples)
		return;
	u->L_rl = ist_weighted_cross_entropy(u->logits, u->next, u->rl_weight);
	u->L = ist_add(ist_scale(u->L_xe, 1 - s->gamma), ist_scale(u->L_rl, s->gamma));
}

/* A written sentence into its row; returns the words to learn from it. What the dictionary does not
 * hold can be read but is not learned. */
static size_t fill_row(struct ist_gxn_unrolled *u, size_t row, const struct ist_gxn_written *w,
		       size_t from)
{
	size_t learned = 0;

	for (size_t t = 0; t < u->moments; t++) {
		size_t at = t * u->rows + row;
		bool there = t < w->n[from];
		int32_t next = there ? w->chosen[from * u->moments + t] : -1;

		if (next == IST_TOKEN_UNKNOWN)
			next = -1;
		u->said->ids[at] = there ? w->read[from * (u->moments + 1) + t] : -1;
		u->steps->value[row * u->moments + t] = there;
		u->next->ids[at] = next;
		learned += next >= 0;
	}
	return learned;
}

static void weigh_row(struct ist_gxn_unrolled *u, ist_node *weight, size_t row, double value)
{
	for (size_t t = 0; t < u->moments; t++)
		weight->value[t * u->rows + row] = (ist_real)value;
}

/* ---- a step ---- */

/* Of the rows of the decoder: N sentences that are taught, N greedy ones, N drawn ones. */
enum { TAUGHT, GREEDY, DRAWN, KINDS };

/* Pictures into the graph, and the references as they are into the taught rows. */
static void load(struct ist_gxn_captions *c, struct ist_gxn_unrolled *u,
		 const struct ist_gxn_batch *batch)
{
	struct ist_gxn_written *w = &c->written;
	struct ist_rng rng;

	ist_gxn_rng(batch, "caption dropout", &rng);
	ist_gxn_drop(u->mask, c->s.dropout, &rng);
	memcpy(u->x->value, batch->x[IST_IMAGE], u->x->size * sizeof(*u->x->value));
	for (size_t i = 0; i < c->s.batch; i++) {
		size_t at = c->place[batch->row[i]], n = c->texts.length[at];
		const int32_t *token = c->texts.token + at * c->texts.pitch;

		w->n[i] = n > 0 ? n + 1 : 0;
		w->read[i * (c->moments + 1)] = -1;
		for (size_t t = 0; t < w->n[i]; t++)
			w->chosen[i * c->moments + t] = w->read[i * (c->moments + 1) + t + 1] =
			    token[t];
	}
}

/* After a moment: what a row says next, and reads after that. */
static void choose(struct ist_gxn_captions *c, size_t row, size_t t, double share,
		   struct ist_rng *rng)
{
	struct ist_gxn_written *w = &c->written;
	int32_t *read = &w->read[row * (c->moments + 1) + t + 1], token;

	switch (row / c->s.batch) {
	case TAUGHT:
		if (ist_rng_uniform(rng) < share)
			*read =
			    ist_gxn_decoder_draw(&c->decoder, row, t == 0, ist_rng_uniform(rng));
		return;
	case GREEDY:
		token = ist_gxn_decoder_best(&c->decoder, row, t == 0);
		break;
	default:
		token = ist_gxn_decoder_draw(&c->decoder, row, t == 0, ist_rng_uniform(rng));
	}
	*read = w->chosen[row * c->moments + t] = token;
	w->n[row] = t + 1;
}

static bool ended(const struct ist_gxn_captions *c, size_t row, size_t t)
{
	const struct ist_gxn_written *w = &c->written;

	if (row < c->s.batch)
		return t >= w->n[row];
	return t > 0 && w->chosen[row * c->moments + w->n[row] - 1] == IST_TOKEN_END;
}

/* What each row reads at a moment; those that have ended read the end again, and nobody listens.
 * Returns how many have not. */
static size_t read_on(struct ist_gxn_captions *c, size_t rows, size_t t)
{
	size_t alive = 0;

	for (size_t i = 0; i < rows; i++) {
		bool over = ended(c, i, t);

		c->said[i] = over ? IST_TOKEN_END : c->written.read[i * (c->moments + 1) + t];
		alive += !over;
	}
	return alive;
}

/* Word by word, with this graph's pictures before the decoder. */
static void write_sentences(struct ist_gxn_captions *c, const struct ist_gxn_unrolled *u,
			    const struct ist_gxn_batch *batch, size_t kinds, double share)
{
	size_t rows = kinds * c->s.batch;
	struct ist_rng rng;

	ist_gxn_rng(batch, "captions", &rng);
	for (size_t k = 0; k < kinds; k++)
		memcpy(c->decoder.picture + k * u->picture->size, u->picture->value,
		       u->picture->size * sizeof(*u->picture->value));
	for (size_t i = 0; i < rows; i++)
		c->written.read[i * (c->moments + 1)] = -1;
	ist_gxn_decoder_start(&c->decoder, rows);
	for (size_t t = 0; t < c->moments && read_on(c, rows, t) > 0; t++) {
		ist_gxn_decoder_step(&c->decoder, c->said, rows);
		for (size_t i = 0; i < rows; i++)
			if (!ended(c, i, t))
				choose(c, i, t, share, &rng);
	}
}

/* r(c-) and r(c~) of every picture; returns the mean of the latter. */
static double reward(struct ist_gxn_captions *c, const struct ist_gxn_batch *batch)
{
	size_t n = c->s.batch;
	double sum = 0;

	ist_arena_reset(&c->scratch);
	for (size_t i = 0; i < 2 * n; i++) {
		c->reward[i] = ist_gxn_reward(c->cider, &c->references, c->place[batch->row[i % n]],
					      c->written.chosen + (n + i) * c->moments,
					      c->written.n[n + i], &c->scratch);
		sum += i >= n ? c->reward[i] : 0;
	}
	return sum / (double)n;
}

/* References under cross-entropy, the mean over all their words. */
static void fill_references(struct ist_gxn_captions *c, struct ist_gxn_unrolled *u)
{
	size_t learned = 0;

	for (size_t i = 0; i < c->s.batch; i++)
		learned += fill_row(u, i, &c->written, i);
	for (size_t i = 0; i < u->rows; i++)
		weigh_row(u, u->xe_weight, i,
			  i < c->s.batch ? 1 / (double)IST_MAX(learned, (size_t)1) : 0);
}

/* Drawn sentences below them, each by what it earned above the greedy one. */
static void fill_samples(struct ist_gxn_captions *c, struct ist_gxn_unrolled *u)
{
	size_t n = c->s.batch, learned = 0;

	for (size_t i = 0; i < n; i++)
		learned += fill_row(u, n + i, &c->written, DRAWN * n + i);
	for (size_t i = 0; i < u->rows; i++)
		weigh_row(u, u->rl_weight, i,
			  i < n ? 0
				: (c->reward[i] - c->reward[i - n]) /
				      (double)IST_MAX(learned, (size_t)1));
}

void ist_gxn_captions_step(struct ist_gxn_captions *c, const struct ist_gxn_batch *batch,
			   struct ist_optimiser *encoders, struct ist_gxn_caption_terms *ret)
{
	struct ist_gxn_unrolled *u = batch->scst ? &c->mix : &c->xe;
	double share = c->s.sampling * (batch->scst ? 1 : batch->phase);

	*ret = (struct ist_gxn_caption_terms){0};
	load(c, u, batch);
	ist_graph_forward_part(u->graph, NULL, u->picture);
	if (batch->scst || share > 0)
		write_sentences(c, u, batch, batch->scst ? KINDS : 1, share);
	fill_references(c, u);
	if (batch->scst) {
		ret->reward = reward(c, batch);
		fill_samples(c, u);
	}
	ist_graph_forward_part(u->graph, u->picture, NULL);
	ist_weights_clear(c->theta);
	ist_graph_backward(u->L);
	ist_optimiser_step(encoders, &c->theta, 1);
	c->optimiser.lr = batch->scst ? c->s.scst_lr : c->s.caption_lr * batch->rate;
	c->optimiser.eps = batch->scst ? SCST_EPS : XE_EPS;
	ist_optimiser_step(&c->optimiser, &c->theta, 1);
	ret->L_xe = (double)u->L_xe->value[0];
	ret->L_rl = batch->scst ? (double)u->L_rl->value[0] : 0;
}

double ist_gxn_captions_judge(struct ist_gxn_captions *c, const struct ist_network *network,
			      const struct ist_pairs *pairs)
{
	return ist_gxn_judge_score(c->judge, network, pairs);
}

/* ---- the whole ---- */

static enum ist_code read_texts(struct ist_gxn_captions *c, const struct ist_pairs *pairs,
				const uint32_t *rows, size_t n, struct ist_err *err)
{
	ist_autofree const char **text = texts_of(pairs, rows, n);

	ist_dictionary_init(&c->dictionary, text, n, c->s.dictionary);
	if (c->dictionary.n == 0)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"captions are learned from texts with words, and the training "
				"pairs have none");
	ist_gxn_texts_init(&c->texts, pairs, rows, n, &c->dictionary, c->s.caption_words);
	c->place = ist_alloc(pairs->n, sizeof(*c->place));
	for (size_t i = 0; i < n; i++) {
		c->place[rows[i]] = (uint32_t)i;
		c->moments = IST_MAX(c->moments, c->texts.length[i] + 1);
	}
	c->cider = ist_gxn_cider(&c->texts, true);
	ist_gxn_references_init(&c->references, c->cider, &c->texts, true, &c->arena);
	return IST_OK;
}

static void make_room(struct ist_gxn_captions *c)
{
	size_t rows = KINDS * c->s.batch;
	struct ist_arena *a = &c->arena;

	c->written.read = ist_arena_alloc(a, rows * (c->moments + 1), sizeof(int32_t));
	c->written.chosen = ist_arena_alloc(a, rows * c->moments, sizeof(int32_t));
	c->written.n = ist_arena_alloc(a, rows, sizeof(size_t));
	c->said = ist_arena_alloc(a, rows, sizeof(int32_t));
	c->reward = ist_arena_alloc(a, 2 * c->s.batch, sizeof(double));
}

static enum ist_code compile(struct ist_gxn_captions *c, const struct ist_pairs *pairs,
			     struct ist_err *err)
{
	enum ist_code code;

	ist_gxn_unroll(&c->xe, c->theta, &c->s, c->moments, false);
	ist_gxn_unroll(&c->mix, c->theta, &c->s, c->moments, true);
	code = ist_graph_compile(c->xe.graph, true, err);
	if (code == IST_OK)
		code = ist_graph_compile(c->mix.graph, true, err);
	if (code == IST_OK)
		code = ist_gxn_judge_create(&c->s, c->theta, pairs, &c->dictionary, &c->texts,
					    &c->judge, err);
	return code;
}

enum ist_code ist_gxn_captions_create(const struct ist_gxn_settings *s, struct ist_weights *theta,
				      const struct ist_pairs *pairs, const uint32_t *rows, size_t n,
				      struct ist_gxn_captions **ret, struct ist_err *err)
{
	struct ist_gxn_captions *c = ist_alloc(1, sizeof(*c));
	enum ist_code code;

	c->s = *s;
	c->theta = theta;
	c->optimiser = (struct ist_optimiser){
	    .rule = &ist_optimiser_adam, .beta1 = .9, .beta2 = .999, .prefix = {"caption."}};
	code = read_texts(c, pairs, rows, n, err);
	if (code == IST_OK) {
		make_room(c);
		code = compile(c, pairs, err);
	}
	if (code == IST_OK)
		*ret = c;
	else
		ist_gxn_captions_destroy(c);
	return code;
}

void ist_gxn_captions_destroy(struct ist_gxn_captions *c)
{
	if (c == NULL)
		return;
	ist_gxn_judge_destroy(c->judge);
	ist_graph_destroy(c->xe.graph);
	ist_graph_destroy(c->mix.graph);
	ist_cider_destroy(c->cider);
	ist_gxn_texts_finish(&c->texts);
	ist_dictionary_finish(&c->dictionary);
	ist_optimiser_finish(&c->optimiser);
	ist_arena_finish(&c->arena);
	ist_arena_finish(&c->scratch);
	free(c->place);
	free(c);
}

void ist_gxn_captions_start(struct ist_gxn_captions *c)
{
	struct ist_weight *w = ist_weights_find(c->theta, "caption.dictionary");

	ist_dictionary_store(&c->dictionary, c->s.dictionary, w->value);
	ist_gxn_decoder_init(&c->decoder, c->theta, &c->s, KINDS * c->s.batch, &c->arena);
	ist_gxn_judge_start(c->judge, &c->s, c->theta);
}
