/*
 * Any bytes as a vocab.txt and a text (sections of those names, "text" for the
 * last; "settings" holds letters: l keeps capitals, a accents, c ideographs together): every id is
 * below the bound, the marks stand where they should, the length is kept, and what is cut at a
 * shorter length begins as the longer one does.
 */
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/encode/wordpiece.h"
#include "tests/fuzz/sections.h"

#define N_IDS 4096
#define MAX 24
#define FEWER 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void encode(const struct ist_wordpiece *wp, struct ist_str text)
{
	struct ist_arena arena = {0};
	int32_t ids[MAX], fewer[FEWER];
	size_t n = 0, n_fewer = 0;

	if (ist_wordpiece_encode(wp, text, MAX, &arena, ids, &n, NULL) == IST_OK) {
		if (n < 2 || n > MAX)
			abort();
		for (size_t i = 0; i < n; i++)
			if (ids[i] < 0 || ids[i] >= N_IDS)
				abort();
		if (ist_wordpiece_encode(wp, text, FEWER, &arena, fewer, &n_fewer, NULL) != IST_OK)
			abort();
		if (n_fewer != IST_MIN(n, (size_t)FEWER) || fewer[n_fewer - 1] != ids[n - 1] ||
		    memcmp(ids, fewer, (n_fewer - 1) * sizeof(*ids)) != 0)
			abort();
	}
	ist_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = {"vocab.txt", "text", "settings"};
	struct ist_wordpiece_settings settings = ist_wordpiece_defaults;
	struct ist_str parts[3] = {{"", 0}, {"", 0}, {"", 0}};
	struct ist_wordpiece *wp = NULL;
	struct section section;
	size_t at = 0;

	while (next_section((struct ist_str){(const char *)data, len}, &at, &section))
		for (size_t i = 0; i < IST_COUNT(names); i++)
			if (strcmp(names[i], section.name) == 0)
				parts[i] = section.body;
	for (size_t i = 0; i < parts[2].len; i++) {
		settings.lower = settings.lower && parts[2].data[i] != 'l';
		settings.strip_accents = settings.strip_accents && parts[2].data[i] != 'a';
		settings.split_cjk = settings.split_cjk && parts[2].data[i] != 'c';
	}
	if (ist_wordpiece_parse(parts[0], &settings, N_IDS, &wp, NULL) != IST_OK)
		return 0;
	encode(wp, parts[1]);
	ist_wordpiece_close(wp);
	return 0;
}
