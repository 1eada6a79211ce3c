/* SPDX-License-Identifier: Apache-2.0 */
/* Builds messages where the bus reads them, without a copy.
 *
 *   zero_copy [-n COUNT] [ADDRESS]
 *
 * Publishes COUNT samples to example.samples and receives them in the same program; prints how many
 * came and the sum of their values, which is known beforehand. */
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
	/* The payload may lie at any address. */
	memcpy(&s, m->payload, sizeof(s));
	t->count++;
	t->sum += s.value;
}

/* 0, or -EAGAIN when the ring is full: receive first, then come again. */
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
		/* Few enough under way that the receiver's ring holds them all. */
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
	/* The bus is told once in 64 KiB, or when we wait. */
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
