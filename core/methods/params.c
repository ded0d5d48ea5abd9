/*
 * Parameter tables at work: what a client sent is checked against the rows of its method and
 * completed with their defaults. A mistake names its place as a JSON pointer relative to the
 * parameters, what is allowed, and what came.
 */
#include <math.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/memory.h"
#include "core/methods/method.h"

static const struct ist_param *find(const struct ist_method *method, const char *name)
{
	for (size_t i = 0; i < method->n_params; i++) {
		if (strcmp(method->params[i].name, name) == 0)
			return &method->params[i];
	}
	return NULL;
}

/* RFC 6901: "~" is "~0" and "/" is "~1". */
static void pointer_of(const char *key, struct ist_buf *ret)
{
	ist_buf_putc(ret, '/');
	for (; *key != '\0'; key++) {
		if (*key == '~' || *key == '/')
			ist_buf_puts(ret, *key == '~' ? "~0" : "~1");
		else
			ist_buf_putc(ret, *key);
	}
}

/* Says what there is: a misspelt name is the commonest mistake. */
static enum ist_code fail_unknown(const struct ist_method *method, const char *key,
				  struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf pointer = {0}, known = {0};

	pointer_of(key, &pointer);
	for (size_t i = 0; i < method->n_params; i++) {
		ist_buf_puts(&known, i > 0 ? ", " : "");
		ist_buf_puts(&known, method->params[i].name);
	}
	if (known.len == 0)
		return ist_fail_at(err, IST_INVALID, pointer.data, "%s takes no parameters",
				   method->name);
	return ist_fail_at(err, IST_INVALID, pointer.data, "no parameter of %s, which takes %s",
			   method->name, known.data);
}

/* A whole number may be written 200.0, as some languages' JSON writers do. */
static enum ist_code check_number(const struct ist_param *param, const json_t *value, json_t **ret,
				  struct ist_err *err)
{
	ist_autofree char *pointer = ist_format("/%s", param->name);
	bool whole = param->kind == IST_PARAM_INT;
	double x = json_number_value(value);

	if (!json_is_number(value) || !isfinite(x) || (whole && x != floor(x)))
		return ist_fail_at(err, IST_INVALID, pointer, "must be a %s from %.10g to %.10g",
				   whole ? "whole number" : "number", param->min, param->max);
	if (x < param->min || x > param->max)
		return ist_fail_at(err, IST_INVALID, pointer, "must be %.10g to %.10g, got %.10g",
				   param->min, param->max, x);
	*ret = whole ? json_integer((json_int_t)x) : json_real(x);
	return IST_OK;
}

static enum ist_code check_bool(const struct ist_param *param, const json_t *value, json_t **ret,
				struct ist_err *err)
{
	ist_autofree char *pointer = ist_format("/%s", param->name);

	if (!json_is_boolean(value))
		return ist_fail_at(err, IST_INVALID, pointer, "must be true or false");
	*ret = json_boolean(json_is_true(value));
	return IST_OK;
}

static enum ist_code check_choice(const struct ist_param *param, const json_t *value, json_t **ret,
				  struct ist_err *err)
{
	ist_autofree char *pointer = ist_format("/%s", param->name);
	ist_auto(ist_buf_finish) struct ist_buf known = {0};

	for (size_t i = 0; param->choices[i] != NULL; i++) {
		if (json_is_string(value) &&
		    strcmp(json_string_value(value), param->choices[i]) == 0) {
			*ret = json_string(param->choices[i]);
			return IST_OK;
		}
		ist_buf_printf(&known, "%s%s", i > 0 ? ", " : "", param->choices[i]);
	}
	return ist_fail_at(err, IST_INVALID, pointer, "must be one of %s", known.data);
}

static enum ist_code (*const check[])(const struct ist_param *, const json_t *, json_t **,
				      struct ist_err *) = {
    [IST_PARAM_INT] = check_number,
    [IST_PARAM_REAL] = check_number,
    [IST_PARAM_BOOL] = check_bool,
    [IST_PARAM_CHOICE] = check_choice,
};

/* null stands for "by the data" until the method has seen them. */
static json_t *default_of(const struct ist_param *param)
{
	if (param->by_data)
		return json_null();
	switch (param->kind) {
	case IST_PARAM_INT:
		return json_integer((json_int_t)param->def);
	case IST_PARAM_REAL:
		return json_real(param->def);
	case IST_PARAM_BOOL:
		return json_boolean(param->def != 0);
	case IST_PARAM_CHOICE:
		return json_string(param->choices[0]);
	}
	return json_null();
}

/* null is a value only where the table leaves the choice to the data. */
static enum ist_code complete_one(const struct ist_param *param, const json_t *given, json_t *into,
				  struct ist_err *err)
{
	const json_t *value = json_object_get(given, param->name);
	json_t *checked = NULL;
	enum ist_code code;

	if (value == NULL || (json_is_null(value) && param->by_data))
		checked = default_of(param);
	else if ((code = check[param->kind](param, value, &checked, err)) != IST_OK)
		return code;
	json_object_set_new(into, param->name, checked);
	return IST_OK;
}

enum ist_code ist_params_complete(const struct ist_method *method, const json_t *given,
				  json_t **ret, struct ist_err *err)
{
	json_t *params, *value;
	const char *key;
	enum ist_code code = IST_OK;

	if (given != NULL && !json_is_object(given))
		return ist_fail_at(err, IST_INVALID, "", "must be an object");
	json_object_foreach((json_t *)given, key, value)
	{
		if (find(method, key) == NULL)
			return fail_unknown(method, key, err);
	}
	params = json_object();
	for (size_t i = 0; i < method->n_params && code == IST_OK; i++)
		code = complete_one(&method->params[i], given, params, err);
	if (code != IST_OK) {
		json_decref(params);
		return code;
	}
	*ret = params;
	return IST_OK;
}

long ist_param_int(const json_t *params, const char *name)
{
	return (long)json_integer_value(json_object_get(params, name));
}

double ist_param_real(const json_t *params, const char *name)
{
	return json_number_value(json_object_get(params, name));
}

bool ist_param_bool(const json_t *params, const char *name)
{
	return json_is_true(json_object_get(params, name));
}

const char *ist_param_choice(const json_t *params, const char *name)
{
	return json_string_value(json_object_get(params, name));
}

bool ist_param_is_null(const json_t *params, const char *name)
{
	const json_t *value = json_object_get(params, name);

	return value == NULL || json_is_null(value);
}

int ist_param_position(const json_t *params, const char *name, const char *const *choices)
{
	const char *value = ist_param_choice(params, name);
	int i = 0;

	while (choices[i] != NULL && strcmp(choices[i], value) != 0)
		i++;
	return i;
}

void ist_param_decide(json_t *params, const char *name, json_t *value)
{
	if (ist_param_is_null(params, name))
		json_object_set(params, name, value);
	json_decref(value);
}
