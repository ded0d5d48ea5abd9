/*
 * Filters as trees, from JSON. One operator an object; ALL, ANY and NOT hold trees, the others one
 * field with its value. What an operator takes is a row of `ops`.
 */
#include "index/filter.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "index/filter_limits.h"

enum takes { TREES, TREE, ANY_VALUE, VALUES, ORDERED, STRING, NOTHING };

static const struct {
	const char *name;
	enum takes takes;
} ops[IST_N_FILTER_OPS] = {
    [IST_FILTER_ALL] = {"all", TREES},	       [IST_FILTER_ANY] = {"any", TREES},
    [IST_FILTER_NOT] = {"not", TREE},	       [IST_FILTER_EQ] = {"eq", ANY_VALUE},
    [IST_FILTER_NE] = {"ne", ANY_VALUE},       [IST_FILTER_IN] = {"in", VALUES},
    [IST_FILTER_GT] = {"gt", ORDERED},	       [IST_FILTER_GTE] = {"gte", ORDERED},
    [IST_FILTER_LT] = {"lt", ORDERED},	       [IST_FILTER_LTE] = {"lte", ORDERED},
    [IST_FILTER_EXISTS] = {"exists", NOTHING}, [IST_FILTER_PREFIX] = {"prefix", STRING},
};

void ist_filter_destroy(struct ist_filter *filter)
{
	if (filter == NULL)
		return;
	for (size_t i = 0; i < filter->n; i++) {
		if (filter->children != NULL)
			ist_filter_destroy(filter->children[i]);
		if (filter->values != NULL)
			json_decref(filter->values[i]);
	}
	free(filter->children);
	free(filter->values);
	free(filter->field);
	free(filter);
}

static struct ist_filter *create(enum ist_filter_op op)
{
	struct ist_filter *filter = ist_alloc(1, sizeof(*filter));

	filter->op = op;
	return filter;
}

struct ist_filter *ist_filter_leaf(enum ist_filter_op op, const char *field)
{
	struct ist_filter *filter = create(op);

	filter->field = ist_strdup(field);
	return filter;
}

void ist_filter_add_child(struct ist_filter *filter, struct ist_filter *child)
{
	filter->children = ist_resize(filter->children, filter->n + 1, sizeof(*filter->children));
	filter->children[filter->n++] = child;
}

/* The fields that exist; metadata has as many as the items say. */
enum ist_code ist_filter_check_field(const char *field, struct ist_err *err)
{
	size_t prefix = strlen("metadata.");

	if (strcmp(field, "label") == 0 || strcmp(field, "id") == 0 || strcmp(field, "has") == 0)
		return IST_OK;
	if (strncmp(field, "metadata.", prefix) == 0 && field[prefix] != '\0' &&
	    strlen(field) <= IST_FILTER_FIELD_MAX)
		return IST_OK;
	return ist_fail(err, IST_INVALID,
			"a field is label, id, has or metadata.<name>, got \"%.100s\"", field);
}

/* What an operator compares with; null is nothing that a value could equal. */
static bool fits(enum takes takes, const json_t *value)
{
	if (takes == STRING)
		return json_is_string(value);
	if (takes == ORDERED)
		return json_is_string(value) || json_is_number(value);
	return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

static const char *wanted(enum takes takes)
{
	if (takes == STRING)
		return "a string";
	return takes == ORDERED ? "a string or a number" : "a string, a number, true or false";
}

/* Checked where both parsers pass, so that they refuse the same. */
enum ist_code ist_filter_add_value(struct ist_filter *filter, json_t *value, size_t *budget,
				   struct ist_err *err)
{
	if (!fits(ops[filter->op].takes, value))
		return ist_fail(err, IST_INVALID, "\"%s\" takes %s", ops[filter->op].name,
				wanted(ops[filter->op].takes));
	if (filter->field != NULL && strcmp(filter->field, "has") == 0 &&
	    (!json_is_string(value) || (strcmp(json_string_value(value), "image") != 0 &&
					strcmp(json_string_value(value), "text") != 0)))
		return ist_fail(err, IST_INVALID, "\"has\" is \"image\" or \"text\"");
	if (*budget == 0)
		return ist_fail(err, IST_INVALID, "a filter holds at most %d values",
				IST_FILTER_VALUES_MAX);
	(*budget)--;
	filter->values = ist_resize(filter->values, filter->n + 1, sizeof(*filter->values));
	filter->values[filter->n++] = json_incref(value);
	return IST_OK;
}

/* A pointer's segment: "~" and "/" escaped. */
static void under(struct ist_err *err, const char *segment)
{
	char escaped[160];
	size_t n = 0;

	escaped[n++] = '/';
	for (; *segment != '\0' && n + 3 < sizeof(escaped); segment++) {
		if (*segment == '~' || *segment == '/') {
			escaped[n++] = '~';
			escaped[n++] = *segment == '~' ? '0' : '1';
		} else {
			escaped[n++] = *segment;
		}
	}
	escaped[n] = '\0';
	if (err != NULL)
		ist_err_under(err, escaped);
}

static void under_index(struct ist_err *err, size_t i)
{
	char segment[24];

	snprintf(segment, sizeof(segment), "/%zu", i);
	if (err != NULL)
		ist_err_under(err, segment);
}

static enum ist_code parse(const json_t *tree, int depth, size_t *budget, struct ist_filter **ret,
			   struct ist_err *err);

/* The budget also bounds empty trees: a list of a million {} is refused early. */
static enum ist_code parse_trees(struct ist_filter *filter, const json_t *list, int depth,
				 size_t *budget, struct ist_err *err)
{
	enum ist_code code = IST_OK;
	const json_t *tree;
	size_t i;

	if (!json_is_array(list))
		return ist_fail(err, IST_INVALID, "takes a list of filters");
	json_array_foreach(list, i, tree)
	{
		struct ist_filter *child;

		if (*budget == 0)
			return ist_fail(err, IST_INVALID, "a filter holds at most %d values",
					IST_FILTER_VALUES_MAX);
		if ((code = parse(tree, depth + 1, budget, &child, err)) != IST_OK) {
			under_index(err, i);
			return code;
		}
		ist_filter_add_child(filter, child);
	}
	return code;
}

static enum ist_code parse_values(struct ist_filter *filter, const json_t *list, size_t *budget,
				  struct ist_err *err)
{
	enum ist_code code = IST_OK;
	json_t *value;
	size_t i;

	if (!json_is_array(list))
		return ist_fail(err, IST_INVALID, "\"in\" takes a list of values");
	json_array_foreach(list, i, value)
	{
		if ((code = ist_filter_add_value(filter, value, budget, err)) != IST_OK) {
			under_index(err, i);
			return code;
		}
	}
	return code;
}

/* {"field": value}, or for EXISTS "field". */
static enum ist_code parse_leaf(struct ist_filter *filter, json_t *body, size_t *budget,
				struct ist_err *err)
{
	const char *field;
	enum ist_code code;
	json_t *value;

	if (ops[filter->op].takes == NOTHING) {
		if (!json_is_string(body))
			return ist_fail(err, IST_INVALID, "takes the name of a field");
		filter->field = ist_strdup(json_string_value(body));
		return ist_filter_check_field(filter->field, err);
	}
	if (!json_is_object(body) || json_object_size(body) != 1)
		return ist_fail(err, IST_INVALID, "takes an object with one field");
	field = json_object_iter_key(json_object_iter(body));
	value = json_object_get(body, field);
	filter->field = ist_strdup(field);
	if ((code = ist_filter_check_field(field, err)) == IST_OK)
		code = ops[filter->op].takes == VALUES
			   ? parse_values(filter, value, budget, err)
			   : ist_filter_add_value(filter, value, budget, err);
	if (code != IST_OK)
		under(err, field);
	return code;
}

static enum ist_code parse_body(struct ist_filter *filter, json_t *body, int depth, size_t *budget,
				struct ist_err *err)
{
	struct ist_filter *child;
	enum ist_code code;

	if (ops[filter->op].takes == TREES)
		return parse_trees(filter, body, depth, budget, err);
	if (ops[filter->op].takes == TREE) {
		if ((code = parse(body, depth + 1, budget, &child, err)) == IST_OK)
			ist_filter_add_child(filter, child);
		return code;
	}
	return parse_leaf(filter, body, budget, err);
}

static enum ist_code parse(const json_t *tree, int depth, size_t *budget, struct ist_filter **ret,
			   struct ist_err *err)
{
	struct ist_filter *filter;
	const char *name;
	enum ist_code code;
	size_t op = 0;

	if (depth > IST_FILTER_DEPTH_MAX)
		return ist_fail(err, IST_INVALID, "a filter is at most %d deep",
				IST_FILTER_DEPTH_MAX);
	if (!json_is_object(tree) || json_object_size(tree) > 1)
		return ist_fail(err, IST_INVALID, "a filter is an object with one operator");
	if (json_object_size(tree) == 0) {
		*ret = create(IST_FILTER_ALL);
		return IST_OK;
	}
	name = json_object_iter_key(json_object_iter((json_t *)tree));
	while (op < IST_N_FILTER_OPS && strcmp(ops[op].name, name) != 0)
		op++;
	if (op == IST_N_FILTER_OPS) {
		code = ist_fail(err, IST_INVALID, "no operator \"%.100s\"", name);
		under(err, name);
		return code;
	}
	filter = create((enum ist_filter_op)op);
	code = parse_body(filter, json_object_get(tree, name), depth, budget, err);
	if (code != IST_OK) {
		under(err, name);
		ist_filter_destroy(filter);
		return code;
	}
	*ret = filter;
	return IST_OK;
}

enum ist_code ist_filter_parse_json(const json_t *tree, struct ist_filter **ret,
				    struct ist_err *err)
{
	size_t budget = IST_FILTER_VALUES_MAX;

	return parse(tree, 1, &budget, ret, err);
}

/* Whether a filter matches everything, or nothing, whatever the items are. */
enum extent { SOME, EVERYTHING, NONE };

/* Structure alone decides, so that "delete all" cannot hide behind a NOT or an empty ANY. */
static enum extent extent_of(const struct ist_filter *filter)
{
	/* ALL is everything until a child is less; ANY is nothing until a child is more. */
	enum extent neutral = filter->op == IST_FILTER_ANY ? NONE : EVERYTHING;
	enum extent absorbing = neutral == NONE ? EVERYTHING : NONE, is = neutral;

	if (filter->op == IST_FILTER_NOT) {
		is = extent_of(filter->children[0]);
		return is == SOME ? SOME : is == NONE ? EVERYTHING : NONE;
	}
	if (filter->op == IST_FILTER_IN && filter->n == 0)
		return NONE;
	if (filter->op != IST_FILTER_ALL && filter->op != IST_FILTER_ANY)
		return SOME;
	for (size_t i = 0; i < filter->n; i++) {
		enum extent child = extent_of(filter->children[i]);

		if (child == absorbing)
			return absorbing;
		if (child != neutral)
			is = SOME;
	}
	return is;
}

bool ist_filter_is_empty(const struct ist_filter *filter)
{
	return filter == NULL || extent_of(filter) == EVERYTHING;
}
