/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for terminals: escaping, base64, numbers. */
#include "tests/unit/cli/cmocka_all.h"

#include <unistd.h>

#include "cli/text.h"

static void assert_escaped(const char *data, size_t bytes, const char *expected)
{
	char out[128];

	mr_cli_text_escape(out, sizeof(out), data, bytes);
	assert_string_equal(out, expected);
}

static void printable_text_is_shown_as_it_is(void **state)
{
	(void)state;
	assert_escaped("{\"id\":1}", 8, "{\"id\":1}");
	assert_escaped("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	assert_true(mr_cli_text_is_printable("\xf0\x9f\x90\x99", 4));
}

static void terminal_control_characters_are_escaped(void **state)
{
	(void)state;
	assert_escaped("a\x1b[2Jb", 6, "a\\x1b[2Jb");
	assert_escaped("\n\t\r\\\x7f", 5, "\\n\\t\\r\\\\\\x7f");
	assert_escaped("\xc2\x9b", 2, "\\xc2\\x9b"); /* CSI as one character */
	assert_escaped("\0", 1, "\\x00");
	assert_escaped("\xe2\x80\xaegnp", 6, "\\xe2\\x80\\xaegnp"); /* right-to-left override */
}

static void a_message_that_quotes_others_keeps_its_backslashes(void **state)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	mr_cli_text_print_message(out, "C:\\a: \xc2\x9b\x1b]0;x\a \\");
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "C:\\a: \\xc2\\x9b\\x1b]0;x\\x07 \\");
	free(text);
}

static void malformed_utf8_is_escaped_byte_by_byte(void **state)
{
	(void)state;
	assert_escaped("\xff", 1, "\\xff");
	assert_escaped("\xc3", 1, "\\xc3");                            /* truncated */
	assert_escaped("\xc0\xaf", 2, "\\xc0\\xaf");                   /* overlong */
	assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* surrogate */
	assert_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
}

static void escaping_ends_where_the_memory_does(void **state)
{
	char out[6];

	(void)state;
	assert_int_equal(mr_cli_text_escape(out, sizeof(out), "ab\x01z", 4), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(mr_cli_text_escape(out, sizeof(out), "abcdefgh", 8), 5);
}

/* RFC 4648 §10 */
static void base64_is_that_of_the_standard(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *text = mr_cli_text_base64(pairs[i][0], strlen(pairs[i][0]));

		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
}

static void json_has_text_as_text(void **state)
{
	json_t *o = json_object();

	(void)state;
	assert_int_equal(mr_cli_text_json(o, "payload", "a\0\n", 3), 0);
	assert_int_equal(json_string_length(json_object_get(o, "payload")), 3);
	assert_null(json_object_get(o, "payload_base64"));
	json_decref(o);
}

static void json_has_other_bytes_as_base64(void **state)
{
	json_t *o = json_object();

	(void)state;
	assert_int_equal(mr_cli_text_json(o, "payload", "\xff\x00", 2), 0);
	assert_null(json_object_get(o, "payload"));
	assert_string_equal(json_string_value(json_object_get(o, "payload_base64")), "/wA=");
	json_decref(o);
}

static void json_of_nothing_is_an_empty_text(void **state)
{
	json_t *o = json_object();

	(void)state;
	assert_int_equal(mr_cli_text_json(o, "payload", NULL, 0), 0);
	assert_string_equal(json_string_value(json_object_get(o, "payload")), "");
	json_decref(o);
}

static void a_text_is_cut_between_characters(void **state)
{
	(void)state;
	assert_int_equal(mr_cli_text_whole("abc", 3), 3);
	assert_int_equal(mr_cli_text_whole("ab\xc3\xbc", 4), 4);
	assert_int_equal(mr_cli_text_whole("ab\xc3", 3), 2);
	assert_int_equal(mr_cli_text_whole("a\xe2\x82\xac", 4), 4);
	assert_int_equal(mr_cli_text_whole("a\xe2\x82", 3), 1);
	assert_int_equal(mr_cli_text_whole("a\xf0\x9f\x90\x99", 5), 5);
	assert_int_equal(mr_cli_text_whole("a\xf0\x9f\x90", 4), 1);
	assert_int_equal(mr_cli_text_whole("", 0), 0);
	assert_int_equal(mr_cli_text_whole("\x80\x80\x80\x80", 4), 4); /* no UTF-8 */
}

/* Returns what is printed for a value, which is freed. The caller frees the text. */
static char *printed(json_t *value)
{
	FILE *file = tmpfile();
	char *text = calloc(1, 256);
	int out;

	assert_non_null(file);
	assert_non_null(text);
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	dup2(fileno(file), STDOUT_FILENO);
	mr_cli_text_json_line(value);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	rewind(file);
	assert_true(fread(text, 1, 255, file) > 0);
	fclose(file);
	return text;
}

static void assert_printed(json_t *value, const char *expected)
{
	char *text = printed(value);

	assert_string_equal(text, expected);
	free(text);
}

static void json_is_printed_on_one_line(void **state)
{
	(void)state;
	assert_printed(json_pack("{s:[i,f,n,b], s:{}, s:[]}", "a", 1, 0.5, 1, "b", "c"),
		"{\"a\":[1,0.5,null,true],\"b\":{},\"c\":[]}\n");
	assert_printed(json_stringn("q\"\\\n\0\x1b", 6), "\"q\\\"\\\\\\n\\u0000\\u001b\"\n");
	assert_printed(json_string("\xc3\xbc\xe2\x80\xae\xf3\xa0\x81\x81"),
		"\"\xc3\xbc\\u202e\\udb40\\udc41\"\n");
}

static json_t *integers(void)
{
	return json_pack("[I, I, I]", (json_int_t)((1ull << 53) - 1), (json_int_t)(1ull << 53),
		(json_int_t)UINT64_MAX);
}

/* The last test: what it chooses holds for the process. */
static void json_has_64_bits_and_as_text_where_asked(void **state)
{
	(void)state;
	assert_printed(integers(), "[9007199254740991,9007199254740992,18446744073709551615]\n");
	mr_cli_text_json_safe();
	assert_printed(
		integers(), "[9007199254740991,\"9007199254740992\",\"18446744073709551615\"]\n");
	assert_printed(json_real(1e17), "1e17\n");
}

/* Copies the text to memory of exactly that length, so that a sanitizer sees a read behind it. */
static bool count_of(const char *text, uint64_t *count)
{
	size_t bytes = strlen(text);
	char *exact = malloc(bytes ? bytes : 1);
	bool is_count;

	assert_non_null(exact);
	memcpy(exact, text, bytes);
	is_count = mr_cli_text_count(exact, bytes, count);
	free(exact);
	return is_count;
}

static void a_count_is_read_to_its_end_and_no_further(void **state)
{
	uint64_t count = 7;

	(void)state;
	assert_true(count_of("0", &count));
	assert_int_equal(count, 0);
	assert_true(count_of("18446744073709551615", &count));
	assert_int_equal(count, UINT64_MAX);
	assert_true(mr_cli_text_count("12345", 2, &count));
	assert_int_equal(count, 12);
	assert_false(count_of("", &count));
	assert_false(count_of("-1", &count));
	assert_false(count_of("5 ", &count));
	assert_false(count_of("18446744073709551616", &count));
	assert_false(count_of("184467440737095516150", &count));
	assert_int_equal(count, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable_text_is_shown_as_it_is),
		cmocka_unit_test(terminal_control_characters_are_escaped),
		cmocka_unit_test(a_message_that_quotes_others_keeps_its_backslashes),
		cmocka_unit_test(malformed_utf8_is_escaped_byte_by_byte),
		cmocka_unit_test(escaping_ends_where_the_memory_does),
		cmocka_unit_test(base64_is_that_of_the_standard),
		cmocka_unit_test(json_has_text_as_text),
		cmocka_unit_test(json_has_other_bytes_as_base64),
		cmocka_unit_test(json_of_nothing_is_an_empty_text),
		cmocka_unit_test(a_count_is_read_to_its_end_and_no_further),
		cmocka_unit_test(a_text_is_cut_between_characters),
		cmocka_unit_test(json_is_printed_on_one_line),
		cmocka_unit_test(json_has_64_bits_and_as_text_where_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
