/* SPDX-License-Identifier: Apache-2.0 */
/* load: programs that are made to be killed. Each writes its certain knowledge to a file, by
 * appending whole lines with one write each, so that the file's content was true before the kill.
 *
 *   load produce QUEUE NAME FILE       pushes without end; a line for each accepted message
 *   load consume QUEUE NAME FILE       pulls; a line for each message, written before it is acked
 *   load stage IN OUT                  pulls, pushes its output under the input's name, then acks
 *   load split IN LEFT RIGHT           pulls, and in one step with the ack pushes LINE:a and LINE:b
 *                                      into LEFT, LINE:c into RIGHT
 *   load serve SERVICE                 answers each request with its own payload
 *   load call SERVICE NAME FILE        calls without end; a line for each correct answer
 *
 * NAME is the publisher of a promise of exactly once, or "-" for at least once. Payloads are lines:
 * PUBLISHER-RUN-NUMBER. Ends with 0 on SIGTERM, when all its promises are settled.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/millrace.h"

#define NUMBERS_MAX  65536u /* more than a window */
#define STAGE_MAX    256u   /* more than a prefetch */
#define WAIT_MS      100
#define SETTLE_MS    20000
#define CONNECTS_MAX 1000u
/* A producer pushes a burst as fast as it can, more than the scenario's queues hold, and then
 * rests: every line is sorted in the end. */
#define BURST    3000u
#define BURST_MS 100u

static volatile sig_atomic_t ended;
static int file = -1;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static int complain(struct mr_client *c, const char *what, int error)
{
	fprintf(stderr, "load: %s: %s (%s)\n", what, mr_error_text(error), mr_error(c));
	return 1;
}

static void note(const char *text, size_t bytes)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "%.*s\n", (int)bytes, text);

	if (write(file, line, (size_t)n) != n) {
		perror("load: write");
		exit(1);
	}
}

/* A producer's open message, found by the id of its outcome. */
struct open_push {
	uint64_t id;
	char text[64];
};

struct producer {
	struct open_push open[NUMBERS_MAX];
	const char *prefix;
	uint64_t number;
	int error;
};

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct producer *p = arg;
	struct open_push *o = &p->open[id % NUMBERS_MAX];

	(void)c;
	if (error != 0 || o->id != id) {
		fprintf(stderr, "load: push %" PRIu64 ": %s\n", id, mr_error_text(error));
		p->error = 1;
		return;
	}
	note(o->text, strlen(o->text));
	o->id = 0;
}

/* Texts of two runs of one publisher must differ, because the accepted ones are counted. */
static uint64_t run_number(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static void keep_open(struct producer *p, uint64_t id, const char text[64])
{
	p->open[id % NUMBERS_MAX].id = id;
	memcpy(p->open[id % NUMBERS_MAX].text, text, 64);
	p->number++;
}

static int push_next(struct mr_client *c, struct mr_queue *q, struct producer *p, uint64_t run)
{
	struct mr_push push = {0};
	char text[64];
	uint64_t id;
	int error;

	snprintf(text, sizeof(text), "%s-%" PRIu64 "-%" PRIu64, p->prefix, run, p->number);
	push.payload = text;
	push.bytes = strlen(text);
	error = mr_push_with(q, &push, &id);
	if (error == -EAGAIN || error == -ENOTCONN)
		error = mr_wait(c, WAIT_MS);
	else if (error == 0)
		keep_open(p, id, text);
	return error < 0 && error != -ENOTCONN ? error : 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int rest_until(struct mr_client *c, uint64_t until_ms)
{
	for (uint64_t now = now_ms(); now < until_ms && !ended; now = now_ms()) {
		int n = mr_wait(c, (int)(until_ms - now));

		if (n < 0 && n != -ENOTCONN)
			return n;
	}
	return 0;
}

static int produce(struct mr_client *c, const char *queue, const char *name)
{
	static struct producer p;
	uint64_t rest_ms = now_ms() + BURST_MS, rest_at = BURST;
	struct mr_push_options options = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = on_outcome, .arg = &p};
	uint64_t run = run_number();
	struct mr_queue *q;
	int error;

	p.prefix = name;
	if (strcmp(name, "-") != 0) {
		options.promise = MR_EXACTLY_ONCE;
		options.publisher = name;
	}
	error = mr_queue_open(c, queue, &options, &q);
	while (error == 0 && !ended && p.error == 0) {
		error = push_next(c, q, &p, run);
		if (error == 0 && p.number % 16 == 0)
			(void)mr_process(c, 256);
		if (error == 0 && p.number == rest_at) {
			error = rest_until(c, rest_ms);
			rest_at += BURST;
			rest_ms = now_ms() + BURST_MS;
		}
	}
	if (error != 0)
		return complain(c, queue, error);
	error = mr_settle(c, SETTLE_MS);
	return error != 0 ? complain(c, "settle", error) : p.error;
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	(void)c;
	(void)arg;
	note(d->message.payload, d->message.payload_bytes);
}

static int serve_callbacks(struct mr_client *c)
{
	while (!ended) {
		int n = mr_wait(c, WAIT_MS);

		if (n < 0 && n != -ENOTCONN)
			return complain(c, "wait", n);
	}
	return 0;
}

static int consume(struct mr_client *c, const char *queue)
{
	struct mr_consumer *consumer;
	int error = mr_consume(c, queue, NULL, on_delivery, NULL, &consumer);

	if (error != 0)
		return complain(c, queue, error);
	return serve_callbacks(c);
}

/* A stage's inputs whose outputs are not accepted yet. */
struct stage {
	struct mr_queue *out;
	struct mr_consumer *in;
	struct {
		bool used;
		uint64_t id;
		uint64_t tag;
	} open[STAGE_MAX];
	int error;
};

/* Two open messages never have the same number: the library ensures that. */
static int find_open(const struct stage *s, bool used, uint64_t id)
{
	for (unsigned i = 0; i < STAGE_MAX; i++)
		if (s->open[i].used == used && (!used || s->open[i].id == id))
			return (int)i;
	return -1;
}

static void on_passed(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct stage *s = arg;
	int at = find_open(s, true, id);

	(void)c;
	if (at < 0) {
		fprintf(stderr, "load: an outcome of what was not pushed\n");
		s->error = 1;
		return;
	}
	s->open[at].used = false;
	/* The connection may be lost meanwhile; the message then comes again. */
	if (error == 0)
		(void)mr_ack(s->in, s->open[at].tag);
	else
		(void)mr_nack(s->in, s->open[at].tag, error != -ESTALE, 10);
}

static void pass(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct stage *s = arg;
	struct mr_push push = {
		.payload = d->message.payload,
		.bytes = d->message.payload_bytes,
		.publisher = d->publisher,
		.id = d->id,
	};
	int at = find_open(s, false, 0);
	uint64_t id;

	(void)c;
	if (at < 0 || mr_push_with(s->out, &push, &id) != 0) {
		(void)mr_nack(d->consumer, d->tag, true, 10);
		return;
	}
	s->open[at].used = true;
	s->open[at].id = id;
	s->open[at].tag = d->tag;
}

static int stage(struct mr_client *c, const char *in, const char *out)
{
	static struct stage s;
	const struct mr_push_options to = {
		.promise = MR_EXACTLY_ONCE, .on_outcome = on_passed, .arg = &s};
	const struct mr_consume_options from = {.prefetch = 64, .manual = true};
	int error = mr_queue_open(c, out, &to, &s.out);

	if (error == 0)
		error = mr_consume(c, in, &from, pass, &s, &s.in);
	if (error != 0)
		return complain(c, "stage", error);
	error = serve_callbacks(c);
	return error != 0 ? error : s.error;
}

struct splitter {
	struct mr_queue *left;
	struct mr_queue *right;
	int error;
};

static void on_split(struct mr_client *c, uint64_t tag, int error, void *arg)
{
	struct splitter *s = arg;

	(void)tag;
	/* After a lost connection, or if the bus took it back, the input comes again. */
	if (error == 0 || error == -ENOTCONN || error == -ENOENT)
		return;
	complain(c, "split", error);
	s->error = 1;
}

static void split(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct splitter *s = arg;
	char texts[3][80];
	struct mr_push pushes[3] = {{0}};
	const struct mr_output outputs[] = {
		{s->left, &pushes[0]}, {s->right, &pushes[2]}, {s->left, &pushes[1]}};
	int error;

	for (int i = 0; i < 3; i++) {
		int n = snprintf(texts[i], sizeof(texts[i]), "%.*s:%c",
			(int)d->message.payload_bytes, (const char *)d->message.payload, 'a' + i);

		pushes[i].payload = texts[i];
		pushes[i].bytes = (size_t)n;
	}
	error = mr_settle_and_push_async(d, outputs, 3, NULL, on_split, s);
	if (error == 0)
		return;
	(void)mr_nack(d->consumer, d->tag, true, 10);
	if (error != -EAGAIN && error != -ENOTCONN)
		s->error = complain(c, "mr_settle_and_push_async", error);
}

static int split_all(struct mr_client *c, char **queues)
{
	static struct splitter s;
	const struct mr_consume_options from = {.prefetch = 64, .manual = true};
	struct mr_consumer *k;
	int error = mr_queue_open(c, queues[1], NULL, &s.left);

	if (error == 0)
		error = mr_queue_open(c, queues[2], NULL, &s.right);
	if (error == 0)
		error = mr_consume(c, queues[0], &from, split, &s, &k);
	if (error != 0)
		return complain(c, "split", error);
	error = serve_callbacks(c);
	return error != 0 ? error : s.error;
}

struct served {
	struct mr_service *service;
};

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct served *s = arg;
	const struct mr_message *m = &work->delivery.message;
	int error = mr_respond(s->service, work->delivery.tag, m->payload, m->payload_bytes);

	if (error != 0 && error != -ENOENT)
		complain(c, "respond", error);
}

static int serve(struct mr_client *c, const char *service)
{
	struct served s;
	int error = mr_serve(c, service, NULL, on_work, &s, &s.service);

	if (error != 0)
		return complain(c, service, error);
	return serve_callbacks(c);
}

static int call(struct mr_client *c, const char *service, const char *name)
{
	const struct mr_call_options options = {.timeout_ms = 5000, .retries = 5, .wait = true};
	uint64_t run = run_number();

	for (uint64_t i = 0; !ended; i++) {
		struct mr_message reply;
		char text[64];
		int error;

		snprintf(text, sizeof(text), "%s-%" PRIu64 "-%" PRIu64, name, run, i);
		error = mr_call(c, service, text, strlen(text), &options, &reply);
		if (ended || error == -EINTR)
			break;
		if (error != 0)
			return complain(c, text, error);
		if (reply.payload_bytes != strlen(text) ||
			memcmp(reply.payload, text, strlen(text)) != 0) {
			fprintf(stderr, "load: %s was answered with something else\n", text);
			return 1;
		}
		note(text, strlen(text));
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: load produce|consume QUEUE NAME FILE, load stage IN OUT, "
		"load split IN LEFT RIGHT, load serve SERVICE, load call SERVICE NAME FILE\n");
	return 2;
}

static int run(struct mr_client *c, int argc, char **argv)
{
	const char *verb = argv[1];

	if (argc == 5 && strcmp(verb, "split") == 0)
		return split_all(c, argv + 2);
	if (argc == 5) {
		file = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (file < 0)
			return complain(c, argv[4], -errno);
	}
	if (argc == 5 && strcmp(verb, "produce") == 0)
		return produce(c, argv[2], argv[3]);
	if (argc == 5 && strcmp(verb, "consume") == 0)
		return consume(c, argv[2]);
	if (argc == 5 && strcmp(verb, "call") == 0)
		return call(c, argv[2], argv[3]);
	if (argc == 4 && strcmp(verb, "stage") == 0)
		return stage(c, argv[2], argv[3]);
	if (argc == 3 && strcmp(verb, "serve") == 0)
		return serve(c, argv[2]);
	return usage();
}

/* Control may have been killed a moment ago. */
static int connect_patiently(struct mr_client **c, const char *name)
{
	const struct mr_options options = {
		.name = name, .connect_timeout_ms = 1000, .request_timeout_ms = 30000};
	const struct timespec pause = {.tv_nsec = 20000000};
	int error = -ECONNREFUSED;

	for (unsigned tries = 0; tries < CONNECTS_MAX && error != 0; tries++) {
		error = mr_connect(NULL, &options, c);
		if (error != 0)
			nanosleep(&pause, NULL);
	}
	return error;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = end};
	struct mr_client *c;
	int status;

	if (argc < 3)
		return usage();
	sigaction(SIGTERM, &action, NULL);
	status = connect_patiently(&c, argv[1]);
	if (status != 0)
		return complain(NULL, "connect", status);
	status = run(c, argc, argv);
	mr_close(c);
	return status;
}
