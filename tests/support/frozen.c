/* SPDX-License-Identifier: Apache-2.0 */
/* frozen: stops a thread of the data plane for a while, as on a busy host, while messages are in
 * flight to its worker.
 *
 *   frozen THREAD MILLISECONDS WAY
 *
 * A client of worker 1 subscribes; that worker's thread sleeps and is stopped. A client of worker 0
 * promises and settles messages. Then, by WAY, it keeps its publisher, closes it, closes it and
 * opens others (reuse), closes itself (exit), or is killed before it settles (kill). Prints the
 * messages received on one line, as JSON. Status 0: all of them, under their subject; 77: threads
 * cannot be stopped here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/millrace.h"

#define MESSAGES   10u
#define OTHERS     64u
#define SUBJECT    "frozen.first"
#define PATIENCE_S 20

static struct {
	unsigned came;
	unsigned wrong;
	unsigned long long missed;
} seen;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)arg;
	seen.came++;
	seen.wrong += m->subject_bytes != strlen(SUBJECT) ||
		      memcmp(m->subject, SUBJECT, m->subject_bytes) != 0;
}

static void on_gap(struct mr_client *c, uint64_t missed, uint64_t total, void *arg)
{
	(void)c;
	(void)missed;
	(void)arg;
	seen.missed = total;
}

/* A new client goes to the worker that has fewest. */
static struct mr_client *client_at(unsigned worker)
{
	const struct mr_options options = {
		.on_gap = on_gap, .request_timeout_ms = PATIENCE_S * 1000};
	struct mr_client_stats stats;
	struct mr_client *c;

	for (unsigned i = 0; i < 8; i++) {
		if (mr_connect(NULL, &options, &c) != 0)
			die("connect");
		mr_client_stats(c, &stats);
		if (stats.worker == worker)
			return c;
	}
	die("no client at that worker");
	return NULL;
}

/* A child process stops the thread, reports it, and releases it when it ends. */
static pid_t stop_thread(pid_t thread, unsigned ms)
{
	int said[2], status;
	pid_t child = -1;
	char byte;

	if (pipe(said) != 0 || (child = fork()) < 0)
		die("child");
	if (child == 0) {
		if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0 ||
			ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0 ||
			waitpid(thread, &status, __WALL) < 0)
			_exit(77);
		if (write(said[1], "s", 1) != 1)
			_exit(2);
		usleep(ms * 1000);
		_exit(0);
	}
	close(said[1]);
	if (read(said[0], &byte, 1) != 1) {
		fputs("threads cannot be stopped here\n", stderr);
		exit(77);
	}
	close(said[0]);
	return child;
}

static struct mr_publisher *open_publisher(struct mr_client *c, const char *subject)
{
	const struct mr_publisher_options options = {.promise = MR_EXACTLY_ONCE};
	struct mr_publisher *p;

	return mr_publisher_open_with(c, subject, &options, &p) == 0 ? p : NULL;
}

static void promise_all(struct mr_publisher *p)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (mr_publisher_send(p, "x", 1) != 0)
			die("send");
}

/* Opens as many as possible, as long as the thread stands still. */
static void open_others(struct mr_client *c, double until)
{
	char subject[32];
	unsigned count = 0;

	while (now_ms() < until && count < OTHERS) {
		snprintf(subject, sizeof(subject), "frozen.other.%u", count);
		count += open_publisher(c, subject) != NULL;
		mr_wait(c, 5);
	}
}

/* A program that dies with all messages in its ring, or just taken from it. */
static void promise_and_die(void)
{
	pid_t child = fork();

	if (child == 0) {
		struct mr_client *c = client_at(0);
		struct mr_publisher *p = open_publisher(c, SUBJECT);

		if (p == NULL)
			_exit(2);
		promise_all(p);
		(void)mr_flush(c);
		_exit(kill(getpid(), SIGKILL));
	}
	if (child < 0 || waitpid(child, NULL, 0) < 0)
		die("child");
}

int main(int argc, char **argv)
{
	const struct mr_subscribe_options options = {.promise = MR_EXACTLY_ONCE};
	struct mr_subscription *subscription;
	struct mr_client *receiver, *client;
	struct mr_publisher *p;
	const char *way = argc == 4 ? argv[3] : "";
	unsigned ms = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	double begin;
	pid_t stopper;

	receiver = client_at(1);
	client = client_at(0);
	if (mr_subscribe(receiver, "frozen.>", &options, on_message, NULL, &subscription) != 0)
		die("subscribe");
	p = open_publisher(client, SUBJECT);
	if (p == NULL)
		die("publisher");
	stopper = stop_thread((pid_t)atoi(argv[1]), ms);
	begin = now_ms();
	if (strcmp(way, "kill") == 0) {
		promise_and_die();
	} else {
		promise_all(p);
		if (mr_settle(client, PATIENCE_S * 1000) != 0)
			die("settle");
	}
	if (strcmp(way, "exit") == 0) {
		mr_close(client);
		client = NULL;
	} else if (strcmp(way, "keep") != 0 && strcmp(way, "kill") != 0) {
		mr_publisher_close(p);
	}
	if (strcmp(way, "reuse") == 0)
		open_others(client, begin + ms);
	waitpid(stopper, NULL, 0);
	for (double until = now_ms() + PATIENCE_S * 1000; seen.came < MESSAGES && now_ms() < until;)
		mr_wait(receiver, 10);
	/* A duplicate would arrive at once. */
	mr_wait(receiver, 50);
	printf("{\"way\":\"%s\",\"promised\":%u,\"came\":%u,\"wrong\":%u,\"missed\":%llu}\n", way,
		MESSAGES, seen.came, seen.wrong, seen.missed);
	return seen.came != MESSAGES || seen.wrong != 0;
}
