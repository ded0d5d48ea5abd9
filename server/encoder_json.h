/* An encoder on the wire, as far as more than one resource shows it. */
#ifndef IST_SERVER_ENCODER_JSON_H
#define IST_SERVER_ENCODER_JSON_H

#include <jansson.h>

#include "server/encoders.h"

json_t *ist_encoder_modalities(const struct ist_encoder_info *info); /* ["image", "text"] */

#endif
