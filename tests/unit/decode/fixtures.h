/* The pictures of tests/fixtures/pictures and what they must decode to (see make.py there). */
#ifndef IST_TESTS_UNIT_DECODE_FIXTURES_H
#define IST_TESTS_UNIT_DECODE_FIXTURES_H

#include <stdint.h>

#include "core/base/buf.h"

struct fixture {
	char name[64];
	char type[32];
	uint32_t width, height;
	int tolerance; /* a channel may be this far off */
	struct ist_buf file;
	struct ist_buf rgb; /* expected */
};

struct fixture *fixtures_read(size_t *ret_n); /* all of list.txt */
struct fixture *bombs_read(size_t *ret_n);    /* all of bombs.txt: name and file only */
void fixtures_free(struct fixture *all, size_t n);
const struct fixture *fixture_find(const struct fixture *all, size_t n, const char *name);
/* Fails the test where the pixels are not the expected ones. */
void fixture_check(const struct fixture *f, uint32_t width, uint32_t height, const uint8_t *rgb);

#endif
