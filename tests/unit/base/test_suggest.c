/* SPDX-License-Identifier: Apache-2.0 */
/* Suggestions for mistyped words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/suggest.h"

static const char *suggest(const char *word)
{
	static const char *const known[] = {
		"pub", "pull", "push", "queue", "queues", "sub", "subjects", "status", NULL};
	struct mr_suggest s = mr_suggest_begin(word, strlen(word));

	for (unsigned i = 0; known[i]; i++)
		mr_suggest_try(&s, known[i]);
	return s.best;
}

static void one_mistake_of_each_kind_is_found(void **state)
{
	(void)state;
	assert_string_equal(suggest("quue"), "queue");     /* a letter missing */
	assert_string_equal(suggest("statusx"), "status"); /* one too many */
	assert_string_equal(suggest("quexe"), "queue");    /* a wrong one */
	assert_string_equal(suggest("puhs"), "push");      /* two swapped */
}

static void the_nearest_word_wins(void **state)
{
	(void)state;
	assert_string_equal(suggest("subject"), "subjects");
	assert_string_equal(suggest("queuess"), "queues");
}

static void a_far_word_has_no_suggestion(void **state)
{
	(void)state;
	assert_null(suggest("frobnicate"));
	assert_null(suggest(""));
	assert_null(suggest("xyz"));
}

static void an_overlong_word_has_no_suggestion(void **state)
{
	char word[200];

	(void)state;
	memset(word, 'q', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(suggest(word));
}

static void the_result_may_differ_from_the_compared_text(void **state)
{
	struct mr_suggest s = mr_suggest_begin("cuont", 5);

	(void)state;
	mr_suggest_try_as(&s, "count=4", 5, "workers.count");
	assert_string_equal(s.best, "workers.count");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_mistake_of_each_kind_is_found),
		cmocka_unit_test(the_nearest_word_wins),
		cmocka_unit_test(a_far_word_has_no_suggestion),
		cmocka_unit_test(an_overlong_word_has_no_suggestion),
		cmocka_unit_test(the_result_may_differ_from_the_compared_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
