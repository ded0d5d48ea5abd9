/*
 * GXN's decoder at work: sentences word by word, the most probable, drawn, or by a beam. The
 * picture is the first thing that the decoder reads and is added to every word after it. What it
 * reads with are the formulas of the unrolled graph of training (gxn_caption.c), on plain arrays.
 *
 * A decoder belongs to one thread; at query time each call has its own, over weights that all
 * share.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/gxn_decode.h"
#include "core/tensor/gemm.h"
#include "core/tensor/kernels.h"
#include "core/tensor/ops.h"

static const ist_real *values_of(const struct ist_weights *theta, const char *name)
{
	return ist_weights_find(theta, name)->value;
}

void ist_gxn_decoder_init(struct ist_gxn_decoder *d, const struct ist_weights *theta,
			  const struct ist_gxn_settings *s, size_t rows, struct ist_arena *arena)
{
	size_t h = s->decoder, v = IST_TOKEN_WORDS + s->dictionary;

	*d = (struct ist_gxn_decoder){
	    .units = h,
	    .tokens = v,
	    .sayable = IST_TOKEN_WORDS +
		       ist_dictionary_stored(values_of(theta, "caption.dictionary"), s->dictionary),
	    .words = values_of(theta, "caption.words"),
	    .input = values_of(theta, "caption.input.weight"),
	    .input_bias = values_of(theta, "caption.input.bias"),
	    .recurrence = values_of(theta, "caption.state.weight"),
	    .output = values_of(theta, "caption.output.weight"),
	    .output_bias = values_of(theta, "caption.output.bias"),
	    .picture = ist_arena_alloc(arena, rows * h, sizeof(ist_real)),
	    .state = ist_arena_alloc(arena, rows * h, sizeof(ist_real)),
	    .logits = ist_arena_alloc(arena, rows * v, sizeof(ist_real)),
	    .x = ist_arena_alloc(arena, rows * h, sizeof(ist_real)),
	    .gates = ist_arena_alloc(arena, rows * 3 * h, sizeof(ist_real)),
	    .recurrent = ist_arena_alloc(arena, rows * 3 * h, sizeof(ist_real)),
	    .cell = ist_arena_alloc(arena, 4 * h, sizeof(ist_real)),
	    .p = ist_arena_alloc(arena, v, sizeof(ist_real)),
	};
}

void ist_gxn_decoder_start(struct ist_gxn_decoder *d, size_t rows)
{
	memset(d->state, 0, rows * d->units * sizeof(*d->state));
}

/* y = x w' + b, rows of it */
static void linear(ist_real *y, const ist_real *x, const ist_real *w, const ist_real *b,
		   size_t rows, size_t n_in, size_t n_out)
{
	for (size_t i = 0; i < rows; i++)
		memcpy(y + i * n_out, b, n_out * sizeof(*y));
	ist_gemm(false, true, rows, n_out, n_in, x, w, 1, y);
}

void ist_gxn_decoder_step(struct ist_gxn_decoder *d, const int32_t *said, size_t rows)
{
	size_t h = d->units;

	for (size_t i = 0; i < rows; i++) {
		const ist_real *picture = d->picture + i * h;

		if (said[i] < 0)
			memcpy(d->x + i * h, picture, h * sizeof(*d->x));
		else
			ist_k_add(d->x + i * h, d->words + (size_t)said[i] * h, picture, h);
	}
	linear(d->gates, d->x, d->input, d->input_bias, rows, h, 3 * h);
	ist_gemm(false, true, rows, 3 * h, h, d->state, d->recurrence, 0, d->recurrent);
	for (size_t i = 0; i < rows; i++)
		ist_k_gru(d->gates + 3 * i * h, d->recurrent + 3 * i * h, d->state + i * h, d->cell,
			  d->cell + 3 * h, d->state + i * h, h);
	linear(d->logits, d->state, d->output, d->output_bias, rows, h, d->tokens);
}

static bool can_say(const struct ist_gxn_decoder *d, size_t token, bool first)
{
	return token < d->sayable && token != IST_TOKEN_UNKNOWN &&
	       !(first && token == IST_TOKEN_END);
}

int32_t ist_gxn_decoder_best(const struct ist_gxn_decoder *d, size_t row, bool first)
{
	const ist_real *logits = d->logits + row * d->tokens;
	size_t best = IST_TOKEN_END;

	for (size_t k = 0; k < d->sayable; k++)
		if (can_say(d, k, first) && (!can_say(d, best, first) || logits[k] > logits[best]))
			best = k;
	return (int32_t)best;
}

int32_t ist_gxn_decoder_draw(const struct ist_gxn_decoder *d, size_t row, bool first, double u)
{
	const ist_real *logits = d->logits + row * d->tokens;
	size_t last = IST_TOKEN_END;

	ist_k_exp(d->p, logits, ist_k_max(logits, d->sayable), d->sayable);
	d->p[IST_TOKEN_UNKNOWN] = 0;
	if (first)
		d->p[IST_TOKEN_END] = 0;
	u *= ist_k_sum(d->p, d->sayable);
	for (size_t k = 0; k < d->sayable && u >= 0; k++) {
		u -= (double)d->p[k];
		if (d->p[k] > 0)
			last = k;
	}
	return (int32_t)last;
}

void ist_gxn_decoder_log_p(const struct ist_gxn_decoder *d, size_t row, double *ret)
{
	const ist_real *logits = d->logits + row * d->tokens;
	ist_real max = ist_k_max(logits, d->tokens);
	double total;

	ist_k_exp(d->p, logits, max, d->tokens);
	total = log(ist_k_sum(d->p, d->tokens));
	for (size_t k = 0; k < d->tokens; k++)
		ret[k] = (double)(logits[k] - max) - total;
}

/* ---- beam ---- */

struct extension {
	double log_p;
	size_t from;
	int32_t token;
};

struct beam {
	struct ist_gxn_decoder *decoder;
	size_t width, most; /* words */
	struct ist_gxn_sentence *alive, *grown;
	struct extension *best; /* (width) */
	size_t n_alive, n_best, n_done;
	double *log_p;	 /* (tokens) */
	ist_real *state; /* (width, units) */
};

static struct ist_gxn_sentence *sentences(struct ist_arena *arena, size_t n, size_t most)
{
	struct ist_gxn_sentence *ret = ist_arena_alloc(arena, n, sizeof(*ret));

	for (size_t i = 0; i < n; i++)
		ret[i].token = ist_arena_alloc(arena, most + 1, sizeof(*ret[i].token));
	return ret;
}

/* Into the list of the best, where it belongs; an equal one that came first stays ahead. */
static void offer(struct beam *b, struct extension e)
{
	size_t at = b->n_best;

	if (at == b->width && !(e.log_p > b->best[at - 1].log_p))
		return;
	at = at < b->width ? b->n_best++ : at - 1;
	for (; at > 0 && e.log_p > b->best[at - 1].log_p; at--)
		b->best[at] = b->best[at - 1];
	b->best[at] = e;
}

/* All that can follow the sentences alive; a full one can only end. */
static void extend(struct beam *b, size_t n_words)
{
	b->n_best = 0;
	for (size_t i = 0; i < b->n_alive; i++) {
		size_t tokens = n_words < b->most ? b->decoder->sayable : 1;

		ist_gxn_decoder_log_p(b->decoder, i, b->log_p);
		for (size_t k = 0; k < tokens; k++)
			if (can_say(b->decoder, k, n_words == 0))
				offer(b,
				      (struct extension){.log_p = b->alive[i].log_p + b->log_p[k],
							 .from = i,
							 .token = (int32_t)k});
	}
}

/* A finished sentence into ret, sorted; the worst falls out. */
static void finish(struct beam *b, const struct ist_gxn_sentence *from, double log_p,
		   struct ist_gxn_sentence *ret)
{
	struct ist_gxn_sentence place;
	size_t at;

	if (b->n_done == b->width && !(log_p > ret[b->width - 1].log_p))
		return;
	at = b->n_done < b->width ? b->n_done++ : b->width - 1;
	place = ret[at];
	for (; at > 0 && log_p > ret[at - 1].log_p; at--)
		ret[at] = ret[at - 1];
	memcpy(place.token, from->token, from->n * sizeof(*place.token));
	place.token[from->n] = IST_TOKEN_END;
	place.n = from->n;
	place.log_p = log_p;
	ret[at] = place;
}

/* The best extensions become what is alive, or are finished. */
static void advance(struct beam *b, struct ist_gxn_sentence *ret)
{
	size_t units = b->decoder->units, n = 0;
	struct ist_gxn_sentence *swap = b->alive;

	for (size_t i = 0; i < b->n_best; i++) {
		const struct extension *e = &b->best[i];
		const struct ist_gxn_sentence *from = &b->alive[e->from];
		struct ist_gxn_sentence *to = &b->grown[n];

		if (e->token == IST_TOKEN_END) {
			finish(b, from, e->log_p, ret);
			continue;
		}
		memcpy(to->token, from->token, from->n * sizeof(*to->token));
		to->token[from->n] = e->token;
		to->n = from->n + 1;
		to->log_p = e->log_p;
		memcpy(b->state + n++ * units, b->decoder->state + e->from * units,
		       units * sizeof(*b->state));
	}
	memcpy(b->decoder->state, b->state, n * units * sizeof(*b->state));
	b->alive = b->grown;
	b->grown = swap;
	b->n_alive = n;
}

/* No sentence alive can overtake the worst that is kept: probabilities only fall. */
static bool settled(const struct beam *b, const struct ist_gxn_sentence *ret)
{
	return b->n_alive == 0 ||
	       (b->n_done == b->width && ret[b->width - 1].log_p >= b->alive[0].log_p);
}

size_t ist_gxn_beam(struct ist_gxn_decoder *d, size_t width, size_t most, struct ist_arena *arena,
		    struct ist_gxn_sentence *ret)
{
	struct beam b = {
	    .decoder = d,
	    .width = width,
	    .most = most,
	    .alive = sentences(arena, width, most),
	    .grown = sentences(arena, width, most),
	    .best = ist_arena_alloc(arena, width, sizeof(*b.best)),
	    .n_alive = 1,
	    .log_p = ist_arena_alloc(arena, d->tokens, sizeof(*b.log_p)),
	    .state = ist_arena_alloc(arena, width * d->units, sizeof(*b.state)),
	};
	int32_t *said = ist_arena_alloc(arena, width, sizeof(*said));
	struct ist_gxn_sentence *done = sentences(arena, width, most);

	memcpy(ret, done, width * sizeof(*ret));
	said[0] = -1;
	ist_gxn_decoder_start(d, width);
	for (size_t n_words = 0; !settled(&b, ret); n_words++) {
		ist_gxn_decoder_step(d, said, b.n_alive);
		extend(&b, n_words);
		advance(&b, ret);
		for (size_t i = 0; i < b.n_alive; i++)
			said[i] = b.alive[i].token[n_words];
	}
	return b.n_done;
}

/* ---- query time ---- */

ist_node *ist_gxn_picture(struct ist_norms *norms, struct ist_graph *graph,
			  struct ist_weights *theta, const struct ist_gxn_settings *s,
			  ist_node *features, ist_node *mask)
{
	return ist_layer_linear(graph, theta, "caption.picture",
				ist_gxn_image(norms, graph, theta, s, features, mask).l);
}

static ist_node *picture_formula(struct ist_graph *graph, const struct ist_network *network,
				 const void *user, ist_node *x)
{
	struct ist_norms norms = {.training = false};

	(void)user;
	return ist_gxn_picture(&norms, graph, network->theta, network->settings, x, NULL);
}

enum ist_code ist_gxn_caption(const struct ist_model *model, const float *x, size_t beam,
			      struct ist_arena *arena, struct ist_caption *ret, size_t *ret_n,
			      struct ist_err *err)
{
	const struct ist_network *network = model->state;
	const struct ist_gxn_settings *s = network->settings;
	struct ist_gxn_sentence *found = ist_arena_alloc(arena, beam, sizeof(*found));
	float *picture = ist_arena_alloc(arena, s->decoder, sizeof(*picture));
	struct ist_gxn_decoder decoder;
	enum ist_code code;
	size_t n;

	if (!s->captions)
		return ist_fail(err, IST_INVALID, "the model was trained without captions");
	code = ist_network_run(network, IST_IMAGE, picture_formula, NULL, x, 1, s->decoder, picture,
			       err);
	if (code != IST_OK)
		return code;
	ist_gxn_decoder_init(&decoder, network->theta, s, beam, arena);
	for (size_t i = 0; i < beam * s->decoder; i++)
		decoder.picture[i] = (ist_real)picture[i % s->decoder];
	n = ist_gxn_beam(&decoder, beam, s->caption_words, arena, found);
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct ist_caption){
		    .text = ist_dictionary_text(values_of(network->theta, "caption.dictionary"),
						found[i].token, arena),
		    .log_probability = found[i].log_p};
	*ret_n = n;
	return IST_OK;
}
