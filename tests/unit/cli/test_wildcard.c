/* SPDX-License-Identifier: Apache-2.0 */
/* Remarks about patterns that look as if they had a wildcard. */
#include <string.h>

#include "cli/wildcard.h"
#include "tests/unit/cli/cmocka_all.h"

static void assert_remark(const char *pattern, bool prefix, const char *expected)
{
	char text[MR_CLI_WILDCARD_BYTES] = "";

	assert_true(mr_cli_wildcard_remark(pattern, prefix, text));
	assert_string_equal(text, expected);
}

static void wildcards_and_plain_subjects_get_no_remark(void **state)
{
	static const char *const patterns[] = {
		"", "a", "*", ">", "a.*", "a.*.b", "*.*.>", "a.>", "a+b.c#d", "a..b", "."};
	char text[MR_CLI_WILDCARD_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_false(mr_cli_wildcard_remark(patterns[i], false, text));
	assert_false(mr_cli_wildcard_remark("a.b", true, text));
	assert_false(mr_cli_wildcard_remark("a.*.b", true, text));
	assert_false(mr_cli_wildcard_remark("", true, text));
}

static void wildcard_within_a_token_gets_one(void **state)
{
	(void)state;
	assert_remark("a.b*", false,
		"a.b*: b* has no wildcard: * is one only as a whole token, > only as the last; "
		"for subjects that begin with a.b use sub --prefix");
	assert_remark("a.*b.c", false,
		"a.*b.c: *b has no wildcard: * is one only as a whole token, > only as the last");
	assert_remark("*.b*", false,
		"*.b*: b* has no wildcard: * is one only as a whole token, > only as the last");
	assert_remark("a>", false,
		"a>: a> has no wildcard: * is one only as a whole token, > only as the last");
}

static void wildcards_of_other_buses_get_one(void **state)
{
	(void)state;
	assert_remark(
		"a.#", false, "a.#: # is no wildcard; > at the end stands for one or more tokens");
	assert_remark("+.b", false, "+.b: + is no wildcard; * stands for one token");
}

static void wildcard_at_the_end_of_a_prefix_gets_one(void **state)
{
	(void)state;
	assert_remark("a.b*", true, "a.b*: a prefix has no wildcards; leave the * at its end out");
	assert_remark("a.>", true, "a.>: a prefix has no wildcards; leave the > at its end out");
}

static void long_patterns_fit(void **state)
{
	char pattern[300], text[MR_CLI_WILDCARD_BYTES];

	(void)state;
	memset(pattern, 'x', sizeof(pattern));
	pattern[254] = '*';
	pattern[255] = '\0';
	assert_true(mr_cli_wildcard_remark(pattern, false, text));
	assert_in_range(strlen(text), 300, MR_CLI_WILDCARD_BYTES - 1);
	assert_true(mr_cli_wildcard_remark(pattern, true, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards_and_plain_subjects_get_no_remark),
		cmocka_unit_test(wildcard_within_a_token_gets_one),
		cmocka_unit_test(wildcards_of_other_buses_get_one),
		cmocka_unit_test(wildcard_at_the_end_of_a_prefix_gets_one),
		cmocka_unit_test(long_patterns_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
