/* A growable run of bytes; always followed by a NUL that does not count. */
#ifndef IST_CORE_BASE_BUF_H
#define IST_CORE_BASE_BUF_H

#include <stddef.h>

struct ist_buf {
	char *data; /* NULL until something is put in */
	size_t len;
	size_t cap;
};

/* A run of bytes that belongs to somebody else; not NUL-terminated unless said so. */
struct ist_str {
	const char *data;
	size_t len;
};

void ist_buf_finish(struct ist_buf *buf); /* frees; buf is as zeroed afterwards */
void ist_buf_reserve(struct ist_buf *buf, size_t more);
void ist_buf_put(struct ist_buf *buf, const void *data, size_t len);
void ist_buf_puts(struct ist_buf *buf, const char *s);
void ist_buf_putc(struct ist_buf *buf, char c);
void ist_buf_printf(struct ist_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ist_buf_drop(struct ist_buf *buf, size_t n); /* removes the first n bytes */

#endif
