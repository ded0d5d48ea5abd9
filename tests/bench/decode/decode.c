/*
 * Milliseconds a picture through the decoder processes, as the daemon uses them.
 *
 *	bench-decode PROGRAM SIDE FILE...
 *
 * libvips.c beside this does the same with libvips 8.14 in one process, for comparison. Why the
 * single codecs were chosen (2 cores of a Zen 5, Debian 12, one picture at a time, median of 5;
 * ours includes the socket, the shared memory and the copy out):
 *
 *						single codecs	libvips
 *	start of a process, ready		4 ms		23 ms
 *	796 Tux Paint stamps, full size		0.97 ms		1.61 ms
 *	the same, at most 256 pixels		1.08 ms		2.99 ms
 *	JPEG, 4000 x 3000, full size		109 ms		87 ms
 *	the same, at most 256 pixels		24 ms		27.6 ms
 *	resident, stamps			14 MB		60 MB
 *	resident, photo at 256 pixels		8 MB		43 MB
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/decoders.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void on_event(void *user, int level, const char *event, const char *text)
{
	printf("%s: %s\n", event, text);
}

/* Decodes one file; returns the milliseconds that took, or -1. */
static double decode_file(struct ist_decoders *d, const char *path, uint32_t side)
{
	const struct ist_frame frame = {.geometry = IST_GEOMETRY_WHOLE, .side = side};
	ist_auto(ist_buf_finish) struct ist_buf file = {0};
	struct ist_decoded decoded = {0};
	struct ist_err err = {0};
	double start, took;

	if (ist_file_read(path, 256u << 20, &file, &err) != IST_OK) {
		printf("%s\n", err.text);
		return -1;
	}
	start = now_ms();
	if (ist_decoders_decode(d, file.data, file.len, &frame, &decoded, &err) != IST_OK) {
		printf("%s: %s\n", path, err.text);
		return -1;
	}
	took = now_ms() - start;
	ist_decoded_finish(&decoded);
	return took;
}

int main(int argc, char **argv)
{
	struct ist_decoders_options options = {
	    .n = 1, .max_pixels = 100000000, .timeout_ms = 30000, .event = on_event};
	struct ist_decoders *d;
	struct rusage usage;
	double first = 0, sum = 0;
	int n = 0, failed = 0;

	if (argc < 4)
		return 2;
	options.program = argv[1];
	d = ist_decoders_create(&options);
	for (int i = 3; i < argc; i++) {
		double took = decode_file(d, argv[i], (uint32_t)strtoul(argv[2], NULL, 10));

		failed += took < 0;
		if (took >= 0 && n++ == 0)
			first = took;
		else if (took >= 0)
			sum += took;
	}
	ist_decoders_destroy(d);
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("side %s: %d pictures, %d failed; first %.1f ms (with the start of the process), "
	       "then %.3f ms each; %ld KB resident at most in the child\n",
	       argv[2], n, failed, first, n > 1 ? sum / (n - 1) : 0, usage.ru_maxrss);
	return failed > 0;
}
