/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a queue as lines of JSON. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/record.h"
#include "cli/text.h"

static void assert_refused(const char *line, const char *expected)
{
	struct mr_cli_record r;
	char error[128];

	assert_false(mr_cli_record_parse(&r, line, strlen(line), error, sizeof(error)));
	assert_string_equal(error, expected);
	assert_null(r.headers);
	assert_null(r.payload);
}

static void a_line_has_payload_headers_and_priority(void **state)
{
	static const char line[] =
		"{\"priority\":\"high\",\"headers\":\"NATS/1.0\\r\\na: b\\r\\n\\r\\n\","
		"\"payload\":\"a\\u0000b\"}";
	struct mr_cli_record r;
	char error[128];

	(void)state;
	assert_true(mr_cli_record_parse(&r, line, sizeof(line) - 1, error, sizeof(error)));
	assert_int_equal(r.push.priority, MR_PRIORITY_HIGH);
	assert_int_equal(r.push.bytes, 3);
	assert_memory_equal(r.push.payload, "a\0b", 3);
	assert_int_equal(r.push.header_bytes, 18);
	assert_memory_equal(r.push.headers, "NATS/1.0\r\na: b\r\n\r\n", 18);
	mr_cli_record_free(&r);
}

static void bytes_that_are_no_text_are_base64(void **state)
{
	static const char line[] = "{\"payload_base64\":\"/wA=\"}";
	struct mr_cli_record r;
	char error[128];

	(void)state;
	assert_true(mr_cli_record_parse(&r, line, sizeof(line) - 1, error, sizeof(error)));
	assert_int_equal(r.push.priority, MR_PRIORITY_NORMAL);
	assert_int_equal(r.push.bytes, 2);
	assert_memory_equal(r.push.payload, "\xff\0", 2);
	assert_null(r.push.headers);
	mr_cli_record_free(&r);
}

static void priorities_are_names_or_digits(void **state)
{
	static const struct {
		const char *line;
		int priority;
	} all[] = {{"{\"payload\":\"\",\"priority\":\"9\"}", MR_PRIORITY(9)},
		{"{\"payload\":\"\",\"priority\":\"0\"}", MR_PRIORITY(0)},
		{"{\"payload\":\"\",\"priority\":\"7\"}", MR_PRIORITY_HIGH},
		{"{\"payload\":\"\",\"priority\":\"low\"}", MR_PRIORITY_LOW}};
	struct mr_cli_record r;
	char error[128];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(mr_cli_record_parse(
			&r, all[i].line, strlen(all[i].line), error, sizeof(error)));
		assert_int_equal(r.push.priority, all[i].priority);
		mr_cli_record_free(&r);
	}
}

static void other_lines_are_refused_with_a_reason(void **state)
{
	(void)state;
	assert_refused("", "not a JSON object");
	assert_refused("[]", "not a JSON object");
	assert_refused("{}", "payload is missing");
	assert_refused("{\"payload\":1}", "payload is not a string");
	assert_refused("{\"payload_base64\":\"x\"}", "payload_base64 is not base64");
	assert_refused("{\"payload_base64\":\"YQ==YQ==\"}", "payload_base64 is not base64");
	assert_refused("{\"payload_base64\":\"YQ==\\u0000YQ==\"}", "payload_base64 is not base64");
	assert_refused("{\"payload\":\"a\",\"payload\":\"b\"}", "not a JSON object");
	assert_refused("{\"payload\":\"\",\"headers\":{}}", "headers is not a string");
	assert_refused("{\"payload\":\"\",\"priority\":\"urgent\"}",
		"priority is not one of normal, high or low, or \"0\" to \"9\"");
	assert_refused("{\"payload\":\"\",\"priority\":1}",
		"priority is not one of normal, high or low, or \"0\" to \"9\"");
	assert_refused("{\"payload\":\"\",\"priority\":\"10\"}",
		"priority is not one of normal, high or low, or \"0\" to \"9\"");
}

static void numbers_of_a_line_are_taken(void **state)
{
	static const char line[] = "{\"version\":2,\"payload\":\"\",\"ttl_ms\":5,"
				   "\"at_ms\":1796083200000,\"ticket\":9}";
	struct mr_cli_record r;
	char error[128];

	(void)state;
	assert_true(mr_cli_record_parse(&r, line, sizeof(line) - 1, error, sizeof(error)));
	assert_int_equal(r.push.ttl_ms, 5);
	assert_int_equal(r.push.at_ms, 1796083200000);
	assert_int_equal(r.push.ticket, 9);
	assert_int_equal(r.push.attempts, 0);
	mr_cli_record_free(&r);
}

static void wrong_numbers_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"payload\":\"\",\"version\":3}", "version is not 1 or 2");
	assert_refused("{\"payload\":\"\",\"version\":\"2\"}", "version is not a number");
	assert_refused("{\"payload\":\"\",\"ttl_ms\":-1}", "ttl_ms is not a number of its range");
	assert_refused("{\"payload\":\"\",\"delay_ms\":4294967296}",
		"delay_ms is not a number of its range");
	assert_refused(
		"{\"payload\":\"\",\"attempts\":1.5}", "attempts is not a number of its range");
	assert_refused("{\"payload\":\"\",\"delay_ms\":1,\"at_ms\":1}",
		"delay_ms and at_ms are both there");
	assert_refused("{\"payload\":\"\",\"ticket\":1}", "ticket needs delay_ms or at_ms");
	assert_refused("{\"payload\":\"\",\"attempts\":1,\"delay_ms\":1}",
		"attempts do not go with delay_ms or at_ms");
}

static void unknown_keys_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"payload\":\"\",\"Priority\":\"high\"}",
		"Priority is an unknown key (did you mean priority?)");
	assert_refused("{\"payload\":\"\",\"worker\":1}", "worker is an unknown key");
	assert_refused("{\"payload\":\"\",\"\\u0007\":1}", "there is an unknown key");
	assert_refused("{\"payload\":\"a\",\"payload_base64\":\"YQ==\"}",
		"payload is there as text and as base64");
}

static void assert_decoded(const char *text, const char *expected, size_t expected_bytes)
{
	size_t bytes;
	void *out = mr_cli_text_unbase64(text, &bytes);

	assert_non_null(out);
	assert_int_equal(bytes, expected_bytes);
	assert_memory_equal(out, expected, bytes);
	free(out);
}

/* The vectors of RFC 4648 §10. */
static void base64_is_decoded(void **state)
{
	static const char *const wrong[] = {
		"Z", "Zg", "Zg=", "Zg=a", "=", "====", "Zg==Zg==", "Zm9v Zm9v", "Zm9\xff"};
	size_t bytes;

	(void)state;
	assert_decoded("", "", 0);
	assert_decoded("Zg==", "f", 1);
	assert_decoded("Zm8=", "fo", 2);
	assert_decoded("Zm9v", "foo", 3);
	assert_decoded("Zm9vYmFy", "foobar", 6);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(mr_cli_text_unbase64(wrong[i], &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_payload_headers_and_priority),
		cmocka_unit_test(bytes_that_are_no_text_are_base64),
		cmocka_unit_test(priorities_are_names_or_digits),
		cmocka_unit_test(other_lines_are_refused_with_a_reason),
		cmocka_unit_test(numbers_of_a_line_are_taken),
		cmocka_unit_test(wrong_numbers_are_refused),
		cmocka_unit_test(unknown_keys_are_refused),
		cmocka_unit_test(base64_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
