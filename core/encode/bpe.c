/*
 * The tokeniser at work: text to words, words to bytes, bytes to ids; see bpe.h. A word is a list
 * of symbols linked to their neighbours, and the pairs that can be merged wait in a heap by rank
 * and place, so that a word of n bytes takes O(n log n) whatever a client sends.
 */
#include "core/encode/bpe.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "core/encode/bpe_private.h"
#include "core/encode/text.h"

/* ---- words ---- */

enum class { SPACE, LETTER, DIGIT, OTHER };

/* What a regular expression calls \s; the white space of Unicode. */
static bool is_space(int32_t c)
{
	return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
	       c == 0x205F || c == 0x3000;
}

static enum class class_of(int32_t c) {
	static const enum class by_category[] =
	    {
		[UTF8PROC_CATEGORY_LU] = LETTER,
		[UTF8PROC_CATEGORY_LL] = LETTER,
		[UTF8PROC_CATEGORY_LT] = LETTER,
		[UTF8PROC_CATEGORY_LM] = LETTER,
		[UTF8PROC_CATEGORY_LO] = LETTER,
		[UTF8PROC_CATEGORY_ND] = DIGIT,
		[UTF8PROC_CATEGORY_NL] = DIGIT,
		[UTF8PROC_CATEGORY_NO] = DIGIT,
	    };
	utf8proc_category_t category;
	enum class class;

	if (is_space(c)) return SPACE;
	category = utf8proc_category(c);
	class = (size_t)category < IST_COUNT(by_category) ? by_category[category] : SPACE;
	return class == SPACE ? OTHER : class;
}

/* The length of 's, 't, 're, 've, 'm, 'll or 'd at the start of a text, else 0. */
static size_t contraction(const int32_t *c, size_t n)
{
	static const char *const tails[] = {"s", "t", "re", "ve", "m", "ll", "d"};

	for (size_t k = 0; k < IST_COUNT(tails) && n > 1 && c[0] == '\''; k++) {
		if (c[1] == tails[k][0] && tails[k][1] == '\0')
			return 2;
		if (n > 2 && c[1] == tails[k][0] && c[2] == tails[k][1])
			return 3;
	}
	return 0;
}

/* The word at the start of a text that does not begin with white space. */
static size_t word_length(const int32_t *c, size_t n)
{
	size_t len = contraction(c, n);
	enum class class = class_of(c[0]);

	if (len > 0)
		return len;
	len = 1;
	while (class != DIGIT && len < n && class_of(c[len]) == class)
		len++;
	return len;
}

/* Lower case a character, as Unicode's full mapping has it without context: only one character
 * becomes two. `ret` has room for twice the text. */
static size_t lower(struct ist_codepoints text, int32_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == 0x130) { /* I with a dot above */
			ret[n++] = 'i';
			ret[n++] = 0x307;
		} else {
			ret[n++] = utf8proc_tolower(text.data[i]);
		}
	}
	return n;
}

/* ---- merging ---- */

struct symbol {
	int32_t id;
	int32_t before, after; /* places in the word, -1: none */
	bool gone;	       /* merged into the one before */
};

struct pair {
	uint32_t rank;
	int32_t at, id; /* the left one's place; what the two become */
};

/* A binary heap, lowest rank first, then leftmost. */
struct heap {
	struct pair *pairs;
	size_t n;
};

static bool goes_before(const struct pair *a, const struct pair *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct heap *heap, struct pair pair)
{
	size_t i = heap->n++;

	while (i > 0 && goes_before(&pair, &heap->pairs[(i - 1) / 2])) {
		heap->pairs[i] = heap->pairs[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->pairs[i] = pair;
}

static struct pair pop(struct heap *heap)
{
	struct pair first = heap->pairs[0], last = heap->pairs[--heap->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < heap->n) {
		if (child + 1 < heap->n &&
		    goes_before(&heap->pairs[child + 1], &heap->pairs[child]))
			child++;
		if (!goes_before(&heap->pairs[child], &last))
			break;
		heap->pairs[i] = heap->pairs[child];
		i = child;
	}
	heap->pairs[i] = last;
	return first;
}

/* Queues the pair that begins at `at` if the list knows it. */
static void offer(const struct ist_bpe *bpe, const struct symbol *word, int32_t at,
		  struct heap *heap)
{
	const struct ist_bpe_merge *merge;

	if (at < 0 || word[at].after < 0)
		return;
	merge = ist_bpe_merge_of(bpe, word[at].id, word[word[at].after].id);
	if (merge != NULL)
		push(heap, (struct pair){merge->rank, at, merge->id});
}

/* A queued pair may be stale: one of the two has been merged with another since. */
static bool still_there(const struct ist_bpe *bpe, const struct symbol *word,
			const struct pair *pair)
{
	const struct symbol *left = &word[pair->at];
	const struct ist_bpe_merge *merge;

	if (left->gone || left->after < 0)
		return false;
	merge = ist_bpe_merge_of(bpe, left->id, word[left->after].id);
	return merge != NULL && merge->id == pair->id;
}

static void merge_all(const struct ist_bpe *bpe, struct symbol *word, size_t n, struct heap *heap)
{
	for (size_t i = 0; i < n; i++)
		offer(bpe, word, (int32_t)i, heap);
	while (heap->n > 0) {
		struct pair pair = pop(heap);
		struct symbol *left = &word[pair.at], *right;

		if (!still_there(bpe, word, &pair))
			continue;
		right = &word[left->after];
		right->gone = true;
		left->id = pair.id;
		left->after = right->after;
		if (left->after >= 0)
			word[left->after].before = pair.at;
		offer(bpe, word, left->before, heap);
		offer(bpe, word, pair.at, heap);
	}
}

/* ---- a text ---- */

/* What encoding a text needs, sized once by its longest word. */
struct scratch {
	int32_t *text;
	size_t n;
	struct symbol *word;
	struct heap heap;
};

/* The next word from *at on, which moves behind it; NULL at the end. */
static const int32_t *next_word(const struct scratch *s, size_t *at, size_t *ret_len)
{
	const int32_t *word;

	while (*at < s->n && is_space(s->text[*at]))
		++*at;
	if (*at == s->n)
		return NULL;
	word = s->text + *at;
	*ret_len = word_length(word, s->n - *at);
	*at += *ret_len;
	return word;
}

/* A character has at most 4 bytes; a merge takes a symbol away and queues at most two pairs. */
static void reserve(struct scratch *s, struct ist_arena *arena)
{
	size_t longest = 0, at = 0, len;

	while (next_word(s, &at, &len) != NULL)
		longest = IST_MAX(longest, 4 * len);
	s->word = ist_arena_alloc(arena, longest + 1, sizeof(*s->word));
	s->heap.pairs = ist_arena_alloc(arena, 3 * longest + 1, sizeof(*s->heap.pairs));
}

/* The word's bytes as symbols; the last byte has an id of its own. */
static size_t spell(const struct ist_bpe *bpe, const int32_t *c, size_t n, struct symbol *word)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		utf8proc_uint8_t bytes[4];
		utf8proc_ssize_t k = utf8proc_encode_char(c[i], bytes);

		for (utf8proc_ssize_t j = 0; j < k; j++, len++)
			word[len] = (struct symbol){.id = bpe->byte[0][bytes[j]],
						    .before = (int32_t)len - 1,
						    .after = (int32_t)len + 1};
		if (i + 1 == n && k > 0)
			word[len - 1].id = bpe->byte[1][bytes[k - 1]];
	}
	if (len > 0)
		word[len - 1].after = -1;
	return len;
}

static enum ist_code prepare(struct ist_str text, struct ist_arena *arena, struct scratch *s,
			     struct ist_err *err)
{
	struct ist_codepoints normal;
	enum ist_code code = ist_text_form(text, IST_TEXT_NFC, arena, &normal, err);

	if (code != IST_OK)
		return code;
	s->text = ist_arena_alloc(arena, 2 * normal.len + 1, sizeof(*s->text));
	s->n = lower(normal, s->text);
	reserve(s, arena);
	return IST_OK;
}

enum ist_code ist_bpe_encode(const struct ist_bpe *bpe, struct ist_str text, size_t max,
			     struct ist_arena *arena, int32_t *ret, size_t *ret_n,
			     struct ist_err *err)
{
	struct scratch s = {0};
	enum ist_code code = prepare(text, arena, &s, err);
	size_t n = 0, at = 0, len;
	const int32_t *word;

	if (code != IST_OK)
		return code;
	ret[n++] = bpe->start;
	while (n < max - 1 && (word = next_word(&s, &at, &len)) != NULL) {
		merge_all(bpe, s.word, spell(bpe, word, len, s.word), &s.heap);
		for (int32_t i = 0; i >= 0 && n < max - 1; i = s.word[i].after)
			ret[n++] = s.word[i].id;
	}
	ret[n++] = bpe->end;
	*ret_n = n;
	return IST_OK;
}
