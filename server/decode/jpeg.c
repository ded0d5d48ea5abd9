/*
 * JPEG by libjpeg-turbo, scaled down while decoding where a smaller picture is wanted. A file that
 * ends early is refused, not filled with grey; other irregularities that decoders agree to
 * overlook are overlooked.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "server/decode/codec.h"

#define MAX_SCANS 200 /* a progressive file may ask for many passes over every pixel */

/* Everything of one decode. libjpeg leaves its functions by longjmp, so what must be freed lives
 * here and not in locals that the jump would lose. */
struct session {
	struct jpeg_error_mgr errors; /* first: libjpeg hands this back */
	struct jpeg_progress_mgr progress;
	struct jpeg_decompress_struct jpeg;
	struct ist_decoding *picture;
	uint8_t *row; /* CMYK only */
	jmp_buf out;
};

/* The start-of-image marker and the first byte of whatever marker comes next. */
static bool sniff(const uint8_t *data, size_t len)
{
	return len >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF;
}

/* libjpeg's fatal errors: its text is the client's, the jump ends in decode(). */
static void on_error(j_common_ptr jpeg)
{
	struct session *s = (struct session *)jpeg->err;
	char text[JMSG_LENGTH_MAX];

	jpeg->err->format_message(jpeg, text);
	ist_decoding_fail(s->picture, "JPEG: %.120s", text);
	longjmp(s->out, 1);
}

/* Warnings: those that mean "the rest is missing" are errors here. */
static void on_message(j_common_ptr jpeg, int level)
{
	int code = jpeg->err->msg_code;

	if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
		on_error(jpeg);
}

/* Called between passes: a file of a few hundred bytes can ask for thousands of them. */
static void on_progress(j_common_ptr jpeg)
{
	struct session *s = (struct session *)jpeg->err;

	if (s->jpeg.input_scan_number <= MAX_SCANS)
		return;
	ist_decoding_fail(s->picture, "JPEG: more than %d scans", MAX_SCANS);
	longjmp(s->out, 1);
}

/*
 * The smallest of 1/8, 1/4, 1/2 and 1 that still is as large as is wanted. Scaling in the frequency
 * domain averages as well as a resampler does and skips most of the inverse transform: a photo at
 * 256 pixels takes a fifth of the time. The rest of the way is ist_decoding_fit's.
 */
static void choose_scale(struct session *s)
{
	uint32_t w = s->jpeg.image_width, h = s->jpeg.image_height;
	uint64_t longer = w > h ? w : h, shorter = w < h ? w : h;
	struct ist_decoding_least least = ist_decoding_least(s->picture);
	unsigned eighths = 8;

	while (least.longer > 0 && eighths > 1 && longer * (eighths / 2) / 8 >= least.longer &&
	       shorter * (eighths / 2) / 8 >= least.shorter)
		eighths /= 2;
	s->jpeg.scale_num = eighths;
	s->jpeg.scale_denom = 8;
}

/* EXIF is in APP1, as XMP is: the parser tells them apart. */
static void read_orientation(struct session *s)
{
	for (jpeg_saved_marker_ptr m = s->jpeg.marker_list; m != NULL; m = m->next) {
		uint32_t orientation = ist_exif_orientation(m->data, m->data_length);

		if (m->marker == JPEG_APP0 + 1 && orientation > 1)
			s->picture->orientation = orientation;
	}
}

/* Adobe's files hold inverted inks; the others do not say, and hold them as they are. */
static void ink_row(const uint8_t *cmyk, uint32_t n, bool inverted, uint8_t *rgb)
{
	for (uint32_t i = 0; i < n; i++, cmyk += 4, rgb += 3) {
		uint32_t k = inverted ? cmyk[3] : 255u - cmyk[3];

		for (int c = 0; c < 3; c++) {
			uint32_t v = inverted ? cmyk[c] : 255u - cmyk[c];

			rgb[c] = (uint8_t)((v * k + 127) / 255);
		}
	}
}

/* Rows go straight into rgb; inks need a row in between. */
static bool read_rows(struct session *s)
{
	struct jpeg_decompress_struct *jpeg = &s->jpeg;
	struct ist_decoding *p = s->picture;
	bool inks = jpeg->out_color_space == JCS_CMYK;

	if (!ist_decoding_alloc(p, jpeg->output_width, jpeg->output_height))
		return false;
	if (inks)
		s->row = ist_decoding_scratch(p, jpeg->output_width, 4);
	if (inks && s->row == NULL)
		return false;
	while (jpeg->output_scanline < jpeg->output_height) {
		uint8_t *to = p->rgb + (size_t)jpeg->output_scanline * p->rgb_width * 3;
		uint8_t *row = inks ? s->row : to;

		jpeg_read_scanlines(jpeg, &row, 1);
		if (inks)
			ink_row(row, p->rgb_width, jpeg->saw_Adobe_marker, to);
	}
	return true;
}

static bool run(struct session *s)
{
	struct jpeg_decompress_struct *jpeg = &s->jpeg;
	struct ist_decoding *p = s->picture;

	jpeg_create_decompress(jpeg);
	jpeg->progress = &s->progress;
	jpeg_mem_src(jpeg, p->data, p->len);
	jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
	jpeg_read_header(jpeg, TRUE);
	if (!ist_decoding_size(p, jpeg->image_width, jpeg->image_height))
		return false;
	read_orientation(s);
	choose_scale(s);
	jpeg->out_color_space =
	    jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK ? JCS_CMYK
										     : JCS_RGB;
	jpeg_start_decompress(jpeg);
	if (!read_rows(s))
		return false;
	jpeg_finish_decompress(jpeg);
	return true;
}

/* `good` is volatile because it changes between setjmp and a possible jump back. */
static bool decode(struct ist_decoding *p)
{
	struct session s = {.picture = p};
	volatile bool good = false;

	s.jpeg.err = jpeg_std_error(&s.errors);
	s.errors.error_exit = on_error;
	s.errors.emit_message = on_message;
	s.progress.progress_monitor = on_progress;
	if (setjmp(s.out) == 0)
		good = run(&s);
	jpeg_destroy_decompress(&s.jpeg);
	free(s.row);
	return good;
}

const struct ist_codec ist_codec_jpeg = {"image/jpeg", sniff, decode};
