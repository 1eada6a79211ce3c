/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/bound.h"
#include "dataplane/worker/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>

#include "dataplane/worker/fan.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/queues.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/turns.h"

static bool is_stopping(struct mr_worker *w)
{
	return atomic_load_explicit(&w->stopping, memory_order_acquire); /* [worker.stop] */
}

/* Ends a round: counts its cycles as busy or idle. A worker that was idle for spin_cycles sleeps.
 * */
static void account_round(struct mr_worker *w)
{
	uint64_t now = rte_rdtsc();
	uint64_t cycles = now - w->round_start;

	w->round_start = now;
	mr_count(w->stats->loops, 1);
	if (w->moved) {
		w->moved = false;
		w->idle_since = 0;
		mr_count(w->stats->busy_cycles, cycles);
		return;
	}
	mr_count(w->stats->idle_cycles, cycles);
	mr_cpu_relax();
	if (w->busy)
		return;
	if (w->idle_since == 0) {
		w->idle_since = now;
	} else if (now - w->idle_since >= w->spin_cycles) {
		mr_worker_housekeep(w);
		if (mr_worker_queues_calm(w)) {
			mr_worker_tx(w);
			mr_worker_sleep(w);
		}
		w->idle_since = 0;
		w->round_start = rte_rdtsc();
	}
}

void mr_worker_round(struct mr_worker *w)
{
	mr_worker_mesh_rx(w);           /* from other workers -> own sinks, queues */
	mr_worker_handoff_rx(w);        /* from control -> own sinks, queues */
	mr_worker_ports_rx(w);          /* packets -> own sinks, mesh, queues, control */
	mr_worker_slow_sessions_run(w); /* queued for slow sessions -> own sinks */
	mr_worker_rx(w);                /* channels -> burst */
	mr_worker_route(w);             /* burst -> own sinks, mesh, queues, control */
	mr_worker_late_run(w);          /* late messages -> own sinks, mesh, queues, control */
	mr_worker_queues_run(w);        /* queues -> own sinks, mesh */
	mr_worker_tx(w);                /* sinks and mesh -> their readers, ports */
}

/* True if housekeeping is due. It goes by time, so the length of rounds does not change its rate.
 * */
static bool housekeeping_is_due(const struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */
	uint64_t times = 1 + list->count / MR_HOUSEKEEP_SESSIONS;

	return w->round_start - w->housekept_at >= w->tsc_hz / MR_HOUSEKEEP_HZ * times;
}

int mr_worker_run(void *worker)
{
	struct mr_worker *w = worker;

	mr_worker_page_own(w->page, &w->page_owner);
	mr_router_online(w->router);
	w->round_start = rte_rdtsc();
	while (!is_stopping(w)) {
		mr_worker_round(w);
		if (housekeeping_is_due(w))
			mr_worker_housekeep(w);
		mr_router_quiescent(w->router);
		account_round(w);
	}
	mr_worker_udp_sessions_stop(w);
	mr_router_offline(w->router);
	mr_worker_ports_fini(w);
	mr_worker_mesh_fini(w);
	mr_worker_page_disown(w->page, &w->page_owner);
	return 0;
}

/* Sends pending Gap messages, and updates the gauges of sessions. */
static void look_after_sessions(struct mr_worker *w)
{
	const struct mr_poll_list *list =
		atomic_load_explicit(&w->directory.poll, memory_order_acquire); /* [session.poll] */

	for (uint32_t i = 0; i < list->count; i++) {
		struct mr_session *s = list->sessions[i];

		mr_worker_gauge(w, s);
		if (s->missed_unreported > 0)
			(void)mr_worker_tell_gap(w, s, s->down.capacity / 8);
	}
	mr_worker_publish_tails(w);
}

/* Tells where the worker runs. The kernel answers without a system call (vDSO). */
static void tell_place(struct mr_worker *w)
{
	unsigned cpu, node;

	if (getcpu(&cpu, &node) < 0)
		return;
	mr_gauge(w->stats->cpu_now, cpu);
	mr_gauge(w->stats->node_now, node);
}

void mr_worker_housekeep(struct mr_worker *w)
{
	const struct mr_router_counters *r = mr_router_counters(w->router);

	w->housekept_at = w->round_start;
	tell_place(w);
	look_after_sessions(w);
	mr_worker_udp_sessions_look(w);
	/* Sessions that ended may have messages in the mesh: flush them before quiescence is
	 * reported. */
	mr_worker_mesh_flush(w);
	mr_gauge(w->stats->route_hits, r->alias_hits + r->cache_hits);
	mr_gauge(w->stats->route_misses, r->alias_fills + r->cache_misses);
	mr_gauge(w->stats->route_evictions, r->cache_evictions);
	atomic_fetch_add_explicit(&w->rounds, 1, memory_order_relaxed);
}

int mr_worker_watch(struct mr_worker *w, int bell_fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, bell_fd, &e) < 0 ? -errno : 0;
}

void mr_worker_unwatch(struct mr_worker *w, int bell_fd)
{
	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, bell_fd, NULL);
}

static int open_bells(struct mr_worker *w)
{
	int error = mr_worker_page_new(&w->page_fd, &w->page);

	if (error != 0)
		return error;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd < 0 || w->bell_fd < 0)
		return -errno;
	return mr_worker_watch(w, w->bell_fd);
}

static int open_handoff(struct mr_worker *w, uint32_t ring_bytes)
{
	struct mr_handoff_ring *h = &w->handoff;
	int error = mr_channel_new(&h->channel, "millrace-handoff", ring_bytes, ring_bytes);

	if (error != 0)
		return error;
	mr_bytes_producer_init(
		&h->to_control, h->channel.up_shared, h->channel.up_map, h->channel.up_bytes);
	mr_bytes_consumer_init(&h->from_control, h->channel.down_shared, h->channel.down_map,
		h->channel.down_bytes);
	return mr_worker_watch(w, h->channel.worker_bell_fd);
}

static int open_waiting(struct mr_worker *w, const struct mr_worker_config *c)
{
	int error;

	w->full = mr_full_flags_new(c->slots);
	w->bound = mr_bound_flags_new(2 * c->queues.queues_max);
	if (w->full == NULL || w->bound == NULL)
		return -ENOMEM;
	w->flows.list = calloc(c->slots - c->remote_first + 1, sizeof(*w->flows.list));
	if (w->flows.list == NULL)
		return -ENOMEM;
	w->held_bytes_max = c->held_bytes_max;
	w->underway_max = mr_underway_bytes(c->workers);
	w->block_cycles_max = w->tsc_hz / 1000 * c->block_ms_max;
	w->block_expels = c->block_expels;
	w->bind_mac = c->bind_mac;
	error = mr_slab_new(c->store_bytes, &w->store);
	if (error != 0)
		return error;
	mr_worker_check_store(w);
	error = mr_answers_init(&w->answers, c->store_bytes, c->peer_percent, c->slots);
	if (error == 0)
		error = mr_worker_late_init(w, c->peer_percent, c->slots);
	if (error == 0)
		error = mr_worker_handoff_init(w);
	if (error != 0)
		return error;
	return mr_early_init(
		&w->early, c->early_bytes, c->peer_percent, c->slots - c->remote_first + 1);
}

static int open_turns(struct mr_worker *w)
{
	w->turns = aligned_alloc(MR_CACHE_LINE, sizeof(*w->turns));
	if (w->turns == NULL)
		return -ENOMEM;
	memset(w->turns, 0, sizeof(*w->turns));
	mr_turns_init(w->turns, rte_rdtsc() << 6 | (w->index + 1));
	w->share.random = rte_rdtsc() << 6 | (w->index + 1);
	return 0;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_mesh(struct mr_worker *w)
{
	w->mesh.sources = calloc(w->workers, sizeof(*w->mesh.sources));
	return w->mesh.sources == NULL ? -ENOMEM : mr_fans_new(w->workers, &w->fans);
}

static void init_network(struct mr_worker *w, const struct mr_worker_config *c)
{
	uint64_t now = rte_rdtsc();

	w->tsc_hz = rte_get_tsc_hz();
	w->remote_first = c->remote_first;
	w->heartbeat = w->tsc_hz / 1000 * c->heartbeat_ms;
	w->liveness_timeout = w->heartbeat * c->missed_max;
	memcpy(w->cookie_key, c->cookie_key, sizeof(w->cookie_key));
	w->ip6_mask = rte_cpu_to_be_64(
		UINT64_MAX << (64 - (c->ip6_prefix_bits != 0 ? c->ip6_prefix_bits : 64)));
	mr_rate_init(&w->closes, w->tsc_hz, MR_ANSWERS_PER_SECOND);
	mr_rate_init(&w->challenges, w->tsc_hz, MR_ANSWERS_PER_SECOND);
	mr_rate_shared_init(&w->echoes, w->tsc_hz, MR_ECHOES_PER_SECOND);
	mr_rate_shared_init(&w->neighbours, w->tsc_hz, MR_NEIGHBOURS_PER_SECOND);
	mr_rate_shared_init(&w->retries, w->tsc_hz, MR_RETRIES_PER_SECOND);
	mr_rate_shared_init(&w->hellos, w->tsc_hz, c->hellos_per_second);
	w->round_start = w->scan.since = w->housekept_at = now;
	w->scan.looked = w->scan.thawed = now;
	w->flows.activity_window = 1;
	w->flows.ns_a_cycle = (uint64_t)(1e9 * 4294967296.0 / (double)w->tsc_hz);
	w->scan.clock_delta =
		(int64_t)(clock_ns() - (uint64_t)((double)now * 1e9 / (double)w->tsc_hz));
}

int mr_worker_new(const struct mr_worker_config *c, struct mr_table *table,
	struct mrf_worker_stats *stats, struct mr_worker **out)
{
	struct mr_worker *w = aligned_alloc(MR_CACHE_LINE, mr_align_up(sizeof(*w), MR_CACHE_LINE));
	int error;

	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->index = c->index;
	w->workers = c->workers;
	w->busy = c->busy;
	w->writer_bell_fd = c->writer_bell_fd;
	w->spin_cycles = c->spin_cycles;
	w->message_bytes_max = c->message_bytes_max;
	w->stats = stats;
	init_network(w, c);
	w->mesh.queued_end = &w->mesh.queued;
	w->page_fd = w->epoll_fd = w->bell_fd = -1;
	w->handoff.channel = mr_channel_none();
	w->exception.channel = mr_channel_none();
	error = mr_directory_init(&w->directory, c->slots);
	if (error == 0)
		error = open_bells(w);
	if (error == 0)
		error = open_handoff(w, c->handoff_ring_bytes);
	if (error == 0)
		error = open_waiting(w, c);
	if (error == 0)
		error = open_turns(w);
	if (error == 0)
		error = open_mesh(w);
	if (error == 0)
		error = mr_worker_queues_new(w, c);
	if (error == 0)
		error = mr_router_new(table, c->index, c->route_cache_entries, &w->router);
	if (error != 0) {
		mr_worker_free(w);
		return error;
	}
	w->looked = mr_router_counters(w->router);
	*out = w;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void mr_worker_free(struct mr_worker *w)
{
	if (w == NULL)
		return;
	if (w->router != NULL)
		mr_router_free(w->router);
	mr_worker_queues_free(w);
	free(w->flows.list);
	mr_early_fini(&w->early);
	mr_answers_fini(&w->answers);
	mr_shares_fini(&w->late.shares);
	mr_shares_fini(&w->handoff_peers);
	mr_slab_free(w->store);
	free(w->full);
	mr_bound_flags_free(w->bound);
	free(w->turns);
	free(w->mesh.sources);
	mr_fans_free(w->fans);
	mr_channel_close(&w->handoff.channel);
	mr_channel_close(&w->exception.channel);
	mr_worker_page_unmap(w->page);
	close_fd(w->page_fd);
	close_fd(w->epoll_fd);
	close_fd(w->bell_fd);
	if (w->directory.slots != NULL)
		mr_directory_fini(&w->directory);
	free(w);
}

void mr_worker_stop(struct mr_worker *w)
{
	atomic_store_explicit(
		&w->stopping, true, memory_order_seq_cst); /* [worker.sleep] [worker.stop] */
	mr_worker_wake(w);
}

void mr_worker_wake(struct mr_worker *w)
{
	mr_bell_ring(w->bell_fd);
}
