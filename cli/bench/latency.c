/* SPDX-License-Identifier: Apache-2.0 */
/* latency: probes at a steady rate, and the latencies of each interval. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/bench/prober.h"
#include "cli/bench/spectrum.h"
#include "cli/bench/verify.h"
#include "cli/options.h"
#include "cli/verbs.h"

/* Slack of the kernel's timers; the default of 50 us would be part of each latency. */
#define TIMER_SLACK_NS 1000ul
/* Time beyond the time-out of the last probe, for the library's time-outs of requests. */
#define DRAIN_MORE_NS 1000000000u

struct settings {
	const char *mode;
	const char *subscribe_at;
	uint64_t bytes;
	uint64_t interval_ms;
	uint64_t timeout_ms;
	double rate;
	double seconds; /* 0: until an interrupt */
	bool busy;
	bool json;
};

struct latency {
	const struct mr_cli *cli;
	const struct settings *set;
	struct mr_probe_plan plan;
	struct mr_prober prober;
	struct mr_probe_tally total;
	uint64_t start_ns;
	uint64_t line_ns; /* time of the next line */
	uint64_t end_ns;
};

static int refuse(const struct latency *l, const char *what, const char *why)
{
	return mr_cli_fail(l->cli, MR_EXIT_USAGE, what, why, "see `millrace help latency`");
}

static int make_plan(struct latency *l, const struct mr_cli_words *w)
{
	const struct settings *set = l->set;

	l->plan = (struct mr_probe_plan){
		.mode = strcmp(set->mode, "request") == 0 ? MR_PROBE_REQUEST
			: strcmp(set->mode, "queue") == 0 ? MR_PROBE_QUEUE
							  : MR_PROBE_PUBSUB,
		.subject = w->count > 0 ? w->at[0] : NULL,
		.subscribe_at = set->subscribe_at,
		.rate = set->rate,
		.timeout_ms = set->timeout_ms,
		.bytes = set->bytes,
		.busy = set->busy,
	};
	if (l->plan.subject && l->plan.mode != MR_PROBE_REQUEST)
		return refuse(l, l->plan.subject, "a subject is only for --mode request");
	if (l->plan.subject && l->plan.subscribe_at)
		return refuse(l, "--subscribe-at", "those that answer on SUBJECT are connected");
	if (set->rate * (double)set->timeout_ms / 1e3 > MR_PROBES_MAX / 2)
		return refuse(l, "--rate and --timeout",
			"more than 524288 probes could be under way; lower one of them");
	return MR_EXIT_OK;
}

/* Prints the line of the interval that ends, and begins the next one. */
static void end_interval(struct latency *l, uint64_t now_ns)
{
	struct mr_probe_tally *tally = &l->prober.tally;
	uint64_t interval_ns = l->set->interval_ms * 1000000u;

	mr_spectrum_print(tally, (double)(now_ns - l->start_ns) / 1e9, l->set->json);
	mr_probe_tally_add(&l->total, tally);
	memset(tally, 0, sizeof(*tally));
	l->line_ns += ((now_ns - l->line_ns) / interval_ns + 1) * interval_ns;
}

static bool has_events(const struct mr_probe_tally *t)
{
	return t->probes || t->received || t->lost || t->late || t->duplicates || t->corrupt;
}

/* Sends all probes, or until an interrupt. The line of the last interval is not printed: what is
 * under way belongs to it. Returns 0 or -errno. */
static int probe(struct latency *l)
{
	int rc = 0;

	while (rc == 0 && !mr_prober_has_sent(&l->prober) && !mr_cli_interrupted()) {
		uint64_t now_ns = mr_cli_now_ns();

		if (now_ns >= l->line_ns && l->line_ns < l->end_ns) {
			end_interval(l, now_ns);
			if (!mr_cli_flush())
				return -EPIPE;
		}
		mr_prober_wait(
			&l->prober, l->line_ns < l->end_ns ? l->line_ns : now_ns + DRAIN_MORE_NS);
		rc = mr_prober_step(&l->prober);
	}
	mr_prober_finish(&l->prober);
	return rc;
}

/* Waits for the probes that are under way. Each one comes, or is lost after its time-out. */
static int drain(struct latency *l)
{
	uint64_t until_ns = mr_cli_now_ns() + l->set->timeout_ms * 1000000u + DRAIN_MORE_NS;
	int rc = 0;

	while (rc == 0 && !mr_prober_is_idle(&l->prober) && mr_cli_now_ns() < until_ns) {
		mr_prober_wait(&l->prober, until_ns);
		rc = mr_prober_step(&l->prober);
	}
	return rc;
}

static int verdict(const struct latency *l)
{
	const struct mr_probe_tally *t = &l->total;

	if (mr_cli_interrupted())
		return MR_EXIT_INTERRUPTED;
	if (t->corrupt)
		return mr_cli_fail(l->cli, MR_EXIT_FAILED, "result", "probes came damaged", NULL);
	if (t->received == 0 && l->prober.refused)
		return mr_cli_fail_call(l->cli, NULL, l->prober.refused,
			l->plan.subject ? l->plan.subject : "result");
	if (t->received == 0)
		return mr_cli_fail(l->cli, MR_EXIT_TIMEOUT, "result",
			"no probe came within its time-out", "look at `millrace counters`");
	if (t->lost)
		mr_cli_note(l->cli, "%" PRIu64 " probes were lost; `millrace counters` says why",
			t->lost);
	return MR_EXIT_OK;
}

/* Rounds a number of probes up. */
static uint64_t probes_in(double number)
{
	uint64_t whole = (uint64_t)number;

	return whole + ((double)whole < number);
}

static int measure(struct latency *l)
{
	bool ends = l->set->seconds > 0;
	int rc;

	if (!l->set->json)
		mr_spectrum_head(&l->plan, mr_cli_is_udp(l->cli));
	mr_prober_start(&l->prober, ends ? probes_in(l->set->seconds * l->set->rate) : UINT64_MAX);
	l->start_ns = l->prober.pace.start;
	l->line_ns = l->start_ns + l->set->interval_ms * 1000000u;
	l->end_ns = ends ? l->start_ns + (uint64_t)(l->set->seconds * 1e9) : UINT64_MAX;
	rc = probe(l);
	if (rc == -EPIPE)
		return MR_EXIT_OK; /* the reader of the output has enough */
	rc = rc ? rc : drain(l);
	if (has_events(&l->prober.tally))
		end_interval(l, mr_cli_now_ns());
	mr_spectrum_total(&l->total, &l->plan, mr_cli_is_udp(l->cli),
		(double)(mr_cli_now_ns() - l->start_ns) / 1e9, l->set->json);
	return rc ? mr_cli_fail_call(l->cli, NULL, rc, "the run ended early") : verdict(l);
}

static int run_latency(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static struct latency latency; /* too large for the stack */
	struct latency *l = &latency;
	int code;

	l->cli = cli;
	l->set = settings;
	code = make_plan(l, w);
	if (code)
		return code;
	mr_cli_catch_interrupts();
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	code = mr_prober_open(&l->prober, cli, &l->plan);
	if (code == MR_EXIT_OK)
		code = measure(l);
	mr_prober_close(&l->prober);
	return code;
}

static const struct mr_cli_option options[] = {
	{.name = "mode",
		.letter = 'm',
		.type = MR_CLI_TEXT,
		.value = "HOW",
		.offset = offsetof(struct settings, mode),
		.choices = "pubsub|request|queue",
		.help = "pubsub (default): publisher to subscriber; request: request to reply; "
			"queue: push to delivery"},
	{.name = "rate",
		.type = MR_CLI_REAL,
		.value = "N",
		.offset = offsetof(struct settings, rate),
		.min = 0.1,
		.max = 1e6,
		.help = "probes per second (default 1000)"},
	{.name = "seconds",
		.type = MR_CLI_S,
		.value = "TIME",
		.offset = offsetof(struct settings, seconds),
		.min = 0,
		.max = 1e8,
		.help = "duration, in seconds without a unit (default 10); 0: until Ctrl-C"},
	MR_CLI_INTERVAL_OPTION("print a line each TIME (default 1s)"),
	{.name = "size",
		.type = MR_CLI_BYTES,
		.value = "SIZE",
		.offset = offsetof(struct settings, bytes),
		.min = MR_BENCH_STAMP_BYTES,
		.max = MR_BODY_BYTES,
		.help = "payload size (default 64)"},
	MR_CLI_TIMEOUT_OPTION("a probe that has not come TIME after it was due is lost "
			      "(default 1s)"),
	{.name = "subscribe-at",
		.type = MR_CLI_TEXT,
		.value = "ADDRESS",
		.offset = offsetof(struct settings, subscribe_at),
		.help = "bus address of the receiving connection, if not that of --server"},
	{.name = "busy",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, busy),
		.help = "never sleep: uses a whole core, and leaves out the time to wake this "
			"program"},
	MR_CLI_JSON_OPTION("print one JSON object per interval, and one for the total"),
	{0},
};

static const struct settings defaults = {
	.mode = "pubsub",
	.bytes = 64,
	.interval_ms = 1000,
	.timeout_ms = 1000,
	.rate = 1000,
	.seconds = 10,
};

const struct mr_cli_verb mr_cli_latency = {
	.name = "latency",
	.summary = "measure latency over time with a steady rate of probes",
	.operands = "[SUBJECT]",
	.details = "Sends small probes by the clock, from one connection through the bus to a\n"
		   "second one, and prints the percentiles of each interval. With --mode request\n"
		   "and a SUBJECT the probes are requests to whoever answers there.\n"
		   "\n"
		   "Latency counts from the time at which a probe was due, so a pause of the bus\n"
		   "shows in all probes that were due in it. The time that this program needs to\n"
		   "wake is part of it. The total tells how late the latest probe was sent.\n"
		   "\n"
		   "A probe counts as lost when its time-out is over, in the interval in which\n"
		   "that happens; one that comes afterwards is late. Losses are no failure. The\n"
		   "exit code is 1 if a probe came damaged, 4 if none came, and 5 if nobody\n"
		   "answers on SUBJECT. After Ctrl-C the total is printed all the same.",
	.examples = "  millrace latency --seconds 3\n"
		    "  millrace latency --rate 10k --seconds 1m --interval 10s\n"
		    "  millrace latency --mode request upper.a --rate 100\n"
		    "  millrace latency --mode queue --size 1KiB --json",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_max = 1,
	.run = run_latency,
};
