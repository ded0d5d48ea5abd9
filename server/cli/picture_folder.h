/* A folder of pictures with their sidecar files, read as records: for imports, and the demo data.
 */
#ifndef IST_SERVER_CLI_PICTURE_FOLDER_H
#define IST_SERVER_CLI_PICTURE_FOLDER_H

#include "server/cli/sidecar.h"
#include "server/cli/source.h"

struct ist_picture_rules {
	const char *const *exclude; /* patterns of paths below the folder */
	size_t n_exclude;
	int64_t label_levels; /* folders that make the label */
	const char *topic;    /* the metadata that gets the first of them, "": none */
	struct ist_sidecar_rules sidecar;
};

struct ist_picture_folder;
/* The rules stay the caller's and must outlive it. IST_NOT_FOUND where it holds no picture. */
IST_CHECKED enum ist_code ist_picture_folder_open(const char *path,
						  const struct ist_picture_rules *rules,
						  struct ist_picture_folder **ret,
						  struct ist_err *err);
void ist_picture_folder_close(struct ist_picture_folder *folder); /* takes NULL */
size_t ist_picture_folder_count(const struct ist_picture_folder *folder);
/* As struct ist_source_kind's next and share. */
IST_CHECKED enum ist_code ist_picture_folder_next(struct ist_picture_folder *folder,
						  struct ist_record *record, bool *ret_more,
						  struct ist_err *err);
double ist_picture_folder_share(const struct ist_picture_folder *folder);

#endif
