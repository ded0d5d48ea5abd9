/*
 * A tar of pictures with sidecars: consecutive members with the same path up to the first dot of
 * the base name are one item, whose id is that path.
 */
#ifndef IST_SERVER_IMPORT_TAR_H
#define IST_SERVER_IMPORT_TAR_H

#include "server/import.h"

struct ist_tar_source {
	/* Bytes of the archive; *ret_n 0 at its end. */
	enum ist_code (*read)(void *user, void *data, size_t cap, size_t *ret_n,
			      struct ist_err *err);
	void *user;
};

/* Reads all of it into the import; the last records may still be under way then. */
IST_CHECKED enum ist_code ist_import_tar(const struct ist_tar_source *source, struct ist_import *im,
					 struct ist_err *err);

#endif
