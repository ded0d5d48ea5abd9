/*
 * Filters over items: parsed from the JSON tree or the short form, checked, and turned into a SQL
 * condition by the catalog. Limits: depth 16, 1,000 values.
 */
#ifndef IST_INDEX_FILTER_H
#define IST_INDEX_FILTER_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/error.h"

enum ist_filter_op {
	IST_FILTER_ALL,
	IST_FILTER_ANY,
	IST_FILTER_NOT,
	IST_FILTER_EQ,
	IST_FILTER_NE,
	IST_FILTER_IN,
	IST_FILTER_GT,
	IST_FILTER_GTE,
	IST_FILTER_LT,
	IST_FILTER_LTE,
	IST_FILTER_EXISTS,
	IST_FILTER_PREFIX,
	IST_N_FILTER_OPS
};

struct ist_filter {
	enum ist_filter_op op;
	char *field;	 /* "label", "id", "has", "metadata.a.b"; NULL for ALL, ANY, NOT */
	size_t n;	 /* values, or children */
	json_t **values; /* strings, numbers, booleans */
	struct ist_filter **children;
};

/* Errors carry a pointer relative to the filter. */
IST_CHECKED enum ist_code ist_filter_parse_json(const json_t *tree, struct ist_filter **ret,
						struct ist_err *err);
/* `label=animals and year>=2020`; an error names the position. */
IST_CHECKED enum ist_code ist_filter_parse_text(const char *text, struct ist_filter **ret,
						struct ist_err *err);
bool ist_filter_is_empty(const struct ist_filter *filter); /* matches everything: {"all": []} … */
void ist_filter_destroy(struct ist_filter *filter);

#endif
