/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: commands that are run for messages. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/jobs.h"
#include "tests/unit/cli/cmocka_all.h"

#define WAIT_MS 20000

struct seen {
	unsigned count;
	int status[8];
	int error[8];
	char out[8][64];
	size_t out_bytes[8];
};

static void done(const struct mr_cli_job *job, void *arg)
{
	struct seen *s = arg;

	s->count++;
	s->status[job->index] = job->status;
	s->error[job->index] = job->error;
	s->out_bytes[job->index] = job->out_bytes;
	snprintf(s->out[job->index], sizeof(s->out[0]), "%.*s", (int)job->out_bytes,
		job->out ? job->out : "");
}

struct lines {
	unsigned count;
	char last[MR_CLI_JOB_LINE_BYTES];
};

static void keep_last_line(const struct mr_cli_job *job, void *arg)
{
	struct lines *l = arg;

	l->count++;
	snprintf(l->last, sizeof(l->last), "%s", job->last_line);
}

static const char *last_line_of(const char *command)
{
	static struct lines l;
	struct mr_cli_jobs j = {.command = command, .out_bytes_max = 1 << 20, .keeps_line = true};

	l = (struct lines){0};
	assert_int_equal(mr_cli_jobs_init(&j, 1), 0);
	assert_int_equal(mr_cli_jobs_start(&j, NULL, "", 0), 0);
	while (l.count == 0) {
		if (mr_cli_jobs_step(&j, keep_last_line, &l) == 0)
			mr_cli_jobs_wait(&j, -1, WAIT_MS);
	}
	mr_cli_jobs_fini(&j);
	return l.last;
}

static void last_line_of_standard_error_is_kept(void **state)
{
	char longest[MR_CLI_JOB_LINE_BYTES];

	(void)state;
	memset(longest, '7', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(last_line_of("echo one >&2; echo two >&2; exit 3"), "two");
	assert_string_equal(last_line_of("printf 'one\\r\\n\\n' >&2"), "one");
	assert_string_equal(last_line_of("printf 'one\\ntw' >&2; printf o >&2"), "two");
	assert_string_equal(last_line_of("echo out"), "");
	assert_string_equal(last_line_of("printf '%0300d\\n' 0 | tr 0 7 >&2"), longest);
	/* Read after the command has ended. */
	assert_string_equal(last_line_of("sleep 100 >/dev/null & echo early >&2"), "early");
}

static void finish(struct mr_cli_jobs *j, struct seen *s, unsigned count)
{
	while (s->count < count) {
		if (mr_cli_jobs_step(j, done, s) == 0)
			mr_cli_jobs_wait(j, -1, WAIT_MS);
	}
}

static struct mr_cli_jobs jobs_of(const char *command, unsigned count)
{
	struct mr_cli_jobs j = {.command = command, .out_bytes_max = 1 << 20};

	assert_int_equal(mr_cli_jobs_init(&j, count), 0);
	return j;
}

static void input_goes_through_the_command(void **state)
{
	struct mr_cli_jobs j = jobs_of("tr a-z A-Z; printf %s $WHAT", 1);
	const char *environment[] = {"WHAT=!", NULL};
	struct seen s = {0};

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, environment, "hello", 5), 0);
	finish(&j, &s, 1);
	assert_string_equal(s.out[0], "HELLO!");
	assert_int_equal(s.status[0], 0);
	mr_cli_jobs_fini(&j);
}

static void several_run_at_once(void **state)
{
	struct mr_cli_jobs j = jobs_of("cat", 3);
	struct seen s = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(mr_cli_jobs_start(&j, NULL, "abc", (size_t)i), i);
	assert_true(mr_cli_jobs_full(&j));
	assert_int_equal(mr_cli_jobs_start(&j, NULL, NULL, 0), -EAGAIN);
	finish(&j, &s, 3);
	assert_string_equal(s.out[0], "");
	assert_string_equal(s.out[1], "a");
	assert_string_equal(s.out[2], "ab");
	mr_cli_jobs_fini(&j);
}

static void exit_status_and_signal_are_reported(void **state)
{
	struct mr_cli_jobs j = jobs_of("read n; [ $n = k ] && kill -9 $$; exit $n", 2);
	struct seen s = {0};

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, "7\n", 2), 0);
	assert_int_equal(mr_cli_jobs_start(&j, NULL, "k\n", 2), 1);
	finish(&j, &s, 2);
	assert_int_equal(s.status[0], 7);
	assert_int_equal(s.status[1], 128 + 9);
	mr_cli_jobs_fini(&j);
}

static void more_than_a_pipe_holds_goes_through(void **state)
{
	struct mr_cli_jobs j = jobs_of("cat", 1);
	static char in[700000];
	struct seen s = {0};

	(void)state;
	memset(in, 'x', sizeof(in));
	assert_int_equal(mr_cli_jobs_start(&j, NULL, in, sizeof(in)), 0);
	finish(&j, &s, 1);
	assert_int_equal(s.out_bytes[0], sizeof(in));
	mr_cli_jobs_fini(&j);
}

static void too_much_output_ends_the_command(void **state)
{
	struct mr_cli_jobs j = jobs_of("yes", 1);
	struct seen s = {0};

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, NULL, 0), 0);
	finish(&j, &s, 1);
	assert_int_equal(s.error[0], -EMSGSIZE);
	mr_cli_jobs_fini(&j);
}

static void a_command_that_takes_too_long_is_killed(void **state)
{
	struct mr_cli_jobs j = jobs_of("sleep 1000", 1);
	struct seen s = {0};

	(void)state;
	j.timeout_ms = 50;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, NULL, 0), 0);
	finish(&j, &s, 1);
	assert_int_equal(s.error[0], -ETIMEDOUT);
	mr_cli_jobs_fini(&j);
}

static void a_command_need_not_read_its_input(void **state)
{
	struct mr_cli_jobs j = jobs_of("echo no", 1);
	static char in[300000];
	struct seen s = {0};

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, in, sizeof(in)), 0);
	finish(&j, &s, 1);
	assert_string_equal(s.out[0], "no\n");
	assert_int_equal(s.error[0], 0);
	mr_cli_jobs_fini(&j);
}

static void start_next(const struct mr_cli_job *job, void *arg)
{
	struct mr_cli_jobs *j = ((void **)arg)[0];
	struct seen *s = ((void **)arg)[1];

	done(job, s);
	if (s->count == 1)
		assert_int_equal(mr_cli_jobs_start(j, NULL, job->out, job->out_bytes), 0);
}

static void the_next_may_start_from_the_end_of_one(void **state)
{
	struct mr_cli_jobs j = jobs_of("cat; echo +", 1);
	struct seen s = {0};
	void *arg[] = {&j, &s};

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, NULL, 0), 0);
	while (s.count < 2) {
		if (mr_cli_jobs_step(&j, start_next, arg) == 0)
			mr_cli_jobs_wait(&j, -1, WAIT_MS);
	}
	assert_string_equal(s.out[0], "+\n+\n");
	mr_cli_jobs_fini(&j);
}

static void running_command_is_killed_at_the_end(void **state)
{
	struct mr_cli_jobs j = jobs_of("sleep 1000", 2);

	(void)state;
	assert_int_equal(mr_cli_jobs_start(&j, NULL, NULL, 0), 0);
	mr_cli_jobs_fini(&j);
	assert_int_equal(j.running, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_line_of_standard_error_is_kept),
		cmocka_unit_test(input_goes_through_the_command),
		cmocka_unit_test(several_run_at_once),
		cmocka_unit_test(exit_status_and_signal_are_reported),
		cmocka_unit_test(more_than_a_pipe_holds_goes_through),
		cmocka_unit_test(too_much_output_ends_the_command),
		cmocka_unit_test(a_command_that_takes_too_long_is_killed),
		cmocka_unit_test(a_command_need_not_read_its_input),
		cmocka_unit_test(the_next_may_start_from_the_end_of_one),
		cmocka_unit_test(running_command_is_killed_at_the_end),
	};

	/* The command's main does the same. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
