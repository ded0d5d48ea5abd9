/*
 * The hashed split: where an item lies depends on its own id and the split's seed alone, so it
 * never moves when others come or go. Any thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/train/train.h"

enum ist_part ist_split_part(uint64_t seed, const char *id, double validation, double test)
{
	ist_autofree char *text = ist_format("%" PRIu64 ":%s", seed, id);
	uint8_t digest[IST_SHA256_SIZE];
	uint64_t first = 0;
	double u;

	ist_sha256(text, strlen(text), digest);
	for (int i = 0; i < 8; i++)
		first = first << 8 | digest[i];
	u = (double)(first >> 11) * 0x1p-53; /* [0, 1): rounding up could reach 1 */
	if (u < test)
		return IST_TEST;
	return u < test + validation ? IST_VALIDATION : IST_TRAIN;
}
