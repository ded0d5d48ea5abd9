/*
 * EfficientNet-Lite against PyTorch: a small network with every block at three shapes; the real
 * one, where its weights are, from files through the real decoder and the resampler to features.
 * What is wrong with a folder is said by the name of its tensor or member.
 *
 * usage: test GOLDEN-FOLDER WEIGHTS-FOLDER DECODER; the latter two may be missing, as may the
 * stamps, which are a package.
 */
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/encode/efficientnet.h"
#include "core/encode/encoder.h"
#include "server/decoders.h"
#include "tests/unit/test.h"

#define STAMPS "/usr/share/tuxpaint/stamps/"
#define TINY_TOLERANCE 1e-5
#define TOLERANCE 1e-4
#define MIN_COSINE .999999
#define SIDE 224

/* Threads of one picture; the sanitizer does not see how OpenMP's meet. */
#if defined(__SANITIZE_THREAD__)
#define TEAM 1
#else
#define TEAM 2
#endif

static const char *golden, *weights, *decoder;
static char copy_folder[] = "/tmp/isthmus-efficientnet-XXXXXX";

static struct ist_safetensors *read_tensors(const char *name)
{
	ist_autofree char *path = ist_format("%s/%s", golden, name);
	struct ist_safetensors *file;
	struct ist_err err;

	assert_ist_ok(ist_safetensors_open(path, &file, &err));
	return file;
}

static const float *find_tensor(const struct ist_safetensors *file, const char *name, size_t n)
{
	const struct ist_safetensor *t = ist_safetensors_find(file, name);

	if (t == NULL || ist_safetensor_count(t) != n)
		fail_msg("%s: there is none of %zu numbers", name, n);
	return t->data;
}

static double largest_difference(const float *x, const float *y, size_t n)
{
	double worst = 0;

	for (size_t i = 0; i < n; i++)
		worst = fmax(worst, fabs((double)x[i] - y[i]));
	return worst;
}

static double cosine(const float *x, const float *y, size_t n)
{
	double xy = 0, xx = 0, yy = 0;

	for (size_t i = 0; i < n; i++) {
		xy += (double)x[i] * y[i];
		xx += (double)x[i] * x[i];
		yy += (double)y[i] * y[i];
	}
	return xy / sqrt(xx * yy);
}

/* "stem", "block07", "head": what a layer ends. The first block has no expansion, so that with the
 * stem it has three layers, as all others have. */
static void tap_name(const struct ist_convnet *net, size_t layer, char ret[16])
{
	if (layer == 0)
		snprintf(ret, 16, "stem");
	else if (layer + 1 == ist_convnet_n(net))
		snprintf(ret, 16, "head");
	else
		snprintf(ret, 16, "block%02zu", layer / 3);
}

/* Opens the network as `kind` computes it; false where that does not take it on this CPU. */
static bool open_as(struct ist_folder *folder, const struct ist_convnet_kind *kind, uint32_t height,
		    uint32_t width, struct ist_convnet **ret)
{
	struct ist_err err;
	enum ist_code code = ist_efficientnet_open(folder, kind, height, width, ret, &err);

	if (code != IST_OK && code != IST_INVALID)
		fail_msg("%s: %s", ist_convnet_kind_name(kind), err.text);
	if (code != IST_OK)
		print_message("%s\n", err.text);
	return code == IST_OK;
}

/* ---- the small network ---- */

struct tiny_taps {
	const struct ist_convnet *net;
	const struct ist_safetensors *expected;
	const char *shape;
	size_t n;
};

static void see_tiny(void *user, size_t layer, const float *chw)
{
	struct tiny_taps *t = user;
	struct ist_shape3 s = ist_convnet_shape(t->net, layer);
	size_t n = (size_t)s.channels * s.height * s.width;
	char tap[16], name[64];
	double worst;

	t->n++;
	tap_name(t->net, layer, tap);
	snprintf(name, sizeof(name), "%s.%s", t->shape, tap);
	worst = largest_difference(chw, find_tensor(t->expected, name, n), n);
	if (!(worst <= TINY_TOLERANCE))
		fail_msg("%s differs by %g", name, worst);
}

static struct ist_folder *open_tiny(void)
{
	ist_autofree char *path = ist_format("%s/tiny", golden);
	struct ist_folder *folder;
	struct ist_err err;

	assert_ist_ok(ist_folder_open(path, &folder, &err));
	return folder;
}

static void check_tiny(const struct ist_safetensors *expected, const char *shape,
		       const struct ist_convnet_kind *kind, int threads)
{
	ist_autofree char *input = ist_format("%s.input", shape);
	ist_autofree char *pooled = ist_format("%s.pooled", shape);
	const struct ist_safetensor *x = ist_safetensors_find(expected, input);
	struct ist_folder *folder = open_tiny();
	struct tiny_taps taps = {.expected = expected, .shape = shape};
	struct ist_convnet *net;
	struct ist_convnet_pass *pass;
	struct ist_err err;
	float got[24], worst;

	if (!open_as(folder, kind, (uint32_t)x->shape[1], (uint32_t)x->shape[2], &net)) {
		ist_folder_close(folder);
		return;
	}
	taps.net = net;
	omp_set_num_threads(threads);
	for (int again = 0; again < 2; again++) { /* the second time in used buffers */
		assert_ist_ok(ist_convnet_begin(net, &pass, &err));
		ist_convnet_put(pass, x->data);
		taps.n = 0;
		assert_ist_ok(ist_convnet_forward(pass, see_tiny, &taps, &err));
		assert_in_range(taps.n, 5, 6); /* a fused stem is nowhere to be seen */
		ist_convnet_pooled(pass, got);
		ist_convnet_end(pass);
		worst = (float)largest_difference(got, find_tensor(expected, pooled, 24), 24);
		if (!(worst <= TINY_TOLERANCE))
			fail_msg("%s differs by %g", pooled, (double)worst);
	}
	ist_convnet_destroy(net);
	ist_folder_close(folder);
}

static void every_block_of_a_small_network(void **state)
{
	struct ist_safetensors *expected = read_tensors("tiny/expected.safetensors");

	for (size_t i = 0; ist_convnet_kinds[i] != NULL; i++) {
		for (int threads = 1; threads < 2 * TEAM; threads++) {
			check_tiny(expected, "square", ist_convnet_kinds[i], threads);
			check_tiny(expected, "odd", ist_convnet_kinds[i], threads);
			check_tiny(expected, "wide", ist_convnet_kinds[i], threads);
		}
	}
	ist_safetensors_close(expected);
}

/* ---- the encoder as others see it ---- */

static struct ist_encoder *open_tiny_encoder(void)
{
	ist_autofree char *path = ist_format("%s/tiny", golden);
	struct ist_encoder *encoder;
	struct ist_err err;

	assert_ist_ok(ist_encoder_open(NULL, path, &encoder, &err));
	return encoder;
}

/* A picture of waves, so that neighbours differ. */
static uint8_t *draw(uint32_t width, uint32_t height)
{
	uint8_t *rgb = ist_alloc((size_t)width * height, 3);

	for (uint32_t i = 0; i < width * height * 3; i++)
		rgb[i] = (uint8_t)(127 + 120 * sin(i * .05 + i / 40));
	return rgb;
}

static void the_map_is_what_is_pooled(void **state)
{
	struct ist_encoder *encoder = open_tiny_encoder();
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	ist_autofree uint8_t *rgb = draw(50, 40);
	struct ist_pixels pixels = {50, 40, rgb};
	size_t places = (size_t)encoder->map.height * encoder->map.width;
	float feature[24];
	ist_autofree float *map = ist_alloc(places * 24, sizeof(*map));
	struct ist_err err;

	assert_int_equal(encoder->dim, 24);
	assert_int_equal(encoder->map.channels, 24);
	assert_int_equal(places, 16);
	assert_ist_ok(ist_encoder_image(encoder, ws, &pixels, feature, &err));
	assert_ist_ok(ist_encoder_image_map(encoder, ws, &pixels, map, &err));
	for (size_t c = 0; c < 24; c++) {
		double sum = 0;

		for (size_t p = 0; p < places; p++)
			sum += map[p * 24 + c];
		assert_float_equal(sum / (double)places, feature[c], 1e-5);
	}
	ist_encoder_workspace_destroy(ws);
	ist_encoder_close(encoder);
}

struct worker {
	const struct ist_encoder *encoder;
	struct ist_pixels pixels;
	int threads;
	float feature[24];
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_err err;

	omp_set_num_threads(w->threads);
	for (int i = 0; i < 20; i++)
		assert_ist_ok(ist_encoder_image(w->encoder, ws, &w->pixels, w->feature, &err));
	ist_encoder_workspace_destroy(ws);
	return NULL;
}

/* With one thread each and with two, all at once, from the first call on. */
static void threads_share_an_encoder(void **state)
{
	struct ist_encoder *encoder = open_tiny_encoder();
	ist_autofree uint8_t *rgb = draw(64, 64);
	struct worker workers[6];
	pthread_t threads[6];

	for (int i = 0; i < 6; i++) {
		workers[i] = (struct worker){encoder, {64, 64, rgb}, 1 + i % TEAM, {0}};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i < 6; i++) {
		if (workers[i].threads == 1)
			assert_memory_equal(workers[i].feature, workers[0].feature,
					    sizeof(workers[i].feature));
		assert_true(largest_difference(workers[i].feature, workers[0].feature, 24) <
			    TINY_TOLERANCE);
	}
	ist_encoder_close(encoder);
}

static void a_square_for_another_encoder_is_refused(void **state)
{
	struct ist_encoder *encoder = open_tiny_encoder();
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	ist_autofree uint8_t *rgb = draw(SIDE, SIDE);
	struct ist_pixels pixels = {SIDE, SIDE, rgb, .framed = true};
	float feature[24];
	struct ist_err err;

	assert_int_equal(ist_encoder_image(encoder, ws, &pixels, feature, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "224 x 224 is framed for another encoder"));
	ist_encoder_workspace_destroy(ws);
	ist_encoder_close(encoder);
}

/* ---- folders with faults ---- */

static void put(const char *name, const void *data, size_t len)
{
	ist_autofree char *path = ist_format("%s/%s", copy_folder, name);
	struct ist_err err;

	assert_ist_ok(ist_file_write(path, data, len, &err));
}

static void read_tiny(const char *name, struct ist_buf *ret)
{
	ist_autofree char *path = ist_format("%s/tiny/%s", golden, name);
	struct ist_err err;

	assert_ist_ok(ist_file_read(path, 1 << 20, ret, &err));
}

static void assert_refused(const char *what)
{
	struct ist_encoder *encoder = NULL;
	struct ist_err err;

	assert_int_equal(ist_encoder_open(NULL, copy_folder, &encoder, &err), IST_CORRUPT);
	assert_null(encoder);
	if (strstr(err.text, what) == NULL)
		fail_msg("\"%s\" is not said in: %s", what, err.text);
}

/* The configuration with `from` replaced. */
static void put_config(const char *from, const char *to)
{
	ist_auto(ist_buf_finish) struct ist_buf text = {0}, changed = {0};
	const char *at;

	read_tiny("config.json", &text);
	ist_buf_putc(&text, '\0');
	at = strstr(text.data, from);
	assert_non_null(at);
	ist_buf_put(&changed, text.data, (size_t)(at - text.data));
	ist_buf_puts(&changed, to);
	ist_buf_puts(&changed, at + strlen(from));
	put("config.json", changed.data, changed.len);
}

/* The weights with the n-th number of one tensor replaced. */
static void put_weights(const char *name, size_t n, float value)
{
	ist_auto(ist_buf_finish) struct ist_buf bytes = {0};
	struct ist_safetensors *file;
	struct ist_err err;
	const char *data;

	read_tiny("model.safetensors", &bytes);
	assert_ist_ok(ist_safetensors_parse(bytes.data, bytes.len, &file, &err));
	data = ist_safetensors_find(file, name)->data;
	memcpy(bytes.data + (data - bytes.data) + n * sizeof(value), &value, sizeof(value));
	ist_safetensors_close(file);
	put("model.safetensors", bytes.data, bytes.len);
}

static void faults_are_named(void **state)
{
	static const struct {
		const char *from, *to, *error;
	} configs[] = {
	    {"\"stem\": 8", "\"stem\": 12", "_conv_stem.weight"},
	    {"\"head\": 24", "\"head\": 1e9", "\"head\""},
	    {"\"stem\": 8", "\"stern\": 8", "\"stem\" is missing"},
	    {"\"kernel\": 5", "\"kernel\": 3", "_blocks.1._depthwise_conv.weight"},
	    {"\"repeats\": 2", "\"repeats\": 3", "_blocks.3._expand_conv.weight"},
	    {"\"repeats\": 2", "\"repeats\": 257", "stages[1]: \"repeats\""},
	    {"\"image_size\": 32", "\"image_size\": 64", "\"crop_short_side\" is 36"},
	    {"\"stages\": [", "\"stages\": [{}, ", "stages[0]"},
	    {"\"stages\"", "\"steps\"", "\"stages\" is wanted"},
	};
	ist_auto(ist_buf_finish) struct ist_buf bytes = {0};

	read_tiny("model.safetensors", &bytes);
	put("model.safetensors", bytes.data, bytes.len);
	for (size_t i = 0; i < IST_COUNT(configs); i++) {
		put_config(configs[i].from, configs[i].to);
		assert_refused(configs[i].error);
	}
	put_config("\"stem\": 8", "\"stem\": 8");
	put_weights("_blocks.2._bn1.bias", 3, NAN);
	assert_refused("_blocks.2._bn1.bias");
	put_weights("_conv_head.weight", 300, INFINITY);
	assert_refused("_conv_head.weight");
	put_weights("_blocks.0._bn2.running_var", 1, -1);
	assert_refused("_blocks.0._bn2.running_var: the variance of channel 1");
	put("model.safetensors", bytes.data, bytes.len - 100);
	assert_refused("model.safetensors");
}

/* ---- the real network ---- */

struct picture_taps {
	const struct ist_convnet *net;
	const json_t *taps;
	const char *picture;
	size_t n;
	double worst;
};

static void compare_eight(struct picture_taps *t, const json_t *expected, const float *x)
{
	for (size_t i = 0; i < 8; i++)
		t->worst =
		    fmax(t->worst, fabs(x[i] - json_number_value(json_array_get(expected, i))));
}

/* Mean, deviation, both ends. */
static void see_picture(void *user, size_t layer, const float *chw)
{
	struct picture_taps *t = user;
	struct ist_shape3 s = ist_convnet_shape(t->net, layer);
	size_t n = (size_t)s.channels * s.height * s.width;
	const json_t *tap;
	double sum = 0, squares = 0, mean;
	char name[16];

	t->n++;
	tap_name(t->net, layer, name);
	tap = json_object_get(t->taps, name);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(tap, "shape"), 0)),
			 s.channels);
	for (size_t i = 0; i < n; i++)
		sum += chw[i];
	mean = sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (chw[i] - mean) * (chw[i] - mean);
	compare_eight(t, json_object_get(tap, "first"), chw);
	compare_eight(t, json_object_get(tap, "last"), chw + n - 8);
	t->worst = fmax(t->worst, fabs(mean - json_number_value(json_object_get(tap, "mean"))));
	t->worst = fmax(t->worst, fabs(sqrt(squares / (double)n) -
				       json_number_value(json_object_get(tap, "std"))));
	if (!(t->worst <= TOLERANCE))
		fail_msg("%s, %s differs by %g", t->picture, name, t->worst);
}

/* A picture's square from its file, by the real decoder; false where the file is not installed. */
static bool decode_square(struct ist_decoders *d, const char *name, enum ist_geometry geometry,
			  struct ist_decoded *ret)
{
	const struct ist_frame frame = {geometry, IST_FILTER_BICUBIC, SIDE, 256};
	bool stamp = strncmp(name, "stamps/", 7) == 0;
	ist_autofree char *path =
	    stamp ? ist_format(STAMPS "%s", name + 7) : ist_format("%s/%s", golden, name);
	ist_auto(ist_buf_finish) struct ist_buf file = {0};
	struct ist_err err;

	if (stamp && access(path, R_OK) != 0)
		return false;
	assert_ist_ok(ist_file_read(path, 1 << 20, &file, &err));
	assert_ist_ok(ist_decoders_decode(d, file.data, file.len, &frame, ret, &err));
	return true;
}

/* Its pixels are Pillow's to the last bit. */
static void assert_pixels(const struct ist_decoded *decoded, const json_t *picture,
			  const char *member)
{
	char hex[IST_SHA256_HEX];

	ist_sha256_hex(decoded->pixels.rgb, SIDE * SIDE * 3, hex);
	assert_string_equal(hex, json_string_value(json_object_get(picture, member)));
}

static void check_picture(struct ist_convnet *net, const json_t *picture,
			  const struct ist_decoded *decoded, const float *expected)
{
	struct picture_taps taps = {
	    .net = net,
	    .taps = json_object_get(picture, "taps"),
	    .picture = json_string_value(json_object_get(picture, "name")),
	};
	struct ist_convnet_pass *pass;
	struct ist_err err;
	float got[1280];
	double worst;

	assert_ist_ok(ist_convnet_begin(net, &pass, &err));
	ist_convnet_put_bytes(pass, decoded->pixels.rgb);
	assert_ist_ok(ist_convnet_forward(pass, see_picture, &taps, &err));
	assert_in_range(taps.n, 17, 18);
	ist_convnet_pooled(pass, got);
	ist_convnet_end(pass);
	worst = largest_difference(got, expected, 1280);
	print_message("%s: taps within %.1e, features within %.1e, cosine 1 - %.1e\n", taps.picture,
		      taps.worst, worst, 1 - cosine(got, expected, 1280));
	assert_true(worst <= TOLERANCE);
	assert_true(cosine(got, expected, 1280) >= MIN_COSINE);
}

static struct ist_decoders *start_decoders(void)
{
	const struct ist_decoders_options options = {
	    .program = decoder, .n = 1, .max_pixels = 1000000, .timeout_ms = 60000};

	return ist_decoders_create(&options);
}

static json_t *read_pictures(void)
{
	ist_autofree char *path = ist_format("%s/pictures.json", golden);
	json_t *pictures = json_load_file(path, 0, NULL);

	assert_int_equal(json_array_size(pictures), 11);
	return pictures;
}

/* Padded and cropped; and padded because they are seen to be cut-outs. */
static void squares_are_pillows(void **state)
{
	static const char *const members[] = {"padded_sha256", "padded_sha256", "cropped_sha256"};
	struct ist_decoders *d;
	json_t *pictures;

	if (decoder == NULL)
		skip();
	d = start_decoders();
	pictures = read_pictures();
	for (size_t i = 0; i < 3 * json_array_size(pictures); i++) {
		const json_t *picture = json_array_get(pictures, i / 3);
		const char *name = json_string_value(json_object_get(picture, "name"));
		struct ist_decoded decoded;

		if (i % 3 == IST_GEOMETRY_AUTO && strncmp(name, "stamps/", 7) != 0)
			continue;
		if (!decode_square(d, name, (enum ist_geometry)(i % 3), &decoded)) {
			print_message("%s is not installed\n", name);
			continue;
		}
		assert_pixels(&decoded, picture, members[i % 3]);
		ist_decoded_finish(&decoded);
	}
	json_decref(pictures);
	ist_decoders_destroy(d);
}

/* As `kind` computes it, with `threads`. */
static void check_pictures(const struct ist_convnet_kind *kind, int threads, struct ist_decoders *d,
			   const json_t *pictures, const struct ist_safetensors *features)
{
	struct ist_folder *folder;
	struct ist_convnet *net = NULL;
	struct ist_err err;

	omp_set_num_threads(threads);
	assert_ist_ok(ist_folder_open(weights, &folder, &err));
	if (open_as(folder, kind, SIDE, SIDE, &net))
		print_message("%s, %d threads\n", ist_convnet_kind_name(kind), threads);
	for (size_t i = 0; net != NULL && i < json_array_size(pictures); i++) {
		const json_t *picture = json_array_get(pictures, i);
		const char *name = json_string_value(json_object_get(picture, "name"));
		struct ist_decoded decoded;

		if (!decode_square(d, name, IST_GEOMETRY_PAD, &decoded))
			continue;
		check_picture(net, picture, &decoded, find_tensor(features, name, 1280));
		ist_decoded_finish(&decoded);
	}
	ist_convnet_destroy(net);
	ist_folder_close(folder);
}

/* The encoder's own door, from the file. */
static void check_encoder(struct ist_decoders *d, const json_t *picture,
			  const struct ist_safetensors *features)
{
	const char *name = json_string_value(json_object_get(picture, "name"));
	struct ist_encoder_workspace *ws = ist_encoder_workspace_create();
	struct ist_encoder *encoder;
	struct ist_decoded decoded;
	struct ist_err err;
	float got[1280];

	assert_ist_ok(ist_encoder_open(NULL, weights, &encoder, &err));
	assert_int_equal(encoder->dim, 1280);
	assert_true(decode_square(d, name, IST_GEOMETRY_PAD, &decoded));
	assert_ist_ok(ist_encoder_image(encoder, ws, &decoded.pixels, got, &err));
	assert_true(cosine(got, find_tensor(features, name, 1280), 1280) >= MIN_COSINE);
	ist_decoded_finish(&decoded);
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
}

static void pictures_through_the_real_network(void **state)
{
	ist_autofree char *config = weights ? ist_format("%s/config.json", weights) : NULL;
	struct ist_decoders *d;
	struct ist_safetensors *features;
	json_t *pictures;

	if (decoder == NULL || access(config, R_OK) != 0)
		skip();
	d = start_decoders();
	features = read_tensors("pictures.safetensors");
	pictures = read_pictures();
	for (size_t i = 0; ist_convnet_kinds[i] != NULL; i++)
		for (int threads = 1; threads <= TEAM; threads++)
			check_pictures(ist_convnet_kinds[i], threads, d, pictures, features);
	check_encoder(d, json_array_get(pictures, 0), features);
	json_decref(pictures);
	ist_safetensors_close(features);
	ist_decoders_destroy(d);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_block_of_a_small_network),
	    cmocka_unit_test(the_map_is_what_is_pooled),
	    cmocka_unit_test(threads_share_an_encoder),
	    cmocka_unit_test(a_square_for_another_encoder_is_refused),
	    cmocka_unit_test(faults_are_named),
	    cmocka_unit_test(squares_are_pillows),
	    cmocka_unit_test(pictures_through_the_real_network),
	};
	int failed;

	golden = argv[1];
	weights = argc > 2 ? argv[2] : NULL;
	decoder = argc > 3 ? argv[3] : NULL;
	if (argc < 2 || mkdtemp(copy_folder) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	put("config.json", "", 0); /* it is there, whatever failed */
	put("model.safetensors", "", 0);
	for (size_t i = 0; i < 2; i++) {
		ist_autofree char *path =
		    ist_format("%s/%s", copy_folder, i ? "config.json" : "model.safetensors");
		unlink(path);
	}
	rmdir(copy_folder);
	return failed;
}
