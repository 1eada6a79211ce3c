/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sessions.h"

#include <string.h>

#include "cli/admin.h"
#include "cli/options.h"
#include "cli/slow.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lib/base/compiler.h"

#define NS_PER_S 1000000000u

struct settings {
	struct mr_cli_view view;
	bool slow;
};

static const struct mr_cli_column columns[] = {
	{"SESSION", "session"},
	{"NAME", "name", .least = 16},
	{"PEER", "peer", .rank = 1, .least = 15},
	{"PORT", "port", .rank = 6, .least = 6},
	{NULL, "local"},
	{"WORKER", "worker", .right = true, .rank = 8},
	{"FRAME", "frame_bytes", .right = true, .rank = 14},
	{NULL, "opened_ns", .right = true},
	{"AGE", "age_s", .right = true, .rank = 7, .unit = MR_CLI_UNIT_SECONDS},
	{"IDLE", "idle_s", .right = true, .rank = 4, .unit = MR_CLI_UNIT_SECONDS},
	{"SUBS", "subscriptions", .right = true, .rank = 12},
	{"FRAMES-IN", "frames_rx", .right = true, .rank = 16, .unit = MR_CLI_UNIT_COUNT},
	{"FRAMES-OUT", "frames_tx", .right = true, .rank = 15, .unit = MR_CLI_UNIT_COUNT},
	{"IN", "rx_messages", .right = true, .rank = 3, .unit = MR_CLI_UNIT_COUNT},
	{"OUT", "tx_messages", .right = true, .rank = 3, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "rx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{NULL, "tx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"LOST", "frames_lost", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"LATE", "frames_late", .right = true, .rank = 13, .unit = MR_CLI_UNIT_COUNT},
	{"DUPLICATE", "frames_duplicate", .right = true, .rank = 11, .unit = MR_CLI_UNIT_COUNT},
	{"MISSED", "missed", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"REJECTED", "rejected", .right = true, .rank = 9, .unit = MR_CLI_UNIT_COUNT,
		.alarm = true},
	{"MOVES", "paths_changed", .right = true, .rank = 10, .unit = MR_CLI_UNIT_COUNT},
};

static void address_cell(
	struct mr_cli_table *t, uint64_t word_0, uint64_t word_1, uint16_t udp_port)
{
	char text[MR_CLI_TEXT_ADDRESS_BYTES];
	uint8_t address[16];

	memcpy(address, &word_0, 8);
	memcpy(address + 8, &word_1, 8);
	mr_cli_text_address(text, address, udp_port);
	mr_cli_table_text(t, text, strlen(text));
}

/* Adds a port's name, or its number if control does not know the name. */
static void port_cell(struct mr_cli_table *t, struct mrf_string name, uint16_t number)
{
	char text[16];

	if (name.bytes > 0) {
		mr_cli_table_string(t, name);
		return;
	}
	snprintf(text, sizeof(text), "%u", number);
	mr_cli_table_text(t, text, strlen(text));
}

static void path_cells(struct mr_cli_table *t, struct mrf_table client)
{
	struct mrf_network_path p = mrf_session_row_path(mrf_admin_client_row(client));

	address_cell(t, p.peer_0, p.peer_1, p.peer_udp_port);
	port_cell(t, mrf_admin_client_port(client), p.port);
	address_cell(t, p.local_0, p.local_1, p.local_udp_port);
}

static void time_cells(struct mr_cli_table *t, struct mrf_table row,
	const struct mrf_session_stats *s, uint64_t date_ns, uint64_t read_ns)
{
	uint64_t opened_ns = mrf_session_row_opened_ns(row);

	mr_cli_table_count(t, opened_ns);
	mr_cli_table_count(t, date_ns > opened_ns ? (date_ns - opened_ns) / NS_PER_S : 0);
	if (s->last_rx_ns == 0)
		mr_cli_table_none(t); /* no frame came yet */
	else
		mr_cli_table_real(t,
			read_ns > s->last_rx_ns ? (double)(read_ns - s->last_rx_ns) / NS_PER_S : 0);
}

static void count_cells(struct mr_cli_table *t, const struct mrf_session_stats *s)
{
	mr_cli_table_count(t, s->frames_rx);
	mr_cli_table_count(t, s->frames_tx);
	mr_cli_table_count(t, s->rx_messages);
	mr_cli_table_count(t, s->tx_messages);
	mr_cli_table_count(t, s->rx_bytes);
	mr_cli_table_count(t, s->tx_bytes);
	mr_cli_table_count(t, s->frames_lost);
	mr_cli_table_count(t, s->frames_late);
	mr_cli_table_count(t, s->frames_duplicate);
	mr_cli_table_count(t, s->missed);
	mr_cli_table_count(t, s->rejected);
	mr_cli_table_count(t, s->paths_changed);
}

static void add_row(
	struct mr_cli_table *t, struct mrf_table client, uint64_t date_ns, uint64_t read_ns)
{
	struct mrf_table row = mrf_admin_client_row(client);
	struct mrf_session_stats s = mrf_admin_client_stats(client);

	mr_cli_table_id(t, mrf_session_row_session(row));
	mr_cli_table_string(t, mrf_session_row_name(row));
	path_cells(t, client);
	mr_cli_table_count(t, mrf_admin_client_worker(client));
	mr_cli_table_count(t, mrf_session_row_frame_bytes(row));
	time_cells(t, row, &s, date_ns, read_ns);
	mr_cli_table_count(t, mrf_session_row_subscriptions(row));
	count_cells(t, &s);
}

void mr_cli_sessions_table(struct mr_cli_table *t, struct mrf_table clients, uint64_t date_ns)
{
	uint64_t read_ns = mrf_admin_clients_read_ns(clients);

	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(columns));
	t->sort = "-missed,-frames_lost,-rx_messages,session";
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);

		if (mrf_session_row_transport(mrf_admin_client_row(client)) == MRF_TRANSPORT_UDP)
			add_row(t, client, date_ns, read_ns);
	}
}

static int run_sessions(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct mr_cli_admin admin;
	struct mrf_table clients;
	struct mr_cli_table t;
	int code = mr_cli_admin_query(
		cli, &admin, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);

	(void)w;
	if (code == MR_EXIT_OK) {
		if (set->slow)
			mr_cli_slow_table(&t, clients);
		else
			mr_cli_sessions_table(&t, clients, mr_cli_date_ns());
		code = mr_cli_view_show(cli, &set->view, &t);
	}
	mr_cli_admin_close(&admin);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS,
	{.name = "slow",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, slow),
		.help = "list only slow receivers and the publishers that wait for "
			"them, over UDP or not"},
	{0},
};

const struct mr_cli_verb mr_cli_sessions = {
	.name = "sessions",
	.summary = "list the sessions over UDP",
	.operands = "",
	.details = "PORT       port of the bus\n"
		   "FRAME      largest UDP payload, bytes\n"
		   "AGE, IDLE  time since the session was opened, and since its last frame came\n"
		   "LOST       frames of the client that never came\n"
		   "LATE       frames that came after a later one\n"
		   "DUPLICATE  frames that came twice or too late\n"
		   "MISSED     deliveries that were dropped\n"
		   "MOVES      times that the client proved another address\n"
		   "\n"
		   "With --slow:\n"
		   "\n"
		   "STATE    full: a receiver of promised messages above its high-water mark;\n"
		   "         passed over: it was full without reading for sessions.block_ms_max,\n"
		   "         and misses messages; held up: a publisher that waits for a full\n"
		   "         receiver; missing: deliveries were dropped in the last 10 seconds\n"
		   "FOR      time since the state began, or since the last dropped delivery\n"
		   "SUBJECT  the subject of the message concerned (the first 40 bytes), if known\n"
		   "BLOCKS   the publishers that wait for this receiver\n"
		   "BACKLOG  bytes in its ring\n"
		   "HELD     messages that are queued for it",
	.examples = "  millrace sessions\n"
		    "  millrace sessions --slow\n"
		    "  millrace sessions --json | jq '.[] | select(.frames_lost > 0) | .peer'",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.run = run_sessions,
};
