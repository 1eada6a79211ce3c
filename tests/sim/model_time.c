/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with a time to live. It begins when the queue receives the message or its first
 * fragment. The bus ends it by itself, so the model looks at the clock. */
#include <errno.h>

#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/program.h"
#include "tests/sim/world.h"

static uint64_t next_end_ms; /* no message ends before */

void model_time_open(void)
{
	next_end_ms = UINT64_MAX;
}

void model_delay(uint32_t number, uint32_t delay_ms, uint64_t at_ms)
{
	messages[number].delay_ms = delay_ms;
	messages[number].at_ms = at_ms;
}

void model_ticket(uint32_t number)
{
	messages[number].ticketed = true;
}

bool model_has_ticket(uint32_t number)
{
	return messages[number].ticketed;
}

/* True if it surely waits for its time. */
static bool surely_waits(const struct message *m)
{
	return m->state == PUT_OFF && m->sends == 0 && m->at_ms == 0 &&
	       bus_queues_ms() + SLACK_MS < m->since_ms && !m->may_leave &&
	       !model_time_over(m, bus_queues_ms() + SLACK_MS, 0);
}

void model_withdrawn(uint32_t number, int code)
{
	struct message *m = &messages[number];
	bool once = model_queues[m->queue].exactly_once;

	model_time_pass();
	if (code == -ESRCH)
		model_check(!once || !surely_waits(m), m,
			"it waits, and was not found to be cancelled");
	if (code != 0)
		return;
	world_trace("%s: %u is cancelled", model_queues[m->queue].name, number);
	cover(COVER_CANCEL);
	m->cancelled = true;
	if (!once)
		return;
	model_check(m->sends == 0 && (m->state == PUT_OFF || m->state == DOUBT), m, "cancelled");
	m->state = CANCELLED;
}

void model_cancel_told(uint32_t number)
{
	const struct message *m = &messages[number];

	model_check(m->cancelled, m, "a program was told that it is cancelled, and it is not");
	cover(COVER_CANCEL_TOLD);
}

uint32_t model_delay_ms(uint32_t number)
{
	return messages[number].delay_ms;
}

uint64_t model_at_ms(uint32_t number)
{
	return messages[number].at_ms;
}

/* Returns when the message is due, if it is received now. */
static uint64_t due_ms(const struct message *m)
{
	uint64_t unix_ms = bus_unix_ms();

	return bus_queues_ms() + m->delay_ms + (m->at_ms > unix_ms ? m->at_ms - unix_ms : 0);
}

void model_began(uint32_t number)
{
	struct message *m = &messages[number];
	uint64_t now_ms = bus_queues_ms();

	if (m->began_min_ms == 0 || due_ms(m) < m->due_ms)
		m->due_ms = due_ms(m);
	if (m->began_min_ms == 0)
		m->began_min_ms = now_ms;
	m->began_max_ms = now_ms;
}

void model_time_taken(struct message *m)
{
	uint64_t now_ms = bus_queues_ms();
	bool whole = m->began_min_ms == 0;
	uint64_t first_ms = (whole ? now_ms : m->began_min_ms) + m->ttl_ms;
	uint64_t last_ms = (whole ? now_ms : m->began_max_ms) + m->ttl_ms;

	if (whole)
		m->due_ms = due_ms(m);
	m->began_min_ms = m->began_max_ms = 0;
	if (m->ttl_ms == 0)
		return;
	/* At least once, there may be several copies. */
	if (m->ends_min_ms == UINT64_MAX || model_queues[m->queue].exactly_once)
		m->ends_min_ms = first_ms;
	m->ends_max_ms = last_ms > now_ms ? last_ms : now_ms; /* its fragments came late */
	m->ends_unsure = false;
	if (m->ends_max_ms < next_end_ms)
		next_end_ms = m->ends_max_ms;
}

/* False: the message may have ended in another way just before. */
static bool is_sure(const struct message *m)
{
	return !m->ends_unsure && !m->may_leave && m->state != DOUBT && !m->was_too_old &&
	       m->handed < m->deliver_least;
}

static void end(struct message *m)
{
	const struct model_queue *q = &model_queues[m->queue];

	m->was_too_old |= model_too_old(m, bus_queues_ms(), 0);
	m->ending = !is_sure(m)                                              ? ENDING_UNSURE
		    : q->holds.when_expired == MRF_QUEUE_EXPIRED_DEAD_LETTER ? ENDING_DEAD
									     : ENDING_DISCARDED;
	m->state = ENDED;
	program_counts.ended++;
	world_trace("%s: the time of %u is over", q->name, (unsigned)(m - messages));
}

void model_time_pass(void)
{
	uint64_t now_ms = bus_queues_ms(), next_ms = UINT64_MAX;

	if (next_end_ms == UINT64_MAX || now_ms < next_end_ms + SLACK_MS)
		return;
	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (!model_may_wait(m) || !model_queues[m->queue].exactly_once)
			continue;
		if (model_time_over(m, now_ms, SLACK_MS))
			end(m);
		else if (m->ends_max_ms < next_ms)
			next_ms = m->ends_max_ms;
	}
	next_end_ms = next_ms;
}

void model_time_settled(uint64_t session, uint64_t tag, uint64_t done)
{
	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *m = &messages[i];

		if (m->state == ENDED && m->session == session && m->tag == tag)
			model_check(done == 0, m, "it was settled after its time to live");
	}
}

void model_time_edited(struct message *m)
{
	if (model_time_over(m, bus_queues_ms(), 0))
		m->ends_unsure = true;
	/* Its dead letter may wait for room, and is discarded now. */
	if (m->state == ENDED && model_letters_wait(m->queue))
		m->ending = ENDING_UNSURE;
}

static bool ever(const struct message *m, enum mrf_queue_expired choice)
{
	return (model_queues[m->queue].expirations & 1u << choice) != 0;
}

bool model_time_may_letter(const struct message *m)
{
	return model_time_over(m, bus_queues_ms(), 0) &&
	       !(m->state == ENDED && m->ending == ENDING_DISCARDED) &&
	       ever(m, MRF_QUEUE_EXPIRED_DEAD_LETTER);
}

bool model_time_may_discard(const struct message *m)
{
	return model_time_over(m, bus_queues_ms(), 0) && ever(m, MRF_QUEUE_EXPIRED_DISCARD);
}

void model_time_check_end(const struct message *m)
{
	if (m->ending == ENDING_DISCARDED)
		model_check(m->dead_read == 0, m, "its time is over, it was to be discarded");
	else if (m->ending == ENDING_DEAD)
		model_check(m->dead_read == 1 || model_letter_missing(m), m,
			"its time is over, and it is no dead letter");
}
