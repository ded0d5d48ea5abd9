/* The readers of sidecar files. Both take bytes as they are in the file and refuse what is no text.
 */
#include "server/cli/sidecar.h"

#include <ctype.h>
#include <string.h>

#include "core/base/memory.h"
#include "server/json.h"

/* ---- .txt ---- */

static struct ist_str trim(struct ist_str s)
{
	while (s.len > 0 && isspace((unsigned char)s.data[0]))
		s.data++, s.len--;
	while (s.len > 0 && isspace((unsigned char)s.data[s.len - 1]))
		s.len--;
	return s;
}

/* Takes the first line off. */
static struct ist_str next_line(struct ist_str *rest)
{
	const char *end = memchr(rest->data, '\n', rest->len);
	struct ist_str line = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
	size_t used = line.len + (end != NULL);

	rest->data += used;
	rest->len -= used;
	return trim(line);
}

/* "de.utf8=Ein Pinguin.": splits it; false for any other line. */
static bool is_translation(struct ist_str line, struct ist_str *ret_language,
			   struct ist_str *ret_text)
{
	static const char mark[] = ".utf8=";
	const char *at = memmem(line.data, IST_MIN(line.len, 40), mark, strlen(mark));

	if (at == NULL || at == line.data)
		return false;
	for (const char *p = line.data; p < at; p++)
		if (!isalnum((unsigned char)*p) && strchr("_-@", *p) == NULL)
			return false;
	*ret_language = (struct ist_str){line.data, (size_t)(at - line.data)};
	at += strlen(mark);
	*ret_text = trim((struct ist_str){at, (size_t)(line.data + line.len - at)});
	return true;
}

/* Whether a comma-separated list holds the name. */
static bool in_list(const char *list, struct ist_str name)
{
	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		if (n == name.len && memcmp(list, name.data, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static void add_text(json_t *texts, struct ist_str text)
{
	if (text.len > 0)
		json_array_append_new(texts, json_stringn(text.data, text.len));
}

static bool has_translations(struct ist_str rest)
{
	struct ist_str language, text;

	while (rest.len > 0)
		if (is_translation(next_line(&rest), &language, &text))
			return true;
	return false;
}

/* English has no mark: it is the first line. */
static void read_translations(struct ist_str rest, const char *languages, json_t *texts)
{
	struct ist_str english = next_line(&rest), language, text;

	if (languages == NULL || in_list(languages, (struct ist_str){"en", 2}))
		add_text(texts, english);
	while (languages != NULL && rest.len > 0)
		if (is_translation(next_line(&rest), &language, &text) &&
		    in_list(languages, language))
			add_text(texts, text);
}

enum ist_code ist_sidecar_text(const struct ist_buf *file, const struct ist_sidecar_rules *rules,
			       json_t *item, struct ist_err *err)
{
	struct ist_str all = {file->data != NULL ? file->data : "", file->len};
	json_t *texts;

	if (all.len >= 3 && memcmp(all.data, "\xef\xbb\xbf", 3) == 0)
		all = (struct ist_str){all.data + 3, all.len - 3};
	if (memchr(all.data, '\0', all.len) != NULL || !ist_utf8_is_valid(all.data, all.len))
		return ist_fail(err, IST_INVALID, "is not UTF-8 text");
	texts = json_array();
	if (has_translations(all))
		read_translations(all, rules->languages, texts);
	else if (!rules->each_line)
		add_text(texts, trim(all));
	else
		while (all.len > 0)
			add_text(texts, next_line(&all));
	if (json_array_size(texts) > 0)
		json_object_set(item, "texts", texts);
	json_decref(texts);
	return IST_OK;
}

/* ---- .json ---- */

static const struct {
	const char *name, *member;
} members[] = {
    {"id", "id"},	    {"image", "image"},	  {"texts", "texts"},	{"label", "label"},
    {"vectors", "vectors"}, {"text", "texts"},	  {"caption", "texts"}, {"captions", "texts"},
    {"created_at", NULL},   {"updated_at", NULL},
};

/* Whether the name is one of an item's; *ret is its member, NULL: to be left out. */
static bool is_member(const char *name, const char **ret)
{
	for (size_t i = 0; i < IST_COUNT(members); i++)
		if (strcmp(members[i].name, name) == 0) {
			*ret = members[i].member;
			return true;
		}
	return false;
}

static json_t *metadata_of(json_t *item)
{
	json_t *metadata = json_object_get(item, "metadata");

	if (!json_is_object(metadata)) {
		metadata = json_object();
		json_object_set_new(item, "metadata", metadata);
	}
	return metadata;
}

static void add_member(json_t *item, const char *name, json_t *value)
{
	const char *member;

	if (strcmp(name, "metadata") == 0 && json_is_object(value))
		json_object_update(metadata_of(item), value);
	else if (!is_member(name, &member))
		json_object_set(metadata_of(item), name, value);
	else if (member != NULL && strcmp(member, "texts") == 0 && json_is_string(value))
		json_object_set_new(item, member, json_pack("[O]", value));
	else if (member != NULL)
		json_object_set(item, member, value);
}

enum ist_code ist_sidecar_json(const struct ist_buf *file, json_t *item, struct ist_err *err)
{
	json_t *json, *value;
	const char *name;

	if (ist_json_parse(file->data != NULL ? file->data : "", file->len, &json, err) != IST_OK)
		return err->code;
	if (!json_is_object(json)) {
		json_decref(json);
		return ist_fail(err, IST_INVALID, "must be a JSON object");
	}
	json_object_foreach(json, name, value) add_member(item, name, value);
	json_decref(json);
	return IST_OK;
}
