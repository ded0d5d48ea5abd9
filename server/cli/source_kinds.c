/* The kinds of sources, in the order in which they are asked. */
#include "core/base/memory.h"
#include "server/cli/source.h"

static const struct ist_source_kind *const kinds[] = {
    &ist_source_npy, &ist_source_folder, &ist_source_csv, &ist_source_tar, &ist_source_ndjson,
};

enum ist_code ist_source_kind_of(const char *path, const struct ist_args *args,
				 const struct ist_source_kind **ret, struct ist_err *err)
{
	for (size_t i = 0; i < IST_COUNT(kinds); i++)
		if (kinds[i]->takes(path, args)) {
			*ret = kinds[i];
			return IST_OK;
		}
	if (path == NULL)
		return ist_usage(err, "import what? Name a SOURCE, or --image-vectors and "
				      "--text-vectors");
	return ist_usage(err,
			 "%s: a source is a folder, .csv, .tsv, .tar, .ndjson, .jsonl, or - for "
			 "NDJSON on standard input",
			 path);
}
