/*
 * EfficientNet-Lite: a stem, inverted residual blocks (expand 1x1, depthwise k x k, project 1x1,
 * plus the input where shapes allow), a head, the mean over all places. No squeeze-excitation, and
 * ReLU6 everywhere but after a projection. Tan & Le, "EfficientNet", ICML 2019, in the "Lite"
 * variant of TensorFlow; tensors are named as in the PyTorch conversions of its checkpoints.
 *
 * Batch normalisation y = (x - mean) * g + beta with g = gamma / sqrt(variance + eps) is folded
 * into the convolution before it: weights times g, bias beta - mean * g. Inputs are
 * (v - 127.5) / 127.5, so the padding's zero is a middle grey.
 *
 * config.json (model_type "efficientnet-lite"):
 *	image_size, crop_short_side, stem, head, batch_norm_eps,
 *	stages: [{repeats, kernel, stride, expand, out}, …]
 */
#include "core/encode/efficientnet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/encoder_private.h"

#define MAX_SIDE 1024
#define MAX_CHANNELS 8192
#define MAX_STAGES 32
#define MAX_BLOCKS 256
#define MAX_ACTIVATION (64u << 20) /* numbers that one layer may give */

struct stage {
	size_t repeats, kernel, stride, expand, out;
};

struct config {
	size_t image_size, crop_short_side, stem, head;
	double eps;
	struct stage stages[MAX_STAGES];
	size_t n_stages;
};

/* A layer and where its tensors are. */
struct named_conv {
	struct ist_conv conv;
	char weights[48], norm[48]; /* names without ".weight" */
};

struct network {
	struct named_conv convs[2 + 3 * MAX_BLOCKS];
	size_t n;
};

/* ---- configuration ---- */

static enum ist_code read_stage(const json_t *object, size_t i, struct stage *ret,
				struct ist_err *err)
{
	static const struct ist_member members[] = {
	    {"repeats", IST_MEMBER_SIZE, offsetof(struct stage, repeats), 1, MAX_BLOCKS},
	    {"kernel", IST_MEMBER_SIZE, offsetof(struct stage, kernel), 1, 7},
	    {"stride", IST_MEMBER_SIZE, offsetof(struct stage, stride), 1, 2},
	    {"expand", IST_MEMBER_SIZE, offsetof(struct stage, expand), 1, 16},
	    {"out", IST_MEMBER_SIZE, offsetof(struct stage, out), 1, MAX_CHANNELS / 16},
	};
	char where[48];

	snprintf(where, sizeof(where), "config.json: stages[%zu]", i);
	return ist_members_read(object, where, members, IST_COUNT(members), ret, err);
}

static enum ist_code read_stages(const json_t *config, struct config *ret, struct ist_err *err)
{
	const json_t *stages = json_object_get(config, "stages");
	size_t n_blocks = 0;

	ret->n_stages = json_array_size(stages);
	if (ret->n_stages == 0 || ret->n_stages > MAX_STAGES)
		return ist_fail(err, IST_CORRUPT,
				"config.json: \"stages\" is wanted as a list of 1 to %d objects",
				MAX_STAGES);
	for (size_t i = 0; i < ret->n_stages; i++) {
		enum ist_code code = read_stage(json_array_get(stages, i), i, &ret->stages[i], err);

		if (code != IST_OK)
			return code;
		n_blocks += ret->stages[i].repeats;
	}
	if (n_blocks > MAX_BLOCKS)
		return ist_fail(err, IST_CORRUPT, "config.json: %zu blocks are more than %d",
				n_blocks, MAX_BLOCKS);
	return IST_OK;
}

static enum ist_code read_config(const json_t *object, struct config *ret, struct ist_err *err)
{
	static const struct ist_member members[] = {
	    {"image_size", IST_MEMBER_SIZE, offsetof(struct config, image_size), 8, MAX_SIDE},
	    {"crop_short_side", IST_MEMBER_SIZE, offsetof(struct config, crop_short_side), 8,
	     2 * MAX_SIDE},
	    {"stem", IST_MEMBER_SIZE, offsetof(struct config, stem), 1, MAX_CHANNELS},
	    {"head", IST_MEMBER_SIZE, offsetof(struct config, head), 1, MAX_CHANNELS},
	    {"batch_norm_eps", IST_MEMBER_REAL, offsetof(struct config, eps), 0, 1},
	};
	enum ist_code code =
	    ist_members_read(object, "config.json", members, IST_COUNT(members), ret, err);

	if (code == IST_OK)
		code = read_stages(object, ret, err);
	if (code == IST_OK && ret->crop_short_side < ret->image_size)
		code = ist_fail(err, IST_CORRUPT,
				"config.json: \"crop_short_side\" is %zu, less than \"image_size\""
				", which is cut out of it",
				ret->crop_short_side);
	return code;
}

/* ---- layers ---- */

/* The row that follows, named; its numbers are the caller's to set. */
static struct ist_conv *add_conv(struct network *net, const char *prefix, const char *weights,
				 const char *norm, const char *what)
{
	struct named_conv *c = &net->convs[net->n++];

	snprintf(c->weights, sizeof(c->weights), "%s%s", prefix, weights);
	snprintf(c->norm, sizeof(c->norm), "%s%s", prefix, norm);
	snprintf(c->conv.name, sizeof(c->conv.name), "%s", what);
	return &c->conv;
}

/* `in` channels come in; block `number` is the stage's first or a repetition. */
static void add_block(struct network *net, const struct stage *s, size_t number, bool first,
		      size_t in)
{
	uint32_t stride = first ? (uint32_t)s->stride : 1;
	uint32_t middle = (uint32_t)(in * s->expand), out = (uint32_t)s->out;
	char prefix[32], what[IST_CONVNET_NAME];

	snprintf(prefix, sizeof(prefix), "_blocks.%zu.", number);
	if (s->expand != 1) {
		snprintf(what, sizeof(what), "block %zu expand", number);
		*add_conv(net, prefix, "_expand_conv", "_bn0", what) = (struct ist_conv){
		    .in = (uint32_t)in, .out = middle, .kernel = 1, .stride = 1, .clip = true};
	}
	snprintf(what, sizeof(what), "block %zu depthwise", number);
	*add_conv(net, prefix, "_depthwise_conv", "_bn1", what) =
	    (struct ist_conv){.in = middle,
			      .out = middle,
			      .kernel = (uint32_t)s->kernel,
			      .stride = stride,
			      .depthwise = true,
			      .clip = true};
	snprintf(what, sizeof(what), "block %zu project", number);
	*add_conv(net, prefix, "_project_conv", "_bn2", what) =
	    (struct ist_conv){.in = middle,
			      .out = out,
			      .kernel = 1,
			      .stride = 1,
			      .last = true,
			      .adds = stride == 1 && in == s->out};
}

static void add_layers(struct network *net, const struct config *config)
{
	size_t in = config->stem, number = 0;

	*add_conv(net, "", "_conv_stem", "_bn0", "stem") =
	    (struct ist_conv){.in = 3,
			      .out = (uint32_t)config->stem,
			      .kernel = 3,
			      .stride = 2,
			      .clip = true,
			      .last = true};
	for (size_t i = 0; i < config->n_stages; i++) {
		for (size_t r = 0; r < config->stages[i].repeats; r++) {
			add_block(net, &config->stages[i], number++, r == 0, in);
			in = config->stages[i].out;
		}
	}
	*add_conv(net, "", "_conv_head", "_bn1", "head") =
	    (struct ist_conv){.in = (uint32_t)in,
			      .out = (uint32_t)config->head,
			      .kernel = 1,
			      .stride = 1,
			      .clip = true,
			      .last = true};
}

/* What a folder asks for stays within bounds before anything of it is allocated. */
static enum ist_code check_sizes(const struct network *net, uint32_t height, uint32_t width,
				 struct ist_err *err)
{
	size_t places = (size_t)height * width;

	for (size_t i = 0; i < net->n; i++) {
		const struct ist_conv *c = &net->convs[i].conv;

		if (c->out > MAX_CHANNELS || places * c->out > MAX_ACTIVATION)
			return ist_fail(err, IST_CORRUPT,
					"config.json: %s has %u channels at %u x %u pixels: too "
					"large",
					c->name, c->out, width, height);
		places = places / (c->stride * c->stride) + 1;
	}
	return IST_OK;
}

/* ---- weights ---- */

/* Batch normalisation of `n` channels as a gain and a bias; false where a tensor is at fault. */
static bool read_norm(struct ist_folder *folder, const char *name, size_t n, double eps,
		      double *gain, float *bias)
{
	struct ist_shape shape = IST_SHAPE(n);
	const float *gamma = ist_folder_weight(folder, shape, "%s.weight", name);
	const float *beta = ist_folder_weight(folder, shape, "%s.bias", name);
	const float *mean = ist_folder_weight(folder, shape, "%s.running_mean", name);
	const float *variance = ist_folder_weight(folder, shape, "%s.running_var", name);

	if (variance == NULL) /* the last one: NULL after any fault */
		return false;
	for (size_t c = 0; c < n; c++) {
		gain[c] = gamma[c] / sqrt(variance[c] + eps);
		bias[c] = (float)(beta[c] - mean[c] * gain[c]);
	}
	return true;
}

static enum ist_code check_norm(const struct named_conv *c, const double *gain, struct ist_err *err)
{
	for (size_t o = 0; o < c->conv.out; o++) {
		if (!isfinite(gain[o]))
			return ist_fail(err, IST_CORRUPT,
					"tensor %s.running_var: the variance of channel %zu is "
					"not positive",
					c->norm, o);
	}
	return IST_OK;
}

static enum ist_code load_conv(struct ist_folder *folder, const struct named_conv *c, double eps,
			       struct ist_convnet *net, size_t i, struct ist_err *err)
{
	size_t out = c->conv.out, in = c->conv.depthwise ? 1 : c->conv.in, k = c->conv.kernel;
	size_t taps = in * k * k;
	const float *w =
	    ist_folder_weight(folder, IST_SHAPE(out, in, k, k), "%s.weight", c->weights);
	ist_autofree double *gain = ist_alloc(out, sizeof(*gain));
	ist_autofree float *bias = ist_alloc(out, sizeof(*bias)), *folded = NULL;
	enum ist_code code;

	if (!read_norm(folder, c->norm, out, eps, gain, bias))
		return ist_folder_check(folder, err);
	code = check_norm(c, gain, err);
	if (code != IST_OK)
		return code;
	folded = ist_alloc_raw(out * taps, sizeof(*folded));
	for (size_t o = 0; o < out; o++) {
		for (size_t t = 0; t < taps; t++)
			folded[o * taps + t] = (float)(w[o * taps + t] * gain[o]);
	}
	return ist_convnet_load(net, i, folded, bias, err);
}

/* ---- the network ---- */

static enum ist_code create_net(struct ist_folder *folder, const struct config *config,
				const struct ist_convnet_kind *kind, uint32_t height,
				uint32_t width, struct ist_convnet **ret, struct ist_err *err)
{
	ist_autofree struct network *net = ist_alloc(1, sizeof(*net));
	ist_autofree struct ist_conv *convs = NULL;
	enum ist_code code;

	add_layers(net, config);
	code = check_sizes(net, height, width, err);
	if (code != IST_OK)
		return code;
	convs = ist_alloc(net->n, sizeof(*convs));
	for (size_t i = 0; i < net->n; i++)
		convs[i] = net->convs[i].conv;
	code = ist_convnet_create(kind, convs, net->n, height, width, ret, err);
	for (size_t i = 0; code == IST_OK && i < net->n; i++)
		code = load_conv(folder, &net->convs[i], config->eps, *ret, i, err);
	return code;
}

/* A half-loaded net is not handed out. */
static enum ist_code open_net(struct ist_folder *folder, const struct config *config,
			      const struct ist_convnet_kind *kind, uint32_t height, uint32_t width,
			      struct ist_convnet **ret, struct ist_err *err)
{
	struct ist_convnet *net = NULL;
	enum ist_code code = create_net(folder, config, kind, height, width, &net, err);

	if (code != IST_OK) {
		ist_convnet_destroy(net);
		return code;
	}
	*ret = net;
	return IST_OK;
}

enum ist_code ist_efficientnet_open(struct ist_folder *folder, const struct ist_convnet_kind *kind,
				    uint32_t height, uint32_t width, struct ist_convnet **ret,
				    struct ist_err *err)
{
	struct config config = {0};
	enum ist_code code = read_config(ist_folder_config(folder), &config, err);

	return code == IST_OK ? open_net(folder, &config, kind, height, width, ret, err) : code;
}

/* ---- the encoder ---- */

static enum ist_code open_encoder(struct ist_encoder *encoder, struct ist_folder *folder,
				  struct ist_err *err)
{
	struct config config = {0};
	struct ist_convnet *net = NULL;
	struct ist_shape3 last;
	uint32_t side;
	enum ist_code code = read_config(ist_folder_config(folder), &config, err);

	side = (uint32_t)config.image_size;
	if (code == IST_OK)
		code = open_net(folder, &config, NULL, side, side, &net, err);
	if (code != IST_OK)
		return code;
	/* The net has copies of all it needs. */
	ist_folder_drop_weights(folder);
	encoder->state = net;
	encoder->dim = config.head;
	last = ist_convnet_shape(net, ist_convnet_n(net) - 1);
	encoder->map = (struct ist_map_size){last.height, last.width, last.channels};
	encoder->frame = (struct ist_frame){
	    .geometry = IST_GEOMETRY_AUTO,
	    .filter = IST_FILTER_BICUBIC,
	    .side = side,
	    .short_side = (uint32_t)config.crop_short_side,
	};
	return IST_OK;
}

static void close_encoder(struct ist_encoder *encoder)
{
	ist_convnet_destroy(encoder->state);
}

/* The feature, or the map where that is wanted. */
static enum ist_code run(const struct ist_encoder *encoder, const struct ist_pixels *pixels,
			 bool map, float *ret, struct ist_err *err)
{
	struct ist_convnet_pass *pass = NULL;
	enum ist_code code = ist_convnet_begin(encoder->state, &pass, err);

	if (code != IST_OK)
		return code;
	ist_convnet_put_bytes(pass, pixels->rgb);
	code = ist_convnet_forward(pass, NULL, NULL, err);
	if (code == IST_OK && map)
		code = ist_convnet_map(pass, ret, err);
	else if (code == IST_OK)
		ist_convnet_pooled(pass, ret);
	ist_convnet_end(pass);
	return code;
}

static enum ist_code image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	return run(encoder, pixels, false, ret, err);
}

static enum ist_code image_map(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			       const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	return run(encoder, pixels, true, ret, err);
}

const struct ist_encoder_arch ist_encoder_efficientnet = {
    .name = "efficientnet-lite",
    .title = "EfficientNet-Lite, a convolutional network trained on photographs",
    .needs_folder = true,
    .open = open_encoder,
    .close = close_encoder,
    .image = image,
    .image_map = image_map,
};
