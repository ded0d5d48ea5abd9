/* The two sides of the common space. */
#ifndef IST_CORE_BASE_MODALITY_H
#define IST_CORE_BASE_MODALITY_H

#include <stddef.h>

enum ist_modality { IST_IMAGE, IST_TEXT, IST_N_MODALITIES };

/* "image", "text" */
static inline const char *ist_modality_name(enum ist_modality m)
{
	return m == IST_IMAGE ? "image" : "text";
}

static inline enum ist_modality ist_modality_other(enum ist_modality m)
{
	return m == IST_IMAGE ? IST_TEXT : IST_IMAGE;
}

/* What a feature is where it is more than a point of some space: the encoders "pixels" and "words"
 * hand the input itself on, for methods that bring networks of their own. */
enum ist_form {
	IST_FORM_VECTOR,
	IST_FORM_PIXELS, /* (3, side, side), each number (level + 1) / 256 */
	IST_FORM_WORDS, /* codes of words in their order, whole numbers above 0; 0 behind the end */
};
#define IST_PIXELS_NAME "pixels"
#define IST_PIXELS_SIDE 32
#define IST_PIXELS64_NAME "pixels64" /* the same, twice as fine */
#define IST_PIXELS64_SIDE 64
#define IST_WORDS_NAME "words"
#define IST_WORDS_MAX 32

/* By an encoder's name. */
enum ist_form ist_form_of(const char *encoder);
/* The side of pictures whose features have that width; 0: of none. */
size_t ist_pixels_side(size_t width);

#endif
