/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/port_stats.h"

#include <string.h>

#include "cli/admin.h"
#include "cli/table.h"
#include "lib/base/compiler.h"

#define PACKETS .right = true, .unit = MR_CLI_UNIT_COUNT

static const struct mr_cli_column columns[] = {
	{"PORT", "name", .least = 8, .identifies = true},
	{"QUEUE", "queue", .right = true, .identifies = true},
	{"BUS", "xdp_bus", PACKETS},
	{"NO-SOCKET", "xdp_no_socket", PACKETS, .rank = 6, .alarm = true},
	{"NOT-IP", "xdp_not_ip", PACKETS, .rank = 11},
	{"TAGGED", "xdp_tagged", PACKETS, .rank = 10},
	{"MALFORMED", "xdp_malformed", PACKETS, .rank = 9},
	{"FRAGMENT", "xdp_fragment", PACKETS, .rank = 8},
	{"OTHER", "xdp_other", PACKETS, .rank = 7},
	{"DENIED", "xdp_denied", PACKETS, .rank = 1},
	{"NOT-ALLOWED", "xdp_not_allowed", PACKETS, .rank = 2},
	{"LIMITED", "xdp_limited", PACKETS, .rank = 3},
	{"LIMITED-NEW", "xdp_limited_new", PACKETS, .rank = 4},
	{"LIMITED-PREFIX", "xdp_limited_prefix", PACKETS, .rank = 5},
};

static void queue_row(struct mr_cli_table *t, struct mrf_table row, uint32_t queue)
{
	const struct mrf_port_xdp x = mrf_port_row_xdp_at(row, queue);

	mr_cli_table_string(t, mrf_port_row_name(row));
	mr_cli_table_count(t, queue);
	for (size_t i = 0; i < MRF_PORT_XDP_MEMBERS_COUNT; i++) {
		uint64_t packets = 0;

		memcpy(&packets, (const char *)&x + mrf_port_xdp_members[i].offset,
			sizeof(packets));
		mr_cli_table_count(t, packets);
	}
}

_Static_assert(MR_ARRAY_COUNT(columns) == 2 + MRF_PORT_XDP_MEMBERS_COUNT, "a column each");

/* Adds the queues of the port. Returns false if it has another name. */
static bool port_rows(struct mr_cli_table *t, struct mrf_table row, const char *port)
{
	if (port != NULL && strcmp(mrf_port_row_name(row).data, port) != 0)
		return false;
	for (uint32_t q = 0; q < mrf_port_row_xdp_count(row); q++)
		queue_row(t, row, q);
	return true;
}

static int show(const struct mr_cli *cli, const struct mr_cli_view *view, const char *port,
	struct mrf_table ports)
{
	struct mr_cli_table t;
	bool found = port == NULL;

	mr_cli_table_init(&t, columns, MR_ARRAY_COUNT(columns));
	for (uint32_t i = 0; i < mrf_admin_ports_rows_count(ports); i++)
		found |= port_rows(&t, mrf_admin_port_row(mrf_admin_ports_rows_at(ports, i)), port);
	if (found)
		return mr_cli_view_show(cli, view, &t);
	mr_cli_table_fini(&t);
	return mr_cli_fail(
		cli, MR_EXIT_FAILED, port, "no such port", "`millrace ports` lists them");
}

int mr_cli_port_stats(const struct mr_cli *cli, const struct mr_cli_view *view, const char *port)
{
	struct mr_cli_admin admin;
	struct mrf_table ports;
	int code = mr_cli_admin_query(
		cli, &admin, MRF_ADMIN_VERB_PORTS, 0, MRF_ADMIN_BODY_ADMIN_PORTS, &ports);

	if (code == MR_EXIT_OK)
		code = show(cli, view, port, ports);
	mr_cli_admin_close(&admin);
	return code;
}
