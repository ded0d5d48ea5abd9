/*
 * From media to features, for whoever has a worker's workspace: the encoder that a collection
 * names is found in the registry, pictures go through the decoders at the size the encoder wants.
 * The encoder "external" makes nothing: IST_VECTOR_REQUIRED.
 */
#ifndef IST_SERVER_FEATURE_H
#define IST_SERVER_FEATURE_H

#include <stdint.h>

#include "core/base/error.h"
#include "index/store.h"
#include "server/daemon.h"

#define IST_EXTERNAL "external"

struct ist_picture { /* what a picture is, as its decoder saw it */
	char type[32];
	uint32_t width, height;
};

/* ret: (n, ref->dim) */
IST_CHECKED enum ist_code ist_feature_texts(struct ist_worker *w, const struct ist_encoder_ref *ref,
					    const struct ist_str *texts, size_t n, float *ret,
					    struct ist_err *err);
/* ret: (ref->dim), or NULL to only look at the picture; ret_picture may be NULL. */
IST_CHECKED enum ist_code ist_feature_image(struct ist_worker *w, const struct ist_encoder_ref *ref,
					    const void *data, size_t len, float *ret,
					    struct ist_picture *ret_picture, struct ist_err *err);

#endif
