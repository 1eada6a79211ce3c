/* SPDX-License-Identifier: Apache-2.0 */
/* promise: publishes numbers exactly once, and receives them itself.
 *
 *   promise [-n COUNT] SUBJECT [ADDRESS]
 *   build/client/examples/example_promise -n 10000 example.promise
 *
 * Shows mr_publisher_open_with(), mr_publisher_send_with(), mr_settle() and a subscription with a
 * promise. COUNT is 1000 by default. A program that must also be recognised after a restart keeps
 * count of its messages and sets next_id. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *next = arg;
	unsigned number;

	(void)c;
	if (m->payload_bytes == sizeof(number)) {
		memcpy(&number, m->payload, sizeof(number));
		*next += number == *next;
	}
}

static int publish(struct mr_client *c, struct mr_publisher *p, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count && error == 0; i++) {
		/* This client is its own subscriber: it must process to make room. */
		while ((error = mr_publisher_send_with(p, NULL, 0, &i, sizeof(i))) == -EAGAIN)
			mr_wait(c, 10);
	}
	return error != 0 ? error : mr_settle(c, 5000);
}

int main(int argc, char **argv)
{
	struct mr_subscribe_options exactly = {.promise = MR_EXACTLY_ONCE};
	struct mr_publisher_options options = {
		.promise = MR_EXACTLY_ONCE, .publisher = "example-promise"};
	unsigned count = 1000, came = 0;
	struct mr_publisher *p;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: promise [-n COUNT] SUBJECT [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "promise: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_subscribe(c, argv[at], &exactly, on_message, &came, NULL);
	if (error == 0)
		error = mr_publisher_open_with(c, argv[at], &options, &p);
	if (error == 0)
		error = publish(c, p, count);
	while (error == 0 && came < count && mr_wait(c, 5000) > 0)
		continue;
	if (error != 0)
		fprintf(stderr, "promise: %s\n", mr_error(c));
	mr_close(c);
	printf("%u of %u came, in order\n", came, count);
	return error == 0 && came == count ? 0 : 1;
}
