/*
 * An encoder's folder on this machine: looked over before it is sent, since a mistake that can be
 * seen here need not travel, and read as a tar stream.
 */
#ifndef IST_SERVER_CLI_ENCODER_FOLDER_H
#define IST_SERVER_CLI_ENCODER_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct ist_encoder_folder;

/* What can be told without knowing architectures: config.json is there, is JSON and names a
 * model_type; each weights file is whole. The server checks the rest. */
IST_CHECKED enum ist_code ist_encoder_folder_open(const char *path, struct ist_encoder_folder **ret,
						  struct ist_err *err);
void ist_encoder_folder_close(struct ist_encoder_folder *folder);

uint64_t ist_encoder_folder_bytes(const struct ist_encoder_folder *folder); /* of the tar */
/* The tar's next bytes, 0 at its end; SIZE_MAX where a file could not be read as it was. */
size_t ist_encoder_folder_read(struct ist_encoder_folder *folder, char *data, size_t cap);

#endif
