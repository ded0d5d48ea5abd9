/*
 * Glue to toml++, which is C++ only: a file's keys as plain texts with their lines. Nothing throws
 * out of here.
 */
#include <cstdio>
#include <exception>
#include <string>

#include <toml++/toml.h>

extern "C" {
#include "server/config.h"
}

static enum ist_toml_type describe(const toml::node &node, std::string &text)
{
	if (auto s = node.as_string()) {
		text = s->get();
		return IST_TOML_STRING;
	}
	if (auto i = node.as_integer()) {
		text = std::to_string(i->get());
		return IST_TOML_INT;
	}
	if (auto b = node.as_boolean()) {
		text = b->get() ? "true" : "false";
		return IST_TOML_BOOL;
	}
	return IST_TOML_OTHER;
}

extern "C" enum ist_code ist_toml_read(const char *path,
				       bool (*put)(void *user, const char *key,
						   enum ist_toml_type type, const char *text,
						   unsigned line),
				       void *user, struct ist_err *err)
{
	try {
		toml::table table = toml::parse_file(path);

		for (auto &&[key, node] : table) {
			std::string name(key.str()), text;
			enum ist_toml_type type = describe(node, text);

			if (!put(user, name.c_str(), type, text.c_str(), key.source().begin.line))
				return IST_INVALID;
		}
		return IST_OK;
	} catch (const toml::parse_error &e) {
		return ist_fail(err, IST_INVALID, "%s:%u: %s", path,
				unsigned(e.source().begin.line), e.what());
	} catch (const std::exception &e) {
		return ist_fail(err, IST_IO, "%s: %s", path, e.what());
	}
}
