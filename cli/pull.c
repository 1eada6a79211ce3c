/* SPDX-License-Identifier: Apache-2.0 */
/* pull: prints the messages of a queue and acks them when they are written out, or gives them to
 * the command of a stage (stage.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/headers.h"
#include "cli/lines.h"
#include "cli/making.h"
#include "cli/options.h"
#include "cli/priority.h"
#include "cli/stage.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/units.h"

#define PROCESS_MAX 64
#define WAIT_MS_MAX 200 /* longest time until an interrupt is noticed */
#define SETTLE_MS   5000

struct settings {
	const char *command;
	struct mr_cli_words to;
	const char *ack;
	uint64_t prefetch;
	uint64_t jobs;
	uint64_t timeout_ms;
	uint64_t delay_ms;
	uint64_t count;
	uint64_t idle_exit_ms;
	bool raw;
	bool json;
	bool each_line;
	const char *tag;
	double rate;
	uint64_t prefetch_bytes;
	bool exclusive;
	uint64_t batch;
	uint64_t max_wait_ms;
	struct mr_cli_making making;
};

struct pull {
	const struct mr_cli *cli;
	const struct settings *set;
	const char *name;
	struct mr_client *client;
	struct mr_consumer *consumer;
	struct mr_cli_stage stage; /* with --exec */
	struct mr_cli_pull_count count;
	struct mr_cli_lines acks;
	bool acks_end;
	bool said;         /* that it pulls */
	uint64_t *printed; /* tags to ack when the lines are written */
	uint64_t printed_count;
};

static bool is_manual(const struct pull *p)
{
	return p->set->ack && strcmp(p->set->ack, "manual") == 0;
}

/* Printing */

static json_t *json_of(const struct mr_delivery *d, bool with_tag)
{
	json_t *o = mr_cli_message_object(&d->message);
	char tag[24];

	json_object_set_new(o, "redelivered", json_integer((json_int_t)d->redelivered));
	json_object_set_new(
		o, "priority", json_string(mr_cli_priority_text(mr_delivery_priority(d))));
	if (d->publisher)
		json_object_set_new(o, "id", json_integer((json_int_t)d->id));
	snprintf(tag, sizeof(tag), "%" PRIu64, d->tag);
	if (with_tag)
		json_object_set_new(o, "tag", json_string(tag));
	return o;
}

static void print(struct pull *p, const struct mr_delivery *d)
{
	if (p->set->json) {
		mr_cli_text_json_line(json_of(d, is_manual(p)));
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
		p->count.done += mr_ack(p->consumer, p->printed[i]) == 0;
	p->printed_count = 0;
	return true;
}

/* Rejects a message with the rest of the line as its error. */
static int nack_line(
	struct pull *p, uint64_t tag, bool requeue, uint64_t delay_ms, const char *text)
{
	text += strspn(text, " ");
	return mr_nack_error(
		p->consumer, tag, requeue, (uint32_t)delay_ms, *text != '\0' ? text : NULL);
}

/* Handles a line "ack TAG", "nack TAG [TIME [ERROR]]", "reject TAG [ERROR]" or "progress TAG". */
static void settle_line(const char *line, void *arg)
{
	struct pull *p = arg;
	char word[9], delay[24] = "0";
	unsigned long long tag;
	uint64_t delay_ms = 0;
	int rc, after_tag = 0, after_delay = 0;

	if (sscanf(line, "%8s %llu%n %23s%n", word, &tag, &after_tag, delay, &after_delay) < 2)
		rc = -EINVAL;
	else if (strcmp(word, "reject") == 0)
		rc = nack_line(p, tag, false, 0, line + after_tag);
	else if (mr_units_duration(delay, MR_UNITS_MS, &delay_ms) != 0)
		rc = -EINVAL;
	else if (strcmp(word, "ack") == 0)
		rc = mr_ack(p->consumer, tag);
	else if (strcmp(word, "nack") == 0)
		rc = nack_line(
			p, tag, true, delay_ms, line + (after_delay > 0 ? after_delay : after_tag));
	else if (strcmp(word, "progress") == 0)
		rc = mr_progress(p->consumer, tag);
	else
		rc = -EINVAL;
	p->count.done += rc == 0 && strcmp(word, "progress") != 0;
	if (rc)
		mr_cli_note(p->cli, "%s: %s", line,
			rc == -EINVAL
				? "expected: ack TAG, nack TAG [TIME [ERROR]], reject TAG [ERROR] "
				  "or progress TAG"
				: mr_error_text(rc));
}

/* Messages may come before the call that asks for them returns. The word goes before the first. */
static void say_pulling(struct pull *p)
{
	if (!p->said)
		fputs("pulling\n", stderr);
	p->said = true;
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct pull *p = arg;

	(void)c;
	say_pulling(p);
	p->count.active_ns = mr_cli_now_ns();
	if (p->set->command) {
		mr_cli_stage_take(&p->stage, d);
		return;
	}
	/* Messages beyond --count were delivered ahead; they are given back at the end. */
	if (mr_cli_pull_has_all(&p->count))
		return;
	p->count.taken++;
	print(p, d);
}

/* Loop */

/* When the connection is lost, all unsettled messages go to other consumers. */
static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	struct pull *p = arg;

	(void)error;
	mr_cli_note_state(p->cli, c, connected, "pulling");
	if (!connected)
		mr_cli_stage_lost(&p->stage);
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

	if (!mr_cli_stage_is_idle(&p->stage) || p->printed_count > 0)
		return false;
	if (mr_cli_interrupted() || p->stage.unread)
		return true;
	if (mr_cli_pull_has_all(&p->count) &&
		(!is_manual(p) || p->count.done >= p->set->count || p->acks_end))
		return true;
	return idle_ns && mr_cli_now_ns() - p->count.active_ns >= idle_ns;
}

static void wait_some(struct pull *p, int fd)
{
	if (is_manual(p) && !p->acks_end)
		p->acks_end = mr_cli_lines_wait(&p->acks, fd, WAIT_MS_MAX, settle_line, p) < 0;
	else
		mr_cli_stage_wait(&p->stage, fd, WAIT_MS_MAX);
}

static int loop(struct pull *p)
{
	int fd = mr_fd(p->client);
	int rc = fd < 0 ? fd : 0;

	p->count.active_ns = mr_cli_now_ns();
	while (rc == 0 && !has_ended(p)) {
		rc = process(p);
		mr_cli_stage_step(&p->stage);
		mr_flush(p->client);
		if (rc == 0 && !has_ended(p))
			wait_some(p, fd);
	}
	return rc;
}

/* Prints the messages of a batch, as lines or as one array. */
static void print_batch(struct pull *p, const struct mr_delivery *batch, unsigned count)
{
	json_t *list = p->set->json ? json_array() : NULL;

	for (unsigned i = 0; i < count; i++) {
		p->count.taken++;
		if (list) {
			json_array_append_new(list, json_of(&batch[i], false));
			p->printed[p->printed_count++] = batch[i].tag;
		} else {
			print(p, &batch[i]);
		}
	}
	if (list)
		mr_cli_text_json_line(list);
	p->count.active_ns = mr_cli_now_ns();
}

/* Returns how many messages the next batch may have. */
static unsigned batch_max(const struct pull *p)
{
	uint64_t left = p->set->count > 0 ? p->set->count - p->count.taken : p->set->batch;

	return (unsigned)(left < p->set->batch ? left : p->set->batch);
}

static int batch_wait_ms(const struct settings *set)
{
	bool idle_first = set->idle_exit_ms > 0 && set->idle_exit_ms < set->max_wait_ms;

	return (int)(idle_first ? set->idle_exit_ms : set->max_wait_ms);
}

/* Takes batches until the end. */
static int loop_batches(struct pull *p)
{
	struct mr_delivery *batch = calloc(p->set->batch, sizeof(*batch));
	int rc = batch ? 0 : -ENOMEM;

	p->count.active_ns = mr_cli_now_ns();
	while (rc == 0 && !has_ended(p)) {
		int n = mr_pull_batch(p->consumer, batch, batch_max(p), batch_wait_ms(p->set));

		if (n > 0)
			print_batch(p, batch, (unsigned)n);
		else if (n != -ETIMEDOUT && n != -EINTR && n != -ENOTCONN)
			rc = n;
		if (!ack_printed(p))
			rc = -EPIPE;
		mr_flush(p->client);
	}
	free(batch);
	return rc;
}

static unsigned prefetch_of(const struct settings *set)
{
	uint64_t own = set->command ? 2 * set->jobs : set->batch > 5 ? 2 * set->batch : 10;
	uint64_t prefetch = set->prefetch ? set->prefetch : own;

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
	uint64_t done = p->set->command || is_manual(p) ? p->count.done : p->count.taken;
	char text[32];

	if (mr_cli_interrupted())
		return MR_EXIT_INTERRUPTED;
	if (p->count.dead > 0 || p->count.failed > 0) {
		mr_cli_note(p->cli, "%" PRIu64 "%s done, %" PRIu64 " failed", done,
			of_count(p, text, sizeof(text)), p->count.dead + p->count.failed);
		return MR_EXIT_FAILED;
	}
	if (p->stage.unread || done >= p->set->count)
		return MR_EXIT_OK;
	mr_cli_note(p->cli, "%" PRIu64 "%s done", done, of_count(p, text, sizeof(text)));
	return MR_EXIT_TIMEOUT;
}

static int pull(struct pull *p)
{
	struct mr_consume_options options = {.prefetch = prefetch_of(p->set),
		.manual = true,
		.tag = p->set->tag,
		.rate = p->set->rate,
		.prefetch_bytes = (uint32_t)p->set->prefetch_bytes,
		.exclusive = p->set->exclusive,
		.key_from = p->set->making.key_from,
		.dead_letter = p->set->making.dead_letter};
	int code = mr_cli_making_take(p->cli, &p->set->making, &options.queue);
	int rc;

	if (code)
		return code;
	rc = mr_cli_stage_open(&p->stage, p->client);
	if (rc)
		return mr_cli_fail_call(p->cli, p->client, rc, p->stage.opening);
	/* Up to this many lines may be printed before their messages are acked. */
	p->printed = calloc(2 * options.prefetch + PROCESS_MAX, sizeof(*p->printed));
	if (!p->printed)
		return mr_cli_fail_call(p->cli, NULL, -ENOMEM, "start");
	rc = mr_consume(
		p->client, p->name, &options, p->set->batch ? NULL : on_delivery, p, &p->consumer);
	if (rc)
		return mr_cli_fail_call(p->cli, p->client, rc, p->name);
	say_pulling(p);
	if (p->set->command)
		mr_cli_stage_begin(&p->stage, p->consumer);
	rc = p->set->batch ? loop_batches(p) : loop(p);
	code = rc && rc != -EPIPE ? mr_cli_fail_call(p->cli, p->client, rc, p->name) : MR_EXIT_OK;
	mr_consumer_close(p->consumer);
	mr_drain(p->client, SETTLE_MS);
	return code ? code : outcome(p);
}

static int check(const struct pull *p)
{
	const struct settings *set = p->set;

	if (set->to.count > 0 && !set->command)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--to", "there is no output to push",
			"add --exec COMMAND; --exec cat passes messages on");
	if (set->to.count > MR_CLI_STAGE_TO_MAX)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--to", "more than 16 queues", NULL);
	if (set->each_line && set->to.count == 0)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--each-line",
			"there is no queue for the lines", "add --to QUEUE");
	if (set->command && is_manual(p))
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--ack manual",
			"with --exec the exit status decides", "leave one of them out");
	if (set->batch && (set->command || is_manual(p)))
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--batch",
			"takes neither --exec nor --ack manual",
			"a batch is acknowledged when it is written");
	if (set->batch && set->prefetch && set->prefetch < set->batch)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--batch",
			"is larger than --prefetch, so it would never be full",
			"raise --prefetch, or leave it out");
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
	p->count.wanted = p->set->count;
	p->stage = (struct mr_cli_stage){.cli = cli,
		.count = &p->count,
		.from = p->name,
		.to = &p->set->to,
		.each_line = p->set->each_line,
		.delay_ms = p->set->delay_ms};
	code = check(p);
	if (code)
		return code;
	if (mr_cli_stage_init(
		    &p->stage, p->set->command, (unsigned)p->set->jobs, p->set->timeout_ms) != 0)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", strerror(ENOMEM), NULL);
	code = mr_cli_connect(cli, &options, &p->client);
	if (code == MR_EXIT_OK) {
		mr_cli_catch_interrupts();
		code = pull(p);
		mr_close(p->client);
	}
	mr_cli_stage_fini(&p->stage);
	free(p->printed);
	return code;
}

static const struct mr_cli_option options_[] = {
	MR_CLI_PREFETCH_OPTION("take at most N messages that are not settled (default 10; with "
			       "--exec twice the jobs)"),
	{.name = "prefetch-bytes",
		.type = MR_CLI_BYTES,
		.value = "SIZE",
		.offset = offsetof(struct settings, prefetch_bytes),
		.min = 1,
		.max = UINT32_MAX,
		.help = "take no more while unsettled messages have SIZE or more; one always "
			"goes"},
	{.name = "rate",
		.type = MR_CLI_REAL,
		.value = "N",
		.offset = offsetof(struct settings, rate),
		.min = 0.001,
		.max = 1e6,
		.help = "take at most N messages a second"},
	{.name = "tag",
		.type = MR_CLI_TEXT,
		.value = "TAG",
		.offset = offsetof(struct settings, tag),
		.help = "name of this consumer for lists, up to 64 characters"},
	{.name = "exclusive",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, exclusive),
		.help = "one consumer of the queue gets all messages; this one may stand by"},
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
	{.name = "batch",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, batch),
		.min = 1,
		.max = 10000,
		.help = "print messages when N are there, or after --max-wait; --json: as one "
			"array"},
	{.name = "max-wait",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, max_wait_ms),
		.min = 1,
		.max = 3600000,
		.help = "with --batch: longest wait for N messages (default 1s)"},
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
		.type = MR_CLI_WORDS,
		.value = "QUEUE",
		.offset = offsetof(struct settings, to),
		.help = "with --exec: push the output of the command into QUEUE; may be repeated"},
	{.name = "each-line",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, each_line),
		.help = "with --to: push each line of the output as a message of its own"},
	MR_CLI_JOBS_OPTION("with --exec: run at most N commands at once (default 1)"),
	MR_CLI_TIMEOUT_OPTION("with --exec: kill the command after TIME (default 25s)"),
	{.name = "delay",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, delay_ms),
		.min = 0,
		.max = 86400000,
		.help = "with --exec: redeliver a failed message after TIME (default: as the "
			"queue says by retry_min, else 100ms)"},
	MR_CLI_MAKING_OPTIONS,
	MR_CLI_RAW_OPTION("print only payloads, unchanged, each followed by a newline"),
	MR_CLI_JSON_OPTION("print one JSON object per line"),
	{0},
};

static const struct settings defaults = {
	.jobs = 1, .timeout_ms = 25000, .delay_ms = MR_CLI_STAGE_DELAY_NONE, .max_wait_ms = 1000};

const struct mr_cli_verb mr_cli_pull = {
	.name = "pull",
	.summary = "pull messages from a queue",
	.operands = "QUEUE",
	.details = "Prints each message on a line, and acknowledges it when the line is written.\n"
		   "With --ack manual each line starts with a tag, and standard input settles\n"
		   "the messages:\n"
		   "\n"
		   "ack TAG                  the message is done\n"
		   "nack TAG [TIME [ERROR]]  redeliver the message, after TIME if given; 0: as\n"
		   "                         the queue says\n"
		   "reject TAG [ERROR]       the message becomes a dead letter\n"
		   "progress TAG             the ack time-out of the message begins anew\n"
		   "\n"
		   "An ERROR stays with the message, in its header Millrace-Error.\n"
		   "\n"
		   "With --batch it waits for N messages, at most --max-wait, prints them\n"
		   "together and acknowledges them together.\n"
		   "\n"
		   "--tag names this consumer: `millrace queue consumers QUEUE` shows it, and\n"
		   "`millrace queue pause QUEUE --consumer TAG` pauses it. With --exclusive one\n"
		   "consumer gets all messages; the others stand by, and when it ends the one\n"
		   "that came next takes over. --rate and --prefetch-bytes limit what it gets.\n"
		   "\n"
		   "With --exec a command gets each message on standard input. It finds the\n"
		   "queue in MILLRACE_QUEUE, and in MILLRACE_REDELIVERED how often the message\n"
		   "was delivered before. If the command succeeds, its output is printed, or\n"
		   "pushed into the queues of --to with the headers of the message. The message\n"
		   "is acknowledged only when each of them has accepted its output. If the\n"
		   "command fails, the message is redelivered, and finally becomes a dead\n"
		   "letter. Its header Millrace-Error has the exit status and the last line of\n"
		   "standard error. A message that was pushed exactly once is passed on exactly\n"
		   "once, if the command makes the same output of it each time. At most 64\n"
		   "messages may come of one.\n"
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
		    "  millrace pull jobs --batch 100 --max-wait 500ms --json\n"
		    "  millrace pull ledger --exclusive --tag ledger-1\n"
		    "  millrace pull raw --exec ./cook --to cooked --jobs 4\n"
		    "  millrace pull orders --exec ./parts --to stock --to bills --each-line\n"
		    "  millrace pull jobs --exec 'curl -fsS -d @- http://localhost' --idle-exit 1s",
	.options = options_,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 1,
	.run = run_pull,
};
