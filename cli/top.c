/* SPDX-License-Identifier: Apache-2.0 */
/* top: rates of workers and clients, from two readings of the counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/stats.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/base/compiler.h"

#define WORKERS_MAX 256
#define CLIENTS_MAX 4096 /* further clients are not shown */

struct settings {
	uint64_t interval_ms;
	uint64_t count;
};

struct worker_reading {
	uint32_t worker;
	int cpu;
	struct mrf_worker_stats stats;
};

struct client_reading {
	struct mrf_session_stats stats;
	uint32_t worker;
	char name[64];
};

struct reading {
	uint64_t workers_ns;
	uint64_t clients_ns;
	uint64_t tsc_hz;
	uint32_t workers_count;
	uint32_t clients_count;
	struct worker_reading workers[WORKERS_MAX];
	struct client_reading clients[CLIENTS_MAX];
};

static int read_workers(struct mr_cli_admin *a, struct reading *r)
{
	struct mrf_table workers;
	int rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_WORKERS, 0, MRF_ADMIN_BODY_ADMIN_WORKERS, &workers);

	if (rc)
		return rc;
	r->workers_ns = mrf_admin_workers_read_ns(workers);
	r->tsc_hz = mrf_admin_workers_tsc_hz(workers);
	r->workers_count = mrf_admin_workers_rows_count(workers);
	if (r->workers_count > WORKERS_MAX)
		r->workers_count = WORKERS_MAX;
	for (uint32_t i = 0; i < r->workers_count; i++) {
		struct mrf_table row = mrf_admin_workers_rows_at(workers, i);

		r->workers[i].worker = mrf_admin_worker_worker(row);
		r->workers[i].cpu = mrf_admin_worker_cpu(row);
		r->workers[i].stats = mrf_admin_worker_stats(row);
	}
	return 0;
}

static int by_session(const void *a, const void *b)
{
	uint64_t x = ((const struct client_reading *)a)->stats.session;
	uint64_t y = ((const struct client_reading *)b)->stats.session;

	return (x > y) - (x < y);
}

static int read_clients(struct mr_cli_admin *a, struct reading *r)
{
	struct mrf_table clients;
	int rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);

	if (rc)
		return rc;
	r->clients_ns = mrf_admin_clients_read_ns(clients);
	r->clients_count = mrf_admin_clients_rows_count(clients);
	if (r->clients_count > CLIENTS_MAX)
		r->clients_count = CLIENTS_MAX;
	for (uint32_t i = 0; i < r->clients_count; i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);
		struct mrf_table row = mrf_admin_client_row(client);
		struct mrf_string name = mrf_session_row_name(row);

		r->clients[i].stats = mrf_admin_client_stats(client);
		r->clients[i].stats.session = mrf_session_row_session(row);
		r->clients[i].worker = mrf_admin_client_worker(client);
		snprintf(r->clients[i].name, sizeof(r->clients[i].name), "%.*s", (int)name.bytes,
			name.bytes ? name.data : "");
	}
	qsort(r->clients, r->clients_count, sizeof(r->clients[0]), by_session);
	return 0;
}

static const struct mr_cli_column worker_columns[] = {
	{"WORKER", NULL, true},
	{"CPU", NULL, true},
	{"BUSY%", NULL, true},
	{"IN/s", NULL, true},
	{"OUT/s", NULL, true},
	{"IN MB/s", NULL, true},
	{"OUT MB/s", NULL, true},
	{"CYCLES/MSG", NULL, true},
	{"SLEEPS/s", NULL, true},
	{"DROPPED/s", NULL, true},
};

static void worker_row(struct mr_cli_table *t, const struct worker_reading *now,
	const struct worker_reading *was, double seconds, uint64_t tsc_hz)
{
	const struct mrf_worker_stats *n = &now->stats, *w = &was->stats;
	double in = mr_cli_rate(n->rx_messages, w->rx_messages, seconds);
	double busy = mr_cli_rate(n->busy_cycles, w->busy_cycles, seconds);

	mr_cli_table_count(t, now->worker);
	if (now->cpu >= 0)
		mr_cli_table_count(t, (uint64_t)now->cpu);
	else
		mr_cli_table_none(t);
	mr_cli_table_real(t, tsc_hz ? 100.0 * busy / (double)tsc_hz : 0);
	mr_cli_table_count(t, (uint64_t)in);
	mr_cli_table_count(t, (uint64_t)mr_cli_rate(n->tx_messages, w->tx_messages, seconds));
	mr_cli_table_real(t, mr_cli_rate(n->rx_bytes, w->rx_bytes, seconds) / 1e6);
	mr_cli_table_real(t, mr_cli_rate(n->tx_bytes, w->tx_bytes, seconds) / 1e6);
	if (in > 0)
		mr_cli_table_real(t, busy / in);
	else
		mr_cli_table_none(t);
	mr_cli_table_count(t, (uint64_t)mr_cli_rate(n->sleeps, w->sleeps, seconds));
	mr_cli_table_count(t,
		(uint64_t)mr_cli_rate(mr_cli_stats_dropped(n), mr_cli_stats_dropped(w), seconds));
}

static void print_workers(
	const struct mr_cli *cli, const struct reading *now, const struct reading *was)
{
	static const struct worker_reading none;
	double seconds = (double)(now->workers_ns - was->workers_ns) / 1e9;
	struct mr_cli_table t;

	mr_cli_table_init(&t, worker_columns, MR_ARRAY_COUNT(worker_columns));
	for (uint32_t i = 0; i < now->workers_count; i++)
		worker_row(&t, &now->workers[i], i < was->workers_count ? &was->workers[i] : &none,
			seconds, now->tsc_hz);
	mr_cli_table_print(&t, stdout, cli->colour);
	mr_cli_table_fini(&t);
}

static const struct mr_cli_column client_columns[] = {
	{"SESSION", NULL, false},
	{"NAME", NULL, false},
	{"WORKER", NULL, true},
	{"IN/s", NULL, true},
	{"OUT/s", NULL, true},
	{"IN MB/s", NULL, true},
	{"OUT MB/s", NULL, true},
	{"MISSED/s", NULL, true},
	{"BACKLOG", NULL, true},
};

static void client_row(struct mr_cli_table *t, const struct client_reading *now,
	const struct client_reading *was, double seconds)
{
	const struct mrf_session_stats *n = &now->stats, *w = &was->stats;

	mr_cli_table_id(t, n->session);
	mr_cli_table_text(t, now->name, strlen(now->name));
	mr_cli_table_count(t, now->worker);
	mr_cli_table_count(t, (uint64_t)mr_cli_rate(n->rx_messages, w->rx_messages, seconds));
	mr_cli_table_count(t, (uint64_t)mr_cli_rate(n->tx_messages, w->tx_messages, seconds));
	mr_cli_table_real(t, mr_cli_rate(n->rx_bytes, w->rx_bytes, seconds) / 1e6);
	mr_cli_table_real(t, mr_cli_rate(n->tx_bytes, w->tx_bytes, seconds) / 1e6);
	mr_cli_table_count(t, (uint64_t)mr_cli_rate(n->missed, w->missed, seconds));
	mr_cli_table_count(t, n->backlog_bytes);
}

static void print_clients(const struct mr_cli *cli, const struct reading *now,
	const struct reading *was, uint32_t rows_max)
{
	double seconds = (double)(now->clients_ns - was->clients_ns) / 1e9;
	struct mr_cli_table t;

	mr_cli_table_init(&t, client_columns, MR_ARRAY_COUNT(client_columns));
	for (uint32_t i = 0; i < now->clients_count && i < rows_max; i++) {
		static const struct client_reading none;
		const struct client_reading *before = bsearch(&now->clients[i], was->clients,
			was->clients_count, sizeof(was->clients[0]), by_session);

		client_row(&t, &now->clients[i], before ? before : &none, seconds);
	}
	mr_cli_table_print(&t, stdout, cli->colour);
	mr_cli_table_fini(&t);
	if (now->clients_count > rows_max)
		printf("… and %u more clients\n", now->clients_count - rows_max);
}

/* Two readings; `now` is the index of the later one. */
struct readings {
	struct reading both[2];
	unsigned now;
};

static void show(const struct mr_cli_watch *w, bool in_place)
{
	const struct readings *r = w->arg;
	const struct reading *now = &r->both[r->now], *was = &r->both[!r->now];

	mr_cli_watch_head(w->cli, in_place);
	printf("%u workers, %u clients\n\n", now->workers_count, now->clients_count);
	print_workers(w->cli, now, was);
	putchar('\n');
	print_clients(w->cli, now, was, in_place ? 24 : CLIENTS_MAX);
	if (!in_place)
		putchar('\n');
}

/* Takes a reading, over a new connection each time: control may have been restarted. */
static int take(const struct mr_cli_watch *w, struct mr_cli_admin *a)
{
	struct readings *r = w->arg;
	struct reading *next = &r->both[!r->now];
	int rc = mr_cli_admin_open(a, w->cli);

	rc = rc ? rc : read_workers(a, next);
	if (rc == 0) {
		mr_cli_admin_close(a);
		rc = mr_cli_admin_open(a, w->cli);
	}
	rc = rc ? rc : read_clients(a, next);
	if (rc == 0)
		r->now = !r->now;
	return rc;
}

static int run_top(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct readings *r = calloc(1, sizeof(*r));
	const struct mr_cli_watch watch = {
		.interval_ms = set->interval_ms,
		.count = set->count,
		.take = take,
		.show = show,
		.cli = cli,
		.arg = r,
	};
	int code;

	(void)w;
	if (!r)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", strerror(ENOMEM), NULL);
	code = mr_cli_watch(&watch);
	free(r);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_INTERVAL_OPTION("milliseconds between readings (default 1000)"),
	MR_CLI_COUNT_OPTION(0, 1e9, "stop after COUNT readings (default 0: never)"),
	{0},
};

static const struct settings defaults = {.interval_ms = 1000};

const struct mr_cli_verb mr_cli_top = {
	.name = "top",
	.summary = "show live rates of workers and clients",
	.operands = "",
	.details = "On a terminal the values are updated in place; elsewhere each reading is\n"
		   "printed as a block. BUSY% is the share of the time in which the worker did\n"
		   "work. If data plane or control restarts, the command waits for it. Ctrl-C\n"
		   "ends the command.",
	.examples = "  millrace top\n  millrace top --interval 200 -n 5 | cat",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_top,
};
