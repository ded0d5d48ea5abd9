/*
 * An encoder folder at work, for comparisons with other programs: reads texts or a picture from
 * standard input, writes ids or features to standard output.
 *
 *   encode FOLDER texts          a JSON list of texts -> float32 (n, dim), raw
 *   encode FOLDER ids MAX        a JSON list of texts -> a JSON list of lists of ids
 *   encode FOLDER image W H      8-bit RGB -> float32 (dim), raw
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/encode/bpe.h"
#include "core/encode/encoder.h"
#include "core/encode/wordpiece.h"

static int fail(const struct ist_err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return 1;
}

static void read_input(struct ist_buf *buf)
{
	ssize_t n;

	do {
		ist_buf_reserve(buf, 65536);
		n = read(STDIN_FILENO, buf->data + buf->len, 65536);
		buf->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
}

/* The list's texts; the JSON owns them. */
static struct ist_str *list_texts(const json_t *list, size_t *ret_n)
{
	struct ist_str *texts = ist_alloc(json_array_size(list) + 1, sizeof(*texts));

	*ret_n = json_array_size(list);
	for (size_t i = 0; i < *ret_n; i++) {
		const json_t *text = json_array_get(list, i);

		texts[i] = (struct ist_str){json_string_value(text), json_string_length(text)};
	}
	return texts;
}

static int run_texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
		     const struct ist_buf *input)
{
	json_t *list = json_loadb(input->data, input->len, JSON_ALLOW_NUL, NULL);
	size_t n;
	ist_autofree struct ist_str *texts = list_texts(list, &n);
	ist_autofree float *x = ist_alloc(n * encoder->dim + 1, sizeof(*x));
	struct ist_err err = {0};
	enum ist_code code = ist_encoder_texts(encoder, ws, texts, n, x, &err);

	json_decref(list);
	if (code != IST_OK)
		return fail(&err);
	return fwrite(x, sizeof(*x) * encoder->dim, n, stdout) == n ? 0 : 1;
}

static int run_image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
		     const struct ist_buf *input, char **size)
{
	struct ist_pixels pixels = {(uint32_t)strtoul(size[0], NULL, 10),
				    (uint32_t)strtoul(size[1], NULL, 10),
				    (const uint8_t *)input->data};
	ist_autofree float *x = ist_alloc(encoder->dim, sizeof(*x));
	struct ist_err err = {0};

	if (input->len != (size_t)3 * pixels.width * pixels.height)
		return 1;
	if (ist_encoder_image(encoder, ws, &pixels, x, &err) != IST_OK)
		return fail(&err);
	return fwrite(x, sizeof(*x), encoder->dim, stdout) == encoder->dim ? 0 : 1;
}

/* Either tokeniser. */
struct tokeniser {
	struct ist_folder *folder;
	struct ist_bpe *bpe;
	struct ist_wordpiece *wordpiece;
};

static enum ist_code encode(const struct tokeniser *t, struct ist_str text, size_t max,
			    struct ist_arena *arena, int32_t *ret, size_t *ret_n,
			    struct ist_err *err)
{
	ist_arena_reset(arena);
	return t->bpe != NULL
		   ? ist_bpe_encode(t->bpe, text, max, arena, ret, ret_n, err)
		   : ist_wordpiece_encode(t->wordpiece, text, max, arena, ret, ret_n, err);
}

static int print_ids(const struct tokeniser *t, const struct ist_buf *input, size_t max)
{
	json_t *list = json_loadb(input->data, input->len, JSON_ALLOW_NUL, NULL);
	ist_autofree int32_t *ids = ist_alloc(max, sizeof(*ids));
	struct ist_arena arena = {0};
	struct ist_err err = {0};
	size_t n, n_ids = 0;
	ist_autofree struct ist_str *texts = list_texts(list, &n);
	int code = 0;

	printf("[");
	for (size_t i = 0; i < n && code == 0; i++) {
		if (encode(t, texts[i], max, &arena, ids, &n_ids, &err) != IST_OK)
			code = fail(&err);
		printf("%s[", i > 0 ? "," : "");
		for (size_t j = 0; code == 0 && j < n_ids; j++)
			printf("%s%d", j > 0 ? "," : "", ids[j]);
		printf("]");
	}
	printf("]\n");
	ist_arena_finish(&arena);
	json_decref(list);
	return code;
}

static int run_ids(const char *path, const struct ist_buf *input, size_t max)
{
	ist_autofree char *vocab = ist_format("%s/vocab.json", path);
	struct tokeniser t = {0};
	struct ist_err err = {0};
	enum ist_code code = ist_folder_open(path, &t.folder, &err);
	int ret;

	if (code == IST_OK)
		code = access(vocab, R_OK) == 0
			   ? ist_bpe_open(t.folder, INT32_MAX, &t.bpe, &err)
			   : ist_wordpiece_open(t.folder, false, INT32_MAX, &t.wordpiece, &err);
	ret = code == IST_OK ? print_ids(&t, input, max) : fail(&err);
	ist_bpe_close(t.bpe);
	ist_wordpiece_close(t.wordpiece);
	ist_folder_close(t.folder);
	return ret;
}

int main(int argc, char **argv)
{
	ist_auto(ist_buf_finish) struct ist_buf input = {0};
	struct ist_encoder_workspace *ws = NULL;
	struct ist_encoder *encoder = NULL;
	struct ist_err err = {0};
	int code = 2;

	if (argc < 3)
		return code;
	read_input(&input);
	if (strcmp(argv[2], "ids") == 0 && argc == 4)
		return run_ids(argv[1], &input, strtoul(argv[3], NULL, 10));
	if (ist_encoder_open(NULL, argv[1], &encoder, &err) != IST_OK)
		return fail(&err);
	ws = ist_encoder_workspace_create();
	if (strcmp(argv[2], "texts") == 0)
		code = run_texts(encoder, ws, &input);
	else if (strcmp(argv[2], "image") == 0 && argc == 5)
		code = run_image(encoder, ws, &input, argv + 3);
	ist_encoder_workspace_destroy(ws);
	ist_encoder_close(encoder);
	return code;
}
