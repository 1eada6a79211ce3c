/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/feed.h"
#include "cli/priority.h"
#include "cli/record.h"
#include "cli/text.h"

#define PREFETCH 256u
#define WAIT_MS  100
/* Time without a delivery from a queue that has messages, before it gives up. */
#define EMPTY_ROUNDS_MAX 100u
#define SETTLE_MS        30000u
#define INTERRUPTED_MS   500u

/* A push that the other queue has not accepted yet, and the delivery to ack then. */
struct open_push {
	uint64_t id;
	uint64_t tag;
};

struct work {
	const struct mr_cli_transfer *t;
	struct mr_client *client;
	struct mr_consumer *consumer;
	struct mr_queue *queue;
	struct open_push open[PREFETCH];
	unsigned open_count;
	uint64_t taken; /* from the queue or the file */
	uint64_t done;  /* safe in the other place */
	int error;      /* why the other queue refused a message */
};

static int fail(const struct work *w, const char *what, const char *why, const char *hint)
{
	return mr_cli_fail(w->t->cli, MR_EXIT_FAILED, what, why, hint);
}

static int fail_call(const struct work *w, int error, const char *what)
{
	return mr_cli_fail_call(w->t->cli, w->client, error, what);
}

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct work *w = arg;

	(void)c;
	if (error != 0)
		w->error = error;
	else
		w->done++;
	for (unsigned i = 0; i < w->open_count; i++) {
		if (w->open[i].id != id)
			continue;
		/* A delivery that is not acked goes back when the consumer is closed. */
		if (error == 0)
			(void)mr_ack(w->consumer, w->open[i].tag);
		w->open[i] = w->open[--w->open_count];
		return;
	}
}

/* Serves the client for a moment, so that outcomes come in. */
static void serve(struct work *w)
{
	if (mr_process(w->client, PREFETCH) == 0)
		(void)mr_wait(w->client, WAIT_MS);
	(void)mr_process(w->client, PREFETCH);
}

/* Pushes as soon as there is room. */
static int push(struct work *w, const struct mr_push *p, uint64_t *id)
{
	int rc = mr_push_with(w->queue, p, id);

	while (rc == -EAGAIN && w->error == 0 && !mr_cli_interrupted()) {
		serve(w);
		rc = mr_push_with(w->queue, p, id);
	}
	return rc == -EAGAIN && w->error != 0 ? w->error : rc;
}

static int open_queue(struct work *w)
{
	const struct mr_push_options options = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = on_outcome, .arg = w};

	return mr_queue_open(w->client, w->t->to, &options, &w->queue);
}

/* Asks control about the queue. Fails if there is none, or if it is paused. */
static int ask_ready(const struct work *w, uint64_t *ready)
{
	const struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_SHOW, .name = mrf_str(w->t->from)};
	struct mr_cli_admin admin;
	struct mrf_table queues;
	bool paused = false;
	int code = mr_cli_admin_query_queue(w->t->cli, &admin, MRF_ADMIN_VERB_QUEUE, &command,
		MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK) {
		*ready = mrf_queue_row_ready(mrf_admin_queues_rows_at(queues, 0));
		paused = mrf_queue_row_paused(mrf_admin_queues_rows_at(queues, 0));
	}
	mr_cli_admin_close(&admin);
	if (paused)
		return fail(w, w->t->from, "the queue is paused", "`millrace queue resume` it");
	return code;
}

static bool has_all(const struct work *w)
{
	return (w->t->count != 0 && w->taken >= w->t->count) || mr_cli_interrupted();
}

/* Takes the next delivery. Returns 0, -ENODATA when the queue is empty, or -errno. `code` gets the
 * exit code of a failure that was reported. */
static int take(struct work *w, struct mr_delivery *d, int *code)
{
	uint64_t ready = 0;

	for (unsigned round = 0; round < EMPTY_ROUNDS_MAX && !mr_cli_interrupted(); round++) {
		int rc = mr_pull(w->consumer, d, WAIT_MS);

		if (rc != -ETIMEDOUT)
			return rc == -EINTR ? -ENODATA : rc;
		*code = ask_ready(w, &ready);
		if (*code != MR_EXIT_OK || ready == 0)
			return -ENODATA;
	}
	return mr_cli_interrupted() ? -ENODATA : -ETIMEDOUT;
}

/* Pushes a copy of a delivery: its own memory ends when the client is served. */
static int move_one(struct work *w, const struct mr_delivery *d)
{
	const struct mr_message *m = &d->message;
	char *copy = malloc(m->header_bytes + m->payload_bytes + 1);
	const struct mr_push p = {
		.headers = m->header_bytes ? copy : NULL,
		.header_bytes = m->header_bytes,
		.payload = copy ? copy + m->header_bytes : NULL,
		.bytes = m->payload_bytes,
		.priority = mr_cli_priority_of(d),
	};
	struct open_push open = {.tag = d->tag};
	int rc;

	if (!copy)
		return -ENOMEM;
	if (m->header_bytes)
		memcpy(copy, m->headers, m->header_bytes);
	if (m->payload_bytes)
		memcpy(copy + m->header_bytes, m->payload, m->payload_bytes);
	while (w->open_count == PREFETCH && w->error == 0 && !mr_cli_interrupted())
		serve(w);
	rc = w->open_count < PREFETCH ? push(w, &p, &open.id) : w->error;
	if (rc == 0 && w->open_count < PREFETCH)
		w->open[w->open_count++] = open;
	free(copy);
	return rc;
}

static int start(struct work *w)
{
	const struct mr_consume_options options = {.prefetch = PREFETCH, .manual = true};
	uint64_t ready;
	int code = w->t->from ? ask_ready(w, &ready) : MR_EXIT_OK, rc = 0;

	code = code ? code : mr_cli_connect(w->t->cli, NULL, &w->client);
	if (code)
		return code;
	mr_cli_catch_interrupts();
	if (w->t->to)
		rc = open_queue(w);
	if (rc)
		return fail_call(w, rc, w->t->to);
	if (w->t->from)
		rc = mr_consume(w->client, w->t->from, &options, NULL, NULL, &w->consumer);
	return rc ? fail_call(w, rc, w->t->from) : MR_EXIT_OK;
}

/* Waits until the other queue has answered for all messages. */
static int settle(struct work *w)
{
	uint64_t end_ns = mr_cli_now_ns() + (uint64_t)SETTLE_MS * 1000000u;

	while (w->queue && mr_queue_unaccepted(w->queue) > 0 && mr_cli_now_ns() < end_ns &&
		!mr_cli_interrupted())
		serve(w);
	if (mr_cli_interrupted())
		return MR_EXIT_OK; /* what was not accepted goes back */
	if (w->error)
		return fail_call(w, w->error, w->t->to);
	return w->queue && mr_queue_unaccepted(w->queue) > 0 ? fail_call(w, -ETIMEDOUT, w->t->to)
							     : MR_EXIT_OK;
}

static int finish(struct work *w, int code, const char *done)
{
	if (w->consumer)
		mr_consumer_close(w->consumer);
	if (w->client)
		(void)mr_drain(w->client, mr_cli_interrupted() ? INTERRUPTED_MS : SETTLE_MS);
	if (w->client && w->t->json && w->t->to)
		mr_cli_text_json_count("count", w->done);
	else if (w->client)
		fprintf(w->t->to ? stdout : stderr, "%" PRIu64 " message%s %s\n", w->done,
			w->done == 1 ? "" : "s", done);
	mr_queue_close(w->queue);
	mr_close(w->client);
	return code == MR_EXIT_OK && mr_cli_interrupted() ? MR_EXIT_INTERRUPTED : code;
}

static int stuck(const struct work *w, int error)
{
	if (error == -ETIMEDOUT)
		return fail(w, w->t->from, "has messages and delivers none here",
			"other consumers may have them: `millrace queue show` lists them");
	return fail_call(w, error, w->t->from);
}

int mr_cli_transfer_move(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t};
	struct mr_delivery d;
	int code, rc = 0, settled;

	if (strcmp(t->from, t->to) == 0)
		return mr_cli_fail(t->cli, MR_EXIT_USAGE, t->to, "is the same queue",
			"name two different queues");
	code = start(&w);
	while (code == MR_EXIT_OK && w.error == 0 && !has_all(&w)) {
		rc = take(&w, &d, &code);
		rc = rc ? rc : move_one(&w, &d);
		if (rc)
			break;
		w.taken++;
	}
	if (code == MR_EXIT_OK && rc && rc != -ENODATA && w.error == 0 && !mr_cli_interrupted())
		code = stuck(&w, rc);
	settled = w.queue && w.consumer ? settle(&w) : MR_EXIT_OK;
	return finish(&w, code ? code : settled, "moved");
}

/* Writes the lines out, to the disk if it is one, and acks their messages. */
static int ack_written(struct work *w)
{
	errno = 0;
	if (!mr_cli_flush())
		return errno == ENOSPC || errno == EPIPE ? -errno : -EIO;
	if (fsync(STDOUT_FILENO) != 0 && errno != EINVAL && errno != EROFS)
		return -errno;
	for (unsigned i = 0; i < w->open_count; i++)
		w->done += mr_ack(w->consumer, w->open[i].tag) == 0;
	w->open_count = 0;
	return 0;
}

static bool is_output_error(int rc)
{
	return rc == -EPIPE || rc == -EIO || rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;
}

static int export_one(struct work *w, const struct mr_delivery *d)
{
	mr_cli_record_print(d);
	w->open[w->open_count++] = (struct open_push){.tag = d->tag};
	w->taken++;
	return w->open_count == PREFETCH / 2 ? ack_written(w) : 0;
}

int mr_cli_transfer_export(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t};
	struct mr_delivery d;
	int code = start(&w), rc = 0;

	while (code == MR_EXIT_OK && !has_all(&w) && rc == 0) {
		rc = take(&w, &d, &code);
		rc = rc ? rc : export_one(&w, &d);
	}
	if (w.open_count > 0 && (rc == 0 || rc == -ENODATA))
		rc = ack_written(&w) ?: rc;
	if (code == MR_EXIT_OK && is_output_error(rc))
		code = fail(&w, "standard output", strerror(-rc),
			"messages that were not written stay in the queue");
	else if (code == MR_EXIT_OK && rc && rc != -ENODATA)
		code = stuck(&w, rc);
	return finish(&w, code, "exported");
}

static int import_line(struct work *w, const char *line, size_t bytes)
{
	struct mr_cli_record record;
	char error[128], what[32];
	int rc;

	w->taken++;
	snprintf(what, sizeof(what), "line %" PRIu64, w->taken);
	if (!mr_cli_record_parse(&record, line, bytes, error, sizeof(error)))
		return fail(w, what, error, "lines are as `millrace queue export` writes them");
	rc = push(w, &record.push, NULL);
	mr_cli_record_free(&record);
	return rc && !mr_cli_interrupted() ? fail_call(w, rc, what) : MR_EXIT_OK;
}

int mr_cli_transfer_import(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t};
	struct mr_cli_feed feed = {0};
	const char *line;
	size_t bytes;
	int code = start(&w), rc = 0, settled = MR_EXIT_OK;

	feed.client = w.client;
	while (code == MR_EXIT_OK && w.error == 0 && !has_all(&w) &&
		(rc = mr_cli_feed_line(&feed, &line, &bytes)) > 0)
		code = import_line(&w, line, bytes);
	if (code == MR_EXIT_OK && rc < 0)
		code = fail(&w, "standard input", strerror(-rc),
			"give a file or a pipe that can be read");
	if (w.queue)
		settled = settle(&w);
	mr_cli_feed_free(&feed);
	return finish(&w, code ? code : settled, "imported");
}
