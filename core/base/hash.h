/* SHA-256 (nettle, which uses the CPU's own instructions where there are any). */
#ifndef IST_CORE_BASE_HASH_H
#define IST_CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define IST_SHA256_SIZE 32
#define IST_SHA256_HEX 65 /* with the NUL */

void ist_sha256(const void *data, size_t len, uint8_t ret[IST_SHA256_SIZE]);
void ist_sha256_hex(const void *data, size_t len, char ret[IST_SHA256_HEX]);
void ist_hex(const uint8_t *data, size_t len, char *ret); /* 2 * len + 1 bytes */

#endif
