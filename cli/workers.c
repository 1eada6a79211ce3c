/* SPDX-License-Identifier: Apache-2.0 */
/* workers: the workers and all their statistics, as a table. */
#include <string.h>

#include "cli/listing.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

static const struct mr_cli_column own[] = {
	{"WORKER", "worker", .right = true},
	{"CPU", "cpu", .right = true, .rank = 5},
	{"NODE", "node_now", .right = true, .rank = 8},
	{"PAGE_KIB", "page_kib", .right = true, .rank = 8},
	{"STATE", "state", .screen_only = true, .good = "runs"},
	{"BUSY%", "busy_percent", .right = true, .screen_only = true, .rank = 1},
	{"IN", "rx_messages", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT},
	{"OUT", "tx_messages", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT},
	{"PUBLISHED", "published", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT},
	{"DELIVERED", "delivered", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT},
	{"REPLIED", "replied", .right = true, .rank = 7, .unit = MR_CLI_UNIT_COUNT},
	{"CYCLES/MSG", "cycles_per_message", .right = true, .screen_only = true, .rank = 4},
	{"DROPPED", "dropped", .right = true, .screen_only = true, .rank = 1,
		.unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{NULL, "silent_ms", .right = true, .unit = MR_CLI_UNIT_MS},
};

static const struct mr_cli_stats statistics = {
	mrf_worker_stats_members, MRF_WORKER_STATS_MEMBERS_COUNT};

static void state_cell(struct mr_cli_table *t, uint32_t silent_ms)
{
	char text[32] = "runs";

	if (silent_ms > 0)
		snprintf(text, sizeof(text), "silent for %u.%u s", silent_ms / 1000,
			silent_ms / 100 % 10);
	mr_cli_table_string(t, mrf_str(text));
}

/* Writes the CPU, its node and the size of pages. A control of an older release knows only to which
 * CPU the worker was pinned by the configuration. */
static void place_cells(
	struct mr_cli_table *t, struct mrf_table row, const struct mrf_worker_stats *s)
{
	if (mrf_admin_worker_stats_bytes(row) >=
		offsetof(struct mrf_worker_stats, page_kib) + sizeof(s->page_kib)) {
		mr_cli_table_count(t, s->cpu_now);
		mr_cli_table_count(t, s->node_now);
		mr_cli_table_count(t, s->page_kib);
		return;
	}
	if (mrf_admin_worker_cpu(row) >= 0)
		mr_cli_table_count(t, (uint64_t)mrf_admin_worker_cpu(row));
	else
		mr_cli_table_none(t);
	mr_cli_table_none(t);
	mr_cli_table_none(t);
}

static void worker_row(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_worker_stats s = mrf_admin_worker_stats(row);
	uint64_t cycles = s.busy_cycles + s.idle_cycles;

	mr_cli_table_count(t, mrf_admin_worker_worker(row));
	place_cells(t, row, &s);
	state_cell(t, mrf_admin_worker_silent_ms(row));
	mr_cli_table_real(t, cycles ? 100.0 * (double)s.busy_cycles / (double)cycles : 0);
	mr_cli_table_count(t, s.rx_messages);
	mr_cli_table_count(t, s.tx_messages);
	mr_cli_table_count(t, s.published);
	mr_cli_table_count(t, s.delivered);
	mr_cli_table_count(t, s.replied);
	if (s.rx_messages)
		mr_cli_table_real(t, (double)s.busy_cycles / (double)s.rx_messages);
	else
		mr_cli_table_none(t);
	mr_cli_table_count(t, mr_cli_stats_dropped(&s));
	mr_cli_table_count(t, mrf_admin_worker_silent_ms(row));
	mr_cli_stats_cells(
		t, own, MR_ARRAY_COUNT(own), &statistics, &s, mrf_admin_worker_stats_bytes(row));
}

static void fill(struct mr_cli_table *t, struct mrf_table workers, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_workers_rows_count(workers); i++)
		worker_row(t, mrf_admin_workers_rows_at(workers, i));
}

static int run_workers(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct mr_cli_column columns[MR_CLI_COLUMNS_MAX];
	const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_WORKERS,
		.body = MRF_ADMIN_BODY_ADMIN_WORKERS,
		.columns = columns,
		.columns_count =
			mr_cli_stats_columns(columns, own, MR_ARRAY_COUNT(own), &statistics, 1),
		.fill = fill,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, &set->view);
}

const struct mr_cli_verb mr_cli_workers = {
	.name = "workers",
	.summary = "list the workers and their work",
	.operands = "",
	.details = "All values are counted since the start of the data plane.\n"
		   "\n"
		   "CPU, NODE   where the worker ran last: the CPU and its NUMA node\n"
		   "PAGE_KIB    size of the memory pages of its packets; 0: it has none\n"
		   "BUSY%       share of busy cycles while the worker was awake\n"
		   "CYCLES/MSG  busy cycles for each message received\n"
		   "\n"
		   "--json has all statistics, under the names in flatbuf/schemas/stats.fbs;\n"
		   "--columns and --sort take them too.",
	.examples = "  millrace workers\n"
		    "  millrace workers --columns worker,sleeps,drop_unrouted --sort -sleeps\n"
		    "  millrace workers --json | jq '.[].busy_cycles'",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_workers,
};
