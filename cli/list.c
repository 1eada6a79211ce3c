/* SPDX-License-Identifier: Apache-2.0 */
/* workers, clients, subjects, counters: tables with one row for each. */
#include <stdlib.h>
#include <string.h>

#include "cli/listing.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

static const struct mr_cli_column worker_columns[] = {
	{"WORKER", NULL, true},
	{"CPU", NULL, true},
	{"STATE", NULL, false},
	{"BUSY%", NULL, true},
	{"IN", NULL, true},
	{"OUT", NULL, true},
	{"PUBLISHED", NULL, true},
	{"DELIVERED", NULL, true},
	{"REPLIED", NULL, true},
	{"CYCLES/MSG", NULL, true},
	{"DROPPED", NULL, true},
};

static void state_cell(struct mr_cli_table *t, uint32_t silent_ms)
{
	char text[32] = "runs";

	if (silent_ms > 0)
		snprintf(text, sizeof(text), "silent for %u.%u s", silent_ms / 1000,
			silent_ms / 100 % 10);
	mr_cli_table_string(t, mrf_str(text));
}

static void worker_row(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_worker_stats s = mrf_admin_worker_stats(row);
	uint64_t cycles = s.busy_cycles + s.idle_cycles;

	mr_cli_table_count(t, mrf_admin_worker_worker(row));
	if (mrf_admin_worker_cpu(row) >= 0)
		mr_cli_table_count(t, (uint64_t)mrf_admin_worker_cpu(row));
	else
		mr_cli_table_none(t);
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
}

static json_t *workers_json(struct mrf_table workers)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < mrf_admin_workers_rows_count(workers); i++) {
		struct mrf_table row = mrf_admin_workers_rows_at(workers, i);
		struct mrf_worker_stats s = mrf_admin_worker_stats(row);
		int cpu = mrf_admin_worker_cpu(row);
		json_t *o = json_object();

		json_object_set_new(o, "worker", json_integer(mrf_admin_worker_worker(row)));
		json_object_set_new(o, "cpu", cpu >= 0 ? json_integer(cpu) : json_null());
		json_object_set_new(o, "silent_ms", json_integer(mrf_admin_worker_silent_ms(row)));
		mr_cli_stats_json(o, mrf_worker_stats_members, MRF_WORKER_STATS_MEMBERS_COUNT, &s);
		json_array_append_new(rows, o);
	}
	return rows;
}

static void fill_workers(struct mr_cli_table *t, struct mrf_table workers, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_workers_rows_count(workers); i++)
		worker_row(t, mrf_admin_workers_rows_at(workers, i));
}

static int run_workers(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_WORKERS,
		.body = MRF_ADMIN_BODY_ADMIN_WORKERS,
		.columns = worker_columns,
		.columns_count = MR_ARRAY_COUNT(worker_columns),
		.fill = fill_workers,
		.json = workers_json,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, set->json);
}

static const struct mr_cli_column client_columns[] = {
	{"SESSION", "session", false},
	{"NAME", "name", false},
	{"TRANSPORT", "transport", false},
	{"WORKER", "worker", true},
	{"PID", "pid", true},
	{"UID", "uid", true},
	{NULL, "gid", true},
	{NULL, "opened_ns", true},
	{"SUBS", "subscriptions", true},
	{"IN", "rx_messages", true},
	{NULL, "rx_bytes", true},
	{"OUT", "tx_messages", true},
	{NULL, "tx_bytes", true},
	{"MISSED", "missed", true},
	{"REJECTED", "rejected", true},
	{"BACKLOG", "backlog_bytes", true},
};

/* Adds a process or user id; a client of another host has none. */
static void local_cell(struct mr_cli_table *t, bool local, uint32_t id)
{
	if (local)
		mr_cli_table_count(t, id);
	else
		mr_cli_table_none(t);
}

static void client_row(struct mr_cli_table *t, struct mrf_table client)
{
	struct mrf_table row = mrf_admin_client_row(client);
	struct mrf_session_stats s = mrf_admin_client_stats(client);
	bool local = mrf_session_row_transport(row) == MRF_TRANSPORT_SHM;

	mr_cli_table_id(t, mrf_session_row_session(row));
	mr_cli_table_string(t, mrf_session_row_name(row));
	mr_cli_table_string(t, mrf_str(local ? "shm" : "udp"));
	mr_cli_table_count(t, mrf_admin_client_worker(client));
	local_cell(t, local, mrf_session_row_pid(row));
	local_cell(t, local, mrf_session_row_uid(row));
	local_cell(t, local, mrf_session_row_gid(row));
	mr_cli_table_count(t, mrf_session_row_opened_ns(row));
	mr_cli_table_count(t, mrf_session_row_subscriptions(row));
	mr_cli_table_count(t, s.rx_messages);
	mr_cli_table_count(t, s.rx_bytes);
	mr_cli_table_count(t, s.tx_messages);
	mr_cli_table_count(t, s.tx_bytes);
	mr_cli_table_count(t, s.missed);
	mr_cli_table_count(t, s.rejected);
	mr_cli_table_count(t, s.backlog_bytes);
}

static void fill_clients(struct mr_cli_table *t, struct mrf_table clients, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++)
		client_row(t, mrf_admin_clients_rows_at(clients, i));
}

static int run_clients(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_CLIENTS,
		.body = MRF_ADMIN_BODY_ADMIN_CLIENTS,
		.columns = client_columns,
		.columns_count = MR_ARRAY_COUNT(client_columns),
		.fill = fill_clients,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, set->json);
}

static const struct mr_cli_column subject_columns[] = {
	{"PATTERN", "pattern", false},
	{"KIND", "kind", false},
	{"GROUP", "group", false},
	{"SESSION", "session", false},
	{"SUBSCRIPTION", "subscription", true},
	{"WHEN-FULL", "when_full", false},
	{NULL, "high_water", true},
};

static void full_cells(struct mr_cli_table *t, struct mrf_table row)
{
	bool blocks = mrf_subscription_row_when_full(row) == MRF_WHEN_FULL_BLOCK;

	mr_cli_table_string(t, blocks ? mrf_str("block") : mrf_str("drop"));
	if (blocks)
		mr_cli_table_count(t, mrf_subscription_row_high_water(row));
	else
		mr_cli_table_none(t);
}

static void subject_row(struct mr_cli_table *t, struct mrf_table row)
{
	bool prefix = mrf_subscription_row_kind(row) == MRF_SUBSCRIPTION_KIND_PREFIX;
	struct mrf_string group = mrf_subscription_row_group(row);

	mr_cli_table_string(t, mrf_subscription_row_pattern(row));
	mr_cli_table_string(t, prefix ? mrf_str("prefix") : mrf_str("pattern"));
	if (group.bytes)
		mr_cli_table_string(t, group);
	else
		mr_cli_table_none(t);
	mr_cli_table_id(t, mrf_subscription_row_session(row));
	mr_cli_table_count(t, mrf_subscription_row_subscription(row));
	full_cells(t, row);
}

static void fill_subjects(struct mr_cli_table *t, struct mrf_table subjects, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_subjects_rows_count(subjects); i++)
		subject_row(t, mrf_admin_subjects_rows_at(subjects, i));
}

static int run_subjects(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_SUBJECTS,
		.body = MRF_ADMIN_BODY_ADMIN_SUBJECTS,
		.columns = subject_columns,
		.columns_count = MR_ARRAY_COUNT(subject_columns),
		.fill = fill_subjects,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, set->json);
}

struct counter_settings {
	bool json;
	bool all;
};

static const struct mr_cli_column counter_columns[] = {
	{"SCOPE", "scope", false},
	{"INDEX", "index", true},
	{"NAME", "name", false},
	{"VALUE", "value", true},
	{"WHAT IT COUNTS", "text", false},
};

static void counter_row(struct mr_cli_table *t, struct mrf_table row)
{
	mr_cli_table_string(t, mrf_admin_counter_scope(row));
	mr_cli_table_count(t, mrf_admin_counter_index(row));
	mr_cli_table_string(t, mrf_admin_counter_name(row));
	mr_cli_table_count(t, mrf_admin_counter_value(row));
	mr_cli_table_string(t, mrf_admin_counter_text(row));
}

static void fill_counters(struct mr_cli_table *t, struct mrf_table counters, const void *settings)
{
	const struct counter_settings *set = settings;

	for (uint32_t i = 0; i < mrf_admin_counters_rows_count(counters); i++) {
		struct mrf_table row = mrf_admin_counters_rows_at(counters, i);

		if (set->all || mrf_admin_counter_value(row) != 0)
			counter_row(t, row);
	}
}

static int run_counters(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_COUNTERS,
		.body = MRF_ADMIN_BODY_ADMIN_COUNTERS,
		.columns = counter_columns,
		.columns_count = MR_ARRAY_COUNT(counter_columns),
		.fill = fill_counters,
	};
	const struct counter_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, set->json);
}

static const struct mr_cli_option counter_options[] = {
	{.name = "all",
		.letter = 'a',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct counter_settings, all),
		.help = "list also counters that are zero"},
	{.name = "json",
		.letter = 'j',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct counter_settings, json),
		.help = "print a JSON array of objects"},
	{0},
};

const struct mr_cli_verb mr_cli_workers = {
	.name = "workers",
	.summary = "list the workers and their work",
	.operands = "",
	.details = "All values are counted since the start of the data plane.\n"
		   "\n"
		   "BUSY%       share of busy cycles while the worker was awake\n"
		   "CYCLES/MSG  busy cycles for each message received\n"
		   "\n"
		   "--json has all statistics, under the names in flatbuf/schemas/stats.fbs.",
	.examples = "  millrace workers\n  millrace workers --json | jq '.[].busy_cycles'",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_workers,
};

const struct mr_cli_verb mr_cli_clients = {
	.name = "clients",
	.summary = "list the clients",
	.operands = "",
	.details = "IN, OUT   messages from and to the client\n"
		   "MISSED    deliveries dropped because the client was too slow\n"
		   "REJECTED  malformed messages of the client\n"
		   "BACKLOG   bytes that the client has not read yet\n"
		   "\n"
		   "`millrace sessions` shows more about clients over UDP (TRANSPORT udp).",
	.examples =
		"  millrace clients\n  millrace clients --json | jq '.[] | select(.missed > 0)'",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_clients,
};

const struct mr_cli_verb mr_cli_subjects = {
	.name = "subjects",
	.summary = "list the subscriptions",
	.operands = "",
	.examples =
		"  millrace subjects\n  millrace subjects --json | jq -r '.[].pattern' | sort -u",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_subjects,
};

const struct mr_cli_verb mr_cli_counters = {
	.name = "counters",
	.summary = "list every counter with its explanation",
	.operands = "",
	.details = "The bus counts each message that it discards in exactly one counter, whose\n"
		   "name says why.",
	.examples =
		"  millrace counters\n"
		"  millrace counters --all --json | jq '.[] | select(.name == \"drop_unrouted\")'",
	.options = counter_options,
	.settings_bytes = sizeof(struct counter_settings),
	.run = run_counters,
};
