/* Words and their vectors. */
#include "core/methods/word_network.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/ops.h"

static int by_value(const void *a, const void *b)
{
	const ist_real *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void ist_vocabulary_collect(struct ist_vocabulary *v, const float *text, size_t dim,
			    const uint32_t *rows, size_t n)
{
	ist_real *all = ist_alloc(n * dim + 1, sizeof(*all));
	size_t total = 0;

	*v = (struct ist_vocabulary){.code = all, .longest = 1};
	for (size_t i = 0; i < n; i++) {
		const float *row = text + rows[i] * dim;

		for (size_t k = 0; k < dim && row[k] > 0; k++) {
			all[total++] = (ist_real)row[k];
			v->longest = IST_MAX(v->longest, k + 1);
		}
	}
	qsort(all, total, sizeof(*all), by_value);
	for (size_t i = 0; i < total; i++)
		if (v->n == 0 || all[i] != all[v->n - 1])
			all[v->n++] = all[i];
}

void ist_vocabulary_finish(struct ist_vocabulary *v)
{
	free(v->code);
	*v = (struct ist_vocabulary){0};
}

void ist_vocabulary_set(const struct ist_vocabulary *v, struct ist_weights *theta)
{
	struct ist_weight *w = ist_weights_find(theta, "text.vocabulary");

	if (w != NULL)
		memcpy(w->value, v->code, v->n * sizeof(*w->value));
}

void ist_word_declare(struct ist_weights *theta, size_t n, size_t width)
{
	ist_weights_add_normal(theta, "text.vocabulary", 1, &n, 0, 0);
	ist_weights_add_normal(theta, "text.words", 2, (size_t[]){n + 1, width}, 0, 1);
}

ist_node *ist_word_vectors(struct ist_graph *g, struct ist_weights *theta, ist_node *codes)
{
	return ist_words(codes, ist_weight(g, theta, "text.vocabulary"),
			 ist_weight(g, theta, "text.words"));
}
