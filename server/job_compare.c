/*
 * Models side by side on the queries that all of them held back. Nothing is trained and nothing is
 * kept: the table is the job's result.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/train/compare.h"
#include "core/train/stage.h"
#include "server/held_out.h"
#include "server/job_models.h"

struct rival {
	const char *id; /* in the request */
	struct ist_model_info info;
	struct ist_model *model;
};

struct contest {
	struct ist_job *job;
	struct ist_collection *collection;
	struct ist_arena arena;
	struct rival *rivals;
	size_t n;
	struct ist_held_out held;
	struct ist_trials trials;
	struct ist_comparison comparison;
	json_t *result;
};

static void contest_finish(struct contest *c)
{
	for (size_t i = 0; i < c->n; i++)
		ist_model_unref(c->rivals[i].model);
	free(c->rivals);
	ist_comparison_finish(&c->comparison);
	ist_trials_finish(&c->trials);
	ist_held_out_finish(&c->held);
	ist_arena_finish(&c->arena);
	ist_collection_unref(c->collection);
	json_decref(c->result);
}

static enum ist_code load_rivals(struct contest *c, struct ist_err *err)
{
	const json_t *ids = json_object_get(c->job->request, "models");
	enum ist_code code = IST_OK;

	c->n = json_array_size(ids);
	c->rivals = ist_alloc(c->n + 1, sizeof(*c->rivals));
	for (size_t i = 0; i < c->n && !code; i++) {
		struct rival *r = &c->rivals[i];
		const char *id = json_string_value(json_array_get(ids, i));

		r->id = id != NULL ? id : "";
		code = ist_models_get(c->collection, r->id, &c->arena, &r->info, err);
		if (!code)
			code = ist_models_load(c->collection, r->id, &r->model, err);
	}
	return code;
}

/* The queries that count for all of them. */
static enum ist_code prepare(struct contest *c, struct ist_err *err)
{
	const char **reports = ist_arena_alloc(&c->arena, c->n + 1, sizeof(*reports));
	const char *aim = json_string_value(json_object_get(c->job->request, "aim"));
	enum ist_aim chosen;
	enum ist_code code;

	for (size_t i = 0; i < c->n; i++)
		reports[i] = c->rivals[i].info.report;
	code = ist_held_out_init(&c->held, c->collection, reports, c->n, 0, err);
	if (code)
		return code;
	ist_trials_init(&c->trials, &c->held.pairs, IST_TEST);
	if (c->trials.direction[IST_IMAGE].n_queries < 2)
		return ist_fail(err, IST_NOT_ENOUGH_DATA,
				"%zu items were held back by all of these models, 2 are needed",
				c->trials.direction[IST_IMAGE].n_queries);
	chosen = ist_aim_of(&c->trials);
	for (int i = 0; i < IST_N_AIMS; i++)
		if (aim != NULL && strcmp(aim, ist_aim_names[i]) == 0)
			chosen = (enum ist_aim)i;
	ist_comparison_init(&c->comparison, &c->trials, chosen);
	return IST_OK;
}

static enum ist_code measure_all(struct contest *c, struct ist_err *err)
{
	enum ist_code code = IST_OK;

	for (size_t i = 0; i < c->n && !code; i++) {
		struct ist_stage stage;
		struct ist_train_hooks hooks =
		    ist_stage_begin(&stage, &c->job->hooks, (double)i / (double)c->n,
				    (double)(i + 1) / (double)c->n, c->rivals[i].id);

		code = ist_comparison_add(&c->comparison, c->rivals[i].model, &hooks, err);
		if (code)
			return ist_wrap(err, "model %s", c->rivals[i].id);
	}
	return code;
}

/* What a row holds beside its figures. */
static enum ist_code put_rival(struct contest *c, const struct rival *r, json_t *row,
			       struct ist_err *err)
{
	json_t *report =
	    r->info.report != NULL ? json_loads(r->info.report, JSON_DECODE_ANY, NULL) : NULL;
	json_t *seconds = json_object_get(report, "training_s");
	enum ist_code code =
	    ist_job_put_model(c->collection, r->id, r->model, &c->held.pairs, row, err);

	json_object_set_new(row, "method", json_string(r->info.method));
	json_object_set_new(row, "similarity", json_string(ist_model_similarity_name(r->model)));
	json_object_set_new(row, "training_s",
			    seconds != NULL ? json_incref(seconds) : json_null());
	json_decref(report);
	return code;
}

static enum ist_code put_table(struct contest *c, struct ist_err *err)
{
	size_t best = ist_comparison_best(&c->comparison);
	const struct ist_trial *trials = c->trials.direction;
	json_t *rows = NULL;
	enum ist_code code = ist_comparison_rows(&c->comparison, best, &c->job->hooks, &rows, err);

	if (code)
		return code;
	c->result = json_pack(
	    "{s:s, s:s, s:s, s:{s:I, s:I}, s:o}", "aim", ist_aim_names[c->comparison.aim], "metric",
	    ist_aim_metric(c->comparison.aim), "best", c->rivals[best].id, "queries",
	    ist_direction_name(IST_IMAGE), (json_int_t)trials[IST_IMAGE].n_queries,
	    ist_direction_name(IST_TEXT), (json_int_t)trials[IST_TEXT].n_queries, "table", rows);
	for (size_t i = 0; i < c->n && !code; i++)
		code = put_rival(c, &c->rivals[i], json_array_get(rows, i), err);
	return code;
}

/* Of two models: the queries by which they differ most. */
static void put_apart(struct contest *c)
{
	size_t most = (size_t)json_integer_value(json_object_get(c->job->request, "queries"));
	struct ist_apart *apart = ist_arena_alloc(&c->arena, most + 1, sizeof(*apart));
	size_t n = c->n == 2 ? ist_comparison_apart(&c->comparison, 0, 1, most, apart) : 0;
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *one =
		    json_pack("{s:O, s:s}", "id", json_array_get(c->held.set.ids, apart[i].pair),
			      "direction", ist_direction_name(apart[i].from));

		json_object_set_new(one, "values",
				    json_pack("[f, f]", apart[i].value[0], apart[i].value[1]));
		json_array_append_new(list, one);
	}
	json_object_set_new(c->result, "apart", list);
}

static enum ist_code compare(struct contest *c, struct ist_err *err)
{
	enum ist_code code;

	if ((code = ist_store_collection_get(c->job->store, c->job->collection, &c->collection,
					     err)) ||
	    (code = load_rivals(c, err)) || (code = prepare(c, err)) ||
	    (code = measure_all(c, err)) || (code = put_table(c, err)))
		return code;
	put_apart(c);
	return IST_OK;
}

static enum ist_code run(struct ist_job *job, json_t **ret_result, struct ist_err *err)
{
	ist_auto(contest_finish) struct contest c = {.job = job};
	enum ist_code code = compare(&c, err);

	if (!code)
		*ret_result = json_incref(c.result);
	return code;
}

const struct ist_job_kind ist_job_compare = {"compare", IST_LANE_TRAIN, run};
