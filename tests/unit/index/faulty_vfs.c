/* See the header. Every other call goes to the layer below unchanged. */
#include "tests/unit/index/faulty_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

struct file {
	sqlite3_file base;
	sqlite3_file *below; /* follows in the same memory */
};

static sqlite3_vfs layer;
static sqlite3_vfs *below;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what is below */
static struct {
	enum faulty_call call;
	int left, rc, failed;
	bool armed, forever;
} fault;

static int check(enum faulty_call call)
{
	int rc = SQLITE_OK;

	pthread_mutex_lock(&lock);
	if (fault.armed && fault.call == call && --fault.left <= 0) {
		rc = fault.rc;
		fault.failed++;
		fault.armed = fault.forever;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void faulty_fail(enum faulty_call call, int n, int rc, bool forever)
{
	pthread_mutex_lock(&lock);
	fault.call = call;
	fault.left = n;
	fault.rc = rc;
	fault.forever = forever;
	fault.failed = 0;
	fault.armed = true;
	pthread_mutex_unlock(&lock);
}

void faulty_heal(void)
{
	pthread_mutex_lock(&lock);
	fault.armed = false;
	pthread_mutex_unlock(&lock);
}

int faulty_failed(void)
{
	int n;

	pthread_mutex_lock(&lock);
	n = fault.failed;
	pthread_mutex_unlock(&lock);
	return n;
}

#define BELOW(f) (((struct file *)(f))->below)
#define CALL(f, method, ...) BELOW(f)->pMethods->method(BELOW(f), ##__VA_ARGS__)

static int do_close(sqlite3_file *f)
{
	return BELOW(f)->pMethods != NULL ? CALL(f, xClose) : SQLITE_OK;
}

static int do_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
	return CALL(f, xRead, data, n, at);
}

static int do_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	int rc = check(FAULTY_WRITE);

	return rc != SQLITE_OK ? rc : CALL(f, xWrite, data, n, at);
}

static int do_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return CALL(f, xTruncate, size);
}

static int do_sync(sqlite3_file *f, int flags)
{
	int rc = check(FAULTY_SYNC);

	return rc != SQLITE_OK ? rc : CALL(f, xSync, flags);
}

static int do_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return CALL(f, xFileSize, size);
}

static int do_lock(sqlite3_file *f, int kind)
{
	return CALL(f, xLock, kind);
}

static int do_unlock(sqlite3_file *f, int kind)
{
	return CALL(f, xUnlock, kind);
}

static int do_check_lock(sqlite3_file *f, int *ret)
{
	return CALL(f, xCheckReservedLock, ret);
}

static int do_control(sqlite3_file *f, int op, void *arg)
{
	return CALL(f, xFileControl, op, arg);
}

static int do_sector(sqlite3_file *f)
{
	return CALL(f, xSectorSize);
}

static int do_traits(sqlite3_file *f)
{
	return CALL(f, xDeviceCharacteristics);
}

static int do_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return CALL(f, xShmMap, page, size, extend, ret);
}

static int do_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return CALL(f, xShmLock, offset, n, flags);
}

static void do_barrier(sqlite3_file *f)
{
	CALL(f, xShmBarrier);
}

static int do_unmap(sqlite3_file *f, int remove)
{
	return CALL(f, xShmUnmap, remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector,
    .xDeviceCharacteristics = do_traits,
    .xShmMap = do_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_barrier,
    .xShmUnmap = do_unmap,
};

static int do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct file *file = (struct file *)f;
	int rc;

	file->below = (sqlite3_file *)(file + 1);
	rc = below->xOpen(below, name, file->below, flags, ret_flags);
	file->base.pMethods = file->below->pMethods != NULL ? &methods : NULL;
	return rc;
}

void faulty_install(void)
{
	below = sqlite3_vfs_find(NULL);
	layer = *below;
	layer.szOsFile = (int)sizeof(struct file) + below->szOsFile;
	layer.zName = "faulty";
	layer.xOpen = do_open;
	sqlite3_vfs_register(&layer, 1);
}
