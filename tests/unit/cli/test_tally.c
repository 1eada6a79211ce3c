/* SPDX-License-Identifier: Apache-2.0 */
/* Counting messages by their subjects. */
#include "tests/unit/cli/cmocka_all.h"

#include <stdio.h>

#include "cli/tally.h"

static void add(struct mr_cli_tally *t, const char *subject, const char *payload)
{
	const struct mr_message m = {.subject = subject,
		.subject_bytes = strlen(subject),
		.payload = payload,
		.payload_bytes = strlen(payload)};

	mr_cli_tally_add(t, &m);
}

static void messages_are_counted_by_subject_the_most_first(void **state)
{
	struct mr_cli_tally *t = mr_cli_tally_new(false);

	(void)state;
	add(t, "b", "xx");
	add(t, "a", "x");
	add(t, "c", "");
	add(t, "c", "xyz");
	mr_cli_tally_sort(t);
	assert_int_equal(t->messages, 4);
	assert_int_equal(t->bytes, 6);
	assert_int_equal(t->count, 3);
	assert_string_equal(t->rows[0].subject, "c");
	assert_int_equal(t->rows[0].messages, 2);
	assert_int_equal(t->rows[0].bytes, 3);
	assert_string_equal(t->rows[1].subject, "a");
	assert_string_equal(t->rows[2].subject, "b");
	/* Rows are found after they were moved. */
	add(t, "b", "x");
	assert_int_equal(t->count, 3);
	assert_int_equal(t->rows[2].messages, 2);
	mr_cli_tally_free(t);
}

static void the_last_message_of_a_subject_is_kept(void **state)
{
	struct mr_cli_tally *t = mr_cli_tally_new(true);

	(void)state;
	add(t, "a", "first");
	add(t, "a", "second");
	assert_int_equal(t->rows[0].last.payload_bytes, 6);
	assert_memory_equal(t->rows[0].last.payload, "second", 6);
	assert_memory_equal(t->rows[0].last.subject, "a", 1);
	mr_cli_tally_free(t);
}

static void subjects_beyond_the_limit_are_counted_together(void **state)
{
	struct mr_cli_tally *t = mr_cli_tally_new(false);
	char subject[32];

	(void)state;
	for (unsigned i = 0; i < MR_CLI_TALLY_SUBJECTS + 10; i++) {
		snprintf(subject, sizeof(subject), "s.%u", i);
		add(t, subject, "x");
	}
	add(t, "s.7", "x");
	assert_int_equal(t->count, MR_CLI_TALLY_SUBJECTS);
	assert_int_equal(t->others, 10);
	assert_int_equal(t->rows[7].messages, 2);
	assert_int_equal(t->messages, MR_CLI_TALLY_SUBJECTS + 11);
	mr_cli_tally_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_counted_by_subject_the_most_first),
		cmocka_unit_test(the_last_message_of_a_subject_is_kept),
		cmocka_unit_test(subjects_beyond_the_limit_are_counted_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
