/* SPDX-License-Identifier: Apache-2.0 */
/* sub: prints published messages. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/headers.h"
#include "cli/options.h"
#include "cli/verbs.h"

/* Longest time until an interrupt is noticed. */
#define WAIT_MS_MAX 200

struct settings {
	const char *group;
	const char *promise;
	uint64_t high_water;
	uint64_t count;      /* 0: no limit */
	uint64_t timeout_ms; /* 0: none */
	bool prefix;
	bool raw;
	bool json;
};

struct sub {
	const struct mr_cli *cli;
	const struct settings *set;
	uint64_t printed;
};

static bool has_all(const struct sub *s)
{
	return s->set->count && s->printed >= s->set->count;
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct sub *s = arg;

	(void)c;
	if (has_all(s))
		return;
	s->printed++;
	if (s->set->json) {
		mr_cli_message_json(m);
	} else if (s->set->raw) {
		fwrite(m->payload, 1, m->payload_bytes, stdout);
		putchar('\n');
	} else {
		mr_cli_message_print(m, s->cli->colour);
	}
}

static void on_gap(struct mr_client *c, uint64_t missed, uint64_t missed_total, void *arg)
{
	const struct sub *s = arg;

	(void)c;
	mr_cli_note(s->cli,
		"missed %" PRIu64 " messages (%" PRIu64 " in all): this reader is too slow", missed,
		missed_total);
}

static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	const struct sub *s = arg;

	(void)error;
	mr_cli_note_state(s->cli, c, connected, "subscribed");
}

static int subscribe_all(struct sub *s, struct mr_client *c, const struct mr_cli_words *patterns)
{
	struct mr_subscribe_options options = {
		.group = s->set->group,
		.prefix = s->set->prefix,
		.promise = mr_cli_promise(s->set->promise),
		.high_water = (unsigned)s->set->high_water,
	};

	for (unsigned i = 0; i < patterns->count; i++) {
		struct mr_subscription *subscription;
		int rc = mr_subscribe(c, patterns->at[i], &options, on_message, s, &subscription);

		if (rc)
			return mr_cli_fail_call(s->cli, c, rc, patterns->at[i]);
	}
	fputs("subscribed\n", stderr);
	return MR_EXIT_OK;
}

static int wait_ms(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t left_ms = deadline_ns ? (deadline_ns - now_ns) / 1000000u + 1 : WAIT_MS_MAX;

	return (int)(left_ms < WAIT_MS_MAX ? left_ms : WAIT_MS_MAX);
}

static int receive(struct sub *s, struct mr_client *c)
{
	uint64_t timeout_ns = s->set->timeout_ms * 1000000u;
	uint64_t deadline_ns = timeout_ns ? mr_cli_now_ns() + timeout_ns : 0;

	while (!has_all(s)) {
		uint64_t now_ns = mr_cli_now_ns();
		int rc;

		if (mr_cli_interrupted())
			return MR_EXIT_INTERRUPTED;
		if (deadline_ns && now_ns >= deadline_ns) {
			if (s->set->count == 0)
				return MR_EXIT_OK;
			mr_cli_note(s->cli,
				"%" PRIu64 " of %" PRIu64 " messages came in %" PRIu64 " ms",
				s->printed, s->set->count, s->set->timeout_ms);
			return MR_EXIT_TIMEOUT;
		}
		rc = mr_wait(c, wait_ms(deadline_ns, now_ns));
		/* While the bus is away, the wait connects again. */
		if (rc < 0 && rc != -ENOTCONN && rc != -EINTR)
			return mr_cli_fail_call(s->cli, c, rc, "receive");
		if (rc != 0 && !mr_cli_flush())
			return MR_EXIT_OK;
	}
	return MR_EXIT_OK;
}

static int run_sub(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct sub s = {.cli = cli, .set = settings};
	struct mr_options options = {.on_gap = on_gap, .on_state = on_state, .arg = &s};
	struct mr_client *c;
	int code = mr_cli_connect(cli, &options, &c);

	if (code)
		return code;
	mr_cli_catch_interrupts();
	code = subscribe_all(&s, c, w);
	if (code == MR_EXIT_OK)
		code = receive(&s, c);
	mr_close(c);
	return code;
}

static const struct mr_cli_option options_[] = {
	MR_CLI_GROUP_OPTION("join a queue group: each message goes to one member"),
	{.name = "prefix",
		.letter = 'p',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, prefix),
		.help = "PATTERN is a prefix in bytes, without wildcards"},
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "stop after COUNT messages (default: never)"),
	MR_CLI_TIMEOUT_OPTION("stop after TIME; exit code 4 if fewer than COUNT "
			      "messages came"),
	MR_CLI_RAW_OPTION("print only payloads, unchanged, each followed by a newline"),
	MR_CLI_JSON_OPTION("print one JSON object per line"),
	MR_CLI_PROMISE_OPTION("best-effort (default), at-least-once or exactly-once"),
	{.name = "high-water",
		.type = MR_CLI_COUNT,
		.value = "PERCENT",
		.offset = offsetof(struct settings, high_water),
		.min = 1,
		.max = 100,
		.help = "with --promise: this reader is full above PERCENT of its ring "
			"(default: as the bus is configured)"},
	{0},
};

const struct mr_cli_verb mr_cli_sub = {
	.name = "sub",
	.summary = "subscribe and print messages",
	.operands = "PATTERN...",
	.details =
		"A pattern is tokens separated by dots: * stands for one token, and > at the\n"
		"end for one or more tokens. Each message is printed on one line: subject,\n"
		"[headers], payload. Bytes that are not printable are shown as \\n or \\xNN. In\n"
		"JSON a payload that is not UTF-8 is in payload_base64.\n"
		"\n"
		"Standard error shows \"subscribed\" when the subscription is active. From then\n"
		"on no message is missed in silence: gaps are reported on standard error.\n"
		"With --promise at-least-once or exactly-once the publishers of promised\n"
		"messages wait while this reader is full; with best effort the reader misses\n"
		"messages.",
	.examples = "  millrace sub 'orders.>'\n"
		    "  millrace sub 'orders.*.created' 'payments.>' --json\n"
		    "  millrace sub jobs --group workers -n 10 --timeout 60000",
	.options = options_,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = MR_CLI_WORDS_MAX,
	.run = run_sub,
};
