/*
 * One side of the training-step benchmark of GXN's sentences: a network that does one step for each
 * line on its input and answers with the milliseconds it took.
 *
 *   bench-train-captions THREADS xe|scst
 *
 * Pictures of 32 x 32, sentences of 4 to 9 words of 41, five a picture, batch 64, decoder 128. xe:
 * cross-entropy; scst: sentences drawn and greedy, their CIDEr-D against the five, and the mix of
 * both losses. An untrained decoder rarely says the end, so that scst's sentences are the longest
 * there can be: two hundred steps of xe come first.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/methods/gxn_caption.h"

#define BATCH 64
#define PICTURES 640
#define TEXTS 5
#define PAIRS (PICTURES * TEXTS)
#define DIM (3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE)
#define WORDS 41
#define LED 200 /* steps of xe before scst */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

struct data {
	struct ist_pairs pairs;
	int64_t item[PAIRS];
	uint8_t part[PAIRS];
	uint32_t rows[PAIRS];
	char text[PAIRS][64];
	const char *texts[PAIRS];
	float *x;
};

/* A picture's sentences end with the same three words. */
static void make_data(struct data *d)
{
	struct ist_rng rng;

	ist_rng_init(&rng, 0, "texts");
	d->x = ist_alloc(DIM, sizeof(*d->x));
	for (size_t i = 0; i < PAIRS; i++) {
		size_t p = i / TEXTS, n = 1 + i % TEXTS + ist_rng_below(&rng, 2), at = 0;

		d->item[i] = (int64_t)p;
		d->part[i] = IST_TRAIN;
		d->rows[i] = (uint32_t)i;
		for (size_t k = 0; k < n + 3; k++) {
			size_t word = k < n ? 30 + (i % TEXTS + 3 * k) % 11 : p * (k - n + 7) % 30;

			at += (size_t)snprintf(d->text[i] + at, sizeof(d->text[i]) - at, "w%zu ",
					       word);
		}
		d->texts[i] = d->text[i];
	}
	d->pairs = (struct ist_pairs){.n = PAIRS,
				      .dim = {DIM, IST_WORDS_MAX},
				      .item = d->item,
				      .part = d->part,
				      .text = d->texts};
}

struct bench {
	struct ist_gxn_captions *captions;
	struct ist_optimiser encoders;
	struct ist_gxn_batch batch;
	ist_real x[BATCH * DIM];
	struct data data;
};

static double step(struct bench *b, bool scst)
{
	struct ist_gxn_caption_terms terms;
	size_t first = b->batch.step++ * BATCH % (PAIRS - BATCH);

	b->batch.row = b->data.rows + first;
	b->batch.scst = scst;
	for (size_t i = 0; i < BATCH * 3; i++) /* what tells the pictures apart */
		b->x[i / 3 * DIM + i % 3] = (ist_real)((b->data.item[first + i / 3] >> i % 3) % 8);
	ist_gxn_captions_step(b->captions, &b->batch, &b->encoders, &terms);
	return scst ? terms.reward : terms.L_xe;
}

static void run(struct bench *b, bool scst)
{
	char line[64];

	for (int i = 0; i < LED && scst; i++)
		step(b, false);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms(), told = step(b, scst);

		printf("%.4f %.6f\n", now_ms() - start, told);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct ist_gxn_settings s = {
	    .n_in = {DIM, IST_WORDS_MAX},
	    .d = 256,
	    .batch = BATCH,
	    .cnn = true,
	    .side = IST_PIXELS_SIDE,
	    .channels = 16,
	    .lr = 1e-4,
	    .captions = true,
	    .dictionary = WORDS,
	    .caption_words = 9,
	    .decoder = 128,
	    .caption_lr = 3e-3,
	    .scst_lr = 1e-5,
	    .gamma = .9,
	};
	struct ist_weights *theta;
	struct ist_rng rng;
	struct ist_err err;

	if (argc != 3)
		return 2;
	omp_set_num_threads((int)strtol(argv[1], NULL, 10));
	make_data(&b.data);
	theta = ist_gxn_theta(&s, true);
	ist_weights_init(theta, 0);
	b.encoders = ist_gxn_encoders_optimiser(&s);
	b.batch = (struct ist_gxn_batch){.x = {b.x, NULL}, .rate = 1};
	ist_rng_init(&rng, 0, "images");
	for (size_t i = 0; i < BATCH * DIM; i++)
		b.x[i] = (ist_real)ist_rng_normal(&rng);
	if (ist_gxn_captions_create(&s, theta, &b.data.pairs, b.data.rows, PAIRS, &b.captions,
				    &err) != IST_OK) {
		fprintf(stderr, "bench-train-captions: %s\n", err.text);
		return 1;
	}
	ist_gxn_captions_start(b.captions);
	run(&b, strcmp(argv[2], "scst") == 0);
	ist_gxn_captions_destroy(b.captions);
	ist_weights_destroy(theta);
	ist_optimiser_finish(&b.encoders);
	free(b.data.x);
	return 0;
}
