/* A store in a temporary folder with one collection of small external vectors. */
#ifndef IST_TESTS_UNIT_INDEX_STORE_FIXTURE_H
#define IST_TESTS_UNIT_INDEX_STORE_FIXTURE_H

#include "index/store.h"

enum { FIXTURE_IMAGE_DIM = 8, FIXTURE_TEXT_DIM = 6 };

struct fixture {
	char folder[64];
	struct ist_store_options options;
	struct ist_store *store;
	struct ist_collection *c;
	struct ist_searcher *searcher;
	struct ist_arena arena;
};

/* cmocka's set-up and tear-down; *state is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* A fixture without cmocka's frame. */
void fixture_open(struct fixture *f); /* opens folder again, and the collection "c" */
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);
void fixture_remove(struct fixture *f); /* closes, and removes the folder */

/* A vector that depends on the number alone: no two alike, none zero. */
void fixture_vector(unsigned number, size_t dim, float *ret);

/* An item with a picture's vector and a text with its vector, both made from `number`. */
struct fixture_item {
	struct ist_item item;
	float image[FIXTURE_IMAGE_DIM], text[FIXTURE_TEXT_DIM];
	const char *texts[1];
	char text_buffer[64], id[64];
};
void fixture_make(struct fixture_item *ret, const char *id, unsigned number);
/* Writes one item that must be written; returns its status. */
enum ist_write_status fixture_put(struct fixture *f, const char *id, unsigned number,
				  const char *label, const char *metadata);
void fixture_delete(struct fixture *f, const char *id);
/* Items "i000", "i001", … with their number as metadata.n, labelled odd and even. */
void fixture_put_many(struct fixture *f, unsigned from, unsigned n);
/* Trains the linear method on all pairs and adds the model. */
void fixture_train(struct fixture *f, char ret_id[32]);
/* The ids of the hits for the picture's vector of `number`, "a,b,c"; in the arena. */
const char *fixture_search(struct fixture *f, unsigned number, size_t limit, const char *filter);
const char *fixture_search_model(struct fixture *f, const char *model, unsigned number,
				 size_t limit, const char *filter);

#endif
