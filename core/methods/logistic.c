/*
 * logistic: multinomial logistic regression on labels, one a modality over the same classes
 * ("semantic matching"). An embedding is the vector of class probabilities p(c | x); the inner
 * product of two is the probability that two items share a class (similarity "posterior"), of
 * unit-length ones their cosine.
 *
 *   minimise  1/n sum_i -log p(y_i | x_i) + regularisation |W|^2        p = softmax(W'x + b)
 *
 * by L-BFGS over all rows at once, in double over products in float, so the result is a function
 * of the data alone. At most MAX_ROWS pairs are used.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/linalg.h"
#include "core/methods/maps.h"
#include "core/methods/rows.h"

#define MAX_ROWS 20000
#define MAX_CLASSES 4096
#define BLOCK 512     /* rows between two polls */
#define MAX_STEPS 200 /* of L-BFGS */
#define HISTORY 10
#define MAX_HALVINGS 30
#define TOLERANCE 1e-5 /* largest component of the gradient that ends it */

static const char *const similarities[] = {"posterior", "cosine", NULL};

static const struct ist_param params[] = {
    {.name = "regularisation",
     .kind = IST_PARAM_REAL,
     .min = 0.000001,
     .max = 1000,
     .by_data = true,
     .help = "weight of the squared weights; 0.02 for features up to 256 wide, 0.1 for wider ones"},
    {.name = "similarity",
     .kind = IST_PARAM_CHOICE,
     .choices = similarities,
     .help = "posterior: the probability of sharing a class; cosine: of the class probabilities"},
    IST_PARAM_SCALING("image"),
    IST_PARAM_SCALING("text"),
};

/* One regression. The unknowns w are (dim, classes) weights, then (classes) biases. */
struct problem {
	const float *x;	      /* (n, dim) scaled rows */
	const int32_t *label; /* (n) */
	size_t n, dim, classes, size;
	double ridge;
	const struct ist_train_hooks *hooks;
	float *weight, *gradient; /* (dim, classes) float copies for the products */
	float *p;		  /* (BLOCK, classes) */
};

/* z (classes) -> softmax(z); returns log sum exp. */
static double softmax(float *z, size_t classes)
{
	float top = z[0];
	double sum = 0;

	for (size_t c = 1; c < classes; c++)
		top = fmaxf(top, z[c]);
	for (size_t c = 0; c < classes; c++)
		sum += z[c] = expf(z[c] - top);
	for (size_t c = 0; c < classes; c++)
		z[c] = (float)(z[c] / sum);
	return log(sum) + top;
}

/* Loss of a block of rows; its p - y, over n, is added to the gradients. */
static double block_loss(struct problem *pr, const double *bias, size_t at, size_t rows,
			 double *bias_gradient)
{
	size_t classes = pr->classes;
	double loss = 0;

	for (size_t i = 0; i < rows; i++) {
		for (size_t c = 0; c < classes; c++)
			pr->p[i * classes + c] = (float)bias[c];
	}
	ist_gemm_f32(IST_PLAIN, IST_PLAIN, rows, classes, pr->dim, 1, pr->x + at * pr->dim,
		     pr->weight, 1, pr->p);
	for (size_t i = 0; i < rows; i++) {
		float *p = pr->p + i * classes, z = p[pr->label[at + i]];

		loss += softmax(p, classes) - z;
		p[pr->label[at + i]] -= 1;
		for (size_t c = 0; c < classes; c++)
			bias_gradient[c] += p[c] / (double)pr->n;
	}
	ist_gemm_f32(IST_TRANSPOSED, IST_PLAIN, pr->dim, classes, rows, 1 / (float)pr->n,
		     pr->x + at * pr->dim, pr->p, 1, pr->gradient);
	return loss / (double)pr->n;
}

/* f(w) and its gradient. */
static enum ist_code evaluate(struct problem *pr, const double *w, double *ret, double *gradient,
			      struct ist_err *err)
{
	size_t n_weights = pr->dim * pr->classes;
	enum ist_code code = IST_OK;
	double f = 0;

	for (size_t i = 0; i < n_weights; i++) {
		pr->weight[i] = (float)w[i];
		f += pr->ridge * w[i] * w[i];
	}
	memset(pr->gradient, 0, n_weights * sizeof(*pr->gradient));
	memset(gradient + n_weights, 0, pr->classes * sizeof(*gradient));
	for (size_t at = 0; at < pr->n && code == IST_OK; at += BLOCK) {
		f += block_loss(pr, w + n_weights, at, IST_MIN(pr->n - at, (size_t)BLOCK),
				gradient + n_weights);
		code = ist_check_stop(pr->hooks, err);
	}
	for (size_t i = 0; i < n_weights; i++)
		gradient[i] = pr->gradient[i] + 2 * pr->ridge * w[i];
	*ret = f;
	return code;
}

static double dot(const double *a, const double *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void add(double *a, double factor, const double *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] += factor * b[i];
}

/* What the end of the minimisation is judged by: the largest component, free of dimension. */
static double largest(const double *a, size_t n)
{
	double top = 0;

	for (size_t i = 0; i < n; i++)
		top = fmax(top, fabs(a[i]));
	return top;
}

/* The last steps s and changes of the gradient y, in a ring. */
struct history {
	double *s[HISTORY], *y[HISTORY], sy[HISTORY];
	size_t n;
};

static void history_finish(struct history *h)
{
	for (size_t i = 0; i < HISTORY; i++) {
		free(h->s[i]);
		free(h->y[i]);
	}
}

/* Two-loop recursion: direction <- H gradient. */
static void descend(const struct history *h, const double *gradient, size_t size, double *direction)
{
	size_t kept = IST_MIN(h->n, (size_t)HISTORY);
	double alpha[HISTORY];

	memcpy(direction, gradient, size * sizeof(*direction));
	for (size_t back = 0; back < kept; back++) {
		size_t i = (h->n - 1 - back) % HISTORY;

		alpha[i] = dot(h->s[i], direction, size) / h->sy[i];
		add(direction, -alpha[i], h->y[i], size);
	}
	if (kept > 0) {
		size_t last = (h->n - 1) % HISTORY;
		double scale = h->sy[last] / dot(h->y[last], h->y[last], size);

		for (size_t i = 0; i < size; i++)
			direction[i] *= scale;
	} else {
		double norm = sqrt(dot(gradient, gradient, size));

		for (size_t i = 0; norm > 1 && i < size; i++)
			direction[i] /= norm;
	}
	for (size_t back = kept; back-- > 0;) {
		size_t i = (h->n - 1 - back) % HISTORY;

		add(direction, alpha[i] - dot(h->y[i], direction, size) / h->sy[i], h->s[i], size);
	}
}

/* A pair without curvature (s'y not above 0) would spoil the model of the Hessian: it is
 * overwritten by the next. */
static void remember(struct history *h, const double *w, const double *next, const double *gradient,
		     const double *next_gradient, size_t size)
{
	size_t i = h->n % HISTORY;

	if (h->s[i] == NULL) {
		h->s[i] = ist_alloc_raw(size, sizeof(double));
		h->y[i] = ist_alloc_raw(size, sizeof(double));
	}
	for (size_t j = 0; j < size; j++) {
		h->s[i][j] = next[j] - w[j];
		h->y[i][j] = next_gradient[j] - gradient[j];
	}
	h->sy[i] = dot(h->s[i], h->y[i], size);
	if (h->sy[i] > 1e-14)
		h->n++;
}

/* Minimises from w = 0, with Armijo's rule for the step. */
static enum ist_code minimise(struct problem *pr, double *w, struct ist_err *err)
{
	size_t size = pr->size;
	ist_autofree double *gradient = ist_alloc(size, sizeof(double));
	ist_autofree double *next = ist_alloc(size, sizeof(double));
	ist_autofree double *next_gradient = ist_alloc(size, sizeof(double));
	ist_autofree double *direction = ist_alloc(size, sizeof(double));
	ist_auto(history_finish) struct history history = {0};
	double f = 0, next_f = 0, step, slope;
	enum ist_code code;

	code = evaluate(pr, w, &f, gradient, err);
	for (int k = 0; k < MAX_STEPS && code == IST_OK; k++) {
		int halvings = 0;

		if (largest(gradient, size) < TOLERANCE)
			break;
		descend(&history, gradient, size, direction);
		slope = dot(direction, gradient, size);
		for (step = 1; halvings < MAX_HALVINGS && code == IST_OK; step /= 2, halvings++) {
			memcpy(next, w, size * sizeof(*w));
			add(next, -step, direction, size);
			code = evaluate(pr, next, &next_f, next_gradient, err);
			if (next_f <= f - 1e-4 * step * slope)
				break;
		}
		if (halvings == MAX_HALVINGS)
			break; /* float products resolve no more */
		remember(&history, w, next, gradient, next_gradient, size);
		memcpy(w, next, size * sizeof(*w));
		memcpy(gradient, next_gradient, size * sizeof(*w));
		f = next_f;
	}
	return code;
}

/* Scaled features and labels of the training rows. */
static float *scaled_rows(const struct ist_pairs *pairs, enum ist_modality m,
			  const struct ist_scaling *scaling, const uint32_t *rows, size_t n)
{
	size_t dim = pairs->dim[m];
	float *x = ist_alloc_raw(n * dim, sizeof(*x));

	for (size_t i = 0; i < n; i++)
		memcpy(x + i * dim, pairs->x[m] + rows[i] * dim, dim * sizeof(*x));
	ist_scaling_apply(scaling, x, n, x);
	return x;
}

static enum ist_code fit_side(const struct ist_pairs *pairs, enum ist_modality m,
			      const json_t *params_, const uint32_t *rows, size_t n,
			      const struct ist_train_hooks *hooks, struct ist_maps *maps,
			      struct ist_err *err)
{
	size_t dim = pairs->dim[m], classes = pairs->n_classes, size = (dim + 1) * classes;
	ist_autofree double *w = ist_alloc(size, sizeof(*w));
	ist_autofree int32_t *label = ist_alloc_raw(n, sizeof(*label));
	ist_autofree float *x = NULL, *gradient = ist_alloc(dim * classes, sizeof(float));
	ist_autofree float *p = ist_alloc(BLOCK * classes, sizeof(float));
	struct problem pr = {.n = n, .dim = dim, .classes = classes, .size = size, .hooks = hooks};
	enum ist_code code;

	ist_scaling_fit(&maps->scaling[m], ist_param_choice(params_, ist_scaling_param(m)),
			pairs->x[m], dim, rows, n);
	for (size_t i = 0; i < n; i++)
		label[i] = pairs->label[rows[i]];
	maps->weight[m] = ist_alloc(dim * classes, sizeof(float));
	maps->bias[m] = ist_alloc(classes, sizeof(float));
	pr.x = x = scaled_rows(pairs, m, &maps->scaling[m], rows, n);
	pr.label = label;
	pr.ridge = ist_param_real(params_, "regularisation");
	pr.weight = maps->weight[m];
	pr.gradient = gradient;
	pr.p = p;
	code = minimise(&pr, w, err);
	for (size_t i = 0; i < dim * classes; i++)
		maps->weight[m][i] = (float)w[i];
	for (size_t c = 0; c < classes; c++)
		maps->bias[m][c] = (float)w[dim * classes + c];
	return code;
}

/* The maps become the model's. */
static struct ist_model *wrap(const struct ist_pairs *pairs, const json_t *params_, uint64_t seed,
			      struct ist_maps *maps)
{
	struct ist_model *model = ist_model_create(&ist_method_logistic);

	model->params = json_deep_copy(params_);
	model->similarity =
	    strcmp(ist_param_choice(params_, "similarity"), "cosine") == 0 ? IST_COSINE : IST_INNER;
	model->crosses = true;
	model->seed = seed;
	model->state = maps;
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		model->dim_in[m] = pairs->dim[m];
		model->dim[m] = pairs->n_classes;
	}
	return model;
}

static enum ist_code train(const struct ist_pairs *pairs, json_t *params_, uint64_t seed,
			   const struct ist_train_hooks *hooks, struct ist_model **ret,
			   struct ist_err *err)
{
	size_t widest = IST_MAX(pairs->dim[IST_IMAGE], pairs->dim[IST_TEXT]), n = 0;
	ist_autofree uint32_t *rows = ist_training_rows(pairs, true, MAX_ROWS, seed, &n);
	struct ist_maps *maps;
	enum ist_code code = IST_OK;

	if (ist_param_is_null(params_, "regularisation"))
		json_object_set_new(params_, "regularisation",
				    json_real(widest > IST_WIDE ? 0.1 : 0.02));
	if (n < 2 || pairs->n_classes < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu labelled pairs of %zu labels to learn from, 2 of each are "
				"needed",
				n, pairs->n_classes);
	if (pairs->n_classes > MAX_CLASSES)
		return ist_fail(err, IST_INVALID, "%zu labels, at most %d can be told apart",
				pairs->n_classes, MAX_CLASSES);
	maps = ist_maps_create();
	for (int m = 0; m < IST_N_MODALITIES && code == IST_OK; m++)
		code = fit_side(pairs, m, params_, rows, n, hooks, maps, err);
	if (code != IST_OK) {
		ist_maps_unref(maps);
		return code;
	}
	*ret = wrap(pairs, params_, seed, maps);
	return IST_OK;
}

/* The weights are the same for both rankings and are shared. */
static enum ist_code variant(const struct ist_model *model, const char *similarity,
			     struct ist_model **ret, struct ist_err *err)
{
	struct ist_model *other = ist_model_like(model);

	json_object_set_new(other->params, "similarity", json_string(similarity));
	other->similarity = strcmp(similarity, "cosine") == 0 ? IST_COSINE : IST_INNER;
	other->state = ist_maps_ref(model->state);
	*ret = other;
	return IST_OK;
}

static enum ist_code embed(const struct ist_model *model, enum ist_modality m, const float *x,
			   size_t n, float *ret, struct ist_err *err)
{
	size_t classes = model->dim[m];

	ist_maps_apply(model->state, m, classes, x, n, ret);
	for (size_t i = 0; i < n; i++)
		softmax(ret + i * classes, classes);
	if (model->similarity == IST_COSINE)
		ist_unit_rows(ret, n, classes);
	return IST_OK;
}

static const struct ist_tuning tune[] = {
    {"regularisation", {0.005, 0.02, 0.1, 0.5}, 4},
};

const struct ist_method ist_method_logistic = {
    .name = "logistic",
    .title = "Logistic regression on labels, ranked by the probability of sharing one",
    .about = "A classifier a side, ranked by the probability of sharing a class. "
	     "Strong where labels say what matters.",
    .needs = IST_NEEDS_LABELS,
    .can = IST_EMBED_IMAGE | IST_EMBED_TEXT,
    .trains = true,
    .params = params,
    .n_params = IST_COUNT(params),
    .tune = tune,
    .n_tune = IST_COUNT(tune),
    .train = train,
    .load = ist_maps_load,
    .save = ist_maps_save,
    .destroy = ist_maps_destroy,
    .variant = variant,
    .embed = embed,
};
