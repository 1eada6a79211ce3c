/* SPDX-License-Identifier: Apache-2.0 */
/* ordered: work in the order of its key: the steps of one order are done one after the other, those
 * of other orders meanwhile.
 *
 *   ordered [-n COUNT] QUEUE [ADDRESS]
 *   build/client/examples/example_ordered -n 2 example.ordered
 *
 * Shows MR_POLICY_KEY_SHARED, `key` of mr_push_with(), and mr_pull_batch() with a longest wait.
 * Pushes the steps of COUNT orders, 2 by default, and takes them in batches: however many messages
 * wait, a batch has at most one of each order. Start several: each order is at one of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

#define BATCH   16u
#define WAIT_MS 200

static const char *const steps[] = {"paid", "packed", "shipped"};

static int push_steps(struct mr_client *c, struct mr_queue *q, unsigned orders)
{
	int error = 0;

	for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		for (unsigned order = 1; order <= orders && error == 0; order++) {
			char key[32];
			struct mr_push push = {
				.payload = steps[step], .bytes = strlen(steps[step]), .key = key};

			snprintf(key, sizeof(key), "order-%u", order);
			error = mr_push_with(q, &push, NULL);
		}
	}
	return error != 0 ? error : mr_settle(c, 5000);
}

static int work(const struct mr_delivery *d)
{
	size_t bytes;
	const char *key = mr_message_header(&d->message, "Millrace-Key", &bytes);

	printf("%.*s %.*s\n", (int)bytes, key, (int)d->message.payload_bytes,
		(const char *)d->message.payload);
	fflush(stdout);
	/* The next step of this order is delivered now. */
	return mr_ack(d->consumer, d->tag);
}

static int work_all(struct mr_consumer *consumer, unsigned left)
{
	struct mr_delivery batch[BATCH];

	while (left > 0) {
		int count = mr_pull_batch(consumer, batch, BATCH, WAIT_MS);

		if (count == -ETIMEDOUT)
			continue;
		if (count < 0)
			return count;
		for (int i = 0; i < count; i++) {
			int error = work(&batch[i]);

			if (error != 0)
				return error;
		}
		left -= (unsigned)count < left ? (unsigned)count : left;
	}
	return 0;
}

static int run(struct mr_client *c, const char *queue, unsigned orders)
{
	struct mr_push_options push = {
		.promise = MR_AT_LEAST_ONCE, .queue = {.policy = MR_POLICY_KEY_SHARED}};
	struct mr_consume_options consume = {
		.manual = true, .prefetch = BATCH, .queue = {.policy = MR_POLICY_KEY_SHARED}};
	const unsigned all = orders * (unsigned)(sizeof(steps) / sizeof(steps[0]));
	struct mr_consumer *consumer;
	struct mr_queue *q;
	int error = mr_queue_open(c, queue, &push, &q);

	if (error == 0)
		error = push_steps(c, q, orders);
	if (error == 0)
		error = mr_consume(c, queue, &consume, NULL, NULL, &consumer);
	if (error == 0)
		error = work_all(consumer, all);
	return error;
}

int main(int argc, char **argv)
{
	unsigned orders = 2;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		orders = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: ordered [-n COUNT] QUEUE [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "ordered: %s\n", mr_error(NULL));
		return 1;
	}
	error = run(c, argv[at], orders);
	if (error != 0)
		fprintf(stderr, "ordered: %s\n", mr_error(c));
	mr_close(c);
	return error == 0 ? 0 : 1;
}
