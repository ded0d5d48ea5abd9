/* Which collections use which encoders: asked before one is removed, and to load them early. */
#ifndef IST_SERVER_ENCODER_USE_H
#define IST_SERVER_ENCODER_USE_H

#include <jansson.h>

#include "core/base/error.h"
#include "index/store.h"

struct ist_daemon;

/* Encoder -> names of the collections that use it, as an object of arrays; the caller's. */
IST_CHECKED enum ist_code ist_encoder_use(struct ist_store *store, json_t **ret,
					  struct ist_err *err);

/* Opens what is used, on a thread of its own, so that the first request finds it open; logs what
 * cannot be. `end` waits for it, however far it is. */
struct ist_preload;
struct ist_preload *ist_preload_begin(struct ist_daemon *daemon);
void ist_preload_end(struct ist_preload *preload);

#endif
