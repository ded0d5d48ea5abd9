/*
 * Any bytes into one codec: FORMAT, from meson, names the format whose magic number is put over the
 * first bytes, so that a fuzzer spends its time behind the door and not before it. The last byte
 * says what is asked: whole or scaled, pixels or a thumbnail.
 */
#include <stdlib.h>
#include <string.h>

#include "server/decode/codec.h"

#define MAX_PIXELS 250000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct {
	const char *format;
	const char *magic;
	size_t len;
} formats[] = {
    {"jpeg", "\xFF\xD8\xFF", 3}, {"png", "\x89PNG\r\n\x1a\n", 8},
    {"webp", "RIFF", 4},	 {"gif", "GIF89a", 6},
    {"tiff", "II*\0", 4},	 {"bmp", "BM", 2},
};

static void decode(const uint8_t *data, size_t len, uint32_t side, uint32_t want)
{
	static uint8_t out[MAX_PIXELS * 3 + 65536];
	struct ist_decode_request request = {
	    .magic = IST_DECODE_MAGIC,
	    .want = want,
	    .len = len,
	    .frame = {.geometry = IST_GEOMETRY_WHOLE, .side = side}};
	struct ist_decode_answer answer;

	ist_decode(&request, data, false, MAX_PIXELS, out, sizeof(out), &answer);
	if (answer.status > IST_DECODE_TOO_LARGE || answer.len > sizeof(out) ||
	    memchr(answer.text, '\0', sizeof(answer.text)) == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t skip = formats[i].len;
		uint8_t *copy;

		if (strcmp(formats[i].format, FORMAT) != 0 || len < skip + 2)
			continue;
		copy = malloc(len);
		memcpy(copy, data, len);
		memcpy(copy, formats[i].magic, skip);
		decode(copy, len, data[len - 1] & 1 ? 16 : 0,
		       data[len - 1] & 2 ? IST_DECODE_THUMBNAIL : IST_DECODE_PIXELS);
		free(copy);
	}
	return 0;
}
