/*
 * Durable files that end in a checksum (XXH3 of all before it), so that damage is found before
 * their contents are believed.
 */
#ifndef IST_INDEX_CHECKED_FILE_H
#define IST_INDEX_CHECKED_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/file.h"

/* As ist_file_write_with; `fill` may only append to f. ret_checksum may be NULL. */
IST_CHECKED enum ist_code
ist_checked_write(const char *path, enum ist_code (*fill)(FILE *f, void *user, struct ist_err *err),
		  void *user, uint64_t *ret_checksum, struct ist_err *err);
/* Maps the file and verifies it; ret->len leaves the checksum out. IST_CORRUPT if it does not hold,
 * IST_NOT_FOUND if there is no file. To be released by ist_checked_finish. */
struct ist_checked {
	const void *data;
	size_t len;
	uint64_t checksum;
	struct ist_map map;
};
IST_CHECKED enum ist_code ist_checked_open(const char *path, struct ist_checked *ret,
					   struct ist_err *err);
void ist_checked_finish(struct ist_checked *file);

#endif
