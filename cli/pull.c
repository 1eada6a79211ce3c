/* SPDX-License-Identifier: Apache-2.0 */
/* pull: prints the messages of a queue, or gives them to a command whose output may go to the next
 * queue.
 *
 *   delivery ─▶ waiting ─▶ job ─▶ output ─▶ pushed on ─▶ accepted ─▶ acked
 *                           └─ it failed ─▶ given back
 *
 * A message is acked when it can no longer be lost: it is written out, or its command has succeeded
 * and the command's output is written out or accepted by the next queue.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/headers.h"
#include "cli/jobs.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/units.h"

#define PROCESS_MAX 64
#define WAIT_MS_MAX 200 /* longest time until an interrupt is noticed */
#define SETTLE_MS   5000

struct settings {
	const char *command;
	const char *to;
	const char *ack;
	uint64_t prefetch;
	uint64_t jobs;
	uint64_t timeout_ms;
	uint64_t delay_ms;
	uint64_t count;
	uint64_t idle_exit_ms;
	bool raw;
	bool json;
};

/* A message that is not settled: it waits for a job, is with a job, or waits until its output is
 * accepted. */
struct item {
	struct item *next;
	uint64_t tag;
	uint64_t publisher;
	uint64_t id; /* its id at the publisher; after the push of its output the id of that push */
	unsigned redelivered;
	unsigned attempts; /* earlier deliveries that count as attempts */
	/* recalled, or the connection was lost since: another consumer gets it */
	bool stale;
	size_t header_bytes;
	size_t bytes; /* headers with payload or output, which follow */
	char body[];
};

struct list {
	struct item *first;
	struct item **end;
};

struct pull {
	const struct mr_cli *cli;
	const struct settings *set;
	const char *name;
	struct mr_client *client;
	struct mr_consumer *consumer;
	struct mr_queue *to[2]; /* queues for outputs without and with a publisher number */
	struct mr_cli_jobs jobs;
	struct list waiting;
	struct item *in_job[MR_CLI_JOBS_MAX];
	struct list outputs; /* not pushed yet */
	struct list pushed;  /* pushed, not accepted yet */
	uint64_t taken;      /* printed, or given to a job that has not failed */
	uint64_t done;
	uint64_t dead;      /* failed for good */
	uint64_t failed;    /* failed, will be redelivered here or elsewhere */
	uint64_t active_ns; /* time of the last activity */
	struct mr_cli_lines acks;
	bool acks_end;
	uint64_t *printed; /* tags to ack when the lines are written */
	uint64_t printed_count;
	bool unread; /* the reader of standard output has closed it */
};

static void append(struct list *l, struct item *i)
{
	i->next = NULL;
	*l->end = i;
	l->end = &i->next;
}

static void take_out(struct list *l, struct item **at)
{
	struct item *i = *at;

	*at = i->next;
	if (!i->next)
		l->end = at;
}

static struct item *pop(struct list *l)
{
	struct item *i = l->first;

	if (i)
		take_out(l, &l->first);
	return i;
}

static void empty(struct list *l)
{
	struct item *i;

	while ((i = pop(l)))
		free(i);
}

static void set_stale(struct list *l)
{
	for (struct item *i = l->first; i; i = i->next)
		i->stale = true;
}

static bool has_all(const struct pull *p)
{
	return p->set->count != 0 && p->taken >= p->set->count;
}

/* True if no work is left. Messages beyond --count do not count: they go to other consumers at the
 * end. */
static bool is_idle(const struct pull *p)
{
	return (!p->waiting.first || has_all(p)) && !p->outputs.first && !p->pushed.first &&
	       p->jobs.running == 0 && p->printed_count == 0;
}

static bool is_manual(const struct pull *p)
{
	return p->set->ack && strcmp(p->set->ack, "manual") == 0;
}

/* Acks a message. False if its tag is unknown: it was delivered before the connection was lost, and
 * will be redelivered. */
static bool ack(struct pull *p, uint64_t tag)
{
	bool acked = mr_ack(p->consumer, tag) == 0;

	p->done += acked;
	return acked;
}

/* Gives a message back for redelivery, and does not count it. */
static void give_back(struct pull *p, uint64_t tag)
{
	p->taken--;
	mr_nack(p->consumer, tag, true, (uint32_t)p->set->delay_ms);
}

/* Uncounts earlier failures of this message, here or elsewhere: it is settled now. */
static void forget_failures(struct pull *p, const struct item *i)
{
	p->failed -= i->attempts < p->failed ? i->attempts : p->failed;
}

static void item_done(struct pull *p, const struct item *i)
{
	if (ack(p, i->tag))
		forget_failures(p, i);
	else
		p->taken--;
}

/* Gives a failed message back. After the last allowed attempt it counts as dead. Some buses do not
 * tell the maximum; then every failure counts as dead. */
static void item_failed(struct pull *p, const struct item *i)
{
	unsigned max = mr_consumer_max_deliver(p->consumer);
	bool last = i->attempts + 1 >= max;

	give_back(p, i->tag);
	if (!last) {
		p->failed++;
		return;
	}
	forget_failures(p, i);
	p->dead++;
	p->taken++;
}

/* Printing */

static void print_json(const struct mr_delivery *d, bool with_tag)
{
	static const char *const priorities[] = {"normal", "high", "low"};
	json_t *o = mr_cli_message_object(&d->message);
	char tag[24];

	json_object_set_new(o, "redelivered", json_integer((json_int_t)d->redelivered));
	json_object_set_new(o, "priority", json_string(priorities[d->priority % 3]));
	if (d->publisher)
		json_object_set_new(o, "id", json_integer((json_int_t)d->id));
	snprintf(tag, sizeof(tag), "%" PRIu64, d->tag);
	if (with_tag)
		json_object_set_new(o, "tag", json_string(tag));
	mr_cli_text_json_line(o);
}

static void print(struct pull *p, const struct mr_delivery *d)
{
	if (p->set->json) {
		print_json(d, is_manual(p));
	} else if (p->set->raw) {
		fwrite(d->message.payload, 1, d->message.payload_bytes, stdout);
		putchar('\n');
	} else {
		if (is_manual(p))
			printf("%" PRIu64 " ", d->tag);
		mr_cli_message_print(&d->message, p->cli->colour);
	}
	if (!is_manual(p))
		p->printed[p->printed_count++] = d->tag;
}

/* Writes out all lines and acks their messages. False: nobody reads them, so the messages go to
 * other consumers. */
static bool ack_printed(struct pull *p)
{
	if (p->set->command)
		return true;
	if (!mr_cli_flush())
		return false;
	for (uint64_t i = 0; i < p->printed_count; i++)
		ack(p, p->printed[i]);
	p->printed_count = 0;
	return true;
}

/* Handles a line "ack TAG", "nack TAG [TIME]", "reject TAG" or "progress TAG". */
static void settle_line(const char *line, void *arg)
{
	struct pull *p = arg;
	char word[9], delay[24] = "0";
	unsigned long long tag;
	uint64_t delay_ms;
	int rc;

	if (sscanf(line, "%8s %llu %23s", word, &tag, delay) < 2 ||
		mr_units_duration(delay, MR_UNITS_MS, &delay_ms) != 0)
		rc = -EINVAL;
	else if (strcmp(word, "ack") == 0)
		rc = mr_ack(p->consumer, tag);
	else if (strcmp(word, "nack") == 0)
		rc = mr_nack(p->consumer, tag, true, (uint32_t)delay_ms);
	else if (strcmp(word, "reject") == 0)
		rc = mr_nack(p->consumer, tag, false, 0);
	else if (strcmp(word, "progress") == 0)
		rc = mr_progress(p->consumer, tag);
	else
		rc = -EINVAL;
	p->done += rc == 0 && strcmp(word, "progress") != 0;
	if (rc)
		mr_cli_note(p->cli, "%s: %s", line,
			rc == -EINVAL
				? "expected: ack TAG, nack TAG [TIME], reject TAG or progress TAG"
				: mr_error_text(rc));
}

/* Commands */

static void enqueue(struct pull *p, const struct mr_delivery *d)
{
	const struct mr_message *m = &d->message;
	struct item *i = malloc(sizeof(*i) + m->header_bytes + m->payload_bytes);

	if (!i) {
		mr_nack(d->consumer, d->tag, true, (uint32_t)p->set->delay_ms);
		return;
	}
	*i = (struct item){.tag = d->tag,
		.publisher = d->publisher,
		.id = d->id,
		.redelivered = d->redelivered,
		.attempts = mr_delivery_attempts(d),
		.header_bytes = m->header_bytes,
		.bytes = m->header_bytes + m->payload_bytes};
	if (m->header_bytes)
		memcpy(i->body, m->headers, m->header_bytes);
	memcpy(i->body + m->header_bytes, m->payload, m->payload_bytes);
	append(&p->waiting, i);
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct pull *p = arg;

	(void)c;
	p->active_ns = mr_cli_now_ns();
	if (p->set->command) {
		enqueue(p, d);
		return;
	}
	/* Messages beyond --count were delivered ahead; they are given back at the end. */
	if (has_all(p))
		return;
	p->taken++;
	print(p, d);
}

static bool drop(struct list *l, uint64_t tag)
{
	struct item **at = &l->first;
	struct item *i;

	while (*at && (*at)->tag != tag)
		at = &(*at)->next;
	i = *at;
	if (i)
		take_out(l, at);
	free(i);
	return i != NULL;
}

/* Another consumer gets the message: discard it, or stop its command, so that it is not done
 * twice. */
static void on_recall(struct mr_client *c, uint64_t tag, void *arg)
{
	struct pull *p = arg;

	(void)c;
	if (drop(&p->waiting, tag))
		return;
	if (drop(&p->outputs, tag)) {
		p->taken--;
		return;
	}
	for (unsigned i = 0; i < MR_CLI_JOBS_MAX; i++) {
		if (!p->in_job[i] || p->in_job[i]->tag != tag)
			continue;
		p->in_job[i]->stale = true;
		mr_cli_jobs_stop(&p->jobs, i);
	}
}

static int start(struct pull *p, struct item *i)
{
	char queue[sizeof("MILLRACE_QUEUE=") + MR_SUBJECT_BYTES];
	char again[sizeof("MILLRACE_REDELIVERED=") + 16];
	const char *environment[] = {queue, again, NULL};
	int job;

	snprintf(queue, sizeof(queue), "MILLRACE_QUEUE=%s", p->name);
	snprintf(again, sizeof(again), "MILLRACE_REDELIVERED=%u", i->redelivered);
	job = mr_cli_jobs_start(
		&p->jobs, environment, i->body + i->header_bytes, i->bytes - i->header_bytes);
	if (job >= 0)
		p->in_job[job] = i;
	return job < 0 ? job : 0;
}

/* Starts jobs for waiting messages. After an interrupt it starts none: they go to other
 * consumers. */
static void start_waiting(struct pull *p)
{
	while (p->waiting.first && !has_all(p) && !mr_cli_jobs_full(&p->jobs) &&
		!mr_cli_interrupted()) {
		struct item *i = pop(&p->waiting);
		int rc;

		if (i->stale) {
			free(i);
			continue;
		}
		p->taken++;
		rc = start(p, i);
		if (rc) {
			mr_cli_note(p->cli, "%s: %s", p->set->command, strerror(-rc));
			item_failed(p, i);
			free(i);
		}
	}
}

/* Returns a copy of the item with the command's output in place of the payload. */
static struct item *output_of(const struct item *i, const struct mr_cli_job *job)
{
	struct item *out = malloc(sizeof(*out) + i->header_bytes + job->out_bytes);

	if (!out)
		return NULL;
	*out = *i;
	out->bytes = i->header_bytes + job->out_bytes;
	memcpy(out->body, i->body, i->header_bytes);
	memcpy(out->body + i->header_bytes, job->out, job->out_bytes);
	return out;
}

static void job_succeeded(struct pull *p, const struct item *i, const struct mr_cli_job *job)
{
	struct item *out;

	if (!p->set->to) {
		fwrite(job->out, 1, job->out_bytes, stdout);
		/* If nobody reads the output, the message is not done. */
		if (mr_cli_flush())
			item_done(p, i);
		else
			p->unread = true;
		return;
	}
	out = output_of(i, job);
	if (out)
		append(&p->outputs, out);
	else
		give_back(p, i->tag);
}

static void on_job(const struct mr_cli_job *job, void *arg)
{
	struct pull *p = arg;
	struct item *i = p->in_job[job->index];

	p->in_job[job->index] = NULL;
	p->active_ns = mr_cli_now_ns();
	if (i->stale) {
		p->taken--;
		mr_cli_note(p->cli, "%s: stopped: its message was given to another consumer",
			p->set->command);
	} else if (job->error || job->status) {
		if (job->error)
			mr_cli_note(p->cli, "%s: %s", p->set->command, strerror(-job->error));
		else
			mr_cli_note(p->cli, "%s: exit status %d", p->set->command, job->status);
		item_failed(p, i);
	} else {
		job_succeeded(p, i, job);
	}
	free(i);
}

/* Pushing outputs */

static void accepted(struct pull *p, bool numbered, uint64_t id, int error)
{
	struct item **at = &p->pushed.first;
	struct item *i;

	while (*at && ((*at)->id != id || ((*at)->publisher != 0) != numbered))
		at = &(*at)->next;
	i = *at;
	if (!i)
		return;
	take_out(&p->pushed, at);
	p->active_ns = mr_cli_now_ns();
	if (error)
		mr_cli_note(p->cli, "%s: %s", p->set->to, mr_error_text(error));
	if (error)
		item_failed(p, i);
	else
		item_done(p, i);
	free(i);
}

static void on_plain(struct mr_client *c, uint64_t id, int error, void *arg)
{
	(void)c;
	accepted(arg, false, id, error);
}

static void on_numbered(struct mr_client *c, uint64_t id, int error, void *arg)
{
	(void)c;
	accepted(arg, true, id, error);
}

/* Pushes an output. It takes the publisher number and id of its input, if there are any. */
static int push_on(struct pull *p, struct item *i)
{
	bool numbered = i->publisher != 0;
	struct mr_push push = {
		.headers = i->header_bytes ? i->body : NULL,
		.header_bytes = i->header_bytes,
		.payload = i->body + i->header_bytes,
		.bytes = i->bytes - i->header_bytes,
		.publisher = i->publisher,
		.id = numbered ? i->id : 0,
	};

	return mr_push_with(p->to[numbered], &push, &i->id);
}

/* Pushes waiting outputs in order; a full queue delays those behind. */
static void push_outputs(struct pull *p)
{
	while (p->outputs.first) {
		struct item *i = p->outputs.first;
		int rc = push_on(p, i);

		if (rc == -EAGAIN || rc == -ENOTCONN)
			return;
		pop(&p->outputs);
		if (rc == 0) {
			append(&p->pushed, i);
			continue;
		}
		mr_cli_note(p->cli, "%s: %s", p->set->to, mr_error(p->client));
		mr_nack(p->consumer, i->tag, false, 0);
		forget_failures(p, i);
		p->dead++;
		free(i);
	}
}

/* Loop */

/* When the connection is lost, all unsettled messages go to other consumers. */
static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	struct pull *p = arg;

	(void)error;
	mr_cli_note_state(p->cli, c, connected, "pulling");
	if (connected)
		return;
	set_stale(&p->waiting);
	for (struct item *i = p->outputs.first; i; i = i->next)
		p->taken--;
	empty(&p->outputs);
	for (unsigned i = 0; i < MR_CLI_JOBS_MAX; i++) {
		if (!p->in_job[i])
			continue;
		p->in_job[i]->stale = true;
		mr_cli_jobs_stop(&p->jobs, i);
	}
}

static int process(struct pull *p)
{
	int n;

	do {
		n = mr_process(p->client, PROCESS_MAX);
		if (!ack_printed(p))
			return -EPIPE;
	} while (n > 0);
	return n == -ENOTCONN ? 0 : n;
}

static bool has_ended(const struct pull *p)
{
	uint64_t idle_ns = p->set->idle_exit_ms * 1000000u;

	if (!is_idle(p))
		return false;
	if (mr_cli_interrupted() || p->unread)
		return true;
	if (has_all(p) && (!is_manual(p) || p->done >= p->set->count || p->acks_end))
		return true;
	return idle_ns && mr_cli_now_ns() - p->active_ns >= idle_ns;
}

static int sleep_ms(const struct pull *p)
{
	/* Outputs that found the queue full are tried again soon. */
	return p->outputs.first ? 5 : WAIT_MS_MAX;
}

static void wait_some(struct pull *p, int fd)
{
	if (is_manual(p) && !p->acks_end)
		p->acks_end = mr_cli_lines_wait(&p->acks, fd, WAIT_MS_MAX, settle_line, p) < 0;
	else
		mr_cli_jobs_wait(&p->jobs, fd, sleep_ms(p));
}

static int loop(struct pull *p)
{
	int fd = mr_fd(p->client);
	int rc = fd < 0 ? fd : 0;

	p->active_ns = mr_cli_now_ns();
	while (rc == 0 && !has_ended(p)) {
		rc = process(p);
		mr_cli_jobs_step(&p->jobs, on_job, p);
		if (mr_cli_interrupted())
			empty(&p->waiting);
		start_waiting(p);
		push_outputs(p);
		mr_flush(p->client);
		if (rc == 0 && !has_ended(p))
			wait_some(p, fd);
	}
	return rc;
}

static int open_to(struct pull *p)
{
	struct mr_push_options plain = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = on_plain, .arg = p};
	struct mr_push_options numbered = {
		.promise = MR_EXACTLY_ONCE, .on_outcome = on_numbered, .arg = p};
	int rc;

	if (!p->set->to)
		return 0;
	rc = mr_queue_open(p->client, p->set->to, &plain, &p->to[0]);
	return rc ? rc : mr_queue_open(p->client, p->set->to, &numbered, &p->to[1]);
}

static unsigned prefetch_of(const struct settings *set)
{
	uint64_t prefetch = set->prefetch ? set->prefetch : set->command ? 2 * set->jobs : 10;

	return (unsigned)(set->count && set->count < prefetch ? set->count : prefetch);
}

static const char *of_count(const struct pull *p, char *text, size_t bytes)
{
	text[0] = '\0';
	if (p->set->count)
		snprintf(text, bytes, " of %" PRIu64, p->set->count);
	return text;
}

/* Returns the exit code, and reports what was not done. */
static int outcome(const struct pull *p)
{
	uint64_t done = p->set->command || is_manual(p) ? p->done : p->taken;
	char text[32];

	if (mr_cli_interrupted())
		return MR_EXIT_INTERRUPTED;
	if (p->dead > 0 || p->failed > 0) {
		mr_cli_note(p->cli, "%" PRIu64 "%s done, %" PRIu64 " failed", done,
			of_count(p, text, sizeof(text)), p->dead + p->failed);
		return MR_EXIT_FAILED;
	}
	if (p->unread || done >= p->set->count)
		return MR_EXIT_OK;
	mr_cli_note(p->cli, "%" PRIu64 "%s done", done, of_count(p, text, sizeof(text)));
	return MR_EXIT_TIMEOUT;
}

static int pull(struct pull *p)
{
	struct mr_consume_options options = {.prefetch = prefetch_of(p->set), .manual = true};
	int rc = open_to(p);
	int code;

	if (rc)
		return mr_cli_fail_call(p->cli, p->client, rc, p->set->to);
	/* Up to this many lines may be printed before their messages are acked. */
	p->printed = calloc(2 * options.prefetch + PROCESS_MAX, sizeof(*p->printed));
	if (!p->printed)
		return mr_cli_fail_call(p->cli, NULL, -ENOMEM, "start");
	rc = mr_consume(p->client, p->name, &options, on_delivery, p, &p->consumer);
	if (rc)
		return mr_cli_fail_call(p->cli, p->client, rc, p->name);
	mr_consumer_renew(p->consumer, p->set->command != NULL);
	if (p->set->command)
		mr_consumer_on_recall(p->consumer, on_recall, p);
	fputs("pulling\n", stderr);
	rc = loop(p);
	code = rc && rc != -EPIPE ? mr_cli_fail_call(p->cli, p->client, rc, p->name) : MR_EXIT_OK;
	mr_consumer_close(p->consumer);
	mr_drain(p->client, SETTLE_MS);
	return code ? code : outcome(p);
}

static int check(const struct pull *p)
{
	const struct settings *set = p->set;

	if (set->to && !set->command)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--to", "there is no output to push",
			"add --exec COMMAND; --exec cat passes messages on");
	if (set->command && is_manual(p))
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--ack manual",
			"with --exec the exit status decides", "leave one of them out");
	if (is_manual(p) && set->raw)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--ack manual", "--raw prints no tags",
			"use --json");
	return MR_EXIT_OK;
}

static int run_pull(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static struct pull state; /* one per process */
	struct pull *p = &state;
	struct mr_options options = {.on_state = on_state, .arg = p};
	int code;

	*p = (struct pull){.cli = cli, .set = settings, .name = w->at[0]};
	p->waiting.end = &p->waiting.first;
	p->outputs.end = &p->outputs.first;
	p->pushed.end = &p->pushed.first;
	p->jobs.command = p->set->command;
	p->jobs.timeout_ms = p->set->timeout_ms;
	code = check(p);
	if (code)
		return code;
	if (mr_cli_jobs_init(&p->jobs, (unsigned)p->set->jobs) != 0)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", strerror(ENOMEM), NULL);
	code = mr_cli_connect(cli, &options, &p->client);
	if (code == MR_EXIT_OK) {
		mr_cli_catch_interrupts();
		p->jobs.out_bytes_max = mr_message_bytes_max(p->client);
		code = pull(p);
		mr_close(p->client);
	}
	mr_cli_jobs_fini(&p->jobs);
	empty(&p->waiting);
	empty(&p->outputs);
	empty(&p->pushed);
	free(p->printed);
	return code;
}

static const struct mr_cli_option options_[] = {
	MR_CLI_PREFETCH_OPTION("take at most N messages that are not settled (default 10; with "
			       "--exec twice the jobs)"),
	{.name = "ack",
		.type = MR_CLI_TEXT,
		.value = "HOW",
		.offset = offsetof(struct settings, ack),
		.choices = "auto|manual",
		.help = "auto (default): when the message is written; manual: as "
			"standard input says"},
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX,
		"stop when COUNT messages are done or have failed for good "
		"(default: never)"),
	{.name = "idle-exit",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, idle_exit_ms),
		.min = 1,
		.max = 86400000,
		.help = "stop when no message came for TIME and all are settled"},
	MR_CLI_EXEC_OPTION("run COMMAND with sh for each message, which is its standard "
			   "input"),
	{.name = "to",
		.type = MR_CLI_TEXT,
		.value = "QUEUE",
		.offset = offsetof(struct settings, to),
		.help = "with --exec: push the output of the command into QUEUE"},
	MR_CLI_JOBS_OPTION("with --exec: run at most N commands at once (default 1)"),
	MR_CLI_TIMEOUT_OPTION("with --exec: kill the command after TIME (default 25s)"),
	{.name = "delay",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, delay_ms),
		.min = 0,
		.max = 86400000,
		.help = "with --exec: redeliver a failed message after TIME (default 100ms)"},
	MR_CLI_RAW_OPTION("print only payloads, unchanged, each followed by a newline"),
	MR_CLI_JSON_OPTION("print one JSON object per line"),
	{0},
};

static const struct settings defaults = {.jobs = 1, .timeout_ms = 25000, .delay_ms = 100};

const struct mr_cli_verb mr_cli_pull = {
	.name = "pull",
	.summary = "pull messages from a queue",
	.operands = "QUEUE",
	.details = "Prints each message on a line, and acknowledges it when the line is written.\n"
		   "With --ack manual each line starts with a tag, and standard input settles\n"
		   "the messages:\n"
		   "\n"
		   "ack TAG          the message is done\n"
		   "nack TAG [TIME]  redeliver the message, after TIME if given\n"
		   "reject TAG       the message becomes a dead letter\n"
		   "progress TAG     the ack time-out of the message begins anew\n"
		   "\n"
		   "With --exec a command gets each message on standard input. It finds the\n"
		   "queue in MILLRACE_QUEUE, and in MILLRACE_REDELIVERED how often the message\n"
		   "was delivered before. If the command succeeds, its output is printed, or\n"
		   "pushed into the queue of --to with the headers of the message. The message\n"
		   "is acknowledged only when that queue has accepted the output. If the command\n"
		   "fails, the message is redelivered, and finally becomes a dead letter. A\n"
		   "message that was pushed exactly once is passed on exactly once.\n"
		   "\n"
		   "The ack time-out of the queue does not end while a command runs or a message\n"
		   "waits for one. If a message is given to another consumer all the same, its\n"
		   "command is stopped.\n"
		   "\n"
		   "The exit code is 1 if a message failed and was not done later, and 4 if\n"
		   "--idle-exit ended this command before COUNT messages were done. Standard\n"
		   "error shows \"pulling\" as soon as messages are taken. When interrupted, this\n"
		   "command waits for running commands, and leaves all other messages to other\n"
		   "consumers.",
	.examples = "  millrace pull jobs -n 10\n"
		    "  millrace pull raw --exec ./cook --to cooked --jobs 4\n"
		    "  millrace pull jobs --exec 'curl -fsS -d @- http://localhost' --idle-exit 1s",
	.options = options_,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 1,
	.run = run_pull,
};
