/* The two sides of the common space. */
#ifndef IST_CORE_BASE_MODALITY_H
#define IST_CORE_BASE_MODALITY_H

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

#endif
