/* Sources: what records come out of a folder, a CSV file, a tar and NDJSON, and which fail. */
#include "tests/unit/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "server/cli/cli.h"
#include "server/cli/source.h"

static char top[] = "/tmp/isthmus-source-XXXXXX";

static char *at(const char *name)
{
	return ist_format("%s/%s", top, name);
}

static void write_file(const char *name, const char *text)
{
	ist_autofree char *path = at(name), *folder = ist_strdup(path);
	struct ist_err err = {0};

	*strrchr(folder, '/') = '\0';
	assert_ist_ok(ist_dir_make(folder, &err));
	assert_ist_ok(ist_file_write(path, text, strlen(text), &err));
}

struct got {
	size_t n;
	struct ist_record records[16];
	struct ist_err err; /* of opening or reading */
};

/* Reads a source with these options, which are split at '|'. */
static void read_source(struct got *got, const char *name, const char *options)
{
	ist_autofree char *path = at(name), *copy = ist_strdup(options);
	const struct ist_source_kind *kind;
	struct ist_args args;
	char *argv[16] = {(char *)"isthmus", (char *)"import", path};
	int n = 3;
	bool more = true;
	void *source = NULL;

	*got = (struct got){0};
	for (char *p = copy, *word; *options != '\0' && (word = strsep(&p, "|")) != NULL;)
		argv[n++] = word;
	if (ist_args_parse(&args, n, argv, &got->err) != IST_OK)
		fail_msg("%s", got->err.text);
	if (ist_source_kind_of(path, &args, &kind, &got->err) == IST_OK &&
	    kind->open(path, &args, &source, &got->err) == IST_OK)
		while (kind->next(source, &got->records[got->n], &more, &got->err) == IST_OK &&
		       more)
			got->n++;
	if (got->err.code != IST_OK)
		ist_record_finish(&got->records[got->n]);
	if (source != NULL)
		kind->close(source);
	ist_args_finish(&args);
}

static void finish(struct got *got)
{
	for (size_t i = 0; i < got->n; i++)
		ist_record_finish(&got->records[i]);
}

static void expect_line(const struct got *got, size_t i, const char *want)
{
	assert_true(i < got->n);
	if (got->records[i].err.code != IST_OK)
		fail_msg("record %zu: %s", i, got->records[i].err.text);
	assert_string_equal(got->records[i].line.data, want);
}

static void folders(void **state)
{
	struct got got;

	write_file("f/a/b/c/owl.png", "abc");
	write_file("f/a/b/c/owl.txt", "An owl.\nde.utf8=Eine Eule.");
	write_file("f/a/b/c/owl.json", "{\"year\": 2004}");
	write_file("f/a/cat.JPG", "abc");
	write_file("f/a/cat.JPG.txt", "A cat.");
	write_file("f/dog.svg", "abc");
	write_file("f/notes.txt", "no picture");
	write_file("f/.hidden/x.png", "abc");
	write_file("f/a/empty.gif", "");
	write_file("f/a/torn.webp", "abc");
	write_file("f/a/torn.json", "{");
	read_source(&got, "f", "--label-levels|2|--languages|en,de|--exclude|a/empt*");
	assert_int_equal(got.err.code, IST_OK);
	assert_int_equal(got.n, 4);
	expect_line(&got, 0,
		    "{\"id\":\"a/b/c/owl.png\",\"image\":{\"base64\":\"YWJj\"},\"metadata\":{"
		    "\"topic\":\"a\",\"year\":2004},\"label\":\"a/b\",\"texts\":[\"An owl.\","
		    "\"Eine Eule.\"]}");
	expect_line(&got, 1,
		    "{\"id\":\"a/cat.JPG\",\"image\":{\"base64\":\"YWJj\"},\"metadata\":{"
		    "\"topic\":\"a\"},\"label\":\"a\",\"texts\":[\"A cat.\"]}");
	assert_string_equal(got.records[2].id, "a/torn.webp");
	assert_int_equal(got.records[2].err.code, IST_BAD_JSON);
	expect_line(&got, 3, "{\"id\":\"dog.svg\",\"image\":{\"base64\":\"YWJj\"} }");
	finish(&got);
	read_source(&got, "f", "--label-levels|0|--topic=|--exclude|*owl*|--exclude|a/[ct]*");
	assert_int_equal(got.n, 2);
	assert_int_equal(got.records[0].err.code, IST_IMAGE_UNDECODABLE);
	finish(&got);
	read_source(&got, "f", "--exclude|*");
	assert_int_equal(got.err.code, IST_NOT_FOUND);
}

static void tables(void **state)
{
	struct got got;

	write_file("t/p.png", "abc");
	write_file("t/good.csv", "\xef\xbb\xbfid,image,text,label,year,zip,note\r\n"
				 "a,p.png,\"A \"\"big\"\",\nowl\",birds,2004,007,\r\n"
				 ",p.png,,,,,x\n"
				 "\n"
				 ",,words,,-1.5,1e2,\n"
				 "d,gone.png,,,,,\n"
				 "e,,too,few\n"
				 "f,,caf\xe9,,,,\n"
				 "g,,\"last\",,,,");
	read_source(&got, "t/good.csv", "");
	assert_int_equal(got.err.code, IST_OK);
	assert_int_equal(got.n, 7);
	expect_line(&got, 0,
		    "{\"id\":\"a\",\"image\":{\"base64\":\"YWJj\"},\"texts\":[\"A \\\"big\\\","
		    "\\nowl\"],\"label\":\"birds\",\"metadata\":{\"year\":2004,\"zip\":\"007\"}}");
	expect_line(&got, 1,
		    "{\"id\":\"p.png\",\"image\":{\"base64\":\"YWJj\"},\"metadata\":{\"note\":"
		    "\"x\"}}");
	expect_line(&got, 2,
		    "{\"id\":\"3\",\"texts\":[\"words\"],\"metadata\":{\"year\":-1.5,\"zip\":"
		    "100.0}}");
	assert_int_equal(got.records[3].err.code, IST_NOT_FOUND);
	assert_int_equal(got.records[4].err.code, IST_INVALID);
	assert_int_equal(got.records[5].err.code, IST_INVALID);
	expect_line(&got, 6, "{\"id\":\"g\",\"texts\":[\"last\"]}");
	finish(&got);
}

static void columns(void **state)
{
	struct got got;

	write_file("t/other.csv", "key;title;text\n1;A title;more\n");
	read_source(&got, "t/other.csv", "--delimiter|;|--column|id=key|--column|text=title");
	assert_int_equal(got.n, 1);
	expect_line(&got, 0,
		    "{\"id\":\"1\",\"texts\":[\"A title\"],\"metadata\":{\"text\":\"more\"}}");
	finish(&got);
	write_file("t/tab.tsv", "text\tlabel\nhello, you\tx\n");
	read_source(&got, "t/tab.tsv", "");
	expect_line(&got, 0, "{\"id\":\"1\",\"texts\":[\"hello, you\"],\"label\":\"x\"}");
	finish(&got);
}

static void broken_tables(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"a,b\n1,2\n", ""},
	    {"text\n\"open", ""},
	    {"text\n\"a\"b\n", ""},
	    {"text\nx\n", "--column|text=gone"},
	    {"text\nx\n", "--column|colour=text"},
	    {"text\nx\n", "--column|text"},
	    {"text\nx\n", "--delimiter|ab"},
	    {"text\nx\n", "--delimiter|\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct got got;

		write_file("t/bad.csv", cases[i][0]);
		read_source(&got, "t/bad.csv", cases[i][1]);
		if (got.err.code == IST_OK)
			fail_msg("taken: %s", cases[i][0]);
		finish(&got);
	}
}

/* ---- tar ---- */

static void add_member(struct archive *a, const char *name, const char *text, unsigned type)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0644);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(entry, text);
	else
		archive_entry_set_size(entry, (la_int64_t)strlen(text));
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	if (type == AE_IFREG)
		archive_write_data(a, text, strlen(text));
	archive_entry_free(entry);
}

static void write_tar(const char *name, const char *const members[][2], size_t n)
{
	ist_autofree char *path = at(name);
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	if (ist_ends_like(name, ".gz"))
		archive_write_add_filter_gzip(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++)
		add_member(a, members[i][0], members[i][1],
			   strstr(members[i][0], "link") ? AE_IFLNK : AE_IFREG);
	archive_write_close(a);
	archive_write_free(a);
}

static void tars(void **state)
{
	static const char *const members[][2] = {
	    {"./a/owl.png", "abc"},    {"./a/owl.txt", "An owl."},  {"a/owl.json", "{\"k\": 1}"},
	    {"a/owl.cls", "3\n"},      {"a/owl.wav", "sound"},	    {"a/link.png", "owl.png"},
	    {"a/cat.png", "abc"},      {"a/dog.front.png", "abc"},  {"a/dog.back.png", "abc"},
	    {"a/owl.caption", "late"}, {"b.d/x.txt", "only words"},
	};
	static const char *const names[] = {"x.tar", "x.tar.gz"};

	for (size_t i = 0; i < 2; i++) {
		struct got got;

		write_tar(names[i], members, sizeof(members) / sizeof(members[0]));
		read_source(&got, names[i], "");
		assert_int_equal(got.err.code, IST_OK);
		assert_int_equal(got.n, 5);
		expect_line(&got, 0,
			    "{\"id\":\"a/owl\",\"image\":{\"base64\":\"YWJj\"},\"label\":\"3\","
			    "\"texts\":[\"An owl.\"],\"metadata\":{\"k\":1}}");
		expect_line(&got, 1, "{\"id\":\"a/cat\",\"image\":{\"base64\":\"YWJj\"} }");
		assert_int_equal(got.records[2].err.code, IST_INVALID);
		assert_int_equal(got.records[3].err.code, IST_CONFLICT);
		expect_line(&got, 4, "{\"id\":\"b.d/x\",\"texts\":[\"only words\"]}");
		finish(&got);
	}
}

static void broken_tars(void **state)
{
	struct got got;

	write_file("bad.tar", "this is no tar, but long enough to be looked at by a reader of one");
	read_source(&got, "bad.tar", "");
	assert_int_not_equal(got.err.code, IST_OK);
	finish(&got);
}

/* ---- NDJSON ---- */

static void lines(void **state)
{
	struct got got;

	write_file("l.ndjson", "{\"id\": \"a\", \"texts\": [\"x\"]}\r\n\n{broken\n{\"id\":\"b\"}");
	read_source(&got, "l.ndjson", "");
	assert_int_equal(got.n, 3);
	expect_line(&got, 0, "{\"id\": \"a\", \"texts\": [\"x\"]}");
	assert_string_equal(got.records[1].origin, "line 3");
	assert_null(got.records[1].id);
	assert_string_equal(got.records[2].id, "b");
	finish(&got);
}

static void ids_of_lines(void **state)
{
	static const char *const cases[][2] = {
	    {"{\"id\":\"a\"}", "a"},
	    {" { \"x\" : [1, {\"id\": \"no\"}, \"]}\\\"\"] , \"id\" : \"b\\u00e9\" }", "bé"},
	    {"{\"x\":1,\"y\":null,\"z\":\"\\\\\",\"id\":\"c\"}", "c"},
	    {"{\"x\":{},\"y\":[],\"id\":\"d\",\"w\":0}", "d"},
	    {"{\"id\":7}", NULL},
	    {"{\"x\":\"id\"}", NULL},
	    {"{}", NULL},
	    {"[\"id\"]", NULL},
	    {"{\"x\":[1", NULL},
	    {"{\"x\":\"", NULL},
	    {"{\"x\":\"\\", NULL},
	    {"{\"id\":\"a", NULL},
	    {"{\"id\"", NULL},
	    {"{\"x\"}", NULL},
	    {"", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *line = strdup(cases[i][0]), *id = ist_ndjson_id(line);

		if (cases[i][1] == NULL)
			assert_null(id);
		else
			assert_string_equal(id, cases[i][1]);
		free(id);
		free(line);
	}
}

static void unknown_sources(void **state)
{
	struct got got;

	write_file("what.xyz", "x");
	read_source(&got, "what.xyz", "");
	assert_int_equal(got.err.code, IST_BAD_REQUEST);
	for (size_t i = 0; i < 3; i++) {
		static const char *const gone[] = {"gone.csv", "gone.tar", "gone.ndjson"};

		read_source(&got, gone[i], "");
		assert_int_not_equal(got.err.code, IST_OK);
		assert_non_null(strstr(got.err.text, gone[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(folders),	      cmocka_unit_test(tables),
	    cmocka_unit_test(columns),	      cmocka_unit_test(broken_tables),
	    cmocka_unit_test(tars),	      cmocka_unit_test(broken_tars),
	    cmocka_unit_test(lines),	      cmocka_unit_test(ids_of_lines),
	    cmocka_unit_test(unknown_sources)};
	int failed;

	if (mkdtemp(top) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (ist_dir_remove(top, NULL) != IST_OK)
		return 1;
	return failed;
}
