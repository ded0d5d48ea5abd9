/*
 * The negatives and intra-modal positives of a batch: a function of seed, epoch and number of the
 * batch, so a resumed training draws what it would have drawn. Allocates nothing.
 */
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/methods/mnsgan.h"
#include "core/tensor/kernels.h"

static void start_rng(struct ist_rng *rng, uint64_t seed, size_t epoch, size_t batch)
{
	ist_rng_init(rng, seed, "negatives");
	rng->stream ^= ((uint64_t)epoch + 1) * 0x9E3779B97F4A7C15u;
	rng->stream ^= ((uint64_t)batch + 1) * 0xC2B2AE3D27D4EB4Fu;
}

/* Any item of the class but `not`, each as likely; -1 where there is none. */
static int32_t any_of(const ist_node *y, int32_t id, size_t not, struct ist_rng *rng)
{
	int32_t found = -1;
	size_t seen = 0;

	for (size_t j = 0; j < y->dim[0]; j++)
		if (y->ids[j] == id && j != not &&ist_rng_below(rng, ++seen) == 0)
			found = (int32_t)j;
	return found;
}

/* The item of the class whose scaled image lies nearest to the anchor's. */
static int32_t nearest_of(const struct ist_adversarial *a, int32_t id, size_t anchor)
{
	size_t d = a->image->dim[1];
	const ist_real *x = a->image->value;
	ist_real best = 0;
	int32_t found = -1;

	for (size_t j = 0; j < a->y->dim[0]; j++) {
		ist_real far;

		if (a->y->ids[j] != id)
			continue;
		far = ist_k_distance2(x + anchor * d, x + j * d, d);
		if (found < 0 || far < best) {
			best = far;
			found = (int32_t)j;
		}
	}
	return found;
}

/* Whether j is the first of its class in the batch: one item stands for each class. */
static bool leads_class(const ist_node *y, size_t j)
{
	for (size_t i = 0; i < j; i++)
		if (y->ids[i] == y->ids[j])
			return false;
	return true;
}

/* Up to k different classes other than the anchor's, each choice as likely (a reservoir); returns
 * how many there are. */
static size_t other_classes(const ist_node *y, int32_t own, size_t k, struct ist_rng *rng,
			    int32_t *ret)
{
	size_t seen = 0;

	for (size_t j = 0; j < y->dim[0]; j++) {
		size_t place;

		if (y->ids[j] == own || !leads_class(y, j))
			continue;
		place = seen < k ? seen : ist_rng_below(rng, seen + 1);
		if (place < k)
			ret[place] = y->ids[j];
		seen++;
	}
	return IST_MIN(seen, k);
}

/* First the classes, then in their places an item of each. */
static void draw_negatives(const struct ist_adversarial *a, const struct ist_mnsgan_draw *how,
			   size_t anchor, struct ist_rng *rng)
{
	size_t k = a->neg->dim[0] / a->y->dim[0], n;
	int32_t *neg = a->neg->ids + anchor * k;

	n = other_classes(a->y, a->y->ids[anchor], how->one_class ? 1 : k, rng, neg);
	for (size_t c = 1; c < k && how->one_class && n > 0; c++)
		neg[c] = neg[0];
	n = how->one_class && n > 0 ? k : n;
	for (size_t c = 0; c < n; c++)
		neg[c] = how->nearest ? nearest_of(a, neg[c], anchor)
				      : any_of(a->y, neg[c], SIZE_MAX, rng);
	for (size_t c = n; c < k; c++)
		neg[c] = -1;
}

void ist_mnsgan_draw(struct ist_adversarial *a, const struct ist_mnsgan_draw *how, uint64_t seed,
		     size_t epoch, size_t batch)
{
	struct ist_rng rng;

	start_rng(&rng, seed, epoch, batch);
	for (size_t i = 0; i < a->y->dim[0]; i++) {
		int32_t pos = any_of(a->y, a->y->ids[i], i, &rng);

		a->pos->ids[i] = pos >= 0 ? pos : (int32_t)i;
		draw_negatives(a, how, i, &rng);
	}
}
