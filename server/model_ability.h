/* What only some methods can (caption, render, reconstruct): the way to a model that can. */
#ifndef IST_SERVER_MODEL_ABILITY_H
#define IST_SERVER_MODEL_ABILITY_H

#include "index/store.h"
#include "server/http.h"

/* The collection and the model of the path, if the model's method has the ability; else
 * IST_NO_MODEL says which methods have. The body must be an object. The collection only on success.
 */
IST_CHECKED enum ist_code ist_ability_model(struct ist_request *rq, enum ist_ability ability,
					    const char *verb, struct ist_collection **ret,
					    struct ist_model_info *ret_info, struct ist_err *err);

#endif
