/*
 * What daemon and decoder say to each other: fixed-size messages over a SOCK_SEQPACKET pair, the
 * bytes in one shared memory that the daemon made, sized and sealed. First half: the encoded
 * picture, written by the daemon. Second half: the answer's pixels, written by the child.
 *
 * The child is not trusted: the daemon checks every field of an answer before it believes one.
 */
#ifndef IST_SERVER_DECODE_PROTOCOL_H
#define IST_SERVER_DECODE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/encode/geometry.h"

#define IST_DECODE_MAGIC 0x31445349u /* "ISD1" */
#define IST_DECODE_SOCKET 3	     /* the child's end */
#define IST_DECODE_MEMORY 4

/* The child's first message: what holds it. */
struct ist_decode_hello {
	uint32_t magic;
	uint32_t landlock; /* version of the kernel's interface; 0: not in force */
	uint8_t seccomp;
	uint8_t limits; /* rlimits and no_new_privs */
	uint8_t svg;	/* this child decodes SVG, and only that */
	uint8_t unused;
	char lacks[128]; /* what is not in force and why; "" if nothing */
};

enum ist_decode_want { IST_DECODE_PIXELS, IST_DECODE_THUMBNAIL };

struct ist_decode_request {
	uint32_t magic;
	uint32_t want;
	uint64_t len; /* encoded bytes, at the start of the memory */
	/* A thumbnail's has the geometry WHOLE and its side. */
	struct ist_frame frame;
};

enum ist_decode_status { IST_DECODE_OK, IST_DECODE_BROKEN, IST_DECODE_TOO_LARGE };

struct ist_decode_answer {
	uint32_t magic;
	uint32_t status;
	uint32_t width, height;		/* of the original, orientation applied */
	uint32_t out_width, out_height; /* of what is in the memory */
	uint64_t len;			/* bytes of it */
	char type[32];			/* of the original: "image/png" */
	char out_type[32];		/* of a thumbnail */
	char text[160];			/* what is wrong, if something is */
};

/* How the memory is divided, both sides computing the same from the pixel limit. */
static inline size_t ist_decode_input_size(uint64_t max_pixels)
{
	size_t size = (size_t)max_pixels * 4 + (1u << 20);

	return (size + 4095) / 4096 * 4096;
}

static inline size_t ist_decode_memory_size(uint64_t max_pixels)
{
	size_t pixels = (size_t)max_pixels * 3 + (1u << 16);

	return ist_decode_input_size(max_pixels) + (pixels + 4095) / 4096 * 4096;
}

#endif
