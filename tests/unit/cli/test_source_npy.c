/* Matrices as a source: rows with their labels, ids and metadata, and files that do not fit. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/cli/cli.h"
#include "server/cli/source.h"

static char top[] = "/tmp/isthmus-npy-XXXXXX";

static void write_bytes(const char *name, const void *data, size_t len)
{
	ist_autofree char *path = ist_format("%s/%s", top, name);
	struct ist_err err = {0};

	assert_ist_ok(ist_file_write(path, data, len, &err));
}

static void write_npy(const char *name, const char *descr, const char *shape, const void *data,
		      size_t len)
{
	ist_autofree char *header =
	    ist_format("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape);
	struct ist_buf buf ist_auto(ist_buf_finish) = {0};

	ist_buf_put(&buf, "\x93NUMPY\x01\x00", 8);
	ist_buf_putc(&buf, (char)strlen(header));
	ist_buf_putc(&buf, 0);
	ist_buf_puts(&buf, header);
	ist_buf_put(&buf, data, len);
	write_bytes(name, buf.data, buf.len);
}

struct open {
	struct ist_args args;
	char *argv[16];
	void *source;
	struct ist_err err;
};

/* Options are names and files in turn, up to NULL. */
static void open_source(struct open *open, const char *const *options)
{
	int n = 2;

	*open = (struct open){.argv = {(char *)"isthmus", (char *)"import"}};
	for (size_t i = 0; options[i] != NULL; i += 2) {
		open->argv[n++] = ist_format("--%s=%s/%s", options[i], top, options[i + 1]);
	}
	if (ist_args_parse(&open->args, n, open->argv, &open->err) != IST_OK)
		fail_msg("%s", open->err.text);
	assert_true(ist_source_npy.takes(NULL, &open->args));
	if (ist_source_npy.open(NULL, &open->args, &open->source, &open->err) != IST_OK)
		open->source = NULL;
}

static void close_source(struct open *open)
{
	ist_source_npy.close(open->source);
	ist_args_finish(&open->args);
	for (int i = 2; i < 16; i++)
		free(open->argv[i]);
}

static void expect_next(struct open *open, const char *want)
{
	struct ist_record record = {0};
	bool more;

	if (ist_source_npy.next(open->source, &record, &more, &open->err) != IST_OK)
		fail_msg("%s", open->err.text);
	assert_true(more == (want != NULL));
	if (want != NULL)
		assert_string_equal(record.line.data, want);
	ist_record_finish(&record);
}

static int make_files(void **state)
{
	static const float x[] = {1, 2, 3, 4};
	static const double y[] = {1, 2};
	static const int32_t labels[] = {7, -1};

	write_npy("x.npy", "<f4", "(2, 2)", x, sizeof(x));
	write_npy("y.npy", "<f8", "(2, 1)", y, sizeof(y));
	write_npy("long.npy", "<f4", "(4, 1)", x, sizeof(x));
	write_npy("flat.npy", "<f4", "(4,)", x, sizeof(x));
	write_npy("labels.npy", "<i4", "(2,)", labels, sizeof(labels));
	write_bytes("ids.txt", "one\r\ntwo\n", 9);
	write_bytes("short.txt", "one\n", 4);
	write_bytes("meta.ndjson", "{\"id\": \"m\", \"k\": 1}\n{\"texts\": [\"t\"]}\n", 38);
	write_bytes("bad.ndjson", "{\"k\": 1}\n{\n", 11);
	return 0;
}

static void rows(void **state)
{
	static const char *const options[] = {
	    "image-vectors", "x.npy",	"text-vectors", "y.npy",       "labels", "labels.npy",
	    "ids",	     "ids.txt", "meta",		"meta.ndjson", NULL};
	struct open open;
	size_t widths[2];

	open_source(&open, options);
	assert_int_equal(open.err.code, IST_OK);
	ist_source_npy.widths(open.source, widths);
	assert_int_equal(widths[0], 2);
	assert_int_equal(widths[1], 1);
	expect_next(&open, "{\"id\":\"one\",\"metadata\":{\"k\":1},\"label\":\"7\",\"vectors\":{"
			   "\"image\":{\"base64\":\"AACAPwAAAEA=\"},\"texts\":[{\"base64\":"
			   "\"AACAPw==\"}]}}");
	expect_next(&open, "{\"id\":\"two\",\"texts\":[\"t\"],\"label\":\"-1\",\"vectors\":{"
			   "\"image\":{\"base64\":\"AABAQAAAgEA=\"},\"texts\":[{\"base64\":"
			   "\"AAAAQA==\"}]}}");
	expect_next(&open, NULL);
	close_source(&open);
}

static void bare_rows(void **state)
{
	static const char *const options[] = {"text-vectors", "y.npy", NULL};
	struct open open;

	open_source(&open, options);
	expect_next(&open, "{\"id\":\"0\",\"vectors\":{\"texts\":[{\"base64\":\"AACAPw==\"}]}}");
	expect_next(&open, "{\"id\":\"1\",\"vectors\":{\"texts\":[{\"base64\":\"AAAAQA==\"}]}}");
	expect_next(&open, NULL);
	close_source(&open);
}

static void misfits(void **state)
{
	static const char *const cases[][5] = {
	    {"image-vectors", "gone.npy"},
	    {"image-vectors", "flat.npy"},
	    {"image-vectors", "labels.npy"},
	    {"image-vectors", "ids.txt"},
	    {"image-vectors", "x.npy", "text-vectors", "long.npy"},
	    {"image-vectors", "x.npy", "labels", "y.npy"},
	    {"image-vectors", "long.npy", "labels", "labels.npy"},
	    {"image-vectors", "x.npy", "ids", "gone.txt"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct open open;

		open_source(&open, cases[i]);
		if (open.err.code == IST_OK)
			fail_msg("taken: %s %s", cases[i][1], cases[i][3] ? cases[i][3] : "");
		close_source(&open);
	}
}

/* What is short or broken would shift the rows behind it: the import ends there. */
static void short_columns(void **state)
{
	static const char *const cases[][5] = {
	    {"image-vectors", "x.npy", "ids", "short.txt"},
	    {"image-vectors", "x.npy", "meta", "bad.ndjson"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_record first = {0}, second = {0};
		struct open open;
		bool more;

		open_source(&open, cases[i]);
		assert_int_equal(ist_source_npy.next(open.source, &first, &more, &open.err),
				 IST_OK);
		assert_int_not_equal(ist_source_npy.next(open.source, &second, &more, &open.err),
				     IST_OK);
		ist_record_finish(&first);
		ist_record_finish(&second);
		close_source(&open);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(bare_rows),
					   cmocka_unit_test(misfits),
					   cmocka_unit_test(short_columns)};
	int failed;

	if (mkdtemp(top) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, make_files, NULL);
	if (ist_dir_remove(top, NULL) != IST_OK)
		return 1;
	return failed;
}
