/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sessions.h"

#include <string.h>

#include "cli/admin.h"
#include "cli/options.h"
#include "cli/slow.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

#define NS_PER_S 1000000000u

struct settings {
	bool json;
	bool slow;
};

static const struct mr_cli_column columns[] = {
	{"SESSION", "session", false},
	{"NAME", "name", false},
	{"PEER", "peer", false},
	{"PORT", "port", false},
	{NULL, "local", false},
	{"WORKER", "worker", true},
	{"FRAME", "frame_bytes", true},
	{NULL, "opened_ns", true},
	{"AGE", "age_s", true},
	{"IDLE", "idle_s", true},
	{"SUBS", "subscriptions", true},
	{"FRAMES-IN", "frames_rx", true},
	{"FRAMES-OUT", "frames_tx", true},
	{"IN", "rx_messages", true},
	{"OUT", "tx_messages", true},
	{NULL, "rx_bytes", true},
	{NULL, "tx_bytes", true},
	{"LOST", "frames_lost", true},
	{"LATE", "frames_late", true},
	{"DUPLICATE", "frames_duplicate", true},
	{"MISSED", "missed", true},
	{"REJECTED", "rejected", true},
	{"MOVES", "paths_changed", true},
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
		mr_cli_table_show(&t, cli->colour, set->json);
	}
	mr_cli_admin_close(&admin);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_JSON_OPTION("print a JSON array of objects"),
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
		   "AGE, IDLE  seconds since the session was opened, and since its last frame\n"
		   "           came\n"
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
		   "SECONDS  time since the state began, or since the last dropped delivery\n"
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
