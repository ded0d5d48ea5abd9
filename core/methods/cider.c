/*
 * CIDEr-D. Document frequencies stand in an open hash table by n-gram; vectors are sorted arrays,
 * so that a score is one walk along two of them. Scoring allocates from the caller's arena only.
 */
#include "core/methods/cider.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

#define SIGMA 6.0
#define SCALE 10.0
#define BITS 16 /* of a token in an n-gram */

struct entry {
	uint64_t gram; /* 0: empty, for a token is stored as one more */
	uint32_t documents;
};

struct ist_cider {
	struct entry *table; /* n_slots, a power of two, at most half full */
	size_t n_slots, n;
	double log_documents;
};

/* ---- document frequencies ---- */

/* Where the n-gram stands, or would. */
static struct entry *entry_of(const struct ist_cider *cider, uint64_t gram)
{
	uint64_t h = gram * 0x9E3779B97F4A7C15u;
	size_t at = (size_t)(h ^ h >> 32) & (cider->n_slots - 1);

	while (cider->table[at].gram != 0 && cider->table[at].gram != gram)
		at = (at + 1) & (cider->n_slots - 1);
	return &cider->table[at];
}

static void grow(struct ist_cider *cider)
{
	struct entry *old = cider->table;
	size_t n = cider->n_slots;

	cider->n_slots = IST_MAX(2 * n, (size_t)1024);
	cider->table = ist_alloc(cider->n_slots, sizeof(*cider->table));
	for (size_t i = 0; i < n; i++)
		if (old[i].gram != 0)
			*entry_of(cider, old[i].gram) = old[i];
	free(old);
}

/* log(documents / documents that have it); what none has counts as in one. */
static double idf(const struct ist_cider *cider, uint64_t gram)
{
	uint32_t documents = entry_of(cider, gram)->documents;

	return cider->log_documents - log((double)IST_MAX(documents, 1U));
}

/* ---- n-grams ---- */

/* All n-grams of a text in order of place: at most IST_CIDER_GRAMS a token. */
static size_t collect(const int32_t *token, size_t n, uint64_t *ret)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t gram = 0;

		for (size_t k = 0; k < IST_CIDER_GRAMS && i + k < n; k++) {
			gram |= (uint64_t)(token[i + k] + 1) << BITS * k;
			ret[total++] = gram;
		}
	}
	return total;
}

/* n - 1 of an n-gram. */
static size_t order_of(uint64_t gram)
{
	size_t k = 0;

	while (k + 1 < IST_CIDER_GRAMS && gram >> BITS * (k + 1) != 0)
		k++;
	return k;
}

/* Shell's: there are a hundred of them, and qsort may allocate. */
static void sort(uint64_t *a, size_t n)
{
	for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
		for (size_t i = gap; i < n; i++) {
			uint64_t x = a[i];
			size_t k = i;

			for (; k >= gap && a[k - gap] > x; k -= gap)
				a[k] = a[k - gap];
			a[k] = x;
		}
	}
}

/* ---- references ---- */

struct reference {
	int64_t document;
	size_t at; /* as given */
};

static int by_document(const void *a, const void *b)
{
	const struct reference *x = a, *y = b;

	if (x->document != y->document)
		return x->document < y->document ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Each n-gram of one document once. */
static void count_document(struct ist_cider *cider, uint64_t *gram, size_t n)
{
	sort(gram, n);
	for (size_t i = 0; i < n; i++) {
		struct entry *entry;

		if (i > 0 && gram[i] == gram[i - 1])
			continue;
		if (2 * (cider->n + 1) > cider->n_slots)
			grow(cider);
		entry = entry_of(cider, gram[i]);
		cider->n += entry->gram == 0;
		entry->gram = gram[i];
		entry->documents++;
	}
}

struct ist_cider *ist_cider_create(const int32_t *const *token, const size_t *length,
				   const int64_t *document, size_t n)
{
	struct ist_cider *cider = ist_alloc(1, sizeof(*cider));
	ist_autofree struct reference *order = ist_alloc(n + 1, sizeof(*order));
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};
	size_t documents = 0;

	for (size_t i = 0; i < n; i++)
		order[i] = (struct reference){document[i], i};
	qsort(order, n, sizeof(*order), by_document);
	grow(cider);
	for (size_t first = 0, end; first < n; first = end) {
		size_t tokens = 0, total = 0;
		uint64_t *gram;

		for (end = first; end < n && order[end].document == order[first].document; end++)
			tokens += length[order[end].at];
		ist_arena_reset(&arena);
		gram = ist_arena_alloc(&arena, tokens * IST_CIDER_GRAMS + 1, sizeof(*gram));
		for (size_t i = first; i < end; i++)
			total += collect(token[order[i].at], length[order[i].at], gram + total);
		count_document(cider, gram, total);
		documents++;
	}
	cider->log_documents = log((double)IST_MAX(documents, (size_t)1));
	return cider;
}

void ist_cider_destroy(struct ist_cider *cider)
{
	if (cider == NULL)
		return;
	free(cider->table);
	free(cider);
}

/* ---- vectors and scores ---- */

struct ist_cider_text ist_cider_text(const struct ist_cider *cider, const int32_t *token, size_t n,
				     struct ist_arena *arena)
{
	struct ist_cider_text text = {.n_tokens = n};
	uint64_t *gram = ist_arena_alloc(arena, n * IST_CIDER_GRAMS + 1, sizeof(*gram));
	double *weight = ist_arena_alloc(arena, n * IST_CIDER_GRAMS + 1, sizeof(*weight));
	size_t total = collect(token, n, gram);

	sort(gram, total);
	for (size_t i = 0, count; i < total; i += count) {
		double w;

		for (count = 1; i + count < total && gram[i + count] == gram[i];)
			count++;
		w = (double)count * idf(cider, gram[i]);
		text.norm[order_of(gram[i])] += w * w;
		gram[text.n] = gram[i];
		weight[text.n++] = w;
	}
	for (size_t k = 0; k < IST_CIDER_GRAMS; k++)
		text.norm[k] = sqrt(text.norm[k]);
	text.gram = gram;
	text.weight = weight;
	return text;
}

/* Mean over n of <min(g_c, g_s), g_s> / (|g_c| |g_s|), times e^(-(l_c - l_s)^2 / (2 sigma^2)) */
static double agreement(const struct ist_cider_text *c, const struct ist_cider_text *s)
{
	double along[IST_CIDER_GRAMS] = {0}, sum = 0;
	double apart = (double)c->n_tokens - (double)s->n_tokens;

	for (size_t i = 0, k = 0; i < c->n && k < s->n;) {
		if (c->gram[i] == s->gram[k]) {
			along[order_of(c->gram[i])] +=
			    fmin(c->weight[i], s->weight[k]) * s->weight[k];
			i++;
			k++;
		} else if (c->gram[i] < s->gram[k]) {
			i++;
		} else {
			k++;
		}
	}
	for (size_t k = 0; k < IST_CIDER_GRAMS; k++)
		if (c->norm[k] > 0 && s->norm[k] > 0)
			sum += along[k] / (c->norm[k] * s->norm[k]);
	return sum / IST_CIDER_GRAMS * exp(-apart * apart / (2 * SIGMA * SIGMA));
}

double ist_cider_score(const struct ist_cider_text *candidate,
		       const struct ist_cider_text *references, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += agreement(candidate, &references[i]);
	return n > 0 ? SCALE * sum / (double)n : 0;
}
