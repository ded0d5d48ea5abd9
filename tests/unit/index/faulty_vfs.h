/*
 * SQLite's file layer with faults: the n-th write or sync of the database or its log fails, once
 * or from then on. Becomes the default layer when installed; opens by name go through it.
 */
#ifndef IST_TESTS_UNIT_INDEX_FAULTY_VFS_H
#define IST_TESTS_UNIT_INDEX_FAULTY_VFS_H

#include <stdbool.h>

enum faulty_call { FAULTY_WRITE, FAULTY_SYNC };

void faulty_install(void);
/* The n-th call from now (1: the next) answers `rc` (SQLITE_FULL, SQLITE_IOERR_WRITE, …). */
void faulty_fail(enum faulty_call call, int n, int rc, bool forever);
void faulty_heal(void);
int faulty_failed(void); /* how many calls failed since faulty_fail */

#endif
