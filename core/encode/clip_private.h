/* What the files of the CLIP architecture share. */
#ifndef IST_CORE_ENCODE_CLIP_PRIVATE_H
#define IST_CORE_ENCODE_CLIP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/encode/folder.h"
#include "core/encode/geometry.h"

struct ist_clip_tower {
	size_t width, inner, n_blocks, n_heads;
	size_t act; /* place in ist_clip_acts */
	double eps;
};
extern const char *const ist_clip_acts[]; /* ends with NULL */

struct ist_clip_config {
	struct ist_clip_tower text, vision;
	size_t n_ids, n_positions; /* of the text tower */
	size_t eos;		   /* its eos_token_id */
	size_t side, patch;	   /* of the picture and of a patch, in pixels */
	size_t dim;		   /* of the common space */
	struct ist_frame frame;
	float value[3][256]; /* of a byte in each channel: scaled and normalised */
};

/* IST_CORRUPT where a member is missing, out of range or at odds with another. */
IST_CHECKED enum ist_code ist_clip_config_read(struct ist_folder *folder,
					       struct ist_clip_config *ret, struct ist_err *err);

#endif
