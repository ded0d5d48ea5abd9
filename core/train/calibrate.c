/*
 * Calibration by one-dimensional logistic regression, a direction at a time, over all pairs of a
 * sample of validation items. Newton's method on two unknowns, on standardised similarities.
 */
#include "core/train/calibrate.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/linalg.h"
#include "core/methods/similarity.h"
#include "core/train/metrics.h"

#define SAMPLE 500 /* pairs of the sample; it is compared with itself */
#define MAX_STEPS 100
#define BLOCK 128 /* queries between two polls */

/* Similarities of every query with every gallery entry but its own item's in its own modality. */
struct sample {
	float *s;
	bool *match;
	size_t n;
	double mean, sd; /* over other items */
};

static void sample_finish(struct sample *sample)
{
	free(sample->s);
	free(sample->match);
}

static void moments(const float *s, size_t n, double *ret_mean, double *ret_sd)
{
	double sum = 0, squares = 0, mean;

	for (size_t i = 0; i < n; i++)
		sum += s[i];
	mean = n > 0 ? sum / (double)n : 0;
	for (size_t i = 0; i < n; i++)
		squares += (s[i] - mean) * (s[i] - mean);
	*ret_mean = mean;
	*ret_sd = n > 1 && squares > 0 ? sqrt(squares / (double)n) : 1;
}

/* Loss of (a, b), its gradient g and Hessian h (aa, ab, bb). */
static double logistic_loss(const float *s, const bool *match, size_t n, const double target[2],
			    double mean, double sd, const double w[2], double g[2], double h[3])
{
	double loss = 0;

	memset(g, 0, 2 * sizeof(*g));
	memset(h, 0, 3 * sizeof(*h));
	for (size_t i = 0; i < n; i++) {
		double x = (s[i] - mean) / sd, z = w[0] * x + w[1], t = target[match[i]];
		double p = 1 / (1 + exp(-z)), v = p * (1 - p);

		loss += (z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))) - t * z;
		g[0] += (p - t) * x;
		g[1] += p - t;
		h[0] += v * x * x;
		h[1] += v * x;
		h[2] += v;
	}
	return loss;
}

/* One damped Newton step; false when nothing is gained any more. */
static bool newton_step(const float *s, const bool *match, size_t n, const double target[2],
			double mean, double sd, double w[2])
{
	double g[2], h[3], loss = logistic_loss(s, match, n, target, mean, sd, w, g, h);
	double det = (h[0] + 1e-9) * (h[2] + 1e-9) - h[1] * h[1], step[2], ignored[5];

	step[0] = ((h[2] + 1e-9) * g[0] - h[1] * g[1]) / det;
	step[1] = ((h[0] + 1e-9) * g[1] - h[1] * g[0]) / det;
	for (double rate = 1; rate > 1e-6; rate /= 2) {
		double next[2] = {w[0] - rate * step[0], w[1] - rate * step[1]};
		double lower =
		    logistic_loss(s, match, n, target, mean, sd, next, ignored, ignored + 2);

		if (lower < loss - 1e-10 * fabs(loss)) {
			memcpy(w, next, sizeof(next));
			return true;
		}
	}
	return false;
}

bool ist_fit_logistic(const float *s, const bool *match, size_t n, double *ret_slope,
		      double *ret_offset)
{
	double mean, sd, w[2] = {0, 0}, target[2], matches = 0, others;

	for (size_t i = 0; i < n; i++)
		matches += match[i];
	others = (double)n - matches;
	if (matches == 0 || others == 0)
		return false;
	target[0] = 1 / (others + 2);
	target[1] = (matches + 1) / (matches + 2);
	moments(s, n, &mean, &sd);
	w[1] = log((matches + 1) / (others + 1));
	for (int i = 0; i < MAX_STEPS && newton_step(s, match, n, target, mean, sd, w); i++)
		;
	if (!(w[0] > 0) || !isfinite(w[0]) || !isfinite(w[1]))
		return false;
	*ret_slope = w[0] / sd;
	*ret_offset = w[1] - w[0] * mean / sd;
	return true;
}

/* What a true match is to somebody who searches: the same class, else the very item. */
static bool is_match(const struct ist_trial *trial, size_t q, size_t g)
{
	if (trial->query_label[q] >= 0)
		return trial->gallery_label[g] == trial->query_label[q];
	return trial->gallery_item[g] == trial->query_item[q];
}

/* Keeps what may be compared from one block of similarities. */
static void take_block(const struct ist_trial *trial, size_t at, size_t rows,
		       const float *similarity, struct sample *sample, float *other,
		       size_t *n_other)
{
	for (size_t i = 0; i < rows; i++) {
		for (size_t g = 0; g < trial->n_gallery; g++) {
			bool own = trial->gallery_item[g] == trial->query_item[at + i];
			float s = similarity[i * trial->n_gallery + g];

			if (own && (trial->from == trial->to))
				continue;
			sample->s[sample->n] = s;
			sample->match[sample->n++] = is_match(trial, at + i, g);
			if (!own)
				other[(*n_other)++] = s;
		}
	}
}

static enum ist_code draw(const struct ist_model *model, const struct ist_pairs *pairs,
			  const struct ist_trial *trial, const struct ist_train_hooks *hooks,
			  struct sample *ret, struct ist_err *err)
{
	size_t n = trial->n_queries, m = trial->n_gallery, dim = model->dim[trial->from];
	size_t n_other = 0;
	ist_autofree float *queries = NULL, *gallery = NULL;
	ist_autofree float *similarity = ist_alloc_raw(BLOCK * m, sizeof(float));
	ist_autofree float *other = ist_alloc_raw(n * m, sizeof(float));
	enum ist_code code;

	code = ist_embed_pairs(model, pairs, trial->from, trial->query, n, hooks, &queries, err);
	if (code == IST_OK)
		code = ist_embed_pairs(model, pairs, trial->to, trial->gallery, m, hooks, &gallery,
				       err);
	ret->s = ist_alloc_raw(n * m, sizeof(float));
	ret->match = ist_alloc_raw(n * m, sizeof(bool));
	for (size_t at = 0; at < n && code == IST_OK; at += BLOCK) {
		size_t rows = IST_MIN(n - at, (size_t)BLOCK);

		ist_similarities(model->similarity, ist_direction_of(trial->from, trial->to),
				 queries + at * dim, rows, gallery, m, dim, similarity);
		take_block(trial, at, rows, similarity, ret, other, &n_other);
		code = ist_check_stop(hooks, err);
	}
	moments(other, n_other, &ret->mean, &ret->sd);
	return code;
}

/* Fitting on training pairs would promise what new items do not keep; only their mean and
 * deviation may serve. */
static enum ist_code calibrate_direction(struct ist_model *model, const struct ist_pairs *pairs,
					 enum ist_part part, enum ist_modality from,
					 enum ist_modality to, const struct ist_train_hooks *hooks,
					 struct ist_err *err)
{
	struct ist_calibration *c = &model->calibration[from][to];
	ist_auto(sample_finish) struct sample sample = {0};
	ist_auto(ist_trial_finish) struct ist_trial trial = {0};
	enum ist_code code;

	ist_trial_init(&trial, pairs, part, from, to, SAMPLE);
	if (trial.n_queries == 0)
		return IST_OK;
	code = draw(model, pairs, &trial, hooks, &sample, err);
	if (code != IST_OK)
		return code;
	c->mean = sample.mean;
	c->sd = sample.sd;
	c->fitted = part == IST_VALIDATION &&
		    ist_fit_logistic(sample.s, sample.match, sample.n, &c->slope, &c->offset);
	return ist_check_stop(hooks, err);
}

enum ist_code ist_calibrate(struct ist_model *model, const struct ist_pairs *pairs,
			    const struct ist_train_hooks *hooks, struct ist_err *err)
{
	enum ist_part part = IST_TRAIN;
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < pairs->n && part == IST_TRAIN; i++) {
		if (pairs->part[i] == IST_VALIDATION)
			part = IST_VALIDATION;
	}
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		for (int to = 0; to < IST_N_MODALITIES && code == IST_OK; to++) {
			if (from == to || model->crosses)
				code =
				    calibrate_direction(model, pairs, part, from, to, hooks, err);
		}
	}
	return code;
}
