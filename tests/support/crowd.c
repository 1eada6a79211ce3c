/* SPDX-License-Identifier: Apache-2.0 */
/* crowd ADDRESS CLIENTS QUEUES: connects many clients with long names, each with a subscription,
 * and fills many queues. Client 0 reads nothing; a tenth of the others publish. Prints "ready" when
 * all is there, and runs until it is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"

#define CLIENTS_MAX 1000
#define TEXT_BYTES  128

static struct mr_client *clients[CLIENTS_MAX];
static int count;

/* Names of some length: plain, with umlauts, and with wide characters. */
static void name_of(int i, char out[TEXT_BYTES])
{
	static const char *const forms[] = {
		"worker-%03d",
		"billing.invoices.europe.frankfurt.rack-%03d.process",
		"Lagerverwaltung-Gro\xc3\x9f"
		"gl\xc3\xbc"
		"ckstadt-%03d",
		"\xe6\xb3\xa8\xe6\x96\x87\xe5\x87\xa6\xe7\x90\x86-%03d-\xe6\x9d\xb1\xe4\xba\xac",
		"e\xcc\x81"
		"le\xcc\x80"
		"ve-%03d",
	};

	/* All of them are literals of this function. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(out, TEXT_BYTES, forms[i % 5], i);
#pragma GCC diagnostic pop
}

static void subject_of(int i, char out[TEXT_BYTES])
{
	snprintf(out, TEXT_BYTES, "plant.%s.line-%d.station-%03d.temperature.celsius",
		i % 2 ? "m\xc3\xbcnchen" : "\xe5\xa4\xa7\xe9\x98\xaa", i % 7, i);
}

static void take(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

static int join(const char *address)
{
	char name[TEXT_BYTES], subject[TEXT_BYTES];
	const struct mr_options options = {.name = name};
	int error;

	name_of(count, name);
	subject_of(count, subject);
	error = mr_connect(address, &options, &clients[count]);
	if (error == 0)
		error = mr_subscribe(clients[count], subject, NULL, take, NULL, NULL);
	count++;
	return error;
}

static int fill_queue(int i)
{
	static const char payload[100];
	char name[TEXT_BYTES];
	struct mr_queue *q;
	int error;

	snprintf(name, sizeof(name), "jobs.%s.department-%03d.priority.overnight",
		i % 2 ? "\xe6\xb3\xa8\xe6\x96\x87"
		      : "r\xc3\xbc"
			"ckl\xc3\xa4ufer",
		i);
	error = mr_queue_open(clients[1], name, NULL, &q);
	for (int n = 0; n < i % 4 && error == 0; n++)
		error = mr_push(q, payload, sizeof(payload));
	return error;
}

/* Every tenth client publishes to its neighbour, the last ones most; one publishes to client 0. */
static void work(void)
{
	static const char payload[200];
	char subject[TEXT_BYTES];

	for (int i = 10; i < count; i += 10) {
		subject_of(i + 1 < count ? i + 1 : 1, subject);
		for (int n = 0; n < i / 10; n++)
			(void)mr_publish(clients[i], subject, payload, sizeof(payload));
	}
	subject_of(0, subject);
	for (int n = 0; n < 20; n++)
		(void)mr_publish(clients[10], subject, payload, sizeof(payload));
	for (int i = 1; i < count; i++)
		(void)mr_process(clients[i], 256);
}

int main(int argc, char **argv)
{
	int clients_wanted = argc > 3 ? atoi(argv[2]) : 0, queues = argc > 3 ? atoi(argv[3]) : 0;

	if (clients_wanted < 20 || clients_wanted > CLIENTS_MAX)
		return 2;
	while (count < clients_wanted)
		if (join(argv[1]) != 0) {
			fprintf(stderr, "client %d: %s\n", count - 1, mr_error(clients[count - 1]));
			return 1;
		}
	for (int i = 0; i < queues; i++)
		if (fill_queue(i) != 0) {
			fprintf(stderr, "queue %d: %s\n", i, mr_error(clients[1]));
			return 1;
		}
	if (mr_settle(clients[1], 60000) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		work();
		mr_wait(clients[1], 50);
	}
}
