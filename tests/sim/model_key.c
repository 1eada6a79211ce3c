/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of queues with the policy key-shared: the messages of one key go to one consumer, in order,
 * and the others go on meanwhile. */
#include <string.h>

#include "tests/sim/bus.h"
#include "tests/sim/bus_bind.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

#define PATIENCE_MS 2500u /* more than a key waits for a consumer that takes nothing */
#define LOOK_MS     50u

static struct key {
	uint32_t most;     /* limit of unsettled messages, edits included, when it was last sent */
	uint64_t could_ms; /* since when it could go on; 0: it cannot */
	uint64_t session;  /* the last consumer */
} keys[MODEL_QUEUES_MAX][MODEL_KEYS_MAX];

static struct {
	uint64_t session;
	uint64_t ms;
} last_sent[BUS_SESSIONS_MAX]; /* by slot */

static uint64_t looked_ms[MODEL_QUEUES_MAX];

void model_keys_open(void)
{
	memset(keys, 0, sizeof(keys));
	memset(last_sent, 0, sizeof(last_sent));
	memset(looked_ms, 0, sizeof(looked_ms));
}

static uint32_t in_flight(const struct model_queue *q)
{
	return q->holds.in_flight_per_key != 0 ? q->holds.in_flight_per_key : 1;
}

void model_key_give(uint32_t number, unsigned key, bool in_header)
{
	messages[number].key_given = key;
	messages[number].key_how = in_header ? KEY_HEADER : KEY_OPTION;
}

unsigned model_key_given(uint32_t number, bool *in_header)
{
	*in_header = messages[number].key_how == KEY_HEADER;
	return messages[number].key_given;
}

unsigned model_key(uint32_t number)
{
	return messages[number].key;
}

void model_key_of_publish(struct message *m, unsigned subject)
{
	/* The third token of each subject. */
	static const unsigned tokens[BIND_SUBJECTS] = {1, 2, 1, 3};

	m->key_how = KEY_TOKEN;
	m->key_given = MODEL_KEYS + tokens[subject];
}

void model_key_taken(struct message *m)
{
	const struct model_queue *q = model_queue_with(m);
	bool has = m->key_how == KEY_OPTION || (m->key_how == KEY_HEADER && q->key_header) ||
		   (m->key_how == KEY_TOKEN && q->key_token);

	m->key = has && model_by_key(q) ? m->key_given : 0;
	if (m->key == 0)
		return;
	cover(m->key_how == KEY_OPTION     ? COVER_PUSH_KEY
		: m->key_how == KEY_HEADER ? COVER_PUSH_HEADER_KEY
					   : COVER_PUBLISH_KEY);
}

/* True if the bus surely knows it to be unsettled. */
static bool surely_out(const struct message *m, uint64_t now_ms)
{
	return m->state == OUT && bus_session_of(m->session) != NULL &&
	       !model_timed_out(m, now_ms, 0);
}

static bool surely_delayed(const struct message *m, uint64_t now_ms)
{
	return m->state == PUT_OFF && m->sends > 0 && now_ms < m->since_ms &&
	       bus.stats.queue_undelayed == 0 && !model_time_over(m, now_ms, 0) &&
	       !model_too_old(m, now_ms, 0);
}

static bool same_key(const struct message *a, const struct message *b)
{
	return a != b && a->queue == b->queue && a->key == b->key;
}

static void check_others(const struct message *m, uint64_t session, uint32_t subscription,
	bool fragment, uint64_t now_ms)
{
	uint32_t out = 0;

	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *other = &messages[i];

		if (!same_key(m, other))
			continue;
		if (surely_out(other, now_ms)) {
			out++;
			model_check(
				other->session == session && other->subscription == subscription, m,
				"sent, and one of its key is unsettled at another consumer");
		}
		/* A fragmented message was given to its consumer earlier. */
		model_check(fragment || !surely_delayed(other, now_ms), m,
			"sent, and a nack has delayed one of its key");
	}
	model_check(out < keys[m->queue][m->key].most || out < in_flight(model_queue_with(m)), m,
		"sent, and too many of its key are unsettled");
}

void model_key_sent(const struct message *m, uint64_t session, uint32_t subscription, bool fragment)
{
	uint64_t now_ms = bus_queues_ms();
	struct key *k = &keys[m->queue][m->key];
	unsigned slot = mr_session_slot(session) % BUS_SESSIONS_MAX;

	last_sent[slot].session = session;
	last_sent[slot].ms = now_ms;
	if (m->key == 0)
		return;
	check_others(m, session, subscription, fragment, now_ms);
	cover(COVER_DELIVER_KEY);
	if (k->session != 0 && k->session != session)
		cover(COVER_KEY_MOVED);
	k->session = session;
	k->most = in_flight(model_queue_with(m));
	k->could_ms = 0;
}

/* A lower limit holds for a key when it is next delivered, or settled. */
void model_keys_edited(unsigned queue, uint32_t edits, const struct mrf_queue_options *values)
{
	struct model_queue *q = &model_queues[queue];

	for (unsigned i = 0; i < MODEL_KEYS_MAX; i++)
		if (keys[queue][i].most < in_flight(q))
			keys[queue][i].most = in_flight(q);
	if (!(edits & MRF_QUEUE_OPTION_POLICY) || values->policy == MRF_QUEUE_POLICY_KEY_SHARED)
		return;
	if (q->key_header || q->key_token)
		q->edited |= MRF_QUEUE_OPTION_KEY_FROM;
	q->key_header = q->key_token = false;
}

bool model_took_lately(uint64_t session)
{
	unsigned slot = mr_session_slot(session) % BUS_SESSIONS_MAX;

	return last_sent[slot].session == session &&
	       bus_queues_ms() < last_sent[slot].ms + PATIENCE_MS;
}

/* Marks the keys that may go on: something surely waits, and nothing is unsettled or in doubt. */
static void find_free(unsigned queue, bool is_free[MODEL_KEYS_MAX])
{
	uint64_t now_ms = bus_queues_ms();

	memset(is_free, 0, MODEL_KEYS_MAX * sizeof(bool));
	for (uint32_t i = 1; i < messages_count; i++)
		if (messages[i].queue == queue && messages[i].key != 0 &&
			messages[i].state == READY && model_surely_ready(&messages[i], now_ms))
			is_free[messages[i].key] = true;
	for (uint32_t i = 1; i < messages_count; i++) {
		const struct message *m = &messages[i];

		if (m->queue == queue && (m->state == DOUBT || m->state == OUT ||
						 (m->state == PUT_OFF && m->sends > 0)))
			is_free[m->key] = false;
	}
}

void model_keys_watch(unsigned queue, bool goes_on)
{
	uint64_t now_ms = bus_queues_ms();
	bool is_free[MODEL_KEYS_MAX];

	if (goes_on && now_ms < looked_ms[queue] + LOOK_MS)
		return;
	looked_ms[queue] = now_ms;
	if (goes_on)
		find_free(queue, is_free);
	for (unsigned i = 1; i < MODEL_KEYS_MAX; i++) {
		struct key *k = &keys[queue][i];

		if (!goes_on || !is_free[i])
			k->could_ms = 0;
		else if (k->could_ms == 0)
			k->could_ms = now_ms;
		else if (now_ms > k->could_ms + PATIENCE_MS)
			world_fail("%s: key %u waits, and a consumer has room",
				model_queues[queue].name, i);
	}
}
