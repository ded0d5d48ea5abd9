/*
 * "bert": sentence encoders of the BERT kind in the layout of the sentence-transformers package.
 * WordPiece ids; word, position and type embeddings, a norm; the transformer with its norms after;
 * the hidden states pooled (mean, first token or maximum) and scaled to length 1.
 *
 * Texts are packed end to end, without padding, up to BATCH tokens a run: enough to spread the
 * reading of the weights, little enough for the second-level cache. All weights stay where they are
 * mapped, and are shared by all threads. The word embeddings, most of the file, are read row by
 * row: the kernel maps 16 pages around each, so they are given back now and then.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/memory.h"
#include "core/encode/encoder_private.h"
#include "core/encode/transformer.h"
#include "core/encode/wordpiece.h"

#define FILE_LIMIT (1 << 20)
#define TOKENS_MAX 4096 /* attention takes their square */
#define BATCH 256	/* tokens; a longer text runs alone */
#define ROWS_MAPPED 256 /* word embeddings looked up before their pages are given back */
#define PAGE 4096

static const char *const acts[] = {"gelu",	"gelu_new", "gelu_pytorch_tanh",
				   "gelu_fast", "relu",	    NULL};
static const char *const positions[] = {"absolute", NULL};

struct config {
	size_t width, n_blocks, n_heads, inner, n_ids, n_positions, n_types, act, position;
	double eps;
	size_t max; /* tokens of a text, both marks included */
	bool lower;
};

enum pooling { POOL_MEAN, POOL_FIRST, POOL_MAX };

struct bert {
	struct config config;
	enum pooling pooling;
	struct ist_wordpiece *wordpiece;
	const float *word;     /* (n_ids, width) */
	const float *position; /* (n_positions, width) */
	const float *type;     /* (n_types, width); texts are of type 0 */
	struct ist_norm norm;
	struct ist_transformer transformer;
	bool word_mapped; /* not converted: its pages are the file's */
	_Atomic size_t looked_up;
};

/* ---- the folder ---- */

#define AT(member) offsetof(struct config, member)
static const struct ist_member members[] = {
    {"hidden_size", IST_MEMBER_SIZE, AT(width), 1, 16384},
    {"num_hidden_layers", IST_MEMBER_SIZE, AT(n_blocks), 1, 256},
    {"num_attention_heads", IST_MEMBER_SIZE, AT(n_heads), 1, 512},
    {"intermediate_size", IST_MEMBER_SIZE, AT(inner), 1, 65536},
    {"vocab_size", IST_MEMBER_SIZE, AT(n_ids), 1, 1 << 24},
    {"max_position_embeddings", IST_MEMBER_SIZE, AT(n_positions), 2, TOKENS_MAX},
    {"type_vocab_size", IST_MEMBER_SIZE, AT(n_types), 1, 1024, .optional = true},
    {"layer_norm_eps", IST_MEMBER_REAL, AT(eps), 0, 1, .optional = true},
    {"hidden_act", IST_MEMBER_CHOICE, AT(act), .choices = acts, .optional = true},
    {"position_embedding_type", IST_MEMBER_CHOICE, AT(position), .choices = positions,
     .optional = true},
};
static const struct ist_member sentence_members[] = {
    {"max_seq_length", IST_MEMBER_SIZE, AT(max), 2, TOKENS_MAX, .optional = true},
    {"do_lower_case", IST_MEMBER_BOOL, AT(lower), .optional = true},
};

/* A file that may be absent: *ret is NULL then. */
static enum ist_code optional_json(struct ist_folder *folder, const char *name, json_t **ret,
				   struct ist_err *err)
{
	struct ist_err absent;
	enum ist_code code = ist_folder_json(folder, name, FILE_LIMIT, ret, &absent);

	if (code == IST_NOT_FOUND) {
		*ret = NULL;
		return IST_OK;
	}
	return code == IST_OK ? IST_OK : ist_fail(err, code, "%s", absent.text);
}

static enum ist_code read_config(struct ist_folder *folder, struct config *ret, struct ist_err *err)
{
	static const char sentence[] = "sentence_bert_config.json";
	json_t *json;
	enum ist_code code;

	*ret = (struct config){.n_types = 2, .eps = 1e-12};
	code = ist_members_read(ist_folder_config(folder), "config.json", members,
				IST_COUNT(members), ret, err);
	if (code != IST_OK)
		return code;
	if (ret->width % ret->n_heads != 0)
		return ist_fail(err, IST_CORRUPT,
				"config.json: \"hidden_size\" %zu is no multiple of the %zu heads "
				"of \"num_attention_heads\"",
				ret->width, ret->n_heads);
	ret->max = ret->n_positions;
	code = optional_json(folder, sentence, &json, err);
	if (code != IST_OK || json == NULL)
		return code;
	code = ist_members_read(json, sentence, sentence_members, IST_COUNT(sentence_members), ret,
				err);
	json_decref(json);
	ret->max = IST_MIN(ret->max, ret->n_positions);
	return code;
}

/* Exactly one of the modes is on; this program knows three of them. */
static enum ist_code read_pooling(struct ist_folder *folder, enum pooling *ret, struct ist_err *err)
{
	static const struct {
		const char *name;
		enum pooling pooling;
	} modes[] = {{"pooling_mode_mean_tokens", POOL_MEAN},
		     {"pooling_mode_cls_token", POOL_FIRST},
		     {"pooling_mode_max_tokens", POOL_MAX}};
	static const char file[] = "1_Pooling/config.json", prefix[] = "pooling_mode_";
	size_t n = 0, known = 0;
	const char *key, *other = "none";
	json_t *json, *value;
	enum ist_code code = optional_json(folder, file, &json, err);

	*ret = POOL_MEAN;
	if (code != IST_OK || json == NULL)
		return code;
	json_object_foreach(json, key, value)
	{
		if (strncmp(key, prefix, strlen(prefix)) != 0 || !json_is_true(value))
			continue;
		n++;
		other = key;
		for (size_t i = 0; i < IST_COUNT(modes); i++) {
			if (strcmp(modes[i].name, key) == 0) {
				*ret = modes[i].pooling;
				known++;
			}
		}
	}
	if (n != 1 || known != 1)
		code = ist_fail(err, IST_INVALID,
				"%s: mean, cls or max is wanted, one of them; %zu are on (%.64s)",
				file, n, other);
	json_decref(json);
	return code;
}

/* What stands behind the pooling would change the features: a projection, say. */
static enum ist_code check_modules(struct ist_folder *folder, struct ist_err *err)
{
	static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	struct ist_err absent;
	enum ist_code code = ist_folder_read(folder, "modules.json", FILE_LIMIT, &text, &absent);
	json_error_t where;
	json_t *list, *module;
	size_t i;

	if (code != IST_OK)
		return code == IST_NOT_FOUND ? IST_OK : ist_fail(err, code, "%s", absent.text);
	list = json_loadb(text.len > 0 ? text.data : "", text.len, 0, &where);
	if (!json_is_array(list))
		code = ist_fail(err, IST_CORRUPT, "modules.json is no JSON list");
	json_array_foreach(list, i, module)
	{
		const char *type = json_string_value(json_object_get(module, "type"));
		const char *name = type != NULL ? strrchr(type, '.') : NULL;
		bool found = false;

		for (size_t k = 0; k < IST_COUNT(known) && name != NULL; k++)
			found = found || strcmp(name + 1, known[k]) == 0;
		if (!found && code == IST_OK)
			code = ist_fail(err, IST_INVALID,
					"modules.json: a module of type \"%.64s\" is not known "
					"here",
					type != NULL ? type : "");
	}
	json_decref(list);
	return code;
}

/* ---- weights ---- */

/* How the tensors of this folder are named. */
struct names {
	const char *prefix;	   /* "bert." where the model was saved with a head */
	const char *weight, *bias; /* of norms: files of older programs have gamma and beta */
};

static struct names find_names(const struct ist_folder *folder)
{
	static const char probe[] = "bert.embeddings.word_embeddings.weight";
	struct names names = {ist_folder_find(folder, probe) != NULL ? "bert." : "", "weight",
			      "bias"};
	ist_autofree char *old = ist_format("%sembeddings.LayerNorm.gamma", names.prefix);

	if (ist_folder_find(folder, old) != NULL) {
		names.weight = "gamma";
		names.bias = "beta";
	}
	return names;
}

static void load_norm(struct ist_folder *folder, struct names names, struct ist_norm *ret,
		      const char *name, size_t width)
{
	ret->weight = ist_folder_weight(folder, IST_SHAPE(width), "%s%s.LayerNorm.%s", names.prefix,
					name, names.weight);
	ret->bias = ist_folder_weight(folder, IST_SHAPE(width), "%s%s.LayerNorm.%s", names.prefix,
				      name, names.bias);
}

static void load_block(struct ist_folder *folder, struct names names, size_t n,
		       const struct config *c, struct ist_transformer_block *block)
{
	const struct {
		const char *name;
		struct ist_linear *linear;
		size_t out, in;
	} linears[] = {
	    {"attention.self.query", &block->query, c->width, c->width},
	    {"attention.self.key", &block->key, c->width, c->width},
	    {"attention.self.value", &block->value, c->width, c->width},
	    {"attention.output.dense", &block->output, c->width, c->width},
	    {"intermediate.dense", &block->up, c->inner, c->width},
	    {"output.dense", &block->down, c->width, c->inner},
	};
	const struct {
		const char *name;
		struct ist_norm *norm;
	} norms[] = {{"attention.output", &block->attention_norm}, {"output", &block->mlp_norm}};

	for (size_t i = 0; i < IST_COUNT(linears); i++) {
		ist_autofree char *name =
		    ist_format("%sencoder.layer.%zu.%s", names.prefix, n, linears[i].name);

		linears[i].linear->weight = ist_folder_weight(
		    folder, IST_SHAPE(linears[i].out, linears[i].in), "%s.weight", name);
		linears[i].linear->bias =
		    ist_folder_weight(folder, IST_SHAPE(linears[i].out), "%s.bias", name);
	}
	for (size_t i = 0; i < IST_COUNT(norms); i++) {
		ist_autofree char *name = ist_format("encoder.layer.%zu.%s", n, norms[i].name);

		load_norm(folder, names, norms[i].norm, name, c->width);
	}
}

static enum ist_code load_weights(struct bert *bert, struct ist_folder *folder, struct ist_err *err)
{
	const struct config *c = &bert->config;
	struct names names = find_names(folder);
	struct ist_transformer_block *blocks = ist_alloc(c->n_blocks, sizeof(*blocks));
	ist_autofree char *word = ist_format("%sembeddings.word_embeddings.weight", names.prefix);
	const struct ist_safetensor *stored = ist_folder_find(folder, word);

	bert->transformer = (struct ist_transformer){.n_blocks = c->n_blocks,
						     .width = c->width,
						     .n_heads = c->n_heads,
						     .inner = c->inner,
						     .eps = (float)c->eps,
						     .blocks = blocks};
	ist_activation_find(acts[c->act], &bert->transformer.activation);
	bert->word = ist_folder_weight(folder, IST_SHAPE(c->n_ids, c->width), "%s", word);
	bert->word_mapped = stored != NULL && bert->word == stored->data;
	bert->position = ist_folder_weight(folder, IST_SHAPE(c->n_positions, c->width),
					   "%sembeddings.position_embeddings.weight", names.prefix);
	bert->type = ist_folder_weight(folder, IST_SHAPE(c->n_types, c->width),
				       "%sembeddings.token_type_embeddings.weight", names.prefix);
	load_norm(folder, names, &bert->norm, "embeddings", c->width);
	for (size_t i = 0; i < c->n_blocks; i++)
		load_block(folder, names, i, c, &blocks[i]);
	return ist_folder_check(folder, err);
}

static void close_bert(struct ist_encoder *encoder)
{
	struct bert *bert = encoder->state;

	if (bert == NULL)
		return;
	ist_wordpiece_close(bert->wordpiece);
	free((void *)bert->transformer.blocks);
	free(bert);
}

static enum ist_code open_bert(struct ist_encoder *encoder, struct ist_folder *folder,
			       struct ist_err *err)
{
	struct bert *bert = ist_alloc(1, sizeof(*bert));
	enum ist_code code;

	encoder->state = bert;
	code = read_config(folder, &bert->config, err);
	if (code == IST_OK)
		code = read_pooling(folder, &bert->pooling, err);
	if (code == IST_OK)
		code = check_modules(folder, err);
	if (code == IST_OK)
		code = ist_wordpiece_open(folder, bert->config.lower, bert->config.n_ids,
					  &bert->wordpiece, err);
	if (code == IST_OK)
		code = load_weights(bert, folder, err);
	encoder->dim = bert->config.width;
	return code;
}

/* ---- texts ---- */

/* Texts that run together: ids end to end, text i from starts[i]. */
struct batch {
	int32_t *ids;
	size_t *starts;
	size_t n;
};

/* Takes texts until the batch is full. */
static enum ist_code fill(const struct bert *bert, struct ist_encoder_workspace *ws,
			  const struct ist_str *texts, size_t n, struct batch *batch,
			  struct ist_err *err)
{
	size_t at = 0, n_ids = 0, max = bert->config.max;
	enum ist_code code = IST_OK;

	batch->ids = ist_arena_alloc(&ws->arena, BATCH + max, sizeof(*batch->ids));
	batch->starts = ist_arena_alloc(&ws->arena, IST_MIN(n, (size_t)BATCH) + 1, sizeof(size_t));
	for (batch->n = 0; batch->n < n && at < BATCH; batch->n++) {
		ist_arena_reset(&ws->tokens);
		code = ist_wordpiece_encode(bert->wordpiece, texts[batch->n], max, &ws->tokens,
					    batch->ids + at, &n_ids, err);
		if (code != IST_OK)
			return code;
		/* What does not fit goes first into the next one. */
		if (batch->n > 0 && at + n_ids > BATCH)
			return IST_OK;
		at += n_ids;
		batch->starts[batch->n + 1] = at;
	}
	return IST_OK;
}

/* Who passes the mark gives the pages back; others that read meanwhile have them mapped again. */
static void give_back(struct bert *bert, size_t n)
{
	size_t before = atomic_fetch_add_explicit(&bert->looked_up, n, memory_order_relaxed);
	size_t size = bert->config.n_ids * bert->config.width * sizeof(float);
	uintptr_t begin = ((uintptr_t)bert->word + PAGE - 1) / PAGE * PAGE;
	uintptr_t end = ((uintptr_t)bert->word + size) / PAGE * PAGE;

	if (bert->word_mapped && begin < end && before / ROWS_MAPPED != (before + n) / ROWS_MAPPED)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* x: (tokens, width) = word + position + type */
static void embed(const struct bert *bert, const struct batch *batch, float *x)
{
	size_t width = bert->config.width;

	for (size_t i = 0; i < batch->n; i++) {
		for (size_t t = batch->starts[i]; t < batch->starts[i + 1]; t++, x += width) {
			const float *word = bert->word + (size_t)batch->ids[t] * width;
			const float *position = bert->position + (t - batch->starts[i]) * width;

			for (size_t j = 0; j < width; j++)
				x[j] = word[j] + bert->type[j] + position[j];
		}
	}
}

/* x: (n, width) -> ret: (width), of length 1; all zero stays so. */
static void pool(enum pooling pooling, const float *x, size_t n, size_t width, float *ret)
{
	double sum = 0;

	memcpy(ret, x, width * sizeof(*ret));
	for (size_t i = 1; i < n && pooling != POOL_FIRST; i++) {
		for (size_t j = 0; j < width; j++) {
			float v = x[i * width + j];

			ret[j] = pooling == POOL_MEAN ? ret[j] + v : IST_MAX(ret[j], v);
		}
	}
	for (size_t j = 0; j < width; j++)
		sum += (double)ret[j] * ret[j];
	for (size_t j = 0; j < width && sum > 0; j++)
		ret[j] = (float)(ret[j] / sqrt(sum));
}

static void run_batch(struct bert *bert, struct ist_arena *arena, const struct batch *batch,
		      float *ret)
{
	size_t width = bert->config.width, n = batch->starts[batch->n];
	float *x = ist_arena_alloc(arena, n * width, sizeof(*x));

	embed(bert, batch, x);
	give_back(bert, n);
	ist_norm_run(&bert->norm, bert->transformer.eps, n, width, x);
	ist_transformer_run(&bert->transformer, batch->starts, batch->n, x, arena);
	for (size_t i = 0; i < batch->n; i++)
		pool(bert->pooling, x + batch->starts[i] * width,
		     batch->starts[i + 1] - batch->starts[i], width, ret + i * width);
}

static enum ist_code texts(const struct ist_encoder *encoder, struct ist_encoder_workspace *ws,
			   const struct ist_str *texts, size_t n, float *ret, struct ist_err *err)
{
	struct bert *bert = encoder->state;
	struct batch batch;

	for (size_t done = 0; done < n; done += batch.n) {
		enum ist_code code;

		ist_arena_reset(&ws->arena);
		code = fill(bert, ws, texts + done, n - done, &batch, err);
		if (code != IST_OK)
			return n > 1 ? ist_wrap(err, "text %zu", done + batch.n) : code;
		run_batch(bert, &ws->arena, &batch, ret + done * encoder->dim);
	}
	return IST_OK;
}

const struct ist_encoder_arch ist_encoder_bert = {
    .name = "bert",
    .title = "BERT-type sentence encoder: WordPiece, pooled hidden states of length 1",
    .needs_folder = true,
    .open = open_bert,
    .close = close_bert,
    .texts = texts,
};
