/* Content codings of replies: zstd or gzip, where the client takes one and it pays. */
#ifndef IST_SERVER_HTTP_CODING_H
#define IST_SERVER_HTTP_CODING_H

#include <stdbool.h>

#include "core/base/buf.h"

enum ist_coding { IST_CODING_NONE, IST_CODING_GZIP, IST_CODING_ZSTD };
extern const char *const ist_coding_names[];

/* Whether an Accept-Encoding header (NULL: none) takes the coding of that name. */
bool ist_coding_is_taken(const char *accept, const char *name);
/* The best that an Accept-Encoding header (NULL: none) takes. */
enum ist_coding ist_coding_choose(const char *accept);
/* Replaces the body by its coded form; false, with the body as it was, where that is not at least
 * a tenth smaller. */
bool ist_coding_apply(enum ist_coding coding, struct ist_buf *body);

#endif
