/* SPDX-License-Identifier: Apache-2.0 */
/* forked NAME: a client that takes one job from the queue "jobs" and subscribes to "orders.>" with
 * a promise. It reads nothing and forks a helper that sleeps with all descriptors. Prints the
 * helper's pid. On SIGTERM it closes its client and lives on. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "client/millrace.h"

static volatile sig_atomic_t closing;

static void on_term(int signal)
{
	(void)signal;
	closing = 1;
}

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

static int join(const char *name, struct mr_client **c)
{
	const struct mr_options options = {.name = name};
	const struct mr_subscribe_options promised = {.promise = MR_AT_LEAST_ONCE};
	const struct mr_consume_options manual = {.manual = true};
	struct mr_subscription *s;
	struct mr_consumer *consumer;
	struct mr_delivery d;

	return mr_connect(NULL, &options, c) != 0 ||
	       mr_subscribe(*c, "orders.>", &promised, ignore, NULL, &s) != 0 ||
	       mr_consume(*c, "jobs", &manual, NULL, NULL, &consumer) != 0 ||
	       mr_pull(consumer, &d, 10000) != 0;
}

int main(int argc, char **argv)
{
	const struct sigaction term = {.sa_handler = on_term};
	struct mr_client *c;
	pid_t helper;

	sigaction(SIGTERM, &term, NULL);
	if (argc != 2 || join(argv[1], &c) != 0)
		return 1;
	helper = fork();
	if (helper == 0) {
		signal(SIGTERM, SIG_DFL);
		sleep(120);
		_exit(0);
	}
	printf("%d\n", (int)helper);
	fflush(stdout);
	while (!closing)
		sleep(120);
	mr_close(c);
	for (;;)
		sleep(120);
}
