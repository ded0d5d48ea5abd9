/* The files of the web page, in the program; ui/bundle.py makes their bytes. */
#ifndef IST_SERVER_UI_H
#define IST_SERVER_UI_H

#include <stddef.h>

struct ist_ui_bytes {
	const unsigned char *data;
	size_t len;
};

struct ist_ui_file {
	const char *name; /* "index.html" first; the others' names hold a hash */
	const char *type;
	const char *etag; /* of what is in it, in quotes */
	size_t len;	  /* bytes, unpacked */
	struct ist_ui_bytes brotli, gzip;
};
extern const struct ist_ui_file ist_ui_files[];
extern const size_t ist_n_ui_files;

#endif
