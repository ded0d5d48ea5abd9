/* The identity model with more than its row in the method table shows. */
#ifndef IST_CORE_METHODS_IDENTITY_H
#define IST_CORE_METHODS_IDENTITY_H

#include "core/methods/method.h"

/* Columns of modality m are multiplied by weight (dim, copied) before the length is made 1. Only
 * before the model is shared. */
void ist_identity_weigh(struct ist_model *model, enum ist_modality m, const float *weight);

#endif
