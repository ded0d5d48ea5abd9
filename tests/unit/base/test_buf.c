/* Buffers: growth, the NUL behind them, dropping from the front. */
#include "core/base/buf.h"

#include <string.h>

#include "tests/unit/test.h"

static void grows_and_stays_terminated(void **state)
{
	struct ist_buf buf = {0};

	for (int i = 0; i < 1000; i++)
		ist_buf_printf(&buf, "%d,", i);
	ist_buf_put(&buf, "\0x", 2);
	assert_int_equal(buf.data[buf.len], '\0');
	assert_int_equal(strncmp(buf.data, "0,1,2,", 6), 0);
	assert_int_equal(buf.len, 10 * 2 + 90 * 3 + 900 * 4 + 2);
	ist_buf_finish(&buf);
	assert_null(buf.data);
}

static void drops_from_the_front(void **state)
{
	struct ist_buf buf = {0};

	ist_buf_drop(&buf, 0);
	ist_buf_puts(&buf, "isthmus");
	ist_buf_putc(&buf, '!');
	ist_buf_drop(&buf, 3);
	assert_string_equal(buf.data, "hmus!");
	assert_int_equal(buf.len, 5);
	ist_buf_finish(&buf);
}

TEST_MAIN(cmocka_unit_test(grows_and_stays_terminated), cmocka_unit_test(drops_from_the_front))
