/* The one thing that is read of EXIF: tag 0x0112 of the first directory, the orientation. */
#include <string.h>

#include "server/decode/codec.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

/* Every read is checked against the length: offsets in EXIF point wherever their writer wanted. */
struct reader {
	const uint8_t *data;
	size_t len;
	bool big; /* byte order */
};

static bool read16(const struct reader *r, size_t at, uint32_t *ret)
{
	if (at + 2 > r->len || at + 2 < at)
		return false;
	*ret = r->big ? (uint32_t)(r->data[at] << 8 | r->data[at + 1])
		      : (uint32_t)(r->data[at + 1] << 8 | r->data[at]);
	return true;
}

static bool read32(const struct reader *r, size_t at, uint32_t *ret)
{
	uint32_t first, second;

	if (!read16(r, at, &first) || !read16(r, at + 2, &second))
		return false;
	*ret = r->big ? first << 16 | second : second << 16 | first;
	return true;
}

uint32_t ist_exif_orientation(const uint8_t *data, size_t len)
{
	struct reader r = {data, len, false};
	uint32_t directory, n, tag, type, value;

	if (len >= 6 && memcmp(data, "Exif\0\0", 6) == 0)
		r = (struct reader){data + 6, len - 6, false};
	if (r.len < 8 || (memcmp(r.data, "II*\0", 4) != 0 && memcmp(r.data, "MM\0*", 4) != 0))
		return 1;
	r.big = r.data[0] == 'M';
	if (!read32(&r, 4, &directory) || !read16(&r, directory, &n))
		return 1;
	/* n is at most 65,535 and each turn reads ahead of itself: this ends. */
	for (size_t at = (size_t)directory + 2; n > 0; n--, at += 12) {
		if (!read16(&r, at, &tag) || !read16(&r, at + 2, &type) ||
		    !read16(&r, at + 8, &value))
			return 1;
		if (tag == TAG_ORIENTATION)
			return type == TYPE_SHORT && value >= 1 && value <= 8 ? value : 1;
	}
	return 1;
}
