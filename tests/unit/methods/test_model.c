/*
 * Models of every method: saved and loaded they embed bit for bit the same; a damaged folder is
 * refused; references; scores; what identity does with counts and shared spaces.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/methods/identity.h"
#include "tests/unit/test.h"
#include "tests/unit/train/toy.h"

static char folder[] = "/tmp/isthmus-model-XXXXXX";

static int make_folder(void **state)
{
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	return ist_dir_remove(folder, NULL) != IST_OK;
}

static struct ist_model *train(const struct ist_method *method, const struct toy *toy)
{
	struct ist_model *model = NULL;
	json_t *params = NULL;
	struct ist_err err;

	assert_ist_ok(ist_params_complete(method, NULL, &params, &err));
	if (json_object_get(params, "epochs") != NULL)
		json_object_set_new(params, "epochs", json_integer(2));
	assert_ist_ok(method->train(&toy->pairs, params, 1, NULL, &model, &err));
	json_decref(params);
	return model;
}

static float *embed(const struct ist_model *model, const struct toy *toy, enum ist_modality m)
{
	float *x = ist_alloc(toy->pairs.n * model->dim[m], sizeof(*x));
	struct ist_err err;

	assert_ist_ok(ist_model_embed(model, m, toy->pairs.x[m], toy->pairs.n, x, &err));
	return x;
}

static void same_embeddings(const struct ist_model *a, const struct ist_model *b,
			    const struct toy *toy)
{
	for (int m = 0; m < IST_N_MODALITIES; m++) {
		ist_autofree float *x = embed(a, toy, (enum ist_modality)m);
		ist_autofree float *y = embed(b, toy, (enum ist_modality)m);

		assert_memory_equal(x, y, toy->pairs.n * a->dim[m] * sizeof(float));
	}
}

static void same_models(const struct ist_model *a, const struct ist_model *b)
{
	assert_ptr_equal(a->method, b->method);
	assert_int_equal(a->similarity, b->similarity);
	assert_int_equal(a->crosses, b->crosses);
	assert_int_equal(a->seed, b->seed);
	assert_true(json_equal(a->params, b->params));
	assert_memory_equal(a->dim, b->dim, sizeof(a->dim));
	assert_memory_equal(a->dim_in, b->dim_in, sizeof(a->dim_in));
	for (int i = 0; i < 4; i++) {
		const struct ist_calibration *x = &a->calibration[i / 2][i % 2];
		const struct ist_calibration *y = &b->calibration[i / 2][i % 2];

		assert_int_equal(x->fitted, y->fitted);
		assert_true(x->slope == y->slope && x->offset == y->offset);
		assert_true(x->mean == y->mean && x->sd == y->sd);
	}
}

static bool can_train(const struct ist_method *method)
{
	return method->train != NULL && (method->needs & ~(unsigned)IST_NEEDS_LABELS) == 0;
}

static void saved_and_loaded_models_are_the_same(void **state)
{
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 120, 4, true, 1);
	toy.pairs.counts[IST_TEXT] = true; /* identity gets weights to save */
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		ist_autofree char *path = ist_format("%s/%s", folder, ist_methods[i]->name);
		struct ist_model *model, *loaded = NULL;

		if (!can_train(ist_methods[i]))
			continue;
		model = train(ist_methods[i], &toy);
		model->calibration[IST_IMAGE][IST_TEXT] =
		    (struct ist_calibration){true, 1.0 / 3, -0.1, 0.7, 2.0 / 7};
		assert_ist_ok(ist_model_save(model, path, &err));
		assert_ist_ok(ist_model_load(path, &loaded, &err));
		same_models(model, loaded);
		same_embeddings(model, loaded, &toy);
		ist_model_unref(model);
		ist_model_unref(loaded);
	}
	toy_finish(&toy);
}

/* Variants share their weights and outlive each other; what ranks by cosine has unit length. */
static void variants(void **state)
{
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 120, 4, true, 1);
	for (size_t i = 0; ist_methods[i] != NULL; i++) {
		struct ist_model *model, *cosine = NULL;
		ist_autofree float *x = NULL;

		if (ist_methods[i]->variant == NULL)
			continue;
		model = train(ist_methods[i], &toy);
		assert_ist_ok(ist_methods[i]->variant(model, "cosine", &cosine, &err));
		ist_model_unref(model);
		assert_int_equal(cosine->similarity, IST_COSINE);
		assert_string_equal(ist_param_choice(cosine->params, "similarity"), "cosine");
		x = embed(cosine, &toy, IST_TEXT);
		for (size_t r = 0; r < toy.pairs.n; r++) {
			double sum = 0;

			for (size_t j = 0; j < cosine->dim[IST_TEXT]; j++) {
				float v = x[r * cosine->dim[IST_TEXT] + j];

				sum += (double)v * v;
			}
			assert_true(fabs(sum - 1) < 1e-5);
		}
		ist_model_unref(cosine);
	}
	toy_finish(&toy);
}

static void write_file(const char *path, const char *name, const char *text, size_t len)
{
	ist_autofree char *file = ist_format("%s/%s", path, name);
	struct ist_err err;

	assert_ist_ok(ist_file_write(file, text, len, &err));
}

static void damaged_folders_are_refused(void **state)
{
	ist_autofree char *path = ist_format("%s/damaged", folder);
	ist_autofree char *weights = ist_format("%s/model.safetensors", path);
	ist_autofree char *manifest = ist_format("%s/manifest.json", path);
	ist_auto(ist_buf_finish) struct ist_buf good = {0}, text = {0};
	struct ist_model *model, *loaded = NULL;
	struct toy toy;
	struct ist_err err;

	toy_init(&toy, 60, 4, true, 1);
	model = train(ist_method_find("linear"), &toy);
	assert_ist_ok(ist_model_save(model, path, &err));
	assert_ist_ok(ist_file_read(weights, 1 << 24, &good, &err));
	assert_ist_ok(ist_file_read(manifest, 1 << 24, &text, &err));

	good.data[good.len - 5] ^= 1; /* one bit */
	write_file(path, "model.safetensors", good.data, good.len);
	assert_int_equal(ist_model_load(path, &loaded, &err), IST_CORRUPT);
	assert_non_null(strstr(err.text, "checksum"));
	good.data[good.len - 5] ^= 1;
	write_file(path, "model.safetensors", good.data, good.len);
	assert_ist_ok(ist_model_load(path, &loaded, &err));
	ist_model_unref(loaded);
	loaded = NULL;

	for (size_t cut = 0; cut < text.len - 1; cut += 37) { /* every shorter manifest */
		write_file(path, "manifest.json", text.data, cut);
		assert_int_equal(ist_model_load(path, &loaded, &err), IST_CORRUPT);
	}
	write_file(path, "manifest.json", "{\"format\": \"isthmus-model\"}", 27);
	assert_int_equal(ist_model_load(path, &loaded, &err), IST_CORRUPT);
	assert_int_equal(ist_model_load("/nowhere/at/all", &loaded, &err), IST_NOT_FOUND);
	assert_null(loaded);
	ist_model_unref(model);
	toy_finish(&toy);
}

/* A manifest whose numbers do not fit its weights, or that names what is not there. */
static void lying_manifests_are_refused(void **state)
{
	static const struct {
		const char *key, *value;
	} lies[] = {
	    {"method", "\"nothing\""},
	    {"version", "2"},
	    {"similarity", "\"best\""},
	    {"dim", "{\"image\": 1e9}"},
	    {"dim_in", "{\"image\": 0}"},
	    {"params", "{\"x\": 1}"},
	    {"calibration", "{}"},
	    {"seed", "\"a\""},
	    {"crosses", "1"},
	    {"dim", "{\"image\": 3, \"text\": 3}"},
	};
	ist_autofree char *path = ist_format("%s/lying", folder);
	ist_autofree char *manifest = ist_format("%s/manifest.json", path);
	struct ist_model *model, *loaded = NULL;
	struct toy toy;
	struct ist_err err;
	json_t *good;

	toy_init(&toy, 60, 4, true, 1);
	model = train(ist_method_find("linear"), &toy);
	assert_ist_ok(ist_model_save(model, path, &err));
	good = json_load_file(manifest, 0, NULL);
	for (size_t i = 0; i < IST_COUNT(lies); i++) {
		json_t *lie = json_deep_copy(good);
		ist_autofree char *text = NULL;

		json_object_set_new(lie, lies[i].key,
				    json_loads(lies[i].value, JSON_DECODE_ANY, NULL));
		text = json_dumps(lie, 0);
		write_file(path, "manifest.json", text, strlen(text));
		if (ist_model_load(path, &loaded, &err) != IST_CORRUPT)
			fail_msg("%s: %s was taken", lies[i].key, lies[i].value);
		json_decref(lie);
	}
	json_decref(good);
	ist_model_unref(model);
	toy_finish(&toy);
}

static void scores(void **state)
{
	const size_t dim[IST_N_MODALITIES] = {4, 4};
	struct ist_model *model = ist_identity_create(dim, true);

	assert_true(isnan(ist_model_score(model, IST_IMAGE, IST_TEXT, 0.3)));
	assert_true(ist_model_standardise(model, IST_IMAGE, IST_TEXT, 0.3) == 0.3);
	model->calibration[IST_IMAGE][IST_TEXT] =
	    (struct ist_calibration){true, 10, -5, 0.25, 0.125};
	assert_true(fabs(ist_model_score(model, IST_IMAGE, IST_TEXT, 0.5) - 0.5) < 1e-12);
	assert_true(ist_model_score(model, IST_IMAGE, IST_TEXT, -1e6) >= 0);
	assert_true(ist_model_score(model, IST_IMAGE, IST_TEXT, 1e6) <= 1);
	assert_true(ist_model_standardise(model, IST_IMAGE, IST_TEXT, 0.5) == 2);
	ist_model_unref(model);
}

static void identity_crosses_in_one_space_only(void **state)
{
	const size_t equal[IST_N_MODALITIES] = {4, 4}, other[IST_N_MODALITIES] = {4, 5};
	struct ist_model *a = ist_identity_create(equal, true);
	struct ist_model *b = ist_identity_create(equal, false);
	struct ist_model *c = ist_identity_create(other, true);

	assert_true(a->crosses);
	assert_false(b->crosses);
	assert_false(c->crosses);
	assert_ptr_equal(ist_model_ref(a), a);
	ist_model_unref(a);
	ist_model_unref(a);
	ist_model_unref(b);
	ist_model_unref(c);
	ist_model_unref(NULL);
}

static void identity_weighs_counts(void **state)
{
	const size_t dim[IST_N_MODALITIES] = {2, 3};
	const float weight[3] = {1, 2, 0.5f}, x[6] = {3, 2, 0, 0, 0, 0};
	struct ist_model *model = ist_identity_create(dim, false);
	struct ist_err err;
	float y[6];

	assert_ist_ok(ist_model_embed(model, IST_TEXT, x, 2, y, &err));
	assert_true(fabs(y[0] - 3 / sqrt(13)) < 1e-6 && y[3] == 0); /* zeros stay */
	ist_identity_weigh(model, IST_TEXT, weight);
	assert_ist_ok(ist_model_embed(model, IST_TEXT, x, 2, y, &err));
	assert_true(fabs(y[0] - 0.6) < 1e-6 && fabs(y[1] - 0.8) < 1e-6); /* (3, 4) / 5 */
	ist_model_unref(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(saved_and_loaded_models_are_the_same),
					   cmocka_unit_test(variants),
					   cmocka_unit_test(damaged_folders_are_refused),
					   cmocka_unit_test(lying_manifests_are_refused),
					   cmocka_unit_test(scores),
					   cmocka_unit_test(identity_crosses_in_one_space_only),
					   cmocka_unit_test(identity_weighs_counts)};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
