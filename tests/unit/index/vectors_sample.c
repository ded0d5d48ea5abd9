/* Made-up vectors and the plain loops that indexes are compared with. */
#include "tests/unit/index/vectors_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"

#define N_CLUSTERS 64
#define N_DIRECTIONS 24

static void fill_normal(float *x, size_t n, double scale, struct ist_rng *rng)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (float)(scale * ist_rng_normal(rng));
}

static void to_unit(float *x, size_t dim)
{
	double s = 0;

	for (size_t i = 0; i < dim; i++)
		s += (double)x[i] * x[i];
	for (size_t i = 0; i < dim; i++)
		x[i] = (float)(x[i] / sqrt(s));
}

static void to_posterior(float *x, size_t dim)
{
	double s = 0;

	for (size_t i = 0; i < dim; i++)
		s += exp(2.0 * x[i]);
	for (size_t i = 0; i < dim; i++)
		x[i] = (float)(exp(2.0 * x[i]) / s);
}

static void to_positive(float *x, size_t dim)
{
	for (size_t i = 0; i < dim; i++)
		x[i] = fabsf(x[i]);
}

/* x = centre + directions . z + a little of everything. Every `step`th of the directions. */
static void draw(float *x, size_t dim, const float *centres, const float *directions, size_t step,
		 struct ist_rng *rng)
{
	const float *centre = centres + ist_rng_below(rng, N_CLUSTERS) * dim;

	fill_normal(x, dim, 0.1, rng);
	for (size_t i = 0; i < dim; i++)
		x[i] += centre[i];
	for (size_t j = 0; j < N_DIRECTIONS; j += step) {
		double z = ist_rng_normal(rng) / sqrt(1.0 + (double)j);

		for (size_t i = 0; i < dim; i++)
			x[i] += (float)(z * directions[j * dim + i]);
	}
}

float *sample_side(size_t n, size_t dim, enum ist_similarity similarity, enum ist_modality side,
		   uint64_t seed, const char *stream)
{
	size_t step = similarity == IST_ORDER && side == IST_TEXT ? 2 : 1;
	ist_autofree float *centres = ist_alloc_raw(N_CLUSTERS * dim, sizeof(float));
	ist_autofree float *directions = ist_alloc_raw(N_DIRECTIONS * dim, sizeof(float));
	float *x = ist_alloc_raw(n * dim, sizeof(float));
	struct ist_rng rng;

	ist_rng_init(&rng, seed, "space");
	fill_normal(centres, N_CLUSTERS * dim, 1, &rng);
	fill_normal(directions, N_DIRECTIONS * dim, 0.5, &rng);
	ist_rng_init(&rng, seed, stream);
	for (size_t i = 0; i < n; i++) {
		draw(x + i * dim, dim, centres, directions, step, &rng);
		if (similarity == IST_COSINE || similarity == IST_ORDER)
			to_unit(x + i * dim, dim);
		if (similarity == IST_ORDER)
			to_positive(x + i * dim, dim);
		if (similarity == IST_INNER)
			to_posterior(x + i * dim, dim);
	}
	return x;
}

float *sample_vectors(size_t n, size_t dim, enum ist_similarity similarity, uint64_t seed,
		      const char *stream)
{
	return sample_side(n, dim, similarity, IST_IMAGE, seed, stream);
}

/* method.h's definition: a picture costs what it lacks of a text, and within a modality both count.
 */
static double sample_order(const float *a, const float *b, size_t dim, enum ist_direction direction)
{
	double s = 0;

	for (size_t i = 0; i < dim; i++) {
		double d = (double)a[i] - b[i];

		if ((d > 0 && direction != IST_IMAGE_TO_TEXT) ||
		    (d < 0 && direction != IST_TEXT_TO_IMAGE))
			s += d * d;
	}
	return -s;
}

double sample_similarity(const float *a, const float *b, size_t dim, enum ist_similarity similarity,
			 enum ist_direction direction)
{
	double s = 0;

	if (similarity == IST_ORDER)
		return sample_order(a, b, dim, direction);
	for (size_t i = 0; i < dim; i++)
		s += similarity == IST_EUCLIDEAN ? ((double)a[i] - b[i]) * ((double)a[i] - b[i])
						 : (double)a[i] * b[i];
	return similarity == IST_EUCLIDEAN ? -sqrt(s) : s;
}

static int by_similarity(const void *a, const void *b)
{
	const struct ist_vector_hit *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity > y->similarity ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

size_t sample_nearest(const float *x, size_t n, size_t dim, enum ist_similarity similarity,
		      enum ist_direction direction, const float *query, size_t k,
		      const struct ist_bitset *allowed, struct ist_vector_hit *ret)
{
	ist_autofree struct ist_vector_hit *all = ist_alloc(n, sizeof(*all));
	size_t n_all = 0;

	for (size_t i = 0; i < n; i++) {
		if (allowed != NULL && !(allowed->words[i / 64] >> (i % 64) & 1))
			continue;
		all[n_all++] = (struct ist_vector_hit){
		    (int64_t)i,
		    (float)sample_similarity(query, x + i * dim, dim, similarity, direction),
		};
	}
	qsort(all, n_all, sizeof(*all), by_similarity);
	k = IST_MIN(k, n_all);
	memcpy(ret, all, k * sizeof(*ret));
	return k;
}

struct ist_model *sample_model(size_t dim_image, size_t dim_text, enum ist_similarity similarity)
{
	struct ist_model *model =
	    ist_identity_create((const size_t[]){dim_image, dim_text}, dim_image == dim_text);

	model->similarity = similarity;
	return model;
}
