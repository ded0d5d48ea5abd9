/* Forms of features, by the names of the encoders that make them. */
#include "core/base/modality.h"

#include <string.h>

enum ist_form ist_form_of(const char *encoder)
{
	if (strcmp(encoder, IST_PIXELS_NAME) == 0 || strcmp(encoder, IST_PIXELS64_NAME) == 0)
		return IST_FORM_PIXELS;
	return strcmp(encoder, IST_WORDS_NAME) == 0 ? IST_FORM_WORDS : IST_FORM_VECTOR;
}

size_t ist_pixels_side(size_t width)
{
	size_t side = 0;

	while (3 * side * side < width)
		side++;
	return 3 * side * side == width ? side : 0;
}
