/*
 * The tokeniser's files. The vocabulary names its pieces in the alphabet of byte-level encodings:
 * a printable byte is the character of that number, the others are those from U+0100 on, in order.
 * Its JSON object serves as the hash table in which merges find their ids, and is released then:
 * encoding only needs the ids of the bytes and the merges.
 */
#include <limits.h>
#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "core/encode/bpe_private.h"

#define FILE_LIMIT (64 << 20)
#define MERGES_MAX (4 << 20)
#define START "<|startoftext|>"
#define END "<|endoftext|>"
#define WORD_END "</w>"

static int by_pair(const void *a, const void *b)
{
	const struct ist_bpe_merge *x = a, *y = b;

	if (x->left != y->left)
		return x->left < y->left ? -1 : 1;
	return x->right < y->right ? -1 : x->right > y->right;
}

static int by_pair_and_rank(const void *a, const void *b)
{
	const struct ist_bpe_merge *x = a, *y = b;
	int order = by_pair(a, b);

	return order != 0 ? order : x->rank < y->rank ? -1 : x->rank > y->rank;
}

const struct ist_bpe_merge *ist_bpe_merge_of(const struct ist_bpe *bpe, int32_t left, int32_t right)
{
	struct ist_bpe_merge key = {.left = left, .right = right};

	return bsearch(&key, bpe->merges, bpe->n_merges, sizeof(key), by_pair);
}

/* ---- ids ---- */

static enum ist_code find_id(const json_t *vocabulary, const char *piece, size_t len, size_t n_ids,
			     int32_t *ret, struct ist_err *err)
{
	const json_t *id = json_object_getn(vocabulary, piece, len);

	if (id == NULL)
		return ist_fail(err, IST_CORRUPT, "the vocabulary has no piece \"%.*s\"",
				(int)IST_MIN(len, 100), piece);
	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    (size_t)json_integer_value(id) >= n_ids || json_integer_value(id) > INT32_MAX)
		return ist_fail(err, IST_CORRUPT,
				"the id of \"%.*s\" is no whole number below %zu, the rows of the "
				"embedding table",
				(int)IST_MIN(len, 100), piece, n_ids);
	*ret = (int32_t)json_integer_value(id);
	return IST_OK;
}

/* A byte that the vocabulary lacks reads as the end mark, which is also its unknown piece. */
static enum ist_code find_bytes(struct ist_bpe *bpe, const json_t *vocabulary, size_t n_ids,
				struct ist_err *err)
{
	int32_t others = 256;
	enum ist_code code = IST_OK;

	for (int b = 0; b < 256 && code == IST_OK; b++) {
		bool plain = (b > ' ' && b < 127) || (b > 160 && b != 173);
		char piece[16];
		size_t len =
		    (size_t)utf8proc_encode_char(plain ? b : others++, (utf8proc_uint8_t *)piece);

		memcpy(piece + len, WORD_END, sizeof(WORD_END));
		bpe->byte[0][b] = bpe->byte[1][b] = bpe->end;
		if (json_object_getn(vocabulary, piece, len) != NULL)
			code = find_id(vocabulary, piece, len, n_ids, &bpe->byte[0][b], err);
		len += sizeof(WORD_END) - 1;
		if (code == IST_OK && json_object_getn(vocabulary, piece, len) != NULL)
			code = find_id(vocabulary, piece, len, n_ids, &bpe->byte[1][b], err);
	}
	return code;
}

/* ---- merges ---- */

/* "left right", which the vocabulary must know together and apart. */
static enum ist_code add_merge(struct ist_bpe *bpe, const json_t *vocabulary, struct ist_str left,
			       struct ist_str right, size_t n_ids, struct ist_err *err)
{
	struct ist_bpe_merge *merge = &bpe->merges[bpe->n_merges];
	char both[512];
	enum ist_code code;

	if (left.len == 0 || right.len == 0 || left.len + right.len > sizeof(both))
		return ist_fail(err, IST_CORRUPT, "is not of the form \"piece piece\"");
	memcpy(both, left.data, left.len);
	memcpy(both + left.len, right.data, right.len);
	code = find_id(vocabulary, left.data, left.len, n_ids, &merge->left, err);
	if (code == IST_OK)
		code = find_id(vocabulary, right.data, right.len, n_ids, &merge->right, err);
	if (code == IST_OK)
		code = find_id(vocabulary, both, left.len + right.len, n_ids, &merge->id, err);
	merge->rank = (uint32_t)bpe->n_merges++;
	return code;
}

static enum ist_code add_line(struct ist_bpe *bpe, const json_t *vocabulary, struct ist_str line,
			      size_t n_ids, struct ist_err *err)
{
	const char *blank = memchr(line.data, ' ', line.len);
	struct ist_str left = line, right = {0};

	if (blank != NULL) {
		left.len = (size_t)(blank - line.data);
		right = (struct ist_str){blank + 1, line.len - left.len - 1};
	}
	return add_merge(bpe, vocabulary, left, right, n_ids, err);
}

/* A line a merge; the first may say "#version". */
static enum ist_code read_lines(struct ist_bpe *bpe, const json_t *vocabulary, struct ist_str text,
				size_t n_ids, struct ist_err *err)
{
	size_t n_lines = 1, number = 1;

	for (size_t i = 0; i < text.len; i++)
		n_lines += text.data[i] == '\n';
	if (n_lines > MERGES_MAX)
		return ist_fail(err, IST_CORRUPT, "merges.txt has more than %d lines", MERGES_MAX);
	bpe->merges = ist_alloc(n_lines, sizeof(*bpe->merges));
	for (size_t at = 0; at < text.len; number++) {
		const char *end = memchr(text.data + at, '\n', text.len - at);
		struct ist_str line = {text.data + at, end != NULL ? (size_t)(end - text.data) - at
								   : text.len - at};
		at += line.len + 1;
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0 ||
		    (number == 1 && line.len >= 8 && memcmp(line.data, "#version", 8) == 0))
			continue;
		if (add_line(bpe, vocabulary, line, n_ids, err) != IST_OK)
			return ist_wrap(err, "merges.txt, line %zu", number);
	}
	return IST_OK;
}

/* tokenizer.json has them as "left right" or as ["left", "right"]. */
static enum ist_code read_list(struct ist_bpe *bpe, const json_t *vocabulary, const json_t *list,
			       size_t n_ids, struct ist_err *err)
{
	const json_t *merge;
	enum ist_code code;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > MERGES_MAX)
		return ist_fail(err, IST_CORRUPT, "\"merges\" is no list of at most %d",
				MERGES_MAX);
	bpe->merges = ist_alloc(json_array_size(list) + 1, sizeof(*bpe->merges));
	json_array_foreach(list, i, merge)
	{
		const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);

		if (json_is_string(merge))
			code = add_line(
			    bpe, vocabulary,
			    (struct ist_str){json_string_value(merge), json_string_length(merge)},
			    n_ids, err);
		else if (json_is_string(left) && json_is_string(right))
			code = add_merge(
			    bpe, vocabulary,
			    (struct ist_str){json_string_value(left), json_string_length(left)},
			    (struct ist_str){json_string_value(right), json_string_length(right)},
			    n_ids, err);
		else
			code = ist_fail(err, IST_CORRUPT, "is not of the form \"piece piece\"");
		if (code != IST_OK)
			return ist_wrap(err, "merge %zu", i);
	}
	return IST_OK;
}

/* Of a pair that is listed twice the later counts. */
static void sort_merges(struct ist_bpe *bpe)
{
	size_t n = 0;

	qsort(bpe->merges, bpe->n_merges, sizeof(*bpe->merges), by_pair_and_rank);
	for (size_t i = 0; i < bpe->n_merges; i++) {
		if (i + 1 == bpe->n_merges || by_pair(&bpe->merges[i], &bpe->merges[i + 1]) != 0)
			bpe->merges[n++] = bpe->merges[i];
	}
	bpe->n_merges = n;
}

/* ---- files ---- */

/* `list` (JSON) where it is not NULL, else `lines`. */
static enum ist_code build(const json_t *vocabulary, const json_t *list, struct ist_str lines,
			   size_t n_ids, struct ist_bpe **ret, struct ist_err *err)
{
	struct ist_bpe *bpe = ist_alloc(1, sizeof(*bpe));
	enum ist_code code = find_id(vocabulary, START, sizeof(START) - 1, n_ids, &bpe->start, err);

	if (code == IST_OK)
		code = find_id(vocabulary, END, sizeof(END) - 1, n_ids, &bpe->end, err);
	if (code == IST_OK)
		code = find_bytes(bpe, vocabulary, n_ids, err);
	if (code == IST_OK)
		code = list != NULL ? read_list(bpe, vocabulary, list, n_ids, err)
				    : read_lines(bpe, vocabulary, lines, n_ids, err);
	if (code != IST_OK) {
		ist_bpe_close(bpe);
		return code;
	}
	sort_merges(bpe);
	*ret = bpe;
	return IST_OK;
}

enum ist_code ist_bpe_parse(struct ist_str vocabulary, struct ist_str merges, size_t n_ids,
			    struct ist_bpe **ret, struct ist_err *err)
{
	json_error_t where;
	json_t *json = json_loadb(vocabulary.data, vocabulary.len, 0, &where);
	enum ist_code code;

	if (!json_is_object(json)) {
		json_decref(json);
		return ist_fail(err, IST_CORRUPT, "vocab.json is not a JSON object");
	}
	code = build(json, NULL, merges, n_ids, ret, err);
	json_decref(json);
	return code;
}

/* One that makes words another way would give other ids without an error. */
static enum ist_code from_tokenizer(const json_t *tokenizer, size_t n_ids, struct ist_bpe **ret,
				    struct ist_err *err)
{
	static const char *const types[] = {"BPE", NULL}, *const ends[] = {WORD_END, NULL};
	static const struct ist_member members[] = {
	    {"type", IST_MEMBER_CHOICE, 0, .choices = types, .optional = true},
	    {"end_of_word_suffix", IST_MEMBER_CHOICE, 0, .choices = ends},
	};
	const json_t *model = json_object_get(tokenizer, "model");
	size_t choice;
	enum ist_code code = ist_members_read(model, "tokenizer.json: model", members,
					      IST_COUNT(members), &choice, err);

	if (code == IST_OK && !json_is_array(json_object_get(model, "merges")))
		code = ist_fail(err, IST_CORRUPT, "tokenizer.json: \"merges\" is missing");
	if (code == IST_OK)
		code = build(json_object_get(model, "vocab"), json_object_get(model, "merges"),
			     (struct ist_str){0}, n_ids, ret, err);
	return code;
}

static enum ist_code from_files(struct ist_folder *folder, const json_t *vocabulary, size_t n_ids,
				struct ist_bpe **ret, struct ist_err *err)
{
	ist_auto(ist_buf_finish) struct ist_buf merges = {0};
	enum ist_code code = ist_folder_read(folder, "merges.txt", FILE_LIMIT, &merges, err);

	if (code != IST_OK)
		return code;
	return build(vocabulary, NULL, (struct ist_str){merges.data, merges.len}, n_ids, ret, err);
}

enum ist_code ist_bpe_open(struct ist_folder *folder, size_t n_ids, struct ist_bpe **ret,
			   struct ist_err *err)
{
	json_t *json = NULL;
	enum ist_code code = ist_folder_json(folder, "vocab.json", FILE_LIMIT, &json, err);

	if (code == IST_OK) {
		code = from_files(folder, json, n_ids, ret, err);
	} else if (code == IST_NOT_FOUND) {
		code = ist_folder_json(folder, "tokenizer.json", FILE_LIMIT, &json, err);
		if (code == IST_OK)
			code = from_tokenizer(json, n_ids, ret, err);
		else if (code == IST_NOT_FOUND)
			ist_fail(err, code, "there is neither vocab.json nor tokenizer.json in it");
	}
	json_decref(json);
	return code;
}

void ist_bpe_close(struct ist_bpe *bpe)
{
	if (bpe == NULL)
		return;
	free(bpe->merges);
	free(bpe);
}
