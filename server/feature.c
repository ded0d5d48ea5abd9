/*
 * The registry, the decoders, the encoders and the two memories put together; see feature.h.
 *
 * A key is a hash over the encoder's fingerprint and the content: of a picture its bytes, of a text
 * its words with single spaces between them, since no encoder reads anything into white space.
 * Texts of encoders that need no file are made faster than they are looked up, and not kept.
 */
#include "server/feature.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/decoders.h"
#include "server/encoders.h"
#include "server/metrics.h"
#include "server/recent.h"

#define KEY_VERSION "isthmus 1" /* to be changed with whatever decoding makes of a picture */

enum ist_code ist_feature_encoder(struct ist_daemon *daemon, const struct ist_encoder_ref *ref,
				  const char *what, const struct ist_encoder **ret,
				  struct ist_err *err)
{
	if (strcmp(ref->name, IST_EXTERNAL) == 0)
		return ist_fail(
		    err, IST_VECTOR_REQUIRED,
		    "the collection's encoder is external: a %s must come with its vector", what);
	if (ist_encoders_get(daemon->encoders, ref->name, ret, err) != IST_OK)
		return ist_wrap(err, "encoder %s", ref->name);
	if ((*ret)->dim != ref->dim)
		return ist_fail(err, IST_CORRUPT,
				"encoder %s is %zu wide, but the collection was made with %zu",
				ref->name, (*ret)->dim, ref->dim);
	return IST_OK;
}

/* ---- keys ---- */

static void make_key(const struct ist_encoder *encoder, const char *kind, const void *content,
		     size_t len, uint8_t ret[IST_SHA256_SIZE])
{
	ist_auto(ist_buf_finish) struct ist_buf buf = {0};

	ist_buf_puts(&buf, KEY_VERSION);
	ist_buf_puts(&buf, kind);
	if (encoder != NULL)
		ist_buf_put(&buf, encoder->fingerprint, sizeof(encoder->fingerprint));
	ist_buf_put(&buf, content, len);
	ist_sha256(buf.data, buf.len, ret);
}

/* Another square is another feature. */
static void make_image_key(const struct ist_encoder *encoder, enum ist_geometry geometry,
			   const char *sha256, uint8_t ret[IST_SHA256_SIZE])
{
	const char *kind = "picture";

	if (encoder != NULL)
		kind = ist_geometry_name(ist_frame_with(&encoder->frame, geometry).geometry);
	make_key(encoder, kind, sha256, strlen(sha256), ret);
}

/* What every tokeniser takes for the same gap; they differ about other white space. */
static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void make_text_key(const struct ist_encoder *encoder, struct ist_str text,
			  uint8_t ret[IST_SHA256_SIZE])
{
	ist_auto(ist_buf_finish) struct ist_buf words = {0};

	ist_buf_reserve(&words, text.len + 1);
	for (size_t i = 0; i < text.len; i++) {
		if (!is_space(text.data[i]))
			ist_buf_putc(&words, text.data[i]);
		else if (words.len > 0 && i + 1 < text.len && !is_space(text.data[i + 1]))
			ist_buf_putc(&words, ' ');
	}
	make_key(encoder, "text", words.data, words.len, ret);
}

/* ---- what was made before ---- */

static bool find(struct ist_daemon *daemon, struct ist_encoding *ret)
{
	bool found = ist_encoding_cache_get(daemon->cache, ret);

	ist_metrics_count(found ? IST_COUNT_CACHE_HITS : IST_COUNT_CACHE_MISSES, 1);
	return found;
}

bool ist_feature_find_image(struct ist_daemon *daemon, const struct ist_encoder *encoder,
			    enum ist_geometry geometry, const char *sha256,
			    struct ist_encoding *ret)
{
	make_image_key(encoder, geometry, sha256, ret->key);
	return find(daemon, ret);
}

bool ist_feature_is_kept(const struct ist_encoder *encoder)
{
	return encoder->arch->needs_folder;
}

bool ist_feature_find_text(struct ist_daemon *daemon, const struct ist_encoder *encoder,
			   struct ist_str text, struct ist_encoding *ret)
{
	if (!ist_feature_is_kept(encoder))
		return false;
	make_text_key(encoder, text, ret->key);
	return find(daemon, ret);
}

void ist_feature_keep(struct ist_daemon *daemon, const struct ist_encoding *list, size_t n)
{
	ist_encoding_cache_put(daemon->cache, list, n);
}

/* ---- making ---- */

static enum ist_code decode(struct ist_daemon *daemon, const void *data, size_t len,
			    const struct ist_frame *frame, struct ist_decoded *ret,
			    struct ist_err *err)
{
	enum ist_code code = ist_decoders_decode(daemon->decoders, data, len, frame, ret, err);

	ist_metrics_count(code == IST_OK ? IST_COUNT_DECODED : IST_COUNT_DECODE_FAILED, 1);
	return code;
}

/* To learn what a picture is, a small one will do. */
static const struct ist_frame glance = {.geometry = IST_GEOMETRY_WHOLE, .side = 16};

/* The turn is taken before decoding, so that no more pictures lie in memory than are encoded. */
enum ist_code ist_feature_make_image(struct ist_daemon *daemon, enum ist_turn turn,
				     const struct ist_encoder *encoder, enum ist_geometry geometry,
				     const void *data, size_t len, struct ist_encoding *ret,
				     struct ist_err *err)
{
	const struct ist_frame frame =
	    encoder != NULL ? ist_frame_with(&encoder->frame, geometry) : glance;
	struct ist_encoder_workspace *workspace = ist_encode_gate_enter(daemon->gate, turn);
	struct ist_decoded decoded = {0};
	enum ist_code code = decode(daemon, data, len, &frame, &decoded, err);

	if (code == IST_OK && encoder != NULL) {
		code = ist_encoder_image(encoder, workspace, &decoded.pixels, ret->vector, err);
		ist_metrics_count(IST_COUNT_PICTURES_ENCODED, 1);
	}
	ist_encode_gate_leave(daemon->gate, turn, workspace);
	if (code == IST_OK) {
		snprintf(ret->type, sizeof(ret->type), "%s", decoded.type);
		ret->width = decoded.width;
		ret->height = decoded.height;
	}
	ist_decoded_finish(&decoded);
	return code;
}

enum ist_code ist_feature_make_texts(struct ist_daemon *daemon, enum ist_turn turn,
				     const struct ist_encoder *encoder, const struct ist_str *texts,
				     size_t n, float *ret, struct ist_err *err)
{
	struct ist_encoder_workspace *workspace = ist_encode_gate_enter(daemon->gate, turn);
	enum ist_code code = ist_encoder_texts(encoder, workspace, texts, n, ret, err);

	ist_encode_gate_leave(daemon->gate, turn, workspace);
	ist_metrics_count(IST_COUNT_TEXTS_ENCODED, n);
	return code;
}

/* ---- all at once ---- */

static bool find_recent(struct ist_daemon *daemon, const struct ist_encoding *e)
{
	bool found = ist_recent_get(daemon->recent, e->key, e->dim, e->vector);

	ist_metrics_count(found ? IST_COUNT_RECENT_HITS : IST_COUNT_RECENT_MISSES, 1);
	return found;
}

/* Queries are many and mostly new, and none should wait for a file: they have the memory only. */
static bool find_text(struct ist_daemon *daemon, enum ist_turn turn,
		      const struct ist_encoder *encoder, struct ist_str text,
		      struct ist_encoding *ret)
{
	if (turn == IST_TURN_INGEST)
		return ist_feature_find_text(daemon, encoder, text, ret);
	make_text_key(encoder, text, ret->key);
	return find_recent(daemon, ret);
}

static void keep_texts(struct ist_daemon *daemon, enum ist_turn turn,
		       const struct ist_encoder *encoder, const struct ist_encoding *made, size_t n)
{
	if (turn == IST_TURN_INGEST && ist_feature_is_kept(encoder))
		ist_feature_keep(daemon, made, n);
	for (size_t i = 0; turn == IST_TURN_QUERY && i < n; i++)
		ist_recent_put(daemon->recent, made[i].key, made[i].dim, made[i].vector);
}

/* `missing` are those of the texts that `made` is to hold. If one is refused, all are tried as they
 * came, so that the error counts them as the caller does. */
static enum ist_code make_missing(struct ist_daemon *daemon, enum ist_turn turn,
				  const struct ist_encoder *encoder, const struct ist_str *texts,
				  size_t n, const struct ist_str *missing,
				  const struct ist_encoding *made, size_t n_missing, float *ret,
				  struct ist_err *err)
{
	ist_autofree float *features = ist_alloc_raw(n_missing, encoder->dim * sizeof(*features));

	if (ist_feature_make_texts(daemon, turn, encoder, missing, n_missing, features, err) !=
	    IST_OK)
		return ist_feature_make_texts(daemon, turn, encoder, texts, n, ret, err);
	for (size_t i = 0; i < n_missing; i++)
		memcpy(made[i].vector, features + i * encoder->dim,
		       encoder->dim * sizeof(*features));
	keep_texts(daemon, turn, encoder, made, n_missing);
	return IST_OK;
}

enum ist_code ist_feature_texts(struct ist_daemon *daemon, enum ist_turn turn,
				const struct ist_encoder_ref *ref, const struct ist_str *texts,
				size_t n, float *ret, struct ist_err *err)
{
	ist_autofree struct ist_encoding *made = NULL;
	ist_autofree struct ist_str *missing = NULL;
	const struct ist_encoder *encoder;
	size_t n_missing = 0;

	if (n == 0)
		return IST_OK;
	if (ist_feature_encoder(daemon, ref, "text", &encoder, err) != IST_OK)
		return err->code;
	made = ist_alloc(n, sizeof(*made));
	missing = ist_alloc(n, sizeof(*missing));
	for (size_t i = 0; i < n; i++) {
		struct ist_encoding *e = &made[n_missing];

		e->vector = ret + i * ref->dim;
		e->dim = ref->dim;
		if (!find_text(daemon, turn, encoder, texts[i], e))
			missing[n_missing++] = texts[i];
	}
	if (n_missing == 0)
		return IST_OK;
	return make_missing(daemon, turn, encoder, texts, n, missing, made, n_missing, ret, err);
}

/* A picture that is in a collection, or was asked lately, is known. */
enum ist_code ist_feature_query_image(struct ist_daemon *daemon, const struct ist_encoder_ref *ref,
				      const void *data, size_t len, float *ret, struct ist_err *err)
{
	struct ist_encoding e = {.vector = ret, .dim = ref->dim};
	const struct ist_encoder *encoder;
	char sha256[IST_SHA256_HEX];

	if (ist_feature_encoder(daemon, ref, "picture", &encoder, err) != IST_OK)
		return err->code;
	ist_sha256_hex(data, len, sha256);
	make_image_key(encoder, ref->geometry, sha256, e.key);
	if (find_recent(daemon, &e) || find(daemon, &e))
		return IST_OK;
	if (ist_feature_make_image(daemon, IST_TURN_QUERY, encoder, ref->geometry, data, len, &e,
				   err) != IST_OK)
		return err->code;
	ist_recent_put(daemon->recent, e.key, e.dim, ret);
	return IST_OK;
}
