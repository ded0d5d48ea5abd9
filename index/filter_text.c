/*
 * The short form of filters, for URLs: `label=animals and (year>=2020 or not topic in [a, "b c"])`.
 * A name other than label, id, has and metadata.… is a member of the metadata. A value without
 * quotes is a number, true or false where it reads as one, else a string.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/buf.h"
#include "core/base/memory.h"
#include "index/filter_limits.h"

enum token_kind { END, WORD, QUOTED, SIGN, BROKEN };

struct parser {
	const char *text;
	size_t at; /* of the token */
	enum token_kind kind;
	struct ist_buf token; /* its text; of a QUOTED without quotes and escapes */
	size_t next;	      /* behind the token */
	size_t budget;
	struct ist_err *err;
};

static const struct {
	const char *sign;
	enum ist_filter_op op;
} signs[] = {
    {"!=", IST_FILTER_NE}, {">=", IST_FILTER_GTE}, {"<=", IST_FILTER_LTE},
    {"=", IST_FILTER_EQ},  {">", IST_FILTER_GT},   {"<", IST_FILTER_LT},
};

/* Whatever is neither space nor sign nor quote belongs to a word: dots, colons, any script. */
static bool is_word(char c)
{
	return c != '\0' && !isspace((unsigned char)c) && strchr("()[],=!<>\"'", c) == NULL;
}

/* Either quote; a backslash keeps what follows as it is. */
static void read_quoted(struct parser *p)
{
	char quote = p->text[p->next++];

	p->kind = QUOTED;
	while (p->text[p->next] != quote) {
		if (p->text[p->next] == '\\' && p->text[p->next + 1] != '\0')
			p->next++;
		if (p->text[p->next] == '\0') {
			p->kind = BROKEN;
			return;
		}
		ist_buf_putc(&p->token, p->text[p->next++]);
	}
	p->next++;
}

/* Longest first, as `signs` is ordered; an unknown sign is a token of one byte. */
static void read_sign(struct parser *p)
{
	size_t len = 1;

	for (size_t i = 0; i < IST_COUNT(signs); i++)
		if (strncmp(p->text + p->next, signs[i].sign, strlen(signs[i].sign)) == 0) {
			len = strlen(signs[i].sign);
			break;
		}
	p->kind = SIGN;
	ist_buf_put(&p->token, p->text + p->next, len);
	p->next += len;
}

/* Reads the next token; its position is kept for the error. */
static void advance(struct parser *p)
{
	p->token.len = 0;
	ist_buf_puts(&p->token, "");
	while (isspace((unsigned char)p->text[p->next]))
		p->next++;
	p->at = p->next;
	if (p->text[p->next] == '\0') {
		p->kind = END;
	} else if (p->text[p->next] == '"' || p->text[p->next] == '\'') {
		read_quoted(p);
	} else if (is_word(p->text[p->next])) {
		p->kind = WORD;
		while (is_word(p->text[p->next]))
			ist_buf_putc(&p->token, p->text[p->next++]);
	} else {
		read_sign(p);
	}
}

static bool is_keyword(const struct parser *p, const char *word)
{
	return p->kind == WORD && p->token.data != NULL && strcasecmp(p->token.data, word) == 0;
}

static bool is_sign(const struct parser *p, const char *sign)
{
	return p->kind == SIGN && strcmp(p->token.data, sign) == 0;
}

/* Positions count from 1, in bytes, as people count. */
static enum ist_code expected(struct parser *p, const char *what)
{
	if (p->kind == BROKEN)
		return ist_fail(p->err, IST_INVALID,
				"filter: the quote at position %zu is not closed", p->at + 1);
	return ist_fail(p->err, IST_INVALID, "filter: expected %s at position %zu", what,
			p->at + 1);
}

static enum ist_code parse_or(struct parser *p, int depth, struct ist_filter **ret);

/* Only a bare word may be a number or a truth value: quotes make a string of anything. */
static json_t *value_of(const struct parser *p)
{
	json_t *value = NULL;

	if (p->kind == WORD) {
		value = json_loads(p->token.data, JSON_DECODE_ANY, NULL);
		if (value != NULL && !json_is_number(value) && !json_is_boolean(value)) {
			json_decref(value);
			value = NULL;
		}
	}
	return value != NULL ? value : json_stringn(p->token.data, p->token.len);
}

static enum ist_code parse_value(struct parser *p, struct ist_filter *leaf)
{
	enum ist_code code;
	json_t *value;

	if (p->kind != WORD && p->kind != QUOTED)
		return expected(p, "a value");
	value = value_of(p);
	if (value == NULL)
		return ist_fail(p->err, IST_INVALID,
				"filter: the value at position %zu is not UTF-8", p->at + 1);
	code = ist_filter_add_value(leaf, value, &p->budget, p->err);
	json_decref(value);
	if (code != IST_OK)
		return ist_wrap(p->err, "filter: position %zu", p->at + 1);
	advance(p);
	return IST_OK;
}

/* An empty list is a list: it matches nothing, as in JSON. */
static enum ist_code parse_list(struct parser *p, struct ist_filter *leaf)
{
	enum ist_code code;

	if (!is_sign(p, "["))
		return expected(p, "\"[\"");
	advance(p);
	while (!is_sign(p, "]")) {
		if ((code = parse_value(p, leaf)) != IST_OK)
			return code;
		if (is_sign(p, ","))
			advance(p);
		else if (!is_sign(p, "]"))
			return expected(p, "\",\" or \"]\"");
	}
	advance(p);
	return IST_OK;
}

/* The operator after a field's name; IST_N_FILTER_OPS: none. */
static enum ist_filter_op operator_of(const struct parser *p)
{
	if (is_keyword(p, "in"))
		return IST_FILTER_IN;
	for (size_t i = 0; i < IST_COUNT(signs); i++)
		if (is_sign(p, signs[i].sign))
			return signs[i].op;
	return IST_N_FILTER_OPS;
}

static enum ist_code parse_comparison(struct parser *p, struct ist_filter **ret)
{
	static const char *const known[] = {"label", "id", "has"};
	ist_autofree char *field = NULL;
	struct ist_filter *leaf;
	enum ist_filter_op op;
	bool bare = true;
	enum ist_code code;

	if ((p->kind != WORD && p->kind != QUOTED) || is_keyword(p, "and") || is_keyword(p, "or") ||
	    is_keyword(p, "in"))
		return expected(p, "the name of a field");
	for (size_t i = 0; i < IST_COUNT(known); i++)
		bare &= strcmp(p->token.data, known[i]) != 0;
	bare &= strncmp(p->token.data, "metadata.", strlen("metadata.")) != 0;
	field = ist_format("%s%s", bare ? "metadata." : "", p->token.data);
	if ((code = ist_filter_check_field(field, p->err)) != IST_OK)
		return ist_wrap(p->err, "filter: position %zu", p->at + 1);
	advance(p);
	if ((op = operator_of(p)) == IST_N_FILTER_OPS)
		return expected(p, "one of = != > >= < <= in");
	advance(p);
	leaf = ist_filter_leaf(op, field);
	code = op == IST_FILTER_IN ? parse_list(p, leaf) : parse_value(p, leaf);
	if (code != IST_OK)
		ist_filter_destroy(leaf);
	else
		*ret = leaf;
	return code;
}

/* Depth counts parentheses and NOTs: what recurses is bounded. */
static enum ist_code parse_not(struct parser *p, int depth, struct ist_filter **ret)
{
	struct ist_filter *inner = NULL;
	enum ist_code code;

	if (depth > IST_FILTER_DEPTH_MAX)
		return ist_fail(p->err, IST_INVALID, "a filter is at most %d deep",
				IST_FILTER_DEPTH_MAX);
	if (is_keyword(p, "not")) {
		advance(p);
		if ((code = parse_not(p, depth + 1, &inner)) != IST_OK)
			return code;
		*ret = ist_filter_leaf(IST_FILTER_NOT, NULL);
		ist_filter_add_child(*ret, inner);
		return IST_OK;
	}
	if (!is_sign(p, "("))
		return parse_comparison(p, ret);
	advance(p);
	if ((code = parse_or(p, depth + 1, &inner)) != IST_OK)
		return code;
	if (!is_sign(p, ")")) {
		ist_filter_destroy(inner);
		return expected(p, "\")\"");
	}
	advance(p);
	*ret = inner;
	return IST_OK;
}

/* part (word part)*: one part stays as it is, several become one node. */
static enum ist_code parse_chain(struct parser *p, int depth, enum ist_filter_op op,
				 const char *word,
				 enum ist_code (*part)(struct parser *, int, struct ist_filter **),
				 struct ist_filter **ret)
{
	struct ist_filter *first = NULL, *next, *node = NULL;
	enum ist_code code = part(p, depth, &first);

	while (code == IST_OK && is_keyword(p, word)) {
		advance(p);
		if ((code = part(p, depth, &next)) != IST_OK)
			break;
		if (node == NULL) {
			node = ist_filter_leaf(op, NULL);
			ist_filter_add_child(node, first);
			first = node;
		}
		ist_filter_add_child(node, next);
	}
	if (code != IST_OK) {
		ist_filter_destroy(first);
		return code;
	}
	*ret = first;
	return IST_OK;
}

static enum ist_code parse_and(struct parser *p, int depth, struct ist_filter **ret)
{
	return parse_chain(p, depth + 1, IST_FILTER_ALL, "and", parse_not, ret);
}

static enum ist_code parse_or(struct parser *p, int depth, struct ist_filter **ret)
{
	return parse_chain(p, depth, IST_FILTER_ANY, "or", parse_and, ret);
}

enum ist_code ist_filter_parse_text(const char *text, struct ist_filter **ret, struct ist_err *err)
{
	struct parser p = {.text = text, .budget = IST_FILTER_VALUES_MAX, .err = err};
	struct ist_filter *filter = NULL;
	enum ist_code code;

	advance(&p);
	code = parse_or(&p, 0, &filter);
	if (code == IST_OK && p.kind != END) {
		code = expected(&p, "\"and\", \"or\" or the end");
		ist_filter_destroy(filter);
	}
	ist_buf_finish(&p.token);
	if (code == IST_OK)
		*ret = filter;
	return code;
}
