/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/queues.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/share.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/promise.h"

/* Commands are small; an answer may be as large as a message. */
#define COMMAND_BYTES_MAX 4096u
#define ANSWER_BYTES_MAX  MR_BODY_BYTES_MAX
#define MS_PER_SECOND     1000u
#define NS_PER_MS         1000000

/* Copy of the command that is being handled, and its answer. */
struct mr_worker_commands {
	alignas(8) uint8_t command[COMMAND_BYTES_MAX];
	alignas(8) uint8_t answer[ANSWER_BYTES_MAX];
};

/* Returns the round's clock in milliseconds, with one division in each millisecond. */
static uint64_t now_ms(struct mr_worker *w)
{
	uint64_t now = mr_worker_clock(w);

	if (mr_unlikely((int64_t)(now - w->queues.ms_end) >= 0)) {
		w->queues.now_ms = now / w->queues.ms_cycles;
		w->queues.ms_end = (w->queues.now_ms + 1) * w->queues.ms_cycles;
	}
	return w->queues.now_ms;
}

/* Returns a session of any worker, or NULL if it is closed. */
static struct mr_session *find_any(struct mr_worker *w, uint64_t id)
{
	unsigned worker = mr_session_worker(id);

	if (mr_unlikely(worker >= w->workers))
		return NULL;
	return mr_worker_find(w, worker, mr_session_slot(id), mr_session_generation(id));
}

static uint64_t *slow_place(struct mr_worker *w, uint64_t session)
{
	return &w->queues.slow[(session ^ session >> 32) % MR_QUEUES_SLOW];
}

/* True if a session of another worker has returned a delivery, and more than a quarter of its limit
 * is still queued for it. It gets no other delivery until then: deliveries would go back and forth
 * all the time. */
static bool is_slow(struct mr_worker *w, uint64_t session)
{
	uint64_t *place = slow_place(w, session);
	const struct mr_session *s;

	if (mr_likely(*place != session))
		return false;
	s = find_any(w, session);
	if (s != NULL &&
		__atomic_load_n(&s->stats->held_bytes, __ATOMIC_RELAXED) > w->held_bytes_max / 4)
		return true;
	*place = 0;
	return false;
}

/* Sends a delivery to a session. Deliveries leave a part of the mesh free for messages that must
 * not wait. */
static bool deliver_to_session(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	unsigned worker = mr_session_worker(session);
	struct mr_session *s;

	if (mr_likely(worker == w->index)) {
		s = find_any(w, session);
		return mr_likely(s != NULL) && mr_worker_try(w, s, plan, target);
	}
	if (worker >= w->workers || !mr_worker_mesh_spare(w, worker, plan->stride) ||
		is_slow(w, session))
		return false;
	mr_worker_mesh_to_session(w, session, plan, target);
	return true;
}

static bool send_to_session(void *worker, uint64_t session, const struct mr_message_plan *plan,
	uint32_t target, bool final)
{
	if (mr_likely(!final))
		return deliver_to_session(worker, session, plan, target);
	mr_worker_promise_to(worker, session, plan, target);
	return true;
}

static bool session_lives(void *worker, uint64_t session)
{
	return find_any(worker, session) != NULL;
}

static uint64_t heard_ms(void *worker, uint64_t session)
{
	struct mr_worker *w = worker;
	const struct mr_session *s = find_any(w, session);

	return s != NULL
		       ? atomic_load_explicit(&s->heard, memory_order_relaxed) / w->queues.ms_cycles
		       : 0;
}

/* Returns the largest message that fits the session's frames. A channel takes messages of any size.
 * */
static uint32_t session_room(void *worker, uint64_t session)
{
	const struct mr_session *s = find_any(worker, session);

	if (s == NULL || s->remote == NULL)
		return MR_MESSAGE_BYTES_MAX;
	return MR_FRAME_ROOM(__atomic_load_n(&s->remote->frame_bytes, __ATOMIC_RELAXED));
}

static uint64_t session_peer(void *worker, uint64_t session)
{
	const struct mr_session *s = find_any(worker, session);

	return s != NULL ? s->peer : MR_PEER_UNKNOWN;
}

static void hold_publishes(void *worker, enum mr_queue_held what, uint64_t index, uint64_t of)
{
	mr_worker_bound_hold(worker, what, index, of);
}

static uint64_t unix_ms(void *worker)
{
	struct timespec t;

	(void)worker;
	(void)clock_gettime(CLOCK_REALTIME, &t); /* in the vDSO */
	return (uint64_t)t.tv_sec * MS_PER_SECOND + (uint64_t)t.tv_nsec / NS_PER_MS;
}

static const struct mr_queue_ops ops = {.send = send_to_session,
	.lives = session_lives,
	.heard_ms = heard_ms,
	.room = session_room,
	.peer = session_peer,
	.hold = hold_publishes,
	.unix_ms = unix_ms};

int mr_worker_queues_new(struct mr_worker *w, const struct mr_worker_config *c)
{
	struct mr_queues_config q = c->queues;
	int error;

	q.worker = c->index;
	q.workers = c->workers;
	q.message_bytes_max = c->message_bytes_max;
	q.ops = &ops;
	q.arg = w;
	q.stats = w->stats;
	w->queues.ms_cycles = w->tsc_hz / MS_PER_SECOND;
	w->queues.commands = calloc(1, sizeof(*w->queues.commands));
	if (w->queues.commands == NULL)
		return -ENOMEM;
	error = mr_slab_new(c->queue_bytes_max, &w->queues.store);
	return error != 0 ? error : mr_queues_new(&q, w->queues.store, &w->queues.engine);
}

void mr_worker_queues_free(struct mr_worker *w)
{
	if (w->queues.engine != NULL)
		mr_queues_free(w->queues.engine);
	if (w->queues.store != NULL)
		mr_slab_free(w->queues.store);
	free(w->queues.commands);
}

void mr_worker_queues_take(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mr_queues *q = w->queues.engine;
	uint64_t now = now_ms(w);

	w->queues.touched = true;
	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_PUSH:
		if (mr_unlikely(m->subject_bytes != 0))
			mr_queues_publish(q, session, m, now);
		else
			mr_queues_push(q, session, m, now);
		break;
	case MRF_MESSAGE_KIND_SETTLE: mr_queues_settle(q, session, m, now); break;
	case MRF_MESSAGE_KIND_REPLY: mr_queues_reply(q, session, m, now); break;
	case MRF_MESSAGE_KIND_PUSH_OPTIONS: mr_queues_push_with(q, session, m, now); break;
	default: mr_queues_part(q, session, m, now); break;
	}
}

void mr_worker_queues_publish(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	w->queues.touched = true;
	mr_queues_publish(w->queues.engine, session, m, now_ms(w));
}

void mr_worker_queues_undelivered(struct mr_worker *w, uint64_t session, uint64_t tag)
{
	*slow_place(w, session) = session;
	w->queues.touched = true;
	mr_queues_undelivered(w->queues.engine, tag, now_ms(w));
}

/* Passes a message to the home worker of its queue. A number that names no worker names no queue,
 * which this worker can answer itself. */
MR_ALWAYS_INLINE void send_home(
	struct mr_worker *w, struct mr_session *from, const struct mr_message_view *m)
{
	unsigned home = mr_queue_worker(m->header.target);
	struct mr_message_plan plan;

	if (home == w->index || home >= w->workers) {
		mr_worker_queues_take(w, from->id, m);
		return;
	}
	plan = mr_message_replan(m, (enum mrf_message_kind)m->header.kind);
	mr_worker_mesh_home(w, home, from->id, &plan, m->header.target);
}

static void __attribute__((noinline))
entry_plain(struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_message_view plain = mr_message_plain(e->at, e->header);

	send_home(w, e->from, &plain);
}

static void __attribute__((noinline))
entry_elsewhere(struct mr_worker *w, const struct mr_burst_entry *e)
{
	if (mr_unlikely(e->view->subject_bytes != 0)) {
		mr_count(w->stats->drop_bad_message, 1);
		mr_count(e->from->stats->rejected, 1);
		return;
	}
	send_home(w, e->from, e->view);
}

/* The usual case, a view for a queue of this worker, needs no stack frame. */
void mr_worker_queues_entry(struct mr_worker *w, const struct mr_burst_entry *e)
{
	const struct mr_message_view *m = e->view;

	if (m == NULL)
		entry_plain(w, e);
	else if (mr_likely(m->subject_bytes == 0 && mr_queue_worker(m->header.target) == w->index))
		mr_worker_queues_take(w, e->from->id, m);
	else
		entry_elsewhere(w, e);
}

/* Copies the command before it checks it, so that it cannot change in between. */
static bool read_command(
	struct mr_worker *w, const struct mr_message_view *m, struct mrf_table *message)
{
	uint8_t *copy = w->queues.commands->command;

	if (m->payload_bytes > COMMAND_BYTES_MAX)
		return false;
	memcpy(copy, m->payload, m->payload_bytes);
	return mrf_queue_message_parse(copy, m->payload_bytes, message) == 0 &&
	       mrf_queue_message_body_type(*message) == MRF_QUEUE_BODY_QUEUE_COMMAND;
}

void mr_worker_queues_command(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mrf_queue_message answer = {.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER};
	struct mrf_table message;
	struct mrf_builder b;
	const void *data;
	size_t bytes;

	if (!read_command(w, m, &message)) {
		mr_count(w->stats->drop_bad_handoff, 1);
		return;
	}
	mrf_builder_init(&b, w->queues.commands->answer, ANSWER_BYTES_MAX);
	answer.body =
		mr_queues_command(w->queues.engine, mrf_queue_message_body(message), &b, now_ms(w));
	w->queues.used = true;
	w->queues.touched = true;
	if (mrf_builder_finish(&b, mrf_queue_message_write(&b, &answer), &data, &bytes) == 0)
		mr_worker_handoff_answer(w, session, m->header.target, data, (uint32_t)bytes);
	else
		mr_count(w->stats->drop_bad_handoff, 1);
}

static void tick_queues(struct mr_worker *w)
{
	w->queues.ticked_ms = w->queues.now_ms;
	mr_queues_tick(w->queues.engine, w->queues.now_ms);
	w->queues.touched = true;
}

static void run_queues(struct mr_worker *w)
{
	w->queues.touched = mr_queues_run(w->queues.engine, now_ms(w));
	if (w->queues.touched)
		w->moved = true;
}

void mr_worker_queues_run(struct mr_worker *w)
{
	if (mr_likely(!w->queues.used && !w->queues.touched))
		return;
	if (mr_unlikely(now_ms(w) != w->queues.ticked_ms))
		tick_queues(w);
	if (w->queues.touched)
		run_queues(w);
}

bool mr_worker_queues_calm(struct mr_worker *w)
{
	if (mr_likely(!w->queues.used && !w->queues.touched))
		return true;
	(void)now_ms(w);
	tick_queues(w);
	run_queues(w);
	return !w->queues.touched;
}

int64_t mr_worker_queues_sleep_ns(struct mr_worker *w)
{
	uint64_t due = w->queues.used ? mr_queues_due_ms(w->queues.engine) : UINT64_MAX;
	uint64_t left;

	if (due == UINT64_MAX)
		return -1;
	left = due > w->queues.now_ms ? due - w->queues.now_ms : 1;
	return left < INT64_MAX / NS_PER_MS ? (int64_t)left * NS_PER_MS : INT64_MAX;
}
