/* The n-gram encoder: what is alike is near, in any script, and every text has a feature. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/encode/encoder.h"
#include "tests/unit/test.h"

static struct ist_encoder *encoder;
static struct ist_encoder_workspace *ws;

static float *encode(const char *text)
{
	float *x = ist_alloc(encoder->dim, sizeof(*x));
	struct ist_str s = {text, strlen(text)};
	struct ist_err err;

	assert_ist_ok(ist_encoder_texts(encoder, ws, &s, 1, x, &err));
	return x;
}

static double cosine(const char *a, const char *b)
{
	ist_autofree float *x = encode(a);
	ist_autofree float *y = encode(b);
	double xy = 0, xx = 0, yy = 0;

	for (size_t j = 0; j < encoder->dim; j++) {
		xy += (double)x[j] * y[j];
		xx += (double)x[j] * x[j];
		yy += (double)y[j] * y[j];
	}
	return xy / sqrt(xx * yy);
}

static void test_row(void **state)
{
	assert_string_equal(encoder->name, "ngrams");
	assert_true(ist_encoder_arch_takes(encoder->arch, IST_TEXT));
	assert_false(ist_encoder_arch_takes(encoder->arch, IST_IMAGE));
	assert_true(encoder->arch->counts);
	assert_int_equal(encoder->dim, encoder->arch->dim);
}

static void test_same(void **state)
{
	assert_true(cosine("A seal on the ice.", "a SEAL on the ice") > 0.999);
	assert_true(cosine("été", "e\u0301te\u0301") > 0.999);
	assert_true(cosine("ﬁsh", "fish") > 0.999);
}

static void test_near(void **state)
{
	static const char *const near[][3] = {
	    /* text, nearer, farther */
	    {"a seal on the ice", "two seals on ice", "a red fire engine"},
	    {"éléphant", "elephant", "papillon"},
	    {"海豹在冰上", "冰上的海豹", "红色的汽车"},
	    {"แมวน้ำบนน้ำแข็ง", "แมวน้ำ", "รถดับเพลิง"},
	    {"물개가 얼음 위에", "물개", "빨간 소방차"},
	    {"тюлень на льду", "тюлени на льду", "пожарная машина"},
	};

	for (size_t i = 0; i < IST_COUNT(near); i++) {
		double nearer = cosine(near[i][0], near[i][1]);
		double farther = cosine(near[i][0], near[i][2]);

		if (nearer <= farther)
			fail_msg("%s: %.3f to %s, %.3f to %s", near[i][0], nearer, near[i][1],
				 farther, near[i][2]);
	}
}

static void test_never_zero(void **state)
{
	static const char *const texts[] = {"", " ", "?!", "\u200B", "\u0301", "a", "🦭"};

	for (size_t i = 0; i < IST_COUNT(texts); i++) {
		ist_autofree float *x = encode(texts[i]);
		double sum = 0;

		for (size_t j = 0; j < encoder->dim; j++) {
			assert_true(x[j] >= 0 && isfinite(x[j]));
			sum += x[j];
		}
		assert_true(sum > 0);
	}
}

static void test_batch(void **state)
{
	struct ist_str texts[] = {{"a seal", 6}, {"", 0}, {"two owls", 8}};
	struct ist_err err;
	ist_autofree float *all = ist_alloc(3 * encoder->dim, sizeof(*all));

	assert_ist_ok(ist_encoder_texts(encoder, ws, texts, 3, all, &err));
	for (size_t i = 0; i < 3; i++) {
		ist_autofree float *one = encode(texts[i].len > 0 ? texts[i].data : "");

		assert_memory_equal(all + i * encoder->dim, one, encoder->dim * sizeof(*one));
	}
	texts[1] = (struct ist_str){"\xFF", 1};
	assert_int_equal(ist_encoder_texts(encoder, ws, texts, 3, all, &err), IST_INVALID);
	assert_non_null(strstr(err.text, "text 1"));
}

/* Pairs of words tell "man bites dog" from "dog bites man". */
static void test_order(void **state)
{
	assert_true(cosine("man bites dog", "dog bites man") < 0.97);
	assert_true(cosine("man bites dog", "dog bites man") > 0.6);
}

/* Counts grow more slowly than a text does. */
static void test_sublinear(void **state)
{
	ist_autofree float *once = encode("seal");
	ist_autofree float *often = encode("seal seal seal seal seal seal seal seal");

	for (size_t j = 0; j < encoder->dim; j++) {
		if (once[j] > 0)
			assert_true(often[j] > once[j] && often[j] < 5 * once[j]);
	}
}

static int open_encoder(void **state)
{
	ws = ist_encoder_workspace_create();
	return ist_encoder_open("ngrams", NULL, &encoder, NULL);
}

static int close_encoder(void **state)
{
	ist_encoder_close(encoder);
	ist_encoder_workspace_destroy(ws);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_row),	  cmocka_unit_test(test_same),
	    cmocka_unit_test(test_near),  cmocka_unit_test(test_never_zero),
	    cmocka_unit_test(test_batch), cmocka_unit_test(test_sublinear),
	    cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, open_encoder, close_encoder);
}
