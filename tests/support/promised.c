/* SPDX-License-Identifier: Apache-2.0 */
/* promised: publishes numbered messages of many sizes to itself, with a promise, and checks that
 * each comes back once, in order and unchanged.
 *
 *   promised [-n COUNT] [-b BYTES_MAX] [-x] ADDRESS SUBJECT
 *
 * -x: exactly once, else at least once. Prints the received messages on one line, as JSON. Status
 * 0: all, in order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/millrace.h"

#define BYTES_MIN  8u
#define WAIT_MS    10
#define SILENCE_MS 20000
#define SETTLE_MS  20000
#define CONNECT_MS 60000 /* a hello must get through twice */

struct check {
	unsigned next;
	unsigned wrong;
	unsigned bytes_max;
};

static unsigned bytes_of(unsigned number, unsigned bytes_max)
{
	return BYTES_MIN + number * 2654435761u % (bytes_max - BYTES_MIN + 1);
}

static void fill(uint8_t *to, unsigned number, unsigned bytes)
{
	memcpy(to, &number, sizeof(number));
	for (unsigned i = sizeof(number); i < bytes; i++)
		to[i] = (uint8_t)(number * 31 + i);
}

static bool is_intact(const uint8_t *at, unsigned number, size_t bytes)
{
	for (size_t i = sizeof(number); i < bytes; i++) {
		if (at[i] != (uint8_t)(number * 31 + i))
			return false;
	}
	return true;
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct check *check = arg;
	unsigned number = 0;

	(void)c;
	if (m->payload_bytes >= sizeof(number))
		memcpy(&number, m->payload, sizeof(number));
	check->wrong += number != check->next ||
			m->payload_bytes != bytes_of(number, check->bytes_max) ||
			!is_intact(m->payload, number, m->payload_bytes);
	check->next = number + 1;
}

static int publish(struct mr_client *c, struct mr_publisher *p, unsigned count, struct check *check)
{
	uint8_t *payload = malloc(check->bytes_max);
	int error = payload == NULL ? -ENOMEM : 0;

	for (unsigned i = 0; i < count && error == 0; i++) {
		unsigned bytes = bytes_of(i, check->bytes_max);

		fill(payload, i, bytes);
		/* Reading makes room, and the bus may be waiting for that. */
		while ((error = mr_publisher_send_with(p, NULL, 0, payload, bytes)) == -EAGAIN ||
			error == -ENOTCONN)
			mr_wait(c, WAIT_MS);
		if (i % 64 == 0)
			mr_process(c, UINT16_MAX);
	}
	free(payload);
	return error;
}

static int run(
	struct mr_client *c, const char *subject, unsigned count, bool exactly, struct check *check)
{
	enum mr_promise_kind promise = exactly ? MR_EXACTLY_ONCE : MR_AT_LEAST_ONCE;
	const struct mr_subscribe_options take = {.promise = promise};
	const struct mr_publisher_options give = {.promise = promise};
	struct mr_publisher *p;
	int error = mr_subscribe(c, subject, &take, on_message, check, NULL);

	if (error == 0)
		error = mr_publisher_open_with(c, subject, &give, &p);
	if (error == 0)
		error = publish(c, p, count, check);
	while (error == 0 && check->next < count && mr_wait(c, SILENCE_MS) > 0)
		continue;
	return error != 0 ? error : mr_settle(c, SETTLE_MS);
}

static void report(const struct mr_client *c, unsigned count, const struct check *check)
{
	struct mr_client_stats s;

	mr_client_stats(c, &s);
	printf("{\"sent\": %u, \"came\": %u, \"wrong\": %u, \"session\": \"%016llx\", "
	       "\"reconnects\": %llu, \"reliable_sent\": %llu, \"reliable_received\": %llu, "
	       "\"retransmits\": %llu, \"retransmit_timeouts\": %llu, \"frames_held\": %llu, "
	       "\"frames_duplicate\": %llu, \"rtt_us\": %llu}\n",
		count, check->next, check->wrong, (unsigned long long)s.session,
		(unsigned long long)s.reconnects, (unsigned long long)s.reliable_sent,
		(unsigned long long)s.reliable_received, (unsigned long long)s.retransmits,
		(unsigned long long)s.retransmit_timeouts, (unsigned long long)s.frames_held,
		(unsigned long long)s.frames_duplicate, (unsigned long long)s.rtt_us);
}

int main(int argc, char **argv)
{
	const struct mr_options options = {.connect_timeout_ms = CONNECT_MS};
	struct check check = {.bytes_max = 1000};
	unsigned count = 10000;
	bool exactly = false;
	struct mr_client *c;
	int key, error;

	while ((key = getopt(argc, argv, "n:b:x")) != -1) {
		switch (key) {
		case 'n': count = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'b': check.bytes_max = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'x': exactly = true; break;
		default: return 2;
		}
	}
	if (argc != optind + 2 || check.bytes_max < BYTES_MIN)
		return 2;
	if (mr_connect(argv[optind], &options, &c) != 0) {
		fprintf(stderr, "promised: %s\n", mr_error(NULL));
		return 1;
	}
	error = run(c, argv[optind + 1], count, exactly, &check);
	if (error != 0)
		fprintf(stderr, "promised: %s\n", mr_error(c));
	report(c, count, &check);
	mr_close(c);
	return error == 0 && check.next == count && check.wrong == 0 ? 0 : 1;
}
