/* SPDX-License-Identifier: Apache-2.0 */
/* settle_and_push: a stage of a pipeline: each order makes a bill and a parcel.
 *
 *   settle_and_push [-n COUNT] ORDERS BILLS PARCELS [ADDRESS]
 *   build/client/examples/example_settle_and_push -n 3 example.orders example.bills example.parcels
 *
 * Shows mr_settle_and_push(): both outputs are accepted, and then the order is acknowledged. Kill
 * it at any time and start it again: each order has one bill and one parcel, if it was pushed
 * exactly once (millrace push does). Prints "pulling" when it is ready, and ends after COUNT
 * orders, 1 by default. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

struct stage {
	struct mr_consumer *orders;
	struct mr_queue *bills;
	struct mr_queue *parcels;
};

static int open_stage(struct mr_client *c, char **queues, struct stage *s)
{
	struct mr_consume_options options = {.manual = true};
	int error = mr_queue_open(c, queues[1], NULL, &s->bills);

	if (error == 0)
		error = mr_queue_open(c, queues[2], NULL, &s->parcels);
	if (error == 0)
		error = mr_consume(c, queues[0], &options, NULL, NULL, &s->orders);
	return error;
}

static int handle(struct mr_client *c, struct stage *s, const struct mr_delivery *order)
{
	const struct mr_message *m = &order->message;
	char text[256];
	int bytes = snprintf(text, sizeof(text), "to pay: %.*s", (int)m->payload_bytes,
		(const char *)m->payload);
	struct mr_push bill = {.payload = text,
		.bytes = (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text) - 1};
	struct mr_push parcel = {.payload = m->payload, .bytes = m->payload_bytes};
	const struct mr_output outputs[] = {{s->bills, &bill}, {s->parcels, &parcel}};
	int error = mr_settle_and_push(order, outputs, 2, NULL);

	/* Whatever failed, the order comes again, and its outputs are not doubled. Only an order
	 * that this call did not take is still ours. */
	if (error != 0) {
		fprintf(stderr, "settle_and_push: %s\n", mr_error(c));
		mr_nack(order->consumer, order->tag, true, 1000);
	}
	return error == -ENOTCONN ? 0 : error;
}

int main(int argc, char **argv)
{
	unsigned count = 1;
	struct mr_delivery order;
	struct mr_client *c;
	struct stage s;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at + 2 >= argc) {
		fprintf(stderr,
			"usage: settle_and_push [-n COUNT] ORDERS BILLS PARCELS [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 3 < argc ? argv[at + 3] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "settle_and_push: %s\n", mr_error(NULL));
		return 1;
	}
	error = open_stage(c, argv + at, &s);
	if (error == 0) {
		printf("pulling\n");
		fflush(stdout);
	}
	for (unsigned i = 0; i < count && error == 0; i++) {
		error = mr_pull(s.orders, &order, -1);
		if (error == 0)
			error = handle(c, &s, &order);
	}
	if (error != 0)
		fprintf(stderr, "settle_and_push: %s\n", mr_error(c));
	mr_close(c);
	return error == 0 ? 0 : 1;
}
