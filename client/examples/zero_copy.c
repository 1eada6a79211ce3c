/* SPDX-License-Identifier: Apache-2.0 */
/* zero_copy: writes messages straight into the ring to the bus.
 *
 *   zero_copy [-n COUNT] [ADDRESS]
 *   build/client/examples/example_zero_copy -n 1000
 *
 * Shows mr_publisher_claim() and mr_publisher_commit(). Publishes COUNT samples, 100,000 by
 * default, to example.samples, receives them in the same program, and prints their number and the
 * sum of their values, which must be 3 * COUNT * (COUNT - 1) / 2. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

struct sample {
	uint64_t number;
	uint64_t value;
};

struct totals {
	uint64_t count;
	uint64_t sum;
};

static void add(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct totals *t = arg;
	struct sample s;

	(void)c;
	if (m->payload_bytes != sizeof(s))
		return;
	/* A payload may have any alignment. */
	memcpy(&s, m->payload, sizeof(s));
	t->count++;
	t->sum += s.value;
}

/* Returns 0, or -EAGAIN when the ring is full: receive, then try again. */
static int publish_sample(struct mr_publisher *p, uint64_t number)
{
	struct sample s = {.number = number, .value = 3 * number};
	void *place;
	int error = mr_publisher_claim(p, sizeof(s), &place);

	if (error != 0)
		return error;
	memcpy(place, &s, sizeof(s));
	return mr_publisher_commit(p, sizeof(s));
}

static int run(struct mr_client *c, struct mr_publisher *p, uint64_t wanted, struct totals *t)
{
	uint64_t sent = 0;
	int error = 0;

	while (t->count < wanted && error >= 0) {
		/* At most 1024 in flight: the ring of the receiver holds them all. */
		error = 0;
		while (sent < wanted && sent - t->count < 1024 && error == 0) {
			error = publish_sample(p, sent);
			if (error == 0)
				sent++;
		}
		if (error == 0 || error == -EAGAIN)
			error = mr_wait(c, 1000);
	}
	return error < 0 ? error : 0;
}

int main(int argc, char **argv)
{
	uint64_t wanted = 100000;
	struct totals t = {0};
	struct mr_publisher *p;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		wanted = strtoull(argv[2], NULL, 10);
		at = 3;
	}
	if (mr_connect(at < argc ? argv[at] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "zero_copy: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_subscribe(c, "example.samples", NULL, add, &t, NULL);
	if (error == 0)
		error = mr_publisher_open(c, "example.samples", &p);
	/* Corked: the bus sees the samples after each 64 KiB, or when mr_wait() runs. */
	mr_cork(c, true);
	if (error == 0)
		error = run(c, p, wanted, &t);
	if (error != 0)
		fprintf(stderr, "zero_copy: %s\n", mr_error(c));
	else
		printf("received %llu samples, sum %llu\n", (unsigned long long)t.count,
			(unsigned long long)t.sum);
	mr_close(c);
	return error != 0;
}
