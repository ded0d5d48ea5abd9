/* Text on a terminal: widths, cuts, control characters; bars, curves, durations. */
#include "tests/unit/test.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#include "server/cli/print.h"

static void expect_put(const char *text, size_t width, const char *want)
{
	struct ist_buf buf = {0};

	ist_buf_puts(&buf, "");
	ist_text_put(&buf, text, width);
	assert_string_equal(buf.data, want);
	ist_buf_finish(&buf);
}

static void texts(void **state)
{
	expect_put("a penguin", 0, "a penguin");
	expect_put("a penguin", 9, "a penguin");
	expect_put("a penguin", 4, "a p…");
	expect_put("a\033[31mb\nc\x7f", 0, "a [31mb c ");
	expect_put("\xff\xc3", 0, "  ");
	expect_put("日本語", 6, "日本語");
	expect_put("日本語", 5, "日本…");
	assert_int_equal(ist_text_width("日本"), 4);
	assert_int_equal(ist_text_width("é"), 1);
}

static void expect_bar(double share, const char *want)
{
	struct ist_buf buf = {0};

	ist_bar_put(&buf, share, 4);
	assert_string_equal(buf.data, want);
	assert_int_equal(ist_text_width(buf.data), 4);
	ist_buf_finish(&buf);
}

static void bars(void **state)
{
	expect_bar(0, "░░░░");
	expect_bar(0.5, "██░░");
	expect_bar(0.625, "██▌░");
	expect_bar(1, "████");
	expect_bar(7, "████");
	expect_bar(-1, "░░░░");
	expect_bar(NAN, "░░░░");
}

static void durations(void **state)
{
	static const struct {
		double seconds;
		const char *want;
	} cases[] = {{0, "0 s"},       {0.2, "1 s"}, {59, "59 s"},     {83, "1:23 min"},
		     {3725, "1:02 h"}, {-5, "0 s"},  {INFINITY, "0 s"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ist_buf buf = {0};

		ist_duration_put(&buf, cases[i].seconds);
		assert_string_equal(buf.data, cases[i].want);
		ist_buf_finish(&buf);
	}
}

static void curves(void **state)
{
	static const double rising[] = {0, 1, 2, 3, 4, 5, 6, 7}, gap[] = {1, NAN, 3};
	static const double level[] = {5, 5};
	struct ist_buf buf = {0};

	ist_sparkline_put(&buf, rising, 8, 20);
	assert_string_equal(buf.data, "▁▂▃▄▅▆▇█");
	buf.len = 0;
	ist_sparkline_put(&buf, rising, 8, 4);
	assert_int_equal(ist_text_width(buf.data), 4);
	buf.len = 0;
	ist_sparkline_put(&buf, gap, 3, 10);
	assert_string_equal(buf.data, "▁ █");
	buf.len = 0;
	ist_sparkline_put(&buf, level, 2, 10);
	assert_string_equal(buf.data, "▁▁");
	ist_buf_finish(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(bars),
					   cmocka_unit_test(durations), cmocka_unit_test(curves)};

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
