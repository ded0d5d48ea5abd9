/*
 * Features made lately for queries, in memory: one that is asked again, or paged through, costs
 * what a query by vector costs. Any thread may call.
 */
#ifndef IST_SERVER_RECENT_H
#define IST_SERVER_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/hash.h"

struct ist_recent;

struct ist_recent *ist_recent_create(void);
void ist_recent_destroy(struct ist_recent *recent); /* NULL is fine */
/* True: ret (dim) is what was put under the key. */
bool ist_recent_get(struct ist_recent *recent, const uint8_t key[IST_SHA256_SIZE], size_t dim,
		    float *ret);
void ist_recent_put(struct ist_recent *recent, const uint8_t key[IST_SHA256_SIZE], size_t dim,
		    const float *vector);

#endif
