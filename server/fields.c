/*
 * Bodies by tables: one reader a type, looked up by the row's kind. A reader gets the value and
 * the place, writes the place only on success and says in words what it would have taken.
 */
#include "server/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"

void ist_pointer_add(char *pointer, size_t size, const char *name)
{
	size_t n = strlen(pointer);

	if (n + 1 < size)
		pointer[n++] = '/';
	for (; *name && n + 2 < size; name++) {
		if (*name == '~' || *name == '/') {
			pointer[n++] = '~';
			pointer[n++] = *name == '~' ? '0' : '1';
		} else {
			pointer[n++] = *name;
		}
	}
	/* A name that was cut must not end inside a character. */
	while (*name && n > 0 && ((unsigned char)pointer[n - 1] & 0xc0) == 0x80)
		n--;
	if (*name && n > 0 && ((unsigned char)pointer[n - 1] & 0xc0) == 0xc0)
		n--;
	pointer[n] = '\0';
}

/* Whether the row sets limits. */
static bool limited(const struct ist_field *f)
{
	return f->min != 0 || f->max != 0;
}

/* The error of a value of another type. */
static enum ist_code wrong(struct ist_err *err, const char *wanted)
{
	return ist_fail_at(err, IST_INVALID, "", "must be %s", wanted);
}

/* ---- one reader a kind ---- */

static enum ist_code read_string(const struct ist_field *f, const json_t *v, void *at,
				 struct ist_err *err)
{
	double len = (double)json_string_length(v);

	if (!json_is_string(v))
		return wrong(err, "a string");
	if (limited(f) && (len < f->min || len > f->max))
		return ist_fail_at(err, IST_INVALID, "", "must have %.0f to %.0f bytes, got %.0f",
				   f->min, f->max, len);
	*(const char **)at = json_string_value(v);
	return IST_OK;
}

static enum ist_code read_int(const struct ist_field *f, const json_t *v, void *at,
			      struct ist_err *err)
{
	json_int_t value = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong(err, "an integer");
	if (limited(f) && ((double)value < f->min || (double)value > f->max))
		return ist_fail_at(err, IST_INVALID, "",
				   "must be %.0f to %.0f, got %" JSON_INTEGER_FORMAT, f->min,
				   f->max, value);
	*(int64_t *)at = value;
	return IST_OK;
}

static enum ist_code read_real(const struct ist_field *f, const json_t *v, void *at,
			       struct ist_err *err)
{
	double value = json_number_value(v);

	if (!json_is_number(v) || !isfinite(value))
		return wrong(err, "a finite number");
	if (limited(f) && (value < f->min || value > f->max))
		return ist_fail_at(err, IST_INVALID, "", "must be %g to %g, got %g", f->min, f->max,
				   value);
	*(double *)at = value;
	return IST_OK;
}

static enum ist_code read_bool(const struct ist_field *f, const json_t *v, void *at,
			       struct ist_err *err)
{
	if (!json_is_boolean(v))
		return wrong(err, "true or false");
	*(bool *)at = json_is_true(v);
	return IST_OK;
}

static enum ist_code read_choice(const struct ist_field *f, const json_t *v, void *at,
				 struct ist_err *err)
{
	struct ist_buf all = {0};
	enum ist_code code;

	for (int i = 0; json_is_string(v) && f->choices[i] != NULL; i++)
		if (strcmp(f->choices[i], json_string_value(v)) == 0) {
			*(int *)at = i;
			return IST_OK;
		}
	for (int i = 0; f->choices[i] != NULL; i++)
		ist_buf_printf(&all, "%s\"%s\"", i ? ", " : "", f->choices[i]);
	code = ist_fail_at(err, IST_INVALID, "", "must be one of %s", all.data);
	ist_buf_finish(&all);
	return code;
}

static enum ist_code read_object(const struct ist_field *f, const json_t *v, void *at,
				 struct ist_err *err)
{
	if (!json_is_object(v))
		return wrong(err, "an object");
	*(const json_t **)at = v;
	return IST_OK;
}

static enum ist_code read_array(const struct ist_field *f, const json_t *v, void *at,
				struct ist_err *err)
{
	double n = (double)json_array_size(v);

	if (!json_is_array(v))
		return wrong(err, "an array");
	if (limited(f) && (n < f->min || n > f->max))
		return ist_fail_at(err, IST_INVALID, "",
				   "must have %.0f to %.0f elements, got %.0f", f->min, f->max, n);
	*(const json_t **)at = v;
	return IST_OK;
}

static enum ist_code read_any(const struct ist_field *f, const json_t *v, void *at,
			      struct ist_err *err)
{
	*(const json_t **)at = v;
	return IST_OK;
}

static enum ist_code (*const readers[IST_N_FIELD_KINDS])(const struct ist_field *, const json_t *,
							 void *, struct ist_err *) = {
    [IST_FIELD_STRING] = read_string, [IST_FIELD_INT] = read_int,
    [IST_FIELD_REAL] = read_real,     [IST_FIELD_BOOL] = read_bool,
    [IST_FIELD_CHOICE] = read_choice, [IST_FIELD_OBJECT] = read_object,
    [IST_FIELD_ARRAY] = read_array,   [IST_FIELD_ANY] = read_any,
};

/* The row of a member; tables are short. */
static const struct ist_field *field_of(const struct ist_field *fields, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* The error that is there happened at this member. */
static enum ist_code at_member(struct ist_err *err, enum ist_code code, const char *name)
{
	char pointer[sizeof(err->pointer)] = "";

	ist_pointer_add(pointer, sizeof(pointer), name);
	ist_err_under(err, pointer);
	return code;
}

enum ist_code ist_fields_read(const json_t *object, const struct ist_field *fields, size_t n,
			      void *ret, struct ist_err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return wrong(err, "an object");
	json_object_foreach((json_t *)object, name, value)
	{
		const struct ist_field *f = field_of(fields, n, name);
		enum ist_code code;

		if (f == NULL)
			return at_member(
			    err, ist_fail_at(err, IST_INVALID, "", "is not known here"), name);
		if (json_is_null(value) && f->nullable)
			continue;
		code = readers[f->kind](f, value, (char *)ret + f->offset, err);
		if (code)
			return at_member(err, code, name);
	}
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && json_object_get(object, fields[i].name) == NULL)
			return at_member(err, ist_fail_at(err, IST_INVALID, "", "is missing"),
					 fields[i].name);
	return IST_OK;
}
