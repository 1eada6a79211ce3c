/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/session/remote.h"

int mr_directory_init(struct mr_directory *d, uint32_t slots_count)
{
	struct mr_poll_list *empty = calloc(1, sizeof(*empty));

	d->slots = calloc(slots_count, sizeof(*d->slots));
	if (d->slots == NULL || empty == NULL) {
		free(d->slots);
		free(empty);
		return -ENOMEM;
	}
	d->slots_count = slots_count;
	atomic_init(&d->poll, empty);
	return 0;
}

void mr_directory_fini(struct mr_directory *d)
{
	free(atomic_load_explicit(&d->poll, memory_order_relaxed));
	free(d->slots);
	d->slots = NULL;
}

/* Replaces the poll list by one without `without` and with `with`; either may be NULL. */
static int replace_list(struct mr_directory *d, const struct mr_session *without,
	struct mr_session *with, struct mr_poll_list **retired)
{
	struct mr_poll_list *old = atomic_load_explicit(&d->poll, memory_order_relaxed);
	struct mr_poll_list *list =
		calloc(1, sizeof(*list) + (old->count + 1) * sizeof(list->sessions[0]));

	if (list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < old->count; i++)
		if (old->sessions[i] != without)
			list->sessions[list->count++] = old->sessions[i];
	if (with != NULL)
		list->sessions[list->count++] = with;
	atomic_store_explicit(&d->poll, list, memory_order_release); /* [session.poll] */
	*retired = old;
	return 0;
}

int mr_directory_add(struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired)
{
	int error = replace_list(d, NULL, s, retired);

	if (error != 0)
		return error;
	atomic_store_explicit(&d->slots[s->slot], s, memory_order_release); /* [session.slot] */
	return 0;
}

int mr_directory_remove(struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired)
{
	int error = replace_list(d, s, NULL, retired);

	if (error != 0)
		return error;
	atomic_store_explicit(&d->slots[s->slot], NULL, memory_order_release); /* [session.slot] */
	return 0;
}

int mr_session_new(uint64_t id, const struct mr_session_limits *limits,
	struct mrf_session_stats *stats, struct mr_session **out, int *peer_fd)
{
	struct mr_session *s = aligned_alloc(MR_CACHE_LINE, mr_align_up(sizeof(*s), MR_CACHE_LINE));
	int pair[2];
	int error;

	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	s->aliases_end = limits->aliases_max + 1;
	s->aliases = calloc(s->aliases_end / 64 + 1, sizeof(*s->aliases));
	if (s->aliases == NULL) {
		error = -ENOMEM;
		goto free_session;
	}
	error = mr_channel_new(
		&s->channel, "millrace-channel", limits->up_bytes, limits->down_bytes);
	if (error != 0)
		goto free_session;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		error = -errno;
		goto close_channel;
	}
	mr_channel_worker_side(&s->channel, &s->up, &s->down);
	s->id = id;
	s->worker = mr_session_worker(id);
	s->slot = mr_session_slot(id);
	s->generation = mr_session_generation(id);
	s->peer_bell_fd = s->channel.peer_bell_fd;
	s->liveness_fd = pair[0];
	s->pidfd = -1;
	*peer_fd = pair[1];
	memset(stats, 0, sizeof(*stats));
	mr_gauge(stats->session, id);
	s->stats = stats;
	*out = s;
	return 0;
close_channel:
	mr_channel_close(&s->channel);
free_session:
	free(s->aliases);
	free(s);
	return error;
}

void mr_session_hold(struct mr_session *s, uint32_t alias, bool holds)
{
	uint64_t bit = 1ull << alias % 64;
	uint64_t word = atomic_load_explicit(&s->aliases[alias / 64], memory_order_relaxed);

	atomic_store_explicit(
		&s->aliases[alias / 64], holds ? word | bit : word & ~bit, memory_order_relaxed);
}

void mr_session_free(struct mr_session *s)
{
	if (s->stats->session == s->id)
		mr_gauge(s->stats->session, 0);
	mr_channel_close(&s->channel);
	if (s->liveness_fd >= 0)
		close(s->liveness_fd);
	if (s->pidfd >= 0)
		close(s->pidfd);
	if (s->remote != NULL)
		mr_remote_free(s);
	free(s->aliases);
	free(s);
}

bool mr_session_is_taken(const struct mr_session *s, uint64_t tail)
{
	/* Read the worker's private position: the client may write anything into the shared one.
	 * Late messages count as not taken: the worker moves head_out over them when they are done.
	 * */
	uint64_t head = __atomic_load_n(&s->up.head_out, __ATOMIC_RELAXED);

	/* [bytes.data] */
	return (int64_t)(head - tail) >= 0 ||
	       head == atomic_load_explicit(&s->channel.up_shared->tail, memory_order_acquire);
}

bool mr_session_drained(const struct mr_session *s)
{
	if (s->remote != NULL)
		return true; /* frames are taken when they arrive */
	/* The client may write anything here; the caller's deadline bounds the wait.
	 * [bytes.data] [bytes.room] */
	return atomic_load_explicit(&s->channel.up_shared->tail, memory_order_acquire) ==
	       atomic_load_explicit(&s->channel.up_shared->head, memory_order_acquire);
}
