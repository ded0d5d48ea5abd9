/*
 * The file is a run of hashes, appended to after each acknowledged request; a torn last one is
 * dropped when it is read. In memory they stand sorted, for a binary search: what is added during
 * this run is not looked for again.
 */
#include "server/cli/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#define JOURNAL_BYTES_MAX ((size_t)1 << 30)

struct ist_journal {
	char *path;
	FILE *file; /* NULL: cannot be written */
	struct ist_buf known;
};

static char *folder_of_cache(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache != NULL && cache[0] == '/')
		return ist_format("%s/isthmus/import", cache);
	return home != NULL && *home != '\0' ? ist_format("%s/.cache/isthmus/import", home) : NULL;
}

void ist_line_hash(const void *line, size_t len, uint8_t ret[IST_LINE_HASH])
{
	uint8_t full[IST_SHA256_SIZE];

	ist_sha256(line, len, full);
	memcpy(ret, full, IST_LINE_HASH);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, IST_LINE_HASH);
}

static void load(struct ist_journal *journal)
{
	if (access(journal->path, R_OK) != 0 ||
	    ist_file_read(journal->path, JOURNAL_BYTES_MAX, &journal->known, NULL) != IST_OK)
		journal->known.len = 0;
	journal->known.len -= journal->known.len % IST_LINE_HASH;
	if (journal->known.len > 0)
		qsort(journal->known.data, journal->known.len / IST_LINE_HASH, IST_LINE_HASH,
		      by_bytes);
}

struct ist_journal *ist_journal_open(const char *key)
{
	struct ist_journal *journal = ist_alloc(1, sizeof(*journal));
	ist_autofree char *folder = folder_of_cache();
	char name[IST_SHA256_HEX];

	if (folder == NULL || ist_dir_make(folder, NULL) != IST_OK)
		return journal;
	ist_sha256_hex(key, strlen(key), name);
	journal->path = ist_format("%s/%s", folder, name);
	load(journal);
	/* What was torn must not shift what comes after it. */
	if (truncate(journal->path, (off_t)journal->known.len) == 0 || journal->known.len == 0)
		journal->file = fopen(journal->path, "ab");
	return journal;
}

bool ist_journal_has(const struct ist_journal *journal, const uint8_t hash[IST_LINE_HASH])
{
	return journal->known.len > 0 &&
	       bsearch(hash, journal->known.data, journal->known.len / IST_LINE_HASH, IST_LINE_HASH,
		       by_bytes) != NULL;
}

void ist_journal_add(struct ist_journal *journal, const uint8_t *hashes, size_t n)
{
	if (journal->file != NULL &&
	    (fwrite(hashes, IST_LINE_HASH, n, journal->file) != n || fflush(journal->file) != 0)) {
		fclose(journal->file);
		journal->file = NULL;
	}
}

void ist_journal_remove(struct ist_journal *journal)
{
	if (journal->path != NULL)
		unlink(journal->path);
}

void ist_journal_destroy(struct ist_journal *journal)
{
	if (journal == NULL)
		return;
	if (journal->file != NULL)
		fclose(journal->file);
	ist_buf_finish(&journal->known);
	free(journal->path);
	free(journal);
}
