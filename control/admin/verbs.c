/* SPDX-License-Identifier: Apache-2.0 */
/* Reads admin requests, and answers those that need only control and the shared statistics. */
#include "control/admin/admin.h"
#include "control/handoff/exception.h"

#include <errno.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "flatbuf/stats.h"

static int trouble(struct mr_admin_slot *s, unsigned kind, const struct mr_trouble *x)
{
	const struct mrf_admin_trouble row = {
		.name = mrf_str(mr_trouble_name(kind)),
		.text = mrf_str(mr_trouble_text(kind)),
		.since_ns = x->since_ns,
		.worker = x->worker,
		.session = x->session,
	};

	return mr_admin_row(s, mrf_admin_trouble_write(&s->builder, &row));
}

static void troubles(struct mr_admin_slot *s, struct mrf_admin_status *v)
{
	const struct mr_watch *w = s->admin->watch;
	int error = 0;

	for (unsigned kind = 0; error == 0 && kind < MR_TROUBLE_KINDS; kind++) {
		if (w->troubles.at[kind].on)
			error = trouble(s, kind, &w->troubles.at[kind]);
	}
	v->troubles = s->rows;
	v->troubles_count = s->rows_count;
	v->dataplane_silent_ms = mr_watch_dataplane_silent_ms(w);
	for (unsigned i = 0; i < v->workers; i++)
		v->workers_silent += mr_watch_worker_silent_ms(w, i) > 0;
}

static void status(struct mr_admin_slot *s)
{
	const struct mr_admin *a = s->admin;
	const struct mr_dataplane *d = &a->link->dataplane;
	struct mrf_table_stats table = {0};
	struct mrf_admin_status v = {
		.version = mrf_str(MR_VERSION),
		.control_pid = (uint32_t)getpid(),
		.control_started_ns = a->started_ns,
		.run_dir = mrf_str(a->config->run_dir),
		.config_file = mrf_str(a->config->file),
		.dataplane_connected = mr_link_is_up(a->link),
	};

	if (v.dataplane_connected) {
		(void)mr_dataplane_table_stats(d, &table);
		v.dataplane_pid = d->pid;
		v.dataplane_started_ns = d->started_ns;
		v.dataplane_version = mrf_str(d->version);
		v.workers = d->workers_count;
		v.sessions = table.sessions;
		v.remote_sessions = table.remote_sessions;
		v.subscriptions = table.subscriptions;
		troubles(s, &v);
	}
	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_STATUS, mrf_admin_status_write(&s->builder, &v));
}

static void workers(struct mr_admin_slot *s)
{
	const struct mr_config *c = s->admin->config;
	const struct mr_dataplane *d = &s->admin->link->dataplane;
	struct mrf_admin_workers v = {
		.tsc_hz = d->layout.tsc_hz,
		.read_ns = mr_loop_now_ns(),
	};
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < d->workers_count; i++) {
		struct mrf_worker_stats stats;
		struct mrf_admin_worker row = {
			.worker = i,
			.cpu = i < c->workers.cpus_count ? c->workers.cpus[i] : -1,
			.stats = &stats,
			.silent_ms = mr_watch_worker_silent_ms(s->admin->watch, i),
		};

		(void)mr_dataplane_worker_stats(d, i, &stats);
		error = mr_admin_row(s, mrf_admin_worker_write(&s->builder, &row));
	}
	v.rows = s->rows;
	v.rows_count = s->rows_count;
	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_WORKERS, mrf_admin_workers_write(&s->builder, &v));
}

static int counter(struct mr_admin_slot *s, const char *scope, uint32_t index, const char *name,
	const char *text, uint64_t value)
{
	const struct mrf_admin_counter row = {
		.scope = mrf_str(scope),
		.index = index,
		.name = mrf_str(name),
		.value = value,
		.text = mrf_str(text),
	};

	return mr_admin_row(s, mrf_admin_counter_write(&s->builder, &row));
}

/* Adds one row for each member of a structure of counts. */
static int members(struct mr_admin_slot *s, const char *scope, uint32_t index,
	const struct mrf_member *list, size_t count, const void *counts)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		uint64_t value = 0;

		memcpy(&value, (const uint8_t *)counts + list[i].offset, list[i].bytes);
		error = counter(s, scope, index, list[i].name, list[i].text, value);
	}
	return error;
}

static int control_counters(struct mr_admin_slot *s)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < mr_control_counter_list_count; i++) {
		const struct mr_control_counter *c = &mr_control_counter_list[i];
		uint64_t value;

		memcpy(&value, (const uint8_t *)s->admin->counters + c->offset, sizeof(value));
		error = counter(s, "control", 0, c->name, c->text, value);
	}
	return error;
}

static int tap_counters(struct mr_admin_slot *s, uint32_t port)
{
	const struct mrf_port_tap *counts = mr_exceptions_counts(s->admin->exceptions, port);

	return counts == NULL ? 0
			      : members(s, "port", port, mrf_port_tap_members,
					MR_ARRAY_COUNT(mrf_port_tap_members), counts);
}

static int port_counters(struct mr_admin_slot *s)
{
	const struct mr_dataplane *d = &s->admin->link->dataplane;
	struct mrf_port_stats stats;
	struct mrf_port_state state;
	int error = 0;

	for (uint32_t i = 0; error == 0 && mr_dataplane_port(d, i, &state, &stats); i++) {
		error = members(s, "port", i, mrf_port_stats_members,
			MR_ARRAY_COUNT(mrf_port_stats_members), &stats);
		if (error == 0)
			error = members(s, "port", i, mrf_port_state_members,
				MR_ARRAY_COUNT(mrf_port_state_members), &state);
		if (error == 0)
			error = tap_counters(s, i);
	}
	return error;
}

static int dataplane_counters(struct mr_admin_slot *s)
{
	const struct mr_dataplane *d = &s->admin->link->dataplane;
	struct mrf_worker_stats worker;
	struct mrf_table_stats table;
	int error = 0;

	for (uint32_t i = 0; error == 0 && mr_dataplane_worker_stats(d, i, &worker); i++)
		error = members(s, "worker", i, mrf_worker_stats_members,
			MR_ARRAY_COUNT(mrf_worker_stats_members), &worker);
	if (error == 0 && mr_dataplane_table_stats(d, &table))
		error = members(s, "table", 0, mrf_table_stats_members,
			MR_ARRAY_COUNT(mrf_table_stats_members), &table);
	return error != 0 ? error : port_counters(s);
}

static void counters(struct mr_admin_slot *s)
{
	struct mrf_admin_counters v = {.read_ns = mr_loop_now_ns()};
	int error = dataplane_counters(s);

	if (error == 0)
		error = control_counters(s);
	if (error != 0) {
		mr_admin_result(s, error, mr_log_errno_text(error));
		return;
	}
	v.rows = s->rows;
	v.rows_count = s->rows_count;
	mr_admin_answer(
		s, MRF_ADMIN_BODY_ADMIN_COUNTERS, mrf_admin_counters_write(&s->builder, &v));
}

static bool needs_dataplane(unsigned verb)
{
	return verb == MRF_ADMIN_VERB_QUEUES || verb == MRF_ADMIN_VERB_QUEUE ||
	       verb == MRF_ADMIN_VERB_PORTS || verb == MRF_ADMIN_VERB_WORKERS ||
	       verb == MRF_ADMIN_VERB_CLIENTS || verb == MRF_ADMIN_VERB_SUBJECTS ||
	       verb == MRF_ADMIN_VERB_KICK || verb == MRF_ADMIN_VERB_BIND ||
	       verb == MRF_ADMIN_VERB_UNBIND || verb == MRF_ADMIN_VERB_EDIT_PORT ||
	       verb == MRF_ADMIN_VERB_PORT_RULES;
}

void mr_admin_handle(struct mr_admin_slot *s, struct mrf_table request)
{
	unsigned verb = mrf_admin_request_verb(request);
	int error = mr_admin_begin(s);

	if (error != 0) {
		mr_admin_result(s, error, mr_log_errno_text(error));
		return;
	}
	if (needs_dataplane(verb) && !mr_link_is_up(s->admin->link)) {
		mr_admin_result(s, -ENOTCONN, "the data plane is not running");
		return;
	}
	switch (verb) {
	case MRF_ADMIN_VERB_STATUS: status(s); break;
	case MRF_ADMIN_VERB_WORKERS: workers(s); break;
	case MRF_ADMIN_VERB_CLIENTS: mr_admin_list_clients(s); break;
	case MRF_ADMIN_VERB_SUBJECTS: mr_admin_list_subjects(s); break;
	case MRF_ADMIN_VERB_COUNTERS: counters(s); break;
	case MRF_ADMIN_VERB_ENDED: mr_admin_list_ended(s); break;
	case MRF_ADMIN_VERB_PORTS: mr_admin_list_ports(s); break;
	case MRF_ADMIN_VERB_KICK: mr_admin_kick(s, mrf_admin_request_session(request)); break;
	case MRF_ADMIN_VERB_BIND: mr_admin_bind(s, request); break;
	case MRF_ADMIN_VERB_UNBIND: mr_admin_unbind(s, request); break;
	case MRF_ADMIN_VERB_EDIT_PORT:
		mr_admin_edit_port(s, mrf_admin_request_port(request));
		break;
	case MRF_ADMIN_VERB_PORT_RULES:
		mr_admin_list_port_rules(s, mrf_admin_request_port(request));
		break;
	case MRF_ADMIN_VERB_QUEUES:
		mr_admin_list_queues(s, mrf_admin_request_queue(request));
		break;
	case MRF_ADMIN_VERB_QUEUE: mr_admin_queue(s, mrf_admin_request_queue(request)); break;
	default: mr_admin_result(s, -ENOSYS, "this bus does not know the request");
	}
}
