/*
 * What goes on in the background, on one niced thread: loads, merges, removal of deleted
 * collections and of files that no row names, and the check after an unclean stop.
 */
#ifndef IST_INDEX_MAINTENANCE_H
#define IST_INDEX_MAINTENANCE_H

#include "index/store_internal.h"

IST_CHECKED enum ist_code ist_maintenance_create(struct ist_store *store,
						 struct ist_maintenance **ret, struct ist_err *err);
void ist_maintenance_destroy(struct ist_maintenance *m); /* after store->stopping */
void ist_maintenance_want_load(struct ist_collection *c);
void ist_maintenance_want_merge(struct ist_collection *c);
void ist_maintenance_want_clean(struct ist_store *store); /* files, deleted collections */

/* The steps, for tests that have no thread. */
void ist_maintenance_purge(struct ist_store *store);
void ist_maintenance_clean_files(struct ist_store *store);
IST_CHECKED enum ist_code ist_maintenance_check(struct ist_store *store, struct ist_err *err);

#endif
