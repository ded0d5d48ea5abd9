/*
 * CLIP's config.json and preprocessor_config.json, with the defaults of the transformers package
 * for what a folder leaves out. Two members of one folder that contradict each other are an error
 * here, so that the towers need no checks of their own.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/clip_private.h"

#define FILE_LIMIT (1 << 20)
#define TOKENS_MAX 4097 /* attention takes their square */

const char *const ist_clip_acts[] = {"quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", NULL};

#define AT(member) offsetof(struct ist_clip_config, member)
#define TOWER(tower)                                                                               \
	{"hidden_size", IST_MEMBER_SIZE, AT(tower.width), 1, 16384, .optional = true},             \
	    {"intermediate_size", IST_MEMBER_SIZE, AT(tower.inner), 1, 65536, .optional = true},   \
	    {"num_hidden_layers", IST_MEMBER_SIZE, AT(tower.n_blocks), 1, 256, .optional = true},  \
	    {"num_attention_heads", IST_MEMBER_SIZE, AT(tower.n_heads), 1, 512, .optional = true}, \
	    {"layer_norm_eps", IST_MEMBER_REAL, AT(tower.eps), 0, 1, .optional = true},            \
	{                                                                                          \
		"hidden_act", IST_MEMBER_CHOICE, AT(tower.act), .choices = ist_clip_acts,          \
								.optional = true                   \
	}

static const struct ist_member text_members[] = {
    TOWER(text),
    {"vocab_size", IST_MEMBER_SIZE, AT(n_ids), 1, 1 << 24, .optional = true},
    {"max_position_embeddings", IST_MEMBER_SIZE, AT(n_positions), 2, TOKENS_MAX, .optional = true},
    {"eos_token_id", IST_MEMBER_SIZE, AT(eos), 0, 1 << 24, .optional = true},
};
static const struct ist_member vision_members[] = {
    TOWER(vision),
    {"image_size", IST_MEMBER_SIZE, AT(side), 1, 4096, .optional = true},
    {"patch_size", IST_MEMBER_SIZE, AT(patch), 1, 4096, .optional = true},
};
static const struct ist_member members[] = {
    {"projection_dim", IST_MEMBER_SIZE, AT(dim), 1, 16384, .optional = true},
};

/* Older folders have the whole of a tower's settings under "…_dict", which then counts alone. */
static const json_t *section(const json_t *config, const char *name)
{
	ist_autofree char *dict = ist_format("%s_dict", name);
	const json_t *json = json_object_get(config, dict);

	return json_is_object(json) ? json : json_object_get(config, name);
}

static enum ist_code check_tower(const char *where, const struct ist_clip_tower *tower,
				 struct ist_err *err)
{
	if (tower->width % tower->n_heads != 0)
		return ist_fail(err, IST_CORRUPT,
				"%s: \"hidden_size\" %zu is no multiple of the %zu heads of "
				"\"num_attention_heads\"",
				where, tower->width, tower->n_heads);
	return IST_OK;
}

static enum ist_code check_patches(const struct ist_clip_config *config, struct ist_err *err)
{
	size_t n = config->side / config->patch;

	if (config->patch > config->side)
		return ist_fail(err, IST_CORRUPT,
				"config.json: vision_config: \"patch_size\" %zu is larger than "
				"\"image_size\" %zu",
				config->patch, config->side);
	if (n * n + 1 > TOKENS_MAX)
		return ist_fail(err, IST_CORRUPT,
				"config.json: vision_config: %zu x %zu patches are more than %d "
				"tokens",
				n, n, TOKENS_MAX);
	return IST_OK;
}

static enum ist_code read_config(const json_t *json, struct ist_clip_config *ret,
				 struct ist_err *err)
{
	static const char text[] = "config.json: text_config";
	static const char vision[] = "config.json: vision_config";
	static const struct ist_member colours[] = {
	    {"num_channels", IST_MEMBER_SIZE, 0, 3, 3, .optional = true}};
	size_t n_channels;
	enum ist_code code;

	code = ist_members_read(json, "config.json", members, IST_COUNT(members), ret, err);
	if (code == IST_OK)
		code = ist_members_read(section(json, "text_config"), text, text_members,
					IST_COUNT(text_members), ret, err);
	if (code == IST_OK)
		code = ist_members_read(section(json, "vision_config"), vision, vision_members,
					IST_COUNT(vision_members), ret, err);
	if (code == IST_OK)
		code = ist_members_read(section(json, "vision_config"), vision, colours, 1,
					&n_channels, err);
	if (code == IST_OK)
		code = check_tower(text, &ret->text, err);
	if (code == IST_OK)
		code = check_tower(vision, &ret->vision, err);
	return code == IST_OK ? check_patches(ret, err) : code;
}

/* ---- pictures ---- */

struct picture {
	bool resize, crop, rescale, normalise;
	size_t filter; /* Pillow's number */
	double factor;
	double mean[3], sd[3];
};

static const struct ist_member picture_members[] = {
    {"do_resize", IST_MEMBER_BOOL, offsetof(struct picture, resize), .optional = true},
    {"do_center_crop", IST_MEMBER_BOOL, offsetof(struct picture, crop), .optional = true},
    {"do_rescale", IST_MEMBER_BOOL, offsetof(struct picture, rescale), .optional = true},
    {"do_normalize", IST_MEMBER_BOOL, offsetof(struct picture, normalise), .optional = true},
    {"resample", IST_MEMBER_SIZE, offsetof(struct picture, filter), 2, 4, .optional = true},
    {"rescale_factor", IST_MEMBER_REAL, offsetof(struct picture, factor), 0, 1, .optional = true},
};

/* Three numbers, or what is there stays. */
static enum ist_code read_colours(const json_t *json, const char *where, const char *name,
				  double min, double ret[3], struct ist_err *err)
{
	const json_t *list = json_object_get(json, name);

	if (list == NULL || json_is_null(list))
		return IST_OK;
	for (size_t i = 0; i < 3; i++) {
		const json_t *x = json_array_get(list, i);

		ret[i] = json_number_value(x);
		if (json_array_size(list) != 3 || !json_is_number(x) || ret[i] < min ||
		    ret[i] > 1e6)
			return ist_fail(err, IST_CORRUPT,
					"%s: \"%s\" is no list of three numbers from %g to 1e6",
					where, name, min);
	}
	return IST_OK;
}

/* 224, {"shortest_edge": 224}, {"height": 224, "width": 224}: the first two set *ret_short and make
 * the others 0. */
static enum ist_code read_size(const json_t *json, const char *where, const char *name,
			       size_t *ret_short, size_t ret[2], struct ist_err *err)
{
	static const struct ist_member both[] = {
	    {"width", IST_MEMBER_SIZE, 0, 1, 4096},
	    {"height", IST_MEMBER_SIZE, sizeof(size_t), 1, 4096}};
	static const struct ist_member one[] = {{"shortest_edge", IST_MEMBER_SIZE, 0, 1, 4096}};
	const json_t *size = json_object_get(json, name);
	ist_autofree char *path = ist_format("%s: %s", where, name);
	json_t *number;
	enum ist_code code;

	if (size == NULL || json_is_null(size))
		return IST_OK;
	*ret_short = ret[0] = ret[1] = 0;
	if (json_is_object(size) && json_object_get(size, "shortest_edge") == NULL)
		return ist_members_read(size, path, both, IST_COUNT(both), ret, err);
	if (json_is_object(size))
		return ist_members_read(size, path, one, IST_COUNT(one), ret_short, err);
	number = json_pack("{s:O}", "shortest_edge", size);
	code = ist_members_read(number, path, one, IST_COUNT(one), ret_short, err);
	json_decref(number);
	return code;
}

/* In float after the scaling, as transformers computes it. */
static void fill_values(const struct picture *p, float ret[3][256])
{
	for (int c = 0; c < 3; c++) {
		for (int v = 0; v < 256; v++) {
			float x = (float)(p->rescale ? v * p->factor : v);

			ret[c][v] = p->normalise ? (x - (float)p->mean[c]) / (float)p->sd[c] : x;
		}
	}
}

/* The one way that is walked here: the shorter side resized, then the tower's square cut out of the
 * middle. */
static enum ist_code check_picture(const struct picture *p, size_t short_side, const size_t crop[2],
				   const char *where, size_t side, struct ist_err *err)
{
	if (!p->resize || !p->crop || short_side == 0)
		return ist_fail(err, IST_CORRUPT,
				"%s: wanted: \"do_resize\" and \"do_center_crop\" true, \"size\" "
				"with a \"shortest_edge\"",
				where);
	if (crop[0] != side || crop[1] != side)
		return ist_fail(err, IST_CORRUPT,
				"%s: \"crop_size\" is %zu x %zu, but \"image_size\" of config.json "
				"is %zu",
				where, crop[0], crop[1], side);
	if (short_side < side)
		return ist_fail(err, IST_CORRUPT,
				"%s: \"shortest_edge\" %zu is smaller than \"crop_size\" %zu",
				where, short_side, side);
	return IST_OK;
}

static enum ist_code read_picture(const json_t *json, const char *where,
				  struct ist_clip_config *ret, struct ist_err *err)
{
	static const enum ist_resample_filter filters[] = {
	    [2] = IST_FILTER_BILINEAR, [3] = IST_FILTER_BICUBIC, [4] = IST_FILTER_BOX};
	struct picture p = {true,
			    true,
			    true,
			    true,
			    3,
			    1 / 255.0,
			    {0.48145466, 0.4578275, 0.40821073},
			    {0.26862954, 0.26130258, 0.27577711}};
	size_t short_side = ret->side, size[2], crop[2] = {ret->side, ret->side}, square = 0;
	enum ist_code code;

	code = ist_members_read(json, where, picture_members, IST_COUNT(picture_members), &p, err);
	if (code == IST_OK)
		code = read_colours(json, where, "image_mean", -1e6, p.mean, err);
	if (code == IST_OK)
		code = read_colours(json, where, "image_std", 1e-6, p.sd, err);
	if (code == IST_OK)
		code = read_size(json, where, "size", &short_side, size, err);
	if (code == IST_OK)
		code = read_size(json, where, "crop_size", &square, crop, err);
	if (code != IST_OK)
		return code;
	if (square != 0)
		crop[0] = crop[1] = square;
	ret->frame = (struct ist_frame){IST_GEOMETRY_CROP, filters[p.filter], (uint32_t)ret->side,
					(uint32_t)short_side};
	fill_values(&p, ret->value);
	return check_picture(&p, short_side, crop, where, ret->side, err);
}

/* Either file may hold the settings; newer ones have them inside a member. */
static enum ist_code read_preprocessor(struct ist_folder *folder, struct ist_clip_config *ret,
				       struct ist_err *err)
{
	const char *where = "preprocessor_config.json";
	json_t *json = NULL, *inner;
	enum ist_code code = ist_folder_json(folder, where, FILE_LIMIT, &json, err);

	if (code == IST_NOT_FOUND) {
		where = "processor_config.json";
		code = ist_folder_json(folder, where, FILE_LIMIT, &json, err);
	}
	if (code == IST_NOT_FOUND) {
		json = json_object();
		code = IST_OK;
	}
	if (code != IST_OK)
		return code;
	inner = json_object_get(json, "image_processor");
	code = read_picture(json_is_object(inner) ? inner : json, where, ret, err);
	json_decref(json);
	return code;
}

enum ist_code ist_clip_config_read(struct ist_folder *folder, struct ist_clip_config *ret,
				   struct ist_err *err)
{
	enum ist_code code;

	*ret = (struct ist_clip_config){.text = {512, 2048, 12, 8, 0, 1e-5},
					.vision = {768, 3072, 12, 12, 0, 1e-5},
					.n_ids = 49408,
					.n_positions = 77,
					.eos = 49407,
					.side = 224,
					.patch = 32,
					.dim = 512};
	code = read_config(ist_folder_config(folder), ret, err);
	return code == IST_OK ? read_preprocessor(folder, ret, err) : code;
}
