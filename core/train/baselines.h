/* The floors that every report shows beside a model. */
#ifndef IST_CORE_TRAIN_BASELINES_H
#define IST_CORE_TRAIN_BASELINES_H

#include "core/train/report.h"

/* Trains each baseline on the same training part and measures it in the same trials:
 * {"linear": {…}, …}. One that cannot be trained on these pairs says why ("skipped"). */
IST_CHECKED enum ist_code ist_baselines(const struct ist_trials *trials, uint64_t seed,
					const struct ist_train_hooks *hooks, json_t **ret,
					struct ist_err *err);

/* ACMR's parameters as the label predictor alone, for n_train pairs. */
json_t *ist_label_predictor_params(size_t n_train);

#endif
