/*
 * CLIP: pictures and texts in one space. Any folder in the layout of transformers' CLIPModel: a
 * vision transformer over patches, read at its class token; a causal transformer over byte-pair
 * tokens, read at the end-of-text token; a projection of each into the common space, where
 * features have unit length.
 *
 * The tables below name every tensor by its place in struct clip: weights are pointers into the
 * folder's map and the only copy. A run takes its scratch from the workspace.
 */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/bpe.h"
#include "core/encode/clip_private.h"
#include "core/encode/encoder_private.h"
#include "core/encode/transformer.h"

#define BATCH 1024 /* tokens that run together, about: more only leave the cache */

struct clip {
	struct ist_clip_config config;
	struct ist_bpe *bpe;
	struct ist_transformer text, vision;
	const float *token;		   /* (n_ids, text width) */
	const float *text_position;	   /* (n_positions, text width) */
	const float *class_token;	   /* (vision width) */
	const float *vision_position;	   /* (n_patches + 1, vision width) */
	struct ist_linear patch;	   /* (vision width, 3 patch patch) */
	struct ist_norm first, last;	   /* of the vision tower */
	struct ist_norm final;		   /* of the text tower */
	struct ist_linear text_projection; /* (dim, text width) */
	struct ist_linear projection;	   /* (dim, vision width) */
};

/* ---- loading ---- */

static void load_linear(struct ist_folder *folder, struct ist_linear *ret, const char *name,
			size_t out, size_t in)
{
	ret->weight = ist_folder_weight(folder, IST_SHAPE(out, in), "%s.weight", name);
	ret->bias = ist_folder_weight(folder, IST_SHAPE(out), "%s.bias", name);
}

static void load_norm(struct ist_folder *folder, struct ist_norm *ret, const char *name,
		      size_t width)
{
	ret->weight = ist_folder_weight(folder, IST_SHAPE(width), "%s.weight", name);
	ret->bias = ist_folder_weight(folder, IST_SHAPE(width), "%s.bias", name);
}

static void load_block(struct ist_folder *folder, struct ist_transformer_block *block,
		       const char *prefix, size_t width, size_t inner)
{
	const struct {
		const char *name;
		struct ist_linear *linear;
		size_t out, in;
	} linears[] = {
	    {"self_attn.q_proj", &block->query, width, width},
	    {"self_attn.k_proj", &block->key, width, width},
	    {"self_attn.v_proj", &block->value, width, width},
	    {"self_attn.out_proj", &block->output, width, width},
	    {"mlp.fc1", &block->up, inner, width},
	    {"mlp.fc2", &block->down, width, inner},
	};
	const struct {
		const char *name;
		struct ist_norm *norm;
	} norms[] = {{"layer_norm1", &block->attention_norm}, {"layer_norm2", &block->mlp_norm}};

	for (size_t i = 0; i < IST_COUNT(linears); i++) {
		ist_autofree char *name = ist_format("%s.%s", prefix, linears[i].name);

		load_linear(folder, linears[i].linear, name, linears[i].out, linears[i].in);
	}
	for (size_t i = 0; i < IST_COUNT(norms); i++) {
		ist_autofree char *name = ist_format("%s.%s", prefix, norms[i].name);

		load_norm(folder, norms[i].norm, name, width);
	}
}

/* The blocks are the tower's to free. */
static void load_tower(struct ist_folder *folder, struct ist_transformer *ret, const char *name,
		       const struct ist_clip_tower *tower, bool causal)
{
	struct ist_transformer_block *blocks = ist_alloc(tower->n_blocks, sizeof(*blocks));

	*ret = (struct ist_transformer){.n_blocks = tower->n_blocks,
					.width = tower->width,
					.n_heads = tower->n_heads,
					.inner = tower->inner,
					.norm_before = true,
					.causal = causal,
					.eps = (float)tower->eps,
					.blocks = blocks};
	ist_activation_find(ist_clip_acts[tower->act], &ret->activation);
	for (size_t i = 0; i < tower->n_blocks; i++) {
		ist_autofree char *prefix = ist_format("%s.encoder.layers.%zu", name, i);

		load_block(folder, &blocks[i], prefix, tower->width, tower->inner);
	}
}

static size_t n_patches(const struct ist_clip_config *config)
{
	size_t n = config->side / config->patch;

	return n * n;
}

static enum ist_code load_weights(struct clip *clip, struct ist_folder *folder, struct ist_err *err)
{
	const struct ist_clip_config *c = &clip->config;
	size_t text = c->text.width, vision = c->vision.width;

	load_tower(folder, &clip->text, "text_model", &c->text, true);
	load_tower(folder, &clip->vision, "vision_model", &c->vision, false);
	clip->token = ist_folder_weight(folder, IST_SHAPE(c->n_ids, text),
					"text_model.embeddings.token_embedding.weight");
	clip->text_position = ist_folder_weight(folder, IST_SHAPE(c->n_positions, text),
						"text_model.embeddings.position_embedding.weight");
	load_norm(folder, &clip->final, "text_model.final_layer_norm", text);
	clip->class_token =
	    ist_folder_weight(folder, IST_SHAPE(vision), "vision_model.embeddings.class_embedding");
	clip->patch.weight = ist_folder_weight(folder, IST_SHAPE(vision, 3, c->patch, c->patch),
					       "vision_model.embeddings.patch_embedding.weight");
	clip->vision_position =
	    ist_folder_weight(folder, IST_SHAPE(n_patches(c) + 1, vision),
			      "vision_model.embeddings.position_embedding.weight");
	load_norm(folder, &clip->first, "vision_model.pre_layrnorm", vision);
	load_norm(folder, &clip->last, "vision_model.post_layernorm", vision);
	clip->text_projection.weight =
	    ist_folder_weight(folder, IST_SHAPE(c->dim, text), "text_projection.weight");
	clip->projection.weight =
	    ist_folder_weight(folder, IST_SHAPE(c->dim, vision), "visual_projection.weight");
	return ist_folder_check(folder, err);
}

static void close_clip(struct ist_encoder *encoder)
{
	struct clip *clip = encoder->state;

	if (clip == NULL)
		return;
	ist_bpe_close(clip->bpe);
	free((void *)clip->text.blocks);
	free((void *)clip->vision.blocks);
	free(clip);
}

static enum ist_code open_clip(struct ist_encoder *encoder, struct ist_folder *folder,
			       struct ist_err *err)
{
	struct clip *clip = ist_alloc(1, sizeof(*clip));
	enum ist_code code;

	encoder->state = clip;
	code = ist_clip_config_read(folder, &clip->config, err);
	if (code == IST_OK)
		code = ist_bpe_open(folder, clip->config.n_ids, &clip->bpe, err);
	if (code == IST_OK)
		code = load_weights(clip, folder, err);
	encoder->dim = clip->config.dim;
	encoder->frame = clip->config.frame;
	return code;
}

/* ---- both towers ---- */

static void add(float *x, const float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] += y[i];
}

static void scale_to_unit(float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	for (size_t i = 0; i < n; i++)
		x[i] = (float)(x[i] / sqrt(sum));
}

/* ---- pictures ---- */

/* Row i of ret: patch i as its convolution sees it, channel by channel, line by line. */
static void cut_patches(const struct ist_clip_config *c, const struct ist_pixels *pixels,
			float *ret)
{
	size_t n = c->side / c->patch, p = c->patch;

	for (size_t i = 0; i < n * n; i++) {
		const uint8_t *corner = pixels->rgb + (i / n * p * pixels->width + i % n * p) * 3;

		for (size_t k = 0; k < 3; k++)
			for (size_t y = 0; y < p; y++)
				for (size_t x = 0; x < p; x++)
					*ret++ =
					    c->value[k][corner[(y * pixels->width + x) * 3 + k]];
	}
}

static enum ist_code image(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_pixels *pixels, float *ret, struct ist_err *err)
{
	const struct clip *clip = encoder->state;
	const struct ist_clip_config *c = &clip->config;
	size_t n = n_patches(c), width = c->vision.width, in = 3 * c->patch * c->patch;
	float *patches = ist_arena_alloc(&ws->arena, n * in, sizeof(*patches));
	float *x = ist_arena_alloc(&ws->arena, (n + 1) * width, sizeof(*x));
	size_t starts[2] = {0, n + 1};

	cut_patches(c, pixels, patches);
	memcpy(x, clip->class_token, width * sizeof(*x));
	ist_linear_run(&clip->patch, in, width, IST_ACT_NONE, patches, n, x + width, &ws->arena);
	add(x, clip->vision_position, (n + 1) * width);
	ist_norm_run(&clip->first, clip->vision.eps, n + 1, width, x);
	ist_transformer_run(&clip->vision, starts, 1, x, &ws->arena);
	ist_norm_run(&clip->last, clip->vision.eps, 1, width, x);
	ist_linear_run(&clip->projection, width, c->dim, IST_ACT_NONE, x, 1, ret, &ws->arena);
	scale_to_unit(ret, c->dim);
	return IST_OK;
}

/* ---- texts ---- */

/* Texts that run together: ids end to end, text i from starts[i], read at its last one. */
struct batch {
	int32_t *ids;
	size_t *starts;
	size_t n;
};

/*
 * Where a text is read. Folders whose eos_token_id is 2 are older than the rule that this names
 * the token: there it is the largest id, which the end mark is in CLIP's own vocabulary.
 */
static size_t place_of_end(const int32_t *ids, size_t n, size_t eos)
{
	size_t largest = 0;

	for (size_t i = 0; i < n && eos != 2; i++) {
		if ((size_t)ids[i] == eos)
			return i;
	}
	for (size_t i = 1; i < n && eos == 2; i++) {
		if (ids[i] > ids[largest])
			largest = i;
	}
	return largest;
}

/* Takes texts until the batch is full; what stands behind the place that is read, which looks back
 * only, is left out. */
static enum ist_code fill(const struct clip *clip, struct ist_encoder_workspace *ws,
			  const struct ist_str *texts, size_t n, struct batch *batch,
			  struct ist_err *err)
{
	const struct ist_clip_config *c = &clip->config;
	enum ist_code code = IST_OK;
	size_t at = 0, n_ids;

	batch->ids = ist_arena_alloc(&ws->arena, BATCH + c->n_positions, sizeof(*batch->ids));
	batch->starts = ist_arena_alloc(&ws->arena, IST_MIN(n, BATCH) + 1, sizeof(size_t));
	for (batch->n = 0; batch->n < n && at < BATCH && code == IST_OK; batch->n++) {
		ist_arena_reset(&ws->tokens);
		code = ist_bpe_encode(clip->bpe, texts[batch->n], c->n_positions, &ws->tokens,
				      batch->ids + at, &n_ids, err);
		if (code == IST_OK)
			at += place_of_end(batch->ids + at, n_ids, c->eos) + 1;
		batch->starts[batch->n + 1] = at;
	}
	return code;
}

/* x: (tokens, width) */
static void embed(const struct clip *clip, const struct batch *batch, float *x)
{
	size_t width = clip->config.text.width;

	for (size_t i = 0; i < batch->n; i++) {
		for (size_t t = batch->starts[i]; t < batch->starts[i + 1]; t++) {
			memcpy(x + t * width, clip->token + (size_t)batch->ids[t] * width,
			       width * sizeof(*x));
			add(x + t * width, clip->text_position + (t - batch->starts[i]) * width,
			    width);
		}
	}
}

static void run_batch(const struct clip *clip, struct ist_arena *arena, const struct batch *batch,
		      float *ret)
{
	size_t width = clip->config.text.width, dim = clip->config.dim;
	float *x = ist_arena_alloc(arena, batch->starts[batch->n] * width, sizeof(*x));
	float *ends = ist_arena_alloc(arena, batch->n * width, sizeof(*ends));

	embed(clip, batch, x);
	ist_transformer_run(&clip->text, batch->starts, batch->n, x, arena);
	for (size_t i = 0; i < batch->n; i++)
		memcpy(ends + i * width, x + (batch->starts[i + 1] - 1) * width,
		       width * sizeof(*x));
	ist_norm_run(&clip->final, clip->text.eps, batch->n, width, ends);
	ist_linear_run(&clip->text_projection, width, dim, IST_ACT_NONE, ends, batch->n, ret,
		       arena);
	for (size_t i = 0; i < batch->n; i++)
		scale_to_unit(ret + i * dim, dim);
}

static enum ist_code texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_str *texts, size_t n, float *ret, struct ist_err *err)
{
	const struct clip *clip = encoder->state;
	struct batch batch;

	for (size_t done = 0; done < n; done += batch.n) {
		enum ist_code code;

		ist_arena_reset(&ws->arena);
		code = fill(clip, ws, texts + done, n - done, &batch, err);
		if (code != IST_OK)
			return code;
		run_batch(clip, &ws->arena, &batch, ret + done * encoder->dim);
	}
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_clip = {
    .name = "clip",
    .title = "CLIP: pictures and texts in one space",
    .needs_folder = true,
    .open = open_clip,
    .close = close_clip,
    .image = image,
    .texts = texts,
};
