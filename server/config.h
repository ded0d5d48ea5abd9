/*
 * Configuration from one table: flags, then ISTHMUS_… variables, then one TOML file, then the
 * defaults. The same table prints --help and the documented defaults, and checks every value;
 * a mistake names where it stands (flag, variable, or file and line) and what is allowed.
 */
#ifndef IST_SERVER_CONFIG_H
#define IST_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

struct ist_config {
	char *data, *listen, *ready_file, *config, *encoders, *decoder, *demo;
	char *log_format, *log_level;
	int64_t workers, queue, streams, connections, decoders, import_threads, train_threads;
	int64_t cache_size;
	int64_t idle_timeout, decode_timeout_ms, merge_at;
	int64_t max_body, max_buffered, max_pixels, max_encoder;
	bool allow_public_without_keys, preload_encoders;
	bool help, version;
};

enum ist_option_kind {
	IST_OPTION_STRING, /* char * */
	IST_OPTION_CHOICE, /* char *, one of choices */
	IST_OPTION_INT,	   /* int64_t within [min, max] */
	IST_OPTION_BYTES,  /* int64_t within [min, max]; "64MiB" */
	IST_OPTION_BOOL,
};

struct ist_option {
	const char *name; /* --max-body, ISTHMUS_MAX_BODY, max_body in the file */
	enum ist_option_kind kind;
	size_t offset;
	const char *def; /* as text; NULL: none */
	int64_t min, max;
	const char *const *choices;
	const char *unit; /* "DIR", "HOST:PORT": stands for the value in --help */
	const char *help;
	bool flag_only;
};
extern const struct ist_option ist_options[];
extern const size_t ist_n_options;

/* `environment` as environ. The file is --config or ISTHMUS_CONFIG; none is read otherwise. */
IST_CHECKED enum ist_code ist_config_read(struct ist_config *config, int argc, char *const *argv,
					  char *const *environment, struct ist_err *err);
void ist_config_finish(struct ist_config *config);
void ist_config_help(struct ist_buf *buf);

/* "127.0.0.1:7700", "[::1]:0", "localhost:0" taken apart. */
struct ist_address {
	char host[64]; /* numeric */
	uint16_t port;
	bool v6, loopback;
};
IST_CHECKED enum ist_code ist_address_parse(const char *text, struct ist_address *ret,
					    struct ist_err *err);

/* config_toml.cc: calls `put` for every key at the top level; false from it ends the reading. */
enum ist_toml_type { IST_TOML_STRING, IST_TOML_INT, IST_TOML_BOOL, IST_TOML_OTHER };
IST_CHECKED enum ist_code ist_toml_read(const char *path,
					bool (*put)(void *user, const char *key,
						    enum ist_toml_type type, const char *text,
						    unsigned line),
					void *user, struct ist_err *err);

#endif
