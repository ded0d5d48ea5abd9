/*
 * One side of the training-step benchmark: a network of given widths that does one step for each
 * line on its input and answers with the milliseconds it took and the loss.
 *
 *   bench-train-step METHOD THREADS IMAGE,HIDDEN…,CODE TEXT,HIDDEN…,CODE
 *
 * CM-GANs has no hidden widths of its own (its encoders are as wide as the code) and a step is one
 * iteration: four discriminators, then five rounds of two generators.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/acmr.h"
#include "core/methods/cmgan.h"
#include "core/methods/corrae.h"
#include "core/methods/mnsgan.h"

#define BATCH 64
#define MNS_BATCH 60 /* 10 classes by 6 */
#define CLASSES 10

struct bench {
	struct ist_adversarial_settings widths; /* what the arguments say */
	struct ist_adversarial *adversarial;
	struct ist_cmgan *cmgan;
	struct ist_corrae *corrae;
	size_t steps;
};

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

static void fill(ist_node *x)
{
	struct ist_rng rng;

	ist_rng_init(&rng, x->size, "features");
	for (size_t i = 0; i < x->size; i++)
		x->value[i] = (ist_real)ist_rng_normal(&rng);
}

static void fill_classes(ist_node *y)
{
	for (size_t i = 0; i < y->dim[0]; i++)
		y->ids[i] = (int32_t)(i % CLASSES);
}

static void fill_adversarial(struct ist_adversarial *a)
{
	fill(a->image);
	fill(a->text);
	fill_classes(a->y);
	a->l->value[0] = (ist_real).5;
}

/* ---- one way a method to make a network and to step it ---- */

static enum ist_code create_acmr(struct bench *b, struct ist_err *err)
{
	struct ist_acmr_settings s = {.net = b->widths, .lambda = 3, .mu = 5};
	enum ist_code code = ist_acmr_create(&s, 0, &b->adversarial, err);

	if (code == IST_OK)
		fill_adversarial(b->adversarial);
	return code;
}

static double step_acmr(struct bench *b)
{
	ist_adversarial_step(b->adversarial);
	return (double)b->adversarial->L->value[0];
}

static enum ist_code create_mnsgan(struct bench *b, struct ist_err *err)
{
	struct ist_mnsgan_settings s = {
	    .net = b->widths, .n_negatives = CLASSES - 1, .tau = 10, .eta = .5};
	enum ist_code code;

	s.net.batch = MNS_BATCH;
	code = ist_mnsgan_create(&s, 0, &b->adversarial, err);
	if (code == IST_OK)
		fill_adversarial(b->adversarial);
	return code;
}

/* With the drawing of its negatives. */
static double step_mnsgan(struct bench *b)
{
	static const struct ist_mnsgan_draw how = {0};

	ist_mnsgan_draw(b->adversarial, &how, 0, 0, b->steps++);
	return step_acmr(b);
}

static enum ist_code create_cmgan(struct bench *b, struct ist_err *err)
{
	struct ist_cmgan_settings s = {.n_in = {b->widths.n_in[0], b->widths.n_in[1]},
				       .code = b->widths.code,
				       .n_classes = CLASSES,
				       .discriminator_hidden = b->widths.code / 2,
				       .batch = BATCH,
				       .tied = true,
				       .inter = 1,
				       .intra = 1,
				       .cls = 1,
				       .rounds = 5,
				       .lr = 1e-3,
				       .beta1 = .5,
				       .beta2 = .999,
				       .weight_decay = .01};
	enum ist_code code = ist_cmgan_create(&s, 0, &b->cmgan, err);

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++) {
		fill(b->cmgan->judges.x[m]);
		fill(b->cmgan->judges.wrong[m]);
	}
	if (code == IST_OK)
		fill_classes(b->cmgan->judges.y);
	return code;
}

static double step_cmgan(struct bench *b)
{
	ist_cmgan_step(b->cmgan);
	return (double)b->cmgan->generator[IST_IMAGE].L->value[0];
}

static enum ist_code create_corrae(struct bench *b, struct ist_err *err)
{
	struct ist_corrae_settings s = {.n_in = {b->widths.n_in[0], b->widths.n_in[1]},
					.hidden = b->widths.hidden[IST_IMAGE][0],
					.code = b->widths.code,
					.batch = BATCH,
					.alpha = .8,
					.lr = 1e-3,
					.beta1 = .9,
					.beta2 = .999,
					.weight_decay = 1e-4};
	enum ist_code code = ist_corrae_create(&s, 0, &b->corrae, err);

	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		fill(b->corrae->x[m]);
	return code;
}

static double step_corrae(struct bench *b)
{
	ist_corrae_step(b->corrae);
	return (double)b->corrae->L->value[0];
}

static const struct {
	const char *name;
	enum ist_code (*create)(struct bench *b, struct ist_err *err);
	double (*step)(struct bench *b);
} methods[] = {
    {"acmr", create_acmr, step_acmr},
    {"mnsgan", create_mnsgan, step_mnsgan},
    {"cmgan", create_cmgan, step_cmgan},
    {"corrae", create_corrae, step_corrae},
};

int main(int argc, char **argv)
{
	struct bench b = {.widths = {.n_classes = CLASSES,
				     .classifier_hidden = 50,
				     .batch = BATCH,
				     .alpha = 1,
				     .beta = 1,
				     .reg = .1,
				     .adversary = 1,
				     .k = 1,
				     .lr = 1e-4,
				     .beta1 = .5,
				     .beta2 = .999}};
	struct ist_err err;
	char line[64];
	size_t k = 0;

	if (argc != 5 || !parse_widths(argv[3], &b.widths, IST_IMAGE) ||
	    !parse_widths(argv[4], &b.widths, IST_TEXT))
		return 2;
	while (k < IST_COUNT(methods) && strcmp(methods[k].name, argv[1]) != 0)
		k++;
	if (k == IST_COUNT(methods))
		return 2;
	omp_set_num_threads((int)strtol(argv[2], NULL, 10));
	if (methods[k].create(&b, &err) != IST_OK) {
		fprintf(stderr, "bench-train-step: %s\n", err.text);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		double start = now_ms(), loss = methods[k].step(&b);

		printf("%.4f %.6f\n", now_ms() - start, loss);
		fflush(stdout);
	}
	ist_adversarial_destroy(b.adversarial);
	ist_cmgan_destroy(b.cmgan);
	ist_corrae_destroy(b.corrae);
	return 0;
}
