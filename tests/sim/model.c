/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/model.h"

#include <string.h>

#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

#define MAGIC       0x4d53524dull
#define LEVEL_MAX   9u
#define NORMAL      5u   /* level 4 of 9 to 0 */
#define LATE_MS_MAX 600u /* a worker that stood still for so long takes the time out of its clock */

struct head {
	uint32_t magic;
	uint32_t number;
	uint32_t producer;
	uint32_t bytes;
	uint64_t id;
};

struct model_queue model_queues[MODEL_QUEUES_MAX];
unsigned model_queues_count;

struct message messages[MODEL_MESSAGES_MAX];
uint32_t messages_count;
uint64_t model_sends;
static uint64_t places;

static const char *const state_names[] = {"not taken", "ready", "put off", "out", "done", "dead",
	"cancelled", "displaced", "ended", "in doubt"};

void model_open(void)
{
	memset(messages, 0, sizeof(messages));
	memset(model_queues, 0, sizeof(model_queues));
	messages_count = 1;
	places = model_sends = 0;
	model_time_open();
	model_keys_open();
	model_letters_open();
}

void model_named(const char *name, size_t bytes, uint32_t number)
{
	for (unsigned i = 0; i < MODEL_QUEUES_MAX && i < model_queues_count; i++)
		if (strlen(model_queues[i].name) == bytes &&
			memcmp(model_queues[i].name, name, bytes) == 0)
			model_queues[i].number = number;
}

uint32_t model_new(
	unsigned queue, unsigned producer, uint64_t id, unsigned priority, uint32_t ttl_ms)
{
	struct message *m;

	if (messages_count == MODEL_MESSAGES_MAX)
		return 0;
	m = &messages[messages_count];
	*m = (struct message){.queue = queue,
		.producer = producer,
		.id = id,
		.priority = priority,
		.ttl_ms = ttl_ms,
		.ends_min_ms = UINT64_MAX,
		.ends_max_ms = UINT64_MAX};
	m->bytes = (uint32_t)sizeof(struct head) +
		   (world_chance(4) ? world_draw(MODEL_BYTES_MAX - 100) : world_draw(200));
	return messages_count++;
}

uint32_t model_new_publish(unsigned producer, uint64_t id, unsigned subject)
{
	uint32_t first = messages_count;

	if (first + model_queues_count > MODEL_MESSAGES_MAX)
		return 0;
	for (unsigned i = 0; i < model_queues_count; i++) {
		(void)model_new(i, producer, id, NORMAL, 0);
		if (i == 0 && world_chance(20))
			messages[first].bytes = MODEL_BYTES_MAX - 100 - world_draw(3000);
		messages[first + i].base = first;
		model_key_of_publish(&messages[first + i], subject);
		messages[first + i].bytes = messages[first].bytes;
	}
	return first;
}

void model_publish_taken(uint32_t number)
{
	messages[number].published = true;
}

void model_publish_accepted(uint32_t number)
{
	messages[number].publish_accepted = true;
}

uint32_t model_copy(uint32_t number, unsigned queue)
{
	return messages[number].base != 0 ? messages[number].base + queue : number;
}

size_t model_body(uint32_t number, uint8_t to[MODEL_BYTES_MAX])
{
	const struct message *m = &messages[messages[number].base ?: number];
	struct head h = {(uint32_t)MAGIC, m->base ?: number, m->producer, m->bytes, m->id};

	memcpy(to, &h, sizeof(h));
	for (uint32_t i = sizeof(h); i < m->bytes; i++)
		to[i] = (uint8_t)(h.number * 7 + i);
	return m->bytes;
}

uint64_t model_id(uint32_t number)
{
	return messages[number].id;
}

unsigned model_priority(uint32_t number)
{
	return messages[number].priority;
}

uint32_t model_ttl_ms(uint32_t number)
{
	return messages[number].ttl_ms;
}

unsigned model_queue_of(uint32_t number)
{
	return messages[number].queue;
}

uint32_t model_number(const void *body, size_t bytes)
{
	struct head h;

	if (bytes < sizeof(h))
		return 0;
	memcpy(&h, body, sizeof(h));
	return h.magic == (uint32_t)MAGIC && h.number < messages_count ? h.number : 0;
}

static struct message *known(uint32_t number)
{
	if (number == 0 || number >= messages_count)
		world_fail("a body that nobody pushed");
	return &messages[number];
}

static uint32_t number_of(const struct message *m)
{
	return (uint32_t)(m - messages);
}

void model_check(bool ok, const struct message *m, const char *what)
{
	if (!ok)
		world_fail("message %u of %s, %s, sent %u times, handed out %u times: %s",
			number_of(m), model_queue_with(m)->name, state_names[m->state], m->sends,
			m->handed, what);
}

/* Events that programs see. */

void model_outcome(uint32_t number, int error)
{
	struct message *m = known(number);

	if (error != 0)
		return;
	model_check(m->state != NONE, m, "accepted, and the queue does not have it");
	m->accepted = true;
}

void model_handed(uint32_t number, const void *body, size_t bytes, unsigned queue)
{
	static uint8_t wanted[MODEL_BYTES_MAX];
	struct message *m = known(number);

	model_check(m->queue == queue, m, "handed out by another queue");
	model_check(bytes == m->bytes, m, "handed out with another length");
	model_body(number, wanted);
	model_check(memcmp(wanted, body, bytes) == 0, m, "handed out with other bytes");
	m->handed++;
}

void model_program_acked(uint32_t number)
{
	known(number)->program_acked = true;
}

void model_program_rejected(uint32_t number)
{
	known(number)->program_rejected = true;
}

bool model_too_old(const struct message *m, uint64_t now_ms, uint64_t slack_ms)
{
	uint32_t most = model_queue_with(m)->holds.age_max_ms;

	/* The age counts from when the bus saw that the message was due: nobody else knows when. */
	if (slack_ms != 0 && model_has_delay(m))
		return false;
	return most != 0 && now_ms >= m->taken_ms + most + slack_ms;
}

void model_dead(uint32_t number, const struct model_letter *l)
{
	struct message *m = known(number);
	bool too_often = m->handed >= m->deliver_least;
	bool too_old =
		m->was_too_old || model_too_old(m, bus_queues_ms(), 0) || model_time_may_letter(m);
	size_t bytes = l->reason_bytes;

	m->dead_read++;
	world_trace("%s: %u is read as a dead letter: %.*s", model_queue_with(m)->name, number,
		(int)bytes, l->reason);
	model_letter_check(m, l);
	if (bytes == 0)
		model_check(m->program_rejected || too_often || too_old || model_full_may_letter(m),
			m, "dead for no reason");
	else if (bytes == 8 && memcmp(l->reason, "rejected", 8) == 0)
		model_check(m->program_rejected, m, "dead as rejected, and nobody rejected it");
	else if (bytes == 11 && memcmp(l->reason, "max-deliver", 11) == 0)
		model_check(too_often, m,
			"dead as delivered too often, and programs have not seen it so often");
	else if (bytes == 4 && memcmp(l->reason, "full", 4) == 0)
		model_check(model_full_may_letter(m), m, "dead as it made room, and was not to");
	else if (bytes == 7 && memcmp(l->reason, "expired", 7) == 0)
		model_check(too_old, m, "dead as expired, before its time");
	else
		model_check(false, m, "dead for a reason that does not hold");
}

/* Actions of the bus. */

bool model_timed_out(const struct message *m, uint64_t now_ms, uint64_t slack_ms)
{
	return now_ms >= m->since_ms + model_queue_with(m)->holds.ack_timeout_ms + slack_ms ||
	       model_time_over(m, now_ms, slack_ms);
}

/* A fragmented message is assigned to a consumer before its first fragment is sent. */
bool model_surely_ready(const struct message *m, uint64_t now_ms)
{
	if (m->bytes > WHOLE_BYTES || model_has_delay(m) || m->may_leave)
		return false;
	if (m->sends >= m->deliver_least || model_too_old(m, now_ms + SLACK_MS, 0) ||
		model_time_over(m, now_ms + SLACK_MS, 0))
		return false;
	switch (m->state) {
	case READY:
	case PUT_OFF: return now_ms >= m->since_ms + m->late_ms + SLACK_MS;
	case OUT:
		/* A failed attempt is put off, and nobody knows which deliveries count as one. */
		if (model_queue_with(m)->retries)
			return false;
		return bus_session_of(m->session) != NULL && model_timed_out(m, now_ms, SLACK_MS);
	default: return false;
	}
}

/* The messages of a key keep their order, whatever their priorities. Keys have no order. */
static bool goes_before(const struct message *a, const struct message *b)
{
	if (a->key != b->key)
		return false;
	if (a->key == 0 && a->priority != b->priority)
		return a->priority < b->priority;
	return a->place < b->place;
}

/* Returns the level of priority that a waiting message has reached. */
static uint64_t aged(const struct message *m, uint64_t now_ms)
{
	uint64_t steps = (now_ms - m->taken_ms) / model_queue_with(m)->holds.aging_ms;
	unsigned level = LEVEL_MAX - m->priority;

	return steps < m->priority ? level + steps : LEVEL_MAX;
}

/* With ageing, of two equal ones the older goes first. */
static bool goes_before_now(const struct message *a, const struct message *b, uint64_t now_ms)
{
	uint64_t of_a, of_b;

	if (model_queue_with(a)->holds.aging_ms == 0 || a->key != 0 || b->key != 0 ||
		a->priority == b->priority)
		return goes_before(a, b);
	of_a = aged(a, now_ms > a->taken_ms + SLACK_MS ? now_ms - SLACK_MS : a->taken_ms);
	of_b = aged(b, now_ms + SLACK_MS);
	if (a->priority > b->priority && of_a >= of_b)
		cover(COVER_AGED);
	return of_a > of_b || (of_a == of_b && a->place < b->place);
}

/* A delayed message has its place by the time when the bus saw that it was due. */
static void check_order(const struct message *m, uint64_t now_ms)
{
	if (model_has_delay(m))
		return;
	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *other = &messages[i];

		if (other != m && other->queue == m->queue && goes_before_now(other, m, now_ms) &&
			model_surely_ready(other, now_ms))
			world_fail("message %u of %s is sent before message %u, which is %s and "
				   "was taken earlier",
				number_of(m), model_queue_with(m)->name, i,
				state_names[other->state]);
	}
}

/* With one active consumer, another gets nothing before all of it is settled. */
static void check_single(const struct message *m, uint64_t session, uint64_t now_ms)
{
	const struct model_queue *q = model_queue_with(m);

	if (q->holds.single_active != MRF_SINGLE_ACTIVE_YES)
		return;
	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *other = &messages[i];

		if (other != m && other->queue == m->queue && other->state == OUT &&
			other->session != session && bus_session_of(other->session) != NULL &&
			other->delivered_as >= q->single_since &&
			!model_timed_out(other, now_ms, 0))
			world_fail("message %u of %s is sent, and message %u is out with another "
				   "consumer",
				number_of(m), q->name, i);
	}
}

/* A message for a time of day follows the steps of the bus's clock. */
static bool delay_over(const struct message *m, uint64_t now_ms)
{
	return now_ms >= m->since_ms ||
	       (m->at_ms != 0 && m->ttl_ms == 0 && m->sends == 0 && bus_unix_ms() >= m->at_ms);
}

void model_clock_steps(void)
{
	uint64_t now_ms = bus_queues_ms();

	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (m->state == PUT_OFF && delay_over(m, now_ms) && now_ms < m->since_ms)
			m->since_ms = m->due_ms = now_ms;
	}
}

static void check_sendable(const struct message *m, uint64_t now_ms)
{
	model_check(!model_too_old(m, now_ms, SLACK_MS), m, "sent, though it is too old");
	model_check(now_ms < m->ends_max_ms, m, "sent, though its time to live is over");
	switch (m->state) {
	case READY:
	case DOUBT: break;
	case PUT_OFF: model_check(delay_over(m, now_ms), m, "sent before its delay is over"); break;
	case OUT:
		model_check(bus_session_of(m->session) == NULL || model_timed_out(m, now_ms, 0), m,
			"sent to a second consumer, while the first has it");
		break;
	default: model_check(false, m, "sent to a consumer");
	}
}

/* NULL: the message is not of one of the model's queues. */
static struct message *sent_message(const struct mr_message_plan *plan)
{
	uint32_t header_bytes = plan->sections >> 16;
	uint32_t number;

	if ((plan->header >> 16 & 0xff) != MRF_MESSAGE_KIND_DELIVER || plan->extra == NULL ||
		!(plan->extra->flags & MRF_MESSAGE_FLAG_DELIVERY))
		return NULL;
	if ((plan->extra->flags & MRF_MESSAGE_FLAG_FRAGMENT) && plan->extra->fragment.offset != 0)
		return NULL;
	number = model_number(
		(const uint8_t *)plan->body + header_bytes, plan->body_bytes - header_bytes);
	if (number == 0)
		return NULL;
	for (unsigned i = 0; i < model_queues_count; i++)
		if (plan->extra->delivery.queue == model_queues[i].number)
			number = model_copy(number, i);
	return plan->extra->delivery.queue == model_queue_with(&messages[number])->number
		       ? &messages[number]
		       : NULL;
}

void model_sent(uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	uint64_t now_ms = bus_queues_ms();
	struct message *m = sent_message(plan);

	if (m == NULL || !model_queue_with(m)->exactly_once)
		return;
	model_time_pass();
	world_trace("%s: %u to session %u", model_queue_with(m)->name, number_of(m),
		mr_session_slot(session));
	check_sendable(m, now_ms);
	check_single(m, session, now_ms);
	model_key_sent(m, session, target, (plan->extra->flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0);
	cover(COVER_DELIVER);
	if (m->state == OUT)
		cover(bus_session_of(m->session) == NULL ? COVER_LOST : COVER_TIME_OUT);
	/* A fragmented message may have been begun earlier. */
	if (!(plan->extra->flags & MRF_MESSAGE_FLAG_FRAGMENT)) {
		model_check(!model_queue_with(m)->paused, m, "sent while the queue is paused");
		check_order(m, now_ms);
	}
	m->state = OUT;
	m->since_ms = now_ms;
	m->tag = plan->extra->delivery.tag;
	m->session = session;
	m->subscription = target;
	m->sent_order = m->delivered_as = ++model_sends;
	m->renewed = false;
	m->late_ms = 0;
	model_error_check(m, model_error_of(plan->body, plan->sections >> 16));
	m->deliver_least = model_queue_with(m)->holds.max_deliver;
	m->sends++;
}

static void count_options(const struct message *m)
{
	const struct {
		bool has;
		enum cover verb;
	} all[] = {{m->ttl_ms != 0, COVER_PUSH_TTL}, {m->delay_ms != 0, COVER_PUSH_DELAY},
		{m->at_ms != 0, COVER_PUSH_AT}, {m->ticketed, COVER_PUSH_TICKET},
		{m->priority != NORMAL, COVER_PUSH_PRIORITY}};

	for (unsigned i = 0; i < MR_ARRAY_COUNT(all); i++)
		if (all[i].has)
			cover(all[i].verb);
}

void model_taken(uint32_t number)
{
	struct message *m = known(number);

	m->deliver_least = model_queue_with(m)->holds.max_deliver;
	model_time_taken(m);
	model_key_taken(m);
	count_options(m);
	if (!model_queue_with(m)->exactly_once) {
		m->state = READY;
		return;
	}
	world_trace("%s: %u is taken, with key %u", model_queue_with(m)->name, number, m->key);
	/* A queue that is removed when it is empty and idle forgets its publishers. */
	model_check(m->state == NONE || m->number != model_queue_with(m)->number, m, "taken again");
	m->number = model_queue_with(m)->number;
	m->state = READY;
	m->place = ++places;
	m->fails = m->late_ms = m->error = 0;
	m->error_unsure = false;
	m->taken_ms = m->since_ms = bus_queues_ms();
	if (model_has_delay(m)) {
		m->state = PUT_OFF;
		m->since_ms = m->due_ms;
		if (m->due_ms > m->taken_ms && m->at_ms == 0)
			m->taken_ms = m->due_ms;
	}
}

static struct message *by_tag(uint64_t session, uint64_t tag)
{
	for (uint32_t i = 1; i < messages_count; i++)
		if (messages[i].tag == tag && messages[i].session == session &&
			messages[i].state == OUT)
			return &messages[i];
	return NULL;
}

/* Near the time-out it is unknown whether it came before or after. */
static bool in_doubt(const struct message *m)
{
	return model_timed_out(m, bus_queues_ms(), 0) &&
	       !model_timed_out(m, bus_queues_ms(), SLACK_MS);
}

static bool with_same_consumer(const struct message *a, const struct message *b)
{
	return a->state == OUT && a->session == b->session && a->queue == b->queue &&
	       a->subscription == b->subscription;
}

/* Also true of one in doubt, which the consumer may still have. */
static bool may_be_with_same_consumer(const struct message *m, const struct message *other)
{
	struct message copy = *m;

	if (m->state == DOUBT)
		copy.state = OUT;
	return with_same_consumer(&copy, other);
}

/* A delivery with reported progress must be settled by itself. */
static bool goes_with(const struct message *m, const struct message *up_to)
{
	if (!may_be_with_same_consumer(m, up_to))
		return false;
	return up_to->renewed ? m->sent_order == up_to->sent_order
			      : m->sent_order <= up_to->sent_order && !m->renewed;
}

/* Begins its time-out anew, if that has not ended. */
static void renew(struct message *m)
{
	if (in_doubt(m))
		m->state = DOUBT;
	else if (!model_timed_out(m, bus_queues_ms(), 0))
		m->since_ms = bus_queues_ms();
}

static void acked_up_to(struct message *last, uint64_t acked)
{
	const struct message up_to = *last;
	uint64_t sure = 0, doubt = 0;

	if (acked == 0 && in_doubt(last)) { /* The bus took it back before. */
		last->state = DOUBT;
		return;
	}
	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *m = &messages[i];

		if (!goes_with(m, &up_to))
			continue;
		sure += m->state == OUT && !model_timed_out(m, bus_queues_ms(), 0);
		doubt += m->state == DOUBT || in_doubt(m);
	}
	model_check(acked >= sure && acked <= sure + doubt, last,
		"an ack of it and those before it was not taken for all that are out");
	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (!with_same_consumer(m, &up_to)) /* those in doubt stay so */
			continue;
		if (!goes_with(m, &up_to)) {
			/* The bus ignores the ack of a delivery that it took back before. */
			if (!up_to.renewed && acked > 0)
				renew(m);
			continue;
		}
		if (!model_timed_out(m, bus_queues_ms(), 0) || acked == sure + doubt)
			m->state = model_timed_out(m, bus_queues_ms(), SLACK_MS) ? OUT : DONE;
		else if (in_doubt(m) && acked > sure)
			m->state = DOUBT;
	}
}

/* An ack up to one in doubt, or a consumer's leave that names it, may settle the others or begin
 * their time-outs anew. */
static void perhaps_up_to(uint64_t session, const struct mrf_settlement *s)
{
	const struct message *up_to = NULL;

	for (uint32_t i = 1; i < messages_count && up_to == NULL; i++)
		if (messages[i].state == DOUBT && messages[i].session == session &&
			messages[i].tag == s->tag)
			up_to = &messages[i];
	for (uint32_t i = 1; i < messages_count && up_to != NULL; i++)
		if (may_be_with_same_consumer(&messages[i], up_to))
			messages[i].state = DOUBT;
}

static void given_back(struct message *m, const struct mrf_settlement *s, uint64_t dead)
{
	m->state = dead > 0 ? DEAD : s->delay_ms > 0 ? PUT_OFF : READY;
	m->since_ms = bus_queues_ms() + s->delay_ms;
	m->late_ms = 0;
	if (s->verb == MRF_SETTLE_VERB_REQUEUE)
		model_retry_failed(m, s->delay_ms);
	if (m->state == PUT_OFF && m->key != 0)
		cover(COVER_NACK_DELAY_KEY);
}

/* The delivery was not worked on. If its time-out was over before, it is put off by a back-off. */
static void comes_back(struct message *m)
{
	bool late = model_timed_out(m, bus_queues_ms(), 0);

	m->state = late && model_queue_with(m)->retries ? DOUBT : READY;
	m->since_ms = bus_queues_ms();
}

/* All deliveries of the consumer come back. */
static void left(const struct message *of)
{
	const struct message any = *of;

	world_trace("%s: subscription %u of session %u leaves", model_queue_with(of)->name,
		of->subscription, mr_session_slot(of->session));
	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (!with_same_consumer(m, &any))
			continue;
		if (in_doubt(&any)) {
			m->state = DOUBT;
			continue;
		}
		world_trace("%s: %u comes back", model_queue_with(m)->name, i);
		comes_back(m);
	}
}

/* A text for a message that the bus may have taken back before is in doubt. */
static void error_in_doubt(uint64_t session, uint64_t tag, uint32_t error)
{
	for (uint32_t i = 1; i < messages_count && error != 0; i++)
		if (messages[i].session == session && messages[i].tag == tag)
			model_error_kept(&messages[i], error, false);
}

void model_settled(uint64_t session, const struct mrf_settlement *s, uint64_t acked, uint64_t dead,
	uint32_t error, bool kept)
{
	struct message *m;

	model_time_pass();
	model_time_settled(session, s->tag, acked + dead);
	m = by_tag(session, s->tag);
	if (m == NULL || in_doubt(m) || model_timed_out(m, bus_queues_ms(), 0))
		error_in_doubt(session, s->tag, error);
	else
		model_error_kept(m, error, kept);
	if (m != NULL)
		world_trace("%s: %u is settled by session %u, verb %u, delay %u ms",
			model_queue_with(m)->name, number_of(m), mr_session_slot(session), s->verb,
			s->delay_ms);
	if (m == NULL && (s->verb == MRF_SETTLE_VERB_ACK_UP_TO || s->verb == MRF_SETTLE_VERB_LEAVE))
		perhaps_up_to(session, s);
	if (m == NULL || !model_queue_with(m)->exactly_once ||
		model_timed_out(m, bus_queues_ms(), SLACK_MS))
		return;
	switch (s->verb) {
	case MRF_SETTLE_VERB_ACK:
		model_check(acked == 1 || in_doubt(m), m, "an ack was not taken, while it is out");
		if (acked == 1)
			m->state = DONE;
		break;
	case MRF_SETTLE_VERB_ACK_UP_TO: acked_up_to(m, acked); break;
	case MRF_SETTLE_VERB_REJECT:
		model_check(dead == 1 || in_doubt(m) || model_letters_wait(m->queue), m,
			"it was rejected, and is not dead");
		m->fails += dead == 1;
		m->state = dead == 1 ? DEAD : DOUBT;
		break;
	case MRF_SETTLE_VERB_LEAVE: left(m); break;
	case MRF_SETTLE_VERB_RETURNED:
	case MRF_SETTLE_VERB_REQUEUE:
		if (!in_doubt(m))
			given_back(m, s, dead);
		else
			m->state = DOUBT;
		break;
	case MRF_SETTLE_VERB_PROGRESS:
		renew(m);
		m->sent_order = ++model_sends;
		m->renewed = true;
		break;
	default: break;
	}
}

void model_cancelled(uint64_t session, uint32_t subscription)
{
	world_trace("subscription %u of session %u ends", subscription, mr_session_slot(session));
	model_time_pass();
	for (uint32_t i = 1; i < messages_count; i++) {
		struct message *m = &messages[i];

		if (m->state != OUT || m->session != session || m->subscription != subscription)
			continue;
		comes_back(m);
	}
}

/* Called right after the bus has read its clock. */
void model_oldest(unsigned queue, uint64_t oldest_ms)
{
	uint64_t now_ms = bus_queues_ms();

	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *m = &messages[i];

		/* A ready message may wait for an older one of its key, which is in hand. */
		if (m->queue == queue && m->key == 0 && model_surely_ready(m, now_ms))
			model_check(oldest_ms + SLACK_MS >= now_ms - m->taken_ms, m,
				"it has waited for longer than the oldest of its queue");
	}
}

/* The end of a run. */

static void check_end(const struct message *m)
{
	model_check(m->published || !m->publish_accepted, m,
		"accepted as published, and the bus never took it");
	if (!m->accepted && m->state == NONE)
		return;
	if (!model_queue_with(m)->exactly_once) {
		model_check(!m->accepted || m->program_acked || m->dead_read > 0 ||
				    model_time_may_discard(m) || model_full_may_discard(m) ||
				    m->cancelled || model_letter_missing(m),
			m, "accepted, and in the end neither done nor dead");
		return;
	}
	model_check(m->dead_read <= 1, m, "dead twice");
	switch (m->state) {
	case DONE:
		model_check(m->program_acked, m, "done, and no program acked it");
		model_check(m->dead_read == 0, m, "done, and dead as well");
		break;
	case ENDED: model_time_check_end(m); break;
	case CANCELLED: model_check(m->dead_read == 0, m, "cancelled, and dead"); break;
	case DISPLACED: model_check(m->dead_read == 0, m, "it made room, and is dead"); break;
	case DEAD:
		model_check(m->dead_read == 1 || model_letter_missing(m), m,
			"dead, and not among the dead letters");
		break;
	case NONE: model_check(false, m, "accepted, and never taken"); break;
	default:
		model_check(m->dead_read == 1 || m->program_acked || m->may_leave ||
				    model_letter_missing(m),
			m, "lost");
	}
}

uint64_t model_live(unsigned queue)
{
	uint64_t count = 0;

	model_time_pass();
	for (uint32_t i = 1; i < messages_count; i++)
		count += messages[i].queue == queue && model_may_wait(&messages[i]);
	return count;
}

void model_finish(void)
{
	model_time_pass();
	for (uint32_t i = 1; i < messages_count; i++)
		check_end(&messages[i]);
}
