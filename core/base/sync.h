/*
 * Many files or folders made durable together. A file system writes its journal once for all who
 * wait for it at the same time; one after the other they would wait for it once each.
 */
#ifndef IST_CORE_BASE_SYNC_H
#define IST_CORE_BASE_SYNC_H

#include <stddef.h>

/* fsync of each; returns n, or which of them failed, with errno set. Starts a few threads for the
 * time of the call where that pays. */
size_t ist_sync_all(const int *fds, size_t n);

#endif
