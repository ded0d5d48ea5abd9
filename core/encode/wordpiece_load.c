/*
 * The tokeniser's files. vocab.txt has a piece a line; of a piece that stands twice the last line
 * counts, as in other programs. tokenizer.json is read where vocab.txt is absent, and only for a
 * WordPiece model behind BERT's own normaliser: another one would give other pieces.
 */
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/wordpiece_private.h"

#define FILE_LIMIT (64 << 20)
#define PIECES_MAX (1 << 24)
#define PIECE_BYTES_MAX 400 /* longer ones match no word worth having */
#define INNER "##"

const struct ist_wordpiece_settings ist_wordpiece_defaults = {
    .lower = true,
    .strip_accents = true,
    .split_cjk = true,
    .word_max = 100,
    .first = "[CLS]",
    .last = "[SEP]",
    .unknown = "[UNK]",
};

/* ---- the table ---- */

struct ist_wordpiece_slot *ist_wordpiece_slot(const struct ist_wordpiece *wp, uint32_t hash,
					      bool inner, const char *piece, size_t len)
{
	/* The last multiplication mixed the low bits least. */
	size_t i = (hash ^ hash >> 15) & wp->mask;

	for (;; i = (i + 1) & wp->mask) {
		struct ist_wordpiece_slot *s = &wp->slots[i];

		if (s->len == 0 || (s->hash == hash && s->len == len && s->inner == inner &&
				    memcmp(wp->bytes.data + s->at, piece, len) == 0))
			return s;
	}
}

static void make_room(struct ist_wordpiece *wp, size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	wp->slots = ist_alloc(size, sizeof(*wp->slots));
	wp->mask = size - 1;
}

static uint32_t hash_of(bool inner, const char *piece, size_t len)
{
	uint32_t hash = IST_WORDPIECE_HASH(inner);

	for (size_t i = 0; i < len; i++)
		hash = ist_wordpiece_hash(hash, piece[i]);
	return hash;
}

/* A piece of no bytes or of too many is nowhere found. */
static void add(struct ist_wordpiece *wp, const char *piece, size_t len, int32_t id)
{
	bool inner = len > strlen(INNER) && memcmp(piece, INNER, strlen(INNER)) == 0;
	struct ist_wordpiece_slot *s;
	uint32_t hash;

	if (inner) {
		piece += strlen(INNER);
		len -= strlen(INNER);
	}
	if (len == 0 || len > PIECE_BYTES_MAX)
		return;
	hash = hash_of(inner, piece, len);
	s = ist_wordpiece_slot(wp, hash, inner, piece, len);
	if (s->len == 0) {
		*s = (struct ist_wordpiece_slot){hash, (uint32_t)wp->bytes.len, (uint32_t)len, id,
						 inner};
		ist_buf_put(&wp->bytes, piece, len);
		wp->longest = IST_MAX(wp->longest, len);
		wp->n++;
	}
	s->id = id;
}

static enum ist_code find_mark(const struct ist_wordpiece *wp, const char *name, size_t n_ids,
			       int32_t *ret, struct ist_err *err)
{
	size_t len = strlen(name);
	const struct ist_wordpiece_slot *s =
	    ist_wordpiece_slot(wp, hash_of(false, name, len), false, name, len);

	if (s->len == 0)
		return ist_fail(err, IST_CORRUPT, "the vocabulary has no piece \"%s\"", name);
	*ret = s->id;
	return IST_OK;
}

/* Every id that can come out chooses a row of the embedding table. */
static enum ist_code check(struct ist_wordpiece *wp, size_t n_ids, struct ist_err *err)
{
	enum ist_code code = find_mark(wp, wp->settings.first, n_ids, &wp->first, err);

	if (code == IST_OK)
		code = find_mark(wp, wp->settings.last, n_ids, &wp->last, err);
	if (code == IST_OK)
		code = find_mark(wp, wp->settings.unknown, n_ids, &wp->unknown, err);
	for (size_t i = 0; i <= wp->mask && code == IST_OK; i++) {
		const struct ist_wordpiece_slot *s = &wp->slots[i];

		if (s->len > 0 && (size_t)s->id >= n_ids)
			code = ist_fail(err, IST_CORRUPT,
					"the id %d of \"%s%.*s\" is not below %zu, the rows of the "
					"embedding table",
					(int)s->id, s->inner ? INNER : "",
					(int)IST_MIN(s->len, 100u), wp->bytes.data + s->at, n_ids);
	}
	return code;
}

void ist_wordpiece_close(struct ist_wordpiece *wp)
{
	if (wp == NULL)
		return;
	free(wp->slots);
	ist_buf_finish(&wp->bytes);
	free(wp);
}

/* Hands `wp` out, or releases it. */
static enum ist_code settle(struct ist_wordpiece *wp, size_t n_ids, struct ist_wordpiece **ret,
			    struct ist_err *err)
{
	enum ist_code code = check(wp, n_ids, err);

	if (code == IST_OK)
		*ret = wp;
	else
		ist_wordpiece_close(wp);
	return code;
}

static size_t count_lines(struct ist_str text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.data[i] == '\n';
	return n;
}

enum ist_code ist_wordpiece_parse(struct ist_str vocabulary,
				  const struct ist_wordpiece_settings *settings, size_t n_ids,
				  struct ist_wordpiece **ret, struct ist_err *err)
{
	size_t n = count_lines(vocabulary);
	struct ist_wordpiece *wp;

	if (n > PIECES_MAX || vocabulary.len > FILE_LIMIT)
		return ist_fail(err, IST_CORRUPT, "more than %d pieces", PIECES_MAX);
	wp = ist_alloc(1, sizeof(*wp));
	wp->settings = *settings;
	make_room(wp, n);
	for (size_t at = 0, id = 0; at < vocabulary.len; id++) {
		const char *line = vocabulary.data + at;
		const char *end = memchr(line, '\n', vocabulary.len - at);
		size_t len = end != NULL ? (size_t)(end - line) : vocabulary.len - at;

		at += len + 1;
		add(wp, line, len > 0 && line[len - 1] == '\r' ? len - 1 : len, (int32_t)id);
	}
	return settle(wp, n_ids, ret, err);
}

/* ---- settings ---- */

static const struct ist_member config_members[] = {
    {"do_lower_case", IST_MEMBER_BOOL, offsetof(struct ist_wordpiece_settings, lower),
     .optional = true},
    {"tokenize_chinese_chars", IST_MEMBER_BOOL, offsetof(struct ist_wordpiece_settings, split_cjk),
     .optional = true},
};
static const struct ist_member normaliser_members[] = {
    {"lowercase", IST_MEMBER_BOOL, offsetof(struct ist_wordpiece_settings, lower),
     .optional = true},
    {"handle_chinese_chars", IST_MEMBER_BOOL, offsetof(struct ist_wordpiece_settings, split_cjk),
     .optional = true},
};
static const struct ist_member model_members[] = {
    {"max_input_chars_per_word", IST_MEMBER_SIZE, offsetof(struct ist_wordpiece_settings, word_max),
     1, 10000, .optional = true},
};

/* Both formats: what is not said follows the capitals. */
static enum ist_code read_accents(const json_t *json, const char *where,
				  struct ist_wordpiece_settings *ret, struct ist_err *err)
{
	static const struct ist_member member[] = {
	    {"strip_accents", IST_MEMBER_BOOL,
	     offsetof(struct ist_wordpiece_settings, strip_accents), .optional = true}};

	ret->strip_accents = ret->lower;
	return ist_members_read(json, where, member, 1, ret, err);
}

/* A token is a text, or an object that holds it. */
static enum ist_code read_mark(const json_t *json, const char *where, const char *name,
			       char ret[64], struct ist_err *err)
{
	const json_t *mark = json_object_get(json, name);
	const char *text =
	    json_string_value(json_is_object(mark) ? json_object_get(mark, "content") : mark);

	if (mark == NULL || json_is_null(mark))
		return IST_OK;
	if (text == NULL || strlen(text) == 0 || strlen(text) >= 64)
		return ist_fail(err, IST_CORRUPT, "%s: \"%s\" is no token", where, name);
	memcpy(ret, text, strlen(text) + 1);
	return IST_OK;
}

static enum ist_code read_config(struct ist_folder *folder, struct ist_wordpiece_settings *ret,
				 struct ist_err *err)
{
	static const char where[] = "tokenizer_config.json";
	json_t *json = NULL;
	struct ist_err absent;
	enum ist_code code = ist_folder_json(folder, where, FILE_LIMIT, &json, &absent);

	if (code == IST_NOT_FOUND)
		return IST_OK;
	if (code != IST_OK)
		return ist_fail(err, code, "%s", absent.text);
	code = ist_members_read(json, where, config_members, IST_COUNT(config_members), ret, err);
	if (code == IST_OK)
		code = read_accents(json, where, ret, err);
	if (code == IST_OK)
		code = read_mark(json, where, "cls_token", ret->first, err);
	if (code == IST_OK)
		code = read_mark(json, where, "sep_token", ret->last, err);
	if (code == IST_OK)
		code = read_mark(json, where, "unk_token", ret->unknown, err);
	json_decref(json);
	return code;
}

/* ---- tokenizer.json ---- */

static bool is_text(const json_t *json, const char *name, const char *wanted)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL && strcmp(text, wanted) == 0;
}

static enum ist_code read_tokenizer_settings(const json_t *json, const json_t *model,
					     struct ist_wordpiece_settings *ret,
					     struct ist_err *err)
{
	static const char where[] = "tokenizer.json";
	const json_t *normaliser = json_object_get(json, "normalizer");
	enum ist_code code;

	if (!is_text(model, "type", "WordPiece") || !is_text(normaliser, "type", "BertNormalizer"))
		return ist_fail(err, IST_INVALID,
				"%s: only a WordPiece model with a BertNormalizer is known here",
				where);
	if (json_object_get(model, "continuing_subword_prefix") != NULL &&
	    !is_text(model, "continuing_subword_prefix", INNER))
		return ist_fail(err, IST_INVALID,
				"%s: \"continuing_subword_prefix\" is not \"" INNER "\"", where);
	code = ist_members_read(normaliser, where, normaliser_members,
				IST_COUNT(normaliser_members), ret, err);
	if (code == IST_OK)
		code = read_accents(normaliser, where, ret, err);
	if (code == IST_OK)
		code = ist_members_read(model, where, model_members, IST_COUNT(model_members), ret,
					err);
	return code == IST_OK ? read_mark(model, where, "unk_token", ret->unknown, err) : code;
}

static enum ist_code add_all(struct ist_wordpiece *wp, json_t *vocabulary, struct ist_err *err)
{
	const char *piece;
	json_t *id;

	json_object_foreach(vocabulary, piece, id)
	{
		if (!json_is_integer(id) || json_integer_value(id) < 0 ||
		    json_integer_value(id) > INT32_MAX)
			return ist_fail(err, IST_CORRUPT, "the id of \"%.100s\" is no whole number",
					piece);
		add(wp, piece, strlen(piece), (int32_t)json_integer_value(id));
	}
	return IST_OK;
}

static enum ist_code read_tokenizer(const json_t *json, bool lower,
				    struct ist_wordpiece_settings *settings, size_t n_ids,
				    struct ist_wordpiece **ret, struct ist_err *err)
{
	const json_t *model = json_object_get(json, "model");
	json_t *vocabulary = json_object_get(model, "vocab");
	enum ist_code code = read_tokenizer_settings(json, model, settings, err);
	struct ist_wordpiece *wp;

	if (code != IST_OK)
		return code;
	if (!json_is_object(vocabulary) || json_object_size(vocabulary) > PIECES_MAX)
		return ist_fail(err, IST_CORRUPT,
				"tokenizer.json: \"vocab\" is no object of at most %d pieces",
				PIECES_MAX);
	wp = ist_alloc(1, sizeof(*wp));
	wp->settings = *settings;
	wp->settings.lower = lower || settings->lower;
	make_room(wp, json_object_size(vocabulary));
	code = add_all(wp, vocabulary, err);
	if (code == IST_OK)
		return settle(wp, n_ids, ret, err);
	ist_wordpiece_close(wp);
	return code;
}

static enum ist_code open_tokenizer(struct ist_folder *folder, bool lower,
				    struct ist_wordpiece_settings *settings, size_t n_ids,
				    struct ist_wordpiece **ret, struct ist_err *err)
{
	json_t *json = NULL;
	enum ist_code code = ist_folder_json(folder, "tokenizer.json", FILE_LIMIT, &json, err);

	if (code == IST_NOT_FOUND)
		return ist_fail(err, IST_NOT_FOUND,
				"there is neither vocab.txt nor tokenizer.json");
	if (code != IST_OK)
		return code;
	code = read_tokenizer(json, lower, settings, n_ids, ret, err);
	json_decref(json);
	return code;
}

enum ist_code ist_wordpiece_open(struct ist_folder *folder, bool lower, size_t n_ids,
				 struct ist_wordpiece **ret, struct ist_err *err)
{
	struct ist_wordpiece_settings settings = ist_wordpiece_defaults;
	ist_auto(ist_buf_finish) struct ist_buf text = {0};
	enum ist_code code = read_config(folder, &settings, err);

	if (code != IST_OK)
		return code;
	code = ist_folder_read(folder, "vocab.txt", FILE_LIMIT, &text, err);
	if (code == IST_NOT_FOUND)
		return open_tokenizer(folder, lower, &settings, n_ids, ret, err);
	if (code == IST_OK) {
		settings.lower = settings.lower || lower;
		code = ist_wordpiece_parse((struct ist_str){text.data, text.len}, &settings, n_ids,
					   ret, err);
		if (code != IST_OK)
			ist_wrap(err, "vocab.txt");
	}
	return code;
}
