/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the network ports of the bus, as a table. */
#include <string.h>

#include "cli/listing.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

#define ADDRESSES_BYTES 4096

/* The columns of the screen, and those for JSON that are no statistics. */
static const struct mr_cli_column own[] = {
	{"PORT", "name", .least = 8, .identifies = true},
	{"DRIVER", "driver", .rank = 7},
	{"DEVICE", "device", .rank = 4, .least = 8},
	{"LINK", "link", .good = "up"},
	{"MTU", "mtu", .right = true, .rank = 11},
	{"ADDRESSES", "addresses", .rank = 3, .least = 14},
	{NULL, "mac"},
	{"UDP", "udp_port", .right = true, .rank = 8},
	{"QUEUES", "queues", .right = true, .rank = 12},
	{"RX", "rx_packets", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"RX-BYTES", "rx_bytes", .right = true, .rank = 9, .unit = MR_CLI_UNIT_BYTES},
	{"TX", "tx_packets", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"TX-BYTES", "tx_bytes", .right = true, .rank = 10, .unit = MR_CLI_UNIT_BYTES},
	{"DISCARDED", "rx_discarded", .right = true, .rank = 5, .unit = MR_CLI_UNIT_COUNT,
		.alarm = true},
	{"MISSED", "rx_missed", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"XDP", "xdp_mode", .rank = 13},
	{NULL, "xdp_program", .right = true},
	{"ERRORS", "errors", .right = true, .screen_only = true, .rank = 2,
		.unit = MR_CLI_UNIT_COUNT, .alarm = true},
};

static const struct mr_cli_stats statistics[] = {
	{mrf_port_state_members, MRF_PORT_STATE_MEMBERS_COUNT},
	{mrf_port_stats_members, MRF_PORT_STATS_MEMBERS_COUNT},
	{mrf_port_xdp_members, MRF_PORT_XDP_MEMBERS_COUNT},
};

static const char *link_text(const struct mrf_port_state *s)
{
	if (s->gone)
		return "gone";
	return s->link_up ? "up" : "down";
}

static void addresses_cell(struct mr_cli_table *t, struct mrf_table row)
{
	char text[ADDRESSES_BYTES] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < mrf_port_row_addresses_count(row) && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? "," : "",
			mrf_port_row_addresses_at(row, i).data);
	mr_cli_table_list(t, text, strlen(text));
}

/* Adds up the queues of the interface. */
static struct mrf_port_xdp xdp_sum(struct mrf_table row)
{
	struct mrf_port_xdp sum = {0};

	for (uint32_t q = 0; q < mrf_port_row_xdp_count(row); q++) {
		struct mrf_port_xdp x = mrf_port_row_xdp_at(row, q);

		sum.xdp_bus += x.xdp_bus;
		sum.xdp_no_socket += x.xdp_no_socket;
		sum.xdp_not_ip += x.xdp_not_ip;
		sum.xdp_tagged += x.xdp_tagged;
		sum.xdp_malformed += x.xdp_malformed;
		sum.xdp_fragment += x.xdp_fragment;
		sum.xdp_other += x.xdp_other;
	}
	return sum;
}

static void xdp_cells(struct mr_cli_table *t, struct mrf_table row)
{
	if (mrf_port_row_xdp_program(row) == 0) {
		mr_cli_table_none(t);
		mr_cli_table_none(t);
		return;
	}
	mr_cli_table_string(t, mrf_port_row_xdp_mode(row));
	mr_cli_table_count(t, mrf_port_row_xdp_program(row));
}

static void table_row(struct mr_cli_table *t, struct mrf_table port)
{
	struct mrf_table row = mrf_admin_port_row(port);
	struct mrf_port_state state = mrf_admin_port_state(port);
	struct mrf_port_stats stats = mrf_admin_port_stats(port);
	struct mrf_port_xdp xdp = xdp_sum(row);

	mr_cli_table_string(t, mrf_port_row_name(row));
	mr_cli_table_string(t, mrf_port_row_driver(row));
	mr_cli_table_string(t, mrf_port_row_device(row));
	mr_cli_table_string(t, mrf_str(link_text(&state)));
	mr_cli_table_count(t, state.mtu);
	addresses_cell(t, row);
	mr_cli_table_string(t, mrf_port_row_mac(row));
	mr_cli_table_count(t, mrf_port_row_udp_port(row));
	mr_cli_table_count(t, mrf_port_row_queues(row));
	mr_cli_table_count(t, stats.rx_packets);
	mr_cli_table_count(t, stats.rx_bytes);
	mr_cli_table_count(t, stats.tx_packets);
	mr_cli_table_count(t, stats.tx_bytes);
	mr_cli_table_count(t, stats.rx_discarded);
	mr_cli_table_count(t, state.rx_missed);
	xdp_cells(t, row);
	mr_cli_table_count(t, state.rx_errors + state.tx_errors);
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[0], &state,
		mrf_admin_port_state_bytes(port));
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[1], &stats,
		mrf_admin_port_stats_bytes(port));
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[2], &xdp,
		mrf_port_row_xdp_count(row) > 0 ? sizeof(xdp) : 0);
}

static void fill(struct mr_cli_table *t, struct mrf_table ports, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_ports_rows_count(ports); i++)
		table_row(t, mrf_admin_ports_rows_at(ports, i));
}

static int run_ports(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	struct mr_cli_column columns[MR_CLI_COLUMNS_MAX];
	const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_PORTS,
		.body = MRF_ADMIN_BODY_ADMIN_PORTS,
		.columns = columns,
		.columns_count = mr_cli_stats_columns(
			columns, own, MR_ARRAY_COUNT(own), statistics, MR_ARRAY_COUNT(statistics)),
		.fill = fill,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, &set->view);
}

const struct mr_cli_verb mr_cli_ports = {
	.name = "ports",
	.summary = "list the network ports",
	.operands = "",
	.details = "DISCARDED       packets that are not for the bus, or malformed; the counters\n"
		   "                drop_... tell which\n"
		   "MISSED, ERRORS  the counts of the driver\n"
		   "LINK            gone if the interface was removed\n"
		   "XDP             where the XDP program of an AF_XDP port runs: native (the\n"
		   "                interface's driver) or generic (the kernel, slower)\n"
		   "\n"
		   "--json has all statistics, under the names in flatbuf/schemas/stats.fbs.\n"
		   "xdp_... are packets that the XDP program counted by their end: xdp_bus went\n"
		   "to a worker, the others to the kernel.",
	.examples =
		"  millrace ports\n  millrace ports --json | jq '.[] | select(.link != \"up\")'",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_ports,
};
