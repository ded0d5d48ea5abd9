/* SHA-256 against the standard's own examples. */
#include "core/base/hash.h"

#include "tests/unit/test.h"

static void examples(void **state)
{
	char hex[IST_SHA256_HEX];

	ist_sha256_hex("", 0, hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ist_sha256_hex("abc", 3, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_MAIN(cmocka_unit_test(examples))
