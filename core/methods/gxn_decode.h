/*
 * GXN's decoder word by word: greedy, drawn and by a beam. Private to gxn_*.c, tests and
 * benchmarks.
 */
#ifndef IST_CORE_METHODS_GXN_DECODE_H
#define IST_CORE_METHODS_GXN_DECODE_H

#include "core/methods/dictionary.h"
#include "core/methods/gxn.h"

/* A row is a sentence that is being written. Weights are read where they lie and must not move
 * while it is. */
struct ist_gxn_decoder {
	size_t units, tokens;
	size_t sayable; /* tokens below it, but for the unknown word, can be said */
	const ist_real *words, *input, *input_bias, *recurrence, *output, *output_bias;
	ist_real *picture; /* (rows, units) what each looks at; the caller's to fill */
	ist_real *state;   /* (rows, units) */
	ist_real *logits;  /* (rows, tokens) of the next word */
	ist_real *x, *gates, *recurrent, *cell, *p;
};

/* Memory for so many rows, from the arena. */
void ist_gxn_decoder_init(struct ist_gxn_decoder *decoder, const struct ist_weights *theta,
			  const struct ist_gxn_settings *s, size_t rows, struct ist_arena *arena);
/* States back to 0. */
void ist_gxn_decoder_start(struct ist_gxn_decoder *decoder, size_t rows);
/* Reads a token for each of the first `rows` rows, -1 for the picture alone, which is what every
 * sentence starts with: the states, and logits of what follows. */
void ist_gxn_decoder_step(struct ist_gxn_decoder *decoder, const int32_t *said, size_t rows);
/* The most probable token; one drawn by u in [0, 1). No sentence ends before its first word. */
int32_t ist_gxn_decoder_best(const struct ist_gxn_decoder *decoder, size_t row, bool first);
int32_t ist_gxn_decoder_draw(const struct ist_gxn_decoder *decoder, size_t row, bool first,
			     double u);
/* log softmax(logits) of a row: (tokens). */
void ist_gxn_decoder_log_p(const struct ist_gxn_decoder *decoder, size_t row, double *ret);

struct ist_gxn_sentence {
	double log_p; /* of all its tokens with the end */
	size_t n;     /* words */
	int32_t *token;
};
/* The most probable sentences that a beam of `width` finds, best first: at most that many into ret,
 * whose number is returned. The decoder has `width` rows, all with the same picture. */
size_t ist_gxn_beam(struct ist_gxn_decoder *decoder, size_t width, size_t most_words,
		    struct ist_arena *arena, struct ist_gxn_sentence *ret);

/* P v_l of scaled features: (N, decoder). */
ist_node *ist_gxn_picture(struct ist_norms *norms, struct ist_graph *graph,
			  struct ist_weights *theta, const struct ist_gxn_settings *s,
			  ist_node *features, ist_node *mask);

#endif
