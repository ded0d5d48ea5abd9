/*
 * isthmus-decode: decodes pictures for the daemon, one at a time, in a process that holds nothing
 * worth taking. Started by server/decoders.c with a socket on descriptor 3 and the shared memory on
 * 4; ends when the socket does.
 *
 *	isthmus-decode MAX_PIXELS CPU_SECONDS [svg]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "server/decode/codec.h"
#include "server/decode/sandbox.h"

#define OWN_MEMORY (256ULL << 20) /* program, libraries, heap that no picture sizes */
#define BYTES_A_PIXEL 24	  /* the worst codec: coefficients, planes and result at once */

#if defined(__SANITIZE_THREAD__)
/* librsvg's libraries are not built with the sanitizer, so their locks are not seen. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:libfontconfig\nrace:libpango\nrace:libglib\nrace:librsvg\n";
}
#endif

struct decoder {
	uint8_t *memory;
	uint64_t max_pixels;
	size_t input_size, memory_size;
	bool svg;
};

static bool send_all(const void *message, size_t len)
{
	return send(IST_DECODE_SOCKET, message, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* false at the end of the conversation. */
static bool serve_one(const struct decoder *d)
{
	struct ist_decode_request request;
	struct ist_decode_answer answer;
	ssize_t n;

	do
		n = recv(IST_DECODE_SOCKET, &request, sizeof(request), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(request) || request.magic != IST_DECODE_MAGIC ||
	    request.len > d->input_size)
		return false;
	ist_decode(&request, d->memory, d->svg, d->max_pixels, d->memory + d->input_size,
		   d->memory_size - d->input_size, &answer);
	return send_all(&answer, sizeof(answer));
}

int main(int argc, char **argv)
{
	struct ist_decode_hello hello = {.magic = IST_DECODE_MAGIC};
	struct decoder d = {0};

	if (argc < 3) {
		fprintf(stderr, "isthmus-decode is started by isthmusd\n");
		return 2;
	}
	d.max_pixels = strtoull(argv[1], NULL, 10);
	d.input_size = ist_decode_input_size(d.max_pixels);
	d.memory_size = ist_decode_memory_size(d.max_pixels);
	d.svg = argc > 3 && strcmp(argv[3], "svg") == 0;
	d.memory =
	    mmap(NULL, d.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, IST_DECODE_MEMORY, 0);
	if (d.memory == MAP_FAILED)
		return 1;
	hello.svg = d.svg && ist_svg_load();
	ist_sandbox_close(d.memory_size + d.max_pixels * BYTES_A_PIXEL + OWN_MEMORY,
			  (unsigned)strtoul(argv[2], NULL, 10), &hello);
	if (!send_all(&hello, sizeof(hello)))
		return 1;
	while (serve_one(&d))
		;
	return 0;
}
