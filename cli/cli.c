/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/millrace.h"
#include "cli/input.h"
#include "cli/text.h"
#include "lib/base/compiler.h"

static atomic_bool interrupted;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

void mr_cli_catch_interrupts(void)
{
	/* Without SA_RESTART a signal ends a wait. With SA_RESETHAND a second Ctrl-C kills. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool mr_cli_interrupted(void)
{
	return atomic_load_explicit(&interrupted, memory_order_relaxed);
}

bool mr_cli_flush(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}

/* Prints the parts as one line on standard error, in one write. They may quote names that others
 * have chosen, and texts of a bus. */
static void print_line(const struct mr_cli *cli, const char *const *parts, size_t count)
{
	char *text = NULL;
	size_t bytes;
	FILE *line = open_memstream(&text, &bytes);

	fflush(stdout);
	if (!line)
		return;
	fprintf(line, "millrace %s: ", cli->verb);
	for (size_t i = 0; i < count; i++)
		mr_cli_text_print_message(line, parts[i]);
	fputc('\n', line);
	if (fclose(line) == 0)
		fputs(text, stderr);
	free(text);
}

int mr_cli_fail(const struct mr_cli *cli, enum mr_cli_exit code, const char *what, const char *why,
	const char *hint)
{
	const char *const parts[] = {
		*what ? what : "''", ": ", why, hint ? "; " : "", hint ? hint : ""};

	print_line(cli, parts, MR_ARRAY_COUNT(parts));
	return code;
}

void mr_cli_note(const struct mr_cli *cli, const char *format, ...)
{
	char text[512];
	const char *const part = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_line(cli, &part, 1);
}

void mr_cli_note_state(
	const struct mr_cli *cli, const struct mr_client *c, bool connected, const char *doing)
{
	/* After a reconnect the library's text says what the outage cost. */
	if (connected && strncmp(mr_error(c), "connected again;", 16) == 0)
		mr_cli_note(cli, "%s", mr_error(c));
	else if (connected)
		mr_cli_note(cli, "connected again and %s", doing);
	else
		mr_cli_note(cli, "connection lost: %s; connecting again", mr_error(c));
}

/* Exit codes and hints for the library's errors. */
static const struct meaning {
	int error;
	enum mr_cli_exit code;
	const char *hint;
} meanings[] = {
	{-EINVAL, MR_EXIT_USAGE, NULL},
	{-EMSGSIZE, MR_EXIT_FAILED, "send it in parts, or raise messages.bytes_max of the bus"},
	{-ECONNREFUSED, MR_EXIT_UNREACHABLE,
		"start a bus with `millrace up`, or name one with --server"},
	{-ENOENT, MR_EXIT_UNREACHABLE, "start a bus with `millrace up`, or name one with --server"},
	{-ENOTCONN, MR_EXIT_UNREACHABLE, "check with `millrace status` whether the bus runs"},
	{-EPROTO, MR_EXIT_UNREACHABLE,
		"client and bus must be of one release: compare `millrace version` and "
		"`millrace status`"},
	{-EACCES, MR_EXIT_FAILED, "allow this user in the configuration of the bus (access.users)"},
	{-ENOSPC, MR_EXIT_FAILED, "raise the limits in the configuration of the bus"},
	{-EDQUOT, MR_EXIT_FAILED, "raise peers.share_percent in the configuration of the bus"},
	{-ETIMEDOUT, MR_EXIT_TIMEOUT, "give more time with --timeout"},
	{-EHOSTUNREACH, MR_EXIT_NO_RESPONDERS, "start one with `millrace reply`"},
	{-EBUSY, MR_EXIT_FAILED, "all responders are busy: try again, or start more"},
	{0, MR_EXIT_FAILED, NULL},
};

/* Returns the form of a name, for an error text that begins with the kind of the name. */
static const char *hint_of_name(const char *why)
{
	static const struct {
		const char *begin;
		const char *hint;
	} kinds[] = {
		{"subject: ", "expected: tokens with dots between, such as orders.eu"},
		{"pattern: ", "expected: tokens with dots between; * is any token, > at the end "
			      "any number of them, such as orders.*"},
		{"queue: ", "expected: tokens with dots between, such as orders.eu"},
		{"service: ", "expected: tokens with dots between, such as orders.eu"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(why, kinds[i].begin, strlen(kinds[i].begin)) == 0)
			return kinds[i].hint;
	}
	return NULL;
}

int mr_cli_fail_call(
	const struct mr_cli *cli, const struct mr_client *c, int error, const char *what)
{
	const struct meaning *m = meanings;
	const char *why = c ? mr_error(c) : "";

	while (m->error && m->error != error)
		m++;
	if (!*why)
		why = mr_error_text(error);
	return mr_cli_fail(cli, m->code, what, why, m->hint ? m->hint : hint_of_name(why));
}

int mr_cli_fail_input(const struct mr_cli *cli, int error)
{
	char why[64];

	if (error != -EMSGSIZE)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "standard input", strerror(-error),
			"give a file or a pipe that can be read, or the payload itself");
	snprintf(why, sizeof(why), "more than %u MiB", MR_CLI_INPUT_BYTES_MAX >> 20);
	return mr_cli_fail(cli, MR_EXIT_FAILED, "standard input", why,
		"send it in parts; messages.bytes_max of the bus limits each message");
}

enum mr_promise_kind mr_cli_promise(const char *text)
{
	if (text == NULL || strcmp(text, "best-effort") == 0)
		return MR_BEST_EFFORT;
	return strcmp(text, "exactly-once") == 0 ? MR_EXACTLY_ONCE : MR_AT_LEAST_ONCE;
}

bool mr_cli_is_udp(const struct mr_cli *cli)
{
	return strncmp(cli->server, "udp://", 6) == 0;
}

int mr_cli_connect(
	const struct mr_cli *cli, const struct mr_options *options, struct mr_client **out)
{
	struct mr_options named = options ? *options : (struct mr_options){0};
	const struct meaning *m = meanings;
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "millrace %s", cli->verb);
	if (!named.name)
		named.name = name;
	rc = mr_connect(cli->server, &named, out);
	if (rc == 0)
		return MR_EXIT_OK;
	if (rc == -EINVAL)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--server", mr_error(NULL),
			"expected shm:PATH of the bus's attach.sock, its run directory, or "
			"udp://HOST:PORT");
	if (rc == -ENOTCONN)
		return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "no connection", mr_error(NULL),
			"look at the log of `millrace up`");
	while (m->error && m->error != rc)
		m++;
	/* Over UDP the cause may be the host's name, the network, or a bus that refuses this
	 * host. */
	if (mr_cli_is_udp(cli))
		return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "no connection", mr_error(NULL),
			rc == -EACCES
				? "allow this host in the bus's configuration (access.networks)"
			: strstr(mr_error(NULL), "no such host")
				? "check the name, or give the address as a number"
				: "check the bus on its host with `millrace ports`");
	/* Without an attach socket there is no bus, whatever the error is. */
	return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "no connection", mr_error(NULL),
		rc == -ETIMEDOUT ? "look at the log of `millrace up`" : m->hint);
}

int mr_cli_run_dir_default(char *out, size_t out_bytes)
{
	return mr_bus_run_dir(out, out_bytes);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t mr_cli_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t mr_cli_date_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
