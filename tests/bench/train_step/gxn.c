/*
 * One side of the training-step benchmark of GXN's matching: a network that does one step of the
 * ranking loss for each line on its input and answers with the milliseconds it took.
 *
 *   bench-train-gxn THREADS features|pixels order|cosine
 *
 * features: pictures of 1,280 and texts of 384 numbers, dropout .5; pixels: pictures of 32 x 32 and
 * texts of 5 to 14 words of 41. Two levels of 256 each, batch 64, sum over all negatives.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"

#define BATCH 64

static const struct ist_gxn_settings features = {
    .n_in = {1280, 384}, .margin = .2, .dropout = .5, .weight_decay = .1};
static const struct ist_gxn_settings pixels = {
    .n_in = {3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE, IST_WORDS_MAX},
    .cnn = true,
    .gru = true,
    .side = IST_PIXELS_SIDE,
    .channels = 16,
    .words = 14,
    .vocabulary = 41,
    .hidden = 64,
    .word_width = 64,
    .margin = .05,
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Numbers, or texts of five words and more. */
static void fill(ist_real *x, const struct ist_gxn_settings *s, enum ist_modality m)
{
	size_t width = ist_gxn_width(s, m);
	struct ist_rng rng;

	ist_rng_init(&rng, 0, m == IST_IMAGE ? "images" : "texts");
	for (size_t i = 0; i < BATCH * width; i++) {
		bool word = i % width < 5 + i / width % 10;

		x[i] = (ist_real)ist_rng_normal(&rng);
		if (m == IST_TEXT && s->gru)
			x[i] = (ist_real)(word ? 1 + ist_rng_below(&rng, s->vocabulary) : 0);
	}
}

static void set_vocabulary(struct ist_weights *theta)
{
	struct ist_weight *vocabulary = ist_weights_find(theta, "text.vocabulary");

	for (size_t i = 0; vocabulary != NULL && i < vocabulary->size; i++)
		vocabulary->value[i] = (ist_real)(i + 1);
}

static void run(struct ist_gxn_ranking *ranking, struct ist_gxn_batch *batch,
		struct ist_optimiser *encoders)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms(), L;

		batch->step++;
		L = ist_gxn_ranking_step(ranking, batch, false, false, encoders);
		printf("%.4f %.6f\n", now_ms() - start, L);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static ist_real x[IST_N_MODALITIES][BATCH * 3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE];
	static int32_t item[BATCH];
	struct ist_gxn_batch batch = {.x = {x[0], x[1]}, .item = item};
	struct ist_gxn_settings s;
	struct ist_gxn_ranking *ranking;
	struct ist_optimiser encoders;
	struct ist_weights *theta;
	struct ist_err err;

	if (argc != 4)
		return 2;
	s = strcmp(argv[2], "pixels") == 0 ? pixels : features;
	s.d = 256;
	s.batch = BATCH;
	s.lambda = .5;
	s.lr = 1e-4;
	s.score = strcmp(argv[3], "cosine") == 0 ? IST_COSINE : IST_ORDER;
	omp_set_num_threads((int)strtol(argv[1], NULL, 10));
	encoders = ist_gxn_encoders_optimiser(&s);
	theta = ist_gxn_theta(&s, true);
	ist_weights_init(theta, 0);
	set_vocabulary(theta);
	if (ist_gxn_ranking_create(&s, theta, &ranking, &err) != IST_OK) {
		fprintf(stderr, "bench-train-gxn: %s\n", err.text);
		return 1;
	}
	for (int m = 0; m < IST_N_MODALITIES; m++)
		fill(x[m], &s, (enum ist_modality)m);
	for (int i = 0; i < BATCH; i++)
		item[i] = i;
	run(ranking, &batch, &encoders);
	ist_gxn_ranking_destroy(ranking);
	ist_weights_destroy(theta);
	ist_optimiser_finish(&encoders);
	return 0;
}
