/* Several files in one input: sections that a line "=== name" begins. What stands before the first
 * is left out. */
#ifndef IST_TESTS_FUZZ_SECTIONS_H
#define IST_TESTS_FUZZ_SECTIONS_H

#include <string.h>

#include "core/base/buf.h"

struct section {
	char name[64];
	struct ist_str body;
};

#define SECTION_MARK "=== "

/* The section's name and body from *at on, which moves behind it; 0 at the end. */
static inline int next_section(struct ist_str input, size_t *at, struct section *ret)
{
	const char *head, *line, *next;
	size_t left;

	if (*at >= input.len)
		return 0;
	left = input.len - *at;
	head = memmem(input.data + *at, left, SECTION_MARK, 4);
	if (head == NULL)
		return 0;
	head += 4;
	left = (size_t)(input.data + input.len - head);
	line = memchr(head, '\n', left);
	if (line == NULL || (size_t)(line - head) >= sizeof(ret->name))
		return 0;
	memcpy(ret->name, head, (size_t)(line - head));
	ret->name[line - head] = '\0';
	line++;
	left = (size_t)(input.data + input.len - line);
	next = memmem(line, left, "\n" SECTION_MARK, 5);
	ret->body = (struct ist_str){line, next != NULL ? (size_t)(next - line) : left};
	*at = (size_t)(line - input.data) + ret->body.len;
	return 1;
}

#endif
