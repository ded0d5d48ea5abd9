/* See toy.h: clusters of latent points, two random maps, Gaussian noise. */
#include "tests/unit/train/toy.h"

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "tests/unit/test.h"

#define LATENT 8
static const size_t dims[IST_N_MODALITIES] = {24, 16};

static void draw_side(struct toy *toy, enum ist_modality m, const double *latent, double noise)
{
	ist_autofree double *map = ist_alloc(LATENT * dims[m], sizeof(*map));
	struct ist_rng rng;

	ist_rng_init(&rng, 3, ist_modality_name(m));
	for (size_t i = 0; i < LATENT * dims[m]; i++)
		map[i] = ist_rng_normal(&rng);
	toy->x[m] = ist_alloc(toy->pairs.n * dims[m], sizeof(float));
	for (size_t i = 0; i < toy->pairs.n; i++) {
		for (size_t j = 0; j < dims[m]; j++) {
			double sum = noise * ist_rng_normal(&rng);

			for (size_t k = 0; k < LATENT; k++)
				sum += latent[i * LATENT + k] * map[k * dims[m] + j];
			toy->x[m][i * dims[m] + j] = (float)sum;
		}
	}
	toy->pairs.x[m] = toy->x[m];
	toy->pairs.dim[m] = dims[m];
}

static enum ist_part part_of(size_t i, size_t n_classes, bool validation)
{
	size_t tenth = i / n_classes % 10;

	if (tenth < 3)
		return IST_TEST;
	return tenth == 3 && validation ? IST_VALIDATION : IST_TRAIN;
}

void toy_init(struct toy *toy, size_t n, size_t n_classes, bool validation, double noise)
{
	ist_autofree double *latent = ist_alloc(n * LATENT, sizeof(*latent));
	ist_autofree double *centre = ist_alloc(n_classes * LATENT, sizeof(*centre));
	struct ist_rng rng;

	*toy = (struct toy){.pairs = {.n = n, .n_classes = n_classes}};
	toy->label = ist_alloc(n, sizeof(*toy->label));
	toy->item = ist_alloc(n, sizeof(*toy->item));
	toy->part = ist_alloc(n, 1);
	ist_rng_init(&rng, 3, "toy");
	for (size_t i = 0; i < n_classes * LATENT; i++)
		centre[i] = 2 * ist_rng_normal(&rng);
	for (size_t i = 0; i < n; i++) {
		toy->label[i] = (int32_t)(i % n_classes);
		toy->item[i] = (int64_t)i + 100;
		toy->part[i] = (uint8_t)part_of(i, n_classes, validation);
		for (size_t k = 0; k < LATENT; k++)
			latent[i * LATENT + k] =
			    centre[i % n_classes * LATENT + k] + ist_rng_normal(&rng);
	}
	for (int m = 0; m < IST_N_MODALITIES; m++)
		draw_side(toy, (enum ist_modality)m, latent, noise);
	toy->pairs.label = toy->label;
	toy->pairs.item = toy->item;
	toy->pairs.part = toy->part;
}

void toy_unlabel(struct toy *toy)
{
	for (size_t i = 0; i < toy->pairs.n; i++)
		toy->label[i] = -1;
	toy->pairs.n_classes = 0;
}

void toy_finish(struct toy *toy)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		free(toy->x[m]);
	free(toy->label);
	free(toy->item);
	free(toy->part);
}

struct ist_model *toy_train(struct toy *toy, const char *name, json_t *given)
{
	const struct ist_method *method = ist_method_find(name);
	struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, given, &params, &err));
	assert_ist_ok(method->train(&toy->pairs, params, 0, NULL, &model, &err));
	json_decref(params);
	json_decref(given);
	return model;
}
