/*
 * Measuring a model again: on the test part of a split (its own training's, by default), or on
 * pairs of item ids that the client names. The result is a report; the one kept with the model
 * stays as it is.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/train/train.h"
#include "server/jobs.h"
#include "server/split_json.h"

/* One row a pair that the client named: the first item's picture, the second one's first text. */
struct chosen {
	struct ist_pairs pairs;
	float *x[IST_N_MODALITIES];
	int32_t *label;
	int64_t *item;
	uint8_t *part;
	const char **labels; /* by class number */
};

/* Releases what evaluate_pairs filled. */
static void chosen_finish(struct chosen *chosen)
{
	for (int m = 0; m < IST_N_MODALITIES; m++)
		free(chosen->x[m]);
	free(chosen->label);
	free(chosen->item);
	free(chosen->part);
	free(chosen->labels);
}

/* The number of a label, given out in order of appearance; -1 for none. */
static int32_t class_of(struct chosen *chosen, const char *label)
{
	size_t i;

	if (label == NULL)
		return -1;
	for (i = 0; i < chosen->pairs.n_classes; i++)
		if (strcmp(chosen->labels[i], label) == 0)
			return (int32_t)i;
	chosen->labels[chosen->pairs.n_classes++] = label;
	return (int32_t)i;
}

/* Copies the feature of one side of a pair, (dim). */
static enum ist_code take_item(struct ist_collection *c, const json_t *id, enum ist_modality m,
			       float *to, size_t dim, struct ist_arena *arena, struct ist_item *ret,
			       struct ist_err *err)
{
	const char *name = json_string_value(id);
	enum ist_code code = ist_item_get(c, name != NULL ? name : "", true, arena, ret, err);
	const float *x;

	if (code)
		return code;
	x = m == IST_IMAGE ? ret->image_vector : ret->text_vectors;
	if (x == NULL)
		return ist_fail(err, IST_INVALID, "the item \"%.100s\" has no %s", name,
				ist_modality_name(m));
	memcpy(to, x, dim * sizeof(*to));
	return IST_OK;
}

/* The i-th pair. Its class is the picture's: both sides of a true pair share it. */
static enum ist_code take_pair(struct ist_collection *c, const json_t *ids, size_t i,
			       struct chosen *chosen, struct ist_arena *arena, struct ist_err *err)
{
	struct ist_item item[IST_N_MODALITIES] = {0};

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		size_t dim = chosen->pairs.dim[m];
		enum ist_code code =
		    take_item(c, json_array_get(ids, (size_t)m), (enum ist_modality)m,
			      chosen->x[m] + i * dim, dim, arena, &item[m], err);

		if (code)
			return code;
	}
	chosen->item[i] = item[IST_IMAGE].row;
	chosen->part[i] = IST_TEST;
	chosen->label[i] = class_of(chosen, item[IST_IMAGE].label);
	return IST_OK;
}

/* On pairs that the client named; all of them count as test. */
static enum ist_code evaluate_pairs(struct ist_job *job, struct ist_collection *c,
				    const struct ist_model *model, const json_t *list, json_t **ret,
				    struct ist_err *err)
{
	size_t n = json_array_size(list);
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	ist_auto(chosen_finish) struct chosen chosen = {.pairs.n = n};
	enum ist_code code = IST_OK;

	for (int m = 0; m < IST_N_MODALITIES; m++) {
		chosen.pairs.dim[m] = model->dim_in[m];
		chosen.x[m] = ist_alloc(n + 1, model->dim_in[m] * sizeof(float));
		chosen.pairs.x[m] = chosen.x[m];
	}
	chosen.pairs.label = chosen.label = ist_alloc(n + 1, sizeof(*chosen.label));
	chosen.pairs.item = chosen.item = ist_alloc(n + 1, sizeof(*chosen.item));
	chosen.pairs.part = chosen.part = ist_alloc(n + 1, sizeof(*chosen.part));
	chosen.labels = ist_alloc(n + 1, sizeof(*chosen.labels));
	for (size_t i = 0; i < n && !code; i++)
		code = job->hooks.stop(job->hooks.user)
			   ? ist_fail(err, IST_CANCELLED, "cancelled")
			   : take_pair(c, json_array_get(list, i), i, &chosen, &arena, err);
	return code ? code : ist_evaluate(model, &chosen.pairs, IST_TEST, &job->hooks, ret, err);
}

/* On one part of the split that the request defines. */
static enum ist_code evaluate_split(struct ist_job *job, struct ist_collection *c,
				    const struct ist_model *model, json_t **ret,
				    struct ist_err *err)
{
	static const char *const names[IST_N_PARTS] = {"train", "validation", "test", "unused"};
	const char *name = json_string_value(json_object_get(job->request, "split"));
	const struct ist_split none = IST_SPLIT_DEFAULT;
	ist_auto(ist_training_set_finish) struct ist_training_set set = {0};
	struct ist_split split;
	int part = IST_TEST;
	enum ist_code code =
	    ist_split_parse(json_object_get(job->request, "definition"), &none, &split, err);

	for (int i = 0; name != NULL && i < IST_UNUSED; i++)
		if (strcmp(names[i], name) == 0)
			part = i;
	if (!code)
		code =
		    ist_training_set_load(c, &split, ist_training_needs(model->method), &set, err);
	return code ? code
		    : ist_evaluate(model, &set.pairs, (enum ist_part)part, &job->hooks, ret, err);
}

static enum ist_code evaluate(struct ist_job *job, struct ist_collection *c, json_t **ret_result,
			      struct ist_err *err)
{
	const char *name = json_string_value(json_object_get(job->request, "model"));
	const json_t *pairs = json_object_get(job->request, "pairs");
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	json_t *report = NULL;
	enum ist_code code = ist_models_load(c, name != NULL ? name : "", &model, err);

	job->hooks.progress(job->hooks.user, 0, "reading pairs");
	if (!code)
		code = pairs != NULL ? evaluate_pairs(job, c, model, pairs, &report, err)
				     : evaluate_split(job, c, model, &report, err);
	if (!code)
		*ret_result = json_pack("{s:s, s:o}", "model", name, "report", report);
	return code;
}

static enum ist_code run(struct ist_job *job, json_t **ret_result, struct ist_err *err)
{
	struct ist_collection *c;
	enum ist_code code = ist_store_collection_get(job->store, job->collection, &c, err);

	if (!code) {
		code = evaluate(job, c, ret_result, err);
		ist_collection_unref(c);
	}
	return code;
}

const struct ist_job_kind ist_job_evaluate = {"evaluate", IST_LANE_TRAIN, run};
