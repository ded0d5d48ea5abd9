/*
 * Candidates are judged by what they reach on training items that they did not see: for each fold a
 * copy of the parts array marks the fold's items as test, leaves the other folds to train on, and
 * takes the real test part out. A deadline is a stop that is not the caller's; whoever meets it is
 * told apart by the clock.
 */
#include "core/train/select.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/linalg.h"
#include "core/train/stage.h"
#include "core/train/train.h"

#define TUNED 3		  /* candidates that are tuned */
#define CONFIGURATIONS 12 /* of one candidate, at most */
#define SIMILARITIES 8	  /* of one method, at most */
#define FIT_FOLDS 2.0	  /* a training with its report costs about as much as so many folds */
#define SHARE_FOLDS 0.5	  /* of the progress */
#define SHARE_TUNING 0.7  /* likewise, where tuning ends */
#define LEAST_S 1.0	  /* that any method gets, so that its cost can be told */
#define CHECKPOINT "folds.json"
#define CHECKPOINT_MAX ((size_t)1 << 20)

struct search {
	const struct ist_pairs *pairs;
	const struct ist_select_options *options;
	const struct ist_train_hooks *hooks;
	double begin, reserved; /* seconds: when it began; set aside for the trainings at the end */
	uint8_t *fold;		/* (n pairs) of training pairs */
	uint8_t *part;		/* (n pairs) of the fold at work */
	struct ist_selection *found;
	json_t *checkpoint; /* {configuration: {"figure", "similarity", "seconds"}} */
};

static double now_s(const struct search *s)
{
	return 1e-6 *
	       (double)(s->options->clock_us != NULL ? s->options->clock_us() : ist_monotonic_us());
}

static double seconds_left(const struct search *s)
{
	return s->options->budget_s - (now_s(s) - s->begin) - s->reserved;
}

/* ---- a deadline ---- */

struct deadline {
	struct ist_stage stage;
	const struct search *search;
	double at;
	bool met;
	double fraction; /* how far the work was */
};

static bool deadline_stop(void *user)
{
	struct deadline *d = user;

	if (!d->met && now_s(d->search) > d->at)
		d->met = true;
	return d->met || ist_stopped(d->stage.outer);
}

static void deadline_progress(void *user, double fraction, const char *name)
{
	struct deadline *d = user;

	d->fraction = fraction;
}

/* No curves: those of a fold are nobody's. */
static struct ist_train_hooks deadline_hooks(struct deadline *d, const struct search *s,
					     double seconds)
{
	struct ist_train_hooks hooks = ist_stage_hooks(&d->stage, s->hooks, 0, 1);

	hooks.user = d;
	d->search = s;
	d->at = now_s(s) + fmax(seconds, 0);
	d->met = false;
	d->fraction = 0;
	hooks.stop = deadline_stop;
	hooks.progress = deadline_progress;
	hooks.curve = NULL;
	return hooks;
}

/* ---- folds ---- */

/* Items are dealt in a random order; all pairs of an item lie in one fold. */
static void deal(struct search *s)
{
	const struct ist_pairs *pairs = s->pairs;
	ist_auto(ist_trial_finish) struct ist_trial trial = {0};
	ist_autofree uint32_t *order = NULL;
	struct ist_rng rng;

	s->fold = ist_alloc(pairs->n, 1);
	s->part = ist_alloc(pairs->n, 1);
	ist_trial_init(&trial, pairs, IST_TRAIN, IST_TEXT, IST_IMAGE, SIZE_MAX);
	order = ist_alloc_raw(trial.n_items, sizeof(*order));
	for (size_t i = 0; i < trial.n_items; i++)
		order[i] = (uint32_t)i;
	ist_rng_init(&rng, s->options->seed, "folds");
	ist_rng_permute(&rng, order, trial.n_items);
	for (size_t q = 0; q < trial.n_queries; q++)
		s->fold[trial.query[q]] = (uint8_t)(order[trial.query_item[q]] % IST_FOLDS);
}

static struct ist_pairs fold_pairs(struct search *s, uint8_t held)
{
	struct ist_pairs pairs = *s->pairs;

	for (size_t i = 0; i < pairs.n; i++) {
		s->part[i] = s->pairs->part[i];
		if (s->part[i] == IST_TEST)
			s->part[i] = IST_UNUSED;
		else if (s->part[i] == IST_TRAIN && s->fold[i] == held)
			s->part[i] = IST_TEST;
	}
	pairs.part = s->part;
	return pairs;
}

/* ---- one configuration ---- */

struct verdict {
	double figure;		/* of the best similarity, mean over the folds */
	const char *similarity; /* its name; NULL: the method has one way to rank */
	double seconds;
};

/* Adds each similarity's figure on the held fold to sum (SIMILARITIES). */
static enum ist_code judge(const struct search *s, const struct ist_pairs *pairs,
			   struct ist_model *model, const struct ist_train_hooks *hooks,
			   double *sum, struct ist_err *err)
{
	const char *const *names = ist_method_similarities(model->method);
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	ist_auto(ist_comparison_finish) struct ist_comparison comparison = {0};
	enum ist_code code = IST_OK;

	ist_trials_init(&trials, pairs, IST_TEST);
	ist_comparison_init(&comparison, &trials, s->found->aim);
	if (names == NULL)
		code = ist_comparison_add(&comparison, model, hooks, err);
	for (size_t i = 0; names != NULL && names[i] != NULL && i < SIMILARITIES && !code; i++) {
		ist_auto(ist_model_unref_ptr) struct ist_model *variant = NULL;

		code = model->method->variant(model, names[i], &variant, err);
		if (!code)
			code = ist_comparison_add(&comparison, variant, hooks, err);
	}
	for (size_t i = 0; i < comparison.n; i++)
		sum[i] += comparison.contestants[i].mean / IST_FOLDS;
	return code;
}

static enum ist_code run_fold(struct search *s, const struct ist_method *method,
			      const json_t *params, uint8_t held,
			      const struct ist_train_hooks *hooks, double *sum, struct ist_err *err)
{
	struct ist_pairs pairs = fold_pairs(s, held);
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *own = json_deep_copy(params); /* the data of the fold decide in it */
	enum ist_code code = method->train(&pairs, own, s->options->seed, hooks, &model, err);

	if (!code)
		code = judge(s, &pairs, model, hooks, sum, err);
	json_decref(own);
	return code;
}

static struct verdict best_of(const struct ist_method *method, const double *sum)
{
	const char *const *names = ist_method_similarities(method);
	struct verdict best = {.figure = sum[0], .similarity = names != NULL ? names[0] : NULL};

	for (size_t i = 1; names != NULL && names[i] != NULL && i < SIMILARITIES; i++) {
		if (sum[i] > best.figure)
			best = (struct verdict){.figure = sum[i], .similarity = names[i]};
	}
	return best;
}

/* What an earlier attempt found; false where it found nothing. */
static bool recall(const struct search *s, const struct ist_method *method, const char *key,
		   struct verdict *ret)
{
	const json_t *held = json_object_get(s->checkpoint, key);
	const char *const *names = ist_method_similarities(method);
	const char *similarity = json_string_value(json_object_get(held, "similarity"));

	if (held == NULL)
		return false;
	*ret = (struct verdict){.figure = json_number_value(json_object_get(held, "figure")),
				.seconds = json_number_value(json_object_get(held, "seconds"))};
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		if (similarity != NULL && strcmp(names[i], similarity) == 0)
			ret->similarity = names[i];
	}
	return names == NULL || ret->similarity != NULL;
}

static enum ist_code remember(struct search *s, const char *key, const struct verdict *verdict,
			      struct ist_err *err)
{
	ist_autofree char *path = NULL, *text = NULL;

	json_object_set_new(s->checkpoint, key,
			    json_pack("{s:f, s:s?, s:f}", "figure", verdict->figure, "similarity",
				      verdict->similarity, "seconds", verdict->seconds));
	if (s->hooks->checkpoint_dir == NULL)
		return IST_OK;
	path = ist_format("%s/" CHECKPOINT, s->hooks->checkpoint_dir);
	text = json_dumps(s->checkpoint, JSON_COMPACT);
	return ist_file_write(path, text, strlen(text), err);
}

/* IST_CANCELLED with d->met: out of time after *ret_estimate of what all the folds would take. */
static enum ist_code cross_validate(struct search *s, const struct ist_method *method,
				    const json_t *params, double seconds, struct deadline *d,
				    struct verdict *ret, double *ret_estimate, struct ist_err *err)
{
	ist_autofree char *key = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	ist_autofree char *name = ist_format("%s %s", method->name, key);
	struct ist_train_hooks hooks;
	double sum[SIMILARITIES] = {0}, begin = now_s(s);
	enum ist_code code = IST_OK;

	if (recall(s, method, name, ret))
		return IST_OK;
	hooks = deadline_hooks(d, s, seconds);
	for (uint8_t held = 0; held < IST_FOLDS && !code; held++) {
		code = run_fold(s, method, params, held, &hooks, sum, err);
		*ret_estimate = (now_s(s) - begin) * IST_FOLDS / fmax(held + d->fraction, 0.01);
	}
	if (code)
		return code;
	*ret = best_of(method, sum);
	ret->seconds = now_s(s) - begin;
	return remember(s, name, ret, err);
}

/* ---- the candidates ---- */

static void candidate_finish(struct ist_candidate *c)
{
	json_decref(c->params);
	json_decref(c->report);
	ist_model_unref(c->model);
	free(c->left_out);
}

void ist_selection_finish(struct ist_selection *s)
{
	for (size_t i = 0; i < s->n; i++)
		candidate_finish(&s->candidates[i]);
	free(s->candidates);
	*s = (struct ist_selection){0};
}

static void say(const struct search *s, double fraction, const char *format, const char *what)
{
	ist_autofree char *text = ist_format("%s %s", format, what);

	if (s->hooks->progress != NULL)
		s->hooks->progress(s->hooks->user, fraction, text);
}

/* Nothing can stop early or be chosen where there is no validation part. */
static enum ist_code defaults_of(const struct ist_method *method, json_t **ret, struct ist_err *err)
{
	enum ist_code code = ist_params_complete(method, NULL, ret, err);

	if (!code && json_object_get(*ret, "patience") != NULL)
		json_object_set_new(*ret, "patience", json_integer(0));
	return code;
}

static void leave_out(struct ist_candidate *c, double estimate, const char *format,
		      const char *text)
{
	c->left_out = ist_format("%s%s", format, text);
	c->estimate_s = estimate;
}

/* Tries the defaults. What goes wrong in a method is its own: the others go on. */
static enum ist_code try_defaults(struct search *s, struct ist_candidate *c, struct ist_err *err)
{
	struct deadline d = {.met = false};
	struct verdict verdict = {0};
	struct ist_err why = {0};
	double estimate = 0, share = IST_FOLDS / (IST_FOLDS + FIT_FOLDS);
	enum ist_code code;

	code = defaults_of(c->method, &c->params, err);
	if (code)
		return code;
	code = cross_validate(s, c->method, c->params, fmax(seconds_left(s) * share, LEAST_S), &d,
			      &verdict, &estimate, &why);
	if (code == IST_CANCELLED && !d.met)
		return ist_fail(err, code, "%s", why.text);
	if (code == IST_CANCELLED) {
		leave_out(c, estimate / share, "the budget is too short for it", "");
		return IST_OK;
	}
	if (code) {
		leave_out(c, 0, "", why.text);
		return IST_OK;
	}
	c->n_tried = 1;
	c->figure = verdict.figure;
	c->cv_s = verdict.seconds;
	c->fit_s = verdict.seconds / IST_FOLDS * FIT_FOLDS;
	s->reserved += c->fit_s;
	if (verdict.similarity != NULL)
		json_object_set_new(c->params, "similarity", json_string(verdict.similarity));
	return IST_OK;
}

/* ---- tuning ---- */

static json_t *value_json(const struct ist_method *method, const char *name, double value)
{
	for (size_t i = 0; i < method->n_params; i++) {
		const struct ist_param *param = &method->params[i];

		if (strcmp(param->name, name) != 0)
			continue;
		if (param->kind == IST_PARAM_INT)
			return json_integer((json_int_t)value);
		if (param->kind == IST_PARAM_CHOICE)
			return json_string(param->choices[(size_t)value]);
	}
	return json_real(value);
}

/* One other value of one parameter; kept if the folds like it better. */
static enum ist_code try_value(struct search *s, struct ist_candidate *c,
			       const struct ist_tuning *tuning, size_t i, bool *ret_out_of_time,
			       struct ist_err *err)
{
	json_t *params = json_deep_copy(c->params);
	struct deadline d = {.met = false};
	struct verdict verdict;
	double estimate;
	enum ist_code code;

	json_object_set_new(params, tuning->param,
			    value_json(c->method, tuning->param, tuning->value[i]));
	code = cross_validate(s, c->method, params, seconds_left(s), &d, &verdict, &estimate, err);
	c->n_tried++;
	*ret_out_of_time = code == IST_CANCELLED && d.met;
	if (*ret_out_of_time)
		code = IST_OK;
	else if (!code && verdict.figure > c->figure) {
		c->figure = verdict.figure;
		if (verdict.similarity != NULL)
			json_object_set_new(params, "similarity", json_string(verdict.similarity));
		json_decref(c->params);
		c->params = json_incref(params);
	}
	json_decref(params);
	return code;
}

/* Parameter after parameter, each with the best values of those before it. */
static enum ist_code tune(struct search *s, struct ist_candidate *c, struct ist_err *err)
{
	bool out_of_time = false;
	enum ist_code code = IST_OK;

	for (size_t t = 0; t < c->method->n_tune; t++) {
		for (size_t i = 0; i < c->method->tune[t].n && !code; i++) {
			if (out_of_time || c->n_tried >= CONFIGURATIONS ||
			    seconds_left(s) < c->cv_s)
				return IST_OK;
			code = try_value(s, c, &c->method->tune[t], i, &out_of_time, err);
		}
	}
	return code;
}

/* The best of those not yet tuned. */
static struct ist_candidate *next_to_tune(struct ist_selection *found, const bool *tuned)
{
	struct ist_candidate *best = NULL;

	for (size_t i = 0; i < found->n; i++) {
		struct ist_candidate *c = &found->candidates[i];

		if (!tuned[i] && c->left_out == NULL && (best == NULL || c->figure > best->figure))
			best = c;
	}
	return best;
}

static enum ist_code tune_best(struct search *s, struct ist_err *err)
{
	ist_autofree bool *tuned = ist_alloc(s->found->n + 1, sizeof(*tuned));
	enum ist_code code = IST_OK;

	for (int i = 0; i < TUNED && !code; i++) {
		struct ist_candidate *c = next_to_tune(s->found, tuned);

		if (c == NULL)
			break;
		say(s, SHARE_FOLDS + (SHARE_TUNING - SHARE_FOLDS) * i / TUNED, "tuning",
		    c->method->name);
		tuned[c - s->found->candidates] = true;
		code = tune(s, c, err);
	}
	return code;
}

/* ---- the whole ---- */

/* A method can be tried if its needs are met: ist_train_check says. */
static bool can_try(const struct ist_method *method, const struct ist_pairs *pairs,
		    struct ist_err *err)
{
	return method->trains && (method->can & IST_EMBED_IMAGE) &&
	       (method->can & IST_EMBED_TEXT) && ist_train_check(method, pairs, err) == IST_OK;
}

enum ist_code ist_select_check(const struct ist_pairs *pairs, struct ist_err *err)
{
	struct ist_err first = {0}, other;
	bool any = false;

	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		any |= can_try(*m, pairs, first.code == IST_OK ? &first : &other);
	if (any)
		return IST_OK;
	return ist_fail(err, IST_NOT_ENOUGH_DATA, "no method can be tried: %s", first.text);
}

static bool is_asked_for(const struct ist_method *method, const char *const *names)
{
	bool named = names == NULL;

	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		named |= strcmp(names[i], method->name) == 0;
	return named && method->trains;
}

bool ist_select_reads_texts(const struct ist_select_options *options)
{
	bool any = false;

	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		any |= (*m)->reads_texts && is_asked_for(*m, options->methods);
	return any;
}

static size_t count_methods(void)
{
	size_t n = 0;

	while (ist_methods[n] != NULL)
		n++;
	return n;
}

static enum ist_code try_all(struct search *s, struct ist_err *err)
{
	size_t n_methods = count_methods();
	enum ist_code code = IST_OK;

	s->found->candidates = ist_alloc(n_methods, sizeof(*s->found->candidates));
	for (size_t i = 0; i < n_methods && !code; i++) {
		struct ist_candidate *c = &s->found->candidates[s->found->n];
		struct ist_err why;

		if (!is_asked_for(ist_methods[i], s->options->methods))
			continue;
		s->found->n++;
		c->method = ist_methods[i];
		if (!can_try(c->method, s->pairs, &why)) {
			leave_out(c, 0, "",
				  why.code ? why.text : "it embeds no pairs of image and text");
			continue;
		}
		say(s, SHARE_FOLDS * (double)i / (double)n_methods, "cross-validating",
		    c->method->name);
		code = try_defaults(s, c, err);
	}
	return code;
}

static enum ist_code fit_all(struct search *s, struct ist_err *err)
{
	struct ist_selection *found = s->found;
	json_t *baselines = NULL; /* the first report's are everybody's */
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < found->n && !code; i++) {
		struct ist_candidate *c = &found->candidates[i];
		double from = SHARE_TUNING + (1 - SHARE_TUNING) * (double)i / (double)found->n;
		double to = SHARE_TUNING + (1 - SHARE_TUNING) * (double)(i + 1) / (double)found->n;
		ist_autofree char *name = ist_format("training %s", c->method->name);
		ist_autofree char *prefix = ist_format("%s/", c->method->name);
		struct ist_stage stage;
		struct ist_train_hooks hooks;

		if (c->left_out != NULL)
			continue;
		hooks = ist_stage_begin(&stage, s->hooks, from, to, name);
		stage.prefix = prefix;
		code = ist_train_beside(c->method, s->pairs, c->params, s->options->seed, baselines,
					&hooks, &c->model, &c->report, err);
		if (!code && baselines == NULL)
			baselines = json_object_get(c->report, "baselines");
	}
	return code;
}

/* By the folds, never by the test part. */
static enum ist_code choose(struct ist_selection *found, struct ist_err *err)
{
	struct ist_candidate *best = NULL;

	for (size_t i = 0; i < found->n; i++) {
		struct ist_candidate *c = &found->candidates[i];

		if (c->model != NULL && (best == NULL || c->figure > best->figure))
			best = c;
	}
	if (best == NULL)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"the budget was too short for every method: %s would take about "
				"%.0f s",
				found->n > 0 ? found->candidates[0].method->name : "the first",
				found->n > 0 ? found->candidates[0].estimate_s : 0);
	found->chosen = (size_t)(best - found->candidates);
	return IST_OK;
}

static json_t *read_checkpoint(const struct ist_train_hooks *hooks)
{
	ist_autofree char *path = NULL;
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	struct ist_err ignored;
	json_t *held = NULL;

	if (hooks->checkpoint_dir != NULL) {
		path = ist_format("%s/" CHECKPOINT, hooks->checkpoint_dir);
		if (ist_file_read(path, CHECKPOINT_MAX, &text, &ignored) == IST_OK)
			held = json_loadb(text.data, text.len, 0, NULL);
	}
	return json_is_object(held) ? held : json_object();
}

static enum ist_aim aim_of(const struct ist_pairs *pairs, int asked)
{
	for (size_t i = 0; i < pairs->n && asked < 0; i++) {
		if (pairs->part[i] == IST_TRAIN && pairs->label[i] >= 0)
			asked = IST_AIM_CLASS;
	}
	return asked < 0 ? IST_AIM_INSTANCE : (enum ist_aim)asked;
}

enum ist_code ist_select(const struct ist_pairs *pairs, const struct ist_select_options *options,
			 const struct ist_train_hooks *hooks, struct ist_selection *ret,
			 struct ist_err *err)
{
	static const struct ist_train_hooks none;
	ist_auto(ist_selection_finish) struct ist_selection found = {0};
	struct search s = {.pairs = pairs,
			   .options = options,
			   .hooks = hooks != NULL ? hooks : &none,
			   .found = &found};
	enum ist_code code = ist_select_check(pairs, err);

	if (code)
		return code;
	s.begin = now_s(&s);
	found.aim = aim_of(pairs, options->aim);
	s.checkpoint = read_checkpoint(s.hooks);
	deal(&s);
	if (!(code = try_all(&s, err)) && !(code = tune_best(&s, err)) &&
	    !(code = fit_all(&s, err)))
		code = choose(&found, err);
	free(s.fold);
	free(s.part);
	json_decref(s.checkpoint);
	if (!code) {
		*ret = found;
		found = (struct ist_selection){0};
	}
	return code;
}

/* ---- the table ---- */

/* What a row holds beside its figures. */
static void put_candidate(const struct ist_candidate *c, json_t *row)
{
	json_object_set_new(row, "method", json_string(c->method->name));
	json_object_set(row, "params", c->model->params);
	json_object_set_new(row, "similarity", json_string(ist_model_similarity_name(c->model)));
	json_object_set_new(row, "cross_validated", json_real(round(c->figure * 1e6) / 1e6));
	json_object_set_new(row, "configurations", json_integer((json_int_t)c->n_tried));
	json_object_set(row, "training_s", json_object_get(c->report, "training_s"));
}

static json_t *left_out_json(const struct ist_selection *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++) {
		const struct ist_candidate *c = &s->candidates[i];
		json_t *seconds = c->estimate_s > 0 ? json_real(round(c->estimate_s)) : json_null();

		if (c->left_out != NULL)
			json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "method",
							      c->method->name, "reason",
							      c->left_out, "estimated_s", seconds));
		else
			json_decref(seconds);
	}
	return list;
}

enum ist_code ist_selection_table(const struct ist_selection *s, const struct ist_pairs *pairs,
				  const struct ist_train_hooks *hooks, json_t **ret,
				  struct ist_err *err)
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	ist_auto(ist_comparison_finish) struct ist_comparison comparison = {0};
	json_t *rows = NULL;
	size_t chosen = 0, row = 0;
	enum ist_code code = IST_OK;

	ist_trials_init(&trials, pairs, IST_TEST);
	ist_comparison_init(&comparison, &trials, s->aim);
	for (size_t i = 0; i < s->n && !code; i++) {
		if (s->candidates[i].model == NULL)
			continue;
		if (i == s->chosen)
			chosen = comparison.n;
		code = ist_comparison_add(&comparison, s->candidates[i].model, hooks, err);
	}
	if (!code)
		code = ist_comparison_rows(&comparison, chosen, hooks, &rows, err);
	if (code)
		return code;
	for (size_t i = 0; i < s->n; i++) {
		if (s->candidates[i].model != NULL)
			put_candidate(&s->candidates[i], json_array_get(rows, row++));
	}
	*ret = json_pack("{s:s, s:s, s:o, s:o}", "aim", ist_aim_names[s->aim], "metric",
			 ist_aim_metric(s->aim), "table", rows, "left_out", left_out_json(s));
	return IST_OK;
}
