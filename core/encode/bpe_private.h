/* What bpe.c and bpe_load.c share. */
#ifndef IST_CORE_ENCODE_BPE_PRIVATE_H
#define IST_CORE_ENCODE_BPE_PRIVATE_H

#include "core/encode/bpe.h"

struct ist_bpe_merge {
	int32_t left, right, id; /* the two become `id` */
	uint32_t rank;		 /* place in the list */
};

struct ist_bpe {
	struct ist_bpe_merge *merges; /* sorted by (left, right), each pair once */
	size_t n_merges;
	int32_t byte[2][256]; /* within a word, at its end */
	int32_t start, end;
};

/* NULL where the list does not merge the two. */
const struct ist_bpe_merge *ist_bpe_merge_of(const struct ist_bpe *bpe, int32_t left,
					     int32_t right);

#endif
