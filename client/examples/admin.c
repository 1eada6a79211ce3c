/* SPDX-License-Identifier: Apache-2.0 */
/* admin: lists the queues and clients of a bus of this host, and its counters that are not 0.
 *
 *   admin [-d QUEUE | -p QUEUE | -r QUEUE] [RUN_DIR]
 *   build/client/examples/example_admin /run/millrace
 *
 * Shows mr_admin_open() and the lists. -d: shows the dead letters of a queue; -p: purges it; -r:
 * moves its dead letters back into it. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <millrace.h>

static void print_queue(const struct mr_admin_queue *q, void *arg)
{
	printf("%s %s: %" PRIu64 " ready, %" PRIu64 " delivered, %u consumers, %" PRIu64
	       " dead letters\n",
		(const char *)arg, q->name, q->ready, q->outstanding, q->consumers, q->dead_ready);
}

static void print_client(const struct mr_admin_client *c, void *arg)
{
	(void)arg;
	printf("client %s: session %" PRIx64 ", %u subscriptions, %" PRIu64 " messages in\n",
		c->name, c->session, c->subscriptions, c->rx_messages);
}

static void print_subject(const struct mr_admin_subject *s, void *arg)
{
	(void)arg;
	printf("subject %s of session %" PRIx64 "\n", s->pattern, s->session);
}

static void print_worker(const struct mr_admin_worker *w, void *arg)
{
	(void)arg;
	printf("worker %u: %" PRIu64 " messages in\n", w->worker, w->rx_messages);
}

static void print_counter(const struct mr_admin_counter *c, void *arg)
{
	(void)arg;
	if (c->value != 0)
		printf("counter %s %u %s: %" PRIu64 "\n", c->scope, c->index, c->name, c->value);
}

static void print_letter(const struct mr_admin_dead_letter *d, void *arg)
{
	struct mr_header reason = {.value = "", .value_bytes = 0};

	(void)arg;
	(void)mr_headers_find(d->headers, d->header_bytes, "Millrace-Dead-Reason", &reason);
	printf("dead letter: %.*s, reason %.*s\n", (int)d->payload_bytes, (const char *)d->payload,
		(int)reason.value_bytes, reason.value);
}

static int list(struct mr_admin *a)
{
	int n = mr_admin_queues(a, false, print_queue, "queue");

	if (n >= 0)
		n = mr_admin_queues(a, true, print_queue, "service");
	if (n >= 0)
		n = mr_admin_clients(a, print_client, NULL);
	if (n >= 0)
		n = mr_admin_subjects(a, print_subject, NULL);
	if (n >= 0)
		n = mr_admin_workers(a, print_worker, NULL);
	if (n >= 0)
		n = mr_admin_counters(a, print_counter, NULL);
	return n;
}

static int act(struct mr_admin *a, int action, const char *queue)
{
	uint64_t count = 0;
	int n = -1;

	switch (action) {
	case 'd': return mr_admin_dead_letters(a, queue, 16, print_letter, NULL);
	case 'p': n = mr_admin_purge(a, queue, &count); break;
	case 'r': n = mr_admin_redrive(a, queue, 0, &count); break;
	}
	if (n == 0)
		printf("%" PRIu64 " messages\n", count);
	return n;
}

int main(int argc, char **argv)
{
	const char *queue = NULL;
	struct mr_admin *a;
	int action = 0, n;

	while ((n = getopt(argc, argv, "d:p:r:")) != -1) {
		action = n;
		queue = optarg;
		if (n == '?')
			return 2;
	}
	if (mr_admin_open(optind < argc ? argv[optind] : NULL, &a) != 0) {
		fprintf(stderr, "admin: %s\n", mr_error(NULL));
		return 1;
	}
	n = action != 0 ? act(a, action, queue) : list(a);
	if (n < 0)
		fprintf(stderr, "admin: %s\n", mr_error(NULL));
	mr_admin_close(a);
	return n < 0;
}
