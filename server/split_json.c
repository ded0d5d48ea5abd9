/* The split as JSON. A split by field has no shares: its one number may be "validation": 0. */
#include "server/split_json.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/fields.h"

/* What a client gave; NAN and -1 where it gave nothing. */
struct given {
	const char *field;
	double validation, test;
	int64_t seed;
};

static const struct ist_field fields[] = {
    {"field", IST_FIELD_STRING, offsetof(struct given, field), 1, 120},
    {"validation", IST_FIELD_REAL, offsetof(struct given, validation), 0, 0.9},
    {"test", IST_FIELD_REAL, offsetof(struct given, test), 0, 0.9},
    {"seed", IST_FIELD_INT, offsetof(struct given, seed), 0, 9007199254740991.0},
};

/* A field names the parts, so that shares and seed make no sense beside it. */
static enum ist_code by_field(const struct given *given, struct ist_split *ret, struct ist_err *err)
{
	struct ist_split split = IST_SPLIT_DEFAULT;

	if (!isnan(given->test))
		return ist_fail_at(err, IST_INVALID, "/test", "stands only without \"field\"");
	if (given->seed >= 0)
		return ist_fail_at(err, IST_INVALID, "/seed", "stands only without \"field\"");
	if (!isnan(given->validation) && given->validation != 0)
		return ist_fail_at(err, IST_INVALID, "/validation",
				   "beside \"field\" it can only be 0: nothing is held back");
	snprintf(split.field, sizeof(split.field), "%s", given->field);
	split.no_validation = given->validation == 0;
	*ret = split;
	return IST_OK;
}

enum ist_code ist_split_parse(const json_t *json, const struct ist_split *base,
			      struct ist_split *ret, struct ist_err *err)
{
	struct given given = {NULL, NAN, NAN, -1};
	struct ist_split split = base->field[0] ? IST_SPLIT_DEFAULT : *base;
	enum ist_code code = ist_fields_read(json, fields, IST_COUNT(fields), &given, err);

	if (code)
		return code;
	if (given.field != NULL)
		return by_field(&given, ret, err);
	if (json_object_size(json) == 0)
		split = *base;
	if (!isnan(given.validation))
		split.validation = given.validation;
	if (!isnan(given.test))
		split.test = given.test;
	if (given.seed >= 0)
		split.seed = (uint64_t)given.seed;
	if (split.validation + split.test > 0.95)
		return ist_fail_at(err, IST_INVALID, "",
				   "validation and test leave too little to train on (%g)",
				   1 - split.validation - split.test);
	*ret = split;
	return IST_OK;
}

json_t *ist_split_json(const struct ist_split *split)
{
	if (split->field[0] && split->no_validation)
		return json_pack("{s:s, s:i}", "field", split->field, "validation", 0);
	if (split->field[0])
		return json_pack("{s:s}", "field", split->field);
	return json_pack("{s:f, s:f, s:I}", "validation", split->validation, "test", split->test,
			 "seed", (json_int_t)split->seed);
}
