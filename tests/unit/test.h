/* What every unit test includes: cmocka with the headers it wants before itself. */
#ifndef IST_TESTS_UNIT_TEST_H
#define IST_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/error.h"

/* A call that must succeed; on failure its text is the test's message. */
#define assert_ist_ok(call)                                                                        \
	do {                                                                                       \
		if ((call) != IST_OK)                                                              \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)

#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                                   \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

#endif
