/* SPDX-License-Identifier: Apache-2.0 */
/* push: pushes jobs to a queue, and ends when the queue has accepted them all.
 *
 *   push [-n COUNT] QUEUE PAYLOAD [ADDRESS]
 *   build/client/examples/example_push -n 3 example.jobs 'a job'
 *
 * Shows mr_queue_open(), mr_push(), the outcomes of pushes, and mr_settle(). COUNT is 1 by default.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	unsigned *accepted = arg;

	(void)c;
	if (error == 0)
		++*accepted;
	else
		fprintf(stderr, "push: job %llu: %s\n", (unsigned long long)id,
			mr_error_text(error));
}

static int push_all(struct mr_client *c, struct mr_queue *q, const char *payload, unsigned count)
{
	int error = 0;

	/* mr_push() waits while the window of open pushes is full: back-pressure of the queue. */
	for (unsigned i = 0; i < count && error == 0; i++)
		error = mr_push(q, payload, strlen(payload));
	/* The library keeps a copy of each job until the queue has accepted it. */
	return error != 0 ? error : mr_settle(c, 5000);
}

int main(int argc, char **argv)
{
	unsigned count = 1, accepted = 0;
	struct mr_push_options options = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = on_outcome, .arg = &accepted};
	struct mr_client *c;
	struct mr_queue *q;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		fprintf(stderr, "usage: push [-n COUNT] QUEUE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 2 < argc ? argv[at + 2] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "push: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_queue_open(c, argv[at], &options, &q);
	if (error == 0)
		error = push_all(c, q, argv[at + 1], count);
	if (error != 0)
		fprintf(stderr, "push: %s\n", mr_error(c));
	mr_close(c);
	printf("accepted %u\n", accepted);
	return error == 0 ? 0 : 1;
}
