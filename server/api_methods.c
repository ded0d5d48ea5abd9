/*
 * The methods that can be trained, each with what it needs, what it can and its parameter table.
 * The tables are those that validate a training's parameters, so that what is shown here is what
 * holds. identity is not listed: it is there without a training.
 */
#include "server/api.h"

#include <math.h>

#include "core/base/memory.h"
#include "core/methods/method.h"
#include "server/model_ability.h"

static const struct {
	unsigned bit;
	const char *name;
} needs[] = {
    {IST_NEEDS_LABELS, "labels"}, {IST_NEEDS_TRIPLES, "triples"}, {IST_NEEDS_TOKENS, "tokens"}};

/* The names of the bits that are set. */
static json_t *needs_json(unsigned set)
{
	json_t *names = json_array();

	for (size_t i = 0; i < IST_COUNT(needs); i++)
		if (set & needs[i].bit)
			json_array_append_new(names, json_string(needs[i].name));
	return names;
}

/* Limits of a parameter; one that has none says null. */
static json_t *int_json(double value)
{
	return isfinite(value) ? json_integer((json_int_t)value) : json_null();
}

static json_t *real_json(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *choices_json(const struct ist_param *p)
{
	json_t *choices = json_array();

	for (size_t i = 0; p->choices[i] != NULL; i++)
		json_array_append_new(choices, json_string(p->choices[i]));
	return choices;
}

/* What a parameter is when nobody says: null where the data decides. */
static json_t *default_json(const struct ist_param *p)
{
	if (p->by_data)
		return json_null();
	switch (p->kind) {
	case IST_PARAM_INT:
		return int_json(p->def);
	case IST_PARAM_REAL:
		return json_real(p->def);
	case IST_PARAM_BOOL:
		return json_boolean(p->def != 0);
	case IST_PARAM_CHOICE:
		break;
	}
	return json_string(p->choices[0]);
}

static json_t *param_json(const struct ist_param *p)
{
	static const char *const types[] = {
	    [IST_PARAM_INT] = "int",
	    [IST_PARAM_REAL] = "real",
	    [IST_PARAM_BOOL] = "bool",
	    [IST_PARAM_CHOICE] = "choice",
	};
	bool number = p->kind == IST_PARAM_INT || p->kind == IST_PARAM_REAL;
	json_t *(*limit)(double) = p->kind == IST_PARAM_INT ? int_json : real_json;

	json_t *json = json_pack(
	    "{s:s, s:s, s:o, s:o, s:o, s:s}", "name", p->name, "type", types[p->kind], "default",
	    default_json(p), "min", number ? limit(p->min) : json_null(), "max",
	    number ? limit(p->max) : json_null(), "help", p->help != NULL ? p->help : "");

	if (p->kind == IST_PARAM_CHOICE)
		json_object_set_new(json, "choices", choices_json(p));
	return json;
}

/* The paper that a method implements; null for what is none. */
static json_t *paper_json(const struct ist_method *m)
{
	if (m->paper.title == NULL)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:i, s:b}", "title", m->paper.title, "authors",
			 m->paper.authors != NULL ? m->paper.authors : "", "venue",
			 m->paper.venue != NULL ? m->paper.venue : "", "year", m->paper.year,
			 "reconstruction", m->paper.reconstruction);
}

static json_t *method_json(const struct ist_method *m)
{
	json_t *params = json_array();

	for (size_t i = 0; i < m->n_params; i++)
		json_array_append_new(params, param_json(&m->params[i]));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", m->name, "title", m->title,
			 "about", m->about != NULL ? m->about : m->title, "paper", paper_json(m),
			 "needs", needs_json(m->needs), "can", ist_abilities_json(m->can), "params",
			 params);
}

enum ist_code ist_api_list_methods(struct ist_request *rq, struct ist_reply *re,
				   struct ist_err *err)
{
	json_t *methods = json_array();

	for (const struct ist_method *const *m = ist_methods; *m != NULL; m++)
		if ((*m)->trains)
			json_array_append_new(methods, method_json(*m));
	ist_reply_json(re, 200, json_pack("{s:o}", "methods", methods));
	return IST_OK;
}
