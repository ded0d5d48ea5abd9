/*
 * Media files. Order of things for a new picture: pin, file (durable), row (commit), unpin; for
 * one that goes: row (commit), then, with the pins locked, look for a pin and for a row once more,
 * and unlink. Whoever pins later finds no file and writes it again.
 */
#include "index/media.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "index/store_internal.h"

void ist_pins_init(struct ist_pins *pins)
{
	*pins = (struct ist_pins){0};
	pthread_mutex_init(&pins->lock, NULL);
}

void ist_pins_finish(struct ist_pins *pins)
{
	free(pins->list);
	pthread_mutex_destroy(&pins->lock);
}

/* Few are pinned at once (the requests under way), so a list will do. */
static struct ist_pin *find(struct ist_pins *pins, const uint8_t *sha256)
{
	for (size_t i = 0; i < pins->n; i++)
		if (memcmp(pins->list[i].sha256, sha256, IST_SHA256_SIZE) == 0)
			return &pins->list[i];
	return NULL;
}

/* Waits while a file is being removed: afterwards it is there, or seen to be missing. */
void ist_pins_add(struct ist_pins *pins, const uint8_t sha256[IST_SHA256_SIZE])
{
	struct ist_pin *pin;

	pthread_mutex_lock(&pins->lock);
	if ((pin = find(pins, sha256)) == NULL) {
		if (pins->n == pins->cap) {
			pins->cap = pins->cap * 2 + 16;
			pins->list = ist_resize(pins->list, pins->cap, sizeof(*pins->list));
		}
		pin = &pins->list[pins->n++];
		memcpy(pin->sha256, sha256, IST_SHA256_SIZE);
		pin->n = 0;
	}
	pin->n++;
	pthread_mutex_unlock(&pins->lock);
}

void ist_pins_remove(struct ist_pins *pins, const uint8_t sha256[IST_SHA256_SIZE])
{
	struct ist_pin *pin;

	pthread_mutex_lock(&pins->lock);
	pin = find(pins, sha256);
	if (pin != NULL && --pin->n == 0)
		*pin = pins->list[--pins->n];
	pthread_mutex_unlock(&pins->lock);
}

char *ist_media_path(const struct ist_store *store, const char *sha256)
{
	return ist_format("%s/media/%.2s/%s", store->folder, sha256, sha256);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only: a hash has one name, so that a file has one, too. */
bool ist_media_parse(const char *hex, uint8_t ret[IST_SHA256_SIZE])
{
	for (size_t i = 0; i < IST_SHA256_SIZE; i++) {
		int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * IST_SHA256_SIZE] == '\0';
}

/* A temporary failure to read counts as "named": a file too many is no harm. */
void ist_media_drop(struct ist_store *store, struct ist_db *db,
		    const uint8_t sha256[IST_SHA256_SIZE])
{
	char hex[IST_SHA256_HEX];
	ist_autofree char *path = NULL;
	int64_t known = 1;

	ist_hex(sha256, IST_SHA256_SIZE, hex);
	path = ist_media_path(store, hex);
	pthread_mutex_lock(&store->pins.lock);
	if (find(&store->pins, sha256) == NULL &&
	    ist_db_int(db, IST_SQL_MEDIA_EXISTS, 0, &known, NULL, "b", sha256,
		       (size_t)IST_SHA256_SIZE) == IST_OK &&
	    known == 0)
		unlink(path);
	pthread_mutex_unlock(&store->pins.lock);
}

/* One folder of media/: files that are no row's, and temporaries of an unclean stop. */
static void sweep_folder(struct ist_store *store, struct ist_db *db, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	uint8_t sha256[IST_SHA256_SIZE];

	if (dir == NULL)
		return;
	while (!store->stopping && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (ist_media_parse(entry->d_name, sha256))
			ist_media_drop(store, db, sha256);
	}
	closedir(dir);
}

void ist_media_sweep(struct ist_store *store)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};

	if (ist_db_take(&store->pool, &lease, NULL) != IST_OK)
		return;
	for (int i = 0; i < 256 && !store->stopping; i++) {
		ist_autofree char *folder = ist_format("%s/media/%02x", store->folder, i);

		sweep_folder(store, lease.db, folder);
	}
}

enum ist_code ist_media_find(struct ist_store *store, const char *sha256, struct ist_arena *arena,
			     struct ist_item *ret_image, struct ist_err *err)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	ist_auto(ist_db_reset) sqlite3_stmt *st = NULL;
	uint8_t hash[IST_SHA256_SIZE];
	struct ist_item item = {.has_image = true};
	enum ist_code code;
	bool row;

	if (!ist_media_parse(sha256, hash))
		return ist_fail(err, IST_INVALID, "not a SHA-256 in lower-case hexadecimal");
	if ((code = ist_db_take(&store->pool, &lease, err)) != IST_OK)
		return code;
	code = ist_db_bind(lease.db, IST_SQL_MEDIA_GET, &st, err, "b", hash, sizeof(hash));
	if (code != IST_OK || (code = ist_db_step(lease.db, st, &row, err)) != IST_OK)
		return code;
	if (!row)
		return ist_fail(err, IST_NOT_FOUND, "no picture %s", sha256);
	memcpy(item.image.sha256, sha256, IST_SHA256_HEX);
	item.image.type = ist_arena_strdup(arena, ist_db_text(st, 0));
	item.image.width = (uint32_t)sqlite3_column_int64(st, 1);
	item.image.height = (uint32_t)sqlite3_column_int64(st, 2);
	item.image.bytes = (uint64_t)sqlite3_column_int64(st, 3);
	*ret_image = item;
	return IST_OK;
}

enum ist_code ist_media_open(struct ist_store *store, const char *sha256, int *ret_fd,
			     uint64_t *ret_bytes, struct ist_err *err)
{
	uint8_t hash[IST_SHA256_SIZE];
	ist_autofree char *path = NULL;
	struct stat info;
	int fd;

	if (!ist_media_parse(sha256, hash))
		return ist_fail(err, IST_INVALID, "not a SHA-256 in lower-case hexadecimal");
	path = ist_media_path(store, sha256);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ist_fail(err, IST_NOT_FOUND, "no picture %s", sha256);
	if (fd < 0 || fstat(fd, &info) != 0) {
		ist_fail_errno(err, "open %s", path);
		if (fd >= 0)
			close(fd);
		return IST_IO;
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)info.st_size;
	return IST_OK;
}
