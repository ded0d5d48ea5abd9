/* Calibration: from a model's similarity to the probability of a true match. */
#ifndef IST_CORE_TRAIN_CALIBRATE_H
#define IST_CORE_TRAIN_CALIBRATE_H

#include "core/methods/method.h"

/*
 * Fills model->calibration for every direction that can be compared. A true match is an item of
 * the same label, where there is none the own item; the item itself is left out within a
 * modality. The logistic map needs validation pairs of both kinds, else it is not fitted; mean
 * and deviation of random pairs come from training pairs where nothing was held back. The test
 * part is never read.
 */
IST_CHECKED enum ist_code ist_calibrate(struct ist_model *model, const struct ist_pairs *pairs,
					const struct ist_train_hooks *hooks, struct ist_err *err);

/* P(match) = 1 / (1 + exp(-(slope s + offset))) by maximum likelihood over similarities s (n) with
 * match (n), with Platt's targets so that it stays finite where the two kinds are apart. False if
 * one kind is missing or matches are not more alike than others. */
bool ist_fit_logistic(const float *s, const bool *match, size_t n, double *ret_slope,
		      double *ret_offset);

#endif
