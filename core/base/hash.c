/* A thin skin over nettle, so that only this file names the library. */
#include "core/base/hash.h"

#include <nettle/sha2.h>

void ist_sha256(const void *data, size_t len, uint8_t ret[IST_SHA256_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

void ist_hex(const uint8_t *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * len] = '\0';
}

void ist_sha256_hex(const void *data, size_t len, char ret[IST_SHA256_HEX])
{
	uint8_t digest[IST_SHA256_SIZE];

	ist_sha256(data, len, digest);
	ist_hex(digest, sizeof(digest), ret);
}
