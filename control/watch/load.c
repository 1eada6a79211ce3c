/* SPDX-License-Identifier: Apache-2.0 */
/* Finds trouble that comes from load in the counts of workers and tables. */
#include "control/watch/watch.h"

#include "lib/wire/message.h"

/* Trouble ends after this time without a sign: signs come with messages. */
#define CALM_NS (5000 * MR_NS_PER_MS)

/* Signs of each kind of trouble in one worker's counts, over one period. */
struct signs {
	uint64_t receiver_slow;
	uint64_t publisher_held;
	uint64_t queue_full;
	bool memory_full;
};

static struct signs compare(const struct mrf_worker_stats *now, const struct mrf_worker_stats *was)
{
	struct signs s = {
		.receiver_slow = (now->drop_receiver_full - was->drop_receiver_full) +
				 (now->drop_group_full - was->drop_group_full) +
				 (now->drop_held_full - was->drop_held_full) +
				 (now->held - was->held),
		.publisher_held = now->publisher_blocks - was->publisher_blocks,
		.queue_full = (now->refused_push_full - was->refused_push_full) +
			      (now->refused_push_memory - was->refused_push_memory) +
			      now->pushes_waiting,
	};

	/* One queue may take four fifths of the memory (MR_QUEUE_SHARE), so three quarters is
	 * full. */
	s.memory_full = s.queue_full > 0 && now->store_bytes_max > 0 &&
			now->store_bytes >= now->store_bytes_max / 4 * 3;
	return s;
}

/* Returns the first session of a worker that `is_meant` accepts; 0 if there is none now. Called
 * once, when trouble begins. */
static uint64_t find_session(const struct mr_watch *w, unsigned worker,
	bool (*is_meant)(const struct mrf_session_stats *s, uint64_t now_ns))
{
	const struct mr_dataplane *d = &w->link->dataplane;
	struct mrf_session_stats s;

	for (uint32_t slot = 0; slot < d->layout.slots; slot++) {
		if (mr_dataplane_slot_stats(d, worker, slot, &s) && is_meant(&s, w->last_ns))
			return s.session;
	}
	return 0;
}

static bool is_slow(const struct mrf_session_stats *s, uint64_t now_ns)
{
	return s->full_since_ns != 0 ||
	       (s->missed_last_ns != 0 && s->missed_last_ns + 1000 * MR_NS_PER_MS > now_ns);
}

static bool is_held(const struct mrf_session_stats *s, uint64_t now_ns)
{
	(void)now_ns;
	return s->blocked_since_ns != 0;
}

static void note(struct mr_watch *w, unsigned kind, unsigned worker,
	bool (*is_meant)(const struct mrf_session_stats *s, uint64_t now_ns))
{
	bool begins = !w->troubles.at[kind].on;

	mr_trouble_sign(&w->troubles, kind, (int)worker,
		begins && is_meant != NULL ? find_session(w, worker, is_meant) : 0);
}

static void look_at_worker(struct mr_watch *w, unsigned i, bool seen[MR_TROUBLE_KINDS])
{
	struct mrf_worker_stats now;
	struct signs s;

	(void)mr_dataplane_worker_stats(&w->link->dataplane, i, &now);
	s = compare(&now, &w->workers[i].was);
	w->workers[i].was = now;
	if (s.receiver_slow > 0)
		note(w, MR_TROUBLE_RECEIVER_SLOW, i, is_slow);
	if (s.publisher_held > 0)
		note(w, MR_TROUBLE_PUBLISHER_HELD, i, is_held);
	if (s.memory_full)
		note(w, MR_TROUBLE_QUEUE_MEMORY_FULL, i, NULL);
	else if (s.queue_full > 0)
		note(w, MR_TROUBLE_QUEUE_FULL, i, NULL);
	seen[MR_TROUBLE_RECEIVER_SLOW] |= s.receiver_slow > 0;
	seen[MR_TROUBLE_PUBLISHER_HELD] |= s.publisher_held > 0;
	seen[MR_TROUBLE_QUEUE_MEMORY_FULL] |= s.memory_full;
	seen[MR_TROUBLE_QUEUE_FULL] |= s.queue_full > 0 && !s.memory_full;
}

static void look_at_table(struct mr_watch *w, bool seen[MR_TROUBLE_KINDS])
{
	uint64_t workers = w->link->dataplane.workers_count;
	uint64_t clients_max = workers * w->config->channels.clients_max;
	uint64_t sessions_max = workers * w->config->sessions.sessions_max;
	struct mrf_table_stats t;

	(void)mr_dataplane_table_stats(&w->link->dataplane, &t);
	seen[MR_TROUBLE_CLIENTS_FULL] = t.sessions >= t.remote_sessions + clients_max;
	seen[MR_TROUBLE_SESSIONS_FULL] = sessions_max > 0 && t.remote_sessions >= sessions_max;
	for (unsigned kind = MR_TROUBLE_CLIENTS_FULL; kind <= MR_TROUBLE_SESSIONS_FULL; kind++) {
		if (seen[kind])
			mr_trouble_sign(&w->troubles, kind, -1, 0);
	}
}

void mr_watch_load(struct mr_watch *w, uint64_t elapsed_ns)
{
	bool seen[MR_TROUBLE_KINDS] = {false};

	if (elapsed_ns == 0) { /* the first look only takes the counts as a base line */
		for (unsigned i = 0; i < w->link->dataplane.workers_count; i++)
			(void)mr_dataplane_worker_stats(&w->link->dataplane, i, &w->workers[i].was);
		return;
	}
	for (unsigned i = 0; i < w->link->dataplane.workers_count; i++)
		look_at_worker(w, i, seen);
	look_at_table(w, seen);
	for (unsigned kind = MR_TROUBLE_RECEIVER_SLOW; kind < MR_TROUBLE_WORKER_SILENT; kind++) {
		if (!seen[kind])
			mr_trouble_quiet(&w->troubles, kind, elapsed_ns, CALM_NS);
	}
}
