/*
 * A small good folder of one architecture (BASE, made by tests/golden) in which any file may be
 * replaced by any bytes: sections named after files; an empty one takes the file away. What opens
 * encodes a text and a picture, and gives finite features or an error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "tests/fuzz/sections.h"

#define DIM_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const files[] = {
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_bert_config.json",
    "modules.json",
    "1_Pooling/config.json",
};

static char folder[] = "/dev/shm/isthmus-fuzz-XXXXXX";

static void leave(void)
{
	(void)!ist_dir_remove(folder, NULL);
}

static void start(void)
{
	ist_autofree char *pooling = NULL;

	if (mkdtemp(folder) == NULL)
		abort();
	atexit(leave);
	pooling = ist_format("%s/1_Pooling", folder);
	if (ist_dir_make(pooling, NULL) != IST_OK)
		abort();
}

/* Written without the care of files that must survive: this happens thousands of times a second. */
static void replace(const char *name, struct ist_str body)
{
	ist_autofree char *path = ist_format("%s/%s", folder, name);
	FILE *f;

	unlink(path);
	if (body.len == 0)
		return;
	f = fopen(path, "wb");
	if (f == NULL || fwrite(body.data, 1, body.len, f) != body.len || fclose(f) != 0)
		abort();
}

/* Links to the good files, so that the weights are not copied for every input. */
static void reset(void)
{
	for (size_t i = 0; i < IST_COUNT(files); i++) {
		ist_autofree char *from = ist_format("%s/%s", BASE, files[i]);
		ist_autofree char *to = ist_format("%s/%s", folder, files[i]);

		unlink(to);
		if (access(from, R_OK) == 0 && symlink(from, to) != 0)
			abort();
	}
}

static bool is_file(const char *name)
{
	for (size_t i = 0; i < IST_COUNT(files); i++)
		if (strcmp(files[i], name) == 0)
			return true;
	return false;
}

static void encode(const struct ist_encoder *encoder, struct ist_str text)
{
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	static const uint8_t rgb[5 * 7 * 3] = {1, 200, 90, 255, 255, 255, 3};
	const struct ist_pixels pixels = {7, 5, rgb};
	static float x[DIM_MAX];

	if (encoder->dim > DIM_MAX)
		abort(); /* more than the good folder's tensors hold */
	(void)!ist_encoder_texts(encoder, ws, &text, 1, x, NULL);
	(void)!ist_encoder_image(encoder, ws, &pixels, x, NULL);
	ist_encoder_workspace_destroy(ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ist_str text = {"a bird's 12", 11};
	const struct ist_encoder_arch *arch;
	struct ist_encoder *encoder;
	static bool started;
	struct section section;
	size_t at = 0;

	if (!started)
		start();
	started = true;
	reset();
	while (next_section((struct ist_str){(const char *)data, len}, &at, &section)) {
		if (is_file(section.name))
			replace(section.name, section.body);
		else if (strcmp(section.name, "text") == 0)
			text = section.body;
	}
	if (ist_encoder_probe(folder, &arch, NULL) != IST_OK ||
	    ist_encoder_open("fuzz", folder, &encoder, NULL) != IST_OK)
		return 0;
	encode(encoder, text);
	ist_encoder_close(encoder);
	return 0;
}
