/*
 * An image encoder's speed, for bench_encoders.py, which runs it in turn with its peers.
 *
 * usage: bench-images FOLDER [KIND]
 *
 * Each line of input, "THREADS BATCH REPEATS", is answered by one line: the milliseconds of each
 * repeat, for BATCH pictures already in the encoder's square. One picture is computed by all
 * threads together; of several, each thread takes some. KIND ("fused", "oneDNN") asks for one way
 * to compute the network.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/encode/efficientnet.h"
#include "core/encode/encoder.h"

#define MAX_THREADS 16

struct bench {
	struct ist_encoder *encoder;
	struct ist_convnet *net; /* NULL: the encoder's own choice */
	struct ist_encoder_workspace *workspaces[MAX_THREADS];
	uint8_t *rgb; /* (side, side, 3) */
	float *features;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void must(enum ist_code code, const struct ist_err *err)
{
	if (code == IST_OK)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

static void encode_by_net(const struct bench *b, float *ret)
{
	struct ist_convnet_pass *pass = NULL;
	struct ist_err err = {0};

	must(ist_convnet_begin(b->net, &pass, &err), &err);
	ist_convnet_put_bytes(pass, b->rgb);
	must(ist_convnet_forward(pass, NULL, NULL, &err), &err);
	ist_convnet_pooled(pass, ret);
	ist_convnet_end(pass);
}

static void encode(const struct bench *b, size_t thread, size_t picture)
{
	uint32_t side = b->encoder->frame.side;
	const struct ist_pixels pixels = {side, side, b->rgb, .framed = true};
	float *ret = b->features + picture * b->encoder->dim;
	struct ist_err err = {0};

	if (b->net != NULL)
		encode_by_net(b, ret);
	else
		must(ist_encoder_image(b->encoder, b->workspaces[thread], &pixels, ret, &err),
		     &err);
}

static void run_batch(const struct bench *b, int threads, size_t batch)
{
	if (batch == 1 || threads == 1) {
		omp_set_num_threads(threads);
		for (size_t i = 0; i < batch; i++)
			encode(b, 0, i);
		return;
	}
#pragma omp parallel num_threads(threads)
	{
		omp_set_num_threads(1);
#pragma omp for schedule(dynamic)
		for (size_t i = 0; i < batch; i++)
			encode(b, (size_t)omp_get_thread_num(), i);
	}
}

static void answer(struct bench *b, int threads, size_t batch, int repeats)
{
	b->features = ist_resize(b->features, batch, b->encoder->dim * sizeof(*b->features));
	for (int i = 0; i < repeats; i++) {
		double start = now_ms();

		run_batch(b, threads, batch);
		printf("%s%.4f", i > 0 ? " " : "", now_ms() - start);
	}
	printf("\n");
	fflush(stdout);
}

static void open_net(struct bench *b, const char *path, const char *name)
{
	uint32_t side = b->encoder->frame.side;
	struct ist_folder *folder;
	struct ist_err err = {0};
	size_t i = 0;

	while (ist_convnet_kinds[i] != NULL &&
	       strcmp(ist_convnet_kind_name(ist_convnet_kinds[i]), name) != 0)
		i++;
	must(ist_folder_open(path, &folder, &err), &err);
	must(ist_efficientnet_open(folder, ist_convnet_kinds[i], side, side, &b->net, &err), &err);
	ist_folder_close(folder);
}

static void start(struct bench *b, int argc, char **argv)
{
	struct ist_err err = {0};
	struct ist_rng rng;
	size_t bytes;

	must(ist_encoder_open(NULL, argv[1], &b->encoder, &err), &err);
	if (argc > 2)
		open_net(b, argv[1], argv[2]);
	bytes = (size_t)b->encoder->frame.side * b->encoder->frame.side * 3;
	b->rgb = ist_alloc(bytes, 1);
	ist_rng_init(&rng, 1, "picture");
	for (size_t i = 0; i < bytes; i++)
		b->rgb[i] = (uint8_t)ist_rng_below(&rng, 256);
	for (int i = 0; i < MAX_THREADS; i++)
		b->workspaces[i] = ist_encoder_workspace_create();
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	int threads, repeats;
	size_t batch;

	if (argc < 2) {
		fprintf(stderr, "usage: bench-images FOLDER [KIND]\n");
		return 2;
	}
	start(&b, argc, argv);
	while (scanf("%d %zu %d", &threads, &batch, &repeats) == 3) {
		if (threads < 1 || threads > MAX_THREADS || batch < 1 || batch > 4096)
			return 2;
		answer(&b, threads, batch, repeats);
	}
	for (int i = 0; i < MAX_THREADS; i++)
		ist_encoder_workspace_destroy(b.workspaces[i]);
	ist_convnet_destroy(b.net);
	ist_encoder_close(b.encoder);
	free(b.features);
	free(b.rgb);
	return 0;
}
