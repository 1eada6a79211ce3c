/* SPDX-License-Identifier: Apache-2.0 */
/* Lists clients and subjects, which the data plane sends in parts; kicks sessions. */
#include "control/admin/admin.h"

#include <errno.h>

#include "lib/base/log.h"
#include "lib/wire/message.h"

/* Returns the configured name of a port. The data plane only sends its number; both processes read
 * the same configuration. */
static struct mrf_string port_name(const struct mr_config *c, uint16_t port)
{
	return port < c->ports.open_count ? mrf_str(c->ports.open[port].name)
					  : (struct mrf_string){0};
}

static int client_row(struct mr_admin_slot *s, struct mrf_table t)
{
	struct mrf_network_path path = mrf_session_row_path(t);
	struct mrf_session_stats stats;
	struct mrf_session_row row = {
		.session = mrf_session_row_session(t),
		.name = mrf_session_row_name(t),
		.uid = mrf_session_row_uid(t),
		.gid = mrf_session_row_gid(t),
		.pid = mrf_session_row_pid(t),
		.opened_ns = mrf_session_row_opened_ns(t),
		.subscriptions = mrf_session_row_subscriptions(t),
		.transport = mrf_session_row_transport(t),
		.frame_bytes = mrf_session_row_frame_bytes(t),
	};
	struct mrf_admin_client v = {.worker = mr_session_worker(row.session)};

	/* The slot's statistics belong to another session if this one closed after it was listed.
	 * The row stays, without counts. */
	if (mr_dataplane_session_stats(&s->admin->link->dataplane, row.session, &stats))
		v.stats = &stats;
	if (row.transport == MRF_TRANSPORT_UDP) {
		row.path = &path;
		v.port = port_name(s->admin->config, path.port);
	}
	v.row = mrf_session_row_write(&s->builder, &row);
	return mr_admin_row(s, mrf_admin_client_write(&s->builder, &v));
}

static int subject_row(struct mr_admin_slot *s, struct mrf_table t)
{
	struct mrf_subscription_row row = {
		.session = mrf_subscription_row_session(t),
		.subscription = mrf_subscription_row_subscription(t),
		.kind = mrf_subscription_row_kind(t),
		.pattern = mrf_subscription_row_pattern(t),
		.when_full = mrf_subscription_row_when_full(t),
		.high_water = mrf_subscription_row_high_water(t),
	};

	if (mrf_subscription_row_group(t).bytes > 0)
		row.group = mrf_subscription_row_group(t);
	if (mrf_subscription_row_queue(t).bytes > 0)
		row.queue = mrf_subscription_row_queue(t);
	if (mrf_subscription_row_multicast(t).bytes > 0)
		row.multicast = mrf_subscription_row_multicast(t);
	return mr_admin_row(s, mrf_subscription_row_write(&s->builder, &row));
}

static int client_rows(struct mr_admin_slot *s, struct mrf_table part)
{
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < mrf_link_sessions_rows_count(part); i++)
		error = client_row(s, mrf_link_sessions_rows_at(part, i));
	return error;
}

static int subject_rows(struct mr_admin_slot *s, struct mrf_table part)
{
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < mrf_link_subscriptions_rows_count(part); i++)
		error = subject_row(s, mrf_link_subscriptions_rows_at(part, i));
	return error;
}

static void answer_clients(struct mr_admin_slot *s)
{
	const struct mrf_admin_clients v = {
		.rows = s->rows, .rows_count = s->rows_count, .read_ns = mr_loop_now_ns()};

	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_CLIENTS, mrf_admin_clients_write(&s->builder, &v));
}

static void answer_subjects(struct mr_admin_slot *s)
{
	const struct mrf_admin_subjects v = {.rows = s->rows, .rows_count = s->rows_count};

	mr_admin_answer(
		s, MRF_ADMIN_BODY_ADMIN_SUBJECTS, mrf_admin_subjects_write(&s->builder, &v));
}

static void give_up(struct mr_admin_slot *s, int error)
{
	/* The link discards the parts of the listing that are still to come. */
	mr_link_forget(s->admin->link, s->request_id);
	s->request_id = 0;
	mr_admin_fail(s, error);
}

static bool answered(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_admin_slot *s = asker->owner;
	struct mrf_table sessions = mrf_link_message_body_as_link_sessions(answer->message);
	struct mrf_table subjects = mrf_link_message_body_as_link_subscriptions(answer->message);
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	bool clients = !mrf_table_is_empty(sessions);
	bool last =
		clients ? mrf_link_sessions_last(sessions) : mrf_link_subscriptions_last(subjects);
	int error = -ENOTCONN;

	if (clients)
		error = client_rows(s, sessions);
	else if (!mrf_table_is_empty(subjects))
		error = subject_rows(s, subjects);
	else if (!mrf_table_is_empty(result))
		error = mrf_link_result_code(result);
	if (error != 0) {
		give_up(s, error);
		return (clients || !mrf_table_is_empty(subjects)) && !last;
	}
	if (!last)
		return true;
	s->request_id = 0;
	if (clients)
		answer_clients(s);
	else
		answer_subjects(s);
	return false;
}

static bool kicked(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_admin_slot *s = asker->owner;
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);

	s->request_id = 0;
	if (mrf_table_is_empty(result))
		mr_admin_result(s, -ENOTCONN, "the data plane went away");
	else
		mr_admin_result(s, mrf_link_result_code(result), mrf_link_result_text(result).data);
	return false;
}

static void ask(struct mr_admin_slot *s, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, mr_link_answered *fn)
{
	const struct mr_link_asker asker = {.answered = fn, .owner = s};
	int error = mr_link_ask(s->admin->link, b, type, body, &asker, &s->request_id);

	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}

void mr_admin_list_clients(struct mr_admin_slot *s)
{
	const struct mrf_link_list_sessions v = {0};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(s, &b, MRF_LINK_BODY_LINK_LIST_SESSIONS, mrf_link_list_sessions_write(&b, &v),
		answered);
}

void mr_admin_list_subjects(struct mr_admin_slot *s)
{
	const struct mrf_link_list_subscriptions v = {0};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(s, &b, MRF_LINK_BODY_LINK_LIST_SUBSCRIPTIONS, mrf_link_list_subscriptions_write(&b, &v),
		answered);
}

void mr_admin_kick(struct mr_admin_slot *s, uint64_t session)
{
	const struct mrf_link_close_session v = {
		.session = session, .reason = mrf_str("closed by the operator")};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(s, &b, MRF_LINK_BODY_LINK_CLOSE_SESSION, mrf_link_close_session_write(&b, &v), kicked);
}
