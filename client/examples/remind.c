/* SPDX-License-Identifier: Apache-2.0 */
/* remind: work for later: after a time, at a time of day, again and again; and how to cancel it.
 *
 *   remind [-n COUNT] QUEUE TEXT [ADDRESS]
 *   build/client/examples/example_remind -n 3 example.reminders 'tea is ready'
 *
 * Shows `delay_ms`, `at_ms`, `every_ms` and `ticket` of mr_push_with(), and mr_queue_cancel().
 * Pushes a reminder for a moment later, one for tomorrow, which it cancels, and one that repeats
 * each half second. Prints those that come, and cancels the repetition after COUNT of it, 2 by
 * default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <millrace.h>

/* The program's own numbers, so that it can cancel after a restart too. mr_queue_ticket() makes
 * random ones. */
#define TOMORROW_TICKET 1u
#define AGAIN_TICKET    2u

#define DAY_S 86400u

static int push_all(struct mr_client *c, struct mr_queue *q, const char *text)
{
	struct mr_push soon = {.payload = text, .bytes = strlen(text), .delay_ms = 200};
	struct mr_push tomorrow = {.payload = "tomorrow",
		.bytes = 8,
		.at_ms = ((uint64_t)time(NULL) + DAY_S) * 1000,
		.ticket = TOMORROW_TICKET};
	/* A push with the same ticket takes the place of this one. For times of day: `cron`. */
	struct mr_push again = {
		.payload = "again", .bytes = 5, .every_ms = 500, .ticket = AGAIN_TICKET};
	int error = mr_push_with(q, &soon, NULL);

	if (error == 0)
		error = mr_push_with(q, &tomorrow, NULL);
	if (error == 0)
		error = mr_push_with(q, &again, NULL);
	/* The queue accepts them now, and delivers them when they are due. */
	return error != 0 ? error : mr_settle(c, 5000);
}

/* Prints the reminders until `count` of them were repetitions. */
static int print_until(struct mr_consumer *consumer, unsigned count)
{
	struct mr_delivery d;
	int error = 0;

	while (count > 0 && error == 0) {
		error = mr_pull(consumer, &d, -1);
		if (error != 0)
			return error;
		printf("%.*s\n", (int)d.message.payload_bytes, (const char *)d.message.payload);
		fflush(stdout);
		if (d.message.payload_bytes == 5 && memcmp(d.message.payload, "again", 5) == 0)
			count--;
		error = mr_ack(consumer, d.tag);
	}
	return error;
}

static int remind(struct mr_client *c, const char *queue, const char *text, unsigned count)
{
	struct mr_consume_options options = {.manual = true};
	struct mr_consumer *consumer;
	struct mr_queue *q;
	int error = mr_queue_open(c, queue, NULL, &q);

	if (error == 0)
		error = push_all(c, q, text);
	/* -ESRCH says that none waits: it is due already. */
	if (error == 0)
		error = mr_queue_cancel(c, queue, TOMORROW_TICKET);
	if (error == 0) {
		printf("cancelled tomorrow\n");
		fflush(stdout);
		error = mr_consume(c, queue, &options, NULL, NULL, &consumer);
	}
	if (error == 0)
		error = print_until(consumer, count);
	if (error == 0)
		error = mr_queue_cancel(c, queue, AGAIN_TICKET);
	if (error == 0)
		printf("cancelled again\n");
	return error;
}

int main(int argc, char **argv)
{
	unsigned count = 2;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		fprintf(stderr, "usage: remind [-n COUNT] QUEUE TEXT [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 2 < argc ? argv[at + 2] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "remind: %s\n", mr_error(NULL));
		return 1;
	}
	error = remind(c, argv[at], argv[at + 1], count);
	if (error != 0)
		fprintf(stderr, "remind: %s\n", mr_error(c));
	mr_close(c);
	return error == 0 ? 0 : 1;
}
