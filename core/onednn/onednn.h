/*
 * oneDNN as this program uses it: convolutions, their gradients and small products, compiled by
 * the library for the CPU at hand. What encoders and training operators share: the library itself,
 * memory and primitives that release themselves, errors, and how many threads a primitive takes.
 *
 * The library is loaded at the first use and not linked: it would cost an idle daemon 5 MB. Its
 * functions are therefore members, named without their prefix: dnnl->memory_create(…).
 *
 * Any thread may create and execute anything. A primitive is immutable and may run in several
 * threads at once, each with streams, memory and scratch of its own. It is made for the number of
 * threads in force when it was created (ist_onednn_threads_begin) and has to be executed under the
 * same number.
 */
#ifndef IST_CORE_ONEDNN_ONEDNN_H
#define IST_CORE_ONEDNN_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/memory.h"

/* What is used of the library; a row more is all that another function needs. */
#define IST_ONEDNN_FUNCTIONS(X)                                                                    \
	X(version)                                                                                 \
	X(engine_create)                                                                           \
	X(stream_create)                                                                           \
	X(stream_wait)                                                                             \
	X(stream_destroy)                                                                          \
	X(memory_desc_init_by_tag)                                                                 \
	X(memory_desc_init_by_strides)                                                             \
	X(memory_desc_equal)                                                                       \
	X(memory_desc_get_size)                                                                    \
	X(memory_create)                                                                           \
	X(memory_get_memory_desc)                                                                  \
	X(memory_set_data_handle)                                                                  \
	X(memory_get_data_handle)                                                                  \
	X(memory_destroy)                                                                          \
	X(primitive_attr_create)                                                                   \
	X(primitive_attr_destroy)                                                                  \
	X(primitive_attr_set_scratchpad_mode)                                                      \
	X(primitive_attr_set_post_ops)                                                             \
	X(post_ops_create)                                                                         \
	X(post_ops_destroy)                                                                        \
	X(post_ops_append_eltwise)                                                                 \
	X(post_ops_append_sum)                                                                     \
	X(post_ops_append_binary)                                                                  \
	X(primitive_desc_create)                                                                   \
	X(primitive_desc_destroy)                                                                  \
	X(primitive_desc_query)                                                                    \
	X(primitive_desc_query_md)                                                                 \
	X(primitive_create)                                                                        \
	X(primitive_execute)                                                                       \
	X(primitive_destroy)                                                                       \
	X(set_primitive_cache_capacity)                                                            \
	X(reorder_primitive_desc_create)                                                           \
	X(convolution_forward_desc_init)                                                           \
	X(convolution_backward_data_desc_init)                                                     \
	X(convolution_backward_weights_desc_init)                                                  \
	X(deconvolution_forward_desc_init)                                                         \
	X(deconvolution_backward_data_desc_init)                                                   \
	X(deconvolution_backward_weights_desc_init)                                                \
	X(batch_normalization_forward_desc_init)                                                   \
	X(batch_normalization_backward_desc_init)                                                  \
	X(eltwise_forward_desc_init)                                                               \
	X(eltwise_backward_desc_init)                                                              \
	X(pooling_v2_forward_desc_init)                                                            \
	X(pooling_v2_backward_desc_init)                                                           \
	X(inner_product_forward_desc_init)                                                         \
	X(matmul_desc_init)                                                                        \
	X(sgemm)

struct ist_onednn {
	dnnl_engine_t engine; /* the CPU; one for the process, never destroyed */
#define X(f) __typeof__(dnnl_##f) *f;
	IST_ONEDNN_FUNCTIONS(X)
#undef X
};

/* The library, loaded if it is not yet: IST_UNAVAILABLE where it is missing or too old. `*ret`
 * lives as long as the process. */
IST_CHECKED enum ist_code ist_onednn_get(const struct ist_onednn **ret, struct ist_err *err);

/* IST_OK, or the library's refusal as a code and "what: its own word for it". */
IST_CHECKED enum ist_code ist_onednn_check(dnnl_status_t status, const char *what,
					   struct ist_err *err);

/* A stream runs what it is given in order; each thread makes its own. */
IST_CHECKED enum ist_code ist_onednn_stream_create(dnnl_stream_t *ret, struct ist_err *err);
void ist_onednn_stream_destroy(dnnl_stream_t stream);

/*
 * Threads. Until _end the calling thread's own OpenMP regions, OpenBLAS's among them, take at most
 * n threads; the number that was in force is returned and goes back into _end. Other threads are
 * not touched.
 */
int ist_onednn_threads_begin(int n);
void ist_onednn_threads_end(int before);

/*
 * Descriptors: what a tensor of float32 looks like in memory. `tag` is dnnl_nchw and its kin, or
 * dnnl_format_tag_any to let a primitive choose. At most DNNL_MAX_NDIMS dimensions, checked by an
 * assertion as shapes are our own. (Arrays for the library are dnnl_dims_t: it declares that
 * length.)
 */
dnnl_memory_desc_t ist_onednn_desc(const struct ist_onednn *dnnl, int n_dims,
				   const dnnl_dim_t *dims, dnnl_format_tag_t tag);

/* Memory of `desc` at `data`, which stays the caller's; NULL where it is set later. */
IST_CHECKED enum ist_code ist_onednn_memory_create(const dnnl_memory_desc_t *desc, void *data,
						   dnnl_memory_t *ret, struct ist_err *err);
void ist_onednn_memory_destroy(dnnl_memory_t memory);

/*
 * Attributes that every primitive here has: scratch is the executing thread's, given as
 * DNNL_ARG_SCRATCHPAD. Then the post-operations, in this order, each where it is asked for.
 */
struct ist_onednn_after {
	bool add;		 /* result += what lies in the destination */
	dnnl_alg_kind_t eltwise; /* dnnl_eltwise_clip and its kin; 0: none */
	float alpha, beta;	 /* the eltwise's */
};

/* A primitive and what it says of itself. Zeroed memory may be finished. */
struct ist_onednn_primitive {
	dnnl_primitive_desc_t desc;
	dnnl_primitive_t primitive;
	size_t scratch; /* bytes of scratch that an execution needs */
};

/* `op` is a dnnl_…_desc_t. `after` and `hint` (the forward primitive of a backward one) may be
 * NULL. IST_INTERNAL with `what` ("depthwise 3x3 of block 2") where the library knows no way. */
IST_CHECKED enum ist_code ist_onednn_primitive_init(struct ist_onednn_primitive *p,
						    const char *what, const void *op,
						    const struct ist_onednn_after *after,
						    const struct ist_onednn_primitive *hint,
						    struct ist_err *err);
void ist_onednn_primitive_finish(struct ist_onednn_primitive *p);
/* The layout that a primitive chose or was given: dnnl_query_src_md, _weights_md, _dst_md, … */
const dnnl_memory_desc_t *ist_onednn_primitive_wants(const struct ist_onednn_primitive *p,
						     dnnl_query_t which, int index);

/* Whether the library has code of its own for the CPU and this primitive, and not only the plain
 * loops that it holds for everything. */
bool ist_onednn_primitive_is_fast(const struct ist_onednn_primitive *p);

/* Enqueues; on the CPU the work is done when it returns. Allocates a few hundred bytes inside the
 * library for the list of arguments, released before it returns, and nothing else. */
IST_CHECKED enum ist_code ist_onednn_execute(const struct ist_onednn_primitive *p,
					     dnnl_stream_t stream, int n,
					     const dnnl_exec_arg_t *args, struct ist_err *err);

/* Copies between two layouts of one shape, once: for weights at load and tests. */
IST_CHECKED enum ist_code ist_onednn_reorder(const dnnl_memory_desc_t *from_desc, const void *from,
					     const dnnl_memory_desc_t *to_desc, void *to,
					     struct ist_err *err);

static inline void ist_onednn_threads_restore(int *before)
{
	ist_onednn_threads_end(*before);
}
/* `ist_onednn_threads(2);` for the rest of a block. */
#define ist_onednn_threads(n)                                                                      \
	__attribute__((cleanup(ist_onednn_threads_restore), unused)) int threads_before_ =         \
	    ist_onednn_threads_begin(n)

#endif
