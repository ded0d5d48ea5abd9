/*
 * The library is opened by the name of the version that the headers are of, its functions are
 * looked up in one loop over the table, and one engine serves the process. All of it happens once,
 * under pthread_once; a failure is remembered and told again to everybody who asks.
 */
#include "core/onednn/onednn.h"

#include <assert.h>
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define STRING(x) #x
#define LIBRARY(major) "libdnnl.so." STRING(major)

static struct ist_onednn library;
static struct ist_err failure;
static enum ist_code outcome;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct symbol {
	const char *name;
	size_t offset; /* of the member that it goes to */
};

static const struct symbol symbols[] = {
#define X(f) {"dnnl_" #f, offsetof(struct ist_onednn, f)},
    IST_ONEDNN_FUNCTIONS(X)
#undef X
};

static enum ist_code find_symbols(void *handle)
{
	for (size_t i = 0; i < IST_COUNT(symbols); i++) {
		void *found = dlsym(handle, symbols[i].name);

		if (found == NULL)
			return ist_fail(&failure, IST_UNAVAILABLE, "oneDNN: %s", dlerror());
		memcpy((char *)&library + symbols[i].offset, &found, sizeof(found));
	}
	return IST_OK;
}

/* A minor version less than the headers' may lack what they declare. */
static enum ist_code check_version(void)
{
	const dnnl_version_t *v = library.version();

	if (v->major == DNNL_VERSION_MAJOR && v->minor >= DNNL_VERSION_MINOR)
		return IST_OK;
	return ist_fail(&failure, IST_UNAVAILABLE, "oneDNN %d.%d is installed, %d.%d is needed",
			v->major, v->minor, DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR);
}

static const char *status_text(dnnl_status_t status)
{
	static const char *const texts[] = {
	    [dnnl_success] = "success",
	    [dnnl_out_of_memory] = "out of memory",
	    [dnnl_invalid_arguments] = "invalid arguments",
	    [dnnl_unimplemented] = "not implemented",
	    [dnnl_iterator_ends] = "no further implementation",
	    [dnnl_runtime_error] = "failed while running",
	    [dnnl_not_required] = "not required",
	};

	return (size_t)status < IST_COUNT(texts) ? texts[status] : "unknown status";
}

enum ist_code ist_onednn_check(dnnl_status_t status, const char *what, struct ist_err *err)
{
	if (status == dnnl_success)
		return IST_OK;
	return ist_fail(err, status == dnnl_out_of_memory ? IST_NO_MEMORY : IST_INTERNAL,
			"oneDNN, %s: %s", what, status_text(status));
}

/* Primitives are kept by whoever made them; the library's own cache would hold those of dropped
 * models for ever. */
static void load(void)
{
	void *handle = dlopen(LIBRARY(DNNL_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL) {
		outcome = ist_fail(&failure, IST_UNAVAILABLE, "oneDNN: %s", dlerror());
		return;
	}
	outcome = find_symbols(handle);
	if (outcome == IST_OK)
		outcome = check_version();
	if (outcome == IST_OK)
		outcome = ist_onednn_check(library.engine_create(&library.engine, dnnl_cpu, 0),
					   "engine", &failure);
	if (outcome == IST_OK)
		outcome =
		    ist_onednn_check(library.set_primitive_cache_capacity(0), "cache", &failure);
}

enum ist_code ist_onednn_get(const struct ist_onednn **ret, struct ist_err *err)
{
	pthread_once(&once, load);
	if (outcome != IST_OK)
		return ist_fail(err, outcome, "%s", failure.text);
	*ret = &library;
	return IST_OK;
}

enum ist_code ist_onednn_stream_create(dnnl_stream_t *ret, struct ist_err *err)
{
	const struct ist_onednn *dnnl;
	enum ist_code code = ist_onednn_get(&dnnl, err);

	if (code != IST_OK)
		return code;
	return ist_onednn_check(dnnl->stream_create(ret, dnnl->engine, dnnl_stream_default_flags),
				"stream", err);
}

void ist_onednn_stream_destroy(dnnl_stream_t stream)
{
	if (stream != NULL)
		library.stream_destroy(stream);
}

int ist_onednn_threads_begin(int n)
{
	int before = omp_get_max_threads();

	omp_set_num_threads(n);
	return before;
}

void ist_onednn_threads_end(int before)
{
	omp_set_num_threads(before);
}

dnnl_memory_desc_t ist_onednn_desc(const struct ist_onednn *dnnl, int n_dims,
				   const dnnl_dim_t *dims, dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t desc;
	dnnl_status_t status = dnnl->memory_desc_init_by_tag(&desc, n_dims, dims, dnnl_f32, tag);

	assert(status == dnnl_success);
	(void)status;
	return desc;
}

/* The library allocates memory of its own for a NULL handle; DNNL_MEMORY_NONE means none. */
enum ist_code ist_onednn_memory_create(const dnnl_memory_desc_t *desc, void *data,
				       dnnl_memory_t *ret, struct ist_err *err)
{
	void *handle = data != NULL ? data : DNNL_MEMORY_NONE;

	return ist_onednn_check(library.memory_create(ret, desc, library.engine, handle), "memory",
				err);
}

void ist_onednn_memory_destroy(dnnl_memory_t memory)
{
	if (memory != NULL)
		library.memory_destroy(memory);
}
