/*
 * One side of the training-step benchmark: an ACMR network of given widths that does one step for
 * each line on its input and answers with the milliseconds it took.
 *
 *   bench-train-step THREADS IMAGE,HIDDEN…,CODE TEXT,HIDDEN…,CODE
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/acmr.h"

#define BATCH 64
#define CLASSES 10

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* "4096,512,40": input, hidden layers, code. */
static bool parse_widths(const char *text, struct ist_adversarial_settings *s, enum ist_modality m)
{
	size_t width[IST_HIDDEN + 2], n = 0;

	while (n < IST_COUNT(width)) {
		char *end;

		width[n++] = strtoul(text, &end, 10);
		if (end == text || (*end != ',' && *end != '\0'))
			return false;
		text = end + 1;
		if (*end == '\0')
			break;
	}
	if (n < 2)
		return false;
	s->n_in[m] = width[0];
	s->code = width[n - 1];
	for (size_t i = 1; i + 1 < n; i++)
		s->hidden[m][i - 1] = width[i];
	return true;
}

static void fill(ist_node *x, struct ist_rng *rng)
{
	for (size_t i = 0; i < x->size; i++)
		x->value[i] = (ist_real)ist_rng_normal(rng);
}

int main(int argc, char **argv)
{
	struct ist_acmr_settings s = {.net = {.n_classes = CLASSES,
					      .classifier_hidden = 50,
					      .batch = BATCH,
					      .alpha = 1,
					      .beta = 1,
					      .reg = .1,
					      .adversary = 1,
					      .k = 1,
					      .lr = 1e-4,
					      .beta1 = .5,
					      .beta2 = .999},
				      .lambda = 3,
				      .mu = 5};
	struct ist_adversarial *acmr;
	struct ist_err err;
	struct ist_rng rng;
	char line[64];

	if (argc != 4 || !parse_widths(argv[2], &s.net, IST_IMAGE) ||
	    !parse_widths(argv[3], &s.net, IST_TEXT))
		return 2;
	omp_set_num_threads((int)strtol(argv[1], NULL, 10));
	if (ist_acmr_create(&s, 0, &acmr, &err) != IST_OK) {
		fprintf(stderr, "bench-train-step: %s\n", err.text);
		return 1;
	}
	ist_rng_init(&rng, 0, "features");
	fill(acmr->image, &rng);
	fill(acmr->text, &rng);
	for (size_t i = 0; i < BATCH; i++)
		acmr->y->ids[i] = (int32_t)(i % CLASSES);
	acmr->l->value[0] = (ist_real).5;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms();

		ist_adversarial_step(acmr);
		printf("%.4f %.6f\n", now_ms() - start, (double)acmr->L->value[0]);
		fflush(stdout);
	}
	ist_adversarial_destroy(acmr);
	return 0;
}
