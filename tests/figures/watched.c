/*
 * Looks at half-trained models come in by the door of early stopping: a method asks how well such a
 * model does and keeps the best. The answer is the number of the look, so that every later model is
 * the better one and patience never ends: what is seen decides nothing.
 */
#include "tests/figures/watched.h"

#include <stdio.h>

#include "core/base/memory.h"

struct watching {
	const struct setting *setting;
	const struct watch *watch;
	uint64_t seed;
	size_t epochs; /* over */
	double looked_s;
};

static double validate(void *user, const struct ist_model *model)
{
	struct watching *w = user;
	double begin = runs_now();

	if (++w->epochs % w->watch->every == 0)
		w->watch->look(w->watch->user, model, w->epochs);
	w->looked_s += runs_now() - begin;
	return (double)w->epochs;
}

static void curve(void *user, const char *name, double step, double value)
{
	const struct watching *w = user;

	fprintf(stderr, "%s, seed %llu, epoch %.0f: %s %.5f\n", w->setting->title,
		(unsigned long long)w->seed, step, name, value);
}

struct ist_model *train_watched(const struct setting *setting, const struct ist_pairs *pairs,
				uint64_t seed, const struct watch *watch, double *ret_seconds)
{
	const struct ist_method *method = ist_method_find(setting->method);
	struct watching w = {.setting = setting, .watch = watch, .seed = seed};
	struct ist_train_hooks hooks = {.user = &w, .curve = curve};
	json_t *given = json_deep_copy(setting->params), *params = NULL;
	struct ist_model *model = NULL;
	double begin = runs_now();
	struct ist_err err;

	if (method == NULL)
		runs_die(setting->title, "no such method");
	if (watch->every > 0) {
		json_object_set_new(given, "patience", json_integer(1));
		hooks.validate = validate;
	}
	runs_check(ist_params_complete(method, given, &params, &err), &err);
	runs_check(method->train(pairs, params, seed, &hooks, &model, &err), &err);
	*ret_seconds = runs_now() - begin - w.looked_s;
	json_decref(given);
	json_decref(params);
	return model;
}

void save_model(const struct ist_model *model, const char *folder)
{
	struct ist_err err;

	if (folder != NULL)
		runs_check(ist_model_save(model, folder, &err), &err);
}
