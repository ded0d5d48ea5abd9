/*
 * The parameter table of every method, looped: its own rows are sound, defaults complete, a value
 * at each end is taken and one beyond refused with the pointer of its place.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/method.h"
#include "tests/unit/test.h"

static void each_param(void (*check)(const struct ist_method *method,
				     const struct ist_param *param))
{
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		for (size_t j = 0; j < ist_methods[i]->n_params; j++)
			check(ist_methods[i], &ist_methods[i]->params[j]);
	}
}

/* Completes {name: value}; value is taken. */
static enum ist_code complete(const struct ist_method *method, const char *name, json_t *value,
			      json_t **ret, struct ist_err *err)
{
	json_t *given = json_pack("{s:o}", name, value);
	enum ist_code code = ist_params_complete(method, given, ret, err);

	json_decref(given);
	return code;
}

static void refused(const struct ist_method *method, const char *name, json_t *value)
{
	ist_autofree char *pointer = ist_format("/%s", name);
	struct ist_err err = {0};
	json_t *ret = NULL;

	if (complete(method, name, value, &ret, &err) != IST_INVALID)
		fail_msg("%s %s was not refused", method->name, name);
	assert_string_equal(err.pointer, pointer);
	assert_true(strlen(err.text) > 0);
	assert_null(ret);
}

static void taken(const struct ist_method *method, const char *name, json_t *value)
{
	json_t *ret = NULL, *copy = json_incref(value);
	struct ist_err err;

	assert_ist_ok(complete(method, name, value, &ret, &err));
	if (json_is_number(copy))
		assert_true(json_number_value(json_object_get(ret, name)) ==
			    json_number_value(copy));
	else
		assert_true(json_equal(json_object_get(ret, name), copy));
	json_decref(copy);
	json_decref(ret);
}

static void check_row(const struct ist_method *method, const struct ist_param *param)
{
	assert_non_null(param->name);
	assert_true(param->help != NULL && strlen(param->help) > 5);
	if (param->kind == IST_PARAM_CHOICE)
		assert_non_null(param->choices[0]);
	else
		assert_true(param->kind == IST_PARAM_BOOL || param->min < param->max);
	if (!param->by_data && param->kind != IST_PARAM_CHOICE && param->kind != IST_PARAM_BOOL)
		assert_true(param->def >= param->min && param->def <= param->max);
}

static void check_number(const struct ist_method *method, const struct ist_param *param)
{
	double step = param->kind == IST_PARAM_INT ? 1 : (param->max - param->min) / 16;

	if (param->kind != IST_PARAM_INT && param->kind != IST_PARAM_REAL)
		return;
	taken(method, param->name, json_real(param->min));
	taken(method, param->name, json_real(param->max));
	refused(method, param->name, json_real(param->min - step));
	refused(method, param->name, json_real(param->max + step));
	refused(method, param->name, json_string("1"));
	refused(method, param->name, json_true());
	refused(method, param->name, json_array());
	if (param->kind == IST_PARAM_INT)
		refused(method, param->name, json_real(param->min + 0.5));
}

static void check_other(const struct ist_method *method, const struct ist_param *param)
{
	if (param->kind == IST_PARAM_BOOL) {
		taken(method, param->name, json_true());
		taken(method, param->name, json_false());
		refused(method, param->name, json_integer(1));
	}
	if (param->kind == IST_PARAM_CHOICE) {
		for (size_t i = 0; param->choices[i] != NULL; i++)
			taken(method, param->name, json_string(param->choices[i]));
		refused(method, param->name, json_string("no such choice"));
		refused(method, param->name, json_integer(0));
	}
}

/* null means "by the data" where the table says so, and is a mistake elsewhere. */
static void check_null(const struct ist_method *method, const struct ist_param *param)
{
	if (param->by_data)
		taken(method, param->name, json_null());
	else
		refused(method, param->name, json_null());
}

static void rows_are_sound(void **state)
{
	each_param(check_row);
}

static void numbers_keep_their_range(void **state)
{
	each_param(check_number);
}

static void choices_and_switches(void **state)
{
	each_param(check_other);
}

static void null_is_by_data(void **state)
{
	each_param(check_null);
}

static void defaults_are_complete(void **state)
{
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		const struct ist_method *method = ist_methods[i];
		json_t *params = NULL, *again = NULL;
		struct ist_err err;

		assert_ist_ok(ist_params_complete(method, NULL, &params, &err));
		assert_int_equal(json_object_size(params), method->n_params);
		for (size_t j = 0; j < method->n_params; j++)
			assert_int_equal(ist_param_is_null(params, method->params[j].name),
					 method->params[j].by_data);
		assert_ist_ok(ist_params_complete(method, params, &again, &err));
		assert_true(json_equal(params, again));
		json_decref(params);
		json_decref(again);
	}
}

static void unknown_keys_are_named(void **state)
{
	const struct ist_method *linear = ist_method_find("linear");
	json_t *ret = NULL, *list = json_array();
	struct ist_err err;

	assert_int_equal(complete(linear, "a/b~c", json_integer(1), &ret, &err), IST_INVALID);
	assert_string_equal(err.pointer, "/a~1b~0c");
	assert_non_null(strstr(err.text, "dimension"));
	assert_int_equal(complete(ist_method_find("identity"), "x", json_integer(1), &ret, &err),
			 IST_INVALID);
	assert_int_equal(ist_params_complete(linear, list, &ret, &err), IST_INVALID);
	json_decref(list);
}

static void names_are_unique(void **state)
{
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		assert_true(ist_method_find(ist_methods[i]->name) == ist_methods[i]);
		for (size_t j = 0; j < ist_methods[i]->n_params; j++) {
			for (size_t k = 0; k < j; k++)
				assert_string_not_equal(ist_methods[i]->params[j].name,
							ist_methods[i]->params[k].name);
		}
	}
	assert_null(ist_method_find("nothing"));
}

TEST_MAIN(cmocka_unit_test(rows_are_sound), cmocka_unit_test(numbers_keep_their_range),
	  cmocka_unit_test(choices_and_switches), cmocka_unit_test(null_is_by_data),
	  cmocka_unit_test(defaults_are_complete), cmocka_unit_test(unknown_keys_are_named),
	  cmocka_unit_test(names_are_unique))
