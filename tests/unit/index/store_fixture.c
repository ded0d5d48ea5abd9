/* See the header. */
#include "tests/unit/index/store_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "tests/unit/test.h"

void fixture_open(struct fixture *f)
{
	static const struct ist_encoder_ref encoder[] = {{"external", FIXTURE_IMAGE_DIM},
							 {"external", FIXTURE_TEXT_DIM}};
	static const bool counts[IST_N_MODALITIES];
	struct ist_err err = {0};
	bool created;

	assert_ist_ok(ist_store_open(f->folder, &f->options, &f->store, &err));
	assert_ist_ok(ist_store_collection_put(f->store, "c", encoder, counts, false, NULL,
					       &created, &f->c, &err));
}

void fixture_close(struct fixture *f)
{
	ist_collection_unref(f->c);
	ist_store_close(f->store);
	f->c = NULL;
	f->store = NULL;
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

void fixture_remove(struct fixture *f)
{
	struct ist_err err = {0};

	fixture_close(f);
	assert_ist_ok(ist_dir_remove(f->folder, &err));
}

int fixture_setup(void **state)
{
	struct fixture *f = ist_alloc(1, sizeof(*f));

	snprintf(f->folder, sizeof(f->folder), "/tmp/ist-store-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->searcher = ist_searcher_create();
	f->options.read_only_memory = true;
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_remove(f);
	ist_searcher_destroy(f->searcher);
	ist_arena_finish(&f->arena);
	free(f);
	return 0;
}

void fixture_vector(unsigned number, size_t dim, float *ret)
{
	for (size_t i = 0; i < dim; i++)
		ret[i] = (float)cos((double)number * (0.37 + 0.61 * (double)i) + (double)(i * i));
}

void fixture_make(struct fixture_item *ret, const char *id, unsigned number)
{
	*ret = (struct fixture_item){0};
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	snprintf(ret->text_buffer, sizeof(ret->text_buffer), "text %u", number);
	ret->texts[0] = ret->text_buffer;
	fixture_vector(number, FIXTURE_IMAGE_DIM, ret->image);
	fixture_vector(number + 1000003, FIXTURE_TEXT_DIM, ret->text);
	ret->item = (struct ist_item){
	    .id = ret->id,
	    .n_texts = 1,
	    .texts = ret->texts,
	    .image_vector = ret->image,
	    .text_vectors = ret->text,
	    .n_text_vectors = 1,
	    .given = {true, true},
	};
}

enum ist_write_status fixture_put(struct fixture *f, const char *id, unsigned number,
				  const char *label, const char *metadata)
{
	struct ist_err err = {0};
	struct fixture_item item;
	struct ist_write write = {.item = &item.item};

	fixture_make(&item, id, number);
	item.item.label = label;
	item.item.metadata = metadata;
	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	if (write.status == IST_FAILED)
		fail_msg("%s: %s", id, write.err.text);
	return write.status;
}

void fixture_delete(struct fixture *f, const char *id)
{
	struct ist_err err = {0};
	struct ist_write write = {.id = id};

	assert_ist_ok(ist_items_write(f->c, &write, 1, &err));
	assert_int_equal(write.status, IST_DELETED);
}

const char *fixture_search(struct fixture *f, unsigned number, size_t limit, const char *filter)
{
	return fixture_search_model(f, NULL, number, limit, filter);
}

const char *fixture_search_model(struct fixture *f, const char *model, unsigned number,
				 size_t limit, const char *filter)
{
	ist_auto(ist_buf_finish) struct ist_buf ids = {0};
	struct ist_filter *parsed = NULL;
	float feature[FIXTURE_IMAGE_DIM], vector[FIXTURE_IMAGE_DIM];
	struct ist_search search = {.vector = {vector},
				    .from = IST_IMAGE,
				    .limit = limit,
				    .threshold = NAN,
				    .min_similarity = NAN};
	struct ist_reader reader;
	struct ist_hit *hits;
	struct ist_err err = {0};
	size_t n;

	if (filter != NULL)
		assert_ist_ok(ist_filter_parse_text(filter, &parsed, &err));
	search.filter = parsed;
	assert_ist_ok(ist_reader_init(&reader, f->c, model, &err));
	fixture_vector(number, FIXTURE_IMAGE_DIM, feature);
	assert_ist_ok(ist_model_embed(ist_generation_model(reader.generation), IST_IMAGE, feature,
				      1, vector, &err));
	assert_ist_ok(
	    ist_reader_search(&reader, f->searcher, &search, &f->arena, &hits, &n, NULL, &err));
	for (size_t i = 0; i < n; i++)
		ist_buf_printf(&ids, "%s%s", i > 0 ? "," : "", hits[i].item.id);
	ist_reader_finish(&reader);
	ist_filter_destroy(parsed);
	return ist_arena_strdup(&f->arena, ids.data != NULL ? ids.data : "");
}

void fixture_put_many(struct fixture *f, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char id[16], metadata[64];

		snprintf(id, sizeof(id), "i%03u", i);
		snprintf(metadata, sizeof(metadata), "{\"n\":%u}", i);
		fixture_put(f, id, i, i % 2 ? "odd" : "even", metadata);
	}
}

void fixture_train(struct fixture *f, char ret_id[32])
{
	static const struct ist_split split = {.validation = 0.1, .test = 0.2};
	const struct ist_method *method = ist_method_find("linear");
	struct ist_training_set set;
	struct ist_model *model = NULL;
	struct ist_err err = {0};
	json_t *params = NULL;

	assert_ist_ok(ist_training_set_load(f->c, &split, 0, &set, &err));
	assert_ist_ok(ist_params_complete(method, NULL, &params, &err));
	assert_ist_ok(method->train(&set.pairs, params, 1, NULL, &model, &err));
	assert_ist_ok(ist_models_add(f->c, model, NULL, ret_id, &err));
	ist_model_unref(model);
	json_decref(params);
	ist_training_set_finish(&set);
}
