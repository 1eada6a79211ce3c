/* SPDX-License-Identifier: Apache-2.0 */
/* reply: answers requests with a text, with their own payload, or with the output of a command. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/exec.h"
#include "cli/headers.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/wildcard.h"

#define WAIT_MS_MAX 200 /* longest time until an interrupt is noticed */
#define DRAIN_MS    2000

struct settings {
	const char *command;
	const char *group;
	struct mr_cli_words headers;
	uint64_t count;
	uint64_t timeout_ms;
	bool echo;
	bool verbose;
	bool json;
};

struct reply {
	const struct mr_cli *cli;
	const struct settings *set;
	struct mr_cli_input text;
	struct mr_headers headers;
	uint64_t answered;
	int error; /* error of the last reply that could not be sent */
	char header_memory[4096];
	char made[MR_BODY_BYTES]; /* output of the command */
};

static int send_reply(struct reply *r, struct mr_client *c, const struct mr_message *m,
	const struct mr_headers *headers, const void *payload, size_t bytes)
{
	return mr_reply_with(c, m->reply_token, headers->bytes ? headers->data : NULL,
		       headers->bytes, payload, bytes)
		       ?: (r->answered++, 0);
}

/* Replies; a header tells the exit status of a command that failed. */
static int reply_with_status(
	struct reply *r, struct mr_client *c, const struct mr_message *m, int status, size_t bytes)
{
	char memory[sizeof(r->header_memory) + 64];
	struct mr_headers headers;
	const char *bad;
	char text[16];
	int rc;

	if (status == 0)
		return send_reply(r, c, m, &r->headers, r->made, bytes);
	snprintf(text, sizeof(text), "%d", status);
	mr_headers_init(&headers, memory, sizeof(memory));
	rc = mr_cli_headers_make(&headers, &r->set->headers, &bad);
	rc = rc ? rc : mr_headers_add(&headers, "Exit-Status", text);
	return rc ? rc : send_reply(r, c, m, &headers, r->made, bytes);
}

static int reply_by_command(struct reply *r, struct mr_client *c, const struct mr_message *m)
{
	char subject[sizeof("MILLRACE_SUBJECT=") + MR_SUBJECT_BYTES];
	const char *environment[] = {subject, NULL};
	struct mr_cli_exec e = {.command = r->set->command,
		.environment = environment,
		.in = m->payload,
		.in_bytes = m->payload_bytes,
		.out = r->made,
		.out_capacity = sizeof(r->made) - sizeof(r->header_memory) - 64,
		.timeout_ms = r->set->timeout_ms};
	int rc;

	snprintf(subject, sizeof(subject), "MILLRACE_SUBJECT=%.*s", (int)m->subject_bytes,
		m->subject);
	rc = mr_cli_exec_run(&e);
	if (rc) {
		mr_cli_note(r->cli, "%s: %s", r->set->command, strerror(-rc));
		/* Reply at once, so that the requester does not wait for its time-out. */
		return reply_with_status(r, c, m, rc == -ETIMEDOUT ? 124 : 126, 0);
	}
	return reply_with_status(r, c, m, e.status, e.out_bytes);
}

static void on_request(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct reply *r = arg;
	int rc;

	if (!m->wants_reply || (r->set->count && r->answered >= r->set->count))
		return;
	if (r->set->verbose)
		mr_cli_note(r->cli, "%.*s: %zu bytes", (int)m->subject_bytes, m->subject,
			m->payload_bytes);
	if (r->set->command)
		rc = reply_by_command(r, c, m);
	else if (r->set->echo)
		rc = send_reply(r, c, m, &r->headers, m->payload, m->payload_bytes);
	else
		rc = send_reply(r, c, m, &r->headers, r->text.data, r->text.bytes);
	if (rc)
		r->error = rc;
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	const struct reply *r = arg;

	(void)error;
	mr_cli_note_state(r->cli, c, connected, "subscribed");
}

static int serve(struct reply *r, struct mr_client *c)
{
	while (r->set->count == 0 || r->answered < r->set->count) {
		int rc;

		if (mr_cli_interrupted())
			return MR_EXIT_INTERRUPTED;
		rc = mr_wait(c, WAIT_MS_MAX);
		if (rc < 0 && rc != -ENOTCONN && rc != -EINTR)
			return mr_cli_fail_call(r->cli, c, rc, "receive");
		if (r->error && r->error != -ENOTCONN)
			mr_cli_note(r->cli, "a reply was not sent: %s", mr_error_text(r->error));
		r->error = 0;
	}
	mr_drain(c, DRAIN_MS);
	return MR_EXIT_OK;
}

static int serve_subject(struct reply *r, const char *subject)
{
	struct mr_options options = {.on_state = on_state, .arg = r};
	struct mr_subscribe_options how = {.group = r->set->group};
	struct mr_subscription *subscription;
	struct mr_client *c;
	int code = mr_cli_connect(r->cli, &options, &c);
	int rc;

	if (code)
		return code;
	mr_cli_catch_interrupts();
	rc = mr_subscribe(c, subject, &how, on_request, r, &subscription);
	if (rc) {
		code = mr_cli_fail_call(r->cli, c, rc, subject);
	} else {
		mr_cli_wildcard_note(r->cli, subject, false);
		fputs("subscribed\n", stderr);
		code = serve(r, c);
		if (r->set->json && (code == MR_EXIT_OK || code == MR_EXIT_INTERRUPTED))
			mr_cli_text_json_count("answered", r->answered);
	}
	mr_close(c);
	return code;
}

static int prepare(struct reply *r, const struct mr_cli_words *w)
{
	const struct settings *set = r->set;
	unsigned ways = (set->command != NULL) + set->echo + (w->count > 1);
	int code, rc;

	if (ways != 1)
		return mr_cli_fail(r->cli, MR_EXIT_USAGE, w->at[0], "there is no answer",
			"give exactly one of PAYLOAD, --exec and --echo");
	code = mr_cli_headers_take(
		r->cli, &set->headers, &r->headers, r->header_memory, sizeof(r->header_memory));
	if (code)
		return code;
	rc = mr_cli_input_take(&r->text, w->count > 1 ? w->at[1] : "");
	return rc ? mr_cli_fail_input(r->cli, rc) : MR_EXIT_OK;
}

static int run_reply(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct reply *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", strerror(ENOMEM), NULL);
	r->cli = cli;
	r->set = settings;
	code = prepare(r, w);
	if (code == MR_EXIT_OK)
		code = serve_subject(r, w->at[0]);
	mr_cli_input_free(&r->text);
	free(r);
	return code;
}

static const struct mr_cli_option options_[] = {
	MR_CLI_EXEC_OPTION("run COMMAND with sh for each request: standard input is the "
			   "request, the output is the reply"),
	MR_CLI_ECHO_OPTION("answer with the payload of the request"),
	MR_CLI_GROUP_OPTION("join a queue group: each request goes to one member"),
	MR_CLI_HEADER_OPTION("add a header to each reply; may be repeated"),
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "stop after COUNT replies (default: never)"),
	MR_CLI_TIMEOUT_OPTION("kill the command after TIME (default 10s)"),
	MR_CLI_VERBOSE_OPTION("report each request on standard error"),
	MR_CLI_JSON_OPTION("at the end, print how many were answered as a JSON object"),
	{0},
};

static const struct settings defaults = {.timeout_ms = 10000};

const struct mr_cli_verb mr_cli_reply = {
	.name = "reply",
	.summary = "answer requests",
	.operands = "SUBJECT [PAYLOAD|-]",
	.details = "Answers each request with PAYLOAD, with the payload of the request (--echo),\n"
		   "or with the output of a command (--exec). The command finds the subject in\n"
		   "MILLRACE_SUBJECT. If the command fails, the reply carries its exit status in\n"
		   "the header Exit-Status (124 if it took too long).\n"
		   "\n"
		   "Standard error shows \"subscribed\" as soon as requests are answered.",
	.examples = "  millrace reply greet 'hello'\n"
		    "  millrace reply 'upper.*' --exec 'tr a-z A-Z' --group upper\n"
		    "  millrace reply echo --echo -n 100",
	.options = options_,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 2,
	.run = run_reply,
};
