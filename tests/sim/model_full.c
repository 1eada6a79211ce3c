/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that make room: the oldest ready message of the lowest priority leaves, and no other. It
 * is discarded, or dead for the reason "full". The bus says how many have left. */
#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

static uint32_t pushed; /* the message whose push made others leave; it may leave itself */

static bool leaves_before(const struct message *a, const struct message *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->place < b->place;
}

/* True if the bus surely has it among the ready ones. */
static bool is_sure(const struct message *m, uint64_t now_ms)
{
	return m->state == READY && !m->may_leave && !model_has_delay(m) &&
	       m->bytes <= WHOLE_BYTES && (m->sends == 0 || now_ms >= m->since_ms + SLACK_MS) &&
	       m->sends < m->deliver_least && !model_too_old(m, now_ms + SLACK_MS, 0) &&
	       !model_time_over(m, now_ms + SLACK_MS, 0);
}

/* True if the bus may have it there. */
static bool is_possible(const struct message *m, uint64_t now_ms)
{
	switch (m->state) {
	case READY:
	case DOUBT: return true;
	case PUT_OFF:
		return m == &messages[pushed] || now_ms >= m->since_ms || m->at_ms != 0 ||
		       bus.stats.queue_undelayed > 0;
	case OUT: return bus_session_of(m->session) == NULL || model_timed_out(m, now_ms, 0);
	default: return false;
	}
}

/* Marks those that may have left in place of `first`; NULL: all of them. True: there are some. */
static bool mark_possible(unsigned queue, const struct message *first, uint64_t now_ms)
{
	bool any = false;

	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (m->queue != queue || m == first || !is_possible(m, now_ms) ||
			is_sure(m, now_ms))
			continue;
		/* A delayed one has its place by the time when the bus saw that it was due. */
		if (first != NULL && !leaves_before(m, first) &&
			!(model_has_delay(m) && m->priority >= first->priority))
			continue;
		m->may_leave = any = true;
	}
	return any;
}

static struct message *first_sure(unsigned queue, uint64_t now_ms)
{
	struct message *first = NULL;

	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (m->queue == queue && is_sure(m, now_ms) &&
			(first == NULL || leaves_before(m, first)))
			first = m;
	}
	return first;
}

static void one_left(unsigned queue, bool dead)
{
	uint64_t now_ms = bus_queues_ms();
	struct message *first = first_sure(queue, now_ms);
	bool in_doubt = mark_possible(queue, first, now_ms);

	if (first == NULL && !in_doubt)
		world_fail("%s: a message made room, and none was ready", model_queues[queue].name);
	if (first == NULL)
		return;
	world_trace("%s: %u %s room", model_queues[queue].name, (unsigned)(first - messages),
		in_doubt ? "may have made" : "made");
	if (in_doubt) {
		first->may_leave = true;
		return;
	}
	first->state = dead ? DEAD : DISPLACED;
	first->displaced = true;
}

/* Dead letters had no room, so the publish itself was discarded. */
static void found_none(struct message *m)
{
	cover(COVER_FULL_NONE);
	m->may_leave = true;
	if (!model_queue_with(m)->exactly_once)
		return;
	world_trace("%s: %u found no room", model_queue_with(m)->name, (unsigned)(m - messages));
	m->state = DISPLACED;
}

void model_left(unsigned queue, uint32_t number, uint64_t discarded, uint64_t dead)
{
	pushed = number;
	if (discarded + dead > 0)
		model_time_pass();
	if (discarded > 0 && number != 0 &&
		model_queues[queue].holds.when_full == MRF_QUEUE_FULL_DEAD_LETTER) {
		found_none(&messages[number]);
		discarded--;
	}
	for (uint64_t n = discarded + dead; n > 0; n--) {
		cover(dead > 0 ? COVER_FULL_DEAD : COVER_FULL_DROPPED);
		if (model_queues[queue].exactly_once)
			one_left(queue, dead > 0);
	}
}

void model_may_leave(unsigned queue)
{
	uint64_t now_ms = bus_queues_ms();

	pushed = 0;
	cover(COVER_FULL_SHRINKS);
	for (uint32_t i = 1; i < messages_count; i++)
		if (messages[i].queue == queue && is_possible(&messages[i], now_ms))
			messages[i].may_leave = true;
}

bool model_full_may_letter(const struct message *m)
{
	return m->displaced || m->may_leave ||
	       (!model_queue_with(m)->exactly_once &&
		       (model_queue_with(m)->fulls & 1u << MRF_QUEUE_FULL_DEAD_LETTER));
}

bool model_full_may_discard(const struct message *m)
{
	return m->may_leave ||
	       (!model_queue_with(m)->exactly_once &&
		       (model_queue_with(m)->fulls & 1u << MRF_QUEUE_FULL_DROP_OLDEST));
}
