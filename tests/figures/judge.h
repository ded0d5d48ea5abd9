/* Who says what a picture of one shape shows: a small convolutional network that has seen real
 * ones. */
#ifndef IST_TESTS_FIGURES_JUDGE_H
#define IST_TESTS_FIGURES_JUDGE_H

#include "tests/figures/pair_files.h"

struct judge;

/* Learns from the training pictures of a file of one-object scenes. */
struct judge *judge_train(const struct pair_file *file, uint64_t seed);
void judge_destroy(struct judge *judge);
/* Pictures x (n, 3 side side) as the encoder "pixels" makes them: shape and colour; size -1. */
void judge_look(struct judge *judge, const float *x, size_t n, struct scene_object *ret);
bool judge_agrees(const struct scene_object *seen, const struct scene_object *asked);
/* Share of the held-out pictures whose shape and colour it both gets right. */
double judge_accuracy(struct judge *judge, const struct pair_file *file);

#endif
