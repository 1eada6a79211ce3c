/* SPDX-License-Identifier: Apache-2.0 */
/* bench: options, and the phases of a measurement. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/bench/lossy.h"
#include "cli/bench/report.h"
#include "cli/bench/window.h"
#include "cli/options.h"
#include "cli/verbs.h"

#define DRAIN_MS       5000
#define DRAIN_STILL_MS 500
#define STEP_MS        20
#define ADMIN_TRIES    150

#define OUTSTANDING_SERVICE 64
#define PREFETCH            64
#define CONSUMERS           4
#define QUEUE_WINDOW        4096

struct settings {
	const char *transport;
	const char *pattern;
	const char *verify;
	const char *cpus;
	const char *subscribe_at; /* NULL: the address of all connections */
	const char *ack;
	const char *promise;
	uint64_t bytes;
	uint64_t publishers;
	uint64_t subscribers;
	uint64_t batch;  /* 0: default of the transport */
	uint64_t window; /* 0: default for the ring or socket */
	double rate;
	double loss; /* negative: no relay */
	double seconds;
	double warmup;
	uint64_t outstanding; /* 0: default of the pattern */
	uint64_t servers;     /* 0: as many as subscribers */
	uint64_t producers;   /* 0: as many as publishers */
	uint64_t consumers;   /* 0: as many as subscribers */
	uint64_t prefetch;
	uint64_t threads;
	uint64_t subjects;
	bool progress;
	bool json;
};

/* Counts and times at one moment of the run. */
struct mark {
	struct mr_bench_totals totals;
	uint64_t ns;
	bool has_workers;
	unsigned workers;
	uint64_t busy_cycles;
	uint64_t rx_messages;
};

struct bench {
	const struct mr_cli *cli;
	const struct settings *set;
	struct mr_bench_plan plan;
	struct mr_bench_load *load;
	struct mr_bench_report report;
	struct mark first;
	struct mark last;
};

static int refuse(const struct bench *b, const char *what, const char *why)
{
	return mr_cli_fail(b->cli, MR_EXIT_USAGE, what, why, "see `millrace help bench`");
}

static int choose_transport(struct bench *b)
{
	const char *wanted = b->set->transport;

	b->plan.udp = mr_cli_is_udp(b->cli);
	if (wanted && strcmp(wanted, "udp") == 0 && !b->plan.udp)
		return refuse(
			b, "--transport udp", "needs --server udp://HOST:PORT, or MILLRACE_SERVER");
	if (wanted && strcmp(wanted, "shm") == 0 && b->plan.udp)
		return refuse(b, "--transport shm", "needs --server shm:PATH, or MILLRACE_SERVER");
	return MR_EXIT_OK;
}

static int make_plan(struct bench *b)
{
	const struct settings *set = b->set;
	struct mr_bench_plan *plan = &b->plan;
	int cpus = set->cpus ? mr_cli_args_cpus(set->cpus, plan->cpus, MR_BENCH_THREADS_MAX) : 0;
	int code = choose_transport(b);
	uint64_t publishers = set->producers ? set->producers : set->publishers;
	uint64_t window =
		(set->window ? set->window : mr_bench_window(plan->udp, set->bytes)) / publishers;

	if (code)
		return code;
	if (cpus < 0)
		return refuse(b, "--cpus", "expected: numbers and ranges, such as 0,2-4");
	if (set->window && set->rate > 0)
		return refuse(b, "--window and --rate", "a loop is either closed or open");
	if (set->loss >= 0 && !plan->udp)
		return refuse(b, "--loss", "only a bus over UDP has losses");
	if (set->promise && strcmp(set->pattern, "pubsub") != 0 &&
		strcmp(set->pattern, "queue") != 0)
		return refuse(b, "--promise", "works only with the patterns pubsub and queue");
	plan->service = strcmp(set->pattern, "service") == 0;
	plan->request = plan->service || strcmp(set->pattern, "request") == 0;
	plan->full = strcmp(set->verify, "full") == 0;
	plan->queue = strcmp(set->pattern, "queue") == 0;
	plan->manual = set->ack && strcmp(set->ack, "manual") == 0;
	plan->promise = set->promise  ? mr_cli_promise(set->promise)
			: plan->queue ? MR_AT_LEAST_ONCE
				      : MR_BEST_EFFORT;
	plan->loss = set->loss;
	plan->publishers = (unsigned)publishers;
	plan->subscribers = (unsigned)(set->servers                           ? set->servers
				       : set->consumers                       ? set->consumers
				       : plan->queue && set->subscribers == 1 ? CONSUMERS
									      : set->subscribers);
	plan->threads = (unsigned)set->threads;
	plan->subjects = (unsigned)set->subjects;
	plan->outstanding = set->outstanding ? (unsigned)set->outstanding
			    : plan->service  ? OUTSTANDING_SERVICE
					     : 1;
	plan->prefetch = (unsigned)set->prefetch;
	/* More messages under way only wait in the queue, and no longer fit the processor's
	 * cache. */
	if (plan->queue && !set->window && window > QUEUE_WINDOW)
		window = QUEUE_WINDOW;
	plan->window = window ? window : 1;
	plan->batch = set->batch ? (uint32_t)set->batch : mr_bench_batch(plan->udp, plan->window);
	plan->rate = set->rate;
	plan->bytes = set->bytes;
	plan->cpus_count = (unsigned)cpus;
	plan->subscribe_at = set->subscribe_at;
	snprintf(plan->run, sizeof(plan->run), "%d-%08x", (int)getpid(), (unsigned)mr_cli_now_ns());
	return MR_EXIT_OK;
}

/* Reads the workers' statistics. Returns 0 or -errno; control may be restarting. */
static int ask_workers(const struct bench *b, struct mark *m)
{
	struct mr_cli_admin admin;
	struct mrf_table workers;
	int rc = mr_cli_admin_open(&admin, b->cli);

	rc = rc ? rc
		: mr_cli_admin_ask(&admin, MRF_ADMIN_VERB_WORKERS, 0, MRF_ADMIN_BODY_ADMIN_WORKERS,
			  &workers);
	if (rc == 0) {
		m->workers = mrf_admin_workers_rows_count(workers);
		m->busy_cycles = m->rx_messages = 0;
		for (uint32_t i = 0; i < m->workers; i++) {
			struct mrf_worker_stats s =
				mrf_admin_worker_stats(mrf_admin_workers_rows_at(workers, i));

			m->busy_cycles += s.busy_cycles;
			m->rx_messages += s.rx_messages;
		}
		m->has_workers = m->workers > 0;
	}
	mr_cli_admin_close(&admin);
	return rc;
}

static void look(const struct bench *b, struct mark *m)
{
	mr_bench_load_look(b->load, &m->totals);
	m->ns = mr_cli_now_ns();
}

/* Reads the statistics at the end; gives a control that is restarting time for it. */
static void ask_workers_patiently(const struct bench *b, struct mark *m)
{
	for (int i = 0; i < ADMIN_TRIES && ask_workers(b, m) != 0; i++) {
		if (mr_cli_interrupted())
			break;
		poll(NULL, 0, STEP_MS);
	}
}

static bool is_over(const struct bench *b)
{
	return mr_cli_interrupted() ||
	       atomic_load_explicit(&b->load->error, memory_order_relaxed) != 0;
}

static void print_progress(const struct bench *b, const struct mr_bench_totals *now,
	const struct mr_bench_totals *was, double seconds, double since)
{
	char published[32], delivered[32];

	mr_bench_report_quantity(
		(double)(now->published - was->published) / since, published, sizeof(published));
	mr_bench_report_quantity(
		(double)(now->delivered - was->delivered) / since, delivered, sizeof(delivered));
	fprintf(stderr, "%6.1f s  %9s %s/s  %9s %s/s\n", seconds, published,
		b->plan.request ? "requests" : "published", delivered,
		b->plan.request ? "replies" : "delivered");
}

/* Waits for some seconds, and reports progress. */
static void watch(struct bench *b, double seconds, bool progress)
{
	struct mr_bench_totals was, now;
	uint64_t start_ns = mr_cli_now_ns(), told_ns = start_ns;
	uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
	uint64_t now_ns = start_ns;

	mr_bench_load_look(b->load, &was);
	while (now_ns < end_ns && !is_over(b)) {
		uint64_t left_ms = (end_ns - now_ns + 999999) / 1000000u;

		poll(NULL, 0, (int)(left_ms < STEP_MS ? left_ms : STEP_MS));
		now_ns = mr_cli_now_ns();
		if (!progress || now_ns - told_ns < 1000000000u)
			continue;
		mr_bench_load_look(b->load, &now);
		print_progress(b, &now, &was, (double)(now_ns - start_ns) / 1e9,
			(double)(now_ns - told_ns) / 1e9);
		was = now;
		told_ns = now_ns;
	}
}

/* Waits until all messages have arrived, or until none arrive any more. */
static void drain(struct bench *b)
{
	struct mr_bench_totals now;
	uint64_t last = UINT64_MAX;
	unsigned still_ms = 0;

	mr_bench_load_enter(b->load, MR_BENCH_DRAIN);
	for (unsigned ms = 0; ms < DRAIN_MS && still_ms < DRAIN_STILL_MS; ms += STEP_MS) {
		mr_bench_load_look(b->load, &now);
		if (now.delivered >= mr_bench_load_expected(b->load, now.published) && ms > 0)
			return;
		still_ms = now.delivered == last ? still_ms + STEP_MS : 0;
		last = now.delivered;
		poll(NULL, 0, STEP_MS);
	}
}

static void conclude(struct bench *b)
{
	struct mr_bench_report *r = &b->report;
	const struct mark *first = &b->first, *last = &b->last;
	uint64_t messages = last->rx_messages - first->rx_messages;

	r->plan = &b->plan;
	r->seconds = (double)(last->ns - first->ns) / 1e9;
	r->warmup_seconds = b->set->warmup;
	r->published_per_second =
		(double)(last->totals.published - first->totals.published) / r->seconds;
	r->delivered_per_second =
		(double)(last->totals.delivered - first->totals.delivered) / r->seconds;
	r->workers = last->workers;
	r->worker_cycles_per_message = -1;
	if (first->has_workers && last->has_workers && last->rx_messages > first->rx_messages)
		r->worker_cycles_per_message =
			(double)(last->busy_cycles - first->busy_cycles) / (double)messages;
	mr_bench_clock_calibrate(&b->load->clock);
	r->ticks_per_ns = b->load->clock.ticks_per_ns;
	mr_bench_load_sum(b->load, &r->totals, &r->latency);
}

static int verdict(const struct bench *b)
{
	const struct mr_bench_totals *t = &b->report.totals;

	if (mr_cli_interrupted())
		return MR_EXIT_INTERRUPTED;
	/* A network may reorder frames; only promised messages keep their order. */
	if (t->duplicates || t->corrupt ||
		(t->reordered && (!b->plan.udp || b->plan.promise != MR_BEST_EFFORT)))
		return mr_cli_fail(b->cli, MR_EXIT_FAILED, "result",
			"messages came twice, out of order or damaged", NULL);
	if (t->delivered == 0)
		return mr_cli_fail(b->cli, MR_EXIT_FAILED, "result", "nothing was delivered",
			"look at `millrace counters`");
	if (t->lost && b->plan.promise != MR_BEST_EFFORT)
		return mr_cli_fail(b->cli, MR_EXIT_FAILED, "result", "promised messages were lost",
			"look at `millrace counters`");
	if (t->lost)
		mr_cli_note(b->cli, "%" PRIu64 " messages were lost; `millrace counters` says why",
			t->lost);
	return MR_EXIT_OK;
}

static int measure(struct bench *b)
{
	bool progress = b->set->progress || isatty(STDERR_FILENO);
	int rc, code;

	code = mr_bench_load_start(b->cli, b->load);
	if (code)
		return code;
	watch(b, b->set->warmup, false);
	ask_workers(b, &b->first);
	mr_bench_load_enter(b->load, MR_BENCH_MEASURE);
	look(b, &b->first);
	watch(b, b->set->seconds, progress);
	look(b, &b->last);
	if (b->first.has_workers)
		ask_workers_patiently(b, &b->last);
	drain(b);
	mr_bench_load_join(b->load);
	rc = atomic_load_explicit(&b->load->error, memory_order_relaxed);
	if (rc)
		return mr_cli_fail_call(b->cli, NULL, rc, "the run ended early");
	conclude(b);
	if (b->set->json)
		mr_bench_report_json(&b->report);
	else
		mr_bench_report_print(&b->report, b->cli->colour);
	return verdict(b);
}

/* Runs the load, through the relay if --loss is given. */
static int load_and_measure(struct bench *b)
{
	struct mr_cli at = *b->cli;
	struct mr_lossy *lossy = NULL;
	int rc = b->plan.loss >= 0 ? mr_lossy_open(b->cli->server, b->plan.loss, &lossy) : 0;
	int code;

	if (rc)
		return mr_cli_fail_call(b->cli, NULL, rc, "--loss");
	if (lossy)
		at.server = mr_lossy_address(lossy);
	code = mr_bench_load_open(&at, &b->plan, &b->load);
	if (code == MR_EXIT_OK) {
		code = measure(b);
		mr_bench_load_close(b->load);
	}
	mr_lossy_close(lossy);
	return code;
}

static int run_bench(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static struct bench bench; /* too large for the stack */
	struct bench *b = &bench;
	int code;

	(void)w;
	b->cli = cli;
	b->set = settings;
	code = make_plan(b);
	if (code)
		return code;
	mr_cli_catch_interrupts();
	return load_and_measure(b);
}

#define COUNT(name_, field, value_, min_, max_, help_)                                             \
	{                                                                                          \
		.name = name_, .type = MR_CLI_COUNT, .value = value_,                              \
		.offset = offsetof(struct settings, field), .min = min_, .max = max_,              \
		.help = help_                                                                      \
	}
#define REAL(name_, field, value_, min_, max_, help_)                                              \
	{                                                                                          \
		.name = name_, .type = MR_CLI_REAL, .value = value_,                               \
		.offset = offsetof(struct settings, field), .min = min_, .max = max_,              \
		.help = help_                                                                      \
	}
#define TYPED(name_, type_, field, value_, min_, max_, help_)                                      \
	{                                                                                          \
		.name = name_, .type = type_, .value = value_,                                     \
		.offset = offsetof(struct settings, field), .min = min_, .max = max_,              \
		.help = help_                                                                      \
	}
#define TEXT(name_, field, value_, choices_, help_)                                                \
	{                                                                                          \
		.name = name_, .type = MR_CLI_TEXT, .value = value_,                               \
		.offset = offsetof(struct settings, field), .choices = choices_, .help = help_     \
	}

static const struct mr_cli_option options[] = {
	TEXT("transport", transport, "HOW", "shm|udp",
		"shm or udp (default: that of --server, which must fit)"),
	TEXT("pattern", pattern, "HOW", "pubsub|request|service|queue",
		"pubsub (default), request, service or queue"),
	TYPED("size", MR_CLI_BYTES, bytes, "SIZE", MR_BENCH_STAMP_BYTES, MR_BODY_BYTES,
		"payload size (default 64)"),
	COUNT("publishers", publishers, "N", 1, MR_BENCH_CONNECTIONS_MAX,
		"number of publishers or requesters (default 1)"),
	COUNT("subscribers", subscribers, "N", 1, MR_BENCH_CONNECTIONS_MAX,
		"number of subscribers, each of which gets every message, or of "
		"responders (default 1)"),
	COUNT("batch", batch, "N", 1, 65536,
		"messages published to the bus at once (default 32, over UDP up "
		"to 512)"),
	COUNT("window", window, "N", 1, 1e9,
		"closed loop: at most N messages under way (default 32768, "
		"fewer if large)"),
	TEXT("subscribe-at", subscribe_at, "ADDRESS", NULL,
		"bus address of subscribers or responders, if not that of "
		"--server"),
	REAL("rate", rate, "N", 1, 1e9,
		"open loop: messages per second of all publishers together"),
	TYPED("seconds", MR_CLI_S, seconds, "TIME", 0.05, 86400,
		"duration of the measurement, in seconds without a unit (default 5)"),
	TYPED("warmup", MR_CLI_S, warmup, "TIME", 0, 3600,
		"time to run before the measurement, in seconds without a unit (default 0.5)"),
	COUNT("outstanding", outstanding, "N", 1, 65536,
		"open requests of each requester (default 1; for services 64)"),
	COUNT("servers", servers, "N", 1, MR_BENCH_CONNECTIONS_MAX,
		"number of workers of the service (default: as many as "
		"--subscribers)"),
	MR_CLI_PREFETCH_OPTION("messages or requests that a consumer or worker takes at once "
			       "(default 64)"),
	COUNT("producers", producers, "N", 1, MR_BENCH_CONNECTIONS_MAX,
		"producers of a queue (default: as many as --publishers)"),
	COUNT("consumers", consumers, "N", 1, MR_BENCH_CONNECTIONS_MAX,
		"consumers of a queue (default 4, or as many as --subscribers)"),
	TEXT("ack", ack, "HOW", "auto|manual",
		"acks of consumers: auto (default), by the library; manual, "
		"each message by the program"),
	MR_CLI_PROMISE_OPTION("best-effort (default for publishers), at-least-once (default "
			      "for queues) or exactly-once"),
	REAL("loss", loss, "PERCENT", 0, 90,
		"over UDP: a relay in this process loses PERCENT of the frames "
		"in each direction"),
	COUNT("threads", threads, "N", 1, MR_BENCH_THREADS_MAX,
		"threads that drive the connections (default 1)"),
	TEXT("cpus", cpus, "LIST", NULL, "pin the threads to these CPUs, such as 0,2-4"),
	COUNT("subjects", subjects, "N", 1, MR_BENCH_SUBJECTS_MAX,
		"subjects of each publisher (default 1)"),
	TEXT("verify", verify, "WHAT", "full|sequence",
		"full (default): check every byte; sequence: check only the "
		"order"),
	{.name = "progress",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, progress),
		.help = "report rates each second, even if standard error is no "
			"terminal"},
	MR_CLI_JSON_OPTION("print only one JSON object on standard output"),
	{0},
};

static const struct settings defaults = {
	.pattern = "pubsub",
	.verify = "full",
	.bytes = 64,
	.publishers = 1,
	.subscribers = 1,
	.loss = -1,
	.seconds = 5,
	.warmup = 0.5,
	.prefetch = PREFETCH,
	.threads = 1,
	.subjects = 1,
};

const struct mr_cli_verb mr_cli_bench = {
	.name = "bench",
	.summary = "measure the bus with checked traffic",
	.operands = "",
	.details = "A closed loop (--window) sends as fast as the slowest subscriber reads, so\n"
		   "that nothing need be lost; the time that it shows is mostly queueing time.\n"
		   "An open loop (--rate) sends by the clock; latency counts from the time at\n"
		   "which a message was due.\n"
		   "\n"
		   "Receivers check order and content. A message is lost if it has not arrived\n"
		   "whole when all traffic has ended. Losses of best-effort messages are\n"
		   "reported, but are no failure. The exit code is 1 if a message came twice or\n"
		   "damaged, out of order (over UDP only if it was promised), or if a promised\n"
		   "message was lost.\n"
		   "\n"
		   "One thread drives all connections unless --threads is given: on a machine\n"
		   "with few cores the worker of the bus needs one of its own. Latencies of one\n"
		   "batch share one look at the clock. The costs of workers are reported if the\n"
		   "admin socket can be reached (--run-dir).\n"
		   "\n"
		   "Over UDP frames may be lost; the default window is small enough that few\n"
		   "are. With --loss all connections share a relay in a thread of this process,\n"
		   "which costs time: compare with --loss 0.",
	.examples = "  millrace bench --subscribers 4 --seconds 3 --json\n"
		    "  millrace bench --pattern request --seconds 2\n"
		    "  millrace bench --pattern service --servers 4 --json\n"
		    "  millrace bench --pattern queue --prefetch 64 --json\n"
		    "  millrace bench --rate 1M --size 256\n"
		    "  millrace bench --transport udp --server udp://bus:7400 --json\n"
		    "  millrace bench --server udp://bus --promise at-least-once --loss 1 --json\n"
		    "  millrace bench --publishers 4 --subscribers 2 --threads 2 --cpus 2,3",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_bench,
};
