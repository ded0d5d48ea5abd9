/*
 * Sentences scored. Words are numbered over all sentences of the file, so that a held-out word is a
 * word; how rare an n-gram is comes from the training part alone.
 */
#include "tests/figures/sentences.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/methods/cider.h"
#include "core/methods/dictionary.h"
#include "tests/figures/runs.h"

#define WORDS 40 /* of a sentence, at most */

const char *const sentence_score_names[N_SENTENCE_SCORES] = {"CIDEr-D", "colour and shape",
							     "and size", "word for word"};

struct sentences {
	const struct pair_file *file;
	struct ist_dictionary dictionary;
	struct ist_cider *cider;
	int32_t *token; /* (n pairs, WORDS + 1) */
	size_t *length;
	struct ist_cider_text *reference; /* (n pairs), in `kept` */
	struct ist_arena kept, scratch;
};

static void count_documents(struct sentences *s)
{
	size_t n = 0, n_pairs = s->file->pairs.n;
	ist_autofree const int32_t **token = ist_alloc(n_pairs, sizeof(*token));
	ist_autofree size_t *length = ist_alloc(n_pairs, sizeof(*length));
	ist_autofree int64_t *document = ist_alloc(n_pairs, sizeof(*document));

	for (size_t i = 0; i < n_pairs; i++) {
		if (s->file->part[i] != IST_TRAIN)
			continue;
		token[n] = s->token + i * (WORDS + 1);
		length[n] = s->length[i];
		document[n++] = s->file->item[i];
	}
	s->cider = ist_cider_create(token, length, document, n);
}

struct sentences *sentences_create(const struct pair_file *file)
{
	struct sentences *s = ist_alloc(1, sizeof(*s));
	size_t n = file->pairs.n;

	s->file = file;
	ist_dictionary_init(&s->dictionary, file->pairs.text, n, IST_DICTIONARY_MOST);
	s->token = ist_alloc(n, (WORDS + 1) * sizeof(*s->token));
	s->length = ist_alloc(n, sizeof(*s->length));
	s->reference = ist_alloc(n, sizeof(*s->reference));
	for (size_t i = 0; i < n; i++)
		s->length[i] = ist_dictionary_tokens(&s->dictionary, file->text[i], WORDS,
						     &s->scratch, s->token + i * (WORDS + 1));
	count_documents(s);
	for (size_t i = 0; i < n; i++)
		s->reference[i] =
		    ist_cider_text(s->cider, s->token + i * (WORDS + 1), s->length[i], &s->kept);
	return s;
}

void sentences_destroy(struct sentences *s)
{
	if (s == NULL)
		return;
	ist_cider_destroy(s->cider);
	ist_dictionary_finish(&s->dictionary);
	ist_arena_finish(&s->kept);
	ist_arena_finish(&s->scratch);
	free(s->token);
	free(s->length);
	free(s->reference);
	free(s);
}

/* ---- what a sentence says ---- */

static size_t count(const char *text, const char *phrase)
{
	size_t n = 0;

	for (const char *at = strstr(text, phrase); at != NULL; at = strstr(at + 1, phrase))
		n++;
	return n;
}

static char *phrase_of(const struct scene_object *o, bool sized)
{
	return ist_format("%s%s%s %s", sized ? scene_sizes[o->size] : "", sized ? " " : "",
			  scene_colours[o->colour], scene_shapes[o->shape]);
}

/* Two equal objects have to be named twice. */
static double named(const struct scene_object scene[SCENE_OBJECTS], const char *text, bool sized)
{
	size_t n = 0, found = 0;

	for (; n < SCENE_OBJECTS && scene[n].shape >= 0; n++) {
		ist_autofree char *phrase = phrase_of(&scene[n], sized);
		size_t before = 0;

		for (size_t k = 0; k < n; k++) {
			ist_autofree char *other = phrase_of(&scene[k], sized);

			before += strcmp(phrase, other) == 0;
		}
		found += count(text, phrase) > before;
	}
	return n > 0 ? (double)found / (double)n : 0;
}

void sentences_score(struct sentences *s, size_t pair, const char *text,
		     double ret[N_SENTENCE_SCORES])
{
	const struct scene_object *scene = s->file->scene[s->file->item[pair]];
	size_t end = pair_file_end(s->file, pair), length;
	struct ist_cider_text written;
	int32_t token[WORDS + 1];

	length = ist_dictionary_tokens(&s->dictionary, text, WORDS, &s->scratch, token);
	written = ist_cider_text(s->cider, token, length, &s->scratch);
	ret[CIDER] = ist_cider_score(&written, s->reference + pair, end - pair);
	ret[NAMED] = named(scene, text, false);
	ret[SIZED] = named(scene, text, true);
	ret[RIGHT] = 0;
	for (size_t i = pair; i < end; i++)
		if (s->length[i] == length &&
		    memcmp(s->token + i * (WORDS + 1), token, length * sizeof(*token)) == 0)
			ret[RIGHT] = 1;
	ist_arena_reset(&s->scratch);
}
