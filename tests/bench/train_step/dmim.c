/*
 * One side of the training-step benchmark of composed retrieval: a DMIM network that does one step
 * for each line on its input and answers with the milliseconds it took.
 *
 *   bench-train-dmim THREADS features|pixels LAMBDA
 *
 * features: pictures of 1,280 and texts of 384 numbers to 256, batch 32; pixels: pictures of 32 x
 * 32 and 9 words of 32 to 128, batch 64. LAMBDA is the weight of both information terms; 0 is TIRG.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/dmim.h"

static const struct ist_dmim_settings features = {.n_in = {1280, 384}, .d = 256, .batch = 32};
static const struct ist_dmim_settings pixels = {
    .n_in = {3 * IST_PIXELS_SIDE * IST_PIXELS_SIDE, IST_WORDS_MAX},
    .d = 128,
    .batch = 64,
    .cnn = true,
    .lstm = true,
    .channels = 16,
    .words = 9,
    .vocabulary = 32,
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void fill(ist_node *x, struct ist_rng *rng)
{
	for (size_t i = 0; i < x->size; i++)
		x->value[i] = (ist_real)ist_rng_normal(rng);
}

/* Texts of five to nine words. */
static void fill_words(struct ist_dmim *a, struct ist_rng *rng)
{
	struct ist_weight *vocabulary = ist_weights_find(a->theta, "text.vocabulary");
	size_t n = a->s.words;

	for (size_t i = 0; i < vocabulary->size; i++)
		vocabulary->value[i] = (ist_real)(i + 1);
	for (size_t i = 0; i < a->text->size; i++)
		a->text->value[i] =
		    (ist_real)(i % n < 5 + i / n % 5 ? 1 + ist_rng_below(rng, vocabulary->size)
						     : 0);
}

static void fill_batch(struct ist_dmim *a)
{
	size_t side = a->s.side >> IST_IMAGE_EARLY;
	struct ist_rng rng;

	ist_rng_init(&rng, 0, "batch");
	fill(a->image, &rng);
	fill(a->target, &rng);
	if (a->s.lstm)
		fill_words(a, &rng);
	else
		fill(a->text, &rng);
	for (size_t i = 0; i < a->places->dim[0] && a->s.cnn; i++)
		a->places->ids[i] = (int32_t)ist_rng_below(&rng, side * side);
}

int main(int argc, char **argv)
{
	struct ist_dmim_settings s;
	struct ist_dmim *dmim;
	struct ist_err err;
	char line[64];

	if (argc != 4)
		return 2;
	s = strcmp(argv[2], "pixels") == 0 ? pixels : features;
	s.side = IST_PIXELS_SIDE;
	s.critic = 128;
	s.locations = 16;
	s.critic_pace = 1;
	s.weight_decay = 1e-4;
	s.lambda_text = s.lambda_local = strtod(argv[3], NULL);
	omp_set_num_threads((int)strtol(argv[1], NULL, 10));
	if (ist_dmim_create(&s, 0, &dmim, &err) != IST_OK) {
		fprintf(stderr, "bench-train-dmim: %s\n", err.text);
		return 1;
	}
	fill_batch(dmim);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms();

		ist_dmim_step(dmim, 1e-4);
		printf("%.4f %.6f\n", now_ms() - start, (double)dmim->L->value[0]);
		fflush(stdout);
	}
	ist_dmim_destroy(dmim);
	return 0;
}
