/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads with placeholders. */
#include "tests/unit/cli/cmocka_all.h"

#include <errno.h>

#include "cli/template.h"

#define DATE_NS 1700000000123456789ull

static void expect(const char *text, uint64_t count, const char *expanded)
{
	struct mr_cli_template t;

	mr_cli_template_init(&t, 7);
	assert_int_equal(mr_cli_template_expand(&t, text, strlen(text), count, DATE_NS), 0);
	assert_int_equal(t.bytes, strlen(expanded));
	if (t.bytes > 0)
		assert_memory_equal(t.data, expanded, t.bytes);
	mr_cli_template_free(&t);
}

static void placeholders_are_replaced(void **state)
{
	(void)state;
	expect("{\"n\":{{count}}}", 42, "{\"n\":42}");
	expect("{{time}}", 1, "2023-11-14T22:13:20.123Z");
	expect("{{count}}{{count}}", 9, "99");
}

static void other_text_stays(void **state)
{
	(void)state;
	expect("", 1, "");
	expect("plain", 1, "plain");
	expect("{ {{ }", 1, "{ {{ }");
	expect("a{{count}}b{{", 3, "a3b{{");
}

static void random_text_has_its_length_and_differs(void **state)
{
	struct mr_cli_template t;
	char first[1000];

	(void)state;
	mr_cli_template_init(&t, 7);
	assert_int_equal(mr_cli_template_expand(&t, "{{random 1000}}", 15, 1, 0), 0);
	assert_int_equal(t.bytes, 1000);
	for (size_t i = 0; i < t.bytes; i++)
		assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz0123456789", t.data[i]));
	memcpy(first, t.data, sizeof(first));
	assert_int_equal(mr_cli_template_expand(&t, "{{random 1000}}", 15, 2, 0), 0);
	assert_memory_not_equal(t.data, first, sizeof(first));
	mr_cli_template_free(&t);
}

static void unknown_placeholders_are_refused(void **state)
{
	static const char *const bad[] = {"{{nothing}}", "{{}}", "{{random}}", "{{random 0}}",
		"{{random 65537}}", "{{random -1}}", "{{random 99999999999999999999}}"};
	struct mr_cli_template t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mr_cli_template_init(&t, 7);
		assert_int_equal(mr_cli_template_expand(&t, bad[i], strlen(bad[i]), 1, 0), -EINVAL);
		assert_string_equal(t.error, bad[i]);
		mr_cli_template_free(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(placeholders_are_replaced),
		cmocka_unit_test(other_text_stays),
		cmocka_unit_test(random_text_has_its_length_and_differs),
		cmocka_unit_test(unknown_placeholders_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
