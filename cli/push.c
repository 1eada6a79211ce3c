/* SPDX-License-Identifier: Apache-2.0 */
/* push: pushes messages from the command line or standard input into a queue, and reports
 * outcomes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/feed.h"
#include "cli/headers.h"
#include "cli/input.h"
#include "cli/making.h"
#include "cli/options.h"
#include "cli/priority.h"
#include "cli/text.h"
#include "cli/times.h"
#include "cli/verbs.h"

/* Longest time until an interrupt is noticed. */
#define WAIT_MS 200
/* Time without progress after which a note says that pushes wait. */
#define QUIET_MS 1000

struct settings {
	struct mr_cli_words headers;
	const char *promise;
	const char *publisher;
	const char *priority;
	const char *when_full;
	const char *when_expired;
	const char *key;
	struct mr_cli_making making;
	uint64_t limit;
	uint64_t age_ms;
	uint64_t ack_timeout_ms;
	uint64_t max_deliver;
	uint64_t retry_min_ms;
	uint64_t retry_max_ms;
	double retry_factor;
	uint64_t retry_jitter;
	uint64_t ttl_ms;
	struct mr_cli_times times;
	uint64_t count;
	uint64_t first_id;
	bool stdin_lines;
	bool json;
};

struct push {
	const struct mr_cli *cli;
	const struct settings *set;
	const char *name; /* the queue's name */
	struct mr_client *client;
	struct mr_queue *queue;
	struct mr_push message;
	struct mr_cli_times times;
	struct mr_queue_options making;
	uint64_t pushed;
	uint64_t accepted;
	int error; /* error of the first failure */
	bool refused;
	uint64_t failed;
	uint64_t progress_ns; /* time of the last accepted push */
	bool waits;           /* the note was printed */
	struct mr_headers headers;
	char header_memory[16384];
};

/* True if the queue refused a push for lack of room; it may accept the next one. */
static bool has_no_room(int error)
{
	return error == -EBUSY || error == -ENOBUFS || error == -EDQUOT;
}

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct push *p = arg;

	(void)c;
	(void)id;
	p->accepted += error == 0;
	p->failed += error != 0;
	if (error == 0) {
		p->progress_ns = mr_cli_now_ns();
		p->waits = false;
	}
	if (error && !p->error)
		p->error = error;
	p->refused |= error && !has_no_room(error);
}

/* True for errors that pass: the bus is away, or the queue is full. */
static bool passes(int error)
{
	return error == -EAGAIN || error == -ENOTCONN || error == -ETIMEDOUT || error == -EINTR;
}

/* Tells the user why the command does not end. */
static void note_waiting(struct push *p)
{
	uint64_t now_ns = mr_cli_now_ns();

	if (p->waits || !mr_connected(p->client) || mr_queue_unaccepted(p->queue) == 0 ||
		now_ns - p->progress_ns < QUIET_MS * UINT64_C(1000000))
		return;
	p->waits = true;
	mr_cli_note(p->cli,
		"%s: %" PRIu64
		" accepted, %u waiting: the queue is full, or the bus has no memory for it "
		"(queues.memory_mib); pull from it to continue",
		p->name, p->accepted, mr_queue_unaccepted(p->queue));
}

static int push_one(struct push *p, const void *payload, size_t bytes)
{
	int rc;

	p->message.payload = payload;
	p->message.bytes = bytes;
	while (passes(rc = mr_push_with(p->queue, &p->message, NULL)) && !mr_cli_interrupted()) {
		int waited = mr_wait(p->client, WAIT_MS);

		note_waiting(p);
		if (waited < 0 && !passes(waited))
			return waited;
	}
	p->pushed += rc == 0;
	return passes(rc) ? 0 : rc;
}

static bool goes_on(const struct push *p)
{
	return !p->refused && !mr_cli_interrupted();
}

static int push_lines(struct push *p)
{
	struct mr_cli_feed feed = {.client = p->client, .stop = &p->refused};
	const char *line;
	size_t bytes;
	int rc;

	while ((rc = mr_cli_feed_line(&feed, &line, &bytes)) > 0) {
		rc = 0;
		for (uint64_t i = 0; i < p->set->count && rc == 0; i++)
			rc = push_one(p, line, bytes);
		if (rc != 0)
			break;
	}
	mr_cli_feed_free(&feed);
	return rc;
}

/* Waits until all pushes are accepted, however long the queue is full. */
static int settle(struct push *p)
{
	int rc;

	do {
		rc = mr_settle(p->client, WAIT_MS);
		if (passes(rc))
			note_waiting(p);
	} while (passes(rc) && !mr_cli_interrupted());
	return passes(rc) ? 0 : rc;
}

static int push_all(struct push *p, const struct mr_cli_input *payload)
{
	int rc = 0;

	if (p->set->stdin_lines)
		rc = push_lines(p);
	for (uint64_t i = 0; !p->set->stdin_lines && i < p->set->count && rc == 0 && goes_on(p);
		i++)
		rc = push_one(p, payload->data, payload->bytes);
	if (rc)
		return rc;
	return mr_cli_promise(p->set->promise) == MR_BEST_EFFORT ? mr_drain(p->client, 5000)
								 : settle(p);
}

static int fail(const struct push *p, const char *queue, int error)
{
	if (p->failed > 0)
		mr_cli_note(p->cli, "%" PRIu64 " accepted, %" PRIu64 " refused", p->accepted,
			p->failed);
	if (error == -EBUSY)
		return mr_cli_fail(p->cli, MR_EXIT_FAILED, queue, "the queue is full",
			"pull from it, or open it with --when-full wait");
	if (error == -ENOBUFS)
		return mr_cli_fail(p->cli, MR_EXIT_FAILED, queue,
			"the memory of all queues is full, or the share of one queue is used up",
			"pull from queues or purge dead letters, or raise queues.memory_mib");
	if (error == -EDQUOT && p->failed > 0)
		return mr_cli_fail(p->cli, MR_EXIT_FAILED, queue,
			"this host or user has used up its share of the memory of all queues",
			"pull from queues, or raise peers.share_percent or queues.memory_mib");
	if (error == -EOPNOTSUPP)
		return mr_cli_fail(p->cli, MR_EXIT_FAILED, queue, mr_error(p->client),
			"leave the option out, or start a newer bus");
	if (error == -EEXIST)
		return mr_cli_fail(p->cli, MR_EXIT_FAILED, queue, mr_error(p->client),
			"leave out options such as --limit, or give those it was opened with");
	return mr_cli_fail_call(p->cli, p->client, error, queue);
}

static uint8_t expired_of(const char *text)
{
	if (text == NULL)
		return MR_EXPIRED_DEFAULT;
	return strcmp(text, "discard") == 0 ? MR_EXPIRED_DISCARD : MR_EXPIRED_DEAD_LETTER;
}

static enum mr_when_queue_full full_of(const char *text)
{
	static const char *const names[] = {[MR_QUEUE_FULL_WAIT] = "wait",
		[MR_QUEUE_FULL_REFUSE] = "refuse",
		[MR_QUEUE_FULL_DROP_OLDEST] = "drop-oldest",
		[MR_QUEUE_FULL_DEAD_LETTER] = "dead-letter"};

	for (size_t i = 1; text != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum mr_when_queue_full)i;
	return MR_QUEUE_FULL_DEFAULT;
}

static struct mr_queue_options queue_options(const struct push *p)
{
	struct mr_queue_options options = p->making;

	options.messages_max = p->set->limit;
	options.age_max_ms = (uint32_t)p->set->age_ms;
	options.ack_timeout_ms = (uint32_t)p->set->ack_timeout_ms;
	options.max_deliver = (uint16_t)p->set->max_deliver;
	options.when_full = full_of(p->set->when_full);
	options.when_expired = expired_of(p->set->when_expired);
	return options;
}

static int open_queue(struct push *p, const char *name)
{
	const struct settings *set = p->set;
	struct mr_push_options options = {
		.promise = mr_cli_promise(set->promise),
		.publisher = set->publisher,
		.next_id = set->first_id,
		.queue = queue_options(p),
		.key_from = set->making.key_from,
		.dead_letter = set->making.dead_letter,
		.retry.min_ms = (uint32_t)set->retry_min_ms,
		.retry.max_ms = (uint32_t)set->retry_max_ms,
		.retry.factor = (uint16_t)(set->retry_factor * 100 + 0.5),
		.retry.jitter = (uint8_t)set->retry_jitter,
		.on_outcome = on_outcome,
		.arg = p,
	};

	return mr_queue_open(p->client, name, &options, &p->queue);
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	struct push *p = arg;

	(void)error;
	mr_cli_note_state(p->cli, c, connected, "pushing");
}

static void print_outcome(const struct push *p)
{
	json_t *o = json_pack("{s:I, s:I, s:I, s:I}", "pushed", (json_int_t)p->pushed, "accepted",
		(json_int_t)p->accepted, "refused", (json_int_t)p->failed, "unanswered",
		(json_int_t)mr_queue_unaccepted(p->queue));

	if (p->message.ticket != 0)
		json_object_set_new(o, "ticket", json_integer((json_int_t)p->message.ticket));
	mr_cli_text_json_line(o);
}

static bool is_one(const struct settings *set)
{
	return set->count == 1 && !set->stdin_lines;
}

/* A single message that waits has a ticket, a new one if none was given. */
static void choose_ticket(struct push *p)
{
	const struct mr_push *m = &p->message;

	if (m->ticket == 0 && is_one(p->set) &&
		(m->delay_ms != 0 || m->at_ms != 0 || m->every_ms != 0 || m->cron != NULL))
		p->message.ticket = mr_queue_ticket(p->queue);
}

static int push_to(struct push *p, const char *name, const struct mr_cli_input *payload)
{
	struct mr_options client = {.on_state = on_state, .arg = p};
	int code = mr_cli_connect(p->cli, &client, &p->client);
	int rc;

	if (code)
		return code;
	mr_cli_catch_interrupts();
	p->progress_ns = mr_cli_now_ns();
	rc = open_queue(p, name);
	if (rc == 0) {
		choose_ticket(p);
		rc = push_all(p, payload);
	}
	if (rc == 0)
		rc = p->error;
	if (p->set->json && p->queue)
		print_outcome(p);
	if (rc == 0 && p->message.ticket != 0 && !p->set->json && !mr_cli_interrupted())
		printf("ticket %" PRIu64 "\n", p->message.ticket);
	if (rc) {
		code = fail(p, name, rc);
	} else if (mr_cli_interrupted()) {
		mr_cli_note(p->cli, "%" PRIu64 " accepted, %u not answered", p->accepted,
			mr_queue_unaccepted(p->queue));
		code = MR_EXIT_INTERRUPTED;
	}
	mr_close(p->client);
	return code;
}

static int take_times(struct push *p)
{
	p->message.ttl_ms = (uint32_t)p->set->ttl_ms;
	p->times = p->set->times;
	if (p->times.ticket != 0 && !is_one(p->set))
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--ticket", "names one message",
			"leave out --count and --stdin-lines");
	if ((p->times.every_ms != 0 || p->times.cron != NULL) && !is_one(p->set))
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--every, --cron", "repeat one message",
			"leave out --count and --stdin-lines");
	return mr_cli_times_take(p->cli, &p->times, &p->message);
}

static int prepare(struct push *p, const struct mr_cli_words *w, struct mr_cli_input *payload)
{
	const char *word = w->count > 1 ? w->at[1] : "";
	int code, rc;

	if (p->set->stdin_lines && w->count > 1)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "PAYLOAD and --stdin-lines",
			"both are given", "leave one of them out");
	if ((p->set->publisher || p->set->first_id) &&
		mr_cli_promise(p->set->promise) != MR_EXACTLY_ONCE)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--publisher, --first-id",
			"only exactly-once messages have ids", "add --promise exactly-once");
	code = mr_cli_headers_take(
		p->cli, &p->set->headers, &p->headers, p->header_memory, sizeof(p->header_memory));
	if (code)
		return code;
	p->message.headers = p->headers.bytes ? p->headers.data : NULL;
	p->message.header_bytes = p->headers.bytes;
	if (p->set->priority)
		(void)mr_cli_priority_parse(p->set->priority, &p->message.priority);
	p->message.key = p->set->key;
	code = take_times(p) ?: mr_cli_making_take(p->cli, &p->set->making, &p->making);
	if (code)
		return code;
	rc = mr_cli_input_take(payload, word);
	return rc ? mr_cli_fail_input(p->cli, rc) : MR_EXIT_OK;
}

static int run_push(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct push p = {.cli = cli, .set = settings, .name = w->at[0]};
	struct mr_cli_input payload;
	int code = prepare(&p, w, &payload);

	if (code)
		return code;
	code = push_to(&p, w->at[0], &payload);
	mr_cli_input_free(&payload);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_HEADER_OPTION("add a header; may be repeated"),
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "push the message COUNT times (default 1)"),
	MR_CLI_STDIN_LINES_OPTION("push each line of standard input as a message"),
	{.name = "priority",
		.type = MR_CLI_TEXT,
		.value = "PRIORITY",
		.offset = offsetof(struct settings, priority),
		.choices = MR_CLI_PRIORITY_CHOICES,
		.help = "0 to 9, a higher one goes first; or low (1), normal (4, the default) "
			"or high (7)"},
	{.name = "key",
		.type = MR_CLI_TEXT,
		.value = "KEY",
		.offset = offsetof(struct settings, key),
		.help = "key of the message: a queue with --policy key-shared delivers the "
			"messages of one key in order, to one consumer"},
	{.name = "delay",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, times.delay_ms),
		.min = 1,
		.max = 4294967295.0,
		.help = "deliver the message after TIME, not before"},
	{.name = "at",
		.type = MR_CLI_TEXT,
		.value = "TIME",
		.offset = offsetof(struct settings, times.at),
		.help = "deliver the message at TIME, such as 2026-12-01T08:00:00Z or "
			"2026-12-01T08:00:00+01:00"},
	{.name = "every",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, times.every_ms),
		.min = 100,
		.max = 4294967295.0,
		.help = "let the queue repeat the message each TIME, until it is cancelled"},
	{.name = "cron",
		.type = MR_CLI_TEXT,
		.value = "FIELDS",
		.offset = offsetof(struct settings, times.cron),
		.help = "let the queue repeat it by minute, hour, day of the month, month and "
			"day of the week, as crontab(5): '0 8 * * mon-fri'"},
	{.name = "tz",
		.type = MR_CLI_TEXT,
		.value = "ZONE",
		.offset = offsetof(struct settings, times.zone),
		.help = "with --cron: its clock, UTC (default), an offset such as +0100 or a name "
			"such as Europe/Berlin, with summer time"},
	{.name = "ticket",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, times.ticket),
		.min = 1,
		.max = 281474976710655.0,
		.help = "a number to cancel the message by (default: a random one, which is "
			"printed)"},
	{.name = "ttl",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, ttl_ms),
		.min = 1,
		.max = 4294967295.0,
		.help = "time to live: a message that is not acknowledged after TIME is "
			"discarded, or becomes a dead letter (--when-expired)"},
	MR_CLI_PROMISE_OPTION("best-effort, at-least-once or exactly-once (default)"),
	{.name = "publisher",
		.type = MR_CLI_TEXT,
		.value = "NAME",
		.offset = offsetof(struct settings, publisher),
		.help = "with --first-id: the publisher of the messages, the same in "
			"each run"},
	{.name = "first-id",
		.type = MR_CLI_COUNT,
		.value = "ID",
		.offset = offsetof(struct settings, first_id),
		.min = 1,
		.max = 1e15,
		.help = "with exactly-once: id of the first message (default 1)"},
	{.name = "limit",
		.type = MR_CLI_COUNT,
		.value = "COUNT",
		.offset = offsetof(struct settings, limit),
		.min = 1,
		.max = 4294967295.0,
		.help = "for a new queue: it is full with COUNT messages "
			"(default: as the bus is configured, no limit)"},
	{.name = "when-full",
		.type = MR_CLI_TEXT,
		.value = "WHAT",
		.offset = offsetof(struct settings, when_full),
		.choices = "wait|refuse|drop-oldest|dead-letter",
		.help = "for a new queue that is full: wait (pushes wait, the default), "
			"refuse, drop-oldest (the oldest of the lowest priority is "
			"discarded) or dead-letter (it becomes a dead letter)"},
	{.name = "when-expired",
		.type = MR_CLI_TEXT,
		.value = "WHAT",
		.offset = offsetof(struct settings, when_expired),
		.choices = "discard|dead-letter",
		.help = "for a new queue: a message whose time to live is over is "
			"discarded (default) or becomes a dead letter"},
	MR_CLI_MAKING_OPTIONS,
	{.name = "age",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, age_ms),
		.min = 1,
		.max = 4294967295.0,
		.help = "for a new queue: older messages become dead letters (default: none do)"},
	{.name = "ack-timeout",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, ack_timeout_ms),
		.min = 10,
		.max = 86400000,
		.help = "for a new queue: redeliver a message that is not settled after "
			"TIME (default: as the bus is configured, 30s)"},
	{.name = "max-deliver",
		.type = MR_CLI_COUNT,
		.value = "COUNT",
		.offset = offsetof(struct settings, max_deliver),
		.min = 1,
		.max = 65535,
		.help = "for a new queue: a message becomes a dead letter after COUNT "
			"delivery attempts (default: as the bus is configured, 5)"},
	{.name = "retry-min",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, retry_min_ms),
		.min = 1,
		.max = 86400000,
		.help = "for a new queue: a failed message comes back after TIME, and later "
			"each time it fails again (default: at once)"},
	{.name = "retry-max",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, retry_max_ms),
		.min = 1,
		.max = 86400000,
		.help = "with --retry-min: after TIME at most (default 1h)"},
	{.name = "retry-factor",
		.type = MR_CLI_REAL,
		.value = "N",
		.offset = offsetof(struct settings, retry_factor),
		.min = 1,
		.max = 100,
		.help = "with --retry-min: N times as late as before (default 2)"},
	{.name = "retry-jitter",
		.type = MR_CLI_COUNT,
		.value = "PERCENT",
		.offset = offsetof(struct settings, retry_jitter),
		.min = 0,
		.max = 100,
		.help = "with --retry-min: earlier by a random part of up to PERCENT (default 0)"},
	MR_CLI_JSON_OPTION("at the end, print the outcomes as a JSON object"),
	{0},
};

static const struct settings defaults = {.count = 1, .promise = "exactly-once"};

const struct mr_cli_verb mr_cli_push = {
	.name = "push",
	.summary = "push messages into a queue",
	.operands = "QUEUE [PAYLOAD|-]",
	.details = "Without PAYLOAD the message is empty. If PAYLOAD is -, it is read from\n"
		   "standard input. A queue that does not exist is created. The command ends\n"
		   "when the queue has accepted all messages, however long it is full. The exit\n"
		   "code is 1 if the queue refused a message.\n"
		   "\n"
		   "Exactly once holds within one run of this command; with --publisher and\n"
		   "--first-id it holds over several runs. With best effort the command ends\n"
		   "when the bus has taken the messages, without an answer.",
	.examples = "  millrace push jobs '{\"id\":1}'\n"
		    "  seq 1000 | millrace push jobs --stdin-lines\n"
		    "  millrace push alerts 'door open' --ttl 30s\n"
		    "  millrace push reminders tea --delay 5m --ticket 4711\n"
		    "  millrace push jobs report --cron '0 8 * * mon-fri' --tz Europe/Berlin\n"
		    "  millrace push jobs urgent --priority 9\n"
		    "  millrace push orders paid --key customer-7 --policy key-shared\n"
		    "  millrace push orders - --publisher shop --first-id 17 < order",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 2,
	.run = run_push,
};
