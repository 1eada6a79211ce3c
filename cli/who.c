/* SPDX-License-Identifier: Apache-2.0 */
/* who: one session, connected or ended; or the sessions that ended lately. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/clients.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lib/base/compiler.h"

#define NS_PER_S 1000000000u

struct settings {
	struct mr_cli_view view;
};

static const struct mr_cli_column columns[] = {
	{"SESSION", "session"},
	{"NAME", "name", .least = 16},
	{NULL, "state"},
	{"REASON", "reason", .least = 16, .elision = MR_CLI_ELIDE_END},
	{"ENDED", "ended_s", .right = true, .unit = MR_CLI_UNIT_SECONDS},
	{"LASTED", "age_s", .right = true, .rank = 2, .unit = MR_CLI_UNIT_SECONDS},
	{"USER", "user", .rank = 3, .least = 6},
	{"ADDRESS", "address", .rank = 4, .least = 12},
	{"TRANSPORT", "transport", .rank = 7},
	{"PID", "pid", .right = true, .rank = 5},
	{NULL, "uid", .right = true},
	{NULL, "gid", .right = true},
	{NULL, "opened_ns", .right = true},
	{NULL, "ended_ns", .right = true},
	{NULL, "subscriptions", .right = true},
	{"IN", "rx_messages", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT},
	{"OUT", "tx_messages", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "rx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{NULL, "tx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"MISSED", "missed", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"REJECTED", "rejected", .right = true, .rank = 8, .unit = MR_CLI_UNIT_COUNT,
		.alarm = true},
	{NULL, "backlog_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
};

/* A session as control told it. */
struct told {
	struct mrf_table row;
	struct mrf_string reason;
	uint64_t ended_ns; /* 0: it is connected */
	bool has_stats;
	struct mrf_session_stats stats;
};

static void time_cell(struct mr_cli_table *t, uint64_t from_ns, uint64_t to_ns)
{
	if (from_ns == 0)
		mr_cli_table_none(t);
	else
		mr_cli_table_count(t, to_ns > from_ns ? (to_ns - from_ns) / NS_PER_S : 0);
}

/* Adds a number, or nothing where there is none. */
static void number_cell(struct mr_cli_table *t, bool known, uint64_t value)
{
	if (known)
		mr_cli_table_count(t, value);
	else
		mr_cli_table_none(t);
}

static void peer_cells(struct mr_cli_table *t, struct mrf_table row)
{
	bool local = mrf_session_row_transport(row) == MRF_TRANSPORT_SHM;
	struct mrf_network_path path = mrf_session_row_path(row);

	mr_cli_user_cell(t, local, mrf_session_row_uid(row));
	mr_cli_address_cell(t, local, &path);
	mr_cli_table_string(t, mrf_str(local ? "shm" : "udp"));
	number_cell(t, local, mrf_session_row_pid(row));
	number_cell(t, local, mrf_session_row_uid(row));
	number_cell(t, local, mrf_session_row_gid(row));
}

static void count_cells(struct mr_cli_table *t, const struct told *w)
{
	number_cell(t, w->has_stats, w->stats.rx_messages);
	number_cell(t, w->has_stats, w->stats.tx_messages);
	number_cell(t, w->has_stats, w->stats.rx_bytes);
	number_cell(t, w->has_stats, w->stats.tx_bytes);
	number_cell(t, w->has_stats, w->stats.missed);
	number_cell(t, w->has_stats, w->stats.rejected);
	number_cell(t, w->has_stats, w->stats.backlog_bytes);
}

static void add_row(struct mr_cli_table *t, const struct told *w, uint64_t date_ns)
{
	uint64_t opened_ns = mrf_session_row_opened_ns(w->row);
	bool ended = w->ended_ns != 0;

	mr_cli_table_id(t, mrf_session_row_session(w->row));
	mr_cli_table_string(t, mrf_session_row_name(w->row));
	mr_cli_table_string(t, mrf_str(ended ? "ended" : "connected"));
	if (ended)
		mr_cli_table_string(t, w->reason);
	else
		mr_cli_table_none(t);
	time_cell(t, w->ended_ns, date_ns);
	time_cell(t, opened_ns, ended ? w->ended_ns : date_ns);
	peer_cells(t, w->row);
	number_cell(t, opened_ns != 0, opened_ns);
	number_cell(t, ended, w->ended_ns);
	number_cell(t, !ended, mrf_session_row_subscriptions(w->row));
	count_cells(t, w);
}

static struct told ended_at(struct mrf_table sessions, uint32_t i)
{
	struct mrf_table e = mrf_admin_ended_sessions_rows_at(sessions, i);

	return (struct told){
		.row = mrf_admin_ended_row(e),
		.reason = mrf_admin_ended_reason(e),
		.ended_ns = mrf_admin_ended_ended_ns(e),
		.stats = mrf_admin_ended_stats(e),
		.has_stats = mrf_admin_ended_stats(e).session != 0,
	};
}

static void fill_ended(struct mr_cli_table *t, struct mrf_table sessions, uint64_t only)
{
	uint64_t date_ns = mr_cli_date_ns();

	for (uint32_t i = 0; i < mrf_admin_ended_sessions_rows_count(sessions); i++) {
		struct told w = ended_at(sessions, i);

		if (only == 0 || mrf_session_row_session(w.row) == only)
			add_row(t, &w, date_ns);
	}
}

static void fill_connected(struct mr_cli_table *t, struct mrf_table clients, uint64_t only)
{
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);
		const struct told w = {
			.row = mrf_admin_client_row(client),
			.stats = mrf_admin_client_stats(client),
			.has_stats = true,
		};

		if (mrf_session_row_session(w.row) == only)
			add_row(t, &w, mr_cli_date_ns());
	}
}

static void begin(struct mr_cli_table *t)
{
	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(columns));
	t->sort = "-ended_ns,session";
}

static int list_ended(const struct mr_cli *cli, const struct settings *set)
{
	struct mr_cli_admin admin;
	struct mrf_table sessions;
	struct mr_cli_table t;
	int code = mr_cli_admin_query(cli, &admin, MRF_ADMIN_VERB_ENDED, 0,
		MRF_ADMIN_BODY_ADMIN_ENDED_SESSIONS, &sessions);

	if (code == MR_EXIT_OK) {
		begin(&t);
		fill_ended(&t, sessions, 0);
		code = mr_cli_view_show(cli, &set->view, &t);
	}
	mr_cli_admin_close(&admin);
	return code;
}

/* Looks for the session among the connected ones, then among those that ended. */
static int find(struct mr_cli_admin *a, struct mr_cli_table *t, uint64_t session)
{
	struct mrf_table answer;
	int rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &answer);

	/* Without a data plane nothing is connected, and control still knows the past. */
	if (rc == 0)
		fill_connected(t, answer, session);
	if ((rc != 0 && !a->refused) || mr_cli_table_rows(t) > 0)
		return rc;
	rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_ENDED, 0, MRF_ADMIN_BODY_ADMIN_ENDED_SESSIONS, &answer);
	if (rc == 0)
		fill_ended(t, answer, session);
	return rc;
}

static void print_one(const struct mr_cli_table *t, bool json)
{
	json_t *rows;

	if (!json) {
		mr_cli_table_print_lines(t, stdout);
		return;
	}
	rows = mr_cli_table_json(t);
	mr_cli_text_json_line(json_incref(json_array_get(rows, 0)));
	json_decref(rows);
}

static int show_one(
	const struct mr_cli *cli, const struct settings *set, const char *word, uint64_t session)
{
	struct mr_cli_admin admin;
	struct mr_cli_table t;
	int rc = mr_cli_admin_open(&admin, cli), code = MR_EXIT_OK;

	begin(&t);
	rc = rc ? rc : find(&admin, &t, session);
	if (rc)
		code = mr_cli_admin_fail(cli, &admin, rc);
	else if (mr_cli_table_rows(&t) == 0)
		code = mr_cli_fail(cli, MR_EXIT_FAILED, word,
			"no such session is connected, nor among the last that ended",
			"`millrace clients` and `millrace who` list them");
	else
		print_one(&t, set->view.json);
	mr_cli_table_fini(&t);
	mr_cli_admin_close(&admin);
	return code;
}

static int run_who(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	char *end;
	uint64_t session;

	if (w->count == 0)
		return list_ended(cli, settings);
	session = strtoull(w->at[0], &end, 0);
	if (end == w->at[0] || *end != '\0' || session == 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0], "not a session id",
			"`millrace clients` and `millrace who` list them");
	return show_one(cli, settings, w->at[0], session);
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS_JSON("print a JSON array of objects; with SESSION one object"),
	{0},
};

const struct mr_cli_verb mr_cli_who = {
	.name = "who",
	.summary = "show a session, also one that ended, or list those that ended",
	.operands = "[SESSION]",
	.details = "With SESSION, an id as logs and lists show it, prints all about the session:\n"
		   "its client, whether it is connected, and if not, when and why it ended.\n"
		   "Without SESSION lists the sessions that ended lately, the last one first.\n"
		   "\n"
		   "REASON  the reason that the bus gave\n"
		   "ENDED   time since the end\n"
		   "LASTED  time from the beginning to the end\n"
		   "\n"
		   "Control remembers 1,024 sessions, a quarter of them for one user or host, as\n"
		   "long as it runs.",
	.examples = "  millrace who 0x0000000300000001\n"
		    "  millrace who --filter 'reason~operator'\n"
		    "  millrace who --json --limit 1",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.operands_max = 1,
	.run = run_who,
};
