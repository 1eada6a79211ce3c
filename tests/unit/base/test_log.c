/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: one line for each event, whatever its content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"

static int ends[2];
static int old_stderr;

/* Returns the line of the event after its time; checks the form of the time. */
static const char *line(bool json)
{
	static char text[8192];
	size_t skip = json ? strlen("{\"time\":\"") : 0;
	ssize_t n;

	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > (ssize_t)skip + 25);
	text[n] = '\0';
	assert_int_equal(text[n - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
	text[n - 1] = '\0';
	assert_int_equal(text[skip + 10], 'T');
	assert_int_equal(text[skip + 23], 'Z');
	return text + skip + 24;
}

static void text_lines_are_plain(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_INFO, false);
	mr_log(MR_LOG_INFO, "session opened", MR_LOG_HEX("session", 0x1234), MR_LOG_U64("n", 7),
		MR_LOG_I64("i", -7), MR_LOG_STR("name", "abc"));
	assert_string_equal(
		line(false), " info prog: session opened session=0x1234 n=7 i=-7 name=abc");
	mr_log(MR_LOG_ERROR, "bad");
	assert_string_equal(line(false), " error prog: bad");
}

/* The journal has the time itself, and takes the priority from the beginning of the line. */
static void lines_for_the_journal_have_priorities(void **state)
{
	char stream[64], text[256];
	struct stat st;
	ssize_t n;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	mr_log_init("prog", MR_LOG_INFO, false);
	mr_log(MR_LOG_WARN, "bad");
	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "<4>warn prog: bad\n");
	/* Another stream: the program's output was sent elsewhere. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	mr_log_init("prog", MR_LOG_INFO, false);
	mr_log(MR_LOG_WARN, "bad");
	assert_string_equal(line(false), " warn prog: bad");
	unsetenv("JOURNAL_STREAM");
}

static void outside_text_cannot_forge_a_line(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_INFO, false);
	mr_log(MR_LOG_WARN, "e", MR_LOG_STR("a", "x\n2026 info prog: fine"),
		MR_LOG_STR("b", "q\"\\="), MR_LOG_STR("c", ""), MR_LOG_STR("d", NULL),
		MR_LOG_STR("f", "\x1b[2J"));
	assert_string_equal(line(false), " warn prog: e a=\"x\\u000a2026 info prog: fine\" "
					 "b=\"q\\\"\\\\=\" c=\"\" d=\"\" f=\"\\u001b[2J\"");
}

/* Hidden are C1 controls, the right-to-left override, a separator, and a tag beyond the basic
 * plane. Joiners of emoji stay. */
static void hidden_characters_are_escaped(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_INFO, false);
	mr_log(MR_LOG_INFO, "e",
		MR_LOG_STR("a", "x\xc2\x9b"
				"31m"),
		MR_LOG_STR("b", "\xe2\x80\xaegnp.exe"), MR_LOG_STR("c", "\xe2\x80\xa8"),
		MR_LOG_STR("d", "\xf3\xa0\x81\x81"), MR_LOG_STR("f", "\xe2\x80\x8d\xc3\xa4"));
	assert_string_equal(line(false),
		" info prog: e a=\"x\\u009b31m\" b=\"\\u202egnp.exe\" c=\"\\u2028\" "
		"d=\"\\udb40\\udc41\" f=\"\xe2\x80\x8d\xc3\xa4\"");
}

static void flood_of_one_line(const char *name)
{
	mr_log_limited(MR_LOG_INFO, "attach refused", MR_LOG_STR("name", name));
}

/* A second may end during the flood: then the next second has its lines, too. */
static void lines_of_a_flood_are_counted(void **state)
{
	static char text[65536];
	const char *told;
	unsigned lines = 0;
	ssize_t n;

	(void)state;
	mr_log_init("prog", MR_LOG_INFO, false);
	for (unsigned i = 0; i < 1000; i++)
		flood_of_one_line("x");
	mr_log_limits_tell();
	/* There is nothing more to report. */
	mr_log_limits_tell();
	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, "name=x\n")) != NULL; at++)
		lines++;
	assert_in_range(lines, MR_LOG_LINES_PER_SECOND, 4 * MR_LOG_LINES_PER_SECOND);
	told = strstr(text, "attach refused not_logged=");
	assert_non_null(told);
	assert_int_equal(
		strtoul(told + strlen("attach refused not_logged="), NULL, 10), 1000 - lines);
	assert_null(strstr(told + strlen("attach refused not_logged="), "not_logged"));
}

static void json_lines_are_json(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_INFO, true);
	mr_log(MR_LOG_INFO, "e", MR_LOG_STR("a", "\x01\xc3\xa4\xff\xed\xa0\x80"),
		MR_LOG_HEX("h", UINT64_MAX), MR_LOG_I64("i", INT64_MIN), MR_LOG_ERR(-ENOENT));
	assert_string_equal(line(true),
		"\",\"level\":\"info\",\"program\":\"prog\",\"event\":\"e\","
		"\"a\":\"\\u0001\xc3\xa4\\ufffd\\ufffd\\ufffd\\ufffd\","
		"\"h\":\"0xffffffffffffffff\",\"i\":-9223372036854775808,"
		"\"error\":\"No such file or directory\"}");
}

static void levels_below_the_wanted_are_silent(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_WARN, false);
	mr_log(MR_LOG_INFO, "not seen");
	mr_log(MR_LOG_DEBUG, "not seen");
	mr_log(MR_LOG_WARN, "seen");
	assert_string_equal(line(false), " warn prog: seen");
}

static void fields_that_do_not_fit_are_left_out_whole(void **state)
{
	char *big = calloc(1, 8000);
	const char *l;

	(void)state;
	memset(big, 'x', 7999);
	mr_log_init("prog", MR_LOG_INFO, true);
	mr_log(MR_LOG_INFO, "e", MR_LOG_U64("n", 1), MR_LOG_STR("big", big), MR_LOG_U64("m", 2));
	l = line(true);
	assert_non_null(strstr(l, "\"event\":\"e\",\"n\":1,\"truncated\":true}"));
	free(big);
}

static void errno_survives(void **state)
{
	(void)state;
	mr_log_init("prog", MR_LOG_INFO, false);
	errno = E2BIG;
	mr_log(MR_LOG_INFO, "e");
	assert_int_equal(errno, E2BIG);
	line(false);
}

static int to_pipe(void **state)
{
	(void)state;
	old_stderr = dup(STDERR_FILENO);
	return pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0 ? 0 : -1;
}

static int from_pipe(void **state)
{
	(void)state;
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_lines_are_plain, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(
			lines_for_the_journal_have_priorities, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(
			outside_text_cannot_forge_a_line, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(hidden_characters_are_escaped, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(lines_of_a_flood_are_counted, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(json_lines_are_json, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(
			levels_below_the_wanted_are_silent, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(
			fields_that_do_not_fit_are_left_out_whole, to_pipe, from_pipe),
		cmocka_unit_test_setup_teardown(errno_survives, to_pipe, from_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
