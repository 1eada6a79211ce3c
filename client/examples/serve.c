/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a worker of a service, which answers with the payload in capitals.
 *
 *   serve [-n COUNT] SERVICE [ADDRESS]
 *   build/client/examples/example_serve -n 2 capitals
 *
 * Shows mr_serve(), mr_respond() and streaming requests: it answers each part with a partial reply.
 * Start several: each request goes to the least recently used worker, and to another if that one
 * dies. Prints "serving" when it is ready, and ends after COUNT requests, 10 by default. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

struct worker {
	struct mr_service *service;
	unsigned served;
	unsigned parts; /* received of the streaming request in hand */
};

static void answer(
	struct worker *w, struct mr_client *c, uint64_t tag, const struct mr_message *m, bool more)
{
	static char text[MR_BODY_BYTES];
	size_t bytes = m->payload_bytes < sizeof(text) ? m->payload_bytes : sizeof(text);

	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)toupper(((const unsigned char *)m->payload)[i]);
	if (mr_respond_with(w->service, tag, more, NULL, 0, text, bytes) != 0)
		fprintf(stderr, "serve: %s\n", mr_error(c));
}

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct worker *w = arg;

	w->parts = 0;
	/* The parts come to on_part. */
	if (work->more)
		return;
	answer(w, c, work->delivery.tag, &work->delivery.message, false);
	w->served++;
}

static void on_part(
	struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg)
{
	struct worker *w = arg;
	char text[32];
	int bytes;

	if (part->payload_bytes > 0) {
		answer(w, c, tag, part, true);
		w->parts++;
	}
	if (more)
		return;
	bytes = snprintf(text, sizeof(text), "%u parts", w->parts);
	if (mr_respond(w->service, tag, text, (size_t)bytes) != 0)
		fprintf(stderr, "serve: %s\n", mr_error(c));
	w->served++;
}

int main(int argc, char **argv)
{
	struct mr_serve_options options = {.on_part = on_part};
	struct worker w = {0};
	unsigned wanted = 10;
	struct mr_client *c;
	int at = 1;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		wanted = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: serve [-n COUNT] SERVICE [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "serve: %s\n", mr_error(NULL));
		return 1;
	}
	if (mr_serve(c, argv[at], &options, on_work, &w, &w.service) != 0) {
		fprintf(stderr, "serve: %s\n", mr_error(c));
		mr_close(c);
		return 1;
	}
	printf("serving\n");
	fflush(stdout);
	/* mr_wait() sends the heartbeats. */
	while (w.served < wanted)
		mr_wait(c, -1);
	mr_service_close(w.service);
	mr_close(c);
	printf("served %u\n", w.served);
	return 0;
}
