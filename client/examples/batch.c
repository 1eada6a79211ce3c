/* SPDX-License-Identifier: Apache-2.0 */
/* batch: publishes in batches of 32, one call per batch.
 *
 *   batch [-n COUNT] [SUBJECT [ADDRESS]]
 *   build/client/examples/example_batch -n 1000000 example.batch
 *
 * Shows mr_publisher_send_batch() and mr_drain(). Ends when the bus has taken all COUNT messages,
 * 100,000 by default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

#define BATCH 32u

static int publish_all(struct mr_client *c, struct mr_publisher *p, unsigned long wanted)
{
	static const char payload[64] = "one of many";
	struct mr_buffer buffers[BATCH];
	unsigned long sent = 0;

	for (unsigned i = 0; i < BATCH; i++)
		buffers[i] = (struct mr_buffer){payload, sizeof(payload)};
	while (sent < wanted) {
		unsigned count = wanted - sent < BATCH ? (unsigned)(wanted - sent) : BATCH;
		int taken = mr_publisher_send_batch(p, buffers, count);

		/* The ring is full: mr_drain() waits until the bus has taken all of it. */
		if (taken >= 0 && (unsigned)taken < count) {
			int error = mr_drain(c, 1000);

			if (error != 0)
				return error;
		}
		if (taken < 0)
			return taken;
		sent += (unsigned)taken;
	}
	return mr_drain(c, 5000);
}

int main(int argc, char **argv)
{
	unsigned long wanted = 100000;
	struct mr_publisher *p;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		wanted = strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "batch: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_publisher_open(c, at < argc ? argv[at] : "example.batch", &p);
	if (error == 0)
		error = publish_all(c, p, wanted);
	if (error != 0)
		fprintf(stderr, "batch: %s\n", mr_error(c));
	else
		printf("published %lu messages\n", wanted);
	mr_close(c);
	return error != 0;
}
