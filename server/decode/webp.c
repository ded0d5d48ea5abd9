/*
 * WebP by libwebp. The demuxer gives the first frame of an animation, which is laid on a white
 * canvas at its place, and the EXIF chunk.
 */
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "server/decode/codec.h"

static bool sniff(const uint8_t *data, size_t len)
{
	return len >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

/* Only the extended format has chunks besides the picture. */
static void read_orientation(WebPDemuxer *demux, struct ist_decoding *p)
{
	WebPChunkIterator chunk;

	if (WebPDemuxGetChunk(demux, "EXIF", 1, &chunk))
		p->orientation = ist_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
	WebPDemuxReleaseChunkIterator(&chunk);
}

/* Decodes a frame of the size that p says. */
static bool decode_whole(struct ist_decoding *p, const WebPIterator *frame)
{
	uint8_t *rgba = ist_decoding_scratch(p, (size_t)p->width * p->height, 4);
	bool good = false;

	if (rgba == NULL)
		return false;
	if (WebPDecodeRGBAInto(frame->fragment.bytes, frame->fragment.size, rgba,
			       (size_t)p->width * p->height * 4, (int)p->width * 4) == NULL)
		ist_decoding_fail(p, "WebP: the file is damaged or ends early");
	else
		good = ist_decoding_alloc(p, p->width, p->height);
	if (good)
		ist_decoding_on_white(p, rgba, (size_t)p->width * p->height, p->rgb);
	free(rgba);
	return good;
}

/* A first frame that covers a part: the rest stays white. */
static bool decode_part(struct ist_decoding *p, const WebPIterator *frame)
{
	size_t w = (size_t)frame->width, h = (size_t)frame->height;
	size_t left = (size_t)frame->x_offset, top = (size_t)frame->y_offset;
	struct ist_decoding part = {.max_pixels = p->max_pixels};

	if (left + w > p->width || top + h > p->height)
		return ist_decoding_fail(p, "WebP: a frame outside its canvas");
	if (!ist_decoding_size(&part, w, h) || !decode_whole(&part, frame)) {
		p->status = part.status;
		memcpy(p->error, part.error, sizeof(p->error));
	} else if (ist_decoding_alloc(p, p->width, p->height)) {
		p->see_through = true;
		memset(p->rgb, 255, (size_t)p->width * p->height * 3);
		for (size_t y = 0; y < h; y++)
			memcpy(p->rgb + ((y + top) * p->width + left) * 3, part.rgb + y * w * 3,
			       w * 3);
	}
	ist_decoding_finish(&part);
	return p->rgb != NULL;
}

/* The canvas is checked first, as the demuxer reads it, before libwebp allocates anything. */
static bool decode_frame(struct ist_decoding *p, WebPDemuxer *demux)
{
	WebPIterator frame;
	bool good;

	if (!ist_decoding_size(p, WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH),
			       WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT)))
		return false;
	if (!WebPDemuxGetFrame(demux, 1, &frame))
		return ist_decoding_fail(p, "WebP: no frame");
	read_orientation(demux, p);
	if ((uint32_t)frame.width == p->width && (uint32_t)frame.height == p->height)
		good = decode_whole(p, &frame);
	else
		good = decode_part(p, &frame);
	WebPDemuxReleaseIterator(&frame);
	return good;
}

/* The demuxer refuses a file that is shorter than it claims. */
static bool decode(struct ist_decoding *p)
{
	WebPData data = {p->data, p->len};
	WebPDemuxer *demux = WebPDemux(&data);
	bool good;

	if (demux == NULL)
		return ist_decoding_fail(p, "WebP: the file is damaged or ends early");
	good = decode_frame(p, demux);
	WebPDemuxDelete(demux);
	return good;
}

const struct ist_codec ist_codec_webp = {"image/webp", sniff, decode};
