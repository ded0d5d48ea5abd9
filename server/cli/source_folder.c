/* A folder of pictures as a source of imports: its rules come from the command line. */
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "server/cli/picture_folder.h"

struct folder {
	struct ist_picture_rules rules;
	const char **exclude;
	struct ist_picture_folder *pictures;
};

static bool takes(const char *path, const struct ist_args *args)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void close_folder(void *source)
{
	struct folder *f = source;

	if (f == NULL)
		return;
	ist_picture_folder_close(f->pictures);
	free(f->exclude);
	free(f);
}

static void read_rules(struct folder *f, const struct ist_args *args)
{
	const char *topic = ist_args_text(args, "topic");
	size_t n = 0;

	while (ist_args_nth(args, "exclude", n) != NULL)
		n++;
	f->exclude = ist_alloc(n + 1, sizeof(*f->exclude));
	for (size_t i = 0; i < n; i++)
		f->exclude[i] = ist_args_nth(args, "exclude", i);
	f->rules = (struct ist_picture_rules){
	    .exclude = f->exclude,
	    .n_exclude = n,
	    .label_levels = ist_args_int(args, "label-levels", 1),
	    .topic = topic != NULL ? topic : "topic",
	    .sidecar = {.languages = ist_args_text(args, "languages"),
			.each_line = ist_args_flag(args, "each-line")},
	};
}

static enum ist_code open_folder(const char *path, const struct ist_args *args, void **ret,
				 struct ist_err *err)
{
	struct folder *f = ist_alloc(1, sizeof(*f));
	enum ist_code code;

	read_rules(f, args);
	code = ist_picture_folder_open(path, &f->rules, &f->pictures, err);
	if (code)
		close_folder(f);
	else
		*ret = f;
	return code;
}

static enum ist_code next(void *source, struct ist_record *record, bool *ret_more,
			  struct ist_err *err)
{
	return ist_picture_folder_next(((struct folder *)source)->pictures, record, ret_more, err);
}

static double share(const void *source)
{
	return ist_picture_folder_share(((const struct folder *)source)->pictures);
}

const struct ist_source_kind ist_source_folder = {
    .name = "folder",
    .takes = takes,
    .open = open_folder,
    .next = next,
    .share = share,
    .close = close_folder,
};
