/* The made-up pairs, and trainings on them that end early. */
#include "tests/unit/methods/world.h"
#include "tests/unit/test.h"

#include <math.h>
#include <omp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/similarity.h"

void world_init(struct world *w)
{
	const size_t dim[IST_N_MODALITIES] = {WORLD_IMAGE, WORLD_TEXT};
	struct ist_rng rng;

	memset(w, 0, sizeof(*w));
	ist_rng_init(&rng, 5, "world");
	w->pairs.n = WORLD_PAIRS;
	w->pairs.n_classes = WORLD_CLASSES;
	for (size_t i = 0; i < WORLD_PAIRS; i++) {
		w->label[i] = (int32_t)(i % WORLD_CLASSES);
		w->part[i] = i < WORLD_PAIRS * 4 / 5 ? IST_TRAIN : IST_TEST;
		w->item[i] = (int64_t)i;
	}
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		w->pairs.dim[m] = dim[m];
		w->x[m] = ist_alloc(WORLD_PAIRS * dim[m], sizeof(float));
		for (size_t i = 0; i < WORLD_PAIRS; i++)
			for (size_t j = 0; j < dim[m]; j++)
				w->x[m][i * dim[m] + j] =
				    (float)(ist_rng_normal(&rng) +
					    (j % WORLD_CLASSES == (size_t)w->label[i] ? 2 : 0));
		w->pairs.x[m] = w->x[m];
	}
	w->label[3] = -1;
	w->pairs.label = w->label;
	w->pairs.part = w->part;
	w->pairs.item = w->item;
}

void world_finish(struct world *w)
{
	free(w->x[IST_IMAGE]);
	free(w->x[IST_TEXT]);
}

json_t *world_params(const char *method, const char *given)
{
	json_t *json = json_loads(given, 0, NULL), *params;
	struct ist_err err;

	assert_non_null(json);
	assert_ist_ok(ist_params_complete(ist_method_find(method), json, &params, &err));
	json_decref(json);
	return params;
}

struct ist_model *world_train(const struct world *w, const char *method, const char *given,
			      const struct ist_train_hooks *hooks)
{
	json_t *params = world_params(method, given);
	struct ist_model *model = NULL;
	struct ist_err err;

	assert_ist_ok(
	    ist_method_find(method)->train(&w->pairs, params, WORLD_SEED, hooks, &model, &err));
	json_decref(params);
	return model;
}

float *world_embed(const struct ist_model *model, const struct world *w, enum ist_modality m)
{
	float *e = ist_alloc(WORLD_PAIRS * model->dim[m], sizeof(*e));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, m, w->pairs.x[m], WORLD_PAIRS, e, &err));
	return e;
}

double world_distance(const float *a, const float *b, size_t dim)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		sum += pow((double)a[k] - (double)b[k], 2);
	return sqrt(sum);
}

/* How far a text is from an image. */
static double apart(const struct ist_model *model, const float *v, const float *t)
{
	size_t dim = model->dim[IST_IMAGE];
	float s;

	if (model->similarity != IST_ORDER)
		return world_distance(v, t, dim);
	ist_similarities(IST_ORDER, IST_IMAGE_TO_TEXT, v, 1, t, 1, dim, &s);
	return -(double)s;
}

double world_precision(const struct ist_model *model, const struct world *w)
{
	ist_autofree float *v = world_embed(model, w, IST_IMAGE),
			   *t = world_embed(model, w, IST_TEXT);
	size_t dim = model->dim[IST_IMAGE], right = 0, n = 0;

	for (size_t i = WORLD_PAIRS * 4 / 5; i < WORLD_PAIRS; i++, n++) {
		size_t best = WORLD_PAIRS * 4 / 5;

		for (size_t j = best; j < WORLD_PAIRS; j++)
			if (apart(model, v + i * dim, t + j * dim) <
			    apart(model, v + i * dim, t + best * dim))
				best = j;
		right += w->label[best] == w->label[i];
	}
	return (double)right / (double)n;
}

void world_assert_same(const struct ist_model *a, const struct ist_model *b, const struct world *w)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *x = world_embed(a, w, (enum ist_modality)m);
		ist_autofree float *y = world_embed(b, w, (enum ist_modality)m);

		assert_int_equal(a->dim[m], b->dim[m]);
		assert_memory_equal(x, y, WORLD_PAIRS * a->dim[m] * sizeof(*x));
	}
}

bool world_stop(void *user)
{
	struct world_stopper *s = user;

	s->asked++;
	if (s->asked == s->kill_at)
		kill(getpid(), SIGKILL);
	return s->asked == s->stop_at;
}

void world_run_stopped(const struct world *w, const char *method, const char *given,
		       const char *folder, int after)
{
	struct world_stopper s = {.stop_at = after};
	struct ist_train_hooks hooks = {.user = &s, .stop = world_stop, .checkpoint_dir = folder};
	json_t *params = world_params(method, given);
	struct ist_model *model = NULL;
	struct ist_err err;

	assert_int_equal(
	    ist_method_find(method)->train(&w->pairs, params, WORLD_SEED, &hooks, &model, &err),
	    IST_CANCELLED);
	assert_null(model);
	assert_int_equal(s.asked, after);
	json_decref(params);
}

void world_run_killed(const struct world *w, const char *method, const char *given,
		      const char *folder, int after)
{
	struct world_stopper s = {.kill_at = after};
	struct ist_train_hooks hooks = {.user = &s, .stop = world_stop, .checkpoint_dir = folder};
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		json_t *params = world_params(method, given);
		struct ist_model *model;

		omp_set_num_threads(1); /* the pool's threads stayed with the parent */
		(void)!ist_method_find(method)->train(&w->pairs, params, WORLD_SEED, &hooks, &model,
						      NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
