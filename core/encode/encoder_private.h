/* What the encoders of this folder share with encoder.c. */
#ifndef IST_CORE_ENCODE_ENCODER_PRIVATE_H
#define IST_CORE_ENCODE_ENCODER_PRIVATE_H

#include "core/base/arena.h"
#include "core/encode/encoder.h"

struct ist_encoder_workspace {
	struct ist_arena arena;	 /* reset at the start of every call */
	struct ist_arena tokens; /* of tokenisers, reset at every text */
};

extern const struct ist_encoder_arch ist_encoder_bert, ist_encoder_clip, ist_encoder_descriptor,
    ist_encoder_ngrams, ist_encoder_efficientnet, ist_encoder_pixels, ist_encoder_pixels64,
    ist_encoder_words;

#endif
