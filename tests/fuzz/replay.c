/* Runs a fuzz target over the files of folders: replay FOLDER... [-- SUFFIX] */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"

#define MAX_FILE (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && strcmp(name + n - m, suffix) == 0;
}

/* The number of files run; a file that cannot be read ends the program with 1. */
static size_t replay(const char *folder, const char *suffix)
{
	DIR *dir = opendir(folder);
	size_t n = 0;

	if (dir == NULL) {
		perror(folder);
		exit(1);
	}
	for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
		ist_autofree char *path = ist_format("%s/%s", folder, d->d_name);
		ist_auto(ist_buf_finish) struct ist_buf file = {0};
		ist_autofree uint8_t *exact = NULL;
		struct ist_err err;

		if (d->d_name[0] == '.' || d->d_type == DT_DIR || !ends_with(d->d_name, suffix))
			continue;
		if (ist_file_read(path, MAX_FILE, &file, &err) != IST_OK) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		exact = ist_alloc(IST_MAX(file.len, 1), 1);
		memcpy(exact, file.len > 0 ? file.data : "", file.len);
		LLVMFuzzerTestOneInput(exact, file.len);
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	const char *suffix = "";
	size_t n = 0;

	if (argc > 3 && strcmp(argv[argc - 2], "--") == 0) {
		suffix = argv[argc - 1];
		argc -= 2;
	}
	for (int i = 1; i < argc; i++)
		n += replay(argv[i], suffix);
	printf("%zu inputs\n", n);
	return n > 0 ? 0 : 1;
}
