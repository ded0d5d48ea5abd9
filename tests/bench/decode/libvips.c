/*
 * The same pictures through libvips in one process, as a measure for the codecs that the decoder
 * uses: untrusted loaders blocked, one thread, no cache.
 *
 *	bench-decode-libvips SIDE FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <vips/vips.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* RGB on white in memory; false where it cannot be decoded. */
static gboolean decode(void *data, size_t len, int side)
{
	double white[3] = {255, 255, 255};
	VipsImage *image = NULL, *flat = NULL, *rgb = NULL;
	void *pixels = NULL;
	size_t size;

	if (side > 0)
		vips_thumbnail_buffer(data, len, &image, side, "height", side, "size",
				      VIPS_SIZE_DOWN, NULL);
	else
		image = vips_image_new_from_buffer(data, len, "", NULL);
	if (image != NULL && vips_image_hasalpha(image)) {
		VipsArrayDouble *ground =
		    vips_array_double_new(white, vips_image_get_bands(image) > 3 ? 3 : 1);

		vips_flatten(image, &flat, "background", ground, NULL);
		vips_area_unref(VIPS_AREA(ground));
	} else if (image != NULL) {
		flat = g_object_ref(image);
	}
	if (flat != NULL)
		vips_colourspace(flat, &rgb, VIPS_INTERPRETATION_sRGB, NULL);
	if (rgb != NULL)
		pixels = vips_image_write_to_memory(rgb, &size);
	g_clear_object(&rgb);
	g_clear_object(&flat);
	g_clear_object(&image);
	g_free(pixels);
	return pixels != NULL;
}

int main(int argc, char **argv)
{
	double start = now_ms(), ready, first = 0, sum = 0;
	struct rusage usage;
	int n = 0, failed = 0;

	if (argc < 3 || VIPS_INIT(argv[0]) != 0)
		return 2;
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	vips_block_untrusted_set(TRUE);
	ready = now_ms() - start;
	for (int i = 2; i < argc; i++) {
		gchar *data = NULL;
		gsize len = 0;
		double begin;

		if (!g_file_get_contents(argv[i], &data, &len, NULL))
			return 2;
		begin = now_ms();
		if (!decode(data, len, (int)strtol(argv[1], NULL, 10)))
			failed++;
		else if (n++ == 0)
			first = now_ms() - begin;
		else
			sum += now_ms() - begin;
		g_free(data);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("side %s: ready after %.1f ms; %d pictures, %d failed; first %.1f ms, then %.3f ms "
	       "each; %ld KB resident at most\n",
	       argv[1], ready, n, failed, first, n > 1 ? sum / (n - 1) : 0, usage.ru_maxrss);
	return 0;
}
