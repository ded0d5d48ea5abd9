/* Doubling growth; a buffer that is reused stops allocating once it has met its largest use. */
#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

void ist_buf_finish(struct ist_buf *buf)
{
	free(buf->data);
	*buf = (struct ist_buf){0};
}

void ist_buf_reserve(struct ist_buf *buf, size_t more)
{
	size_t need = buf->len + more + 1;
	size_t cap = buf->cap != 0 ? buf->cap : 64;

	if (need <= buf->cap)
		return;
	while (cap < need)
		cap *= 2;
	buf->data = ist_resize(buf->data, cap, 1);
	buf->cap = cap;
}

void ist_buf_put(struct ist_buf *buf, const void *data, size_t len)
{
	ist_buf_reserve(buf, len);
	if (len != 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void ist_buf_puts(struct ist_buf *buf, const char *s)
{
	ist_buf_put(buf, s, strlen(s));
}

void ist_buf_putc(struct ist_buf *buf, char c)
{
	ist_buf_put(buf, &c, 1);
}

void ist_buf_printf(struct ist_buf *buf, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n > 0) {
		ist_buf_reserve(buf, (size_t)n);
		vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
		buf->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

void ist_buf_drop(struct ist_buf *buf, size_t n)
{
	if (buf->data == NULL)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
	buf->data[buf->len] = '\0';
}
