/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for a descriptor that stands still: put does not wait, and dropped lines are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/outlet.h"

#define LINES   30000u
#define WAIT_MS 10000

static size_t say_dropped(char *out, size_t bytes, uint64_t count)
{
	return (size_t)snprintf(out, bytes, "dropped %llu\n", (unsigned long long)count);
}

static void open_outlet(struct mr_outlet *o, int fd)
{
	memset(o, 0, sizeof(*o));
	o->say_dropped = say_dropped;
	assert_int_equal(mr_outlet_open(o, fd), 0);
}

static bool put_number(struct mr_outlet *o, unsigned i)
{
	char line[64];

	return mr_outlet_put(o, line, (size_t)snprintf(line, sizeof(line), "line %08u\n", i));
}

/* Reads the lines in order: numbers that were put, and counts that fill their gaps exactly. */
struct reader {
	char rest[64];
	size_t rest_bytes;
	uint64_t next, told;
};

static void take_line(struct reader *r, const char *line)
{
	unsigned long long n;

	if (sscanf(line, "dropped %llu", &n) == 1) {
		r->next += n;
		r->told += n;
	} else {
		assert_int_equal(sscanf(line, "line %llu", &n), 1);
		assert_int_equal(n, r->next);
		r->next++;
	}
}

static void take_some(struct reader *r, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char chunk[1024];
	ssize_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	n = read(fd, chunk, sizeof(chunk));
	assert_true(n > 0);
	for (ssize_t i = 0; i < n; i++) {
		assert_true(r->rest_bytes < sizeof(r->rest));
		if (chunk[i] != '\n') {
			r->rest[r->rest_bytes++] = chunk[i];
			continue;
		}
		r->rest[r->rest_bytes] = '\0';
		take_line(r, r->rest);
		r->rest_bytes = 0;
	}
}

static void full_pipe_stops_no_writer_and_gaps_are_reported(void **state)
{
	struct reader r = {.next = 0};
	struct mr_outlet o;
	unsigned taken = 0;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	open_outlet(&o, ends[1]);
	/* There is no reader: with a write in put, this would never end. */
	for (unsigned i = 0; i < LINES; i++)
		taken += put_number(&o, i);
	assert_true(taken < LINES);
	while (r.next < LINES)
		take_some(&r, ends[0]);
	assert_int_equal(r.told, LINES - taken);
	assert_true(put_number(&o, LINES));
	take_some(&r, ends[0]);
	assert_int_equal(r.next, LINES + 1);
	mr_outlet_close(&o, WAIT_MS);
	assert_false(put_number(&o, 1));
	close(ends[0]);
	close(ends[1]);
}

static void stopped_terminal_stops_no_writer(void **state)
{
	struct reader r = {.next = 0};
	struct mr_outlet o;
	struct termios raw;
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	raw.c_oflag &= (tcflag_t)~OPOST;
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	assert_int_equal(tcflow(slave, TCOOFF), 0);
	open_outlet(&o, slave);
	for (unsigned i = 0; i < 100; i++)
		assert_true(put_number(&o, i));
	assert_false(mr_outlet_flush(&o, 20));
	assert_int_equal(tcflow(slave, TCOON), 0);
	while (r.next < 100)
		take_some(&r, master);
	mr_outlet_close(&o, WAIT_MS);
	close(master);
	close(slave);
}

/* The user's shell may have left the terminal's description non-blocking. */
static void nonblocking_description_loses_nothing(void **state)
{
	struct reader r = {.next = 0};
	struct mr_outlet o;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	(void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
	open_outlet(&o, ends[1]);
	for (unsigned i = 0; i < 2000; i++)
		assert_true(put_number(&o, i));
	while (r.next < 2000)
		take_some(&r, ends[0]);
	mr_outlet_close(&o, WAIT_MS);
	close(ends[0]);
	close(ends[1]);
}

static void closing_beside_a_stuck_reader_ends(void **state)
{
	/* Never freed, as its thread lives on. */
	struct mr_outlet *o = calloc(1, sizeof(*o));
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	(void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
	open_outlet(o, ends[1]);
	for (unsigned i = 0; i < 2000; i++)
		(void)put_number(o, i);
	mr_outlet_close(o, 20);
	assert_false(put_number(o, 1));
}

static void stream_goes_through_the_outlet(void **state)
{
	struct reader r = {.next = 0};
	struct mr_outlet o;
	int ends[2];
	FILE *f;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	open_outlet(&o, ends[1]);
	f = mr_outlet_stream(&o);
	assert_non_null(f);
	fprintf(f, "line %08u\nline %08u\n", 0, 1);
	while (r.next < 2)
		take_some(&r, ends[0]);
	mr_outlet_close(&o, WAIT_MS);
	fclose(f);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_pipe_stops_no_writer_and_gaps_are_reported),
		cmocka_unit_test(stopped_terminal_stops_no_writer),
		cmocka_unit_test(nonblocking_description_loses_nothing),
		cmocka_unit_test(closing_beside_a_stuck_reader_ends),
		cmocka_unit_test(stream_goes_through_the_outlet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
