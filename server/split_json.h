/* The split of a collection as JSON: {"validation", "test", "seed"} or {"field", "validation"}. */
#ifndef IST_SERVER_SPLIT_JSON_H
#define IST_SERVER_SPLIT_JSON_H

#include <jansson.h>

#include "index/store.h"

#define IST_SPLIT_DEFAULT ((struct ist_split){.validation = 0.1, .test = 0.2})

/* Members that are absent are taken from `base`; pointers are relative to the split. */
IST_CHECKED enum ist_code ist_split_parse(const json_t *json, const struct ist_split *base,
					  struct ist_split *ret, struct ist_err *err);
json_t *ist_split_json(const struct ist_split *split);

#endif
