/*
 * Errors: one code, one text, and for what a client sent, where in it.
 *
 * What can fail returns enum ist_code (0 is IST_OK) and takes `struct ist_err *err` last; err may
 * be NULL. The text is made where the error is born (ist_fail) and wrapped on the way up
 * (ist_wrap), so that it reads from the outside in: "model m_3: fsync x: No space left on device".
 * Code, its name on the wire, HTTP status and title live in IST_CODES and nowhere else.
 */
#ifndef IST_CORE_BASE_ERROR_H
#define IST_CORE_BASE_ERROR_H

#include <stddef.h>

/* X(enumerator, name on the wire, HTTP status, title) */
#define IST_CODES(X)                                                                               \
	X(OK, "ok", 200, "OK")                                                                     \
	X(BAD_REQUEST, "bad_request", 400, "The request could not be read")                        \
	X(BAD_JSON, "bad_json", 400, "The body is not JSON")                                       \
	X(UNAUTHORIZED, "unauthorized", 401, "A key is needed")                                    \
	X(FORBIDDEN, "forbidden", 403, "Not allowed from here")                                    \
	X(NOT_FOUND, "not_found", 404, "No such thing")                                            \
	X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "Method not allowed here")                \
	X(CONFLICT, "conflict", 409, "In conflict with the present state")                         \
	X(ENCODER_MISMATCH, "encoder_mismatch", 409, "The collection has other encoders")          \
	X(NO_MODEL, "no_model", 409, "No model can answer this")                                   \
	X(NOT_ENOUGH_DATA, "not_enough_data", 409, "Too few items for this")                       \
	X(LENGTH_REQUIRED, "length_required", 411, "A length is needed")                           \
	X(BODY_TOO_LARGE, "body_too_large", 413, "The body is too large")                          \
	X(IMAGE_TOO_LARGE, "image_too_large", 413, "The picture is too large")                     \
	X(UNSUPPORTED_TYPE, "unsupported_type", 415, "Unsupported media type")                     \
	X(BAD_RANGE, "bad_range", 416, "Range not satisfiable")                                    \
	X(INVALID, "invalid", 422, "A value is not valid")                                         \
	X(IMAGE_UNDECODABLE, "image_undecodable", 422, "The picture could not be decoded")         \
	X(VECTOR_REQUIRED, "vector_required", 422, "This encoder needs a ready vector")            \
	X(DIM_MISMATCH, "dim_mismatch", 422, "A vector has the wrong length")                      \
	X(TOO_BUSY, "too_busy", 429, "Too many requests at once")                                  \
	X(HEADERS_TOO_LARGE, "headers_too_large", 431, "The request head is too large")            \
	X(INTERNAL, "internal", 500, "Something failed inside")                                    \
	X(IO, "io", 500, "A file operation failed")                                                \
	X(CORRUPT, "corrupt", 500, "A stored file is damaged")                                     \
	X(NO_MEMORY, "no_memory", 500, "Out of memory")                                            \
	X(UNAVAILABLE, "unavailable", 503, "Not ready to answer")                                  \
	X(MODEL_LOADING, "model_loading", 503, "The model is being loaded")                        \
	X(STORAGE_FULL, "storage_full", 507, "The disk is full")                                   \
	X(CANCELLED, "cancelled", 500, "Cancelled")

enum ist_code {
#define X(e, name, status, title) IST_##e,
	IST_CODES(X)
#undef X
	    IST_N_CODES
};

struct ist_err {
	enum ist_code code;
	char text[512];	   /* for people; never holds a body or a vector */
	char pointer[192]; /* JSON pointer into the request, "" where none applies */
};

#define IST_CHECKED __attribute__((warn_unused_result))
#define IST_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sets *err (if not NULL) and returns `code`. */
enum ist_code ist_fail(struct ist_err *err, enum ist_code code, const char *format, ...)
    IST_PRINTF(3, 4);
/* The same with errno's text appended; ENOSPC and EDQUOT become IST_STORAGE_FULL. */
enum ist_code ist_fail_errno(struct ist_err *err, const char *format, ...) IST_PRINTF(2, 3);
/* For a bad value in a request: IST_INVALID (or another code) at a JSON pointer. */
enum ist_code ist_fail_at(struct ist_err *err, enum ist_code code, const char *pointer,
			  const char *format, ...) IST_PRINTF(4, 5);
/* Puts "prefix: " before the text that is there; returns the code that is there. */
enum ist_code ist_wrap(struct ist_err *err, const char *format, ...) IST_PRINTF(2, 3);
/* Puts a prefix before the pointer that is there: "/query" + "/limit". */
void ist_err_under(struct ist_err *err, const char *prefix);

const char *ist_code_name(enum ist_code code);	/* "not_found" */
const char *ist_code_title(enum ist_code code); /* "No such thing" */
int ist_code_status(enum ist_code code);	/* 404 */

#endif
