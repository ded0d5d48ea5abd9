/*
 * What of an import the server has acknowledged, so that one that was cut short goes on: hashes of
 * the lines, in a file of the user's cache. Losing it costs time only, since the server answers
 * "unchanged" to what it has.
 */
#ifndef IST_SERVER_CLI_JOURNAL_H
#define IST_SERVER_CLI_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define IST_LINE_HASH 16

struct ist_journal;

/* `key` tells one import from another: collection, its creation, source. */
struct ist_journal *ist_journal_open(const char *key);
void ist_journal_destroy(struct ist_journal *journal);
void ist_line_hash(const void *line, size_t len, uint8_t ret[IST_LINE_HASH]);
bool ist_journal_has(const struct ist_journal *journal, const uint8_t hash[IST_LINE_HASH]);
/* Writes at once. A journal that cannot be written is given up without a word. */
void ist_journal_add(struct ist_journal *journal, const uint8_t *hashes, size_t n);
/* The import has ended: nothing to go on with. */
void ist_journal_remove(struct ist_journal *journal);

#endif
