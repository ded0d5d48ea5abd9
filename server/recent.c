/*
 * A set-associative cache: a key belongs to one set of four places, and takes the place in it that
 * was used longest ago. Keys are hashes, so sets fill evenly. Nothing is held but what is used:
 * 1,024 features at most, about 5 MB of the widest.
 */
#include "server/recent.h"

#include <pthread.h>
#include <string.h>

#include "core/base/memory.h"

#define SETS 256
#define WAYS 4

struct place {
	uint8_t key[IST_SHA256_SIZE];
	uint64_t used; /* the clock at its last use; 0: empty */
	size_t dim;
	float *vector;
};

struct ist_recent {
	pthread_mutex_t lock; /* guards all below */
	uint64_t clock;
	struct place places[SETS][WAYS];
};

struct ist_recent *ist_recent_create(void)
{
	struct ist_recent *recent = ist_alloc(1, sizeof(*recent));

	pthread_mutex_init(&recent->lock, NULL);
	return recent;
}

void ist_recent_destroy(struct ist_recent *recent)
{
	if (recent == NULL)
		return;
	for (size_t s = 0; s < SETS; s++)
		for (size_t w = 0; w < WAYS; w++)
			free(recent->places[s][w].vector);
	pthread_mutex_destroy(&recent->lock);
	free(recent);
}

/* The key's own place, or the one that it would take. */
static struct place *place_of(struct ist_recent *recent, const uint8_t *key, bool *ret_found)
{
	struct place *set = recent->places[key[0] % SETS], *oldest = &set[0];

	*ret_found = true;
	for (size_t w = 0; w < WAYS; w++) {
		if (set[w].used > 0 && memcmp(set[w].key, key, IST_SHA256_SIZE) == 0)
			return &set[w];
		if (set[w].used < oldest->used)
			oldest = &set[w];
	}
	*ret_found = false;
	return oldest;
}

bool ist_recent_get(struct ist_recent *recent, const uint8_t key[IST_SHA256_SIZE], size_t dim,
		    float *ret)
{
	struct place *place;
	bool found;

	pthread_mutex_lock(&recent->lock);
	place = place_of(recent, key, &found);
	found = found && place->dim == dim;
	if (found) {
		place->used = ++recent->clock;
		memcpy(ret, place->vector, dim * sizeof(*ret));
	}
	pthread_mutex_unlock(&recent->lock);
	return found;
}

void ist_recent_put(struct ist_recent *recent, const uint8_t key[IST_SHA256_SIZE], size_t dim,
		    const float *vector)
{
	struct place *place;
	bool found;

	pthread_mutex_lock(&recent->lock);
	place = place_of(recent, key, &found);
	if (place->dim != dim)
		place->vector = ist_resize(place->vector, dim, sizeof(*vector));
	place->dim = dim;
	place->used = ++recent->clock;
	memcpy(place->key, key, IST_SHA256_SIZE);
	memcpy(place->vector, vector, dim * sizeof(*vector));
	pthread_mutex_unlock(&recent->lock);
}
