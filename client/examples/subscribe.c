/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe: prints the messages of a pattern.
 *
 *   subscribe [-n COUNT] PATTERN [ADDRESS]
 *   build/client/examples/example_subscribe -n 1 'orders.>'
 *
 * Shows a subscription with a callback, and the reports of gaps and of a lost connection. Prints
 * "subscribed" once every message published from then on will be delivered. Ends after COUNT
 * messages, 10 by default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static void print(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *count = arg;

	(void)c;
	/* Texts in a message do not end with a zero byte: print by length. */
	printf("%.*s: %.*s\n", (int)m->subject_bytes, m->subject, (int)m->payload_bytes,
		(const char *)m->payload);
	fflush(stdout);
	++*count;
}

static void on_gap(struct mr_client *c, uint64_t missed, uint64_t total, void *arg)
{
	(void)c;
	(void)total;
	(void)arg;
	fprintf(stderr, "subscribe: missed %llu messages\n", (unsigned long long)missed);
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	(void)c;
	(void)error;
	(void)arg;
	fprintf(stderr, "subscribe: %s\n", connected ? "the bus is back" : "the bus went away");
}

int main(int argc, char **argv)
{
	struct mr_options options = {.on_gap = on_gap, .on_state = on_state};
	unsigned wanted = 10, count = 0;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		wanted = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: subscribe [-n COUNT] PATTERN [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, &options, &c) != 0) {
		fprintf(stderr, "subscribe: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_subscribe(c, argv[at], NULL, print, &count, NULL);
	if (error != 0) {
		fprintf(stderr, "subscribe: %s\n", mr_error(c));
		mr_close(c);
		return 1;
	}
	printf("subscribed\n");
	fflush(stdout);
	/* -ENOTCONN is no reason to stop: mr_wait() reconnects and subscribes again. */
	while (count < wanted)
		mr_wait(c, -1);
	mr_close(c);
	return 0;
}
