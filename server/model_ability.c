/*
 * What only some models can: a model that cannot says so in words that help. Whether one can is for
 * its method and its parameters: a network that never learned to write has no words.
 */
#include "server/model_ability.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/daemon.h"
#include "server/jobs.h"

/* In the order in which clients see them. */
static const struct {
	unsigned bit;
	const char *name;
} abilities[] = {
    {IST_EMBED_IMAGE, "embed_image"}, {IST_EMBED_TEXT, "embed_text"},
    {IST_COMPOSE, "compose"},	      {IST_CAPTION, "caption"},
    {IST_RENDER, "render"},	      {IST_RECONSTRUCT, "reconstruct"},
};

json_t *ist_abilities_json(unsigned set)
{
	json_t *names = json_array();

	for (size_t i = 0; i < IST_COUNT(abilities); i++)
		if (set & abilities[i].bit)
			json_array_append_new(names, json_string(abilities[i].name));
	return names;
}

/* Nothing of a method that this version does not know. The parameters in the model's row will do:
 * its file need not be read for this. */
unsigned ist_model_info_abilities(const struct ist_model_info *info)
{
	const struct ist_method *method = ist_method_find(info->method);
	json_t *params;
	unsigned set = 0;

	if (method == NULL)
		return 0;
	params = info->params != NULL ? json_loads(info->params, 0, NULL) : NULL;
	if (method->abilities == NULL || params != NULL)
		set = ist_method_abilities(method, params);
	json_decref(params);
	return set;
}

/* ---- the way to a model ---- */

/* `gxn {"captions": true}`: a method that has the ability, with the parameters that give it. */
static void put_method(struct ist_buf *to, const struct ist_method *method, unsigned ability)
{
	ist_buf_printf(to, "%s%s", to->len > 0 ? ", " : "", method->name);
	for (size_t i = 0; i < method->n_unlocks; i++)
		if (method->unlocks[i].ability == ability)
			ist_buf_printf(to, " with {%s}", method->unlocks[i].params);
}

/* The detail is all that a client gets, so it holds the way out. */
static enum ist_code unable(const struct ist_model_info *model, enum ist_ability ability,
			    const char *verb, struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf names = {0};

	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		if ((*m)->can & ability)
			put_method(&names, *m, ability);
	return ist_fail(err, IST_NO_MODEL,
			"the model %s (%s) cannot %s; train one that can with POST "
			"/v1/collections/{c}/trainings: %s",
			model->id, model->method, verb, names.len ? names.data : "no method can");
}

enum ist_code ist_ability_model(struct ist_request *rq, enum ist_ability ability, const char *verb,
				struct ist_collection **ret, struct ist_model_info *ret_info,
				struct ist_err *err)
{
	struct ist_collection *c;
	enum ist_code code;

	if (!json_is_object(rq->json))
		return ist_fail_at(err, IST_INVALID, "", "must be an object");
	code = ist_store_collection_get(rq->daemon->store, rq->segment[0], &c, err);
	if (code)
		return code;
	code = ist_models_get(c, rq->segment[1], rq->arena, ret_info, err);
	if (!code && (ist_model_info_abilities(ret_info) & ability) == 0)
		code = unable(ret_info, ability, verb, err);
	if (code)
		ist_collection_unref(c);
	else
		*ret = c;
	return code;
}

/* The active model is at hand; another one is read from its folder, as it needs no index here. */
static enum ist_code get_model(struct ist_collection *c, const char *id, struct ist_model **ret,
			       struct ist_err *err)
{
	struct ist_reader reader;
	enum ist_code code = ist_reader_init(&reader, c, NULL, err);

	if (code)
		return code;
	if (strcmp(reader.model, id) == 0)
		*ret = ist_model_ref(ist_generation_model(reader.generation));
	else
		code = ist_models_load(c, id, ret, err);
	ist_reader_finish(&reader);
	return code;
}

enum ist_code ist_ability_reply(struct ist_request *rq, struct ist_reply *re,
				enum ist_ability ability, const char *verb,
				ist_ability_answer answer, struct ist_err *err)
{
	ist_auto(ist_model_unref_ptr) struct ist_model *model = NULL;
	struct ist_collection *c = NULL;
	struct ist_model_info info;
	enum ist_code code = ist_ability_model(rq, ability, verb, &c, &info, err);

	if (code)
		return code;
	code = get_model(c, info.id, &model, err);
	if (!code) {
		ist_jobs_query_begin(rq->daemon->jobs);
		code = answer(rq, c, model, re, err);
		ist_jobs_query_end(rq->daemon->jobs);
	}
	ist_collection_unref(c);
	return code;
}

/* ---- what it is asked about ---- */

/* Each part is read by its own table, so that what is wrong is named by its own pointer. */
enum ist_code ist_ability_parse(struct ist_request *rq, const struct ist_field *fields, size_t n,
				void *ret, struct ist_source *ret_source, struct ist_err *err)
{
	json_t *source = json_copy(rq->json), *own = json_object();
	enum ist_code code;

	for (size_t i = 0; i < n; i++) {
		json_t *value = json_object_get(source, fields[i].name);

		if (value != NULL)
			json_object_set(own, fields[i].name, value);
		json_object_del(source, fields[i].name);
	}
	code = ist_fields_read(own, fields, n, ret, err);
	if (!code)
		code = ist_source_parse(source, NULL, true, rq->arena, ret_source, err);
	if (!code && ret_source->kind == IST_BY_COMPOSE)
		code = ist_fail_at(err, IST_INVALID, "/compose",
				   "a composed query has no feature of its own");
	json_decref(source);
	json_decref(own);
	return code;
}
