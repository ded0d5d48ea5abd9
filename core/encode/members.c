/*
 * Members of a configuration, by table: each is looked up by name, checked for its type and its
 * range, and put into the reader's struct. What is wrong is said with what was found, since the
 * person who reads it has the file before them.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/folder.h"

/* "12", "\"gelu\"", "an object": what stands there, short enough for an error */
static char *found(const json_t *value)
{
	char *text;

	if (json_is_object(value) || json_is_array(value))
		return ist_strdup(json_is_object(value) ? "an object" : "a list");
	text = json_dumps(value, JSON_ENCODE_ANY);
	if (text != NULL && strlen(text) > 40)
		memcpy(text + 37, "...", 4);
	return text;
}

static enum ist_code fail_member(const char *where, const struct ist_member *m, const json_t *value,
				 const char *wanted, struct ist_err *err)
{
	ist_autofree char *text = found(value);

	return ist_fail(err, IST_CORRUPT, "%s: \"%s\" is %s, wanted: %s", where, m->name,
			text != NULL ? text : "unreadable", wanted);
}

static enum ist_code read_number(const char *where, const struct ist_member *m, const json_t *value,
				 void *ret, struct ist_err *err)
{
	bool whole = m->kind == IST_MEMBER_SIZE;
	double x = json_number_value(value);
	ist_autofree char *wanted = NULL;

	if ((whole ? json_is_integer(value) : json_is_number(value)) && x >= m->min &&
	    x <= m->max) {
		if (whole)
			*(size_t *)ret = (size_t)json_integer_value(value);
		else
			*(double *)ret = x;
		return IST_OK;
	}
	wanted = ist_format("a %snumber from %g to %g", whole ? "whole " : "", m->min, m->max);
	return fail_member(where, m, value, wanted, err);
}

static enum ist_code read_choice(const char *where, const struct ist_member *m, const json_t *value,
				 void *ret, struct ist_err *err)
{
	const char *text = json_string_value(value);
	ist_auto(ist_buf_finish) struct ist_buf list = {0};

	for (size_t i = 0; m->choices[i] != NULL; i++) {
		if (text != NULL && strcmp(text, m->choices[i]) == 0) {
			*(size_t *)ret = i;
			return IST_OK;
		}
		ist_buf_printf(&list, "%s%s", i > 0 ? ", " : "", m->choices[i]);
	}
	return fail_member(where, m, value, list.data, err);
}

static enum ist_code read_bool(const char *where, const struct ist_member *m, const json_t *value,
			       void *ret, struct ist_err *err)
{
	if (!json_is_boolean(value))
		return fail_member(where, m, value, "true or false", err);
	*(bool *)ret = json_is_true(value);
	return IST_OK;
}

static enum ist_code (*const readers[])(const char *where, const struct ist_member *m,
					const json_t *value, void *ret, struct ist_err *err) = {
    [IST_MEMBER_SIZE] = read_number,
    [IST_MEMBER_REAL] = read_number,
    [IST_MEMBER_BOOL] = read_bool,
    [IST_MEMBER_CHOICE] = read_choice,
};

enum ist_code ist_members_read(const json_t *object, const char *where,
			       const struct ist_member *members, size_t n, void *ret,
			       struct ist_err *err)
{
	enum ist_code code = IST_OK;

	if (!json_is_object(object))
		return ist_fail(err, IST_CORRUPT, "%s is %s", where,
				object == NULL ? "missing" : "no object");
	for (size_t i = 0; i < n && code == IST_OK; i++) {
		const struct ist_member *m = &members[i];
		const json_t *value = json_object_get(object, m->name);

		if (value == NULL || json_is_null(value)) {
			if (!m->optional)
				code = ist_fail(err, IST_CORRUPT, "%s: \"%s\" is missing", where,
						m->name);
			continue;
		}
		code = readers[m->kind](where, m, value, (char *)ret + m->offset, err);
	}
	return code;
}
