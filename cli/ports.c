/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the network ports of the bus, as a table; their limits and counts. */
#include <string.h>

#include "cli/listing.h"
#include "cli/port_rules.h"
#include "cli/port_stats.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

#define ADDRESSES_BYTES 4096
#define CARD_CELLS      7

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
	{NULL, "card_driver"},
	{NULL, "numa_node", .right = true},
	{NULL, "link_speed", .right = true},
	{NULL, "steering"},
	{NULL, "offloads"},
	{NULL, "redirection"},
	{NULL, "extended"},
	{"TAP", "tap", .rank = 14},
	{"ERRORS", "errors", .right = true, .screen_only = true, .rank = 2,
		.unit = MR_CLI_UNIT_COUNT, .alarm = true},
};

static const struct mr_cli_stats statistics[] = {
	{mrf_port_state_members, MRF_PORT_STATE_MEMBERS_COUNT},
	{mrf_port_stats_members, MRF_PORT_STATS_MEMBERS_COUNT},
	{mrf_port_xdp_members, MRF_PORT_XDP_MEMBERS_COUNT},
	{mrf_port_tap_members, MRF_PORT_TAP_MEMBERS_COUNT},
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
		sum.xdp_denied += x.xdp_denied;
		sum.xdp_not_allowed += x.xdp_not_allowed;
		sum.xdp_limited += x.xdp_limited;
		sum.xdp_limited_new += x.xdp_limited_new;
		sum.xdp_limited_prefix += x.xdp_limited_prefix;
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

/* Unknown numbers, and all of other ports, are empty. */
static void card_cells(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_string offloads = mrf_port_row_offloads(row);
	struct mrf_string redirection = mrf_port_row_redirection(row);
	struct mrf_string extended = mrf_port_row_extended(row);

	if (mrf_port_row_card_driver(row).bytes == 0) {
		for (unsigned i = 0; i < CARD_CELLS; i++)
			mr_cli_table_none(t);
		return;
	}
	mr_cli_table_string(t, mrf_port_row_card_driver(row));
	if (mrf_port_row_numa_node(row) < 0)
		mr_cli_table_none(t);
	else
		mr_cli_table_count(t, (uint64_t)mrf_port_row_numa_node(row));
	if (mrf_port_row_link_speed(row) == 0)
		mr_cli_table_none(t);
	else
		mr_cli_table_count(t, mrf_port_row_link_speed(row));
	mr_cli_table_string(t, mrf_port_row_steering(row));
	mr_cli_table_list(t, offloads.data, offloads.bytes);
	mr_cli_table_counts(t, redirection.data, redirection.bytes);
	mr_cli_table_counts(t, extended.data, extended.bytes);
}

static void tap_cell(struct mr_cli_table *t, struct mrf_table row)
{
	if (mrf_port_row_tap(row).bytes == 0)
		mr_cli_table_none(t);
	else
		mr_cli_table_string(t, mrf_port_row_tap(row));
}

static void table_row(struct mr_cli_table *t, struct mrf_table port)
{
	struct mrf_table row = mrf_admin_port_row(port);
	struct mrf_port_state state = mrf_admin_port_state(port);
	struct mrf_port_stats stats = mrf_admin_port_stats(port);
	struct mrf_port_xdp xdp = xdp_sum(row);
	struct mrf_port_tap tap = mrf_admin_port_tap(port);

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
	card_cells(t, row);
	tap_cell(t, row);
	mr_cli_table_count(t, state.rx_errors + state.tx_errors);
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[0], &state,
		mrf_admin_port_state_bytes(port));
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[1], &stats,
		mrf_admin_port_stats_bytes(port));
	mr_cli_stats_cells(t, own, MR_ARRAY_COUNT(own), &statistics[2], &xdp,
		mrf_port_row_xdp_count(row) > 0 ? sizeof(xdp) : 0);
	mr_cli_stats_cells(
		t, own, MR_ARRAY_COUNT(own), &statistics[3], &tap, mrf_admin_port_tap_bytes(port));
}

static void fill(struct mr_cli_table *t, struct mrf_table ports, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_ports_rows_count(ports); i++)
		table_row(t, mrf_admin_ports_rows_at(ports, i));
}

struct settings {
	struct mr_cli_view view;
	uint64_t burst;
	bool remove;
};

static int list_ports(const struct mr_cli *cli, const struct settings *set)
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

	return mr_cli_list(cli, &listing, set, &set->view);
}

static int run_stats(const struct mr_cli_port_rules *r)
{
	return mr_cli_port_stats(r->cli, r->view, r->words->count > 1 ? r->words->at[1] : NULL);
}

static const struct {
	const char *name;
	int (*run)(const struct mr_cli_port_rules *r);
	unsigned words_min;
	unsigned words_max;
} actions[] = {
	{"limit", mr_cli_port_limit, 2, 4},
	{"allow", mr_cli_port_allow, 2, MR_CLI_WORDS_MAX},
	{"deny", mr_cli_port_deny, 2, MR_CLI_WORDS_MAX},
	{"stats", run_stats, 1, 2},
};

static int run_ports(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	const struct mr_cli_port_rules r = {
		.cli = cli,
		.view = &set->view,
		.words = w,
		.burst = set->burst,
		.remove = set->remove,
	};

	if (w->count == 0)
		return list_ports(cli, set);
	for (size_t i = 0; i < MR_ARRAY_COUNT(actions); i++) {
		if (strcmp(w->at[0], actions[i].name) != 0)
			continue;
		if (w->count < actions[i].words_min || w->count > actions[i].words_max)
			return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0],
				w->count < actions[i].words_min ? "needs a port"
								: "has too many words",
				"see millrace help ports");
		return actions[i].run(&r);
	}
	return mr_cli_fail(
		cli, MR_EXIT_USAGE, w->at[0], "unknown", "expected limit, allow, deny or stats");
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS,
	{.name = "burst",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, burst),
		.min = 1,
		.max = 100000000,
		.help = "limit: packets at once; default: 100 ms of the rate, at least 32"},
	{.name = "remove",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, remove),
		.help = "limit, allow, deny: take the limit or the networks away"},
	{0},
};

const struct mr_cli_verb mr_cli_ports = {
	.name = "ports",
	.summary = "list the network ports; limit who may send to them",
	.operands = "[limit|allow|deny|stats] [PORT] [sources|new|NETWORK...] [RATE|off]",
	.details = "Without operands: a line for each port.\n"
		   "\n"
		   "limit   show the limits of an AF_XDP port, or set one: RATE packets a second\n"
		   "        from each source (sources), from all sources together that sent\n"
		   "        nothing lately (new), or from a network; off takes it away. A source\n"
		   "        is an IPv4 address, or the first 64 bits of an IPv6 address\n"
		   "allow   show the networks that may send, or add some; without any, all may\n"
		   "deny    show the networks that may not send, or add some. Where networks\n"
		   "        overlap, the smallest counts\n"
		   "stats   packets of each receive queue, by their end in the XDP program\n"
		   "\n"
		   "Only packets for the bus are limited or denied: those for the kernel reach\n"
		   "it. Changes last until the data plane is restarted; the keys limit=, allow=\n"
		   "and deny= of ports.open set the same at the start.\n"
		   "\n"
		   "DISCARDED       packets that are not for the bus, or malformed; the counters\n"
		   "                drop_... tell which\n"
		   "MISSED, ERRORS  the counts of the driver\n"
		   "LINK            gone if the interface was removed\n"
		   "XDP             where the XDP program of an AF_XDP port runs: native (the\n"
		   "                interface's driver) or generic (the kernel, slower)\n"
		   "TAP             the device through which the kernel gets all that is not for\n"
		   "                the bus: ARP, ping, TCP (tap= of the port)\n"
		   "\n"
		   "--columns also takes what a PCI card has: card_driver, numa_node,\n"
		   "link_speed (Mbit/s), steering (how packets find their queue: flow, rss or\n"
		   "none), offloads, redirection (entries for each queue) and extended (the\n"
		   "driver's statistics).\n"
		   "\n"
		   "--json has all statistics, under the names in flatbuf/schemas/stats.fbs.\n"
		   "xdp_... are packets that the XDP program counted by their end: xdp_bus went\n"
		   "to a worker, xdp_denied, xdp_not_allowed and xdp_limited... were dropped, and\n"
		   "the others went to the kernel. exception_in, tap_written: packets to the TAP\n"
		   "device; tap_read, exception_out: packets from there; drop_exception_...,\n"
		   "drop_tap_...: those that were discarded, by reason.",
	.examples = "  millrace ports\n"
		    "  millrace ports --json | jq '.[] | select(.link != \"up\")'\n"
		    "  millrace ports limit af_xdp0 sources 20000 --burst 5000\n"
		    "  millrace ports limit af_xdp0 new 1000\n"
		    "  millrace ports deny af_xdp0 10.9.0.0/16\n"
		    "  millrace ports stats",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.operands_max = MR_CLI_WORDS_MAX,
	.run = run_ports,
};
