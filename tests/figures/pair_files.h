/* Pairs of pictures and sentences as gxn_data writes them. A mistake ends the program. */
#ifndef IST_TESTS_FIGURES_PAIR_FILES_H
#define IST_TESTS_FIGURES_PAIR_FILES_H

#include "core/methods/method.h"

#define SCENE_OBJECTS 3 /* at most */
#define N_GROUPS_MOST 4

/* What a picture shows, where that is known: numbers of words, -1 where there is no object. */
struct scene_object {
	int shape, colour, size;
};

struct pair_file {
	struct ist_pairs pairs; /* sorted by item: an item's pairs follow each other */
	float *x[IST_N_MODALITIES];
	int64_t *item;	/* (n) row of the picture */
	int32_t *label; /* (n) -1: none has any */
	uint8_t *part, *group;
	size_t n_groups, n_items;
	char **text;
	struct scene_object (*scene)[SCENE_OBJECTS]; /* (n_items) */
};

extern const char *const scene_shapes[];  /* of numbers; end with NULL */
extern const char *const scene_colours[]; /* likewise */
extern const char *const scene_sizes[];	  /* likewise */

/* BASE.safetensors and BASE.txt. */
void pair_file_read(struct pair_file *f, const char *base);
void pair_file_finish(struct pair_file *f);

/* The first pair of every item of a part: an allocated list of *ret_n. */
uint32_t *pair_file_items(const struct pair_file *f, enum ist_part part, size_t *ret_n);
/* The end of an item's pairs that begin at `pair`. */
size_t pair_file_end(const struct pair_file *f, size_t pair);

#endif
