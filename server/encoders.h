/*
 * The encoders that are installed: the built-in ones and the folders under <data>/encoders (each in
 * the layout of the model hubs: config.json, model.safetensors, tokenizer files). An encoder is
 * opened when it is first asked for, then shared by everybody until the registry ends.
 * Any thread may call anything here.
 */
#ifndef IST_SERVER_ENCODERS_H
#define IST_SERVER_ENCODERS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/base/modality.h"
#include "core/encode/encoder.h"

struct ist_encoders;

/* `folder` need not exist. The folders in it are looked at here, once. */
struct ist_encoders *ist_encoders_create(const char *folder);
void ist_encoders_destroy(struct ist_encoders *e);

struct ist_encoder_info {
	const char *name; /* "descriptor", or the folder's own name */
	const char *title;
	bool takes[IST_N_MODALITIES];
	size_t dim;	   /* 0 where only opening tells, or where it cannot be opened */
	bool builtin;	   /* needs no file */
	bool counts;	   /* see encoder.h */
	const char *error; /* NULL, or why this folder cannot be used */
};

size_t ist_encoders_count(const struct ist_encoders *e);
/* Row i of those installed, once even if it serves both modalities: those of pictures before those
 * of texts alone, the best of a modality before the others; broken ones come last. */
void ist_encoders_info(const struct ist_encoders *e, size_t i, struct ist_encoder_info *ret);

/* The name that a collection takes if it names none. Never NULL. */
const char *ist_encoders_best(const struct ist_encoders *e, enum ist_modality modality);

/* Opened if it was not yet. IST_INVALID where there is none of that name, with the names there are;
 * IST_CORRUPT or IST_IO where its folder is damaged. `*ret` lives as long as the registry. */
IST_CHECKED enum ist_code ist_encoders_get(struct ist_encoders *e, const char *name,
					   const struct ist_encoder **ret, struct ist_err *err);

#endif
