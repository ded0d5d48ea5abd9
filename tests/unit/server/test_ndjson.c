/* Lines of a stream, however the bytes come; and result lines that go to a spool. */
#include "tests/unit/test.h"

#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "server/ndjson.h"
#include "server/spool.h"

/* A body that comes in pieces of `step` bytes, repeated `times`. */
struct body {
	const char *text;
	size_t len, at, step, times;
};

static enum ist_code read_body(void *user, void *data, size_t cap, size_t *ret_n,
			       struct ist_err *err)
{
	struct body *body = user;
	size_t n;

	if (body->at == body->len && body->times > 1) {
		body->times--;
		body->at = 0;
	}
	n = IST_MIN(IST_MIN(body->step, cap), body->len - body->at);
	memcpy(data, body->text + body->at, n);
	body->at += n;
	*ret_n = n;
	return IST_OK;
}

static void test_lines_come_whole(void **state)
{
	const char *text = "one\n\n  \r\ntwo two\r\n\nthree";
	static const struct {
		const char *text;
		uint64_t line;
	} want[] = {{"one", 1}, {"two two\r", 4}, {"three", 6}};

	for (size_t step = 1; step < 30; step++) {
		struct body body = {text, strlen(text), 0, step, 1};
		struct ist_ndjson nd = {.read = read_body, .user = &body};
		struct ist_err err = {0};
		struct ist_str line;

		for (size_t i = 0; i < IST_COUNT(want); i++) {
			assert_ist_ok(ist_ndjson_next(&nd, &line, &err));
			assert_int_equal(line.len, strlen(want[i].text));
			assert_memory_equal(line.data, want[i].text, line.len);
			assert_int_equal(nd.line, want[i].line);
		}
		for (int i = 0; i < 2; i++) {
			assert_ist_ok(ist_ndjson_next(&nd, &line, &err));
			assert_null(line.data);
		}
		ist_ndjson_finish(&nd);
	}
}

static void test_ready_says_whether_reading_waits(void **state)
{
	struct body body = {"a\nb\nc", 5, 0, 100, 1};
	struct ist_ndjson nd = {.read = read_body, .user = &body};
	struct ist_err err = {0};
	struct ist_str line;

	assert_false(ist_ndjson_ready(&nd));
	assert_ist_ok(ist_ndjson_next(&nd, &line, &err));
	assert_true(ist_ndjson_ready(&nd));
	assert_ist_ok(ist_ndjson_next(&nd, &line, &err));
	assert_false(ist_ndjson_ready(&nd));
	ist_ndjson_finish(&nd);
}

static void test_an_endless_line_is_refused(void **state)
{
	static char block[1 << 16];
	struct body body = {block, sizeof(block), 0, sizeof(block), SIZE_MAX};
	struct ist_ndjson nd = {.read = read_body, .user = &body};
	struct ist_err err = {0};
	struct ist_str line;

	memset(block, 'x', sizeof(block));
	assert_int_equal(ist_ndjson_next(&nd, &line, &err), IST_BODY_TOO_LARGE);
	assert_true(nd.buf.len <= IST_NDJSON_LINE_MAX + 2 * sizeof(block));
	ist_ndjson_finish(&nd);
}

/* Memory is bounded by the longest line, not by the body. */
static void test_many_lines_need_little(void **state)
{
	struct body body = {"a line of some bytes\n", 21, 0, 21, 500000};
	struct ist_ndjson nd = {.read = read_body, .user = &body};
	struct ist_err err = {0};
	struct ist_str line = {"", 0};
	size_t n = 0;

	while (line.data != NULL) {
		assert_ist_ok(ist_ndjson_next(&nd, &line, &err));
		n += line.data != NULL;
	}
	assert_int_equal(n, 500000);
	assert_true(nd.buf.cap < (size_t)1 << 18);
	ist_ndjson_finish(&nd);
}

static void test_spool(void **state)
{
	struct ist_spool spool;
	struct ist_reply reply = {.fd = -1};
	struct ist_err err = {0};
	char text[32];

	assert_ist_ok(ist_spool_init(&spool, "/tmp", &err));
	for (int i = 0; i < 20000; i++)
		assert_ist_ok(ist_spool_put(&spool, "0123456789\n", 11, &err));
	assert_ist_ok(ist_spool_reply(&spool, &reply, "application/x-ndjson", &err));
	ist_spool_finish(&spool);
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.fd_bytes, 220000);
	assert_int_equal(pread(reply.fd, text, 22, 220000 - 22), 22);
	assert_memory_equal(text, "0123456789\n0123456789\n", 22);
	close(reply.fd);
	assert_int_equal(ist_spool_init(&spool, "/no/such/folder", &err), IST_IO);
	ist_spool_finish(&spool);
}

TEST_MAIN(cmocka_unit_test(test_lines_come_whole),
	  cmocka_unit_test(test_ready_says_whether_reading_waits),
	  cmocka_unit_test(test_an_endless_line_is_refused),
	  cmocka_unit_test(test_many_lines_need_little), cmocka_unit_test(test_spool))
