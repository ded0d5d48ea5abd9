/*
 * Opening and closing a data folder. Opening does little (lock, migrations, one thread or two):
 * generations load when they are first asked for, the check after an unclean stop runs in the
 * background. The lock file says "running" while the store is open, so that the next one knows
 * whether it was closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "index/items.h"
#include "index/live.h"
#include "index/maintenance.h"
#include "index/migrate.h"

void ist_store_event(struct ist_store *store, int level, const char *event, const char *format, ...)
{
	char text[600];
	va_list args;

	if (store->options.event == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	store->options.event(store->options.user, level, event, text);
}

enum ist_code ist_store_write(struct ist_store *store,
			      enum ist_code (*run)(struct ist_store *, struct ist_db *, void *,
						   struct ist_err *),
			      void (*publish)(struct ist_store *, struct ist_db *, void *),
			      void *user, size_t weight, struct ist_err *err)
{
	struct ist_op op = {.run = run, .publish = publish, .user = user, .weight = weight};

	return ist_writer_do(store->writer, &op, err);
}

/* ---- the folder ---- */

static enum ist_code make_folders(const struct ist_store *store, struct ist_err *err)
{
	static const char *const names[] = {"media", "models", "generations", "jobs"};
	enum ist_code code = ist_dir_make(store->folder, err);

	for (size_t i = 0; code == IST_OK && i < IST_COUNT(names); i++) {
		ist_autofree char *path = ist_format("%s/%s", store->folder, names[i]);

		code = ist_dir_make(path, err);
	}
	return code;
}

/* One store a folder; released by the system whatever happens to the process. */
static enum ist_code take_lock(struct ist_store *store, struct ist_err *err)
{
	ist_autofree char *path = ist_format("%s/lock", store->folder);
	struct stat info;

	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (store->lock_fd < 0)
		return ist_fail_errno(err, "open %s", path);
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return ist_fail(err, IST_CONFLICT, "%s is in use by another isthmusd",
					store->folder);
		return ist_fail_errno(err, "lock %s", path);
	}
	store->was_unclean = fstat(store->lock_fd, &info) == 0 && info.st_size > 0;
	return IST_OK;
}

/* Stays if the process dies; a clean close empties the file. */
static enum ist_code mark_running(struct ist_store *store, struct ist_err *err)
{
	static const char mark[] = "running\n";

	if (pwrite(store->lock_fd, mark, sizeof(mark) - 1, 0) != (ssize_t)sizeof(mark) - 1)
		return ist_fail_errno(err, "write %s/lock", store->folder);
	return IST_OK;
}

/* ---- the database ---- */

static enum ist_code migrate(struct ist_store *store, struct ist_db *db, struct ist_err *err)
{
	ist_autofree char *backups = ist_format("%s/backups", store->folder);
	struct ist_migrate_report report;
	enum ist_code code = ist_migrate(db->sql, ist_migrations, backups, &report, err);

	if (code == IST_OK && report.backup[0] != '\0')
		ist_store_event(store, IST_EVENT_INFO, "migrated", "schema %d to %d, backup %s",
				report.from, report.to, report.backup);
	return code;
}

/* Numbers of deleted rows are not used again: SQLite remembers the last one. */
static enum ist_code next_number(struct ist_db *db, const char *table, atomic_llong *ret,
				 struct ist_err *err)
{
	int64_t last = 0;
	enum ist_code code = ist_db_int(db, IST_SQL_LAST_NUMBER, 0, &last, err, "t", table);

	*ret = last + 1;
	return code;
}

static enum ist_code open_database(struct ist_store *store, struct ist_err *err)
{
	struct ist_db *db = NULL;
	enum ist_code code;

	store->database = ist_format("%s/isthmus.db", store->folder);
	if ((code = ist_db_open(store->database, true, &db, err)) != IST_OK)
		return code;
	if ((code = migrate(store, db, err)) != IST_OK ||
	    (code = next_number(db, "generations", &store->next_generation, err)) != IST_OK ||
	    (code = next_number(db, "models", &store->next_model, err)) != IST_OK ||
	    (code = ist_writer_create(store, db, &store->writer, err)) != IST_OK)
		ist_db_close(db);
	return code;
}

/* Whatever fails, close takes what there is. */
enum ist_code ist_store_open(const char *folder, const struct ist_store_options *options,
			     struct ist_store **ret, struct ist_err *err)
{
	struct ist_store *store = ist_alloc(1, sizeof(*store));
	enum ist_code code;

	store->folder = ist_strdup(folder);
	store->lock_fd = -1;
	store->state = IST_STORE_READY;
	if (options != NULL)
		store->options = *options;
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->files_lock, NULL);
	pthread_cond_init(&store->loaders_changed, NULL);
	ist_pins_init(&store->pins);
	store->fields = ist_field_ids_create();
	if ((code = make_folders(store, err)) == IST_OK &&
	    (code = take_lock(store, err)) == IST_OK && (code = mark_running(store, err)) == IST_OK)
		code = open_database(store, err);
	if (store->database != NULL)
		ist_db_pool_init(&store->pool, store->database);
	if (code == IST_OK && !store->options.read_only_memory)
		code = ist_maintenance_create(store, &store->maintenance, err);
	if (code != IST_OK) {
		ist_store_close(store);
		return ist_wrap(err, "data folder %s", folder);
	}
	*ret = store;
	return IST_OK;
}

/* ---- the end ---- */

/* They ask whether the store is stopping at every block of rows. */
static void wait_for_loaders(struct ist_store *store)
{
	pthread_mutex_lock(&store->lock);
	while (store->n_loaders > 0)
		pthread_cond_wait(&store->loaders_changed, &store->lock);
	pthread_mutex_unlock(&store->lock);
}

/* Only a store that was closed to the end is a clean one. */
static void release_lock(struct ist_store *store)
{
	if (store->lock_fd < 0)
		return;
	if (store->writer != NULL && ftruncate(store->lock_fd, 0) != 0)
		ist_store_event(store, IST_EVENT_WARNING, "lock", "%s/lock: %s", store->folder,
				strerror(errno));
	close(store->lock_fd);
}

void ist_store_close(struct ist_store *store)
{
	if (store == NULL)
		return;
	store->stopping = true;
	ist_maintenance_destroy(store->maintenance);
	wait_for_loaders(store);
	for (size_t i = 0; i < store->n_collections; i++)
		ist_collection_unref(store->collections[i]);
	free(store->collections);
	/* Readers first: the last connection to close checkpoints the log and removes it. */
	if (store->database != NULL)
		ist_db_pool_finish(&store->pool);
	ist_writer_destroy(store->writer);
	release_lock(store);
	ist_field_ids_destroy(store->fields);
	ist_pins_finish(&store->pins);
	pthread_cond_destroy(&store->loaders_changed);
	pthread_mutex_destroy(&store->files_lock);
	pthread_mutex_destroy(&store->lock);
	free(store->database);
	free(store->folder);
	free(store);
}

/* ---- how it is ---- */

enum ist_store_state ist_store_state(const struct ist_store *store, const char **ret_reason)
{
	enum ist_store_state state = (enum ist_store_state)store->state;

	if (ret_reason != NULL)
		*ret_reason = state == IST_STORE_DAMAGED ? store->reason : "";
	return state;
}

const char *ist_store_folder(const struct ist_store *store)
{
	return store->folder;
}

static uint64_t file_bytes(const char *path, const char *ending)
{
	ist_autofree char *name = ist_format("%s%s", path, ending);
	struct stat info;

	return stat(name, &info) == 0 ? (uint64_t)info.st_size : 0;
}

void ist_store_stats(struct ist_store *store, struct ist_store_stats *ret)
{
	ist_auto(ist_db_give) struct ist_db_lease lease = {0};
	int64_t media = 0;

	if (ist_db_take(&store->pool, &lease, NULL) != IST_OK ||
	    ist_db_int(lease.db, IST_SQL_MEDIA_BYTES, 0, &media, NULL, "") != IST_OK)
		media = 0;
	*ret = (struct ist_store_stats){
	    .database_bytes = file_bytes(store->database, ""),
	    .wal_bytes = file_bytes(store->database, "-wal"),
	    .media_bytes = (uint64_t)media,
	    .commits = (uint64_t)store->commits,
	    .writes = (uint64_t)store->writes,
	    .merges = (uint64_t)store->merges,
	    .queue = ist_writer_queue(store->writer),
	};
}
