/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects, patterns, prefixes and group names: parsing, limits, texts of faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/wire/subject.h"

struct example {
	const char *text;
	size_t bytes; /* 0: strlen */
	enum mr_subject_fault fault;
};

static void check_all(const struct example *examples, size_t count,
	enum mr_subject_fault (*parse)(const void *s, size_t bytes))
{
	for (size_t i = 0; i < count; i++) {
		const struct example *e = &examples[i];
		size_t bytes = e->bytes != 0 ? e->bytes : strlen(e->text);
		if (parse(e->text, bytes) != e->fault)
			fail_msg("'%s': %s, expected %s", e->text,
				mr_subject_fault_text(parse(e->text, bytes)),
				mr_subject_fault_text(e->fault));
	}
}

static void subjects_are_dot_separated_tokens_without_wildcards(void **state)
{
	static const struct example examples[] = {
		{"a", 0, MR_SUBJECT_OK},
		{"orders.eu.created", 0, MR_SUBJECT_OK},
		{"a*.b>.>c.**", 0, MR_SUBJECT_OK},
		{"gr\xc3\xbc\xc3\x9f.\xff", 0, MR_SUBJECT_OK},
		{"", 0, MR_SUBJECT_EMPTY},
		{".", 0, MR_SUBJECT_EMPTY_TOKEN},
		{".a", 0, MR_SUBJECT_EMPTY_TOKEN},
		{"a.", 0, MR_SUBJECT_EMPTY_TOKEN},
		{"a..b", 0, MR_SUBJECT_EMPTY_TOKEN},
		{"a b", 0, MR_SUBJECT_BAD_BYTE},
		{"a\tb", 0, MR_SUBJECT_BAD_BYTE},
		{"a\x7f", 0, MR_SUBJECT_BAD_BYTE},
		{"a\0b", 3, MR_SUBJECT_BAD_BYTE},
		{"*", 0, MR_SUBJECT_WILDCARD},
		{"a.*.b", 0, MR_SUBJECT_WILDCARD},
		{"a.>", 0, MR_SUBJECT_WILDCARD},
		{">.a", 0, MR_SUBJECT_WILDCARD},
	};

	(void)state;
	check_all(examples, sizeof(examples) / sizeof(examples[0]), mr_subject_parse);
}

static void patterns_take_a_star_anywhere_and_a_tail_at_the_end(void **state)
{
	static const struct example examples[] = {
		{"*", 0, MR_SUBJECT_OK},
		{">", 0, MR_SUBJECT_OK},
		{"a.*.*.>", 0, MR_SUBJECT_OK},
		{"a.>>", 0, MR_SUBJECT_OK},
		{">.a", 0, MR_SUBJECT_TAIL_NOT_LAST},
		{"a.>.*", 0, MR_SUBJECT_TAIL_NOT_LAST},
		{"a.*.", 0, MR_SUBJECT_EMPTY_TOKEN},
		{"", 0, MR_SUBJECT_EMPTY},
		{"a\n", 0, MR_SUBJECT_BAD_BYTE},
	};

	(void)state;
	check_all(examples, sizeof(examples) / sizeof(examples[0]), mr_pattern_parse);
}

static void prefixes_may_be_empty_and_end_within_a_token(void **state)
{
	static const struct example examples[] = {
		{"a", 0, MR_SUBJECT_OK},
		{"a.", 0, MR_SUBJECT_OK},
		{"a.*", 0, MR_SUBJECT_OK},
		{"a b", 0, MR_SUBJECT_BAD_BYTE},
	};

	(void)state;
	assert_int_equal(mr_prefix_parse("", 0), MR_SUBJECT_OK);
	check_all(examples, sizeof(examples) / sizeof(examples[0]), mr_prefix_parse);
}

static void group_names_have_no_wildcards(void **state)
{
	static const struct example examples[] = {
		{"workers", 0, MR_SUBJECT_OK},
		{"eu.workers", 0, MR_SUBJECT_OK},
		{"", 0, MR_SUBJECT_EMPTY},
		{"a*", 0, MR_SUBJECT_WILDCARD},
		{">", 0, MR_SUBJECT_WILDCARD},
		{"a b", 0, MR_SUBJECT_BAD_BYTE},
	};

	(void)state;
	check_all(examples, sizeof(examples) / sizeof(examples[0]), mr_group_parse);
}

static void lengths_end_where_the_limits_say(void **state)
{
	char text[512];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(mr_subject_parse(text, 255), MR_SUBJECT_OK);
	assert_int_equal(mr_subject_parse(text, 256), MR_SUBJECT_TOO_LONG);
	assert_int_equal(mr_pattern_parse(text, 255), MR_SUBJECT_OK);
	assert_int_equal(mr_pattern_parse(text, 256), MR_SUBJECT_TOO_LONG);
	assert_int_equal(mr_prefix_parse(text, 255), MR_SUBJECT_OK);
	assert_int_equal(mr_prefix_parse(text, 256), MR_SUBJECT_TOO_LONG);
	assert_int_equal(mr_group_parse(text, 63), MR_SUBJECT_OK);
	assert_int_equal(mr_group_parse(text, 64), MR_SUBJECT_TOO_LONG);
}

static void check_returns_the_fault_as_errno(void **state)
{
	char text[256];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(mr_subject_check("a.b", 3), 0);
	assert_int_equal(mr_subject_check("a..b", 4), -EINVAL);
	assert_int_equal(mr_subject_check(text, sizeof(text)), -E2BIG);
}

static void every_fault_has_its_own_text(void **state)
{
	(void)state;
	for (int a = 0; a < MR_SUBJECT_FAULTS; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(mr_subject_fault_text(a), mr_subject_fault_text(b));
	assert_non_null(mr_subject_fault_text(MR_SUBJECT_FAULTS));
}

static void patterns_match_whole_tokens(void **state)
{
	static const struct {
		const char *pattern, *subject;
		bool matches;
	} rows[] = {
		{"a", "a", true},
		{"a", "b", false},
		{"a", "ab", false},
		{"ab", "a", false},
		{"a.b", "a.b", true},
		{"a.b", "a", false},
		{"a", "a.b", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a", false},
		{"a.*", "a.b", true},
		{"*.b", "a.b", true},
		{"*.b", "a.c", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.>", "b.c", false},
		{"a.*.>", "a.b", false},
		{"a.*.>", "a.b.c.d", true},
		{"a*", "ab", false},
		{"a*", "a*", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (mr_pattern_matches(rows[i].pattern, strlen(rows[i].pattern), rows[i].subject,
			    strlen(rows[i].subject)) != rows[i].matches)
			fail_msg("%s and %s", rows[i].pattern, rows[i].subject);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects_are_dot_separated_tokens_without_wildcards),
		cmocka_unit_test(patterns_take_a_star_anywhere_and_a_tail_at_the_end),
		cmocka_unit_test(prefixes_may_be_empty_and_end_within_a_token),
		cmocka_unit_test(group_names_have_no_wildcards),
		cmocka_unit_test(lengths_end_where_the_limits_say),
		cmocka_unit_test(check_returns_the_fault_as_errno),
		cmocka_unit_test(every_fault_has_its_own_text),
		cmocka_unit_test(patterns_match_whole_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
