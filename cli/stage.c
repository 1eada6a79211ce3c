/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 5

/* A message that is not settled: it waits for a job, is with a job, or waits until its output is
 * accepted. */
struct mr_cli_pulled {
	STAILQ_ENTRY(mr_cli_pulled) link;
	uint64_t tag;
	uint64_t publisher;
	uint64_t id; /* its id at the publisher */
	unsigned redelivered;
	unsigned attempts; /* earlier deliveries that count as attempts */
	/* recalled, or the connection was lost since: another consumer gets it */
	bool stale;
	size_t header_bytes;
	size_t bytes; /* headers with payload or output, which follow */
	char body[];
};

static struct mr_cli_pulled *pop(struct mr_cli_pulled_list *l)
{
	struct mr_cli_pulled *i = STAILQ_FIRST(l);

	if (i)
		STAILQ_REMOVE_HEAD(l, link);
	return i;
}

static void empty(struct mr_cli_pulled_list *l)
{
	struct mr_cli_pulled *i;

	while ((i = pop(l)))
		free(i);
}

static uint32_t delay_ms(const struct mr_cli_stage *s)
{
	return s->delay_ms != MR_CLI_STAGE_DELAY_NONE ? (uint32_t)s->delay_ms : 0;
}

/* Gives a message back for redelivery, and does not count it. */
static void give_back(struct mr_cli_stage *s, uint64_t tag, const char *why)
{
	s->count->taken--;
	mr_nack_error(s->consumer, tag, true, delay_ms(s), why);
}

/* Uncounts earlier failures of this message, here or elsewhere: it is settled now. */
static void forget_failures(struct mr_cli_stage *s, const struct mr_cli_pulled *i)
{
	s->count->failed -= i->attempts < s->count->failed ? i->attempts : s->count->failed;
}

/* Acks a message. An unknown tag was delivered before the connection was lost: the message will be
 * redelivered. */
static void item_done(struct mr_cli_stage *s, const struct mr_cli_pulled *i)
{
	if (mr_ack(s->consumer, i->tag) == 0) {
		s->count->done++;
		forget_failures(s, i);
	} else {
		s->count->taken--;
	}
}

/* Counts a failure. After the last allowed attempt it counts as dead. Some buses do not tell the
 * maximum; then every failure counts as dead. */
static void count_failed(struct mr_cli_stage *s, const struct mr_cli_pulled *i)
{
	unsigned max = mr_consumer_max_deliver(s->consumer);
	bool last = i->attempts + 1 >= max;

	if (!last) {
		s->count->failed++;
		return;
	}
	forget_failures(s, i);
	s->count->dead++;
	s->count->taken++;
}

/* Gives a failed message back. */
static void item_failed(struct mr_cli_stage *s, const struct mr_cli_pulled *i, const char *why)
{
	give_back(s, i->tag, why);
	count_failed(s, i);
}

/* Commands */

void mr_cli_stage_take(struct mr_cli_stage *s, const struct mr_delivery *d)
{
	const struct mr_message *m = &d->message;
	struct mr_cli_pulled *i = malloc(sizeof(*i) + m->header_bytes + m->payload_bytes);

	if (!i) {
		mr_nack(d->consumer, d->tag, true, delay_ms(s));
		return;
	}
	*i = (struct mr_cli_pulled){.tag = d->tag,
		.publisher = d->publisher,
		.id = d->id,
		.redelivered = d->redelivered,
		.attempts = mr_delivery_attempts(d),
		.header_bytes = m->header_bytes,
		.bytes = m->header_bytes + m->payload_bytes};
	if (m->header_bytes)
		memcpy(i->body, m->headers, m->header_bytes);
	memcpy(i->body + m->header_bytes, m->payload, m->payload_bytes);
	STAILQ_INSERT_TAIL(&s->waiting, i, link);
}

static bool drop(struct mr_cli_pulled_list *l, uint64_t tag)
{
	struct mr_cli_pulled *i = STAILQ_FIRST(l);

	while (i && i->tag != tag)
		i = STAILQ_NEXT(i, link);
	if (!i)
		return false;
	STAILQ_REMOVE(l, i, mr_cli_pulled, link);
	free(i);
	return true;
}

/* Stops the command of a message that another consumer gets. */
static void stop_job(struct mr_cli_stage *s, unsigned job)
{
	s->in_job[job]->stale = true;
	mr_cli_jobs_stop(&s->jobs, job);
}

/* Another consumer gets the message: discard it, or stop its command, so that it is not done
 * twice. */
static void on_recall(struct mr_client *c, uint64_t tag, void *arg)
{
	struct mr_cli_stage *s = arg;

	(void)c;
	if (drop(&s->waiting, tag))
		return;
	if (drop(&s->outputs, tag)) {
		s->count->taken--;
		return;
	}
	for (unsigned job = 0; job < MR_CLI_JOBS_MAX; job++) {
		if (s->in_job[job] && s->in_job[job]->tag == tag)
			stop_job(s, job);
	}
}

void mr_cli_stage_lost(struct mr_cli_stage *s)
{
	struct mr_cli_pulled *i;

	for (i = STAILQ_FIRST(&s->waiting); i; i = STAILQ_NEXT(i, link))
		i->stale = true;
	for (i = STAILQ_FIRST(&s->outputs); i; i = STAILQ_NEXT(i, link))
		s->count->taken--;
	empty(&s->outputs);
	for (unsigned job = 0; job < MR_CLI_JOBS_MAX; job++) {
		if (s->in_job[job])
			stop_job(s, job);
	}
}

static int start(struct mr_cli_stage *s, struct mr_cli_pulled *i)
{
	char queue[sizeof("MILLRACE_QUEUE=") + MR_SUBJECT_BYTES];
	char again[sizeof("MILLRACE_REDELIVERED=") + 16];
	const char *environment[] = {queue, again, NULL};
	int job;

	snprintf(queue, sizeof(queue), "MILLRACE_QUEUE=%s", s->from);
	snprintf(again, sizeof(again), "MILLRACE_REDELIVERED=%u", i->redelivered);
	job = mr_cli_jobs_start(
		&s->jobs, environment, i->body + i->header_bytes, i->bytes - i->header_bytes);
	if (job >= 0)
		s->in_job[job] = i;
	return job < 0 ? job : 0;
}

/* Starts jobs for waiting messages. After an interrupt it starts none: they go to other
 * consumers. */
static void start_waiting(struct mr_cli_stage *s)
{
	while (!STAILQ_EMPTY(&s->waiting) && !mr_cli_pull_has_all(s->count) &&
		!mr_cli_jobs_full(&s->jobs) && !mr_cli_interrupted()) {
		struct mr_cli_pulled *i = pop(&s->waiting);
		int rc;

		if (i->stale) {
			free(i);
			continue;
		}
		s->count->taken++;
		rc = start(s, i);
		if (rc) {
			mr_cli_note(s->cli, "%s: %s", s->jobs.command, strerror(-rc));
			item_failed(s, i, strerror(-rc));
			free(i);
		}
	}
}

/* Returns a copy of the item with the command's output in place of the payload. */
static struct mr_cli_pulled *output_of(const struct mr_cli_pulled *i, const struct mr_cli_job *job)
{
	struct mr_cli_pulled *out = malloc(sizeof(*out) + i->header_bytes + job->out_bytes);

	if (!out)
		return NULL;
	*out = *i;
	out->bytes = i->header_bytes + job->out_bytes;
	memcpy(out->body, i->body, i->header_bytes);
	memcpy(out->body + i->header_bytes, job->out, job->out_bytes);
	return out;
}

static void job_succeeded(
	struct mr_cli_stage *s, const struct mr_cli_pulled *i, const struct mr_cli_job *job)
{
	struct mr_cli_pulled *out;

	if (s->to->count == 0) {
		fwrite(job->out, 1, job->out_bytes, stdout);
		/* If nobody reads the output, the message is not done. */
		if (mr_cli_flush())
			item_done(s, i);
		else
			s->unread = true;
		return;
	}
	out = output_of(i, job);
	if (out)
		STAILQ_INSERT_TAIL(&s->outputs, out, link);
	else
		give_back(s, i->tag, strerror(ENOMEM));
}

/* Says why a job failed, and gives its message back with that. */
static void job_failed(
	struct mr_cli_stage *s, const struct mr_cli_pulled *i, const struct mr_cli_job *job)
{
	char why[64 + MR_CLI_JOB_LINE_BYTES], status[32];
	const char *what = status;

	snprintf(status, sizeof(status), "exit status %d", job->status);
	if (job->error)
		what = strerror(-job->error);
	mr_cli_note(s->cli, "%s: %s", s->jobs.command, what);
	snprintf(why, sizeof(why), "%s%s%s", what, job->last_line[0] != '\0' ? ": " : "",
		job->last_line);
	item_failed(s, i, why);
}

static void on_job(const struct mr_cli_job *job, void *arg)
{
	struct mr_cli_stage *s = arg;
	struct mr_cli_pulled *i = s->in_job[job->index];

	s->in_job[job->index] = NULL;
	s->count->active_ns = mr_cli_now_ns();
	if (i->stale) {
		s->count->taken--;
		mr_cli_note(s->cli, "%s: stopped: its message was given to another consumer",
			s->jobs.command);
	} else if (job->error || job->status) {
		job_failed(s, i, job);
	} else {
		job_succeeded(s, i, job);
	}
	free(i);
}

/* Pushing outputs */

/* Counts a message whose output was refused. The library has given it back. */
static void count_refused(struct mr_cli_stage *s, const struct mr_cli_pulled *i)
{
	s->count->taken--;
	count_failed(s, i);
}

static void on_settled(struct mr_client *c, uint64_t tag, int error, void *arg)
{
	struct mr_cli_stage *s = arg;
	struct mr_cli_pulled *i = STAILQ_FIRST(&s->pushed);

	while (i && i->tag != tag)
		i = STAILQ_NEXT(i, link);
	if (!i)
		return;
	STAILQ_REMOVE(&s->pushed, i, mr_cli_pulled, link);
	s->count->active_ns = mr_cli_now_ns();
	if (error == 0) {
		s->count->done++;
		forget_failures(s, i);
	} else if (error == -ENOTCONN || error == -ENOENT) {
		/* It comes again, and what was pushed is known then. */
		s->count->taken--;
	} else {
		mr_cli_note(s->cli, "%s", mr_error(c));
		count_refused(s, i);
	}
	free(i);
}

/* Cuts the output into messages: one, or one for each line. Returns their number, at most
 * MR_OUTPUTS_MAX + 1. */
static size_t cut(const struct mr_cli_stage *s, const struct mr_cli_pulled *i,
	struct mr_push pushes[MR_OUTPUTS_MAX + 1])
{
	const char *at = i->body + i->header_bytes, *end = i->body + i->bytes;
	size_t count = 0;

	while (count <= MR_OUTPUTS_MAX && (at < end || (!s->each_line && count == 0))) {
		const char *stop = s->each_line ? memchr(at, '\n', (size_t)(end - at)) : end;

		stop = stop ? stop : end;
		pushes[count++] = (struct mr_push){
			.headers = i->header_bytes ? i->body : NULL,
			.header_bytes = i->header_bytes,
			.payload = at,
			.bytes = (size_t)(stop - at),
		};
		at = stop < end ? stop + 1 : end;
	}
	return count;
}

/* Returns the delay of a message whose output is refused, not 0. */
static uint32_t refused_delay_ms(const struct mr_cli_stage *s)
{
	if (s->delay_ms == MR_CLI_STAGE_DELAY_NONE)
		return MR_CLI_STAGE_DELAY_MS;
	return s->delay_ms ? (uint32_t)s->delay_ms : 1;
}

/* Pushes the outputs of a message into each of the next queues, in one step with its ack. */
static int push_on(struct mr_cli_stage *s, const struct mr_cli_pulled *i)
{
	const struct mr_delivery input = {
		.consumer = s->consumer, .tag = i->tag, .publisher = i->publisher, .id = i->id};
	const struct mr_settle_options options = {
		.delay_ms = refused_delay_ms(s), .at_least_once = true};
	struct mr_push pushes[MR_OUTPUTS_MAX + 1];
	struct mr_output outputs[MR_OUTPUTS_MAX];
	size_t messages = cut(s, i, pushes), count = 0;

	if (messages * s->next_count > MR_OUTPUTS_MAX)
		return -E2BIG;
	for (size_t m = 0; m < messages; m++)
		for (unsigned n = 0; n < s->next_count; n++)
			outputs[count++] = (struct mr_output){s->next[n], &pushes[m]};
	return mr_settle_and_push_async(&input, outputs, count, &options, on_settled, s);
}

/* The message cannot be passed on, now or later. */
static void reject(struct mr_cli_stage *s, const struct mr_cli_pulled *i, int error)
{
	if (error == -E2BIG)
		mr_cli_note(s->cli, "%s: more than %u messages for one", s->jobs.command,
			MR_OUTPUTS_MAX);
	else
		mr_cli_note(s->cli, "%s", mr_error(s->client));
	mr_nack_error(s->consumer, i->tag, false, 0,
		error == -E2BIG ? "the command made too many messages" : mr_error(s->client));
	forget_failures(s, i);
	s->count->dead++;
}

/* Pushes waiting outputs in order; a full queue delays those behind. */
static void push_outputs(struct mr_cli_stage *s)
{
	while (!STAILQ_EMPTY(&s->outputs)) {
		struct mr_cli_pulled *i = STAILQ_FIRST(&s->outputs);
		int rc = push_on(s, i);

		if (rc == -EAGAIN || rc == -ENOTCONN)
			return;
		pop(&s->outputs);
		if (rc == 0) {
			STAILQ_INSERT_TAIL(&s->pushed, i, link);
			continue;
		}
		if (rc == -ENOENT)
			s->count->taken--;
		else
			reject(s, i, rc);
		free(i);
	}
}

/* Its life */

int mr_cli_stage_init(
	struct mr_cli_stage *s, const char *command, unsigned jobs, uint64_t timeout_ms)
{
	STAILQ_INIT(&s->waiting);
	STAILQ_INIT(&s->outputs);
	STAILQ_INIT(&s->pushed);
	s->jobs.command = command;
	s->jobs.timeout_ms = timeout_ms;
	s->jobs.keeps_line = true;
	return mr_cli_jobs_init(&s->jobs, jobs);
}

void mr_cli_stage_fini(struct mr_cli_stage *s)
{
	mr_cli_jobs_fini(&s->jobs);
	for (unsigned job = 0; job < MR_CLI_JOBS_MAX; job++)
		free(s->in_job[job]);
	empty(&s->waiting);
	empty(&s->outputs);
	empty(&s->pushed);
}

int mr_cli_stage_open(struct mr_cli_stage *s, struct mr_client *c)
{
	int rc = 0;

	s->client = c;
	s->jobs.out_bytes_max = mr_message_bytes_max(c);
	while (rc == 0 && s->next_count < s->to->count) {
		s->opening = s->to->at[s->next_count];
		rc = mr_queue_open(c, s->opening, NULL, &s->next[s->next_count]);
		s->next_count += rc == 0;
	}
	return rc;
}

void mr_cli_stage_begin(struct mr_cli_stage *s, struct mr_consumer *k)
{
	s->consumer = k;
	mr_consumer_renew(k, true);
	if (s->delay_ms == MR_CLI_STAGE_DELAY_NONE)
		mr_consumer_retry_delay(k, MR_CLI_STAGE_DELAY_MS);
	mr_consumer_on_recall(k, on_recall, s);
}

void mr_cli_stage_step(struct mr_cli_stage *s)
{
	mr_cli_jobs_step(&s->jobs, on_job, s);
	if (mr_cli_interrupted())
		empty(&s->waiting);
	start_waiting(s);
	push_outputs(s);
}

bool mr_cli_stage_is_idle(const struct mr_cli_stage *s)
{
	return (STAILQ_EMPTY(&s->waiting) || mr_cli_pull_has_all(s->count)) &&
	       STAILQ_EMPTY(&s->outputs) && STAILQ_EMPTY(&s->pushed) && s->jobs.running == 0;
}

void mr_cli_stage_wait(struct mr_cli_stage *s, int fd, int timeout_ms)
{
	/* Outputs that found the next queue full are tried again soon. */
	mr_cli_jobs_wait(&s->jobs, fd, STAILQ_EMPTY(&s->outputs) ? timeout_ms : RETRY_MS);
}
