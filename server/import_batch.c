/* See import_batch.h. Ids are found by open addressing over FNV-1a. */
#include "server/import_batch.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/http_server.h"

void ist_batch_init(struct ist_import_batch *b)
{
	*b = (struct ist_import_batch){0};
	b->records = ist_alloc(IST_BATCH_RECORDS, sizeof(*b->records));
	b->slots = ist_alloc(IST_BATCH_SLOTS, sizeof(*b->slots));
	ist_encode_init(&b->work);
}

/* All of a batch lives in its arena and its documents; both are reused for the next. */
void ist_batch_clear(struct ist_import_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		json_decref(b->records[i].json);
	memset(b->slots, 0, IST_BATCH_SLOTS * sizeof(*b->slots));
	ist_encode_clear(&b->work);
	ist_arena_reset(&b->arena);
	b->n = b->bytes = b->texts = 0;
}

void ist_batch_finish(struct ist_import_batch *b)
{
	ist_batch_clear(b);
	ist_encode_finish(&b->work);
	free(b->records);
	free(b->slots);
	ist_arena_finish(&b->arena);
}

bool ist_batch_is_full(const struct ist_import_batch *b)
{
	return b->n == IST_BATCH_RECORDS || b->bytes >= IST_BATCH_BYTES ||
	       b->texts >= IST_BATCH_TEXTS || ist_encode_is_full(&b->work);
}

struct ist_import_record *ist_batch_add(struct ist_import_batch *b, size_t bytes)
{
	struct ist_import_record *r = &b->records[b->n++];

	if (b->n == 1)
		b->since_us = ist_monotonic_us();
	b->bytes += bytes;
	*r = (struct ist_import_record){0};
	return r;
}

/* The slot that holds the id, or the free one where it belongs. */
static uint16_t *find_slot(const struct ist_import_batch *b, const char *id)
{
	uint32_t hash = 2166136261u;

	for (const char *s = id; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	for (;; hash++) {
		uint16_t *slot = &b->slots[hash % IST_BATCH_SLOTS];

		if (*slot == 0 || strcmp(b->records[*slot - 1].id, id) == 0)
			return slot;
	}
}

bool ist_batch_has_id(const struct ist_import_batch *b, const char *id)
{
	return *find_slot(b, id) != 0;
}

bool ist_batch_add_id(struct ist_import_batch *b, const struct ist_import_record *r)
{
	uint16_t *slot = find_slot(b, r->id);

	if (*slot != 0)
		return false;
	*slot = (uint16_t)(r - b->records + 1);
	return true;
}
