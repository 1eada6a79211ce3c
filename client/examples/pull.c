/* SPDX-License-Identifier: Apache-2.0 */
/* pull: pulls jobs from a queue, one at a time, and acknowledges each when it is done.
 *
 *   pull [-n COUNT] QUEUE [ADDRESS]
 *   build/client/examples/example_pull -n 3 example.jobs
 *
 * Shows mr_consume() with manual acknowledgement, mr_pull(), mr_ack() and mr_nack(). Start several:
 * they share the jobs. A job with the payload "bad" is rejected, and goes to the dead letters,
 * QUEUE.dead, after its last attempt. Prints "pulling" when it is ready, and ends after COUNT
 * deliveries, 1 by default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static int work(const struct mr_delivery *d)
{
	const struct mr_message *m = &d->message;

	if (m->payload_bytes == 3 && memcmp(m->payload, "bad", 3) == 0)
		return mr_nack(d->consumer, d->tag, true, 0);
	printf("%.*s%s\n", (int)m->payload_bytes, (const char *)m->payload,
		d->redelivered > 0 ? " (again)" : "");
	/* If the program dies before this, another consumer gets the job. */
	return mr_ack(d->consumer, d->tag);
}

int main(int argc, char **argv)
{
	struct mr_consume_options options = {.prefetch = 1, .manual = true};
	unsigned count = 1;
	struct mr_consumer *consumer;
	struct mr_delivery d;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: pull [-n COUNT] QUEUE [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "pull: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_consume(c, argv[at], &options, NULL, NULL, &consumer);
	if (error == 0) {
		printf("pulling\n");
		fflush(stdout);
	}
	for (unsigned i = 0; i < count && error == 0; i++) {
		error = mr_pull(consumer, &d, -1);
		if (error == 0)
			error = work(&d);
	}
	if (error != 0)
		fprintf(stderr, "pull: %s\n", mr_error(c));
	else
		mr_consumer_close(consumer);
	mr_close(c);
	return error == 0 ? 0 : 1;
}
