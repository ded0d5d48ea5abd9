/*
 * Encoders: frozen networks or plain descriptors that turn a picture or a text into a feature
 * (1 x dim float32, finite, not all zero). Architectures are rows of ist_encoder_archs; an encoder
 * is an architecture with the weights of one folder (config.json, model.safetensors, tokenizer
 * files), or with none for those that need no file: "descriptor" and "ngrams".
 *
 * An encoder is immutable once opened and shared by all threads; each thread brings a workspace.
 */
#ifndef IST_CORE_ENCODE_ENCODER_H
#define IST_CORE_ENCODE_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/modality.h"
#include "core/encode/folder.h"
#include "core/encode/geometry.h"

/* Of the map of locations before pooling. */
struct ist_map_size {
	uint32_t height, width, channels;
};

struct ist_encoder;
struct ist_encoder_workspace; /* one a thread; grows to its largest use, then allocates nothing */

struct ist_encoder_arch {
	const char *name; /* "descriptor"; for folders, config.json's "model_type" */
	const char *title;
	bool needs_folder;
	bool counts; /* the feature holds non-negative counts: identity weighs its columns by idf */
	size_t dim;  /* of those that need no folder; 0 where the folder tells */
	struct ist_frame frame; /* of those that need no folder */
	/* Sets dim, state and what else the folder tells. `folder` (NULL for built-ins) is the
	 * encoder's and outlives `close`, so its weights may be pointed to. */
	enum ist_code (*open)(struct ist_encoder *encoder, struct ist_folder *folder,
			      struct ist_err *err);
	void (*close)(struct ist_encoder *encoder); /* takes a half-made state */
	/* One of these may be NULL: the modality is not served. An architecture that serves both
	 * puts them in one space. */
	enum ist_code (*image)(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			       const struct ist_pixels *pixels, float *ret, struct ist_err *err);
	/* NULL: there is no map of locations. */
	enum ist_code (*image_map)(const struct ist_encoder *encoder,
				   struct ist_encoder_workspace *ws,
				   const struct ist_pixels *pixels, float *ret,
				   struct ist_err *err);
	enum ist_code (*texts)(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			       const struct ist_str *texts, size_t n, float *ret,
			       struct ist_err *err);
};
extern const struct ist_encoder_arch *const ist_encoder_archs[]; /* ends with NULL */

bool ist_encoder_arch_takes(const struct ist_encoder_arch *arch, enum ist_modality modality);

struct ist_encoder {
	const struct ist_encoder_arch *arch;
	char *name;		   /* "descriptor", or the folder's own name */
	size_t dim;		   /* width of its features */
	struct ist_map_size map;   /* all 0 where there is none */
	struct ist_frame frame;	   /* what it wants of pictures; a caller may choose the geometry */
	void *state;		   /* the architecture's */
	struct ist_folder *folder; /* NULL for built-ins */
	/* Equal where features are: over the files that were read, or a built-in's name and
	 * this program's version. */
	uint8_t fingerprint[IST_FINGERPRINT];
};

/* `name` of a built-in, or a folder; "external" is no encoder and is not opened here. */
IST_CHECKED enum ist_code ist_encoder_open(const char *name, const char *folder,
					   struct ist_encoder **ret, struct ist_err *err);
/* The architecture of a folder, without opening its weights; says what is missing in it. */
IST_CHECKED enum ist_code ist_encoder_probe(const char *folder, const struct ist_encoder_arch **ret,
					    struct ist_err *err);
void ist_encoder_close(struct ist_encoder *encoder);

struct ist_encoder_workspace *ist_encoder_workspace_create(void);
void ist_encoder_workspace_destroy(struct ist_encoder_workspace *ws);

/* ret: (dim). Never all zero: an empty picture or text still has a feature. A picture that is not
 * framed is brought into the encoder's frame first; architectures see it done. */
IST_CHECKED enum ist_code ist_encoder_image(const struct ist_encoder *encoder,
					    struct ist_encoder_workspace *ws,
					    const struct ist_pixels *pixels, float *ret,
					    struct ist_err *err);
/* The map before pooling, for methods that look at places: ret: (map.height, map.width,
 * map.channels). IST_INVALID where there is none. */
IST_CHECKED enum ist_code ist_encoder_image_map(const struct ist_encoder *encoder,
						struct ist_encoder_workspace *ws,
						const struct ist_pixels *pixels, float *ret,
						struct ist_err *err);
/* ret: (n, dim). Texts are UTF-8; ill-formed bytes are IST_INVALID. */
IST_CHECKED enum ist_code ist_encoder_texts(const struct ist_encoder *encoder,
					    struct ist_encoder_workspace *ws,
					    const struct ist_str *texts, size_t n, float *ret,
					    struct ist_err *err);

#endif
