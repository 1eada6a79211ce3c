/* SPDX-License-Identifier: Apache-2.0 */
/* top: rates of workers and clients, from two readings of the counters. */
#include <stdlib.h>
#include <string.h>

#include "cli/clients.h"
#include "cli/options.h"
#include "cli/select.h"
#include "cli/stats.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/base/compiler.h"

#define WORKERS_MAX 256
#define NS_PER_S    1e9
/* Lines of the screen beside the rows: head, empty line, titles of the workers and what is missing
 * of them, empty line, titles of the clients and what is missing of them, help. */
#define LINES_BESIDE 8u

struct settings {
	struct mr_cli_view view;
	uint64_t interval_ms;
	uint64_t count;
};

struct worker_reading {
	uint32_t worker;
	int cpu;
	struct mrf_worker_stats stats;
};

struct workers_reading {
	uint64_t read_ns;
	uint64_t tsc_hz;
	uint32_t count;
	struct worker_reading at[WORKERS_MAX];
};

/* An order of the clients, which the first letter of its name chooses. */
struct order {
	const char *name;
	const char *sort;
};

static const struct order orders[] = {
	{"total", "-messages_per_s,-backlog_bytes,session"},
	{"in", "-rx_per_s,session"},
	{"out", "-tx_per_s,session"},
	{"missed", "-missed_per_s,-missed,session"},
	{"backlog", "-backlog_bytes,session"},
	{"age", "-age_s,session"},
	{"name", "name,session"},
};

struct top {
	const struct settings *set;
	struct workers_reading both[2];
	unsigned now; /* index of the later one */
	struct mr_cli_clients_reading was;
	double seconds; /* between the readings of clients */
	struct mr_cli_table workers, clients;
	const char *sort;       /* order chosen by a key; NULL: that of --sort, or the first */
	uint32_t clients_count; /* before filters */
	size_t page, page_rows; /* rows that the page had when it was last shown */
	bool reversed;
};

static const struct mr_cli_column worker_columns[] = {
	{"WORKER", "worker", .right = true},
	{"CPU", "cpu", .right = true, .rank = 7},
	{"BUSY%", "busy_percent", .right = true},
	{"IN/s", "rx_per_s", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"OUT/s", "tx_per_s", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"IN-B/s", "rx_bytes_per_s", .right = true, .rank = 4, .unit = MR_CLI_UNIT_BYTES},
	{"OUT-B/s", "tx_bytes_per_s", .right = true, .rank = 4, .unit = MR_CLI_UNIT_BYTES},
	{"CYCLES/MSG", "cycles_per_message", .right = true, .rank = 3},
	{"SLEEPS/s", "sleeps_per_s", .right = true, .rank = 5, .unit = MR_CLI_UNIT_COUNT},
	{"DROPPED/s", "dropped_per_s", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT,
		.alarm = true},
};

static void count_cell(struct mr_cli_table *t, double value)
{
	mr_cli_table_count(t, (uint64_t)(value + 0.5));
}

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
	count_cell(t, in);
	count_cell(t, mr_cli_rate(n->tx_messages, w->tx_messages, seconds));
	count_cell(t, mr_cli_rate(n->rx_bytes, w->rx_bytes, seconds));
	count_cell(t, mr_cli_rate(n->tx_bytes, w->tx_bytes, seconds));
	if (in > 0)
		mr_cli_table_real(t, busy / in);
	else
		mr_cli_table_none(t);
	count_cell(t, mr_cli_rate(n->sleeps, w->sleeps, seconds));
	count_cell(t, mr_cli_rate(mr_cli_stats_dropped(n), mr_cli_stats_dropped(w), seconds));
}

static void fill_workers(struct mr_cli_table *t, const struct workers_reading *now,
	const struct workers_reading *was)
{
	static const struct worker_reading none;
	double seconds = (double)(now->read_ns - was->read_ns) / NS_PER_S;

	mr_cli_table_init(t, worker_columns, MR_ARRAY_COUNT(worker_columns));
	for (uint32_t i = 0; i < now->count; i++)
		worker_row(
			t, &now->at[i], i < was->count ? &was->at[i] : &none, seconds, now->tsc_hz);
}

static int read_workers(struct mr_cli_admin *a, struct workers_reading *r)
{
	struct mrf_table workers;
	int rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_WORKERS, 0, MRF_ADMIN_BODY_ADMIN_WORKERS, &workers);

	if (rc)
		return rc;
	r->read_ns = mrf_admin_workers_read_ns(workers);
	r->tsc_hz = mrf_admin_workers_tsc_hz(workers);
	r->count = mrf_admin_workers_rows_count(workers);
	if (r->count > WORKERS_MAX)
		r->count = WORKERS_MAX;
	for (uint32_t i = 0; i < r->count; i++) {
		struct mrf_table row = mrf_admin_workers_rows_at(workers, i);

		r->at[i].worker = mrf_admin_worker_worker(row);
		r->at[i].cpu = mrf_admin_worker_cpu(row);
		r->at[i].stats = mrf_admin_worker_stats(row);
	}
	return 0;
}

static int read_clients(struct mr_cli_admin *a, struct top *x)
{
	uint64_t was_ns = x->was.read_ns;
	struct mrf_table clients;
	int rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);

	if (rc)
		return rc;
	mr_cli_table_fini(&x->clients);
	mr_cli_clients_table(&x->clients, clients, was_ns ? &x->was : NULL, mr_cli_date_ns());
	mr_cli_clients_reading_take(&x->was, clients);
	x->clients_count = x->was.rows_count;
	x->seconds = was_ns ? (double)(x->was.read_ns - was_ns) / NS_PER_S : 0;
	return 0;
}

/* Takes a reading, over a new connection each time: control may have been restarted. */
static int take(const struct mr_cli_watch *w, struct mr_cli_admin *a)
{
	struct top *x = w->arg;
	int rc = mr_cli_admin_open(a, w->cli);

	rc = rc ? rc : read_workers(a, &x->both[!x->now]);
	if (rc == 0) {
		mr_cli_admin_close(a);
		rc = mr_cli_admin_open(a, w->cli);
	}
	rc = rc ? rc : read_clients(a, x);
	if (rc)
		return rc;
	x->now = !x->now;
	mr_cli_table_fini(&x->workers);
	fill_workers(&x->workers, &x->both[x->now], &x->both[!x->now]);
	return 0;
}

static void print_json(struct top *x)
{
	json_t *o = json_object();

	json_object_set_new(o, "date_ns", json_integer((json_int_t)mr_cli_date_ns()));
	json_object_set_new(o, "seconds", json_real(x->seconds));
	json_object_set_new(o, "workers", mr_cli_table_json(&x->workers));
	json_object_set_new(o, "clients", mr_cli_table_json(&x->clients));
	mr_cli_text_json_line(o);
}

/* Filters, sorts and limits the clients, by the options and the keys. */
static int select_clients(const struct mr_cli *cli, struct top *x)
{
	struct mr_cli_view view = x->set->view;
	int code;

	if (x->sort)
		view.sort = x->sort;
	code = mr_cli_view_select(cli, &view, &x->clients);
	if (code == MR_EXIT_OK && x->reversed)
		mr_cli_select_reverse(&x->clients);
	return code;
}

/* Prints the busiest workers that find room in a third of the screen. */
static int print_workers(const struct mr_cli *cli, struct top *x, size_t lines, size_t *used)
{
	struct mr_cli_view view = x->set->view;
	size_t rows = mr_cli_table_rows(&x->workers);
	size_t most = lines > 0 ? (lines > 9 ? lines / 3 : 3) : rows;
	char error[MR_CLI_SELECT_ERROR_BYTES];

	*used = rows < most ? rows : most;
	if (*used < rows)
		mr_cli_select_sort(&x->workers, "-busy_percent,worker", error);
	view.columns = NULL;
	return mr_cli_view_print(cli, &view, &x->workers, 0, *used);
}

/* Prints the keys. Those for an order are the first letters of its name. */
static void print_help(const struct top *x, size_t columns, size_t pages)
{
	const char *sort = x->sort ? x->sort : x->set->view.sort;
	char line[256], shown[256];
	size_t used = (size_t)snprintf(line, sizeof(line), "q quit  r %s  PgUp/PgDn %zu/%zu  by",
		x->reversed ? "[reverse]" : "reverse", x->page + 1, pages);

	for (size_t i = 0; i < MR_ARRAY_COUNT(orders); i++) {
		bool on = sort ? sort == orders[i].sort : i == 0;

		used += (size_t)snprintf(
			line + used, sizeof(line) - used, on ? " [%s]" : " %s", orders[i].name);
	}
	mr_cli_elide(
		shown, sizeof(shown), line, columns ? columns - 1 : SIZE_MAX, MR_CLI_ELIDE_END);
	fputs(shown, stdout);
}

/* Prints the page of clients that fills the rest of the screen, and the line of help. */
static int print_page(
	const struct mr_cli *cli, struct top *x, struct mr_cli_size screen, size_t workers)
{
	size_t rows = mr_cli_table_rows(&x->clients), pages, from, code;
	size_t room =
		screen.rows > LINES_BESIDE + workers + 1 ? screen.rows - LINES_BESIDE - workers : 1;

	pages = rows > 0 ? (rows + room - 1) / room : 1;
	if (x->page >= pages)
		x->page = pages - 1;
	x->page_rows = room;
	from = x->page * room;
	code = (size_t)mr_cli_view_print(
		cli, &x->set->view, &x->clients, from, rows - from < room ? rows : from + room);
	if (code == MR_EXIT_OK)
		print_help(x, screen.columns, pages);
	return (int)code;
}

static int show(const struct mr_cli_watch *w, bool in_place)
{
	struct top *x = w->arg;
	struct mr_cli_size screen = mr_cli_terminal_size();
	int code = select_clients(w->cli, x);
	size_t workers;
	char head[64];

	if (code != MR_EXIT_OK)
		return code;
	if (x->set->view.json) {
		print_json(x);
		return MR_EXIT_OK;
	}
	snprintf(head, sizeof(head), "%zu worker%s, %u client%s", mr_cli_table_rows(&x->workers),
		mr_cli_table_rows(&x->workers) == 1 ? "" : "s", x->clients_count,
		x->clients_count == 1 ? "" : "s");
	mr_cli_watch_head(w->cli, in_place, head);
	putchar('\n');
	code = print_workers(w->cli, x, in_place ? screen.rows : 0, &workers);
	putchar('\n');
	if (code == MR_EXIT_OK && in_place)
		return print_page(w->cli, x, screen, workers);
	if (code == MR_EXIT_OK)
		code = mr_cli_view_print(
			w->cli, &x->set->view, &x->clients, 0, mr_cli_table_rows(&x->clients));
	putchar('\n');
	return code;
}

static bool choose_order(struct top *x, int key)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(orders); i++) {
		if (orders[i].name[0] == key) {
			x->sort = orders[i].sort;
			x->page = 0;
			return true;
		}
	}
	return false;
}

static bool take_key(const struct mr_cli_watch *w, int key)
{
	struct top *x = w->arg;

	if (choose_order(x, key))
		return true;
	switch (key) {
	case 'q': return false;
	case 'r': x->reversed = !x->reversed; break;
	case ' ':
	case MR_CLI_KEY_PAGE_DOWN: x->page++; break;
	case MR_CLI_KEY_PAGE_UP: x->page -= x->page > 0; break;
	case MR_CLI_KEY_HOME: x->page = 0; break;
	case MR_CLI_KEY_END: x->page = SIZE_MAX - 1; break;
	default: break;
	}
	return true;
}

static int run_top(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct top *x = calloc(1, sizeof(*x));
	const struct settings *set = settings;
	const struct mr_cli_watch watch = {
		.interval_ms = set->interval_ms,
		.count = set->count,
		.take = take,
		.show = show,
		.key = take_key,
		.cli = cli,
		.arg = x,
	};
	int code;

	(void)w;
	if (!x)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", "out of memory", NULL);
	x->set = set;
	code = mr_cli_watch(&watch);
	mr_cli_table_fini(&x->workers);
	mr_cli_table_fini(&x->clients);
	mr_cli_clients_reading_fini(&x->was);
	free(x);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS_JSON("print one JSON object for each reading"),
	MR_CLI_INTERVAL_OPTION("time between readings (default 1s)"),
	MR_CLI_COUNT_OPTION(0, 1e9, "stop after COUNT readings (default 0: never)"),
	{0},
};

static const struct settings defaults = {.interval_ms = 1000};

const struct mr_cli_verb mr_cli_top = {
	.name = "top",
	.summary = "show live rates of workers and clients",
	.operands = "",
	.details = "On a terminal the values are updated in place, one page of clients, the\n"
		   "busiest first; elsewhere each reading is printed as a block. BUSY% is the\n"
		   "share of the time in which the worker did work. --columns, --sort, --filter\n"
		   "and --limit choose clients. If data plane or control restarts, the command\n"
		   "waits for it.\n"
		   "\n"
		   "Keys: t i o m b a n   sort by total, in, out, missed, backlog, age, name\n"
		   "      r               reverse the order\n"
		   "      PgUp PgDn space Home End   other pages\n"
		   "      q, Ctrl-C       end\n"
		   "\n"
		   "--json prints an object for each reading, with \"workers\" and \"clients\".",
	.examples = "  millrace top\n"
		    "  millrace top --sort -backlog_bytes --filter user=orders\n"
		    "  millrace top --interval 200 -n 5 | cat\n"
		    "  millrace top --json | jq -c '.workers[] | [.worker, .busy_percent]'",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_top,
};
