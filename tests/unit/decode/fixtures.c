/* Reads the lists that make.py writes. FIXTURES is the folder, from meson. */
#include "tests/unit/decode/fixtures.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

#define MAX_FILE (1u << 20)

static void read_fixture(const char *name, struct ist_buf *buf)
{
	ist_autofree char *path = ist_format("%s/%s", FIXTURES, name);
	struct ist_err err;

	assert_ist_ok(ist_file_read(path, MAX_FILE, buf, &err));
}

static void parse_line(const char *line, struct fixture *f)
{
	char expected[64] = "";

	*f = (struct fixture){0};
	if (sscanf(line, "%63s %31s %63s %u %u %d", f->name, f->type, expected, &f->width,
		   &f->height, &f->tolerance) == 6)
		read_fixture(expected, &f->rgb);
	read_fixture(f->name, &f->file);
}

static struct fixture *read_list(const char *list, size_t *ret_n)
{
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	struct fixture *all = NULL;
	size_t n = 0;

	read_fixture(list, &text);
	for (char *line = text.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		all = ist_resize(all, n + 1, sizeof(*all));
		parse_line(line, &all[n++]);
	}
	assert_true(n > 0);
	*ret_n = n;
	return all;
}

struct fixture *fixtures_read(size_t *ret_n)
{
	return read_list("list.txt", ret_n);
}

struct fixture *bombs_read(size_t *ret_n)
{
	return read_list("bombs.txt", ret_n);
}

void fixtures_free(struct fixture *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ist_buf_finish(&all[i].file);
		ist_buf_finish(&all[i].rgb);
	}
	free(all);
}

const struct fixture *fixture_find(const struct fixture *all, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	}
	fail_msg("there is no fixture %s", name);
	return NULL;
}

void fixture_check(const struct fixture *f, uint32_t width, uint32_t height, const uint8_t *rgb)
{
	if (width != f->width || height != f->height)
		fail_msg("%s: %u x %u instead of %u x %u", f->name, width, height, f->width,
			 f->height);
	for (size_t i = 0; i < f->rgb.len; i++) {
		int want = (uint8_t)f->rgb.data[i];

		if (abs(want - rgb[i]) > f->tolerance)
			fail_msg("%s: pixel %zu, channel %zu: %d instead of %d", f->name, i / 3,
				 i % 3, rgb[i], want);
	}
}
