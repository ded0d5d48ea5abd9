/* How good written sentences are: CIDEr-D against a picture's own, and what they say of its scene.
 */
#ifndef IST_TESTS_FIGURES_SENTENCES_H
#define IST_TESTS_FIGURES_SENTENCES_H

#include "tests/figures/pair_files.h"

enum sentence_score {
	CIDER, /* 0 .. 10, document frequencies of the training sentences */
	NAMED, /* share of the scene's objects that are named with colour and shape */
	SIZED, /* ... with size, colour and shape */
	RIGHT, /* 0 or 1: it is word for word one of the picture's sentences */
	N_SENTENCE_SCORES
};
extern const char *const sentence_score_names[N_SENTENCE_SCORES];

struct sentences;

struct sentences *sentences_create(const struct pair_file *file);
void sentences_destroy(struct sentences *s);
/* Of a sentence for the picture whose first pair is `pair`. */
void sentences_score(struct sentences *s, size_t pair, const char *text,
		     double ret[N_SENTENCE_SCORES]);

#endif
