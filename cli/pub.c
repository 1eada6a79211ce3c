/* SPDX-License-Identifier: Apache-2.0 */
/* pub, request: messages from the command line or from standard input. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/millrace.h"
#include "cli/feed.h"
#include "cli/headers.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/template.h"
#include "cli/text.h"
#include "cli/verbs.h"

#define DRAIN_MS 5000
/* Longest time until an interrupt is noticed. */
#define WAIT_MS 200
/* Longest sleep between two looks at the client, while the next message is not due. */
#define NAP_NS 20000000u

struct settings {
	struct mr_cli_words headers;
	const char *promise;
	uint64_t count;
	uint64_t timeout_ms;
	uint64_t replies; /* wanted for each request; 0: all that come in time */
	uint64_t stall_ms;
	uint64_t sleep_ms;
	double rate; /* messages per second; 0: as fast as possible */
	bool stdin_lines;
	bool template;
	bool json;
	bool raw;
};

/* A header block and a payload, ready to be sent. */
struct outgoing {
	struct mr_publisher *promised; /* NULL: best effort */
	char header_memory[16384];
	struct mr_headers headers;
	struct mr_cli_input payload;
	struct mr_cli_template template;
	uint64_t number;   /* messages so far */
	uint64_t begun_ns; /* time of the first; the rate counts from it */
};

static int prepare(const struct mr_cli *cli, const struct settings *set, const char *payload,
	struct outgoing *out)
{
	int code, rc;

	out->number = 0;
	out->begun_ns = 0;
	code = mr_cli_headers_take(
		cli, &set->headers, &out->headers, out->header_memory, sizeof(out->header_memory));
	if (code)
		return code;
	rc = mr_cli_input_take(&out->payload, payload);
	return rc ? mr_cli_fail_input(cli, rc) : MR_EXIT_OK;
}

/* Waits until the bus has accepted all promised messages, however long full receivers delay
 * that. */
static int settle(struct mr_client *c)
{
	int rc;

	do
		rc = mr_settle(c, WAIT_MS);
	while ((rc == -ETIMEDOUT || rc == -ENOTCONN || rc == -EINTR) && !mr_cli_interrupted());
	return mr_cli_interrupted() ? 0 : rc;
}

static int publish_promised(
	struct mr_client *c, const struct outgoing *out, const void *payload, size_t bytes)
{
	const char *headers = out->headers.bytes ? out->headers.data : NULL;
	int rc;

	do {
		rc = mr_publisher_send_with(
			out->promised, headers, out->headers.bytes, payload, bytes);
		if (rc == -ENOTCONN)
			mr_wait(c, WAIT_MS);
		else if (rc != -EAGAIN)
			return rc;
		rc = rc == -EAGAIN ? settle(c) : 0;
	} while (rc == 0 && !mr_cli_interrupted());
	return rc;
}

/* Publishes with best effort. While the bus is away, the library keeps messages up to its limit;
 * then this waits. */
static int publish_plain(struct mr_client *c, const char *subject, const struct outgoing *out,
	const void *payload, size_t bytes)
{
	const char *headers = out->headers.bytes ? out->headers.data : NULL;
	int rc;

	while ((rc = mr_publish_with(c, subject, headers, out->headers.bytes, payload, bytes)) ==
			-ENOTCONN &&
		!mr_cli_interrupted())
		mr_wait(c, WAIT_MS);
	return rc;
}

static int publish(struct mr_client *c, const char *subject, const struct outgoing *out,
	const void *payload, size_t bytes)
{
	if (out->promised != NULL)
		return publish_promised(c, out, payload, bytes);
	return publish_plain(c, subject, out, payload, bytes);
}

/* Returns the time of the next message: its place in the rate, or a pause behind the one before. A
 * publisher that is late catches up. */
static uint64_t due_ns(const struct settings *set, const struct outgoing *out, uint64_t now_ns)
{
	if (out->number == 0)
		return now_ns;
	if (set->sleep_ms > 0)
		return now_ns + set->sleep_ms * 1000000u;
	return out->begun_ns + (uint64_t)((double)out->number / set->rate * 1e9);
}

/* Waits for the next message's time, and processes the client meanwhile. */
static void pace(struct mr_client *c, const struct settings *set, struct outgoing *out)
{
	uint64_t now_ns = mr_cli_now_ns();
	uint64_t until_ns = due_ns(set, out, now_ns);

	if (out->number == 0)
		out->begun_ns = now_ns;
	for (; now_ns < until_ns && !mr_cli_interrupted(); now_ns = mr_cli_now_ns()) {
		uint64_t left_ns = until_ns - now_ns;
		struct timespec nap = {.tv_nsec = (long)(left_ns < NAP_NS ? left_ns : NAP_NS)};

		nanosleep(&nap, NULL);
		mr_wait(c, 0);
	}
}

/* Publishes one message, in its time and with its placeholders. */
static int publish_next(struct mr_client *c, const struct settings *set, const char *subject,
	struct outgoing *out, const void *payload, size_t bytes)
{
	int rc;

	if (set->rate > 0 || set->sleep_ms > 0)
		pace(c, set, out);
	if (mr_cli_interrupted())
		return 0;
	out->number++;
	if (!set->template)
		return publish(c, subject, out, payload, bytes);
	rc = mr_cli_template_expand(&out->template, payload, bytes, out->number, mr_cli_date_ns());
	return rc ? rc : publish(c, subject, out, out->template.data, out->template.bytes);
}

static int publish_lines(
	struct mr_client *c, const struct settings *set, const char *subject, struct outgoing *out)
{
	struct mr_cli_feed feed = {.client = c};
	const char *line;
	size_t bytes;
	int rc;

	while ((rc = mr_cli_feed_line(&feed, &line, &bytes)) > 0) {
		rc = 0;
		for (uint64_t i = 0; i < set->count && rc == 0 && !mr_cli_interrupted(); i++)
			rc = publish_next(c, set, subject, out, line, bytes);
		if (rc != 0 || mr_cli_interrupted())
			break;
	}
	mr_cli_feed_free(&feed);
	return rc;
}

static int publish_all(
	struct mr_client *c, const struct settings *set, const char *subject, struct outgoing *out)
{
	int rc = 0;

	if (set->stdin_lines) {
		rc = publish_lines(c, set, subject, out);
	} else {
		mr_cork(c, set->count > 1 && set->rate <= 0 && set->sleep_ms == 0);
		for (uint64_t i = 0; i < set->count && rc == 0 && !mr_cli_interrupted(); i++)
			rc = publish_next(
				c, set, subject, out, out->payload.data, out->payload.bytes);
	}
	/* A promised message is done when the bus has accepted it. */
	if (rc == 0 && out->promised != NULL)
		return settle(c);
	return rc ? rc : mr_drain(c, DRAIN_MS);
}

static int refuse_template(const struct mr_cli *cli, const struct outgoing *out)
{
	return mr_cli_fail(cli, MR_EXIT_USAGE, out->template.error, "no such placeholder",
		"expected {{count}}, {{time}} or {{random N}}, N from 1 to 65536");
}

/* Expands the payload once, so that a mistake is found before anything is sent. */
static int check_template(const struct mr_cli *cli, struct outgoing *out)
{
	int rc = mr_cli_template_expand(
		&out->template, out->payload.data, out->payload.bytes, 1, mr_cli_date_ns());

	if (rc == -EINVAL)
		return refuse_template(cli, out);
	return rc ? mr_cli_fail_call(cli, NULL, rc, "payload") : MR_EXIT_OK;
}

static int open_publisher(
	struct mr_client *c, const struct settings *set, const char *subject, struct outgoing *out)
{
	const struct mr_publisher_options options = {.promise = mr_cli_promise(set->promise)};

	out->promised = NULL;
	if (options.promise == MR_BEST_EFFORT)
		return 0;
	return mr_publisher_open_with(c, subject, &options, &out->promised);
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	(void)error;
	mr_cli_note_state(arg, c, connected, "publishing");
}

/* Says what became of the messages, on standard output if --json asks for it. */
static int conclude(const struct mr_cli *cli, const struct settings *set, const struct mr_client *c,
	uint64_t published)
{
	struct mr_client_stats stats;

	mr_client_stats(c, &stats);
	if (set->json)
		mr_cli_text_json_line(json_pack("{s:I, s:I}", "published", (json_int_t)published,
			"lost", (json_int_t)stats.lost));
	if (mr_cli_interrupted())
		return MR_EXIT_INTERRUPTED;
	if (stats.lost == 0)
		return MR_EXIT_OK;
	mr_cli_note(cli,
		"%" PRIu64 " messages were lost with a connection; --promise prevents that",
		stats.lost);
	return MR_EXIT_FAILED;
}

static int run_pub(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct mr_options options = {.on_state = on_state};
	const struct settings *set = settings;
	const char *payload = w->count > 1 ? w->at[1] : "";
	struct outgoing out;
	struct mr_client *c;
	int code, rc;

	if (set->stdin_lines && w->count > 1)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "PAYLOAD and --stdin-lines",
			"both are given", "leave one of them out");
	if (set->rate > 0 && set->sleep_ms > 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--rate and --sleep", "both are given",
			"leave one of them out");
	code = prepare(cli, set, payload, &out);
	mr_cli_template_init(&out.template, mr_cli_now_ns() ^ (uint64_t)getpid() << 40);
	if (code)
		return code;
	if (set->template)
		code = check_template(cli, &out);
	if (code)
		goto free_payload;
	options.arg = (void *)(uintptr_t)cli;
	code = mr_cli_connect(cli, &options, &c);
	if (code == MR_EXIT_OK) {
		mr_cli_catch_interrupts();
		rc = open_publisher(c, set, w->at[0], &out);
		if (rc == 0)
			rc = publish_all(c, set, w->at[0], &out);
		if (rc == -EINVAL && out.template.error[0] != '\0')
			code = refuse_template(cli, &out);
		else if (rc)
			code = mr_cli_fail_call(cli, c, rc, w->at[0]);
		else
			code = conclude(cli, set, c, out.number);
		mr_close(c);
	}
free_payload:
	mr_cli_template_free(&out.template);
	mr_cli_input_free(&out.payload);
	return code;
}

static void print_reply(const struct settings *set, const struct mr_message *reply)
{
	if (set->json) {
		mr_cli_message_json(reply);
	} else if (set->raw) {
		fwrite(reply->payload, 1, reply->payload_bytes, stdout);
	} else {
		mr_cli_message_print(reply, false);
	}
}

static void on_reply(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c;
	(void)error;
	print_reply(arg, reply);
}

/* Fails if fewer replies than wanted came. */
static int check_replies(
	const struct mr_cli *cli, const struct settings *set, const char *subject, uint64_t count)
{
	char text[64];

	if (count >= set->replies)
		return MR_EXIT_OK;
	snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " replies came in time", count,
		set->replies);
	return mr_cli_fail(cli, MR_EXIT_TIMEOUT, subject, text,
		"wait longer with --timeout, or accept fewer: --replies 0");
}

static int request_many(const struct mr_cli *cli, struct mr_client *c, const struct settings *set,
	const char *subject, const struct outgoing *out)
{
	const struct mr_request_many_options options = {
		.replies_max = (unsigned)set->replies,
		.timeout_ms = (unsigned)set->timeout_ms,
		.stall_ms = (unsigned)set->stall_ms,
		.headers = out->headers.bytes ? out->headers.data : NULL,
		.header_bytes = out->headers.bytes,
	};
	int rc = mr_request_many(c, subject, out->payload.data, out->payload.bytes, &options,
		on_reply, (void *)(uintptr_t)set);

	if (rc < 0)
		return mr_cli_fail_call(cli, c, rc, subject);
	return check_replies(cli, set, subject, (uint64_t)rc);
}

static int request_one(const struct mr_cli *cli, struct mr_client *c, const struct settings *set,
	const char *subject, const struct outgoing *out)
{
	struct mr_message reply;
	int rc = mr_request_with(c, subject, out->headers.bytes ? out->headers.data : NULL,
		out->headers.bytes, out->payload.data, out->payload.bytes, (int)set->timeout_ms,
		&reply);

	if (rc)
		return mr_cli_fail_call(cli, c, rc, subject);
	print_reply(set, &reply);
	return MR_EXIT_OK;
}

static int request(const struct mr_cli *cli, const struct settings *set, const char *subject,
	const struct outgoing *out)
{
	bool one = set->replies == 1 && set->stall_ms == 0;
	struct mr_client *c;
	int code = mr_cli_connect(cli, NULL, &c);

	if (code)
		return code;
	for (uint64_t i = 0; code == MR_EXIT_OK && i < set->count; i++) {
		code = one ? request_one(cli, c, set, subject, out)
			   : request_many(cli, c, set, subject, out);
		if (!mr_cli_flush())
			break;
	}
	mr_close(c);
	return code;
}

static int run_request(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct outgoing out;
	int code = prepare(cli, set, w->count > 1 ? w->at[1] : "", &out);

	if (code)
		return code;
	code = request(cli, set, w->at[0], &out);
	mr_cli_input_free(&out.payload);
	return code;
}

static const struct mr_cli_option pub_options[] = {
	MR_CLI_HEADER_OPTION("add a header; may be repeated"),
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "publish the message COUNT times (default 1)"),
	MR_CLI_STDIN_LINES_OPTION("publish each line of standard input as a message"),
	{.name = "rate",
		.type = MR_CLI_REAL,
		.value = "N",
		.offset = offsetof(struct settings, rate),
		.min = 0.001,
		.max = 1e7,
		.help = "publish N messages per second (default: as fast as possible)"},
	{.name = "sleep",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, sleep_ms),
		.min = 1,
		.max = 86400000,
		.help = "wait TIME between two messages"},
	{.name = "template",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, template),
		.help = "replace {{count}}, {{time}} and {{random N}} in payloads"},
	MR_CLI_PROMISE_OPTION("best-effort (default), at-least-once or exactly-once"),
	MR_CLI_JSON_OPTION("at the end, print how many were published and lost as a JSON object"),
	{0},
};

static const struct mr_cli_option request_options[] = {
	MR_CLI_HEADER_OPTION("add a header; may be repeated"),
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "send the request COUNT times (default 1)"),
	MR_CLI_TIMEOUT_OPTION("wait TIME for the reply, or for all replies (default 5s)"),
	{.name = "replies",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, replies),
		.min = 0,
		.max = 1000000,
		.help = "print N replies of several responders; 0: all that come in time "
			"(default 1)"},
	{.name = "stall",
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, stall_ms),
		.min = 1,
		.max = 86400000,
		.help = "end when no further reply comes for TIME (default: only "
			"--timeout ends it)"},
	MR_CLI_RAW_OPTION("print only the payload of the reply, unchanged"),
	MR_CLI_JSON_OPTION("print the reply as a JSON object"),
	{0},
};

static const struct settings defaults = {.count = 1, .timeout_ms = 5000, .replies = 1};

const struct mr_cli_verb mr_cli_pub = {
	.name = "pub",
	.summary = "publish a message",
	.operands = "SUBJECT [PAYLOAD|-]",
	.details = "Without PAYLOAD the message is empty. If PAYLOAD is -, it is read from\n"
		   "standard input. The command ends when the bus has taken all messages.\n"
		   "\n"
		   "With --promise at-least-once or exactly-once the message waits for full\n"
		   "receivers that subscribed with a promise; best effort passes them by. While\n"
		   "the bus is away, lines wait for it. The exit code is 1 if messages were lost\n"
		   "with the bus.",
	.examples = "  millrace pub orders.eu.created '{\"id\":1}' -H trace:abc\n"
		    "  millrace pub blobs.photo - < photo.jpeg\n"
		    "  tail -f app.log | millrace pub logs.app --stdin-lines\n"
		    "  millrace pub load 'n={{count}} {{time}}' --template -n 1k --rate 50",
	.options = pub_options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 2,
	.run = run_pub,
};

const struct mr_cli_verb mr_cli_request = {
	.name = "request",
	.summary = "send a request and print the reply",
	.operands = "SUBJECT [PAYLOAD|-]",
	.details = "Prints the first reply on one line. The exit code is 5, at once, if nobody\n"
		   "subscribes to SUBJECT, and 4 if no reply comes in time.\n"
		   "\n"
		   "With --replies it prints the replies of several responders, a line each. The\n"
		   "exit code is 4 if fewer than N came.",
	.examples = "  millrace request time.now\n"
		    "  millrace request who.is.there --replies 0 --stall 200ms\n"
		    "  millrace request sum '{\"a\":1,\"b\":2}' --timeout 500 --json",
	.options = request_options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 2,
	.run = run_request,
};
