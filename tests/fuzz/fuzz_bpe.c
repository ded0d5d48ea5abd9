/*
 * Any bytes as CLIP's vocab.json, merges.txt and a text (sections of those names, "text" for the
 * last): every id is below the bound, start and end stand where they should, and the length is
 * kept.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/encode/bpe.h"
#include "tests/fuzz/sections.h"

#define N_IDS 4096
#define MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void encode(const struct ist_bpe *bpe, struct ist_str text)
{
	struct ist_arena arena = {0};
	int32_t ids[MAX];
	size_t n = 0;

	if (ist_bpe_encode(bpe, text, MAX, &arena, ids, &n, NULL) == IST_OK) {
		if (n < 2 || n > MAX)
			abort();
		for (size_t i = 0; i < n; i++)
			if (ids[i] < 0 || ids[i] >= N_IDS)
				abort();
	}
	ist_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = {"vocab.json", "merges.txt", "text"};
	struct ist_str parts[3] = {{"", 0}, {"", 0}, {"", 0}};
	struct section section;
	struct ist_bpe *bpe;
	size_t at = 0;

	while (next_section((struct ist_str){(const char *)data, len}, &at, &section))
		for (size_t i = 0; i < IST_COUNT(names); i++)
			if (strcmp(names[i], section.name) == 0)
				parts[i] = section.body;
	if (ist_bpe_parse(parts[0], parts[1], N_IDS, &bpe, NULL) != IST_OK)
		return 0;
	encode(bpe, parts[2]);
	ist_bpe_close(bpe);
	return 0;
}
