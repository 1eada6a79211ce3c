/* SPDX-License-Identifier: Apache-2.0 */
/* rig: a table with its QSBR variable and a router for each worker, all in one thread. */
#ifndef MILLRACE_TESTS_SUBJECT_RIG_H
#define MILLRACE_TESTS_SUBJECT_RIG_H

/* cmocka needs these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/subject/router.h"
#include "dataplane/subject/table.h"
#include "tests/unit/subject/reference.h"

#define RIG_WORKERS_MAX 4

struct rig {
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_router *router[RIG_WORKERS_MAX];
	unsigned workers;
};

static inline struct rte_rcu_qsbr *rig_qsbr_new(unsigned workers)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(workers));

	assert_non_null(qsbr);
	assert_int_equal(rte_rcu_qsbr_init(qsbr, workers), 0);
	return qsbr;
}

static inline void rig_open_limits(
	struct rig *rig, const struct mr_table_limits *limits, uint32_t cache_entries)
{
	*rig = (struct rig){.workers = limits->workers, .qsbr = rig_qsbr_new(limits->workers)};
	assert_int_equal(mr_table_new(limits, rig->qsbr, &rig->table), 0);
	for (unsigned w = 0; w < rig->workers; w++) {
		assert_int_equal(mr_router_new(rig->table, w, cache_entries, &rig->router[w]), 0);
		mr_router_online(rig->router[w]);
	}
}

static inline void rig_open(struct rig *rig, unsigned workers)
{
	rig_open_limits(rig, &(struct mr_table_limits){.workers = workers, .aliases_max = 64}, 0);
}

static inline void rig_close(struct rig *rig)
{
	for (unsigned w = 0; w < rig->workers; w++)
		mr_router_free(rig->router[w]);
	mr_table_free(rig->table);
	free(rig->qsbr);
}

static inline void rig_quiescent(struct rig *rig)
{
	for (unsigned w = 0; w < rig->workers; w++)
		mr_router_quiescent(rig->router[w]);
}

static inline struct mr_owner rig_owner(uint16_t worker, uint32_t slot)
{
	return (struct mr_owner){.worker = worker, .slot = slot, .generation = slot + 1000};
}

/* Subscribes session `slot` of `worker`; `group` may be NULL. */
static inline int rig_sub(struct rig *rig, uint16_t worker, uint32_t slot, uint32_t sub_id,
	const char *pattern, const char *group)
{
	struct mr_owner o = rig_owner(worker, slot);

	return mr_table_subscribe(rig->table, &o, sub_id, MR_SUB_PATTERN, pattern, strlen(pattern),
		group, group != NULL ? strlen(group) : 0);
}

static inline int rig_prefix(
	struct rig *rig, uint16_t worker, uint32_t slot, uint32_t sub_id, const char *prefix)
{
	struct mr_owner o = rig_owner(worker, slot);

	return mr_table_subscribe(
		rig->table, &o, sub_id, MR_SUB_PREFIX, prefix, strlen(prefix), NULL, 0);
}

static inline int rig_unsub(struct rig *rig, uint16_t worker, uint32_t slot, uint32_t sub_id)
{
	struct mr_owner o = rig_owner(worker, slot);

	return mr_table_unsubscribe(rig->table, &o, sub_id);
}

/* Returns the route that a worker sees; the subject must be well-formed. */
static inline const struct mr_route *rig_route(
	struct rig *rig, unsigned worker, const char *subject)
{
	enum mr_subject_fault fault;
	const struct mr_route *route =
		mr_router_subject(rig->router[worker], subject, strlen(subject), &fault);

	assert_non_null(route);
	assert_int_equal(route->bytes, strlen(subject));
	assert_memory_equal(route->subject, subject, route->bytes);
	return route;
}

static inline unsigned rig_live_count(const struct mr_route *route)
{
	unsigned live = 0;

	for (unsigned s = 0; s < route->span_count; s++)
		for (uint32_t i = 0; i < route->spans[s].count; i++)
			live += mr_sink_live(&route->spans[s].sinks[i]);
	return live;
}

static inline bool rig_has_sink(const struct mr_route *route, uint32_t slot, uint32_t sub_id)
{
	for (unsigned s = 0; s < route->span_count; s++) {
		for (uint32_t i = 0; i < route->spans[s].count; i++) {
			const struct mr_sink *sink = &route->spans[s].sinks[i];
			if (sink->slot == slot && sink->sub_id == sub_id && mr_sink_live(sink))
				return true;
		}
	}
	return false;
}

/* Returns the live plain subscribers of the subject on the worker. */
static inline unsigned rig_sinks(struct rig *rig, unsigned worker, const char *subject)
{
	return rig_live_count(rig_route(rig, worker, subject));
}

static inline struct mr_table_stats rig_stats(const struct rig *rig)
{
	struct mr_table_stats stats;

	mr_table_stats_get(rig->table, &stats);
	return stats;
}

#endif
