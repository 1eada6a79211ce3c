/* SPDX-License-Identifier: Apache-2.0 */
/* publisher SUBJECT: calls mr_publish with 1, 2, 3, ... every 10 ms, prints each number, and calls
 * nothing else until SIGTERM. Ends with 1 if a call fails. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "client/millrace.h"

static volatile sig_atomic_t ending;

static void on_term(int signal)
{
	(void)signal;
	ending = 1;
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	(void)error;
	(void)arg;
	fprintf(stderr, "%s\n", connected ? "connected again" : mr_error(c));
}

int main(int argc, char **argv)
{
	const struct sigaction term = {.sa_handler = on_term};
	const struct mr_options options = {.name = "publisher", .on_state = on_state};
	const struct timespec pause = {.tv_nsec = 10000000};
	struct mr_client *c;
	int error;

	sigaction(SIGTERM, &term, NULL);
	setlinebuf(stdout);
	error = argc == 2 ? mr_connect(NULL, &options, &c) : -1;
	if (error != 0)
		return 1;
	for (unsigned long n = 1; error == 0 && !ending; n++) {
		char text[32];

		error = mr_publish(
			c, argv[1], text, (size_t)snprintf(text, sizeof(text), "%lu", n));
		printf("%lu\n", n);
		nanosleep(&pause, NULL);
	}
	if (error != 0)
		fprintf(stderr, "mr_publish: %d, %s\n", error, mr_error(c));
	mr_close(c);
	return error != 0;
}
