/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a terminal. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/watch.h"

static void assert_key(const char *bytes, int expected, size_t expected_bytes)
{
	size_t taken;

	assert_int_equal(mr_cli_watch_key(bytes, strlen(bytes), &taken), expected);
	assert_int_equal(taken, expected_bytes);
}

static void characters_are_keys_of_their_own(void **state)
{
	(void)state;
	assert_key("q", 'q', 1);
	assert_key("qr", 'q', 1);
}

static void sequences_are_single_keys(void **state)
{
	(void)state;
	assert_key("\033[5~", MR_CLI_KEY_PAGE_UP, 4);
	assert_key("\033[6~q", MR_CLI_KEY_PAGE_DOWN, 4);
	assert_key("\033[H", MR_CLI_KEY_HOME, 3);
	assert_key("\033[4~", MR_CLI_KEY_END, 4);
}

static void unknown_sequences_do_nothing(void **state)
{
	(void)state;
	assert_key("\033", MR_CLI_KEY_OTHER, 1);
	assert_key("\033[1;5Q", MR_CLI_KEY_OTHER, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_are_keys_of_their_own),
		cmocka_unit_test(sequences_are_single_keys),
		cmocka_unit_test(unknown_sequences_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
