/*
 * sample: makes data to try things on. `shapes` writes a folder of pictures with captions beside
 * them, which import takes as it is, and the edits between them for triples. Equal arguments give
 * equal bytes.
 */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/cli/print.h"
#include "server/cli/shapes.h"

static const char *const what[] = {"shapes", NULL};

static const struct ist_opt opts[] = {
    {"pictures", IST_OPT_INT, 'n', "N", .min = 4, .max = 1000000,
     .help = "so many, in families of four (6000)"},
    {"objects", IST_OPT_INT, 0, "N", .min = 1, .max = IST_SCENE_OBJECTS,
     .help = "at most so many in a picture (3)"},
    {"validation", IST_OPT_REAL, 0, "SHARE", .max = .9, .help = "of the families (0.1)"},
    {"test", IST_OPT_REAL, 0, "SHARE", .max = .9, .help = "of the families (0.2)"},
    {"seed", IST_OPT_INT, 0, "N", .max = 9007199254740991.0, .help = "another set of scenes (0)"},
};

struct sample {
	struct ist_cli *cli;
	const char *folder;
	size_t families, validation, test; /* the last `test` of them, and those before */
	int objects;
	struct ist_rng rng;
	struct ist_buf triples;
	struct ist_progress progress;
};

/* ---- one picture ---- */

static enum ist_code write_png(const char *path, const uint8_t *rgb, struct ist_err *err)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			   .width = IST_SCENE_SIDE,
			   .height = IST_SCENE_SIDE,
			   .format = PNG_FORMAT_RGB};

	if (png_image_write_to_file(&image, path, 0, rgb, 0, NULL) == 0)
		return ist_fail(err, IST_IO, "%s: %s", path, image.message);
	return IST_OK;
}

static json_t *object_json(const struct ist_shape *o)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "place", ist_shape_place(o), "size",
			 ist_shape_size(o), "colour", ist_shape_colour(o), "shape",
			 ist_shape_name(o));
}

/* What import reads beside a picture: captions, the part, and what there is to see. */
static enum ist_code write_words(struct sample *s, const char *path, const struct ist_scene *scene,
				 const char *part, struct ist_err *err)
{
	json_t *texts = json_array(), *objects = json_array(), *item;
	ist_autofree char *text = NULL;
	enum ist_code code;

	for (int kind = 0; kind < IST_CAPTIONS; kind++) {
		struct ist_buf caption ist_auto(ist_buf_finish) = {0};

		ist_scene_caption(scene, kind, &s->rng, &caption);
		json_array_append_new(texts, json_stringn(caption.data, caption.len));
	}
	for (int i = 0; i < scene->n; i++)
		json_array_append_new(objects, object_json(&scene->object[i]));
	item = json_pack("{s:o, s:{s:s, s:i, s:o}}", "texts", texts, "metadata", "part", part,
			 "objects", scene->n, "scene", objects);
	/* One object has a class; what several would be is nobody's to say. */
	if (scene->n == 1)
		json_object_set_new(item, "label", json_string(ist_shape_name(&scene->object[0])));
	text = json_dumps(item, JSON_COMPACT);
	json_decref(item);
	code = ist_file_write(path, text, strlen(text), err);
	return code;
}

static enum ist_code write_picture(struct sample *s, size_t number, const struct ist_scene *scene,
				   const char *part, struct ist_err *err)
{
	ist_autofree char *picture = ist_format("%s/%06zu.png", s->folder, number);
	ist_autofree char *words = ist_format("%s/%06zu.json", s->folder, number);
	uint8_t rgb[3 * IST_SCENE_SIDE * IST_SCENE_SIDE];
	enum ist_code code;

	ist_scene_paint(scene, &s->rng, rgb);
	code = write_png(picture, rgb, err);
	return code == IST_OK ? write_words(s, words, scene, part, err) : code;
}

/* ---- one family ---- */

static void add_triple(struct sample *s, size_t first, const struct ist_scene_family *f, int from,
		       int to)
{
	struct ist_buf text ist_auto(ist_buf_finish) = {0};

	ist_scene_edit(&f->scene[from], &f->scene[to], &s->rng, &text);
	ist_buf_printf(&s->triples,
		       "{\"reference\":\"%06zu.png\",\"text\":\"%.*s\",\"target\":\"%06zu.png\"}\n",
		       first + (size_t)from, (int)text.len, text.data, first + (size_t)to);
}

static const char *part_of(const struct sample *s, size_t family)
{
	size_t train = s->families - s->test - s->validation;

	return family < train ? "train" : family < train + s->validation ? "validation" : "test";
}

/* Each of the four with the two that are one edit away, both ways. */
static enum ist_code write_family(struct sample *s, size_t family, struct ist_err *err)
{
	static const int edits[][2] = {{0, 1}, {2, 3}, {0, 2}, {1, 3}};
	struct ist_scene_family f;
	enum ist_code code = IST_OK;

	ist_scene_family_draw(&s->rng, s->objects, &f);
	for (int i = 0; i < 4 && code == IST_OK; i++)
		code =
		    write_picture(s, 4 * family + (size_t)i, &f.scene[i], part_of(s, family), err);
	for (size_t i = 0; i < IST_COUNT(edits); i++) {
		add_triple(s, 4 * family, &f, edits[i][0], edits[i][1]);
		add_triple(s, 4 * family, &f, edits[i][1], edits[i][0]);
	}
	return code;
}

/* ---- the whole ---- */

static enum ist_code write_all(struct sample *s, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/triples.ndjson", s->folder);

	ist_interrupt_catch();
	ist_progress_init(&s->progress, s->cli, "pictures");
	for (size_t i = 0; i < s->families; i++) {
		if (write_family(s, i, err) != IST_OK)
			return err->code;
		if (ist_interrupted())
			return ist_fail(err, IST_CANCELLED, "interrupted: %s is not whole",
					s->folder);
		ist_progress_draw(&s->progress, 4 * i + 4, (double)(i + 1) / (double)s->families,
				  "");
	}
	return ist_file_write(path, s->triples.data, s->triples.len, err);
}

static double share(const struct ist_args *args, const char *name, double otherwise)
{
	const char *value = ist_args_text(args, name);

	return value != NULL ? strtod(value, NULL) : otherwise;
}

static void print_next(const struct sample *s)
{
	if (s->cli->quiet)
		return;
	printf("%zu pictures and %zu edits in %s\n"
	       "isthmus import %s -c shapes --label-levels 0 --image-encoder pixels "
	       "--text-encoder words\n"
	       "isthmus triples shapes %s/triples.ndjson\n",
	       4 * s->families, 8 * s->families, s->folder, s->folder, s->folder);
}

static enum ist_code run_sample(struct ist_cli *cli, const struct ist_args *args,
				struct ist_err *err)
{
	double validation = share(args, "validation", .1), test = share(args, "test", .2);
	struct sample s = {.cli = cli,
			   .folder = ist_args_word(args, 1),
			   .families = (size_t)ist_args_int(args, "pictures", 6000) / 4,
			   .objects = (int)ist_args_int(args, "objects", IST_SCENE_OBJECTS)};
	enum ist_code code;

	if (validation + test > .95)
		return ist_usage(err, "--validation and --test leave nothing to train on");
	s.validation = (size_t)(validation * (double)s.families);
	s.test = (size_t)(test * (double)s.families);
	if (mkdir(s.folder, 0777) != 0)
		return ist_fail_errno(err, "%s", s.folder);
	ist_rng_init(&s.rng, (uint64_t)ist_args_int(args, "seed", 0), "shapes");
	code = write_all(&s, err);
	ist_progress_clear(&s.progress);
	ist_buf_finish(&s.triples);
	if (code == IST_OK)
		print_next(&s);
	return code;
}

const struct ist_command ist_cmd_sample = {
    .name = "sample",
    .words = "shapes FOLDER",
    .min_words = 2,
    .max_words = 2,
    .first = what,
    .summary = "Make data to try things on",
    .details =
	"shapes: scenes of coloured shapes, drawn in 64 x 64, each with five captions, and the "
	"edits "
	"that lead from one to another (\"make the small red circle blue\"). FOLDER must not be "
	"there. It holds pictures with their captions beside them, for import, and triples.ndjson, "
	"for triples. metadata.part says which pictures are for training, validation and test.",
    .opts = opts,
    .n_opts = IST_COUNT(opts),
    .run = run_sample,
};
