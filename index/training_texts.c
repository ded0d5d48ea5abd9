/*
 * The strings of the pairs' texts, for methods that read them. The strings go to an unlinked file
 * that is mapped, like the features, each with its ending 0; what stays in memory is a pointer a
 * pair, so that a few million texts are some tens of megabytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/memory.h"
#include "index/training.h"

enum ist_code ist_texts_put(struct ist_texts_file *texts, const char *text, struct ist_err *err)
{
	if (texts->n == texts->cap) {
		texts->cap = texts->cap * 2 + 256;
		texts->at = ist_resize(texts->at, texts->cap, sizeof(*texts->at));
	}
	texts->at[texts->n++] = text != NULL ? texts->file.bytes : SIZE_MAX;
	if (text == NULL)
		return IST_OK;
	return ist_matrix_put_bytes(&texts->file, text, strlen(text) + 1, err);
}

/* The array is there even where no text is: NULL would mean that none were loaded. */
enum ist_code ist_texts_hand_over(struct ist_texts_file *texts, struct ist_training_set *set,
				  struct ist_err *err)
{
	const char **text;
	enum ist_code code = ist_matrix_map(&texts->file, &set->texts, err);

	if (code != IST_OK)
		return code;
	set->texts_bytes = texts->file.bytes;
	text = ist_alloc(texts->n + 1, sizeof(*text));
	for (size_t i = 0; i < texts->n; i++)
		text[i] = texts->at[i] != SIZE_MAX ? (const char *)set->texts + texts->at[i] : NULL;
	set->pairs.text = text;
	return IST_OK;
}

void ist_texts_close(struct ist_texts_file *texts)
{
	ist_matrix_close(&texts->file);
	free(texts->at);
}

void ist_texts_release(struct ist_training_set *set)
{
	if (set->texts != NULL)
		munmap((void *)(uintptr_t)set->texts, set->texts_bytes);
	free((void *)(uintptr_t)set->pairs.text);
}
