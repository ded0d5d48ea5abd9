/* The first model's training set, with its test part narrowed by every other one's split. */
#include "server/held_out.h"

#include <string.h>

#include "core/base/memory.h"
#include "server/split_json.h"

bool ist_report_split(const char *text, struct ist_split *ret)
{
	const struct ist_split none = IST_SPLIT_DEFAULT;
	json_t *report = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	const json_t *definition = json_object_get(json_object_get(report, "split"), "definition");
	struct ist_err ignored;
	bool known = definition != NULL && !ist_split_parse(definition, &none, ret, &ignored);

	json_decref(report);
	return known;
}

/* IST_TEST is left only where the other split has it too. Both sets are in order of row; between
 * their loading items may have come or gone, and such are left out. */
static void narrow(uint8_t *part, const struct ist_pairs *pairs, const struct ist_pairs *other)
{
	size_t k = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		while (k < other->n && other->item[k] < pairs->item[i])
			k++;
		if (part[i] == IST_TEST && (k == other->n || other->item[k] != pairs->item[i] ||
					    other->part[k] != IST_TEST))
			part[i] = IST_UNUSED;
	}
}

/* The same for triples: pictures that the other split does not hold back are left out, and every
 * triple with such an end. */
static void narrow_triples(struct ist_held_out *held, const struct ist_triples *other)
{
	const struct ist_triples *ours = &held->triples;
	size_t k = 0;

	for (size_t i = 0; i < ours->n_images; i++) {
		while (k < other->n_images && other->item[k] < ours->item[i])
			k++;
		if (k == other->n_images || other->item[k] != ours->item[i] ||
		    other->image_part[k] != IST_TEST)
			held->image_part[i] = IST_UNUSED;
	}
	for (size_t i = 0; i < ours->n; i++)
		if (held->image_part[ours->reference[i]] != IST_TEST ||
		    held->image_part[ours->target[i]] != IST_TEST)
			held->triple_part[i] = IST_UNUSED;
}

static void take_triples(struct ist_held_out *held)
{
	const struct ist_triples *set = held->set.pairs.triples;

	if (set == NULL)
		return;
	held->triples = *set;
	held->triples.image_part = held->image_part = ist_alloc(set->n_images + 1, 1);
	held->triples.part = held->triple_part = ist_alloc(set->n + 1, 1);
	memcpy(held->image_part, set->image_part, set->n_images);
	memcpy(held->triple_part, set->part, set->n);
	held->pairs.triples = &held->triples;
}

static bool same_split(const struct ist_split *a, const struct ist_split *b)
{
	json_t *x = ist_split_json(a), *y = ist_split_json(b);
	bool same = json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same;
}

static enum ist_code take_first(struct ist_held_out *held, struct ist_collection *c,
				const struct ist_split *split, unsigned needs, struct ist_err *err)
{
	enum ist_code code = ist_training_set_load(c, split, needs, &held->set, err);

	if (code)
		return code;
	held->pairs = held->set.pairs;
	held->pairs.part = held->part = ist_alloc(held->pairs.n + 1, 1);
	memcpy(held->part, held->set.pairs.part, held->pairs.n);
	take_triples(held);
	return IST_OK;
}

static enum ist_code take_other(struct ist_held_out *held, struct ist_collection *c,
				const struct ist_split *split, unsigned needs, struct ist_err *err)
{
	ist_auto(ist_training_set_finish) struct ist_training_set other = {0};
	enum ist_code code = ist_training_set_load(c, split, needs, &other, err);

	if (!code)
		narrow(held->part, &held->pairs, &other.pairs);
	if (!code && held->pairs.triples != NULL)
		narrow_triples(held, other.pairs.triples);
	return code;
}

enum ist_code ist_held_out_init(struct ist_held_out *ret, struct ist_collection *c,
				const char *const *reports, size_t n, unsigned needs,
				struct ist_err *err)
{
	struct ist_split first, split;
	bool any = false;
	enum ist_code code = IST_OK;

	*ret = (struct ist_held_out){0};
	for (size_t i = 0; i < n && !code; i++) {
		if (!ist_report_split(reports[i], &split))
			continue;
		if (!any)
			code = take_first(ret, c, &split, needs, err);
		else if (!same_split(&first, &split))
			code = take_other(ret, c, &split, needs, err);
		first = any ? first : split;
		any = true;
	}
	if (!code && !any)
		code = ist_fail(err, IST_NOT_ENOUGH_DATA, "none of the models held anything back");
	if (code)
		ist_held_out_finish(ret);
	return code;
}

void ist_held_out_finish(struct ist_held_out *held)
{
	ist_training_set_finish(&held->set);
	free(held->part);
	free(held->image_part);
	free(held->triple_part);
	*held = (struct ist_held_out){0};
}
