/*
 * SVG by librsvg, which is loaded by name and only by children that are started for SVG: it brings
 * some forty libraries along, and nobody else should pay for them at start or hold their code. The
 * few calls and the one struct that are needed are declared here.
 *
 * A first drawing with text is made before the sandbox closes, so that the fonts are found while
 * files can still be read.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/decode/codec.h"

#define DEFAULT_SIDE 512 /* of a drawing that names no size */
#define SNIFF 4096	 /* a prolog with comments and a DOCTYPE may come first */
#define ARGB32 0	 /* CAIRO_FORMAT_ARGB32 */

struct viewport {
	double x, y, width, height;
};

/* The calls, under names of our own; objects are void pointers, gboolean is int. */
static struct {
	void *(*handle)(const uint8_t *data, size_t len, void **error);
	void (*dpi)(void *handle, double dpi);
	int (*size)(void *handle, double *width, double *height);
	void (*dimensions)(void *handle, int *has_width, void *width, int *has_height, void *height,
			   int *has_viewbox, struct viewport *viewbox);
	int (*render)(void *handle, void *cairo, const struct viewport *viewport, void **error);
	void (*unref)(void *object);
	void (*clear_error)(void **error);
	void *(*surface)(unsigned char *data, int format, int width, int height, int stride);
	void (*surface_flush)(void *surface);
	void (*surface_destroy)(void *surface);
	void *(*cairo)(void *surface);
	void (*cairo_destroy)(void *cairo);
} rsvg;

static const struct {
	const char *name;
	void *to;
} calls[] = {
    {"rsvg_handle_new_from_data", &rsvg.handle},
    {"rsvg_handle_set_dpi", &rsvg.dpi},
    {"rsvg_handle_get_intrinsic_size_in_pixels", &rsvg.size},
    {"rsvg_handle_get_intrinsic_dimensions", &rsvg.dimensions},
    {"rsvg_handle_render_document", &rsvg.render},
    {"g_object_unref", &rsvg.unref},
    {"g_clear_error", &rsvg.clear_error},
    {"cairo_image_surface_create_for_data", &rsvg.surface},
    {"cairo_surface_flush", &rsvg.surface_flush},
    {"cairo_surface_destroy", &rsvg.surface_destroy},
    {"cairo_create", &rsvg.cairo},
    {"cairo_destroy", &rsvg.cairo_destroy},
};

/* "<svg" near the start of something that begins like XML. */
static bool sniff(const uint8_t *data, size_t len)
{
	size_t at = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	while (at < len && isspace(data[at]))
		at++;
	if (at == len || data[at] != '<')
		return false;
	len = len < SNIFF ? len : SNIFF;
	for (; at + 4 <= len; at++) {
		if (strncasecmp((const char *)data + at, "<svg", 4) == 0 ||
		    (at + 5 <= len && memcmp(data + at, ":svg", 4) == 0))
			return true;
	}
	return false;
}

/* The size in pixels, or that of the viewBox where lengths are missing or in percent. A drawing has
 * no pixels of its own, but one that claims a million a side is refused like any other picture. */
static bool read_size(struct ist_decoding *p, void *handle)
{
	double width = 0, height = 0, lengths[2][2] = {{0}};
	struct viewport box = {0};
	int has_width, has_height, has_box = 0;

	if (!rsvg.size(handle, &width, &height)) {
		rsvg.dimensions(handle, &has_width, lengths[0], &has_height, lengths[1], &has_box,
				&box);
		width = has_box ? box.width : DEFAULT_SIDE;
		height = has_box ? box.height : DEFAULT_SIDE;
	}
	if (!(width > 0 && height > 0))
		return ist_decoding_fail(p, "SVG: the drawing is empty");
	width = width < 1 ? 1 : width > 1e9 ? 1e9 : width + 0.5;
	height = height < 1 ? 1 : height > 1e9 ? 1e9 : height + 0.5;
	return ist_decoding_size(p, (uint64_t)width, (uint64_t)height);
}

/* cairo's pixels are 0xAARRGGBB, colours multiplied by alpha. */
static void put_pixels(struct ist_decoding *p, const uint32_t *argb)
{
	uint8_t *to = p->rgb;

	for (size_t i = 0, n = (size_t)p->rgb_width * p->rgb_height; i < n; i++, to += 3) {
		uint32_t ground = 255 - (argb[i] >> 24);

		p->see_through |= ground > 0;
		for (int c = 0; c < 3; c++) {
			uint32_t v = (argb[i] >> (16 - 8 * c) & 0xFF) + ground;

			to[c] = (uint8_t)(v > 255 ? 255 : v);
		}
	}
}

/* Drawn at the size that is wanted at once: nothing is lost by scaling a drawing. */
static bool draw(struct ist_decoding *p, void *handle)
{
	double longer = p->width > p->height ? p->width : p->height;
	double shorter = p->width < p->height ? p->width : p->height;
	struct ist_decoding_least least = ist_decoding_least(p);
	double enough = fmax(least.longer / longer, least.shorter / shorter);
	double scale = enough > 0 && enough < 1 ? enough : 1;
	uint32_t width = (uint32_t)(p->width * scale + 0.5),
		 height = (uint32_t)(p->height * scale + 0.5);
	struct viewport viewport;
	uint32_t *argb;
	void *surface, *cairo, *error = NULL;
	int good;

	width = width > 0 ? width : 1;
	height = height > 0 ? height : 1;
	viewport = (struct viewport){0, 0, width, height};
	argb = ist_decoding_scratch(p, (size_t)width * height, sizeof(*argb));
	if (argb == NULL)
		return false;
	surface =
	    rsvg.surface((unsigned char *)argb, ARGB32, (int)width, (int)height, (int)width * 4);
	cairo = rsvg.cairo(surface);
	good = rsvg.render(handle, cairo, &viewport, &error);
	rsvg.surface_flush(surface);
	rsvg.cairo_destroy(cairo);
	rsvg.surface_destroy(surface);
	rsvg.clear_error(&error);
	if (!good)
		ist_decoding_fail(p, "SVG: the drawing cannot be drawn");
	else if (ist_decoding_alloc(p, width, height))
		put_pixels(p, argb);
	free(argb);
	return p->rgb != NULL;
}

/* References to other files lead nowhere: the data has no base address, and no file can be opened.
 */
static bool decode(struct ist_decoding *p)
{
	void *error = NULL, *handle;
	bool good;

	if (rsvg.handle == NULL)
		return ist_decoding_fail(p, "SVG is not supported here: librsvg is not installed");
	handle = rsvg.handle(p->data, p->len, &error);
	rsvg.clear_error(&error);
	if (handle == NULL)
		return ist_decoding_fail(p, "SVG: the file is damaged or ends early");
	rsvg.dpi(handle, 96);
	good = read_size(p, handle) && draw(p, handle);
	rsvg.unref(handle);
	return good;
}

/* RTLD_NOW: nothing may be looked up later, when the library's files are out of reach. */
bool ist_svg_load(void)
{
	static const char first[] =
	    "<svg xmlns='http://www.w3.org/2000/svg' width='64' height='16'>"
	    "<text font-family='sans-serif'>A</text><text font-family='serif'>A</text></svg>";
	struct ist_decoding p = {
	    .data = (const uint8_t *)first, .len = sizeof(first) - 1, .max_pixels = 4096};
	void *library = dlopen("librsvg-2.so.2", RTLD_NOW | RTLD_GLOBAL);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		void *call = library != NULL ? dlsym(library, calls[i].name) : NULL;

		memcpy(calls[i].to, &call, sizeof(call));
		if (call == NULL) {
			rsvg.handle = NULL;
			return false;
		}
	}
	decode(&p);
	ist_decoding_finish(&p);
	return true;
}

const struct ist_codec ist_codec_svg = {"image/svg+xml", sniff, decode};
