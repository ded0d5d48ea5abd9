/*
 * The report: what a model reached on held-out items, with 95 % intervals, beside chance. The
 * value of chance is its expectation; its interval is where random rankings of the same queries
 * come out. All draws are seeded by a constant: the same model on the same items gives the same
 * report.
 */
#include "core/train/report.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/composed.h"
#include "core/train/train.h"

#define SEED 0

const char *ist_direction_name(enum ist_modality from)
{
	return from == IST_IMAGE ? "image_to_text" : "text_to_image";
}

void ist_trials_init(struct ist_trials *trials, const struct ist_pairs *pairs, enum ist_part part)
{
	*trials = (struct ist_trials){.pairs = pairs};
	for (int from = 0; from < IST_N_MODALITIES; from++) {
		struct ist_trial *trial = &trials->direction[from];

		ist_trial_init(trial, pairs, part, from, ist_modality_other(from), IST_MAX_GALLERY);
		for (size_t q = 0; q < trial->n_queries; q++)
			trials->by_label |= trial->query_label[q] >= 0;
	}
}

void ist_trials_finish(struct ist_trials *trials)
{
	for (int from = 0; from < IST_N_MODALITIES; from++)
		ist_trial_finish(&trials->direction[from]);
}

const char *const *ist_method_similarities(const struct ist_method *method)
{
	for (size_t i = 0; i < method->n_params && method->variant != NULL; i++) {
		if (strcmp(method->params[i].name, "similarity") == 0)
			return method->params[i].choices;
	}
	return NULL;
}

const char *ist_model_similarity_name(const struct ist_model *model)
{
	const char *name = ist_param_choice(model->params, "similarity");

	return name != NULL ? name : ist_similarity_names[model->similarity];
}

/* Without intervals: choices are made by the value alone. */
enum ist_code ist_trials_figure(const struct ist_trials *trials, const struct ist_model *model,
				const struct ist_train_hooks *hooks, double *ret,
				struct ist_err *err)
{
	double mean[IST_N_METRICS], sum = 0;
	enum ist_code code = IST_OK;

	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		const struct ist_trial *trial = &trials->direction[from];
		ist_auto(ist_figures_finish) struct ist_figures figures = {0};
		ist_autofree uint32_t *order = NULL;

		ist_figures_init(&figures, trial);
		code = ist_measure(model, trials->pairs, trial, hooks, &figures, err);
		order = ist_figures_order(&figures);
		ist_figures_mean(&figures, order, NULL, mean);
		sum += mean[trials->by_label ? IST_MAP_ALL : IST_R_10];
	}
	if (code == IST_OK)
		*ret = sum / IST_N_MODALITIES;
	return code;
}

/* Six decimals: the rest is noise of the draws and would only lengthen the report. */
static json_t *rounded(double x)
{
	return json_real(round(x * 1e6) / 1e6);
}

json_t *ist_interval_json(const struct ist_interval *interval)
{
	return json_pack("{s:o, s:o, s:o}", "value", rounded(interval->value), "low",
			 rounded(interval->low), "high", rounded(interval->high));
}

static json_t *intervals_json(const struct ist_interval interval[IST_N_METRICS])
{
	json_t *object = json_object();

	for (int i = 0; i < IST_N_METRICS; i++)
		json_object_set_new(object, ist_metric_names[i], ist_interval_json(&interval[i]));
	return object;
}

enum ist_code ist_figures_json(const struct ist_figures *figures,
			       const struct ist_train_hooks *hooks, json_t **ret,
			       struct ist_err *err)
{
	struct ist_interval interval[IST_N_METRICS];
	enum ist_code code = ist_bootstrap_figures(figures, SEED, hooks, interval, err);

	if (code == IST_OK)
		*ret = intervals_json(interval);
	return code;
}

/* Both directions of a model under its own similarity. */
static enum ist_code add_directions(const struct ist_trials *trials, const struct ist_model *model,
				    const struct ist_train_hooks *hooks, json_t *into,
				    struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		const struct ist_trial *trial = &trials->direction[from];
		ist_auto(ist_figures_finish) struct ist_figures figures = {0};
		json_t *direction = NULL;

		ist_figures_init(&figures, trial);
		code = ist_measure(model, trials->pairs, trial, hooks, &figures, err);
		if (code == IST_OK)
			code = ist_figures_json(&figures, hooks, &direction, err);
		if (code == IST_OK)
			json_object_set_new(into, ist_direction_name(from), direction);
	}
	return code;
}

/* Variants share the weights, so a further ranking costs its measuring only. */
static enum ist_code add_variant(const struct ist_trials *trials, const struct ist_model *model,
				 const char *name, const struct ist_train_hooks *hooks,
				 json_t *table, struct ist_err *err)
{
	ist_auto(ist_model_unref_ptr) struct ist_model *variant = NULL;
	json_t *directions;
	enum ist_code code;

	code = model->method->variant(model, name, &variant, err);
	if (code != IST_OK)
		return code;
	directions = json_object();
	json_object_set_new(table, name, directions);
	return add_directions(trials, variant, hooks, directions, err);
}

/* The figures under the model's own ranking are one row of its table; they are not measured
 * twice. */
enum ist_code ist_report_model(const struct ist_trials *trials, const struct ist_model *model,
			       const struct ist_train_hooks *hooks, json_t *into,
			       struct ist_err *err)
{
	const char *const *names = ist_method_similarities(model->method);
	const char *own = ist_model_similarity_name(model);
	json_t *table = json_object(), *directions;
	enum ist_code code = IST_OK;

	json_object_set_new(into, "similarity", json_string(own));
	json_object_set_new(into, "similarities", table);
	if (names == NULL)
		return add_directions(trials, model, hooks, into, err);
	for (size_t i = 0; names[i] != NULL && code == IST_OK; i++)
		code = add_variant(trials, model, names[i], hooks, table, err);
	directions = json_deep_copy(json_object_get(table, own));
	if (code == IST_OK && json_object_update(into, directions) != 0)
		code = ist_fail(err, IST_INTERNAL, "no figures under %s", own);
	json_decref(directions);
	return code;
}

/* Chance in one direction: its expectation, and the spread of one random ranker's figures around
 * that. */
static enum ist_code chance_direction(const struct ist_trial *trial,
				      const struct ist_train_hooks *hooks, json_t **ret,
				      struct ist_err *err)
{
	ist_auto(ist_figures_finish) struct ist_figures figures = {0};
	struct ist_interval interval[IST_N_METRICS];
	double expected[IST_N_METRICS];
	enum ist_code code;

	ist_figures_init(&figures, trial);
	code = ist_measure_random(trial, SEED, hooks, &figures, err);
	if (code == IST_OK)
		code = ist_bootstrap_figures(&figures, SEED, hooks, interval, err);
	if (code != IST_OK)
		return code;
	ist_chance(trial, expected);
	for (int i = 0; i < IST_N_METRICS; i++) {
		double shift = expected[i] - interval[i].value;
		double least = i == IST_MEDIAN_RANK ? 1 : 0;
		double most = i == IST_MEDIAN_RANK ? (double)trial->n_gallery : 1;

		interval[i].value = expected[i];
		interval[i].low = fmin(expected[i], fmax(least, interval[i].low + shift));
		interval[i].high = fmax(expected[i], fmin(most, interval[i].high + shift));
	}
	*ret = intervals_json(interval);
	return IST_OK;
}

/* Pairs, not items: what the method saw. */
static json_t *count_parts(const struct ist_pairs *pairs)
{
	json_int_t count[IST_N_PARTS] = {0};

	for (size_t i = 0; i < pairs->n; i++)
		count[IST_MIN(pairs->part[i], (uint8_t)IST_UNUSED)]++;
	return json_pack("{s:I, s:I, s:I}", "train", count[IST_TRAIN], "validation",
			 count[IST_VALIDATION], "test", count[IST_TEST]);
}

enum ist_code ist_report_trials(const struct ist_trials *trials,
				const struct ist_train_hooks *hooks, json_t *into,
				struct ist_err *err)
{
	json_t *queries = json_object(), *gallery = json_object(), *chance = json_object();
	enum ist_code code = IST_OK;

	json_object_set_new(into, "split", count_parts(trials->pairs));
	json_object_set_new(into, "relevant", json_string(trials->by_label ? "label" : "item"));
	json_object_set_new(into, "queries", queries);
	json_object_set_new(into, "gallery", gallery);
	json_object_set_new(into, "chance", chance);
	for (int from = 0; from < IST_N_MODALITIES && code == IST_OK; from++) {
		const struct ist_trial *trial = &trials->direction[from];
		const char *name = ist_direction_name(from);
		json_t *figures = NULL;

		json_object_set_new(queries, name, json_integer((json_int_t)trial->n_queries));
		json_object_set_new(gallery, name, json_integer((json_int_t)trial->n_gallery));
		code = chance_direction(trial, hooks, &figures, err);
		if (code == IST_OK)
			json_object_set_new(chance, name, figures);
	}
	return code;
}

enum ist_code ist_evaluate(const struct ist_model *model, const struct ist_pairs *pairs,
			   enum ist_part part, const struct ist_train_hooks *hooks,
			   json_t **ret_report, struct ist_err *err)
{
	ist_auto(ist_trials_finish) struct ist_trials trials = {0};
	json_t *report;
	enum ist_code code;

	if (model->method->compose != NULL && pairs->triples != NULL)
		return ist_composed_evaluate(model, pairs, part, hooks, ret_report, err);
	if (!model->crosses)
		return ist_fail(err, IST_NO_MODEL,
				"%s compares nothing across image and text: train a model first",
				model->method->name);
	ist_trials_init(&trials, pairs, part);
	if (trials.direction[IST_IMAGE].n_queries < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu items to measure on, at least 2 are needed",
				trials.direction[IST_IMAGE].n_queries);
	report = json_object();
	code = ist_report_trials(&trials, hooks, report, err);
	if (code == IST_OK)
		code = ist_report_model(&trials, model, hooks, report, err);
	if (code != IST_OK) {
		json_decref(report);
		return code;
	}
	*ret_report = report;
	return IST_OK;
}
