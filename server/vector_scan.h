/*
 * The fast way for lines full of numbers: the member "vectors" of an object, where it has the
 * plain form {"image": […], "texts": [[…], …]}, is read by a scanner that knows only that form and
 * cut out of the line, so that the JSON parser need not make a value of every number. Whatever
 * looks otherwise is left to the parser, which also finds all that is wrong.
 */
#ifndef IST_SERVER_VECTOR_SCAN_H
#define IST_SERVER_VECTOR_SCAN_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "server/item_json.h"

struct ist_vector_scan { /* kept between lines, so that it stops allocating */
	struct ist_buf rest;
	float *numbers;
	size_t n, cap;
};
void ist_vector_scan_finish(struct ist_vector_scan *scan);

/* True: *ret holds the vectors (in the arena), scan->rest the line with null in their place. */
bool ist_vector_scan_cut(struct ist_vector_scan *scan, struct ist_str line, struct ist_arena *arena,
			 struct ist_cut_vectors *ret);

#endif
