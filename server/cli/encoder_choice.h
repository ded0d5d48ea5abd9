/* How an encoder is named on the command line: NAME, or NAME:DIM for vectors of one's own. */
#ifndef IST_SERVER_CLI_ENCODER_CHOICE_H
#define IST_SERVER_CLI_ENCODER_CHOICE_H

#include <jansson.h>
#include <stddef.h>

/* Sets body[member]; without a text to `external` of that width, if it has one. */
void ist_encoder_choice_add(json_t *body, const char *member, const char *text, size_t width);

#endif
