/* SPDX-License-Identifier: Apache-2.0 */
/* threads: many threads work, and one thread has the client.
 *
 *   threads [ADDRESS]
 *   build/client/examples/example_threads
 *
 * Shows mr_client_post(): each worker thread computes, then posts a function that publishes its
 * result in the thread of the client. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <millrace.h>

#define THREADS 4

struct job {
	pthread_t thread;
	struct mr_client *client;
	unsigned number;
	unsigned long result;
	unsigned *open;
};

/* Runs in the thread of the client. */
static void publish_result(struct mr_client *c, void *arg)
{
	struct job *job = arg;
	char text[64];
	int bytes = snprintf(text, sizeof(text), "job %u: %lu", job->number, job->result);

	if (mr_publish(c, "example.threads.done", text, (size_t)bytes) != 0)
		fprintf(stderr, "threads: %s\n", mr_error(c));
	--*job->open;
}

static void *work(void *arg)
{
	struct job *job = arg;

	for (unsigned long i = 1; i <= 1000 * (job->number + 1); i++)
		job->result += i;
	if (mr_client_post(job->client, publish_result, job) != 0)
		abort();
	return NULL;
}

static void print(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	printf("%.*s\n", (int)m->payload_bytes, (const char *)m->payload);
	++*(unsigned *)arg;
}

int main(int argc, char **argv)
{
	struct job jobs[THREADS] = {{0}};
	unsigned open = THREADS, printed = 0;
	struct mr_client *c;
	int error;

	if (mr_connect(argc > 1 ? argv[1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "threads: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_subscribe(c, "example.threads.done", NULL, print, &printed, NULL);
	for (unsigned i = 0; i < THREADS && error == 0; i++) {
		jobs[i] = (struct job){.client = c, .number = i, .open = &open};
		if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]) != 0)
			abort();
	}
	while (error >= 0 && (open > 0 || printed < THREADS))
		error = mr_wait(c, 5000);
	if (error < 0)
		fprintf(stderr, "threads: %s\n", mr_error(c));
	for (unsigned i = 0; i < THREADS; i++) {
		if (jobs[i].client != NULL)
			pthread_join(jobs[i].thread, NULL);
	}
	/* No thread uses the client any more. */
	mr_close(c);
	return error < 0;
}
