/*
 * One side of the training-step benchmark of GXN's imagination: a pair of networks that does one
 * step of the discriminator and one of the generator for each line on its input and answers with
 * the milliseconds they took.
 *
 *   bench-train-imagine THREADS features|pixels|pixels64
 *
 * features: of 1,280 numbers, texts of 384; pixels: pictures of 32 x 32 or 64 x 64, texts of 5 to
 * 14 words of 41. Batch 64, the method's default widths.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"

#define BATCH 64

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static struct ist_gxn_settings settings(size_t side)
{
	struct ist_gxn_settings s = {.n_in = {1280, 384},
				     .d = 256,
				     .batch = BATCH,
				     .lr = 1e-4,
				     .generator = IST_GXN_FEATURE,
				     .z = 32,
				     .condition = 64,
				     .g = 32,
				     .f = 32,
				     .beta_f = .5,
				     .beta_w = .5,
				     .beta_s = 2,
				     .gan_lr = 2e-4,
				     .critic_lr = 2e-4,
				     .projection = true,
				     .average = .999};

	if (side == 0)
		return s;
	s.n_in[IST_IMAGE] = 3 * side * side;
	s.n_in[IST_TEXT] = IST_WORDS_MAX;
	s.generator = IST_GXN_PIXELS;
	s.gru = true;
	s.side = side;
	s.words = 14;
	s.vocabulary = 41;
	s.hidden = s.word_width = 64;
	return s;
}

/* Levels of pictures, other numbers, or texts of five words and more. */
static ist_real *data(const struct ist_gxn_settings *s, enum ist_modality m)
{
	size_t width = ist_gxn_width(s, m);
	ist_real *x = ist_alloc(BATCH * width, sizeof(*x));
	struct ist_rng rng;

	ist_rng_init(&rng, 0, m == IST_IMAGE ? "images" : "texts");
	for (size_t i = 0; i < BATCH * width; i++) {
		bool word = i % width < 5 + i / width % 10;

		if (m == IST_TEXT && s->gru)
			x[i] = (ist_real)(word ? 1 + ist_rng_below(&rng, s->vocabulary) : 0);
		else if (m == IST_IMAGE && s->generator == IST_GXN_PIXELS)
			x[i] = (ist_real)(1 + ist_rng_below(&rng, 256)) / 256;
		else
			x[i] = (ist_real)ist_rng_normal(&rng);
	}
	return x;
}

static void set_vocabulary(struct ist_weights *theta)
{
	struct ist_weight *vocabulary = ist_weights_find(theta, "text.vocabulary");

	for (size_t i = 0; vocabulary != NULL && i < vocabulary->size; i++)
		vocabulary->value[i] = (ist_real)(i + 1);
}

static void run(struct ist_gxn_imagine *part, struct ist_gxn_batch *batch,
		struct ist_optimiser *encoders)
{
	struct ist_gxn_imagine_terms terms;
	char line[64];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms();

		batch->step++;
		ist_gxn_imagine_step(part, batch, encoders, &terms);
		printf("%.4f %.6f\n", now_ms() - start, terms.L_D);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		size_t side;
	} kinds[] = {{"features", 0}, {"pixels", 32}, {"pixels64", 64}};
	struct ist_gxn_settings s = settings(0);
	static int32_t item[BATCH];
	struct ist_gxn_batch batch = {.item = item};
	struct ist_weights *theta, *generator, *critic;
	struct ist_gxn_imagine *part;
	struct ist_optimiser encoders;
	struct ist_err err;

	if (argc != 3)
		return 2;
	for (size_t i = 0; i < IST_COUNT(kinds); i++)
		if (strcmp(argv[2], kinds[i].name) == 0)
			s = settings(kinds[i].side);
	omp_set_num_threads((int)strtol(argv[1], NULL, 10));
	encoders = ist_gxn_encoders_optimiser(&s);
	theta = ist_gxn_theta(&s, true);
	generator = ist_gxn_generator(&s);
	critic = ist_gxn_critic(&s);
	ist_weights_init(theta, 0);
	ist_weights_init(generator, 0);
	ist_weights_init(critic, 0);
	set_vocabulary(theta);
	if (ist_gxn_imagine_create(&s, theta, generator, critic, &part, &err) != IST_OK) {
		fprintf(stderr, "bench-train-imagine: %s\n", err.text);
		return 1;
	}
	for (int i = 0; i < BATCH; i++)
		item[i] = i;
	batch.x[IST_IMAGE] = data(&s, IST_IMAGE);
	batch.x[IST_TEXT] = data(&s, IST_TEXT);
	run(part, &batch, &encoders);
	return 0;
}
