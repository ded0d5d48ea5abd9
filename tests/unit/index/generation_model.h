/*
 * A generation beside a plain list that does the same by the simplest means: what the tests of
 * generation_*.c compare with. One modality a list.
 */
#ifndef IST_TESTS_UNIT_INDEX_GENERATION_MODEL_H
#define IST_TESTS_UNIT_INDEX_GENERATION_MODEL_H

#include "index/generation.h"

struct naive_entry {
	int64_t row;
	uint32_t ordinal;
	bool live, published;
	float *x;
};

struct naive {
	size_t dim;
	enum ist_similarity similarity;
	enum ist_modality side; /* whose vectors they are */
	struct naive_entry *entries;
	size_t n, cap;
};

void naive_finish(struct naive *list);
void naive_append(struct naive *list, int64_t row, uint32_t ordinal, const float *x);
void naive_kill(struct naive *list, int64_t row);
void naive_publish(struct naive *list);
/* The k best published, live rows among `rows` (NULL: all), a hit a row. */
size_t naive_search(const struct naive *list, int from, const float *query, size_t k,
		    const int64_t *rows, size_t n_rows, struct ist_generation_hit *ret);
/* An exact search of the generation must say the same, similarities within rounding. Where
 * `at_least` is below 1, an approximate one must have that share of the hits right. */
void naive_compare(const struct naive *list, const struct ist_generation *g, struct ist_searcher *s,
		   int from, const float *query, size_t k, const int64_t *rows, size_t n_rows,
		   double at_least);

#endif
