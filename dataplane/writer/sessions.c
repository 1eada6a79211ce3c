/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/base/log.h"
#include "dataplane/channel/packet.h"
#include "flatbuf/attach.h"

/* How long what a dead client has pushed may take to be read. */
#define DRAIN_NS 1000000000ull

/* Descriptors that clients leave to others, control's next connection among them. */
#define FILES_SPARE 64u

static struct mrf_session_stats *stats_of(
	const struct mr_writer *wr, unsigned worker, uint32_t slot)
{
	const struct mrf_stats_header *h = wr->stats_map;
	size_t index = (size_t)worker * h->slots + slot;

	return (void *)((char *)wr->stats_map + h->session_offset + index * h->session_stride);
}

static unsigned least_loaded(const struct mr_writer *wr)
{
	unsigned best = 0;

	for (unsigned i = 1; i < wr->workers_count; i++)
		if (wr->sessions_on[i] < wr->sessions_on[best])
			best = i;
	return best;
}

/* Never 0, and not to be guessed from the last one: tokens carry it. */
static uint32_t next_generation(struct mr_writer *wr, unsigned worker, uint32_t slot)
{
	uint32_t *g = &wr->generations[worker * wr->config->channels.clients_max + slot];
	uint32_t last = *g;

	do {
		if (getrandom(g, sizeof(*g), GRND_NONBLOCK) != (ssize_t)sizeof(*g))
			*g = last + 1;
	} while (*g == 0 || *g == last);
	return *g;
}

static void retire_list(struct mr_writer *wr, struct mr_poll_list *list)
{
	list->grace_token = rte_rcu_qsbr_start(wr->qsbr);
	list->next = wr->retired_lists;
	wr->retired_lists = list;
}

/* A bell and the liveness socket are watched from before the session can be seen. */
static int put_in(struct mr_writer *wr, struct mr_session *s)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = s};
	struct mr_worker *w = wr->workers[s->worker];
	struct mr_poll_list *retired;
	int error = mr_worker_watch(w, s->channel.worker_bell_fd);

	if (error != 0)
		return error;
	if (epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, s->liveness_fd, &e) < 0)
		return -errno;
	error = mr_directory_add(&w->directory, s, &retired);
	if (error != 0)
		return error;
	retire_list(wr, retired);
	return 0;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void describe(struct mr_session *s, struct mrf_table request)
{
	struct mrf_string name = mrf_link_open_session_name(request);

	snprintf(s->name, sizeof(s->name), "%.*s", (int)name.bytes, name.data);
	s->uid = mrf_link_open_session_uid(request);
	s->gid = mrf_link_open_session_gid(request);
	s->pid = (pid_t)mrf_link_open_session_pid(request);
	s->opened_ns = realtime_ns();
}

int mr_writer_session_open(
	struct mr_writer *wr, struct mrf_table request, struct mr_session **out, int *peer_fd)
{
	const struct mr_session_limits limits = {
		.up_bytes = wr->config->channels.up_ring_bytes,
		.down_bytes = wr->config->channels.down_ring_bytes,
		.aliases_max = wr->config->tables.aliases_max,
	};
	unsigned worker = least_loaded(wr);
	uint32_t slot = mr_directory_free_slot(&wr->workers[worker]->directory);
	struct mr_session *s;
	uint64_t id;
	int error;

	if (slot == UINT32_MAX)
		return -ENOSPC;
	id = mr_session_id(worker, slot, next_generation(wr, worker, slot));
	error = mr_session_new(id, &limits, stats_of(wr, worker, slot), &s, peer_fd);
	if (error != 0)
		return error;
	describe(s, request);
	/* The kernel gives the lowest number that is free, so a high one says how many are in use. */
	error = (uint64_t)*peer_fd + FILES_SPARE < wr->files_max ? put_in(wr, s) : -EMFILE;
	if (error != 0) {
		mr_session_free(s);
		close(*peer_fd);
		return error;
	}
	wr->sessions_on[worker]++;
	mr_count(wr->stats->sessions, 1);
	mr_count(wr->stats->sessions_opened, 1);
	mr_worker_ring(wr->workers[worker]);
	mr_log(MR_LOG_INFO, "session opened", MR_LOG_HEX("session", id),
		MR_LOG_STR("name", s->name), MR_LOG_U64("uid", s->uid), MR_LOG_U64("pid", s->pid),
		MR_LOG_U64("worker", worker));
	*out = s;
	return 0;
}

struct mr_session *mr_writer_session_find(const struct mr_writer *wr, uint64_t id)
{
	unsigned worker = mr_session_worker(id);
	struct mr_session *s;

	if (worker >= wr->workers_count)
		return NULL;
	s = mr_directory_find(
		&wr->workers[worker]->directory, mr_session_slot(id), mr_session_generation(id));
	return s != NULL && !s->closing ? s : NULL;
}

struct mr_owner mr_writer_owner(const struct mr_session *s)
{
	return (struct mr_owner){(uint16_t)s->worker, s->slot, s->generation};
}

void mr_writer_session_close(struct mr_writer *wr, struct mr_session *s, const char *reason)
{
	struct mr_owner owner = mr_writer_owner(s);

	if (s->closing)
		return;
	s->closing = true;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	epoll_ctl(wr->epoll_fd, EPOLL_CTL_DEL, s->liveness_fd, NULL);
	close(s->liveness_fd);
	s->liveness_fd = -1;
	/* Nothing more goes to it, but what it has published before still counts: its aliases stay
	 * until the last of that is on its way. */
	mr_table_drop_subscriptions(wr->table, &owner);
	s->close_deadline_ns = mr_writer_now_ns() + DRAIN_NS;
	s->next = wr->closing;
	wr->closing = s;
	mr_worker_ring(wr->workers[s->worker]);
}

void mr_writer_session_expel(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason)
{
	struct mrf_session_notice notice = {.code = code, .text = mrf_str(reason)};
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;

	if (s->closing)
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	if (mrf_builder_finish(&b, mrf_session_notice_write(&b, &notice), &data, &bytes) == 0)
		(void)mr_packet_send(s->liveness_fd, data, bytes, NULL, 0);
	mr_count(wr->stats->sessions_expelled, 1);
	mr_writer_session_close(wr, s, reason);
	s->close_deadline_ns = 0;
}

static void announce_closed(struct mr_writer *wr, const struct mr_session *s)
{
	struct mrf_link_session_closed v = {.session = s->id, .reason = mrf_str(s->reason)};
	struct mrf_builder b;
	uint64_t memory[64];

	mr_log(MR_LOG_INFO, "session closed", MR_LOG_HEX("session", s->id),
		MR_LOG_STR("name", s->name), MR_LOG_STR("reason", s->reason));
	if (wr->link_fd < 0 || !wr->link_welcomed)
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(wr, &b, 0, MRF_LINK_BODY_LINK_SESSION_CLOSED,
		mrf_link_session_closed_write(&b, &v), NULL, 0);
}

/* Out of the worker's sight; freed after grace. False: no memory to do it with, try again. */
static bool retire(struct mr_writer *wr, struct mr_session *s)
{
	struct mr_poll_list *list;

	if (mr_directory_remove(&wr->workers[s->worker]->directory, s, &list) != 0)
		return false;
	retire_list(wr, list);
	mr_worker_unwatch(wr->workers[s->worker], s->channel.worker_bell_fd);
	s->grace_token = rte_rcu_qsbr_start(wr->qsbr);
	s->next = wr->retired;
	wr->retired = s;
	wr->sessions_on[s->worker]--;
	mr_gauge(wr->stats->sessions, wr->stats->sessions - 1);
	mr_count(wr->stats->sessions_closed, 1);
	announce_closed(wr, s);
	return true;
}

static bool may_leave(const struct mr_session *s)
{
	return atomic_load_explicit(&s->corrupt, memory_order_acquire) || mr_session_drained(s) ||
	       mr_writer_now_ns() >= s->close_deadline_ns;
}

static void leave(struct mr_writer *wr)
{
	struct mr_session **at = &wr->closing;

	while (*at != NULL) {
		struct mr_session *s = *at;
		struct mr_session *next = s->next;

		if (may_leave(s) && retire(wr, s))
			*at = next;
		else
			at = &s->next;
	}
}

static void free_retired(struct mr_writer *wr)
{
	for (struct mr_session **at = &wr->retired; *at != NULL;) {
		struct mr_session *s = *at;

		if (rte_rcu_qsbr_check(wr->qsbr, s->grace_token, false) == 1) {
			struct mr_owner owner = mr_writer_owner(s);

			*at = s->next;
			mr_table_drop_owner(wr->table, &owner);
			mr_session_free(s);
		} else {
			at = &s->next;
		}
	}
	for (struct mr_poll_list **at = &wr->retired_lists; *at != NULL;) {
		struct mr_poll_list *list = *at;

		if (rte_rcu_qsbr_check(wr->qsbr, list->grace_token, false) == 1) {
			*at = list->next;
			free(list);
		} else {
			at = &list->next;
		}
	}
}

static void expel_corrupt(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_poll_list *list =
			atomic_load_explicit(&wr->workers[i]->directory.poll, memory_order_relaxed);

		for (uint32_t k = 0; k < list->count; k++) {
			struct mr_session *s = list->sessions[k];

			if (atomic_load_explicit(&s->corrupt, memory_order_acquire))
				mr_writer_session_expel(wr, s, -EPROTO,
					"wrote what makes no sense into its channel");
		}
	}
}

bool mr_writer_sessions_tick(struct mr_writer *wr)
{
	expel_corrupt(wr);
	leave(wr);
	free_retired(wr);
	return wr->closing != NULL || wr->retired != NULL || wr->retired_lists != NULL;
}

void mr_writer_sessions_close_all(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++) {
		struct mr_directory *d;

		if (wr->workers[i] == NULL)
			continue;
		d = &wr->workers[i]->directory;
		for (uint32_t slot = 0; slot < d->slots_count; slot++) {
			struct mr_session *s =
				atomic_load_explicit(&d->slots[slot], memory_order_relaxed);

			if (s != NULL)
				mr_writer_session_expel(
					wr, s, -ESHUTDOWN, "the bus is shutting down");
		}
	}
	(void)mr_writer_sessions_tick(wr);
}
