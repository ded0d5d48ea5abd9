/* What the tokeniser's two files share: the vocabulary as a hash table. */
#ifndef IST_CORE_ENCODE_WORDPIECE_PRIVATE_H
#define IST_CORE_ENCODE_WORDPIECE_PRIVATE_H

#include "core/encode/wordpiece.h"

/* A piece without its "##". The hash is carried on from byte to byte, so one pass over a word gives
 * those of all its beginnings. */
struct ist_wordpiece_slot {
	uint32_t hash, at; /* `at` in the bytes */
	uint32_t len;	   /* 0: the slot is free */
	int32_t id;
	bool inner; /* it stood behind "##": it begins inside of a word */
};

struct ist_wordpiece {
	struct ist_wordpiece_settings settings;
	struct ist_wordpiece_slot *slots; /* a power of two of them, at most half used */
	size_t mask, n;
	struct ist_buf bytes; /* of all pieces */
	size_t longest;	      /* in bytes */
	int32_t first, last, unknown;
};

#define IST_WORDPIECE_HASH(inner) ((inner) ? 0x9747b28cu : 0x811c9dc5u)

static inline uint32_t ist_wordpiece_hash(uint32_t hash, char byte)
{
	return (hash ^ (uint8_t)byte) * 0x01000193u;
}

/* The slot of a piece, or the free one where it would stand. */
struct ist_wordpiece_slot *ist_wordpiece_slot(const struct ist_wordpiece *wp, uint32_t hash,
					      bool inner, const char *piece, size_t len);

#endif
