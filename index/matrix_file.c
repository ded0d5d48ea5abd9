/*
 * A matrix that is written row by row and then mapped: it may be larger than memory, and the system
 * may take its pages back. The file has no name, so nothing is left behind whatever happens.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "index/store_internal.h"
#include "index/training.h"

/* In the data folder and not in /tmp, which may be memory. */
enum ist_code ist_matrix_open(struct ist_matrix_file *m, const struct ist_store *store,
			      struct ist_err *err)
{
	int fd = open(store->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	m->bytes = 0;
	m->file = fd >= 0 ? fdopen(fd, "w+b") : NULL;
	if (m->file != NULL)
		return IST_OK;
	ist_fail_errno(err, "a temporary file in %s", store->folder);
	if (fd >= 0)
		close(fd);
	return err != NULL ? err->code : IST_IO;
}

enum ist_code ist_matrix_put_bytes(struct ist_matrix_file *m, const void *data, size_t n,
				   struct ist_err *err)
{
	if (fwrite(data, 1, n, m->file) != n)
		return ist_fail_errno(err, "writing the training set");
	m->bytes += n;
	return IST_OK;
}

enum ist_code ist_matrix_put(struct ist_matrix_file *m, const float *x, size_t n,
			     struct ist_err *err)
{
	return ist_matrix_put_bytes(m, x, n * sizeof(float), err);
}

enum ist_code ist_matrix_map(struct ist_matrix_file *m, const void **ret, struct ist_err *err)
{
	void *data;

	*ret = NULL;
	if (m->bytes == 0)
		return IST_OK;
	if (fflush(m->file) != 0)
		return ist_fail_errno(err, "writing the training set");
	data = mmap(NULL, m->bytes, PROT_READ, MAP_SHARED, fileno(m->file), 0);
	if (data == MAP_FAILED)
		return ist_fail_errno(err, "mapping the training set");
	*ret = data;
	return IST_OK;
}

void ist_matrix_close(struct ist_matrix_file *m)
{
	if (m->file != NULL)
		fclose(m->file);
	m->file = NULL;
}
