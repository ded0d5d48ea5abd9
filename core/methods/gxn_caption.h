/*
 * GXN's sentences in training: the decoder unrolled over time, scheduled sampling, and
 * self-critical training. Private to gxn_*.c, tests and benchmarks.
 */
#ifndef IST_CORE_METHODS_GXN_CAPTION_H
#define IST_CORE_METHODS_GXN_CAPTION_H

#include "core/methods/gxn_judge.h"

/*
 * Sentences over T moments, R rows a moment: a batch's references and, with samples, sentences of
 * the model's own below them. All inputs of a moment stand side by side, (T R).
 */
struct ist_gxn_unrolled {
	size_t rows, moments;
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *x, *mask, *picture;	 /* (N, ...) */
	ist_node *said;			 /* ids: what is read; -1: the picture alone */
	ist_node *steps;		 /* (R, T) 1 up to the sentence's end */
	ist_node *next;			 /* ids: what follows; -1: nothing to learn */
	ist_node *xe_weight, *rl_weight; /* (T R, 1) */
	ist_node *logits;		 /* (T R, tokens) */
	ist_node *L_xe, *L_rl, *L;	 /* L_rl NULL without samples */
};

/* Formulas and inputs; not compiled yet. */
void ist_gxn_unroll(struct ist_gxn_unrolled *u, struct ist_weights *theta,
		    const struct ist_gxn_settings *s, size_t moments, bool samples);

/* Rows of sentences that are being written, T moments each. */
struct ist_gxn_written {
	int32_t *read;	 /* (rows, T + 1) -1 first */
	int32_t *chosen; /* (rows, T) what follows each */
	size_t *n;	 /* (rows) of it, with the end */
};

struct ist_gxn_captions {
	struct ist_gxn_settings s;
	struct ist_weights *theta;
	struct ist_optimiser optimiser; /* caption.* */
	struct ist_dictionary dictionary;
	struct ist_arena arena, scratch; /* what stays; reset at every step */
	struct ist_gxn_texts texts;	 /* what is learned */
	uint32_t *place;		 /* of a row of the pairs among them */
	size_t moments;			 /* the longest text and its end */
	struct ist_cider *cider;
	struct ist_gxn_references references;
	struct ist_gxn_unrolled xe, mix;
	struct ist_gxn_decoder decoder; /* 3 N rows: taught, greedy, drawn */
	struct ist_gxn_written written; /* the same */
	int32_t *said;			/* (3 N) at one moment */
	double *reward;			/* (2 N) greedy, drawn */
	struct ist_gxn_judge *judge;
};

#endif
