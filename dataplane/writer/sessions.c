/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, closes, expels and frees sessions (see the table of steps in README.md). */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "lib/base/log.h"
#include "lib/channel/packet.h"
#include "flatbuf/attach.h"

/* For this time the messages of a client that is gone wait for full receivers as before. After it
 * they are taken, and queued for a full receiver as far as there is room. */
#define DRAIN_NS 1000000000ull

/* Descriptors that clients leave free for other uses, such as control's next connection. */
#define FILES_SPARE 64u
/* This fraction of all descriptors is kept for clients of root and of the bus's own user. */
#define FILES_RESERVE_SHARE 16u

struct mrf_session_stats *mr_writer_stats_of(
	const struct mr_writer *wr, unsigned worker, uint32_t slot)
{
	const struct mrf_stats_header *h = wr->stats_map;
	size_t index = (size_t)worker * h->slots + slot;

	return (void *)((char *)wr->stats_map + h->session_offset + index * h->session_stride);
}

/* Returns the worker with the fewest sessions among those with a free slot for a local client; if
 * none has one, among all. */
static unsigned least_loaded(const struct mr_writer *wr)
{
	unsigned best = 0;

	for (unsigned i = 1; i < wr->workers_count; i++) {
		bool full = wr->locals_on[i] >= wr->config->channels.clients_max;
		bool best_full = wr->locals_on[best] >= wr->config->channels.clients_max;

		if (full != best_full ? best_full : wr->sessions_on[i] < wr->sessions_on[best])
			best = i;
	}
	return best;
}

/* The new generation is never 0 and is random, as reply tokens carry it. Without random bytes it
 * counts. */
uint64_t mr_writer_next_id(struct mr_writer *wr, unsigned worker, uint32_t slot)
{
	uint32_t *g = &wr->generations[(size_t)worker * wr->slots_count + slot];
	uint32_t last = *g;

	do {
		if (getrandom(g, sizeof(*g), GRND_NONBLOCK) != (ssize_t)sizeof(*g))
			*g = last + 1;
	} while (*g == 0 || *g == last);
	return mr_session_id(worker, slot, *g);
}

static void retire_list(struct mr_writer *wr, struct mr_poll_list *list)
{
	list->grace_token = rte_rcu_qsbr_start(wr->qsbr); /* [table.grace] */
	list->next = wr->retired_lists;
	wr->retired_lists = list;
}

/* Watches the client's doorbell, liveness socket and process, then shows the session to its worker.
 * */
static int show_to_worker(struct mr_writer *wr, struct mr_session *s)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = s};
	struct mr_worker *w = wr->workers[s->worker];
	struct mr_poll_list *retired;
	int error = mr_worker_watch(w, s->channel.worker_bell_fd);

	if (error != 0)
		return error;
	if (epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, s->liveness_fd, &e) < 0)
		return -errno;
	/* A process that the client forked has the liveness socket, too, and may outlive the
	 * client. */
	if (s->pidfd >= 0 && epoll_ctl(wr->epoll_fd, EPOLL_CTL_ADD, s->pidfd, &e) < 0)
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
	s->uid = mrf_link_open_session_uid(request);
	s->gid = mrf_link_open_session_gid(request);
	s->pid = (pid_t)mrf_link_open_session_pid(request);
	s->peer = mr_peer_of_user(s->uid, geteuid());
}

/* Sessions over UDP are logged at debug level only: anybody who can send packets could fill the
 * log. They are counted and listed. */
static enum mr_log_level log_level(const struct mr_session *s)
{
	return s->remote != NULL ? MR_LOG_DEBUG : MR_LOG_INFO;
}

void mr_writer_session_opened(struct mr_writer *wr, struct mr_session *s, struct mrf_string name)
{
	snprintf(s->name, sizeof(s->name), "%.*s", (int)name.bytes, name.data);
	s->opened_ns = realtime_ns();
	wr->sessions_on[s->worker]++;
	wr->locals_on[s->worker] += s->remote == NULL;
	wr->locals_count += s->remote == NULL;
	mr_count(wr->stats->sessions, 1);
	mr_count(wr->stats->sessions_opened, 1);
	mr_log_limited(log_level(s), "session opened", MR_LOG_HEX("session", s->id),
		MR_LOG_STR("name", s->name), MR_LOG_U64("uid", s->uid), MR_LOG_U64("pid", s->pid),
		MR_LOG_U64("worker", s->worker));
}

/* True if enough descriptors are left. The kernel gives the lowest free number, so the newest one
 * tells how many are in use. */
static bool leaves_files(const struct mr_writer *wr, const struct mr_session *s, int fd)
{
	uint64_t reserve = s->peer == MR_PEER_OWN ? 0 : wr->files_max / FILES_RESERVE_SHARE;

	return (uint64_t)fd + FILES_SPARE + reserve < wr->files_max;
}

/* Owns `pidfd` if it succeeds. */
static int open_at(struct mr_writer *wr, unsigned worker, uint32_t slot, struct mrf_table request,
	int pidfd, struct mr_session **out, int *peer_fd)
{
	const struct mr_session_limits limits = {
		.up_bytes = wr->config->channels.up_ring_bytes,
		.down_bytes = wr->config->channels.down_ring_bytes,
		.aliases_max = wr->config->tables.aliases_max,
	};
	struct mr_session *s;
	int error = mr_session_new(mr_writer_next_id(wr, worker, slot), &limits,
		mr_writer_stats_of(wr, worker, slot), &s, peer_fd);

	if (error != 0)
		return error;
	s->pidfd = pidfd;
	describe(s, request);
	error = leaves_files(wr, s, *peer_fd) ? show_to_worker(wr, s) : -EMFILE;
	if (error != 0) {
		s->pidfd = -1;
		mr_session_free(s);
		close(*peer_fd);
		return error;
	}
	mr_writer_session_opened(wr, s, mrf_link_open_session_name(request));
	mr_worker_wake(wr->workers[worker]);
	*out = s;
	return 0;
}

/* Returns a free slot for a local session; UINT32_MAX: there is none. Prefers a slot whose last
 * session is freed: a worker may update the statistics of a session until that. */
static uint32_t free_slot(const struct mr_writer *wr, unsigned worker)
{
	const struct mr_directory *d = &wr->workers[worker]->directory;
	uint32_t left_lately = UINT32_MAX;

	for (uint32_t i = 0; i < wr->config->channels.clients_max; i++) {
		if (atomic_load_explicit(&d->slots[i], memory_order_relaxed) != NULL)
			continue;
		if (mr_writer_stats_of(wr, worker, i)->session == 0)
			return i;
		if (left_lately == UINT32_MAX)
			left_lately = i;
	}
	return left_lately;
}

static int open_counted(struct mr_writer *wr, struct mrf_table request, int pidfd,
	struct mr_session **out, int *peer_fd)
{
	uint64_t peer = mr_peer_of_user(mrf_link_open_session_uid(request), geteuid());
	uint64_t of = MR_SHARE_OF(MR_WRITER_LOCALS, 0);
	unsigned worker = least_loaded(wr);
	uint32_t slot = free_slot(wr, worker);
	int error;

	if (slot == UINT32_MAX || mr_share_none_left(&wr->locals, peer, wr->locals_count))
		return -ENOSPC;
	error = mr_share_take(&wr->shares, peer, of, 1, wr->locals.share);
	if (error != 0)
		return error;
	error = open_at(wr, worker, slot, request, pidfd, out, peer_fd);
	if (error != 0)
		mr_share_give(&wr->shares, peer, of, 1);
	return error;
}

int mr_writer_session_open(struct mr_writer *wr, struct mrf_table request, int pidfd,
	struct mr_session **out, int *peer_fd)
{
	int error = open_counted(wr, request, pidfd, out, peer_fd);

	if (error != 0 && pidfd >= 0)
		close(pidfd);
	return error;
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
	return (struct mr_owner){(uint16_t)s->worker, s->slot, s->generation, s->peer};
}

static void close_descriptors(struct mr_writer *wr, struct mr_session *s)
{
	/* A client that only publishes looks at nothing but this flag. */
	atomic_store_explicit(&s->channel.up_shared->closed, 1, memory_order_relaxed);
	epoll_ctl(wr->epoll_fd, EPOLL_CTL_DEL, s->liveness_fd, NULL);
	close(s->liveness_fd);
	s->liveness_fd = -1;
	if (s->pidfd < 0)
		return;
	epoll_ctl(wr->epoll_fd, EPOLL_CTL_DEL, s->pidfd, NULL);
	close(s->pidfd);
	s->pidfd = -1;
}

void mr_writer_session_close(struct mr_writer *wr, struct mr_session *s, const char *reason)
{
	struct mr_owner owner = mr_writer_owner(s);

	if (s->closing)
		return;
	s->closing = true;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	if (s->remote != NULL)
		mr_writer_remote_forget(wr, s);
	else
		close_descriptors(wr, s);
	/* Nothing more is delivered to it. Its aliases stay until its last messages are dealt with.
	 * */
	mr_table_drop_subscriptions(wr->table, &owner);
	mr_writer_multicast_leave_all(wr, s);
	atomic_store_explicit(&s->gone, true, memory_order_release); /* [session.gone] */
	s->close_deadline_ns = mr_writer_now_ns() + DRAIN_NS;
	/* [bytes.data] */
	if (s->remote == NULL)
		s->close_tail =
			atomic_load_explicit(&s->channel.up_shared->tail, memory_order_acquire);
	s->next = wr->closing;
	wr->closing = s;
	mr_worker_wake(wr->workers[s->worker]);
}

void mr_writer_session_end(struct mr_writer *wr, struct mr_session *s, int code, const char *reason)
{
	if (s->closing)
		return;
	atomic_store_explicit(&s->remote->expel, code, memory_order_release); /* [remote.expel] */
	mr_writer_session_close(wr, s, reason);
}

static void notify(const struct mr_session *s, int code, const char *reason)
{
	struct mrf_session_notice notice = {.code = code, .text = mrf_str(reason)};
	struct mrf_builder b;
	uint64_t memory[64];
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (mrf_builder_finish(&b, mrf_session_notice_write(&b, &notice), &data, &bytes) == 0)
		(void)mr_packet_send(s->liveness_fd, data, bytes, NULL, 0);
}

void mr_writer_session_expel(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason)
{
	if (s->closing)
		return;
	mr_count(wr->stats->sessions_expelled, 1);
	if (s->remote != NULL) {
		mr_writer_session_end(wr, s, code, reason);
	} else {
		notify(s, code, reason);
		mr_writer_session_close(wr, s, reason);
		s->close_deadline_ns = 0;
	}
}

uint32_t mr_writer_session_row(
	struct mrf_builder *b, const struct mr_session *s, uint32_t subscriptions)
{
	struct mrf_session_row row = {
		.session = s->id,
		.name = mrf_str(s->name),
		.uid = s->uid,
		.gid = s->gid,
		.pid = (uint32_t)s->pid,
		.opened_ns = s->opened_ns,
		.subscriptions = subscriptions,
	};
	struct mrf_network_path path;

	if (s->remote != NULL) {
		path = mr_writer_remote_path(s);
		row.transport = MRF_TRANSPORT_UDP;
		row.path = &path;
		row.frame_bytes = __atomic_load_n(&s->remote->frame_bytes, __ATOMIC_RELAXED);
	}
	return mrf_session_row_write(b, &row);
}

static void announce_closed(struct mr_writer *wr, const struct mr_session *s)
{
	struct mrf_link_session_closed v = {.session = s->id, .reason = mrf_str(s->reason)};
	struct mrf_builder b;
	uint64_t memory[128];

	mr_log_limited(log_level(s), "session closed", MR_LOG_HEX("session", s->id),
		MR_LOG_STR("name", s->name), MR_LOG_STR("reason", s->reason));
	if (wr->link_fd < 0 || !wr->link_welcomed)
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	v.row = mr_writer_session_row(&b, s, 0);
	mr_writer_link_send(wr, &b, 0, MRF_LINK_BODY_LINK_SESSION_CLOSED,
		mrf_link_session_closed_write(&b, &v), NULL, 0);
}

/* Removes the session from its worker's directory. False: no memory; try again. */
static bool remove_from_directory(struct mr_writer *wr, struct mr_session *s)
{
	struct mr_poll_list *list;

	if (s->remote != NULL) {
		mr_writer_remote_take_out(wr, s);
		return true;
	}
	if (mr_directory_remove(&wr->workers[s->worker]->directory, s, &list) != 0)
		return false;
	retire_list(wr, list);
	mr_worker_unwatch(wr->workers[s->worker], s->channel.worker_bell_fd);
	return true;
}

static void forget_local(struct mr_writer *wr, const struct mr_session *s)
{
	wr->locals_on[s->worker]--;
	wr->locals_count--;
	mr_share_give(&wr->shares, s->peer, MR_SHARE_OF(MR_WRITER_LOCALS, 0), 1);
}

/* Removes the session from the directory and marks it to be freed after a passage: messages that it
 * published by alias may be in the mesh. False: no memory; try again. */
static bool retire_session(struct mr_writer *wr, struct mr_session *s)
{
	if (!remove_from_directory(wr, s))
		return false;
	s->passage = mr_writer_passage_next(wr);
	s->next = wr->retired;
	wr->retired = s;
	wr->sessions_on[s->worker]--;
	if (s->remote == NULL)
		forget_local(wr, s);
	mr_gauge(wr->stats->sessions, wr->stats->sessions - 1);
	mr_count(wr->stats->sessions_closed, 1);
	announce_closed(wr, s);
	/* Wake all workers: their queues give its deliveries to other consumers. */
	for (unsigned i = 0; i < wr->workers_count; i++)
		mr_worker_wake(wr->workers[i]);
	return true;
}

/* True if the worker has taken all that it must take from the session. This has no time limit, as
 * the worker's thread may not run for a while; but no client can prevent it. */
static bool is_taken(const struct mr_writer *wr, struct mr_session *s)
{
	/* [remote.end] */
	if (s->remote != NULL)
		return mr_remote_has_ended(
			atomic_load_explicit(&s->remote->end, memory_order_acquire));
	if (atomic_load_explicit(&s->corrupt, memory_order_acquire) || /* [session.corrupt] */
		mr_session_is_taken(s, s->close_tail))
		return true;
	if (mr_writer_now_ns() >= s->close_deadline_ns &&
		!atomic_load_explicit(&s->ends, memory_order_relaxed)) {
		atomic_store_explicit(&s->ends, true, memory_order_seq_cst); /* [worker.sleep] */
		mr_worker_wake(wr->workers[s->worker]);
	}
	return false;
}

/* True if the session may leave the directory. Its last message may be on its way to a queue that
 * another worker owns, which must still find the session. So a passage must be over. */
static bool may_leave(struct mr_writer *wr, struct mr_session *s)
{
	if (s->close_deadline_ns == 0)
		return true;
	if (s->passage == 0 && is_taken(wr, s))
		s->passage = mr_writer_passage_next(wr);
	return s->passage != 0 && mr_writer_passage_over(wr, s->passage);
}

static void close_waiting(struct mr_writer *wr)
{
	struct mr_session **at = &wr->closing;

	while (*at != NULL) {
		struct mr_session *s = *at;
		struct mr_session *next = s->next;

		if (may_leave(wr, s) && retire_session(wr, s))
			*at = next;
		else
			at = &s->next;
	}
}

void mr_writer_session_drop(struct mr_writer *wr, struct mr_session *s, const char *reason)
{
	mr_writer_session_close(wr, s, reason);
	s->close_deadline_ns = 0;
	close_waiting(wr);
}

static void free_session(struct mr_writer *wr, struct mr_session *s)
{
	struct mr_owner owner = mr_writer_owner(s);

	mr_table_drop_owner(wr->table, &owner);
	if (s->remote != NULL)
		mr_early_return(&wr->workers[s->worker]->early, &s->remote->flow);
	mr_session_free(s);
}

static void free_retired(struct mr_writer *wr)
{
	for (struct mr_session **at = &wr->retired; *at != NULL;) {
		struct mr_session *s = *at;

		if (mr_writer_passage_over(wr, s->passage)) {
			*at = s->next;
			free_session(wr, s);
		} else {
			at = &s->next;
		}
	}
	for (struct mr_poll_list **at = &wr->retired_lists; *at != NULL;) {
		struct mr_poll_list *list = *at;

		/* [table.grace] */
		if (rte_rcu_qsbr_check(wr->qsbr, list->grace_token, false) == 1) {
			*at = list->next;
			free(list);
		} else {
			at = &list->next;
		}
	}
}

static const char *reason_of_corrupt(unsigned corrupt)
{
	return corrupt == MR_CORRUPT_POSITION ? "wrote a malformed ring position"
					      : "wrote a message of malformed length";
}

static void expel_faulty(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_poll_list *list =
			atomic_load_explicit(&wr->workers[i]->directory.poll, memory_order_relaxed);

		for (uint32_t k = 0; k < list->count; k++) {
			struct mr_session *s = list->sessions[k];
			/* [session.corrupt] */
			unsigned corrupt = atomic_load_explicit(&s->corrupt, memory_order_acquire);

			if (corrupt != MR_CORRUPT_NOTHING)
				mr_writer_session_expel(wr, s, -EPROTO, reason_of_corrupt(corrupt));
			/* [session.full_too_long] */
			else if (atomic_load_explicit(&s->full_too_long, memory_order_acquire))
				mr_writer_session_expel(wr, s, -ETIMEDOUT, MR_FULL_TOO_LONG_REASON);
		}
	}
}

bool mr_writer_sessions_tick(struct mr_writer *wr)
{
	bool more;

	expel_faulty(wr);
	mr_writer_remotes_look(wr);
	(void)mr_writer_passages_tick(wr);
	close_waiting(wr);
	free_retired(wr);
	more = mr_writer_aliases_tick(wr);
	more |= mr_writer_releases_tick(wr);
	more |= mr_writer_answers_tick(wr);
	return more || wr->closing != NULL || wr->retired != NULL || wr->retired_lists != NULL;
}

void mr_writer_sessions_close_all(struct mr_writer *wr)
{
	mr_writer_multicast_close(wr);
	for (unsigned i = 0; i < wr->workers_count; i++) {
		struct mr_directory *d;

		if (wr->workers[i] == NULL)
			continue;
		d = &wr->workers[i]->directory;
		for (uint32_t slot = 0; slot < d->slots_count; slot++) {
			struct mr_session *s =
				atomic_load_explicit(&d->slots[slot], memory_order_relaxed);

			if (s == NULL)
				continue;
			mr_writer_session_expel(wr, s, -ESHUTDOWN, "the bus is shutting down");
			s->close_deadline_ns = 0; /* workers have stopped */
		}
	}
	(void)mr_writer_sessions_tick(wr);
	/* No worker runs: free them without a passage. */
	while (wr->retired != NULL) {
		struct mr_session *s = wr->retired;

		wr->retired = s->next;
		free_session(wr, s);
	}
}
