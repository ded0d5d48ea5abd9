/*
 * The folder of an encoder, in the layout of the model hubs: config.json, the weights
 * (model.safetensors, or model.safetensors.index.json with its shards) and whatever else an
 * architecture reads (tokenizer files, preprocessor_config.json).
 *
 * A folder is a guest: sizes, types, shapes and numbers are checked before they are used, and an
 * error names file, member or tensor with what was found and what is wanted. What has been read
 * through here, and nothing else, makes the fingerprint. One thread opens an encoder; afterwards
 * the folder is immutable, and its weights are read by everybody.
 */
#ifndef IST_CORE_ENCODE_FOLDER_H
#define IST_CORE_ENCODE_FOLDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/tensor/safetensors.h"

#define IST_FINGERPRINT 16 /* bytes */

struct ist_folder;

/* Reads config.json and the weights' headers, maps the weights and hashes both. */
IST_CHECKED enum ist_code ist_folder_open(const char *path, struct ist_folder **ret,
					  struct ist_err *err);
void ist_folder_close(struct ist_folder *folder);

const json_t *ist_folder_config(const struct ist_folder *folder); /* an object */

/* Another file, whole, into `ret` (appended); `name` may hold one folder ("1_Pooling/config.json").
 * IST_NOT_FOUND where there is none, which also counts for the fingerprint. */
IST_CHECKED enum ist_code ist_folder_read(struct ist_folder *folder, const char *name, size_t limit,
					  struct ist_buf *ret, struct ist_err *err);
/* The same for one that holds a JSON object; the caller's to json_decref. */
IST_CHECKED enum ist_code ist_folder_json(struct ist_folder *folder, const char *name, size_t limit,
					  json_t **ret, struct ist_err *err);

/* Members of a JSON object into a struct. */
enum ist_member_kind {
	IST_MEMBER_SIZE,   /* size_t, min..max */
	IST_MEMBER_REAL,   /* double, min..max */
	IST_MEMBER_BOOL,   /* bool */
	IST_MEMBER_CHOICE, /* size_t: place in `choices` */
};

struct ist_member {
	const char *name;
	enum ist_member_kind kind;
	size_t offset; /* in the struct */
	double min, max;
	const char *const *choices; /* ends with NULL */
	bool optional;		    /* absent or null: the field keeps what it holds */
};

/* `where` begins the error: "config.json", "config.json: text_config". Members that the table does
 * not name are left alone; an `object` that is NULL or no object is an error. */
IST_CHECKED enum ist_code ist_members_read(const json_t *object, const char *where,
					   const struct ist_member *members, size_t n, void *ret,
					   struct ist_err *err);

struct ist_shape {
	size_t n, size[IST_SAFETENSOR_DIMS];
};
#define IST_SHAPE(...)                                                                             \
	((struct ist_shape){sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), {__VA_ARGS__}})

/* The stored tensor (any dtype), NULL where there is none of that name. */
const struct ist_safetensor *ist_folder_find(const struct ist_folder *folder, const char *name);

/*
 * The tensor of that name and shape as floats, row-major, every one finite: F32 where it lies in
 * the map (not always aligned to more than 4 bytes), F16 and BF16 converted. Lives as long as
 * the folder. At a fault the folder keeps the error and returns NULL, as it does for every weight
 * asked for after it: lists of weights need no checks, ist_folder_check reports the first fault.
 * The check reads the weights but does not keep their pages resident.
 */
const float *ist_folder_weight(struct ist_folder *folder, struct ist_shape shape,
			       const char *format, ...) __attribute__((format(printf, 3, 4)));
IST_CHECKED enum ist_code ist_folder_check(const struct ist_folder *folder, struct ist_err *err);

/* For who has copied (packed, folded) what it needs: unmaps the weights and frees the converted
 * ones; pointers into them are dead. */
void ist_folder_drop_weights(struct ist_folder *folder);
/* Gives the resident pages of the maps back to the kernel; they return from the file when read. */
void ist_folder_evict(const struct ist_folder *folder);

/* Of all files read so far, their names and the absent ones: XXH3-128. */
void ist_folder_fingerprint(const struct ist_folder *folder, uint8_t ret[IST_FINGERPRINT]);

#endif
