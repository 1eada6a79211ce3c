/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a worker of a service, which answers with the payload in capitals.
 *
 *   serve [-n COUNT] SERVICE [ADDRESS]
 *   build/client/examples/example_serve -n 2 capitals
 *
 * Shows mr_serve(), mr_respond() and streaming requests: it answers each part with a partial reply,
 * at the pace of the caller, which grants credit for them.
 * Start several: each request goes to the least recently used worker, and to another if that one
 * dies. Prints "serving" when it is ready, and ends after COUNT requests, 10 by default. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

/* Replies that may wait; a caller that takes none while more come is given up. */
#define REPLIES_MAX 1024

/* A reply that waits: the caller says with its credit how many partial replies it takes. */
struct reply {
	struct reply *next;
	uint64_t tag;
	size_t bytes;
	bool more;
	char text[];
};

struct worker {
	struct mr_client *client;
	struct mr_service *service;
	struct reply *first, **end;
	unsigned waiting;
	unsigned served;
	unsigned parts; /* received of the streaming request in hand */
};

static void drop_first(struct worker *w)
{
	struct reply *r = w->first;

	w->first = r->next;
	if (w->first == NULL)
		w->end = &w->first;
	w->waiting--;
	free(r);
}

/* Sends the replies that wait, until the caller takes no more. mr_wait() returns when it does. */
static void send_replies(struct worker *w)
{
	while (w->first != NULL) {
		struct reply *r = w->first;
		int error =
			mr_respond_with(w->service, r->tag, r->more, NULL, 0, r->text, r->bytes);

		if (error == -EAGAIN)
			return;
		if (error != 0)
			fprintf(stderr, "serve: %s\n", mr_error(w->client));
		w->served += !r->more;
		drop_first(w);
	}
}

static void give_up(struct worker *w, uint64_t tag)
{
	fprintf(stderr, "serve: the caller takes no replies: the request is given up\n");
	mr_respond_failed(w->service, tag, false);
	w->served++;
	while (w->first != NULL)
		drop_first(w);
}

/* Replies in order: behind those that wait. False: the request was given up. */
static bool answer(struct worker *w, uint64_t tag, const void *text, size_t bytes, bool more)
{
	struct reply *r = w->waiting < REPLIES_MAX ? malloc(sizeof(*r) + bytes) : NULL;

	if (r == NULL) {
		give_up(w, tag);
		return false;
	}
	*r = (struct reply){.tag = tag, .bytes = bytes, .more = more};
	memcpy(r->text, text, bytes);
	*w->end = r;
	w->end = &r->next;
	w->waiting++;
	send_replies(w);
	return true;
}

static bool answer_in_capitals(
	struct worker *w, uint64_t tag, const struct mr_message *m, bool more)
{
	static char text[MR_BODY_BYTES];
	size_t bytes = m->payload_bytes < sizeof(text) ? m->payload_bytes : sizeof(text);

	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)toupper(((const unsigned char *)m->payload)[i]);
	return answer(w, tag, text, bytes, more);
}

/* The worker has one request in hand, as mr_serve() has it by default. */
static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct worker *w = arg;

	(void)c;
	w->parts = 0;
	/* Replies to a request that was taken back are for nobody. */
	while (w->first != NULL)
		drop_first(w);
	/* The parts come to on_part. */
	if (!work->more)
		answer_in_capitals(w, work->delivery.tag, &work->delivery.message, false);
}

static void on_part(
	struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg)
{
	struct worker *w = arg;
	char text[32];
	int bytes;

	(void)c;
	if (part->payload_bytes > 0) {
		if (!answer_in_capitals(w, tag, part, true))
			return;
		w->parts++;
	}
	if (more)
		return;
	bytes = snprintf(text, sizeof(text), "%u parts", w->parts);
	answer(w, tag, text, (size_t)bytes, false);
}

int main(int argc, char **argv)
{
	struct mr_serve_options options = {.on_part = on_part};
	struct worker w = {.end = &w.first};
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
	w.client = c;
	if (mr_serve(c, argv[at], &options, on_work, &w, &w.service) != 0) {
		fprintf(stderr, "serve: %s\n", mr_error(c));
		mr_close(c);
		return 1;
	}
	printf("serving\n");
	fflush(stdout);
	/* mr_wait() sends the heartbeats. */
	while (w.served < wanted) {
		mr_wait(c, -1);
		send_replies(&w);
	}
	while (w.first != NULL)
		drop_first(&w);
	mr_service_close(w.service);
	mr_close(c);
	printf("served %u\n", w.served);
	return 0;
}
