/*
 * The layer over oneDNN: a convolution with post-operations against numbers by hand, in a layout
 * that the library chose, by several threads with one primitive; refusals; the number of threads.
 */
#include "core/onednn/onednn.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/test.h"

#define N_PIXELS 4
#define N_IN 2
#define N_OUT 3

static const dnnl_dims_t src_dims = {1, N_IN, 2, 2}, weights_dims = {N_OUT, N_IN, 1, 1},
			 bias_dims = {N_OUT}, dst_dims = {1, N_OUT, 2, 2};
static const float src[N_IN * N_PIXELS] = {1, 2, 3, 4, -1, 0, 1, 2};
static const float weights[N_OUT * N_IN] = {1, 0, 0, 2, 1, 1}, bias[N_OUT] = {0, 1, -1};

struct convolution {
	struct ist_onednn_primitive p;
	const struct ist_onednn *dnnl;
	dnnl_memory_desc_t bias;
};

/* A 1x1 convolution in whatever layout fits, clipped to 0..4. */
static void make_convolution(struct convolution *c)
{
	static const dnnl_dims_t one = {1, 1}, none = {0, 0};
	const struct ist_onednn_after after = {false, dnnl_eltwise_clip, 0, 4};
	dnnl_memory_desc_t s, w, d;
	dnnl_convolution_desc_t op;
	struct ist_err err = {0};

	assert_ist_ok(ist_onednn_get(&c->dnnl, &err));
	s = ist_onednn_desc(c->dnnl, 4, src_dims, dnnl_format_tag_any);
	w = ist_onednn_desc(c->dnnl, 4, weights_dims, dnnl_format_tag_any);
	c->bias = ist_onednn_desc(c->dnnl, 1, bias_dims, dnnl_a);
	d = ist_onednn_desc(c->dnnl, 4, dst_dims, dnnl_format_tag_any);
	assert_int_equal(c->dnnl->convolution_forward_desc_init(&op, dnnl_forward_inference,
								dnnl_convolution_direct, &s, &w,
								&c->bias, &d, one, none, none),
			 dnnl_success);
	assert_ist_ok(ist_onednn_primitive_init(&c->p, "a 1x1", &op, &after, NULL, &err));
}

/* `data` in the layout that the primitive wants; the caller frees it. */
static float *in_layout(const struct convolution *c, dnnl_query_t which, const dnnl_dim_t *dims,
			dnnl_format_tag_t tag, const float *data)
{
	const dnnl_memory_desc_t *wanted = ist_onednn_primitive_wants(&c->p, which, 0);
	dnnl_memory_desc_t plain = ist_onednn_desc(c->dnnl, 4, dims, tag);
	float *out = ist_alloc_aligned(c->dnnl->memory_desc_get_size(wanted), 1);
	struct ist_err err = {0};

	if (data != NULL)
		assert_ist_ok(ist_onednn_reorder(&plain, data, wanted, out, &err));
	return out;
}

static void run_convolution(const struct convolution *c, float *ret)
{
	const dnnl_memory_desc_t *d = ist_onednn_primitive_wants(&c->p, dnnl_query_dst_md, 0);
	ist_autofree float *s = in_layout(c, dnnl_query_src_md, src_dims, dnnl_nchw, src);
	ist_autofree float *w =
	    in_layout(c, dnnl_query_weights_md, weights_dims, dnnl_oihw, weights);
	ist_autofree float *out = in_layout(c, dnnl_query_dst_md, dst_dims, dnnl_nchw, NULL);
	ist_autofree char *scratch = ist_alloc_aligned(IST_MAX(c->p.scratch, 1), 1);
	const dnnl_query_t which[] = {dnnl_query_src_md, dnnl_query_weights_md};
	dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, NULL},
				  {DNNL_ARG_WEIGHTS, NULL},
				  {DNNL_ARG_BIAS, NULL},
				  {DNNL_ARG_DST, NULL},
				  {DNNL_ARG_SCRATCHPAD, NULL}};
	dnnl_memory_desc_t plain = ist_onednn_desc(c->dnnl, 4, dst_dims, dnnl_nchw);
	float *const data[] = {s, w};
	dnnl_stream_t stream;
	struct ist_err err = {0};

	for (int i = 0; i < 2; i++)
		assert_ist_ok(
		    ist_onednn_memory_create(ist_onednn_primitive_wants(&c->p, which[i], 0),
					     data[i], &args[i].memory, &err));
	assert_ist_ok(
	    ist_onednn_memory_create(&c->bias, (void *)(uintptr_t)bias, &args[2].memory, &err));
	assert_ist_ok(ist_onednn_memory_create(d, out, &args[3].memory, &err));
	assert_ist_ok(
	    ist_onednn_memory_create(ist_onednn_primitive_wants(&c->p, dnnl_query_scratchpad_md, 0),
				     scratch, &args[4].memory, &err));
	assert_ist_ok(ist_onednn_stream_create(&stream, &err));
	assert_ist_ok(ist_onednn_execute(&c->p, stream, IST_COUNT(args), args, &err));
	ist_onednn_stream_destroy(stream);
	for (size_t i = 0; i < IST_COUNT(args); i++)
		ist_onednn_memory_destroy(args[i].memory);
	assert_ist_ok(ist_onednn_reorder(d, out, &plain, ret, &err));
}

static void convolves(void **state)
{
	static const float want[] = {1, 2, 3, 4, 0, 1, 3, 4, 0, 1, 3, 4};
	struct convolution c;
	float got[N_OUT * N_PIXELS];

	make_convolution(&c);
	run_convolution(&c, got);
	assert_memory_equal(got, want, sizeof(want));
	ist_onednn_primitive_finish(&c.p);
	ist_onednn_primitive_finish(&c.p); /* a second time is no harm */
}

struct task {
	const struct convolution *c;
	float got[N_OUT * N_PIXELS];
};

static void *run_task(void *arg)
{
	struct task *t = arg;

	ist_onednn_threads(1);
	for (int i = 0; i < 50; i++)
		run_convolution(t->c, t->got);
	return NULL;
}

static void threads_share_a_primitive(void **state)
{
	struct convolution c;
	struct task tasks[4];
	pthread_t threads[IST_COUNT(tasks)];
	float want[N_OUT * N_PIXELS];

	make_convolution(&c);
	run_convolution(&c, want);
	for (size_t i = 0; i < IST_COUNT(tasks); i++) {
		tasks[i].c = &c;
		assert_int_equal(pthread_create(&threads[i], NULL, run_task, &tasks[i]), 0);
	}
	for (size_t i = 0; i < IST_COUNT(tasks); i++) {
		pthread_join(threads[i], NULL);
		assert_memory_equal(tasks[i].got, want, sizeof(want));
	}
	ist_onednn_primitive_finish(&c.p);
}

static void refusals_say_what(void **state)
{
	struct ist_onednn_primitive p;
	dnnl_convolution_desc_t op = {0};
	struct ist_err err = {0};

	assert_int_equal(ist_onednn_primitive_init(&p, "a nonsense", &op, NULL, NULL, &err),
			 IST_INTERNAL);
	assert_non_null(strstr(err.text, "a nonsense: "));
	assert_null(p.primitive);
	assert_int_equal(ist_onednn_check(dnnl_out_of_memory, "x", &err), IST_NO_MEMORY);
	ist_onednn_primitive_finish(&p);
	ist_onednn_stream_destroy(NULL);
	ist_onednn_memory_destroy(NULL);
}

static void threads_are_put_back(void **state)
{
	int before = omp_get_max_threads();

	{
		ist_onednn_threads(before + 1);
		assert_int_equal(omp_get_max_threads(), before + 1);
	}
	assert_int_equal(omp_get_max_threads(), before);
}

TEST_MAIN(cmocka_unit_test(convolves), cmocka_unit_test(threads_share_a_primitive),
	  cmocka_unit_test(refusals_say_what), cmocka_unit_test(threads_are_put_back))
