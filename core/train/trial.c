/*
 * Trials: which pairs of a part are queries and which are the gallery. Items are numbered by their
 * first pair. A part that is too large is measured on a sample of whole items (and of queries)
 * drawn with a fixed seed, so that two models, or two runs, see the same one.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/train/metrics.h"

#define NONE UINT32_MAX

struct entry {
	int64_t item;
	uint32_t pair;
};

static int by_item(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	return x->pair < y->pair ? -1 : x->pair > y->pair;
}

/* The part's pairs, items together; ids of items are the store's and may have any order. */
static size_t entries_of(const struct ist_pairs *pairs, enum ist_part part, struct entry **ret)
{
	size_t n = 0;

	*ret = ist_alloc_raw(pairs->n, sizeof(**ret));
	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->part[i] == part)
			(*ret)[n++] = (struct entry){pairs->item[i], (uint32_t)i};
	}
	qsort(*ret, n, sizeof(**ret), by_item);
	return n;
}

/* number[pair] = its item's number in order of first pairs, NONE outside the part. */
static uint32_t *number_items(const struct ist_pairs *pairs, enum ist_part part, size_t *ret_items)
{
	uint32_t *number = ist_alloc_raw(pairs->n, sizeof(*number)), leader = 0;
	ist_autofree struct entry *entries = NULL;
	size_t n = entries_of(pairs, part, &entries);

	memset(number, 0xFF, pairs->n * sizeof(*number));
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || entries[i].item != entries[i - 1].item)
			leader = entries[i].pair;
		number[entries[i].pair] = leader; /* first its leader, below its number */
	}
	*ret_items = 0;
	for (size_t i = 0; i < pairs->n; i++) {
		if (number[i] != NONE)
			number[i] = number[i] == i ? (uint32_t)(*ret_items)++ : number[number[i]];
	}
	return number;
}

/* Leaves out whole items, in a fixed random order, until the gallery is small enough. */
static void sample_items(uint32_t *number, size_t n, size_t n_items, size_t n_pairs,
			 size_t max_pairs)
{
	ist_autofree uint32_t *order = ist_alloc_raw(n_items, sizeof(*order));
	ist_autofree uint32_t *size = ist_alloc(n_items, sizeof(*size));
	struct ist_rng rng;

	for (size_t i = 0; i < n; i++) {
		if (number[i] != NONE)
			size[number[i]]++;
	}
	for (size_t i = 0; i < n_items; i++)
		order[i] = (uint32_t)i;
	ist_rng_init(&rng, 0, "evaluation items");
	ist_rng_permute(&rng, order, n_items);
	for (size_t i = 0; i < n_items && n_pairs > max_pairs; i++) {
		n_pairs -= size[order[i]];
		size[order[i]] = 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (number[i] != NONE && size[number[i]] == 0)
			number[i] = NONE;
	}
}

/* The pairs of a modality's entries: every text, but each item's image once. */
static size_t list_pairs(const uint32_t *number, size_t n, size_t n_items, enum ist_modality m,
			 uint32_t **ret)
{
	ist_autofree uint8_t *seen = ist_alloc(n_items, 1);
	size_t count = 0;

	*ret = ist_alloc_raw(n, sizeof(**ret));
	for (size_t i = 0; i < n; i++) {
		if (number[i] == NONE || (m == IST_IMAGE && seen[number[i]]))
			continue;
		seen[number[i]] = 1;
		(*ret)[count++] = (uint32_t)i;
	}
	return count;
}

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Queries cost a ranking each; the gallery stays whole, so ranks mean the same. */
static size_t sample_queries(uint32_t *query, size_t n)
{
	struct ist_rng rng;

	if (n <= IST_MAX_QUERIES)
		return n;
	ist_rng_init(&rng, 0, "evaluation queries");
	ist_rng_permute(&rng, query, n);
	qsort(query, IST_MAX_QUERIES, sizeof(*query), ascending);
	return IST_MAX_QUERIES;
}

static void describe(const uint32_t *pair, size_t n, const uint32_t *number, const int32_t *label,
		     uint32_t **ret_item, int32_t **ret_label)
{
	*ret_item = ist_alloc_raw(n, sizeof(**ret_item));
	*ret_label = ist_alloc_raw(n, sizeof(**ret_label));
	for (size_t i = 0; i < n; i++) {
		(*ret_item)[i] = number[pair[i]];
		(*ret_label)[i] = label != NULL ? label[pair[i]] : -1;
	}
}

/* R_q: counted over the gallery, where an item's texts all count. */
static void count_relevant(struct ist_trial *trial, size_t n_classes)
{
	ist_autofree uint32_t *of_class = ist_alloc(n_classes, sizeof(*of_class));
	ist_autofree uint32_t *of_item = ist_alloc(trial->n_items, sizeof(*of_item));

	for (size_t i = 0; i < trial->n_gallery; i++) {
		if (trial->gallery_label[i] >= 0)
			of_class[trial->gallery_label[i]]++;
		of_item[trial->gallery_item[i]]++;
	}
	trial->n_relevant = ist_alloc_raw(trial->n_queries, sizeof(*trial->n_relevant));
	for (size_t q = 0; q < trial->n_queries; q++)
		trial->n_relevant[q] = trial->query_label[q] >= 0 ? of_class[trial->query_label[q]]
								  : of_item[trial->query_item[q]];
}

void ist_trial_init(struct ist_trial *trial, const struct ist_pairs *pairs, enum ist_part part,
		    enum ist_modality from, enum ist_modality to, size_t max_gallery)
{
	ist_autofree uint32_t *number = NULL;
	size_t n_pairs = 0;

	*trial = (struct ist_trial){.from = from, .to = to};
	number = number_items(pairs, part, &trial->n_items);
	for (size_t i = 0; i < pairs->n; i++)
		n_pairs += number[i] != NONE;
	if (n_pairs > max_gallery)
		sample_items(number, pairs->n, trial->n_items, n_pairs, max_gallery);
	trial->n_queries = list_pairs(number, pairs->n, trial->n_items, from, &trial->query);
	trial->n_gallery =
	    list_pairs(number, pairs->n, trial->n_items, ist_modality_other(from), &trial->gallery);
	trial->n_queries = sample_queries(trial->query, trial->n_queries);
	describe(trial->query, trial->n_queries, number, pairs->label, &trial->query_item,
		 &trial->query_label);
	describe(trial->gallery, trial->n_gallery, number, pairs->label, &trial->gallery_item,
		 &trial->gallery_label);
	count_relevant(trial, pairs->n_classes);
}

void ist_trial_finish(struct ist_trial *trial)
{
	free(trial->query);
	free(trial->gallery);
	free(trial->query_label);
	free(trial->gallery_label);
	free(trial->query_item);
	free(trial->gallery_item);
	free(trial->n_relevant);
	*trial = (struct ist_trial){0};
}
