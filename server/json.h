/*
 * JSON text, read strictly and written well, and the JSON pointers of errors.
 */
#ifndef IST_SERVER_JSON_H
#define IST_SERVER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/error.h"

/* The document of a body: UTF-8 JSON without duplicate keys, NUL characters, nesting over 64 or
 * trailing bytes. IST_BAD_JSON names line and column. */
IST_CHECKED enum ist_code ist_json_parse(const char *data, size_t len, json_t **ret,
					 struct ist_err *err);

/* Appends the compact form: members in the order of insertion, or by name; numbers in the shortest
 * form that reads back the same. */
void ist_json_put(struct ist_buf *buf, const json_t *json, bool sorted);
void ist_json_put_string(struct ist_buf *buf, const char *s, size_t len);

/* Whether the bytes are UTF-8 without overlong forms and surrogates. */
bool ist_utf8_is_valid(const char *s, size_t len);
/* Puts '?' for every byte that is no UTF-8; for texts that may have been cut or quote a body. */
void ist_utf8_repair(char *s);
/* A name by the rules of ids: 1-255 bytes of UTF-8 without control characters, not "." or "..". */
bool ist_name_is_valid(const char *name, size_t len);

/* Puts "/name" (escaped as RFC 6901 says) or "/i" before the pointer that err holds; returns its
 * code. For the way up: return ist_err_in(err, "query"); */
enum ist_code ist_err_in(struct ist_err *err, const char *name);
enum ist_code ist_err_in_index(struct ist_err *err, size_t i);

#endif
