/* What both parsers of filters share: limits and the making of trees. */
#ifndef IST_INDEX_FILTER_LIMITS_H
#define IST_INDEX_FILTER_LIMITS_H

#include "index/filter.h"

#define IST_FILTER_DEPTH_MAX 16
#define IST_FILTER_VALUES_MAX 1000
#define IST_FILTER_FIELD_MAX 1000

struct ist_filter *ist_filter_leaf(enum ist_filter_op op, const char *field);
void ist_filter_add_child(struct ist_filter *filter, struct ist_filter *child);
IST_CHECKED enum ist_code ist_filter_check_field(const char *field, struct ist_err *err);
/* Takes a reference of the value; budget: how many more the whole filter may hold. */
IST_CHECKED enum ist_code ist_filter_add_value(struct ist_filter *filter, json_t *value,
					       size_t *budget, struct ist_err *err);

#endif
