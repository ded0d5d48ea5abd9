/*
 * From what is asked to the answer: feature, embedding, search, reply. A query holds one reader
 * from embedding to search, so that it sees one model and one state of the collection.
 */
#ifndef IST_SERVER_QUERY_RUN_H
#define IST_SERVER_QUERY_RUN_H

#include "index/store.h"
#include "server/daemon.h"
#include "server/query_request.h"

/* The embedding of a source under a reader's model, in the arena. */
struct ist_embedded {
	const float *x; /* (dim) */
	size_t dim;
	enum ist_modality from; /* the modality it speaks for; of a ready embedding, the text */
	bool ready;		/* came as an embedding of the common space */
	bool composed;		/* of a picture and a text together: it asks for pictures */
	const float *feature;	/* what it was made of, (dim_in[from]); NULL: ready or composed */
	const char *id;		/* the item it is the vector of; NULL: none */
};
/* Pointers are relative to the source. `allow_common`: a ready embedding is taken. */
IST_CHECKED enum ist_code ist_source_embed(struct ist_worker *worker,
					   const struct ist_reader *reader,
					   const struct ist_source *source, bool allow_common,
					   struct ist_arena *arena, struct ist_embedded *ret,
					   struct ist_err *err);
/* The feature (dim of the encoder) of modality m that a source stands for; of an item, the one of
 * that modality. A source of another modality is refused. */
IST_CHECKED enum ist_code ist_source_feature(struct ist_worker *worker, struct ist_collection *c,
					     const struct ist_source *source, enum ist_modality m,
					     struct ist_arena *arena, const float **ret,
					     struct ist_err *err);
/* Hits as a JSON array; `returns` (enum ist_query_return) says what is shown of an item. */
void ist_hits_put(struct ist_buf *buf, const struct ist_hit *hits, size_t n, unsigned returns,
		  const struct ist_model *model);
/* "common", or "feature" where the model's embeddings are the encoders' own. */
const char *ist_space_name(const struct ist_model *model);

/* Appends the reply as JSON text; nothing on failure. Pointers are relative to the request. */
IST_CHECKED enum ist_code ist_query_answer(struct ist_worker *worker, struct ist_collection *c,
					   const struct ist_query *query, struct ist_arena *arena,
					   struct ist_buf *ret, struct ist_err *err);

#endif
