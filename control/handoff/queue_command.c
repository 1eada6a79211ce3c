/* SPDX-License-Identifier: Apache-2.0 */
#include "control/handoff/queue_command.h"

#include <errno.h>

#include "control/handoff/handoff.h"

#define NONE     UINT32_MAX
#define AGAIN_NS (1000 * MR_NS_PER_MS)
#define SENT_MAX 5u

_Static_assert(
	(MR_QUEUE_COMMAND_PENDING_MAX & (MR_QUEUE_COMMAND_PENDING_MAX - 1)) == 0, "index of an id");

static struct mr_queue_command *find(struct mr_queue_commands *c, uint32_t id)
{
	struct mr_queue_command *e = &c->entries[id % MR_QUEUE_COMMAND_PENDING_MAX];

	return id != 0 && e->id == id ? e : NULL;
}

static uint32_t *bucket_of(struct mr_queue_commands *c, uint64_t session)
{
	uint64_t spread = mr_session_slot(session) + 127u * mr_session_worker(session);

	return &c->buckets[spread % MR_QUEUE_COMMAND_PENDING_MAX];
}

static uint32_t index_of(const struct mr_queue_commands *c, const struct mr_queue_command *e)
{
	return (uint32_t)(e - c->entries);
}

/* Appends the command to the list of deadlines. All wait equally long, so the list stays sorted. */
static void wait_again(struct mr_queue_commands *c, struct mr_queue_command *e)
{
	uint32_t index = index_of(c, e);

	e->due_ns = mr_loop_now_ns() + AGAIN_NS;
	e->later = NONE;
	e->earlier = c->last_due;
	if (c->last_due != NONE)
		c->entries[c->last_due].later = index;
	else
		c->first_due = index;
	c->last_due = index;
	if (c->first_due == index)
		mr_loop_timer_start(c->loop, &c->timer, AGAIN_NS);
}

static void leave_line(struct mr_queue_commands *c, struct mr_queue_command *e)
{
	if (e->earlier != NONE)
		c->entries[e->earlier].later = e->later;
	else
		c->first_due = e->later;
	if (e->later != NONE)
		c->entries[e->later].earlier = e->earlier;
	else
		c->last_due = e->earlier;
	if (c->first_due == NONE)
		mr_loop_timer_stop(c->loop, &c->timer);
}

/* True if the same request of the same client is pending. */
static bool is_pending(struct mr_queue_commands *c, const struct mr_queue_command_asker *asker)
{
	if (asker->session == 0)
		return false;
	for (uint32_t i = *bucket_of(c, asker->session); i != NONE;
		i = c->entries[i].same_session) {
		const struct mr_queue_command_asker *a = &c->entries[i].asker;

		if (a->session == asker->session && a->correlation == asker->correlation)
			return true;
	}
	return false;
}

static struct mr_queue_command *take_entry(
	struct mr_queue_commands *c, const struct mr_queue_command_asker *asker)
{
	uint32_t index = c->first_free, *bucket = bucket_of(c, asker->session);
	struct mr_queue_command *e = &c->entries[index];

	c->first_free = e->same_session;
	e->same_session = *bucket;
	*bucket = index;
	c->sequence += MR_QUEUE_COMMAND_PENDING_MAX;
	if (c->sequence == 0)
		c->sequence = MR_QUEUE_COMMAND_PENDING_MAX;
	e->id = c->sequence | index;
	e->asker = *asker;
	e->sent = 0;
	return e;
}

static void free_entry(struct mr_queue_commands *c, struct mr_queue_command *e)
{
	uint32_t *at = bucket_of(c, e->asker.session), index = index_of(c, e);

	leave_line(c, e);
	mr_in_flight_give(&c->in_flight, e->asker.peer, e->asker.session);
	while (*at != index)
		at = &c->entries[*at].same_session;
	*at = e->same_session;
	e->id = 0;
	e->same_session = c->first_free;
	c->first_free = index;
}

static void end(
	struct mr_queue_commands *c, struct mr_queue_command *e, int error, struct mrf_table answer)
{
	const struct mr_queue_command_asker asker = e->asker;

	free_entry(c, e);
	asker.answered(&asker, error, answer);
}

static void send_command(struct mr_queue_commands *c, struct mr_queue_command *e)
{
	c->counters->queue_commands_again += e->sent > 0;
	e->sent++;
	mr_handoff_command(c->handoff, e->worker, e->id, e->command, e->bytes);
	wait_again(c, e);
}

static void fire(struct mr_loop_timer *t)
{
	struct mr_queue_commands *c = mr_container_of(t, struct mr_queue_commands, timer);
	const struct mrf_table none = {0};
	uint64_t now_ns = mr_loop_now_ns();

	while (c->first_due != NONE && c->entries[c->first_due].due_ns <= now_ns) {
		struct mr_queue_command *e = &c->entries[c->first_due];

		if (e->sent < SENT_MAX) {
			leave_line(c, e);
			send_command(c, e);
		} else {
			c->counters->queue_unanswered++;
			end(c, e, -ETIMEDOUT, none);
		}
	}
	if (c->first_due != NONE)
		mr_loop_timer_start(c->loop, t, c->entries[c->first_due].due_ns - now_ns);
}

static int build(struct mr_queue_command *e, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options)
{
	struct mrf_queue_message m = {.body_type = MRF_QUEUE_BODY_QUEUE_COMMAND};
	struct mrf_queue_command v = *command;
	struct mrf_builder b;
	uint64_t memory[MR_QUEUE_COMMAND_BYTES_MAX / sizeof(uint64_t)];
	const void *data;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (options != NULL)
		v.options = mrf_queue_options_write(&b, options);
	m.body = mrf_queue_command_write(&b, &v);
	error = mrf_builder_finish(&b, mrf_queue_message_write(&b, &m), &data, &bytes);
	if (error != 0)
		return error == -ENOSPC ? -EMSGSIZE : error;
	memcpy(e->command, data, bytes);
	e->bytes = (uint32_t)bytes;
	return 0;
}

static int check(
	struct mr_queue_commands *c, unsigned worker, const struct mr_queue_command_asker *asker)
{
	if (c->handoff->workers_count == 0)
		return -ENOTCONN;
	if (worker >= c->handoff->workers_count)
		return -ENOENT;
	return is_pending(c, asker) ? -EALREADY : 0;
}

int mr_queue_command_send(struct mr_queue_commands *c, unsigned worker,
	const struct mrf_queue_command *command, const struct mrf_queue_options *options,
	const struct mr_queue_command_asker *asker, uint32_t *id)
{
	struct mr_queue_command *e;
	int error = check(c, worker, asker);

	if (error == 0)
		error = mr_in_flight_take(&c->in_flight, asker->peer, asker->session);
	if (error != 0) {
		c->counters->queue_refused_busy += error == -EBUSY;
		c->counters->queue_refused_share += error == -EDQUOT;
		return error;
	}
	error = build(&c->entries[c->first_free], command, options);
	if (error != 0) {
		mr_in_flight_give(&c->in_flight, asker->peer, asker->session);
		return error;
	}
	e = take_entry(c, asker);
	e->worker = (uint16_t)worker;
	if (id != NULL)
		*id = e->id;
	send_command(c, e);
	return 0;
}

/* Absent and empty are the same. */
static struct mrf_string key_from_of(struct mrf_table t)
{
	struct mrf_string text = mrf_queue_options_key_from(t);

	return text.bytes > 0 ? text : (struct mrf_string){0};
}

struct mrf_queue_options mr_queue_command_options(struct mrf_table t)
{
	return (struct mrf_queue_options){
		.policy = mrf_queue_options_policy(t),
		.when_full = mrf_queue_options_when_full(t),
		.messages_max = mrf_queue_options_messages_max(t),
		.bytes_max = mrf_queue_options_bytes_max(t),
		.age_max_ms = mrf_queue_options_age_max_ms(t),
		.ack_timeout_ms = mrf_queue_options_ack_timeout_ms(t),
		.max_deliver = mrf_queue_options_max_deliver(t),
		.not_idempotent = mrf_queue_options_not_idempotent(t),
		.breaker_failures = mrf_queue_options_breaker_failures(t),
		.breaker_reset_ms = mrf_queue_options_breaker_reset_ms(t),
		.breaker_probes = mrf_queue_options_breaker_probes(t),
		.when_expired = mrf_queue_options_when_expired(t),
		.aging_ms = mrf_queue_options_aging_ms(t),
		.single_active = mrf_queue_options_single_active(t),
		.in_flight_per_key = mrf_queue_options_in_flight_per_key(t),
		.key_from = key_from_of(t),
		.retry_min_ms = mrf_queue_options_retry_min_ms(t),
		.retry_max_ms = mrf_queue_options_retry_max_ms(t),
		.retry_factor = mrf_queue_options_retry_factor(t),
		.retry_jitter = mrf_queue_options_retry_jitter(t),
	};
}

void mr_queue_command_forget(struct mr_queue_commands *c, uint32_t id)
{
	struct mr_queue_command *e = find(c, id);

	if (e != NULL)
		free_entry(c, e);
}

void mr_queue_command_take(
	struct mr_queue_commands *c, unsigned worker, const struct mr_message_view *m)
{
	struct mr_queue_command *e = find(c, m->header.target);
	struct mrf_table message, answer;

	if (mrf_queue_message_parse(m->payload, m->payload_bytes, &message) != 0) {
		c->counters->handoff_malformed++;
		return;
	}
	answer = mrf_queue_message_body_as_queue_answer(message);
	if (mrf_table_is_empty(answer)) {
		c->counters->handoff_malformed++;
	} else if (e == NULL || e->worker != worker) {
		c->counters->queue_unmatched++;
	} else {
		c->counters->queue_answers++;
		end(c, e, 0, answer);
	}
}

void mr_queue_command_fail_all(struct mr_queue_commands *c)
{
	const struct mrf_table none = {0};

	while (c->first_due != NONE)
		end(c, &c->entries[c->first_due], -ENOTCONN, none);
}

int mr_queue_command_init(struct mr_queue_commands *c, struct mr_loop *loop,
	struct mr_handoff *handoff, struct mr_control_counters *counters, uint32_t share_percent)
{
	c->loop = loop;
	c->handoff = handoff;
	c->counters = counters;
	c->timer.fire = fire;
	/* Starts at a new sequence, so that answers to an earlier control's commands match
	 * nothing. */
	c->sequence = (uint32_t)mr_loop_now_ns() & ~(MR_QUEUE_COMMAND_PENDING_MAX - 1);
	c->first_due = c->last_due = NONE;
	c->first_free = 0;
	for (uint32_t i = 0; i < MR_QUEUE_COMMAND_PENDING_MAX; i++) {
		c->buckets[i] = NONE;
		c->entries[i].id = 0;
		c->entries[i].same_session = i + 1 < MR_QUEUE_COMMAND_PENDING_MAX ? i + 1 : NONE;
	}
	return mr_in_flight_init(&c->in_flight, MR_QUEUE_COMMAND_PENDING_MAX,
		MR_QUEUE_COMMAND_SESSION_MAX, share_percent);
}

void mr_queue_command_fini(struct mr_queue_commands *c)
{
	mr_in_flight_fini(&c->in_flight);
}
