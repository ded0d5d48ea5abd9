/*
 * From media to features: the encoder that a collection names is found in the registry, pictures go
 * through the decoders at the size the encoder wants, and what was made before is not made again.
 * The encoder "external" makes nothing: IST_VECTOR_REQUIRED. Any thread may call.
 *
 * What is made for items is remembered on disk by content (index/encoding_cache.h), so that a
 * second collection or import costs nothing; what queries ask for is remembered in memory.
 */
#ifndef IST_SERVER_FEATURE_H
#define IST_SERVER_FEATURE_H

#include <stdint.h>

#include "core/base/error.h"
#include "index/encoding_cache.h"
#include "index/store.h"
#include "server/daemon.h"
#include "server/encode_gate.h"

#define IST_EXTERNAL "external"

/* ret: (n, ref->dim) */
IST_CHECKED enum ist_code ist_feature_texts(struct ist_daemon *daemon, enum ist_turn turn,
					    const struct ist_encoder_ref *ref,
					    const struct ist_str *texts, size_t n, float *ret,
					    struct ist_err *err);
/* Of a picture in a query. ret: (ref->dim) */
IST_CHECKED enum ist_code ist_feature_query_image(struct ist_daemon *daemon,
						  const struct ist_encoder_ref *ref,
						  const void *data, size_t len, float *ret,
						  struct ist_err *err);

/* ---- in parts, for who prepares many items at once ---- */

/* `what` is for the text of an error: "text", "picture". */
IST_CHECKED enum ist_code ist_feature_encoder(struct ist_daemon *daemon,
					      const struct ist_encoder_ref *ref, const char *what,
					      const struct ist_encoder **ret, struct ist_err *err);
/* Whether it was made before; if not, ret has its key, for ist_feature_keep after it was made. The
 * caller sets ret->vector and ret->dim; `geometry` is the collection's; encoder NULL and dim 0:
 * what the picture is will do. */
bool ist_feature_find_image(struct ist_daemon *daemon, const struct ist_encoder *encoder,
			    enum ist_geometry geometry, const char *sha256,
			    struct ist_encoding *ret);
bool ist_feature_find_text(struct ist_daemon *daemon, const struct ist_encoder *encoder,
			   struct ist_str text, struct ist_encoding *ret);
/* Decodes and encodes; fills all of ret but its key. */
IST_CHECKED enum ist_code ist_feature_make_image(struct ist_daemon *daemon, enum ist_turn turn,
						 const struct ist_encoder *encoder,
						 enum ist_geometry geometry, const void *data,
						 size_t len, struct ist_encoding *ret,
						 struct ist_err *err);
/* ret: (n, encoder->dim) */
IST_CHECKED enum ist_code ist_feature_make_texts(struct ist_daemon *daemon, enum ist_turn turn,
						 const struct ist_encoder *encoder,
						 const struct ist_str *texts, size_t n, float *ret,
						 struct ist_err *err);
/* Whether texts of this encoder are worth keeping. */
bool ist_feature_is_kept(const struct ist_encoder *encoder);
void ist_feature_keep(struct ist_daemon *daemon, const struct ist_encoding *list, size_t n);

#endif
