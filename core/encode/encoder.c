/*
 * The table of architectures, and what all encoders have in common: opening by name or by folder,
 * the workspace, and the checks around a call, so that an architecture is only its own arithmetic.
 *
 * To add one: write its row in a file of its own, declare it in encoder_private.h, list it below.
 */
#include "core/encode/encoder.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/encode/encoder_private.h"

#define CONFIG_LIMIT (1 << 20)
#define IST_ENCODE_REVISION 1 /* counts up when the same files give other features */

const struct ist_encoder_arch *const ist_encoder_archs[] = {
    &ist_encoder_bert,	       &ist_encoder_clip,   &ist_encoder_descriptor,
    &ist_encoder_efficientnet, &ist_encoder_ngrams, &ist_encoder_pixels,
    &ist_encoder_pixels64,     &ist_encoder_words,  NULL,
};

/* Built-ins and those of folders are two name spaces: a folder cannot pose as a built-in. */
static const struct ist_encoder_arch *find_arch(const char *name, bool needs_folder)
{
	for (const struct ist_encoder_arch *const *a = ist_encoder_archs; *a != NULL; a++) {
		if ((*a)->needs_folder == needs_folder && strcmp((*a)->name, name) == 0)
			return *a;
	}
	return NULL;
}

/* "a, b": the architectures that a folder may hold, for the text of an error */
static void list_archs(struct ist_buf *list)
{
	for (const struct ist_encoder_arch *const *a = ist_encoder_archs; *a != NULL; a++) {
		if ((*a)->needs_folder)
			ist_buf_printf(list, "%s%s", list->len > 0 ? ", " : "", (*a)->name);
	}
	if (list->len == 0)
		ist_buf_puts(list, "none");
}

/* Names the file that is missing and what it is for: people copy half a folder. */
static enum ist_code need_file(const char *folder, const char *name, const char *what,
			       struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);

	if (access(path, R_OK) == 0)
		return IST_OK;
	return ist_fail_errno(err, "encoder folder %s: %s (%s)", folder, name, what);
}

/* config.json's "model_type" names the architecture. */
enum ist_code ist_encoder_probe(const char *folder, const struct ist_encoder_arch **ret,
				struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/config.json", folder);
	ist_auto(ist_buf_finish) struct ist_buf text = {0}, list = {0};
	enum ist_code code = need_file(folder, "config.json", "the model's description", err);
	json_error_t where;
	json_t *config;
	const char *type;

	if (code == IST_OK)
		code = ist_file_read(path, CONFIG_LIMIT, &text, err);
	if (code != IST_OK)
		return code;
	config = json_loadb(text.len > 0 ? text.data : "", text.len, 0, &where);
	if (config == NULL)
		return ist_fail(err, IST_CORRUPT, "%s: line %d: %s", path, where.line, where.text);
	type = json_string_value(json_object_get(config, "model_type"));
	*ret = type != NULL ? find_arch(type, true) : NULL;
	list_archs(&list);
	if (type == NULL)
		code = ist_fail(err, IST_CORRUPT, "%s: \"model_type\" is missing", path);
	else if (*ret == NULL)
		code = ist_fail(err, IST_INVALID,
				"%s: model_type \"%.64s\" is not known here (known: %s)", path,
				type, list.data);
	json_decref(config);
	if (code == IST_OK &&
	    need_file(folder, "model.safetensors.index.json", "the weights", NULL) != IST_OK)
		code = need_file(folder, "model.safetensors", "the weights", err);
	return code;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

bool ist_encoder_arch_takes(const struct ist_encoder_arch *arch, enum ist_modality modality)
{
	return modality == IST_IMAGE ? arch->image != NULL : arch->texts != NULL;
}

/* What code makes of the same files may change with the program: it counts too. */
static void fingerprint(struct ist_encoder *encoder)
{
	ist_autofree char *text =
	    ist_format("%s %s %d", IST_VERSION, encoder->arch->name, IST_ENCODE_REVISION);
	struct {
		XXH128_canonical_t text;
		uint8_t folder[IST_FINGERPRINT];
	} both = {0};
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&both.text, XXH3_128bits(text, strlen(text)));
	if (encoder->folder != NULL)
		ist_folder_fingerprint(encoder->folder, both.folder);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(&both, sizeof(both)));
	memcpy(encoder->fingerprint, canonical.digest, sizeof(encoder->fingerprint));
}

static enum ist_code open_arch(struct ist_encoder *encoder, const char *folder, struct ist_err *err)
{
	const struct ist_encoder_arch *arch = encoder->arch;
	enum ist_code code = IST_OK;

	if (folder != NULL)
		code = ist_folder_open(folder, &encoder->folder, err);
	if (code == IST_OK && arch->open != NULL)
		code = arch->open(encoder, encoder->folder, err);
	return code;
}

/* A failed open is closed like a whole one: `close` takes a half-made state. */
enum ist_code ist_encoder_open(const char *name, const char *folder, struct ist_encoder **ret,
			       struct ist_err *err)
{
	const struct ist_encoder_arch *arch = NULL;
	struct ist_encoder *encoder;
	enum ist_code code = IST_OK;

	if (folder != NULL)
		code = ist_encoder_probe(folder, &arch, err);
	else
		arch = find_arch(name, false);
	if (code != IST_OK)
		return code;
	if (arch == NULL)
		return ist_fail(err, IST_INVALID, "there is no encoder \"%.64s\" without a folder",
				name);
	encoder = ist_alloc(1, sizeof(*encoder));
	encoder->arch = arch;
	encoder->name = ist_strdup(name != NULL ? name : base_name(folder));
	encoder->dim = arch->dim;
	encoder->frame = arch->frame;
	code = open_arch(encoder, folder, err);
	if (code != IST_OK) {
		ist_wrap(err, "encoder %s", name != NULL ? name : folder);
		ist_encoder_close(encoder);
		return code;
	}
	fingerprint(encoder);
	*ret = encoder;
	return IST_OK;
}

void ist_encoder_close(struct ist_encoder *encoder)
{
	if (encoder == NULL)
		return;
	if (encoder->arch->close != NULL)
		encoder->arch->close(encoder);
	ist_folder_close(encoder->folder);
	free(encoder->name);
	free(encoder);
}

struct ist_encoder_workspace *ist_encoder_workspace_create(void)
{
	return ist_alloc(1, sizeof(struct ist_encoder_workspace));
}

void ist_encoder_workspace_destroy(struct ist_encoder_workspace *ws)
{
	if (ws == NULL)
		return;
	ist_arena_finish(&ws->arena);
	ist_arena_finish(&ws->tokens);
	free(ws);
}

/* What every caller relies on: finite, and a direction. */
static enum ist_code check_feature(const struct ist_encoder *encoder, const float *x,
				   struct ist_err *err)
{
	bool some = false;

	for (size_t j = 0; j < encoder->dim; j++) {
		if (!isfinite(x[j]))
			return ist_fail(err, IST_INTERNAL, "encoder %s: feature %zu is not finite",
					encoder->name, j);
		some = some || x[j] != 0;
	}
	return some ? IST_OK
		    : ist_fail(err, IST_INTERNAL, "encoder %s: the feature is all zero",
			       encoder->name);
}

/* What the architecture gets: the picture as it is, or the square that the encoder wants, which
 * the picture may be already. */
static enum ist_code frame_pixels(const struct ist_encoder *encoder,
				  struct ist_encoder_workspace *ws, const struct ist_pixels *pixels,
				  struct ist_pixels *ret, struct ist_err *err)
{
	uint32_t side = encoder->frame.side;
	uint8_t *rgb;

	if (pixels->width == 0 || pixels->height == 0)
		return ist_fail(err, IST_INVALID, "the picture has no pixels");
	*ret = *pixels;
	if (encoder->frame.geometry == IST_GEOMETRY_WHOLE)
		return IST_OK;
	if (pixels->framed && (pixels->width != side || pixels->height != side))
		return ist_fail(err, IST_INVALID,
				"encoder %s: a picture of %u x %u is framed for another encoder, "
				"this one wants %u x %u",
				encoder->name, pixels->width, pixels->height, side, side);
	if (pixels->framed)
		return IST_OK;
	rgb = ist_arena_alloc(&ws->arena, (size_t)side * side, 3);
	ist_frame_apply(&encoder->frame, pixels, rgb, &ws->arena);
	*ret = (struct ist_pixels){side, side, rgb, .framed = true};
	return IST_OK;
}

/* The arena is reset at the start and not at the end: what a call left stays readable to a
 * debugger, and an error path needs no tidying. */
enum ist_code ist_encoder_image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
				const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	struct ist_pixels square;
	enum ist_code code;

	if (encoder->arch->image == NULL)
		return ist_fail(err, IST_INVALID, "encoder %s takes no pictures", encoder->name);
	ist_arena_reset(&ws->arena);
	code = frame_pixels(encoder, ws, pixels, &square, err);
	if (code == IST_OK)
		code = encoder->arch->image(encoder, ws, &square, ret, err);
	return code == IST_OK ? check_feature(encoder, ret, err) : code;
}

enum ist_code ist_encoder_image_map(const struct ist_encoder *encoder,
				    struct ist_encoder_workspace *ws,
				    const struct ist_pixels *pixels, float *ret,
				    struct ist_err *err)
{
	struct ist_pixels square;
	enum ist_code code;

	if (encoder->arch->image_map == NULL)
		return ist_fail(err, IST_INVALID, "encoder %s has no map of locations",
				encoder->name);
	ist_arena_reset(&ws->arena);
	code = frame_pixels(encoder, ws, pixels, &square, err);
	return code == IST_OK ? encoder->arch->image_map(encoder, ws, &square, ret, err) : code;
}

enum ist_code ist_encoder_texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
				const struct ist_str *texts, size_t n, float *ret,
				struct ist_err *err)
{
	enum ist_code code;

	if (encoder->arch->texts == NULL)
		return ist_fail(err, IST_INVALID, "encoder %s takes no texts", encoder->name);
	ist_arena_reset(&ws->arena);
	code = encoder->arch->texts(encoder, ws, texts, n, ret, err);
	for (size_t i = 0; code == IST_OK && i < n; i++)
		code = check_feature(encoder, ret + i * encoder->dim, err);
	return code;
}
