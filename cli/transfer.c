/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/feed.h"
#include "cli/record.h"
#include "cli/source.h"
#include "cli/text.h"

#define PREFETCH 256u
/* For one that holds messages: more than it may hold, so that it always gets the next. */
#define PREFETCH_HOLDING 65535u
#define WAIT_MS          100
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
	struct mr_cli_source source;
	struct mr_queue *queue;
	struct open_push open[PREFETCH];
	unsigned open_count;
	bool copies;                      /* the messages stay in their queue */
	uint64_t looked;                  /* messages that came from the queue or the file */
	uint64_t skip;                    /* the first so many are not wanted */
	uint64_t taken;                   /* those of them that the filter chose */
	uint64_t done;                    /* safe in the other place */
	struct mr_cli_source_state state; /* of the queue, at first */
	bool ended;                       /* only younger messages come than are wanted */
	uint64_t hold_until_ns;
	int error; /* why the other queue refused a message */
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
		if (error == 0 && !w->copies)
			(void)mr_ack(w->source.consumer, w->open[i].tag);
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

static int fail_last(const struct work *w)
{
	return mr_cli_fail(w->t->cli, MR_EXIT_USAGE, "--last", "does not go with import",
		"tail -n COUNT chooses the last lines");
}

static int open_queue(struct work *w)
{
	const struct mr_push_options options = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = on_outcome, .arg = w};

	return mr_queue_open(w->client, w->t->to, &options, &w->queue);
}

static bool has_all(const struct work *w)
{
	const struct mr_cli_filter *f = w->t->filter;

	return w->ended || (w->t->count != 0 && w->taken >= w->t->count) ||
	       (f->first != 0 && w->looked >= f->first) || mr_cli_interrupted();
}

/* True if some messages are held to the end. */
static bool holds(const struct work *w)
{
	return w->copies || w->skip > 0 || mr_cli_filter_looks(w->t->filter) ||
	       (w->t->filter->older_ms != 0 && !w->state.in_order);
}

/* Returns the number of messages that are held. */
static uint64_t held(const struct work *w)
{
	return w->copies ? w->looked : w->looked - w->taken;
}

/* Fails if no more messages can be held. */
static int check_held(const struct work *w)
{
	char why[96];

	if (held(w) < MR_CLI_HELD_MAX && (held(w) == 0 || mr_cli_now_ns() < w->hold_until_ns))
		return MR_EXIT_OK;
	snprintf(why, sizeof(why),
		"stopped after %" PRIu64 " messages that stay in the queue: no more can be held",
		held(w));
	return fail(w, w->t->from, why, "messages behind them were not looked at");
}

/* True if the message is too young. In a queue that is in order, so are all that follow. */
static bool is_too_young(struct work *w)
{
	bool young = w->source.age_ms < w->t->filter->older_ms;

	w->ended = young && w->state.in_order;
	return young;
}

/* Counts a message, and says whether it is wanted. */
static bool wants(struct work *w, const struct mr_push *p)
{
	if (w->looked == 0)
		w->hold_until_ns = mr_cli_now_ns() + w->state.hold_ms * 1000000u;
	w->looked++;
	if (w->looked <= w->skip || is_too_young(w) || !mr_cli_filter_takes(w->t->filter, p))
		return false;
	w->taken++;
	return true;
}

/* Pushes a message. It stays where it is until the next batch is pulled. */
static int move_one(struct work *w, const struct mr_push *p, uint64_t tag)
{
	struct open_push open = {.tag = tag};
	int rc;

	while (w->open_count == PREFETCH && w->error == 0 && !mr_cli_interrupted())
		serve(w);
	rc = w->open_count < PREFETCH ? push(w, p, &open.id) : w->error;
	if (rc == 0 && w->open_count < PREFETCH)
		w->open[w->open_count++] = open;
	return rc;
}

/* Finds out where to begin. */
static int plan(struct work *w)
{
	const struct mr_cli_filter *f = w->t->filter;
	int code = mr_cli_filter_check(w->t->cli, f);

	if (code == MR_EXIT_OK && f->older_ms != 0 && !w->t->from)
		return mr_cli_fail(w->t->cli, MR_EXIT_USAGE, "--older", "does not go with import",
			"a line does not say how old its message was");
	if (code == MR_EXIT_OK && w->t->from)
		code = mr_cli_source_ask(w->t->cli, w->t->from, &w->state);
	if (code == MR_EXIT_OK && f->last != 0 && !w->t->from)
		return fail_last(w);
	if (f->last != 0 && w->state.ready > f->last)
		w->skip = w->state.ready - f->last;
	return code;
}

static int start(struct work *w)
{
	int code = plan(w), rc = 0;

	code = code ? code : mr_cli_connect(w->t->cli, NULL, &w->client);
	if (code)
		return code;
	mr_cli_catch_interrupts();
	if (w->t->to)
		rc = open_queue(w);
	if (rc)
		return fail_call(w, rc, w->t->to);
	if (!w->t->from)
		return MR_EXIT_OK;
	w->source = (struct mr_cli_source){.cli = w->t->cli,
		.client = w->client,
		.queue = w->t->from,
		.ready_only = w->t->filter->last != 0 || w->t->filter->older_ms != 0,
		.older_ms = w->t->filter->older_ms};
	return mr_cli_source_open(&w->source, holds(w) ? PREFETCH_HOLDING : PREFETCH);
}

/* Waits until the other queue has answered for all messages. */
static int settle(struct work *w)
{
	uint64_t end_ns = mr_cli_now_ns() + (uint64_t)SETTLE_MS * 1000000u;

	while (w->queue && mr_queue_unaccepted(w->queue) > 0 && mr_cli_now_ns() < end_ns &&
		!mr_cli_interrupted())
		serve(w);
	if (mr_cli_interrupted())
		return MR_EXIT_OK; /* pushes without an answer go back */
	if (w->error)
		return fail_call(w, w->error, w->t->to);
	return w->queue && mr_queue_unaccepted(w->queue) > 0 ? fail_call(w, -ETIMEDOUT, w->t->to)
							     : MR_EXIT_OK;
}

static int finish(struct work *w, int code, const char *done)
{
	mr_cli_source_close(&w->source);
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

/* Takes one message, and moves or copies it if it is wanted. */
static int take_and_push(struct work *w, int *code)
{
	const struct mr_delivery *d;
	const struct mr_push *p;
	int rc = mr_cli_source_next(&w->source, &d, &p, code);

	if (rc)
		return rc;
	if (wants(w, p))
		return move_one(w, p, d->tag);
	*code = check_held(w);
	return 0;
}

static int carry(struct work *w, const char *done)
{
	const struct mr_cli_transfer *t = w->t;
	int code, rc = 0, settled;

	if (strcmp(t->from, t->to) == 0)
		return mr_cli_fail(t->cli, MR_EXIT_USAGE, t->to, "is the same queue",
			"name two different queues");
	code = start(w);
	while (code == MR_EXIT_OK && rc == 0 && w->error == 0 && !has_all(w)) {
		rc = take_and_push(w, &code);
		if (rc == 0 && code == MR_EXIT_OK && w->copies && !has_all(w))
			code = check_held(w);
	}
	if (code == MR_EXIT_OK && rc && rc != -ENODATA && w->error == 0 && !mr_cli_interrupted())
		code = stuck(w, rc);
	settled = w->queue && w->source.consumer ? settle(w) : MR_EXIT_OK;
	return finish(w, code ? code : settled, done);
}

int mr_cli_transfer_move(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t};

	return carry(&w, "moved");
}

int mr_cli_transfer_copy(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t, .copies = true};

	return carry(&w, "copied");
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
		w->done += mr_ack(w->source.consumer, w->open[i].tag) == 0;
	w->open_count = 0;
	return 0;
}

static bool is_output_error(int rc)
{
	return rc == -EPIPE || rc == -EIO || rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;
}

static int export_one(
	struct work *w, const struct mr_delivery *d, const struct mr_push *p, int *code)
{
	if (!wants(w, p)) {
		*code = check_held(w);
		return 0;
	}
	mr_cli_record_print(p);
	w->open[w->open_count++] = (struct open_push){.tag = d->tag};
	return w->open_count == PREFETCH / 2 ? ack_written(w) : 0;
}

int mr_cli_transfer_export(const struct mr_cli_transfer *t)
{
	struct work w = {.t = t};
	const struct mr_delivery *d;
	const struct mr_push *p;
	int code = start(&w), rc = 0;

	while (code == MR_EXIT_OK && !has_all(&w) && rc == 0) {
		rc = mr_cli_source_next(&w.source, &d, &p, &code);
		rc = rc ? rc : export_one(&w, d, p, &code);
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

	snprintf(what, sizeof(what), "line %" PRIu64, w->looked + 1);
	if (!mr_cli_record_parse(&record, line, bytes, error, sizeof(error)))
		return fail(w, what, error, "lines are as `millrace queue export` writes them");
	rc = wants(w, &record.push) ? push(w, &record.push, NULL) : 0;
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
