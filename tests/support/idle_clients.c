/* SPDX-License-Identifier: Apache-2.0 */
/* idle_clients ADDRESS COUNT [USE]: connects COUNT clients and prints how many KiB each has added
 * to this process, shared and private. With USE, each first sends and receives 2 MiB and is then
 * left alone for three heartbeats; prints those KiB too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/millrace.h"

#define CLIENTS_MAX 1000
#define WAIT_S      60

static struct mr_client *clients[CLIENTS_MAX];
static int count;

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = -1;

	while (f != NULL && kib < 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Rss:", 4) == 0)
			kib = strtol(line + 4, NULL, 10);
	if (f != NULL)
		fclose(f);
	return kib;
}

static void take(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

/* Publishes one message; waits while the bus is behind, as it is on a busy machine. */
static int publish(struct mr_client *c)
{
	static const char payload[1024];
	time_t end = time(NULL) + WAIT_S;
	int error;

	while ((error = mr_publish(c, "idle.test", payload, sizeof(payload))) == -ETIMEDOUT &&
		time(NULL) < end)
		mr_wait(c, 100);
	return error;
}

static int use(struct mr_client *c)
{
	int error = mr_subscribe(c, "idle.test", NULL, take, NULL, NULL);

	for (unsigned i = 0; i < 2048 && error == 0; i++) {
		error = publish(c);
		while (mr_process(c, 256) > 0)
			continue;
	}
	return error;
}

static void serve_for(time_t seconds)
{
	time_t end = time(NULL) + seconds;

	while (time(NULL) < end)
		for (int i = 0; i < count; i++)
			mr_wait(clients[i], 1);
}

int main(int argc, char **argv)
{
	int most = argc > 2 ? atoi(argv[2]) : 0;
	long before, after;

	if (most < 1 || most > CLIENTS_MAX)
		return 2;
	/* The first one loads the code. */
	if (mr_connect(argv[1], NULL, &clients[0]) != 0 || use(clients[0]) != 0) {
		fprintf(stderr, "the first client: %s\n", mr_error(clients[0]));
		return 1;
	}
	mr_close(clients[0]);
	before = resident_kib();
	for (; count < most; count++)
		if (mr_connect(argv[1], NULL, &clients[count]) != 0) {
			fprintf(stderr, "client %d: %s\n", count, mr_error(NULL));
			return 1;
		}
	after = resident_kib();
	printf("%ld\n", (after - before) / most);
	if (argc < 4)
		return 0;
	for (int i = 0; i < count; i++)
		if (use(clients[i]) != 0) {
			fprintf(stderr, "client %d: %s\n", i, mr_error(clients[i]));
			return 1;
		}
	serve_for(strtol(argv[3], NULL, 10));
	printf("%ld\n", (resident_kib() - before) / most);
	return 0;
}
