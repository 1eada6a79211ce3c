/* SPDX-License-Identifier: Apache-2.0 */
/* call: calls a service, and prints its replies when they come. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/feed.h"
#include "cli/headers.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/verbs.h"

#define WAIT_MS_MAX 200 /* longest time until an interrupt is noticed */

struct settings {
	struct mr_cli_words headers;
	uint64_t count;
	uint64_t timeout_ms;
	uint64_t retries;
	bool stream;
	bool json;
	bool raw;
	bool wait;
};

struct call {
	const struct mr_cli *cli;
	const struct settings *set;
	const char *service;
	struct mr_client *client;
	struct mr_headers headers;
	struct mr_cli_input payload;
	bool done;
	int error;
	char header_memory[16384];
};

static const struct {
	int error;
	const char *why;
	const char *hint;
} texts[] = {
	{-ETIMEDOUT, "no reply in the time given", "give more with --timeout"},
	{-EHOSTUNREACH, "nobody serves it",
		"start a worker with `millrace serve`, or wait for one with --wait"},
	{-EREMOTEIO, "its worker failed, or died with the request", NULL},
	{-ECONNABORTED, "the circuit is open: the service failed too often", "try again later"},
	{-EBUSY, "too many calls wait already", "start more workers"},
	{0, NULL, NULL},
};

static int fail(const struct call *k, int error)
{
	unsigned i = 0;

	while (texts[i].error && texts[i].error != error)
		i++;
	if (error == -ETIMEDOUT && k->set->wait)
		return mr_cli_fail(k->cli, MR_EXIT_TIMEOUT, k->service,
			"no worker, or no reply, in the time given", "give more with --timeout");
	if (!texts[i].error)
		return mr_cli_fail_call(k->cli, NULL, error, k->service);
	return mr_cli_fail(k->cli,
		error == -ETIMEDOUT      ? MR_EXIT_TIMEOUT
		: error == -EHOSTUNREACH ? MR_EXIT_NO_RESPONDERS
					 : MR_EXIT_FAILED,
		k->service, texts[i].why, texts[i].hint);
}

static void on_reply(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct call *k = arg;

	(void)c, (void)correlation;
	k->done = !more;
	k->error = error;
	if (!reply)
		return;
	if (k->set->json)
		mr_cli_message_json(reply);
	else if (k->set->raw)
		fwrite(reply->payload, 1, reply->payload_bytes, stdout);
	else
		mr_cli_message_print(reply, false);
	mr_cli_flush();
}

static struct mr_call_options options_of(const struct call *k)
{
	return (struct mr_call_options){
		.timeout_ms = (int)k->set->timeout_ms,
		.wait = k->set->wait,
		.retries = k->set->retries ? (unsigned)k->set->retries : MR_NO_RETRIES,
		.headers = k->headers.bytes ? k->headers.data : NULL,
		.header_bytes = k->headers.bytes,
	};
}

/* Waits until the call is done. Returns 0 or an exit code. */
static int await(struct call *k)
{
	while (!k->done) {
		if (mr_cli_interrupted())
			return MR_EXIT_INTERRUPTED;
		/* Ignore errors of the connection here: the call gets them too. */
		mr_wait(k->client, WAIT_MS_MAX);
	}
	return k->error ? fail(k, k->error) : MR_EXIT_OK;
}

static int call_once(struct call *k)
{
	struct mr_call_options options = options_of(k);
	int rc;

	k->done = false;
	rc = mr_call_async(
		k->client, k->service, k->payload.data, k->payload.bytes, &options, on_reply, k);
	return rc ? mr_cli_fail_call(k->cli, k->client, rc, k->service) : await(k);
}

static int send_part(struct call *k, struct mr_stream *s, const void *data, size_t bytes, bool more)
{
	int rc;

	while ((rc = mr_stream_send(s, data, bytes, more)) == -EAGAIN && !k->done) {
		if (mr_cli_interrupted())
			return -EINTR;
		mr_wait(k->client, WAIT_MS_MAX);
	}
	return rc;
}

/* Sends standard input, line by line. Stops early if the worker has already answered. */
static int send_lines(struct call *k, struct mr_stream *s)
{
	struct mr_cli_feed feed = {.client = k->client, .stop = &k->done};
	const char *line;
	size_t bytes;
	int rc;

	while ((rc = mr_cli_feed_line(&feed, &line, &bytes)) > 0) {
		rc = send_part(k, s, line, bytes, true);
		if (rc != 0)
			break;
	}
	mr_cli_feed_free(&feed);
	return rc ? rc : send_part(k, s, "", 0, false);
}

static int call_stream(struct call *k)
{
	struct mr_call_options options = options_of(k);
	struct mr_stream *s;
	int rc, code;

	rc = mr_stream_open(k->client, k->service, k->payload.data, k->payload.bytes, &options,
		on_reply, k, &s);
	if (rc)
		return mr_cli_fail_call(k->cli, k->client, rc, k->service);
	rc = send_lines(k, s);
	if (rc && !k->done && rc != -EINTR && rc != -ENOTCONN)
		code = mr_cli_fail_call(k->cli, k->client, rc, k->service);
	else
		code = await(k);
	mr_stream_close(s);
	return code;
}

static int call_all(struct call *k)
{
	int code = mr_cli_connect(k->cli, NULL, &k->client);

	if (code)
		return code;
	mr_cli_catch_interrupts();
	if (k->set->stream)
		code = call_stream(k);
	for (uint64_t i = 0; !k->set->stream && i < k->set->count && code == MR_EXIT_OK; i++) {
		code = call_once(k);
		if (!mr_cli_flush())
			break;
	}
	mr_close(k->client);
	return code;
}

static int prepare(struct call *k, const char *payload)
{
	int code, rc;

	if (k->set->stream && (k->set->count > 1 || strcmp(payload, "-") == 0))
		return mr_cli_fail(k->cli, MR_EXIT_USAGE, "--stream",
			"the parts come from standard input", "leave out - and --count");
	code = mr_cli_headers_take(
		k->cli, &k->set->headers, &k->headers, k->header_memory, sizeof(k->header_memory));
	if (code)
		return code;
	rc = mr_cli_input_take(&k->payload, payload);
	return rc ? mr_cli_fail_input(k->cli, rc) : MR_EXIT_OK;
}

static int run_call(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct call k = {.cli = cli, .set = settings, .service = w->at[0]};
	int code = prepare(&k, w->count > 1 ? w->at[1] : "");

	if (code == MR_EXIT_OK)
		code = call_all(&k);
	mr_cli_input_free(&k.payload);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_TIMEOUT_OPTION("wait TIME for each reply (default 5s)"),
	{.name = "retries",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, retries),
		.min = 0,
		.max = 1000,
		.help = "repeat the call N times after a time-out or overload (default "
			"2)"},
	{.name = "wait",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, wait),
		.help = "if the service has no worker, wait for one as long as for a "
			"reply"},
	{.name = "stream",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, stream),
		.help = "streaming request: each line of standard input is a part"},
	MR_CLI_HEADER_OPTION("add a header; may be repeated"),
	MR_CLI_COUNT_OPTION(
		1, MR_CLI_TIMES_MAX, "call COUNT times, one call after the other (default 1)"),
	MR_CLI_RAW_OPTION("print only payloads, unchanged"),
	MR_CLI_JSON_OPTION("print each reply as a JSON object"),
	{0},
};

static const struct settings defaults = {.count = 1, .timeout_ms = 5000, .retries = 2};

const struct mr_cli_verb mr_cli_call = {
	.name = "call",
	.summary = "call a service and print its replies",
	.operands = "SERVICE [PAYLOAD|-]",
	.details = "Prints each reply on one line when it comes, and ends with the final reply;\n"
		   "partial replies are printed too. The exit code is 5 if the service has no\n"
		   "worker (at once, unless --wait is given), and 4 if no reply comes in time.\n"
		   "When the caller no longer waits, the worker's command is stopped.\n"
		   "\n"
		   "The bus itself answers names that begin with mmi. (ZeroMQ RFC 8):\n"
		   "\n"
		   "mmi.service NAME  200 if the service has workers, 404 if not\n"
		   "mmi.workers NAME  the number of its workers",
	.examples = "  millrace call upper 'hello'\n"
		    "  millrace call resize - --raw < photo.jpeg > small.jpeg\n"
		    "  seq 1000 | millrace call sum --stream\n"
		    "  millrace call mmi.service upper",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 2,
	.run = run_call,
};
