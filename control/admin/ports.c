/* SPDX-License-Identifier: Apache-2.0 */
/* Answers `millrace ports`: fixed properties come from the data plane, state and counts from its
 * shared statistics. */
#include "control/admin/admin.h"
#include "control/handoff/exception.h"

#include <errno.h>

#include "lib/base/log.h"

#define ADDRESSES_MAX 16u
#define QUEUES_MAX    64u

static uint32_t copy_row(struct mrf_builder *b, struct mrf_table t)
{
	struct mrf_string addresses[ADDRESSES_MAX];
	struct mrf_port_xdp xdp[QUEUES_MAX];
	struct mrf_port_row row = {
		.name = mrf_port_row_name(t),
		.driver = mrf_port_row_driver(t),
		.device = mrf_port_row_device(t),
		.addresses = addresses,
		.addresses_count = mrf_port_row_addresses_count(t),
		.mac = mrf_port_row_mac(t),
		.udp_port = mrf_port_row_udp_port(t),
		.queues = mrf_port_row_queues(t),
		.mtu = mrf_port_row_mtu(t),
		.tap = mrf_port_row_tap(t),
		.xdp_mode = mrf_port_row_xdp_mode(t),
		.xdp_program = mrf_port_row_xdp_program(t),
		.xdp = xdp,
		.xdp_count = mrf_port_row_xdp_count(t),
		.card_driver = mrf_port_row_card_driver(t),
		.numa_node = mrf_port_row_numa_node(t),
		.link_speed = mrf_port_row_link_speed(t),
		.steering = mrf_port_row_steering(t),
		.offloads = mrf_port_row_offloads(t),
		.redirection = mrf_port_row_redirection(t),
		.extended = mrf_port_row_extended(t),
	};

	if (row.addresses_count > ADDRESSES_MAX)
		row.addresses_count = ADDRESSES_MAX;
	for (uint32_t i = 0; i < row.addresses_count; i++)
		addresses[i] = mrf_port_row_addresses_at(t, i);
	if (row.xdp_count > QUEUES_MAX)
		row.xdp_count = QUEUES_MAX;
	for (uint32_t i = 0; i < row.xdp_count; i++)
		xdp[i] = mrf_port_row_xdp_at(t, i);
	return mrf_port_row_write(b, &row);
}

static int port_row(struct mr_admin_slot *s, struct mrf_table t, uint32_t index)
{
	const struct mr_dataplane *d = &s->admin->link->dataplane;
	struct mrf_port_stats stats = {0};
	struct mrf_port_state state = {0};
	struct mrf_admin_port v = {.state = &state, .stats = &stats};

	(void)mr_dataplane_port(d, index, &state, &stats);
	if (mrf_port_row_tap(t).bytes > 0)
		v.tap = mr_exceptions_counts(s->admin->exceptions, index);
	v.row = copy_row(&s->builder, t);
	return mr_admin_row(s, mrf_admin_port_write(&s->builder, &v));
}

static int port_rows(struct mr_admin_slot *s, struct mrf_table ports)
{
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < mrf_link_ports_rows_count(ports); i++)
		error = port_row(s, mrf_link_ports_rows_at(ports, i), i);
	return error;
}

static bool answered(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_admin_slot *s = asker->owner;
	struct mrf_table ports = mrf_link_message_body_as_link_ports(answer->message);
	struct mrf_admin_ports v = {.read_ns = mr_loop_now_ns()};
	int error = mrf_table_is_empty(ports) ? -ENOTCONN : port_rows(s, ports);

	s->request_id = 0;
	if (error != 0) {
		mr_admin_result(s, error, mr_log_errno_text(error));
		return false;
	}
	v.rows = s->rows;
	v.rows_count = s->rows_count;
	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_PORTS, mrf_admin_ports_write(&s->builder, &v));
	return false;
}

void mr_admin_list_ports(struct mr_admin_slot *s)
{
	const struct mr_link_asker asker = {.answered = answered, .owner = s};
	const struct mrf_link_list_ports v = {0};
	struct mrf_builder b;
	uint64_t memory[32];
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	error = mr_link_ask(s->admin->link, &b, MRF_LINK_BODY_LINK_LIST_PORTS,
		mrf_link_list_ports_write(&b, &v), &asker, &s->request_id);
	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}
