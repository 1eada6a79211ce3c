/* SPDX-License-Identifier: Apache-2.0 */
/* lists: rows of control's answers as structs of the public interface. */
#include "client/admin/admin.h"

#include <errno.h>
#include <stdlib.h>

#include "client/core/error.h"

static const char *text(struct mrf_string s)
{
	return s.data != NULL ? s.data : "";
}

static int check(const struct mr_admin *a, bool row)
{
	return a != NULL && row
		       ? 0
		       : mr_fail(NULL, -EINVAL, "mr_admin: the connection or the function is NULL");
}

static void fill_queue(struct mr_admin_queue *q, struct mrf_table t)
{
	*q = (struct mr_admin_queue){
		.name = text(mrf_queue_row_name(t)),
		.service = mrf_queue_row_kind(t) == MRF_QUEUE_KIND_SERVICE,
		.paused = mrf_queue_row_paused(t),
		.circuit_open = mrf_queue_row_breaker(t) != MRF_BREAKER_STATE_CLOSED,
		.worker = mrf_queue_row_worker(t),
		.consumers = mrf_queue_row_consumers(t),
		.ready = mrf_queue_row_ready(t),
		.delayed = mrf_queue_row_delayed(t),
		.outstanding = mrf_queue_row_outstanding(t),
		.bytes = mrf_queue_row_bytes(t),
		.oldest_ms = mrf_queue_row_oldest_ms(t),
		.dead_ready = mrf_queue_row_dead_ready(t),
		.pushed = mrf_queue_row_pushed(t),
		.accepted = mrf_queue_row_accepted(t),
		.refused = mrf_queue_row_refused(t),
		.duplicates = mrf_queue_row_duplicates(t),
		.delivered = mrf_queue_row_delivered(t),
		.redelivered = mrf_queue_row_redelivered(t),
		.acked = mrf_queue_row_acked(t),
		.dead = mrf_queue_row_dead(t),
		.expired = mrf_queue_row_expired(t),
		.replies = mrf_queue_row_replies(t),
		.failures = mrf_queue_row_failures(t),
		.bindings = mrf_queue_row_bindings(t),
	};
}

/* The functions for rows may use the connection, and may close it: the answer is kept until all
 * rows were handed out. */
static int conclude(void *kept, uint32_t count)
{
	free(kept);
	return (int)count;
}

int mr_admin_queues(struct mr_admin *a, bool services, mr_admin_queue_fn *row, void *arg)
{
	const struct mrf_queue_command command = {
		.kind = services ? MRF_QUEUE_KIND_SERVICE : MRF_QUEUE_KIND_QUEUE};
	struct mr_admin_queue q;
	struct mrf_table list;
	uint32_t count;
	void *kept;
	int error = check(a, row != NULL);

	if (error == 0)
		error = mr_admin_ask(
			a, MRF_ADMIN_VERB_QUEUES, &command, MRF_ADMIN_BODY_ADMIN_QUEUES, &list);
	if (error != 0)
		return error;
	kept = mr_admin_socket_keep(&a->socket);
	count = mrf_admin_queues_rows_count(list);
	for (uint32_t i = 0; i < count; i++) {
		fill_queue(&q, mrf_admin_queues_rows_at(list, i));
		row(&q, arg);
	}
	return conclude(kept, count);
}

static void fill_client(struct mr_admin_client *c, struct mrf_table t)
{
	struct mrf_session_stats stats = mrf_admin_client_stats(t);
	struct mrf_table row = mrf_admin_client_row(t);

	*c = (struct mr_admin_client){
		.name = text(mrf_session_row_name(row)),
		.session = mrf_session_row_session(row),
		.opened_ns = mrf_session_row_opened_ns(row),
		.remote = mrf_session_row_transport(row) == MRF_TRANSPORT_UDP,
		.worker = mrf_admin_client_worker(t),
		.subscriptions = mrf_session_row_subscriptions(row),
		.uid = mrf_session_row_uid(row),
		.gid = mrf_session_row_gid(row),
		.pid = mrf_session_row_pid(row),
		.rx_messages = stats.rx_messages,
		.rx_bytes = stats.rx_bytes,
		.tx_messages = stats.tx_messages,
		.tx_bytes = stats.tx_bytes,
		.missed = stats.missed,
		.rejected = stats.rejected,
		.backlog_bytes = stats.backlog_bytes,
		.held_messages = stats.held_messages,
	};
}

int mr_admin_clients(struct mr_admin *a, mr_admin_client_fn *row, void *arg)
{
	struct mr_admin_client c;
	struct mrf_table list;
	uint32_t count;
	void *kept;
	int error = check(a, row != NULL);

	if (error == 0)
		error = mr_admin_ask(
			a, MRF_ADMIN_VERB_CLIENTS, NULL, MRF_ADMIN_BODY_ADMIN_CLIENTS, &list);
	if (error != 0)
		return error;
	kept = mr_admin_socket_keep(&a->socket);
	count = mrf_admin_clients_rows_count(list);
	for (uint32_t i = 0; i < count; i++) {
		fill_client(&c, mrf_admin_clients_rows_at(list, i));
		row(&c, arg);
	}
	return conclude(kept, count);
}

int mr_admin_subjects(struct mr_admin *a, mr_admin_subject_fn *row, void *arg)
{
	struct mrf_table list;
	uint32_t count;
	void *kept;
	int error = check(a, row != NULL);

	if (error == 0)
		error = mr_admin_ask(
			a, MRF_ADMIN_VERB_SUBJECTS, NULL, MRF_ADMIN_BODY_ADMIN_SUBJECTS, &list);
	if (error != 0)
		return error;
	kept = mr_admin_socket_keep(&a->socket);
	count = mrf_admin_subjects_rows_count(list);
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table t = mrf_admin_subjects_rows_at(list, i);
		const struct mr_admin_subject s = {
			.pattern = text(mrf_subscription_row_pattern(t)),
			.group = text(mrf_subscription_row_group(t)),
			.session = mrf_subscription_row_session(t),
			.prefix = mrf_subscription_row_kind(t) == MRF_SUBSCRIPTION_KIND_PREFIX,
			.queue = text(mrf_subscription_row_queue(t)),
		};

		row(&s, arg);
	}
	return conclude(kept, count);
}

int mr_admin_workers(struct mr_admin *a, mr_admin_worker_fn *row, void *arg)
{
	struct mrf_table list;
	uint32_t count;
	void *kept;
	int error = check(a, row != NULL);

	if (error == 0)
		error = mr_admin_ask(
			a, MRF_ADMIN_VERB_WORKERS, NULL, MRF_ADMIN_BODY_ADMIN_WORKERS, &list);
	if (error != 0)
		return error;
	kept = mr_admin_socket_keep(&a->socket);
	count = mrf_admin_workers_rows_count(list);
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table t = mrf_admin_workers_rows_at(list, i);
		struct mrf_worker_stats stats = mrf_admin_worker_stats(t);
		const struct mr_admin_worker w = {
			.worker = mrf_admin_worker_worker(t),
			.cpu = mrf_admin_worker_cpu(t),
			.silent_ms = mrf_admin_worker_silent_ms(t),
			.rx_messages = stats.rx_messages,
			.rx_bytes = stats.rx_bytes,
			.tx_messages = stats.tx_messages,
			.tx_bytes = stats.tx_bytes,
			.published = stats.published,
			.delivered = stats.delivered,
		};

		row(&w, arg);
	}
	return conclude(kept, count);
}

int mr_admin_counters(struct mr_admin *a, mr_admin_counter_fn *row, void *arg)
{
	struct mrf_table list;
	uint32_t count;
	void *kept;
	int error = check(a, row != NULL);

	if (error == 0)
		error = mr_admin_ask(
			a, MRF_ADMIN_VERB_COUNTERS, NULL, MRF_ADMIN_BODY_ADMIN_COUNTERS, &list);
	if (error != 0)
		return error;
	kept = mr_admin_socket_keep(&a->socket);
	count = mrf_admin_counters_rows_count(list);
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table t = mrf_admin_counters_rows_at(list, i);
		const struct mr_admin_counter counter = {
			.scope = text(mrf_admin_counter_scope(t)),
			.index = mrf_admin_counter_index(t),
			.name = text(mrf_admin_counter_name(t)),
			.value = mrf_admin_counter_value(t),
			.text = text(mrf_admin_counter_text(t)),
		};

		row(&counter, arg);
	}
	return conclude(kept, count);
}
