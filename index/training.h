/*
 * The making of a training set: matrices in files, and the pictures and triples that composed
 * retrieval learns from beside the pairs. Private to training_*.c.
 */
#ifndef IST_INDEX_TRAINING_H
#define IST_INDEX_TRAINING_H

#include <stdio.h>

#include "index/db.h"
#include "index/store.h"

/* ---- a matrix, or any bytes, that may be larger than memory ---- */
struct ist_matrix_file {
	FILE *file;
	size_t bytes;
};
IST_CHECKED enum ist_code ist_matrix_open(struct ist_matrix_file *m, const struct ist_store *store,
					  struct ist_err *err);
IST_CHECKED enum ist_code ist_matrix_put(struct ist_matrix_file *m, const float *x, size_t n,
					 struct ist_err *err);
IST_CHECKED enum ist_code ist_matrix_put_bytes(struct ist_matrix_file *m, const void *data,
					       size_t n, struct ist_err *err);
/* NULL where nothing was put. The map outlives the file's closing. */
IST_CHECKED enum ist_code ist_matrix_map(struct ist_matrix_file *m, const void **ret,
					 struct ist_err *err);
void ist_matrix_close(struct ist_matrix_file *m);

/* ---- the strings of the pairs' texts ---- */
struct ist_texts_file {
	struct ist_matrix_file file;
	size_t n, cap;
	size_t *at; /* (n) where each begins in the file; SIZE_MAX: none is stored */
};
/* The text of the next pair; NULL: none is stored. */
IST_CHECKED enum ist_code ist_texts_put(struct ist_texts_file *texts, const char *text,
					struct ist_err *err);
/* Makes set->pairs.text. */
IST_CHECKED enum ist_code ist_texts_hand_over(struct ist_texts_file *texts,
					      struct ist_training_set *set, struct ist_err *err);
void ist_texts_close(struct ist_texts_file *texts);
/* The reverse of hand_over. */
void ist_texts_release(struct ist_training_set *set);

/* ---- pictures and triples ---- */
struct ist_edits {
	struct ist_collection *collection;
	struct ist_matrix_file image, text;
	size_t n_images, cap_images, n_validation;
	struct ist_edits_picture {
		char *id;
		int64_t item;
		uint32_t row; /* of the matrix */
		uint8_t part;
	} * picture;
	size_t n, cap;
	uint32_t *reference, *target;
};
IST_CHECKED enum ist_code ist_edits_init(struct ist_edits *e, struct ist_collection *c,
					 struct ist_err *err);
void ist_edits_finish(struct ist_edits *e);
IST_CHECKED enum ist_code ist_edits_add_picture(struct ist_edits *e, int64_t row, const char *id,
						enum ist_part part, const float *x,
						struct ist_err *err);
/* After the last picture: all triples whose ends are there. */
IST_CHECKED enum ist_code ist_edits_read(struct ist_edits *e, struct ist_db *db,
					 struct ist_err *err);
/* Makes set->triples and names it in set->pairs. */
IST_CHECKED enum ist_code ist_edits_hand_over(struct ist_edits *e, struct ist_training_set *set,
					      struct ist_err *err);
/* The reverse of hand_over. */
void ist_edits_release(struct ist_training_set *set);

#endif
