/* SPDX-License-Identifier: Apache-2.0 */
/* retry: a job that fails: it comes back later each time, and ends as a dead letter with the
 * reason.
 *
 *   retry [-n COUNT] QUEUE PAYLOAD [ADDRESS]
 *   build/client/examples/example_retry -n 3 example.mails 'to: anna'
 *
 * Shows `max_deliver` and the back-off of a queue, mr_nack_error(), mr_delivery_attempts(), and the
 * headers in which the next attempt finds the last error, and a dead letter its reason. The job has
 * COUNT attempts, 3 by default, and fails in all. Then it is in QUEUE.dead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

/* The value of a header; a dash without one. */
static int print_header(const struct mr_message *m, const char *before, const char *name)
{
	size_t bytes;
	const char *value = mr_message_header(m, name, &bytes);

	return printf(
		"%s%.*s", before, value != NULL ? (int)bytes : 1, value != NULL ? value : "-");
}

static int fail(const struct mr_delivery *d)
{
	unsigned attempt = mr_delivery_attempts(d) + 1;
	char why[64];

	printf("attempt %u", attempt);
	print_header(&d->message, ", error before: ", "Millrace-Error");
	printf("\n");
	fflush(stdout);
	snprintf(why, sizeof(why), "no host in attempt %u", attempt);
	/* Without a delay of its own: the back-off of the queue has it. */
	return mr_nack_error(d->consumer, d->tag, true, 0, why);
}

static int fail_each(struct mr_client *c, const char *queue, const char *payload, unsigned count)
{
	struct mr_queue_options limits = {.max_deliver = (uint16_t)count};
	struct mr_queue_retry retry = {.min_ms = 50, .max_ms = 1000, .factor = 200};
	struct mr_push_options push = {
		.promise = MR_AT_LEAST_ONCE, .queue = limits, .retry = retry};
	struct mr_consume_options consume = {.manual = true, .queue = limits, .retry = retry};
	struct mr_consumer *consumer;
	struct mr_delivery d;
	struct mr_queue *q;
	int error = mr_queue_open(c, queue, &push, &q);

	if (error == 0)
		error = mr_push(q, payload, strlen(payload));
	if (error == 0)
		error = mr_consume(c, queue, &consume, NULL, NULL, &consumer);
	for (unsigned i = 0; i < count && error == 0; i++) {
		error = mr_pull(consumer, &d, -1);
		if (error == 0)
			error = fail(&d);
	}
	return error != 0 ? error : mr_consumer_close(consumer);
}

static int print_dead_letter(struct mr_client *c, const char *queue)
{
	struct mr_consume_options options = {.manual = true};
	char name[MR_SUBJECT_BYTES + 1];
	struct mr_consumer *consumer;
	struct mr_delivery d;
	int error;

	snprintf(name, sizeof(name), "%s.dead", queue);
	error = mr_consume(c, name, &options, NULL, NULL, &consumer);
	if (error == 0)
		error = mr_pull(consumer, &d, -1);
	if (error != 0)
		return error;
	printf("dead letter: %.*s", (int)d.message.payload_bytes, (const char *)d.message.payload);
	print_header(&d.message, ", reason: ", "Millrace-Dead-Reason");
	print_header(&d.message, ", attempts: ", "Millrace-Dead-Count");
	print_header(&d.message, ", last error: ", "Millrace-Error");
	printf("\n");
	return mr_ack(consumer, d.tag);
}

int main(int argc, char **argv)
{
	unsigned count = 3;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		fprintf(stderr, "usage: retry [-n COUNT] QUEUE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 2 < argc ? argv[at + 2] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "retry: %s\n", mr_error(NULL));
		return 1;
	}
	error = fail_each(c, argv[at], argv[at + 1], count);
	if (error == 0)
		error = print_dead_letter(c, argv[at]);
	if (error != 0)
		fprintf(stderr, "retry: %s\n", mr_error(c));
	mr_close(c);
	return error == 0 ? 0 : 1;
}
