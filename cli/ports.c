/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the network ports of the bus, as a table. */
#include <string.h>

#include "cli/listing.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

#define ADDRESSES_BYTES 512

static const struct mr_cli_column columns[] = {
	{"PORT", NULL, false},
	{"DRIVER", NULL, false},
	{"DEVICE", NULL, false},
	{"LINK", NULL, false},
	{"MTU", NULL, true},
	{"ADDRESSES", NULL, false},
	{"UDP", NULL, true},
	{"QUEUES", NULL, true},
	{"RX", NULL, true},
	{"RX BYTES", NULL, true},
	{"TX", NULL, true},
	{"TX BYTES", NULL, true},
	{"DISCARDED", NULL, true},
	{"MISSED", NULL, true},
	{"ERRORS", NULL, true},
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
	mr_cli_table_text(t, text, strlen(text));
}

static void table_row(struct mr_cli_table *t, struct mrf_table port)
{
	struct mrf_table row = mrf_admin_port_row(port);
	struct mrf_port_state state = mrf_admin_port_state(port);
	struct mrf_port_stats stats = mrf_admin_port_stats(port);

	mr_cli_table_string(t, mrf_port_row_name(row));
	mr_cli_table_string(t, mrf_port_row_driver(row));
	mr_cli_table_string(t, mrf_port_row_device(row));
	mr_cli_table_string(t, mrf_str(link_text(&state)));
	mr_cli_table_count(t, mrf_port_row_mtu(row));
	addresses_cell(t, row);
	mr_cli_table_count(t, mrf_port_row_udp_port(row));
	mr_cli_table_count(t, mrf_port_row_queues(row));
	mr_cli_table_count(t, stats.rx_packets);
	mr_cli_table_count(t, stats.rx_bytes);
	mr_cli_table_count(t, stats.tx_packets);
	mr_cli_table_count(t, stats.tx_bytes);
	mr_cli_table_count(t, stats.rx_discarded);
	mr_cli_table_count(t, state.rx_missed);
	mr_cli_table_count(t, state.rx_errors + state.tx_errors);
}

static void fill(struct mr_cli_table *t, struct mrf_table ports, const void *settings)
{
	(void)settings;
	for (uint32_t i = 0; i < mrf_admin_ports_rows_count(ports); i++)
		table_row(t, mrf_admin_ports_rows_at(ports, i));
}

static json_t *string_json(struct mrf_string s)
{
	return json_stringn_nocheck(s.data, s.bytes);
}

static json_t *port_json(struct mrf_table port)
{
	struct mrf_table row = mrf_admin_port_row(port);
	struct mrf_port_state state = mrf_admin_port_state(port);
	struct mrf_port_stats stats = mrf_admin_port_stats(port);
	json_t *o = json_object(), *addresses = json_array();

	for (uint32_t i = 0; i < mrf_port_row_addresses_count(row); i++)
		json_array_append_new(addresses, string_json(mrf_port_row_addresses_at(row, i)));
	json_object_set_new(o, "name", string_json(mrf_port_row_name(row)));
	json_object_set_new(o, "driver", string_json(mrf_port_row_driver(row)));
	json_object_set_new(o, "device", string_json(mrf_port_row_device(row)));
	json_object_set_new(o, "link", json_string(link_text(&state)));
	json_object_set_new(o, "addresses", addresses);
	json_object_set_new(o, "mac", string_json(mrf_port_row_mac(row)));
	json_object_set_new(o, "udp_port", json_integer(mrf_port_row_udp_port(row)));
	json_object_set_new(o, "queues", json_integer(mrf_port_row_queues(row)));
	mr_cli_stats_json(o, mrf_port_state_members, MRF_PORT_STATE_MEMBERS_COUNT, &state);
	mr_cli_stats_json(o, mrf_port_stats_members, MRF_PORT_STATS_MEMBERS_COUNT, &stats);
	return o;
}

static json_t *ports_json(struct mrf_table ports)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < mrf_admin_ports_rows_count(ports); i++)
		json_array_append_new(rows, port_json(mrf_admin_ports_rows_at(ports, i)));
	return rows;
}

static int run_ports(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_PORTS,
		.body = MRF_ADMIN_BODY_ADMIN_PORTS,
		.columns = columns,
		.columns_count = MR_ARRAY_COUNT(columns),
		.fill = fill,
		.json = ports_json,
	};
	const struct mr_cli_list_settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, set->json);
}

const struct mr_cli_verb mr_cli_ports = {
	.name = "ports",
	.summary = "list the network ports",
	.operands = "",
	.details = "DISCARDED       packets that are not for the bus, or malformed; the counters\n"
		   "                drop_... tell which\n"
		   "MISSED, ERRORS  the counts of the driver\n"
		   "LINK            gone if the interface was removed\n"
		   "\n"
		   "--json has all statistics, under the names in flatbuf/schemas/stats.fbs.",
	.examples =
		"  millrace ports\n  millrace ports --json | jq '.[] | select(.link != \"up\")'",
	.options = mr_cli_list_options,
	.settings_bytes = sizeof(struct mr_cli_list_settings),
	.run = run_ports,
};
