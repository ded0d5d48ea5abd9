/*
 * The table of options and its three readers. Sources are applied from the weakest to the
 * strongest: defaults, file, variables, flags; each value goes through the one function that
 * checks it, so that a rule holds wherever the value came from.
 */
#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/log.h"

#define AT(member) offsetof(struct ist_config, member)
#define MIB ((int64_t)1 << 20)

static const char *const formats[] = {"logfmt", "json", NULL};

const struct ist_option ist_options[] = {
    {"data", IST_OPTION_STRING, AT(data), .unit = "DIR",
     .help = "folder that holds everything; made if it is not there (required)"},
    {"listen", IST_OPTION_STRING, AT(listen), "127.0.0.1:7700", .unit = "HOST:PORT",
     .help = "address to listen on; port 0 picks a free one"},
    {"ready-file", IST_OPTION_STRING, AT(ready_file), .unit = "FILE",
     .help = "gets HOST:PORT and a newline once the daemon is ready"},
    {"config", IST_OPTION_STRING, AT(config), .unit = "FILE",
     .help = "a TOML file of these options"},
    {"log-format", IST_OPTION_CHOICE, AT(log_format), "logfmt", .choices = formats,
     .help = "shape of a line on standard error"},
    {"log-level", IST_OPTION_CHOICE, AT(log_level), "info", .choices = ist_log_level_names,
     .help = "least level that is logged"},
    {"workers", IST_OPTION_INT, AT(workers), "8", 1, 256, .unit = "N",
     .help = "threads that answer requests"},
    {"queue", IST_OPTION_INT, AT(queue), "256", 1, 100000, .unit = "N",
     .help = "requests that may wait for a worker; more are answered 429"},
    {"streams", IST_OPTION_INT, AT(streams), "8", 1, 64, .unit = "N",
     .help = "imports that may run at once; more are answered 429"},
    {"connections", IST_OPTION_INT, AT(connections), "1024", 8, 65536, .unit = "N",
     .help = "connections that may be open at once"},
    {"idle-timeout", IST_OPTION_INT, AT(idle_timeout), "60", 1, 3600, .unit = "SECONDS",
     .help = "silence after which a connection is closed"},
    {"max-body", IST_OPTION_BYTES, AT(max_body), "64MiB", 1024, 2048 * MIB, .unit = "BYTES",
     .help = "largest body of a request that is no import"},
    {"max-buffered", IST_OPTION_BYTES, AT(max_buffered), "512MiB", MIB, 65536 * MIB,
     .unit = "BYTES", .help = "bodies held in memory at once, all requests together"},
    {"max-pixels", IST_OPTION_BYTES, AT(max_pixels), "100000000", 1, (int64_t)1 << 31, .unit = "N",
     .help = "largest picture, width times height"},
    {"decoders", IST_OPTION_INT, AT(decoders), "2", 1, 64, .unit = "N",
     .help = "child processes that decode pictures"},
    {"decoder", IST_OPTION_STRING, AT(decoder), .unit = "PROGRAM",
     .help = "the decoder program; by default isthmus-decode beside isthmusd"},
    {"decode-timeout-ms", IST_OPTION_INT, AT(decode_timeout_ms), "10000", 10, 600000, .unit = "MS",
     .help = "time that one picture may take"},
    {"encoders", IST_OPTION_STRING, AT(encoders), .unit = "DIR",
     .help = "folder of pretrained encoders, besides those installed with the program"},
    {"preload-encoders", IST_OPTION_BOOL, AT(preload_encoders), "false",
     .help = "load those that collections use after the start, not at their first use"},
    {"max-encoder", IST_OPTION_BYTES, AT(max_encoder), "2GiB", MIB, 65536 * MIB, .unit = "BYTES",
     .help = "largest encoder that may be sent, all its files together"},
    {"import-threads", IST_OPTION_INT, AT(import_threads), "0", 0, 64, .unit = "N",
     .help = "threads that encode what imports bring; 0 takes one a processor"},
    {"cache-size", IST_OPTION_BYTES, AT(cache_size), "512MiB", 0, (int64_t)1 << 40, .unit = "BYTES",
     .help = "encodings kept by content in DIR/cache, which may be deleted; 0 keeps none"},
    {"demo", IST_OPTION_STRING, AT(demo), "/usr/share/tuxpaint/stamps", .unit = "DIR",
     .help = "folder of pictures that the web page offers to an empty server"},
    {"train-threads", IST_OPTION_INT, AT(train_threads), "0", 0, 256, .unit = "N",
     .help = "threads of a training; 0 takes one a processor"},
    {"merge-at", IST_OPTION_INT, AT(merge_at), "0", 0, 1000000000, .unit = "N",
     .help = "fresh vectors that start a merge; 0 leaves it to the store"},
    {"allow-public-without-keys", IST_OPTION_BOOL, AT(allow_public_without_keys), "false",
     .help = "listen on other addresses than loopback, for everybody to use"},
    {"help", IST_OPTION_BOOL, AT(help), "false", .help = "print this", .flag_only = true},
    {"version", IST_OPTION_BOOL, AT(version), "false", .help = "print the version",
     .flag_only = true},
};
const size_t ist_n_options = IST_COUNT(ist_options);

static const struct {
	const char *suffix;
	int shift;
} units[] = {{"", 0},	  {"B", 0},  {"KiB", 10}, {"MiB", 20},
	     {"GiB", 30}, {"K", 10}, {"M", 20},	  {"G", 30}};

/* Powers of two, as memory has them; "64M" is taken for 64MiB. */
static bool parse_bytes(const char *text, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || errno != 0 || isspace((unsigned char)*text))
		return false;
	for (size_t i = 0; i < IST_COUNT(units); i++)
		if (strcmp(end, units[i].suffix) == 0 && n >= 0 &&
		    n <= INT64_MAX >> units[i].shift) {
			*ret = n << units[i].shift;
			return true;
		}
	return false;
}

static bool parse_int(const char *text, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || isspace((unsigned char)*text))
		return false;
	*ret = n;
	return true;
}

/* The text of the mistake says what is allowed, and not only that it was wrong. */
static enum ist_code set_number(const struct ist_option *o, int64_t *to, const char *text,
				struct ist_err *err)
{
	bool bytes = o->kind == IST_OPTION_BYTES;
	int64_t n;

	if (!(bytes ? parse_bytes : parse_int)(text, &n) || n < o->min || n > o->max)
		return ist_fail(err, IST_INVALID, "must be %lld to %lld%s, got \"%s\"",
				(long long)o->min, (long long)o->max,
				bytes ? " (KiB, MiB and GiB may follow)" : "", text);
	*to = n;
	return IST_OK;
}

static enum ist_code set_bool(bool *to, const char *text, struct ist_err *err)
{
	bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

	if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
		return ist_fail(err, IST_INVALID, "must be true or false, got \"%s\"", text);
	*to = yes;
	return IST_OK;
}

static enum ist_code set_text(const struct ist_option *o, char **to, const char *text,
			      struct ist_err *err)
{
	char list[128] = "";
	bool found = o->choices == NULL;

	for (size_t i = 0; o->choices != NULL && o->choices[i] != NULL; i++) {
		size_t n = strlen(list);

		found |= strcmp(text, o->choices[i]) == 0;
		snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", o->choices[i]);
	}
	if (!found)
		return ist_fail(err, IST_INVALID, "must be one of %s, got \"%s\"", list, text);
	if (text[0] == '\0')
		return ist_fail(err, IST_INVALID, "must not be empty");
	free(*to);
	*to = ist_strdup(text);
	return IST_OK;
}

/* Where a value came from makes no difference from here on. */
static enum ist_code set(struct ist_config *config, const struct ist_option *o, const char *text,
			 struct ist_err *err)
{
	char *to = (char *)config + o->offset;

	switch (o->kind) {
	case IST_OPTION_INT:
	case IST_OPTION_BYTES:
		return set_number(o, (int64_t *)to, text, err);
	case IST_OPTION_BOOL:
		return set_bool((bool *)to, text, err);
	case IST_OPTION_STRING:
	case IST_OPTION_CHOICE:
		break;
	}
	return set_text(o, (char **)to, text, err);
}

/* max-body as MAX_BODY or max_body */
static void spell(const char *name, bool upper, char *ret, size_t size)
{
	size_t n = 0;

	for (; name[n] != '\0' && n + 1 < size; n++)
		ret[n] = name[n] == '-' ? '_'
					: (char)(upper ? toupper((unsigned char)name[n]) : name[n]);
	ret[n] = '\0';
}

static enum ist_code read_defaults(struct ist_config *config, struct ist_err *err)
{
	for (size_t i = 0; i < ist_n_options; i++)
		if (ist_options[i].def != NULL &&
		    set(config, &ist_options[i], ist_options[i].def, err) != IST_OK)
			return ist_wrap(err, "default of %s", ist_options[i].name);
	return IST_OK;
}

struct from_file {
	struct ist_config *config;
	struct ist_err *err;
	const char *path;
};

/* Types are held to as well: a number in quotes is a mistake that somebody should hear of. */
static bool put_from_file(void *user, const char *key, enum ist_toml_type type, const char *text,
			  unsigned line)
{
	static const enum ist_toml_type wants[] = {
	    [IST_OPTION_STRING] = IST_TOML_STRING, [IST_OPTION_CHOICE] = IST_TOML_STRING,
	    [IST_OPTION_INT] = IST_TOML_INT,	   [IST_OPTION_BYTES] = IST_TOML_INT,
	    [IST_OPTION_BOOL] = IST_TOML_BOOL,
	};
	static const char *const must[] = {[IST_TOML_STRING] = "a string",
					   [IST_TOML_INT] = "an integer",
					   [IST_TOML_BOOL] = "true or false"};
	struct from_file *f = user;
	char list[512] = "", name[64];

	for (size_t i = 0; i < ist_n_options; i++) {
		const struct ist_option *o = &ist_options[i];
		size_t n = strlen(list);

		if (o->flag_only || strcmp(o->name, "config") == 0)
			continue;
		spell(o->name, false, name, sizeof(name));
		snprintf(list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "", name);
		if (strcmp(key, name) != 0)
			continue;
		if (type != wants[o->kind] &&
		    !(o->kind == IST_OPTION_BYTES && type == IST_TOML_STRING)) {
			ist_fail(f->err, IST_INVALID, "%s:%u: %s: must be %s", f->path, line, key,
				 must[wants[o->kind]]);
			return false;
		}
		if (set(f->config, o, text, f->err) == IST_OK)
			return true;
		ist_wrap(f->err, "%s:%u: %s", f->path, line, key);
		return false;
	}
	ist_fail(f->err, IST_INVALID, "%s:%u: %s: no such key; there are %s", f->path, line, key,
		 list);
	return false;
}

/* The environment is a parameter, so that tests need not change their own. */
static const char *variable(char *const *environment, const struct ist_option *o, char *ret_name,
			    size_t size)
{
	size_t n;

	snprintf(ret_name, size, "ISTHMUS_");
	spell(o->name, true, ret_name + 8, size - 8);
	n = strlen(ret_name);
	for (; *environment != NULL; environment++)
		if (strncmp(*environment, ret_name, n) == 0 && (*environment)[n] == '=')
			return *environment + n + 1;
	return NULL;
}

static enum ist_code read_environment(struct ist_config *config, char *const *environment,
				      struct ist_err *err)
{
	char name[80];

	for (size_t i = 0; i < ist_n_options; i++) {
		const char *text = ist_options[i].flag_only
				       ? NULL
				       : variable(environment, &ist_options[i], name, sizeof(name));

		if (text != NULL && set(config, &ist_options[i], text, err) != IST_OK)
			return ist_wrap(err, "%s", name);
	}
	return IST_OK;
}

/* --name VALUE and --name=VALUE; names are never abbreviated. */
static const struct ist_option *find_flag(const char *arg, const char **ret_value)
{
	for (size_t i = 0; i < ist_n_options; i++) {
		size_t n = strlen(ist_options[i].name);

		if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, ist_options[i].name, n) != 0)
			continue;
		if (arg[2 + n] != '\0' && arg[2 + n] != '=')
			continue;
		*ret_value = arg[2 + n] == '=' ? arg + 2 + n + 1 : NULL;
		return &ist_options[i];
	}
	return NULL;
}

/* Flags are gone over twice: first only for --config (only = its row), then for all. */
static enum ist_code read_flags(struct ist_config *config, int argc, char *const *argv,
				const char *only, struct ist_err *err)
{
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct ist_option *o = find_flag(argv[i], &value);

		if (o == NULL)
			return ist_fail(err, IST_INVALID, "%s: no such flag; --help lists them",
					argv[i]);
		if (value == NULL && o->kind == IST_OPTION_BOOL)
			value = "true";
		else if (value == NULL && i + 1 < argc)
			value = argv[++i];
		if (value == NULL)
			return ist_fail(err, IST_INVALID, "%s: needs a value", argv[i]);
		if (only != NULL && strcmp(only, o->name) != 0)
			continue;
		if (set(config, o, value, err) != IST_OK)
			return ist_wrap(err, "--%s", o->name);
	}
	return IST_OK;
}

/* Which file is read can be said by a flag or a variable, so both are asked before it. */
static enum ist_code read_file(struct ist_config *config, int argc, char *const *argv,
			       char *const *environment, struct ist_err *err)
{
	struct from_file f = {config, err, NULL};
	ist_autofree char *path = NULL;
	char name[80];

	for (size_t i = 0; i < ist_n_options; i++)
		if (strcmp(ist_options[i].name, "config") == 0 && config->config == NULL)
			config->config =
			    ist_strdup(variable(environment, &ist_options[i], name, sizeof(name)));
	if (read_flags(config, argc, argv, "config", err) != IST_OK)
		return err->code;
	if (config->config == NULL)
		return IST_OK;
	path = ist_strdup(config->config);
	f.path = path;
	return ist_toml_read(path, put_from_file, &f, err);
}

enum ist_code ist_config_read(struct ist_config *config, int argc, char *const *argv,
			      char *const *environment, struct ist_err *err)
{
	struct ist_err own;

	if (err == NULL)
		err = &own;
	*config = (struct ist_config){0};
	if (read_defaults(config, err) == IST_OK &&
	    read_file(config, argc, argv, environment, err) == IST_OK &&
	    read_environment(config, environment, err) == IST_OK &&
	    read_flags(config, argc, argv, NULL, err) == IST_OK)
		return IST_OK;
	ist_config_finish(config);
	return err->code;
}

void ist_config_finish(struct ist_config *config)
{
	for (size_t i = 0; i < ist_n_options; i++) {
		char **text = (char **)((char *)config + ist_options[i].offset);

		if (ist_options[i].kind == IST_OPTION_STRING ||
		    ist_options[i].kind == IST_OPTION_CHOICE) {
			free(*text);
			*text = NULL;
		}
	}
}

/* The same rows as above: what is printed is what is checked. */
void ist_config_help(struct ist_buf *buf)
{
	ist_buf_puts(
	    buf,
	    "Usage: isthmusd --data DIR [options]\n\n"
	    "Serves search in a space that images and texts share, learnt from your own pairs.\n"
	    "Each option is a flag, a variable (--max-body: ISTHMUS_MAX_BODY) or a key of the\n"
	    "TOML file (max_body), in that order of precedence.\n\n");
	for (size_t i = 0; i < ist_n_options; i++) {
		const struct ist_option *o = &ist_options[i];
		char head[64], choices[64] = "";

		for (size_t c = 0; o->choices != NULL && o->choices[c] != NULL; c++) {
			size_t n = strlen(choices);

			snprintf(choices + n, sizeof(choices) - n, "%s%s", c > 0 ? "|" : "",
				 o->choices[c]);
		}
		snprintf(head, sizeof(head), "--%s %s", o->name,
			 o->unit != NULL ? o->unit : choices);
		ist_buf_printf(buf, "  %-32s %s", head, o->help);
		if (o->max > o->min)
			ist_buf_printf(buf, "; %lld to %lld", (long long)o->min, (long long)o->max);
		if (o->def != NULL && !o->flag_only)
			ist_buf_printf(buf, " [%s]", o->def);
		ist_buf_putc(buf, '\n');
	}
}

/* Numeric addresses only: what a name resolves to may change, and with it who can reach the daemon.
 */
enum ist_code ist_address_parse(const char *text, struct ist_address *ret, struct ist_err *err)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[' && colon > text && colon[-1] == ']';
	size_t n = colon == NULL ? 0 : (size_t)(colon - text) - (bracketed ? 2 : 0);
	struct ist_address a = {.v6 = bracketed};
	uint8_t raw[16];
	int64_t port;

	if (colon == NULL || n == 0 || n >= sizeof(a.host) || !parse_int(colon + 1, &port) ||
	    port < 0 || port > 65535 || strlen(colon + 1) > 5)
		return ist_fail(err, IST_INVALID, "listen: \"%s\" is not HOST:PORT", text);
	snprintf(a.host, sizeof(a.host), "%.*s", (int)n, text + bracketed);
	if (strcmp(a.host, "localhost") == 0)
		snprintf(a.host, sizeof(a.host), "127.0.0.1");
	a.port = (uint16_t)port;
	if (inet_pton(a.v6 ? AF_INET6 : AF_INET, a.host, raw) != 1)
		return ist_fail(err, IST_INVALID,
				"listen: \"%s\" is no numeric address (IPv6 stands in brackets)",
				a.host);
	a.loopback = a.v6 ? IN6_IS_ADDR_LOOPBACK((struct in6_addr *)raw) : raw[0] == 127;
	*ret = a;
	return IST_OK;
}
