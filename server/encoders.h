/*
 * The encoders that are installed: the built-in ones and the folders of a search path (each in the
 * layout of the model hubs: config.json, model.safetensors, tokenizer files). First in the path are
 * the daemon's own, which clients have sent (<data>/encoders) and may remove. An encoder is opened
 * when it is first asked for, then shared by everybody.
 * Any thread may call anything here.
 */
#ifndef IST_SERVER_ENCODERS_H
#define IST_SERVER_ENCODERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/modality.h"
#include "core/encode/encoder.h"

#define IST_ENCODER_NAME 128 /* bytes, with the NUL */

struct ist_encoders;

/* `own` is the folder for encoders that are installed while the daemon runs, `path` those after it
 * in the search path, ended by NULL; either may be NULL, and none need exist. All of them are
 * looked at here, once. */
struct ist_encoders *ist_encoders_create(const char *own, const char *const *path);
void ist_encoders_destroy(struct ist_encoders *e);

struct ist_encoder_info {
	char name[IST_ENCODER_NAME]; /* "descriptor", or the folder's own name */
	char title[IST_ENCODER_NAME];
	char architecture[IST_ENCODER_NAME]; /* "" where it is not known */
	bool takes[IST_N_MODALITIES];
	size_t dim;	/* 0 until it has been opened, where only that tells */
	uint64_t bytes; /* of its files */
	bool builtin;	/* needs no file */
	bool own;	/* may be removed */
	bool open;	/* in memory */
	char fingerprint[2 * IST_FINGERPRINT + 1];    /* "" until it has been opened */
	char error[sizeof((struct ist_err){0}.text)]; /* "", or why it cannot be used */
};

/* All of them, the caller's to free: whoever takes pictures before those of texts alone, the better
 * before the others; broken ones come last. */
size_t ist_encoders_list(struct ist_encoders *e, struct ist_encoder_info **ret);
/* One; IST_NOT_FOUND. `open` has it opened if it was not yet, so that everything is known. */
IST_CHECKED enum ist_code ist_encoders_info(struct ist_encoders *e, const char *name, bool open,
					    struct ist_encoder_info *ret, struct ist_err *err);

/* The name that a collection takes if it names none: the first of a modality that can be opened. */
void ist_encoders_best(struct ist_encoders *e, enum ist_modality modality,
		       char ret[IST_ENCODER_NAME]);

/* Opened if it was not yet. IST_INVALID where there is none of that name, with the names there are;
 * IST_CORRUPT or IST_IO where its folder is damaged. `*ret` is good until the caller leaves. */
IST_CHECKED enum ist_code ist_encoders_get(struct ist_encoders *e, const char *name,
					   const struct ist_encoder **ret, struct ist_err *err);

/* Around whatever uses encoders, a request as a whole: one that is removed meanwhile is closed when
 * all who were there have left. */
void ist_encoders_enter(struct ist_encoders *e);
void ist_encoders_leave(struct ist_encoders *e);

/* From resolving a collection's encoders until the collection stands, and from finding an encoder
 * unused until it is gone, nobody else may do either. */
void ist_encoders_lock_use(struct ist_encoders *e);
void ist_encoders_unlock_use(struct ist_encoders *e);

/* Under that lock. `folder` is moved to its place by one rename; IST_CONFLICT where the name is
 * taken. */
IST_CHECKED enum ist_code ist_encoders_install(struct ist_encoders *e, const char *name,
					       const char *folder, struct ist_err *err);
/* Under that lock, for one that nothing uses. IST_NOT_FOUND; IST_CONFLICT for one that is not the
 * daemon's own. */
IST_CHECKED enum ist_code ist_encoders_remove(struct ist_encoders *e, const char *name,
					      struct ist_err *err);
/* A new empty folder for one that is being received, where `install` can rename it from. What a
 * crash leaves of it is removed at the next start. */
IST_CHECKED enum ist_code ist_encoders_spool(struct ist_encoders *e, char **ret,
					     struct ist_err *err);

#endif
