/* SPDX-License-Identifier: Apache-2.0 */
/* sub: prints published messages. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/headers.h"
#include "cli/options.h"
#include "cli/sub_report.h"
#include "cli/verbs.h"
#include "cli/wildcard.h"

/* Longest time until an interrupt is noticed. */
#define WAIT_MS_MAX 200
/* Interval of --rate without --interval. */
#define RATE_INTERVAL_NS 1000000000u

struct settings {
	const char *group;
	const char *promise;
	uint64_t high_water;
	uint64_t count;       /* 0: no limit */
	uint64_t timeout_ms;  /* 0: none */
	uint64_t interval_ms; /* 0: the report's own */
	bool prefix;
	bool raw;
	bool json;
	bool count_only;
	bool rate;
	bool headers_only;
	bool last;
	bool report;
	bool time;
	bool sender;
	bool multicast;
	const char *interface;
};

struct sub {
	const struct mr_cli *cli;
	const struct settings *set;
	const struct mr_cli_words *patterns;
	uint64_t printed; /* messages printed, or counted for the report */
	struct mr_cli_sub_report report;
};

static bool has_all(const struct sub *s)
{
	return s->set->count && s->printed >= s->set->count;
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct sub *s = arg;
	struct mr_message bare;

	(void)c;
	if (has_all(s))
		return;
	s->printed++;
	if (s->report.tally != NULL) {
		mr_cli_tally_add(s->report.tally, m);
		return;
	}
	if (s->set->headers_only) {
		bare = *m;
		bare.payload_bytes = 0;
		m = &bare;
	}
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
		.time = s->set->time,
		.sender = s->set->sender,
		.multicast = s->set->multicast || s->set->interface != NULL,
		.interface = s->set->interface,
	};

	for (unsigned i = 0; i < patterns->count; i++) {
		struct mr_subscription *subscription;
		int rc = mr_subscribe(c, patterns->at[i], &options, on_message, s, &subscription);

		if (rc)
			return mr_cli_fail_call(s->cli, c, rc, patterns->at[i]);
		mr_cli_wildcard_note(s->cli, patterns->at[i], s->set->prefix);
		if (options.multicast)
			mr_cli_note(s->cli, "%s: %s", patterns->at[i],
				mr_subscription_is_multicast(subscription)
					? "receives by multicast"
					: "receives copies of its own: no multicast here");
	}
	fputs("subscribed\n", stderr);
	return MR_EXIT_OK;
}

static int wait_ms(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t left_ms = deadline_ns ? (deadline_ns - now_ns) / 1000000u + 1 : WAIT_MS_MAX;

	return (int)(left_ms < WAIT_MS_MAX ? left_ms : WAIT_MS_MAX);
}

/* The earlier one of the end and the next report; 0: neither. */
static uint64_t next_stop(const struct sub *s, uint64_t deadline_ns)
{
	uint64_t next_ns = s->report.tally != NULL ? s->report.next_ns : UINT64_MAX;

	if (next_ns == UINT64_MAX)
		return deadline_ns;
	return deadline_ns != 0 && deadline_ns < next_ns ? deadline_ns : next_ns;
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
				"%s%s: %" PRIu64 " of %" PRIu64 " messages came in %" PRIu64
				" ms; give more with --timeout",
				s->patterns->at[0], s->patterns->count > 1 ? ", ..." : "",
				s->printed, s->set->count, s->set->timeout_ms);
			return MR_EXIT_TIMEOUT;
		}
		if (s->report.tally != NULL)
			mr_cli_sub_report_tick(&s->report, now_ns);
		rc = mr_wait(c, wait_ms(next_stop(s, deadline_ns), now_ns));
		/* While the bus is away, the wait connects again. */
		if (rc < 0 && rc != -ENOTCONN && rc != -EINTR)
			return mr_cli_fail_call(s->cli, c, rc, "receive");
		if (rc != 0 && !mr_cli_flush())
			return MR_EXIT_OK;
	}
	return MR_EXIT_OK;
}

/* Finds the mode. -EINVAL: more than one is given. */
static int mode_of(const struct settings *set, enum mr_cli_sub_mode *out)
{
	*out = set->count_only ? MR_CLI_SUB_COUNT
	       : set->rate     ? MR_CLI_SUB_RATE
	       : set->last     ? MR_CLI_SUB_LAST
	       : set->report   ? MR_CLI_SUB_REPORT
			       : MR_CLI_SUB_MESSAGES;
	return set->count_only + set->rate + set->last + set->report + set->headers_only > 1
		       ? -EINVAL
		       : 0;
}

static int begin_report(struct sub *s)
{
	const struct settings *set = s->set;
	struct mr_cli_sub_report *r = &s->report;

	if (mode_of(set, &r->mode) != 0)
		return mr_cli_fail(s->cli, MR_EXIT_USAGE,
			"--count-only, --rate, --headers-only, --last, --report",
			"more than one is given", "leave all but one out");
	if (set->interval_ms && r->mode != MR_CLI_SUB_RATE && r->mode != MR_CLI_SUB_REPORT)
		return mr_cli_fail(s->cli, MR_EXIT_USAGE, "--interval",
			"nothing to print at an interval", "add --rate or --report");
	if (r->mode == MR_CLI_SUB_MESSAGES)
		return MR_EXIT_OK;
	r->json = set->json;
	r->raw = set->raw;
	r->colour = s->cli->colour;
	r->interval_ns = set->interval_ms * 1000000u;
	if (r->mode == MR_CLI_SUB_RATE && r->interval_ns == 0)
		r->interval_ns = RATE_INTERVAL_NS;
	return mr_cli_sub_report_begin(r, mr_cli_now_ns()) == 0
		       ? MR_EXIT_OK
		       : mr_cli_fail(s->cli, MR_EXIT_FAILED, "report", "out of memory", NULL);
}

/* Reports what came by multicast. */
static void note_multicast(const struct sub *s, struct mr_client *c)
{
	struct mr_client_stats stats;

	mr_client_stats(c, &stats);
	mr_cli_note(s->cli,
		"multicast: %" PRIu64 " frames, %" PRIu64 " lost, %" PRIu64
		" frames of others refused",
		stats.multicast_frames, stats.multicast_lost, stats.multicast_refused);
}

static int run_sub(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct sub s = {.cli = cli, .set = settings, .patterns = w};
	struct mr_options options = {.on_gap = on_gap, .on_state = on_state, .arg = &s};
	struct mr_client *c;
	int code = begin_report(&s);

	if (code == MR_EXIT_OK)
		code = mr_cli_connect(cli, &options, &c);
	if (code) {
		mr_cli_tally_free(s.report.tally);
		return code;
	}
	mr_cli_catch_interrupts();
	code = subscribe_all(&s, c, w);
	if (code == MR_EXIT_OK)
		code = receive(&s, c);
	if (s.report.tally != NULL)
		mr_cli_sub_report_end(&s.report, mr_cli_now_ns());
	if (s.set->multicast || s.set->interface != NULL)
		note_multicast(&s, c);
	mr_close(c);
	return code;
}

#define FLAG(name_, field_, help_)                                                                 \
	{                                                                                          \
		.name = name_, .type = MR_CLI_FLAG, .offset = offsetof(struct settings, field_),   \
		.help = help_                                                                      \
	}

static const struct mr_cli_option options_[] = {
	MR_CLI_GROUP_OPTION("join a queue group: each message goes to one member"),
	{.name = "prefix",
		.letter = 'p',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, prefix),
		.help = "PATTERN is a prefix in bytes, without wildcards"},
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "stop after COUNT messages (default: never)"),
	MR_CLI_TIMEOUT_OPTION("stop after TIME (default: never); exit code 4 if fewer than COUNT "
			      "messages came"),
	MR_CLI_RAW_OPTION("print only payloads, unchanged, each followed by a newline"),
	MR_CLI_JSON_OPTION("print one JSON object per line"),
	FLAG("count-only", count_only, "print no messages, but their number at the end"),
	FLAG("rate", rate, "print no messages, but their rate at each --interval"),
	FLAG("headers-only", headers_only, "print messages without their payloads"),
	FLAG("last", last, "print the last message of each subject, at the end"),
	FLAG("report", report,
		"print counts by subject, at the end and at each --interval if given; up to "
		"4096 subjects have a row"),
	FLAG("time", time, "show when the bus took each message"),
	FLAG("sender", sender,
		"show who sent each message; the bus must allow it (sessions.show_sender)"),
	FLAG("multicast", multicast,
		"receive from a multicast group where the bus has one (multicast.ranges) and its "
		"frames come here; otherwise copies"),
	{.name = "interface",
		.type = MR_CLI_TEXT,
		.value = "NAME",
		.offset = offsetof(struct settings, interface),
		.help = "with --multicast: join on this interface (default: that of the route to "
			"the bus)"},
	MR_CLI_INTERVAL_OPTION(
		"time between prints of --rate (default 1s) and --report (default: only at "
		"the end)"),
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
		"end for one or more tokens; within a token they are plain characters. Each\n"
		"message is printed on one line: subject, [headers], payload. Bytes that are not\n"
		"printable are shown as \\n or \\xNN. In JSON a payload that is not UTF-8 is in\n"
		"payload_base64.\n"
		"\n"
		"Standard error shows \"subscribed\" when the subscription is active. From then\n"
		"on no message is missed in silence: gaps are reported on standard error.\n"
		"With --promise at-least-once or exactly-once the publishers of promised\n"
		"messages wait while this reader is full; with best effort the reader misses\n"
		"messages.",
	.examples = "  millrace sub 'orders.>'\n"
		    "  millrace sub 'orders.*.created' 'payments.>' --json\n"
		    "  millrace sub jobs --group workers -n 10 --timeout 1m\n"
		    "  millrace sub '>' --report -t 10s",
	.options = options_,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = MR_CLI_WORDS_MAX,
	.run = run_sub,
};
