/* SPDX-License-Identifier: Apache-2.0 */
/* command: executes control's queue commands: open, consume, list, pause, redrive and others. */
#include <errno.h>

#include "dataplane/queue/about.h"
#include "dataplane/queue/command.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/peek.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/retry.h"
#include "dataplane/queue/ttl.h"

/* Deliveries examined in one request to find the oldest; with more, the result is the oldest of
 * these. */
#define LOOKS_MAX 4096u

static uint64_t value_or(uint64_t value, uint64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

/* Returns the requested options, with the bus's defaults in place of 0. */
static struct mrf_queue_options options_of(const struct mr_queue_request *r)
{
	struct mrf_table t = mrf_queue_command_options(r->command);
	const struct mrf_queue_options *d =
		r->kind == MRF_QUEUE_KIND_SERVICE ? &r->q->c.service : &r->q->c.queue;

	return (struct mrf_queue_options){
		.policy = (uint8_t)value_or(mrf_queue_options_policy(t), d->policy),
		.when_full = (uint8_t)value_or(mrf_queue_options_when_full(t), d->when_full),
		.messages_max = value_or(mrf_queue_options_messages_max(t), d->messages_max),
		.bytes_max = value_or(mrf_queue_options_bytes_max(t), d->bytes_max),
		.age_max_ms = (uint32_t)value_or(mrf_queue_options_age_max_ms(t), d->age_max_ms),
		.ack_timeout_ms =
			(uint32_t)value_or(mrf_queue_options_ack_timeout_ms(t), d->ack_timeout_ms),
		.max_deliver = (uint16_t)value_or(mrf_queue_options_max_deliver(t), d->max_deliver),
		.not_idempotent = mrf_queue_options_not_idempotent(t) || d->not_idempotent,
		.breaker_failures = (uint16_t)value_or(
			mrf_queue_options_breaker_failures(t), d->breaker_failures),
		.breaker_reset_ms = (uint32_t)value_or(
			mrf_queue_options_breaker_reset_ms(t), d->breaker_reset_ms),
		.breaker_probes =
			(uint16_t)value_or(mrf_queue_options_breaker_probes(t), d->breaker_probes),
		.when_expired =
			(uint8_t)value_or(mrf_queue_options_when_expired(t), d->when_expired),
		.aging_ms = (uint32_t)value_or(mrf_queue_options_aging_ms(t), d->aging_ms),
		.single_active =
			(uint8_t)value_or(mrf_queue_options_single_active(t), d->single_active),
		.in_flight_per_key = (uint16_t)value_or(
			mrf_queue_options_in_flight_per_key(t), value_or(d->in_flight_per_key, 1)),
		.key_from = mrf_queue_options_key_from(t),
		.retry_min_ms =
			(uint32_t)value_or(mrf_queue_options_retry_min_ms(t), d->retry_min_ms),
		.retry_max_ms =
			(uint32_t)value_or(mrf_queue_options_retry_max_ms(t), d->retry_max_ms),
		.retry_factor =
			(uint16_t)value_or(mrf_queue_options_retry_factor(t), d->retry_factor),
		.retry_jitter =
			(uint8_t)value_or(mrf_queue_options_retry_jitter(t), d->retry_jitter),
	};
}

/* True if the request asks for anything but the bus's defaults. */
static bool asks_for_options(const struct mr_queue_request *r)
{
	struct mrf_table t = mrf_queue_command_options(r->command);

	return mrf_queue_options_policy(t) || mrf_queue_options_when_full(t) ||
	       mrf_queue_options_messages_max(t) || mrf_queue_options_bytes_max(t) ||
	       mrf_queue_options_age_max_ms(t) || mrf_queue_options_ack_timeout_ms(t) ||
	       mrf_queue_options_max_deliver(t) || mrf_queue_options_not_idempotent(t) ||
	       mrf_queue_options_breaker_failures(t) || mrf_queue_options_breaker_reset_ms(t) ||
	       mrf_queue_options_breaker_probes(t) || mrf_queue_options_when_expired(t) ||
	       mrf_queue_options_aging_ms(t) || mrf_queue_options_single_active(t) ||
	       mrf_queue_options_in_flight_per_key(t) || mrf_queue_options_key_from(t).bytes ||
	       mrf_queue_options_retry_min_ms(t) || mrf_queue_options_retry_max_ms(t) ||
	       mrf_queue_options_retry_factor(t) || mrf_queue_options_retry_jitter(t);
}

static bool is_yes(uint8_t single_active)
{
	return single_active == MRF_SINGLE_ACTIVE_YES;
}

static bool same_text(struct mrf_string a, struct mrf_string b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* Returns the options, as bits, in which the queue differs from what was asked for. */
static uint32_t differences(const struct mr_queue_request *r, const struct mrf_queue_options *has)
{
	struct mrf_table t = mrf_queue_command_options(r->command);
	const struct mrf_queue_options wants = options_of(r);
	const struct {
		uint32_t option;
		bool asked, same;
	} all[] = {
		{MRF_QUEUE_OPTION_POLICY, mrf_queue_options_policy(t), wants.policy == has->policy},
		{MRF_QUEUE_OPTION_WHEN_FULL, mrf_queue_options_when_full(t),
			wants.when_full == has->when_full},
		{MRF_QUEUE_OPTION_MESSAGES_MAX, mrf_queue_options_messages_max(t),
			wants.messages_max == has->messages_max},
		{MRF_QUEUE_OPTION_BYTES_MAX, mrf_queue_options_bytes_max(t),
			wants.bytes_max == has->bytes_max},
		{MRF_QUEUE_OPTION_AGE_MAX, mrf_queue_options_age_max_ms(t),
			wants.age_max_ms == has->age_max_ms},
		{MRF_QUEUE_OPTION_ACK_TIMEOUT, mrf_queue_options_ack_timeout_ms(t),
			wants.ack_timeout_ms == has->ack_timeout_ms},
		{MRF_QUEUE_OPTION_MAX_DELIVER, mrf_queue_options_max_deliver(t),
			wants.max_deliver == has->max_deliver},
		{MRF_QUEUE_OPTION_NOT_IDEMPOTENT, mrf_queue_options_not_idempotent(t),
			has->not_idempotent},
		{MRF_QUEUE_OPTION_BREAKER_FAILURES, mrf_queue_options_breaker_failures(t),
			wants.breaker_failures == has->breaker_failures},
		{MRF_QUEUE_OPTION_BREAKER_RESET, mrf_queue_options_breaker_reset_ms(t),
			wants.breaker_reset_ms == has->breaker_reset_ms},
		{MRF_QUEUE_OPTION_BREAKER_PROBES, mrf_queue_options_breaker_probes(t),
			wants.breaker_probes == has->breaker_probes},
		{MRF_QUEUE_OPTION_WHEN_EXPIRED, mrf_queue_options_when_expired(t),
			wants.when_expired == has->when_expired},
		{MRF_QUEUE_OPTION_AGING, mrf_queue_options_aging_ms(t),
			wants.aging_ms == has->aging_ms},
		{MRF_QUEUE_OPTION_SINGLE_ACTIVE, mrf_queue_options_single_active(t),
			is_yes(wants.single_active) == is_yes(has->single_active)},
		{MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY, mrf_queue_options_in_flight_per_key(t),
			wants.in_flight_per_key == has->in_flight_per_key},
		{MRF_QUEUE_OPTION_KEY_FROM, wants.key_from.bytes,
			same_text(wants.key_from, has->key_from)},
		{MRF_QUEUE_OPTION_RETRY_MIN, mrf_queue_options_retry_min_ms(t),
			wants.retry_min_ms == has->retry_min_ms},
		{MRF_QUEUE_OPTION_RETRY_MAX, mrf_queue_options_retry_max_ms(t),
			wants.retry_max_ms == has->retry_max_ms},
		{MRF_QUEUE_OPTION_RETRY_FACTOR, mrf_queue_options_retry_factor(t),
			wants.retry_factor == has->retry_factor},
		{MRF_QUEUE_OPTION_RETRY_JITTER, mrf_queue_options_retry_jitter(t),
			wants.retry_jitter == has->retry_jitter},
	};
	uint32_t bits = 0;

	for (size_t i = 0; i < MR_ARRAY_COUNT(all); i++)
		bits |= all[i].asked && !all[i].same ? all[i].option : 0;
	return bits;
}

/* True if the queue has the requested options. The first opener decided, or an operator, whose edit
 * no client can contradict; options not asked for agree. */
static bool agrees_with_options(const struct mr_queue_request *r, const struct mr_queue *queue)
{
	return (differences(r, &queue->options) & ~queue->edited) == 0;
}

static bool options_are_valid(const struct mr_queue_request *r, const struct mrf_queue_options *o)
{
	const struct mrf_queue_options wants = options_of(r);
	const char *why = mr_key_options_check(o, r->kind);

	if (why != NULL)
		why = mr_queue_template_blame(r->q, r->kind, r->name, &wants, why);
	r->q->limits.why = why;
	return why == NULL && o->policy > MRF_QUEUE_POLICY_DEFAULT &&
	       o->policy <= MRF_QUEUE_POLICY_KEY_SHARED && o->when_full > MRF_QUEUE_FULL_DEFAULT &&
	       o->when_full <= MRF_QUEUE_FULL_DEAD_LETTER &&
	       o->when_expired <= MRF_QUEUE_EXPIRED_DEAD_LETTER &&
	       o->single_active <= MRF_SINGLE_ACTIVE_YES && o->messages_max <= UINT64_MAX / 4 &&
	       o->bytes_max <= UINT64_MAX / 4 && o->ack_timeout_ms <= INT32_MAX &&
	       o->age_max_ms <= INT32_MAX;
}

/* Makes a queue. The limits of a client count the queues that it makes, not those that it uses. */
static int make_plain(struct mr_queue_request *r, struct mr_queue **out)
{
	struct mrf_queue_options options = options_of(r);
	uint32_t fixed = mr_queue_template_apply(r->q, r->kind, r->name, &options);
	struct mr_queue_client *client = NULL;
	int rc;

	if (mr_queue_name_parse(r->name.data, r->name.bytes) != MR_SUBJECT_OK ||
		r->kind > MRF_QUEUE_KIND_SERVICE || !options_are_valid(r, &options) ||
		(r->kind == MRF_QUEUE_KIND_SERVICE && options.when_full > MRF_QUEUE_FULL_REFUSE))
		return -EINVAL;
	r->q->limits.why = mr_retry_refused(&options);
	if (r->q->limits.why != NULL)
		return -EINVAL;
	if (r->session != 0) {
		if (!r->q->c.ops->lives(r->q->c.arg, r->session))
			return -ENOTCONN;
		client = mr_client_of(r->q, r->session);
		if (client == NULL)
			return -ENOMEM;
	}
	rc = mr_limit_make(r->q, client);
	if (rc != 0)
		return rc;
	rc = mr_queue_make(r->q, r->kind, r->name.data, r->name.bytes, &options, out);
	if (rc == -ENOMEM && mr_limit_make_room(r->q))
		rc = mr_queue_make(r->q, r->kind, r->name.data, r->name.bytes, &options, out);
	if (rc != 0)
		return rc;
	if (client != NULL)
		mr_limit_made_by(r->q, *out, client);
	else
		mr_limit_made(r->q, *out, MR_PEER_OWN);
	(*out)->is_set = asks_for_options(r);
	(*out)->edited = fixed;
	rc = mr_about_template(r->q, *out);
	if (rc != 0)
		mr_queue_remove(r->q, *out);
	return rc;
}

static int make_queue(struct mr_queue_request *r, struct mr_queue **out)
{
	struct mrf_string wish = mrf_queue_command_dead_letter(r->command);
	int rc;

	r->q->limits.why = mr_dead_wish_refused(r->q, r->kind, r->name, wish);
	rc = r->q->limits.why != NULL ? -EINVAL : make_plain(r, out);
	return rc != 0 ? rc
		       : mr_dead_wish_grant(r->q, *out, wish,
				 r->session == 0 ? NULL : mr_client_find(r->q, r->session));
}

static int open_queue(struct mr_queue_request *r, struct mr_queue **out)
{
	*out = mr_request_queue(r);
	if (mrf_queue_command_served(r->command) && (*out == NULL || (*out)->consumers_count == 0))
		return -EHOSTUNREACH;
	if (*out != NULL)
		return agrees_with_options(r, *out) &&
				       mr_dead_wish_agrees(
					       *out, mrf_queue_command_dead_letter(r->command))
			       ? 0
			       : -EEXIST;
	return mrf_queue_command_lookup(r->command) ? -ENOENT : make_queue(r, out);
}

/* Counts a refusal; `exists` is the counter for -EEXIST. */
static int count_refusal(const struct mr_queue_request *r, int code, uint64_t *exists)
{
	if (code == -EEXIST)
		mr_count(*exists, 1);
	else if (code == -EDQUOT || code == -ENOSPC || code == -ENOMEM)
		mr_count(r->q->c.stats->refused_queue_room, 1);
	return code;
}

/* Tells control the subjects of the queue's template, until the queue was bound once. */
static void answer_binds(struct mr_queue_request *r, const struct mr_queue *queue)
{
	const struct mr_queue_template *t =
		queue->is_dead ? NULL : mr_queue_template_of(r->q, queue->kind, r->name);

	if (t == NULL || t->binds_count == 0 || mr_bind_was_bound(r->q, queue))
		return;
	r->answer.name = r->name;
	r->answer.binds = t->binds;
	r->answer.binds_count = t->binds_count;
}

static void answer_opened(struct mr_queue_request *r, const struct mr_queue *queue)
{
	answer_binds(r, queue);
	r->answer.queue = queue->number;
	r->answer.ack_timeout_ms = queue->options.ack_timeout_ms;
	r->answer.max_deliver = queue->is_dead ? 0 : queue->options.max_deliver;
	if (queue->kind == MRF_QUEUE_KIND_QUEUE)
		r->answer.settle_options = MRF_SETTLE_OPTION_ERROR;
}

static void note_knowledge(const struct mr_queue_request *r)
{
	struct mr_queue_client *client =
		r->q->c.ops->lives(r->q->c.arg, r->session) ? mr_client_of(r->q, r->session) : NULL;

	if (client == NULL)
		return;
	client->knows_memory = true;
	client->knows_share = mrf_queue_command_knows_share(r->command);
}

static int command_open(struct mr_queue_request *r)
{
	struct mr_queue *queue;
	int rc = count_refusal(r, open_queue(r, &queue), &r->q->c.stats->refused_queue_differs);

	if (rc != 0)
		return rc;
	queue->used_ms = r->q->now_ms;
	queue->wanted |= r->session != queue->maker;
	queue->kept |= r->session == 0 && !mrf_queue_command_lookup(r->command);
	answer_opened(r, queue);
	r->answer.count = queue->consumers_count;
	r->answer.window = mr_push_window(r->q, queue);
	r->answer.waits = queue->options.when_full == MRF_QUEUE_FULL_WAIT;
	if (queue->kind == MRF_QUEUE_KIND_QUEUE)
		r->answer.push_options = MRF_PUSH_OPTION_TTL | MRF_PUSH_OPTION_DELAY |
					 MRF_PUSH_OPTION_KEY | MRF_PUSH_OPTION_PRIORITY |
					 MRF_PUSH_OPTION_TICKET | MRF_PUSH_OPTION_REPEAT |
					 MRF_PUSH_OPTION_DEAD_LETTER | MRF_PUSH_OPTION_RESTORED;
	if (mrf_queue_command_knows_memory(r->command) && r->session != 0)
		note_knowledge(r);
	return 0;
}

static int command_consume(struct mr_queue_request *r)
{
	const struct mr_consumer_wish wish = {
		.session = r->session,
		.subscription = mrf_queue_command_subscription(r->command),
		.prefetch = mrf_queue_command_prefetch(r->command),
		.weight = mrf_queue_command_weight(r->command),
		.recalls = mrf_queue_command_recalls(r->command),
		.says_handed = mrf_queue_command_says_handed(r->command),
		.paused = mrf_queue_command_paused(r->command),
		.rate = mrf_queue_command_rate(r->command),
		.prefetch_bytes = mrf_queue_command_prefetch_bytes(r->command),
		.tag = mrf_queue_command_tag(r->command),
	};
	struct mr_queue *queue;
	int rc;

	if (r->session == 0 || mrf_queue_command_subscription(r->command) == 0)
		return -EINVAL;
	if (!r->q->c.ops->lives(r->q->c.arg, r->session))
		return -ENOTCONN;
	rc = count_refusal(r, open_queue(r, &queue), &r->q->c.stats->refused_queue_differs);
	if (rc != 0)
		return rc;
	answer_opened(r, queue);
	r->answer.consume_options = MRF_CONSUME_OPTION_TAG | MRF_CONSUME_OPTION_RATE |
				    MRF_CONSUME_OPTION_PREFETCH_BYTES | MRF_CONSUME_OPTION_PAUSED |
				    MRF_CONSUME_OPTION_SINGLE_ACTIVE | MRF_CONSUME_OPTION_LEASE |
				    MRF_CONSUME_OPTION_DEAD_LETTER;
	rc = mr_consumer_add(r->q, queue, &wish);
	return count_refusal(r, rc, &r->q->c.stats->refused_consumer_again);
}

/* Cancels a consumer. A repeated request is no error: the answer to the first may have been
 * lost. */
static int command_cancel(struct mr_queue_request *r)
{
	struct mr_queue_client *client = mr_client_find(r->q, r->session);
	struct mr_queue_consumer *c = NULL;

	if (client != NULL)
		c = mr_consumer_find(client, mrf_queue_command_subscription(r->command));
	if (c != NULL)
		mr_consumer_remove(r->q, c, MR_BACK_LEFT, 0, NULL);
	return 0;
}

/* Sets options. Unlike those of Open, 0 in a named option is a value and not a default. */
static int command_edit(struct mr_queue_request *r)
{
	struct mrf_table t = mrf_queue_command_options(r->command);
	const struct mrf_queue_options values = {
		.policy = mrf_queue_options_policy(t),
		.when_full = mrf_queue_options_when_full(t),
		.messages_max = mrf_queue_options_messages_max(t),
		.bytes_max = mrf_queue_options_bytes_max(t),
		.age_max_ms = mrf_queue_options_age_max_ms(t),
		.ack_timeout_ms = mrf_queue_options_ack_timeout_ms(t),
		.max_deliver = mrf_queue_options_max_deliver(t),
		.breaker_failures = mrf_queue_options_breaker_failures(t),
		.breaker_reset_ms = mrf_queue_options_breaker_reset_ms(t),
		.breaker_probes = mrf_queue_options_breaker_probes(t),
		.when_expired = mrf_queue_options_when_expired(t),
		.aging_ms = mrf_queue_options_aging_ms(t),
		.single_active = mrf_queue_options_single_active(t),
		.in_flight_per_key = mrf_queue_options_in_flight_per_key(t),
		.key_from = mrf_queue_options_key_from(t),
		.retry_min_ms = mrf_queue_options_retry_min_ms(t),
		.retry_max_ms = mrf_queue_options_retry_max_ms(t),
		.retry_factor = mrf_queue_options_retry_factor(t),
		.retry_jitter = mrf_queue_options_retry_jitter(t),
	};
	struct mr_queue *queue = mr_request_queue(r);
	int rc;

	if (queue == NULL)
		return -ENOENT;
	rc = mr_about_edit(r->q, queue, r->command, &values);
	return rc != 0 ? rc : mr_request_row(r, queue);
}

static int command_purge_older(struct mr_queue_request *r)
{
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return -ENOENT;
	if (queue->kind != MRF_QUEUE_KIND_QUEUE)
		return -EINVAL;
	r->answer.queue = queue->number;
	r->answer.looked = mrf_queue_command_cursor(r->command);
	r->answer.count = mr_queue_purge_older(
		r->q, queue, mrf_queue_command_match_older_ms(r->command), &r->answer.looked);
	return 0;
}

static int command_purge(struct mr_queue_request *r)
{
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return -ENOENT;
	r->answer.queue = queue->number;
	r->answer.count = mr_queue_empty(r->q, queue, MRF_STATUS_CODE_FAILED);
	return 0;
}

/* Returns the queue of the dead letters with that name, and makes it if its queue exists; else
 * NULL. */
static struct mr_queue *dead_named(const struct mr_queue_request *r)
{
	struct mr_queue *of;

	if (r->kind != MRF_QUEUE_KIND_QUEUE || !mr_queue_name_is_dead(r->name.data, r->name.bytes))
		return NULL;
	of = mr_queue_by_name(
		r->q, r->kind, r->name.data, r->name.bytes - (uint32_t)MR_QUEUE_DEAD_BYTES);
	return of == NULL || of->is_dead ? NULL : mr_dead_of(r->q, of);
}

static int pause_queue(struct mr_queue_request *r, bool paused)
{
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL && paused)
		queue = dead_named(r);
	if (queue == NULL)
		return -ENOENT;
	queue->paused = paused;
	queue->used_ms = r->q->now_ms;
	r->answer.queue = queue->number;
	mr_queue_activate(r->q, queue);
	mr_queue_arm(r->q, queue);
	mr_limit_idle(r->q, queue);
	return 0;
}

static int pause_consumer(struct mr_queue_request *r, bool paused)
{
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return -ENOENT;
	r->answer.queue = queue->number;
	r->answer.count = mr_hold_operator(r->q, queue, mrf_queue_command_session(r->command),
		mrf_queue_command_tag(r->command), paused);
	if (r->answer.count > 0)
		return 0;
	r->q->limits.why = "it has no such consumer";
	return -ESRCH;
}

/* Finds the queue to redrive to, by its own name or that of its dead letters. It may have been
 * removed for idleness before its dead letters, and is then made again. Services have no dead
 * letters, nor have dead letters: a client may have made a queue with such a name, but it belongs
 * to no queue. */
static int redrive_to(struct mr_queue_request *r, struct mr_queue **queue)
{
	struct mr_queue *dead;
	char name[MR_SUBJECT_BYTES_MAX + MR_QUEUE_DEAD_BYTES];
	int rc;

	if (mr_queue_name_is_dead(r->name.data, r->name.bytes))
		r->name.bytes -= (uint32_t)MR_QUEUE_DEAD_BYTES;
	if (r->name.bytes > MR_SUBJECT_BYTES_MAX || r->kind != MRF_QUEUE_KIND_QUEUE ||
		mr_queue_name_is_dead(r->name.data, r->name.bytes))
		return -EINVAL;
	memcpy(name, r->name.data, r->name.bytes);
	memcpy(name + r->name.bytes, MR_QUEUE_DEAD, MR_QUEUE_DEAD_BYTES);
	dead = mr_queue_by_name(r->q, r->kind, name, r->name.bytes + (uint32_t)MR_QUEUE_DEAD_BYTES);
	if (dead == NULL)
		return mr_request_queue(r) == NULL ? -ENOENT : 0;
	*queue = mr_request_queue(r);
	rc = *queue == NULL ? make_queue(r, queue) : 0;
	if (rc != 0)
		return rc;
	mr_dead_join(r->q, *queue, dead);
	return 0;
}

/* Starts a redrive: the dead letters go back one by one, in the following rounds. */
static int command_redrive(struct mr_queue_request *r)
{
	uint64_t count = mrf_queue_command_count(r->command), ready;
	struct mr_queue *queue = mr_request_queue(r);
	bool each = queue != NULL && queue->dead_from > 0;
	int rc = 0;

	if (!each) {
		queue = NULL;
		rc = redrive_to(r, &queue);
	}
	if (rc != 0 || queue == NULL)
		return rc;
	ready = each ? queue->ready_count : queue->dead->ready_count;
	if (count == 0 || count > ready)
		count = ready;
	queue->redriving = count;
	queue->redrives_each = each;
	queue->redrive_waits = false;
	mr_queue_activate(r->q, queue);
	r->answer.queue = queue->number;
	r->answer.count = count;
	return 0;
}

/* True if the name is that of the dead letters of an existing queue that has none yet. */
static bool dead_of_some(const struct mr_queue_request *r)
{
	return mr_queue_name_is_dead(r->name.data, r->name.bytes) &&
	       mr_queue_by_name(r->q, r->kind, r->name.data,
		       r->name.bytes - (uint32_t)MR_QUEUE_DEAD_BYTES) != NULL;
}

/* Shows messages in the order in which they would be delivered, were they not to age. */
static int command_peek(struct mr_queue_request *r)
{
	uint32_t max = mrf_queue_command_count(r->command);
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return dead_of_some(r) ? 0 : -ENOENT;
	if (max == 0 || max > MR_QUEUE_PEEK_MAX)
		max = MR_QUEUE_PEEK_MAX;
	r->answer.queue = queue->number;
	r->answer.count = queue->ready_count;
	r->answer.messages_count =
		mr_queue_peek(r->q, queue, r->command, r->b, max, r->messages, &r->answer.looked);
	return 0;
}

/* Removes messages that wait, for an operator or for the client that pushed them. */
static int command_withdraw(struct mr_queue_request *r)
{
	struct mr_queue_client *client = r->session == 0 ? NULL : mr_client_of(r->q, r->session);
	struct mr_queue *queue = mr_request_queue(r);
	bool foreign = false;

	if (queue == NULL)
		return -ENOENT;
	if (r->session != 0 && client == NULL)
		return -ENOMEM;
	r->answer.count = mr_ttl_cancel(r->q, queue, mrf_queue_command_ticket(r->command),
		client == NULL ? 0 : client->account, &foreign);
	if (r->answer.count > 0)
		return 0;
	r->q->limits.why = foreign ? "another user's message has this ticket"
				   : "no message with this ticket waits: it is due already, was "
				     "cancelled, or never had it";
	return foreign ? -EACCES : -ESRCH;
}

/* Deletes a queue and its dead letters. */
static int command_delete(struct mr_queue_request *r)
{
	struct mr_queue *queue = mr_request_queue(r);
	struct mr_queue *dead = queue == NULL || queue->is_dead ? NULL : queue->dead;

	if (queue == NULL)
		return -ENOENT;
	if (queue->consumers_count > 0 || (dead != NULL && dead->consumers_count > 0))
		return -EBUSY;
	if (queue->dead_from > 0) {
		r->q->limits.why = "dead letters of other queues go there: name another place for "
				   "them first (queue edit)";
		return -EBUSY;
	}
	if (mr_bind_count(r->q, queue) > 0) {
		r->q->limits.why = "it is bound to subjects: unbind it first (queue unbind)";
		return -EBUSY;
	}
	if (dead != NULL)
		mr_queue_remove(r->q, dead);
	mr_queue_remove(r->q, queue);
	return 0;
}

/* Lists keys; `count` of the answer: the cursor to continue from, 0 at the end. */
static int command_keys(struct mr_queue_request *r)
{
	uint32_t cursor = mrf_queue_command_cursor(r->command);
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return -ENOENT;
	r->answer.queue = queue->number;
	if (queue->keys == NULL) {
		r->q->limits.why = "it does not go by keys: its policy is not key-shared";
		return -EINVAL;
	}
	r->answer.keys_count = mr_keys_list(r->q, queue, &cursor, r->b, r->rows);
	r->answer.count = cursor;
	return 0;
}

static int execute_command(struct mr_queue_request *r)
{
	switch (mrf_queue_command_verb(r->command)) {
	case MRF_QUEUE_VERB_OPEN: return command_open(r);
	case MRF_QUEUE_VERB_CONSUME: return command_consume(r);
	case MRF_QUEUE_VERB_CANCEL: return command_cancel(r);
	case MRF_QUEUE_VERB_SHOW: return mr_request_show(r);
	case MRF_QUEUE_VERB_LIST: return mr_request_list(r);
	case MRF_QUEUE_VERB_PURGE: return command_purge(r);
	case MRF_QUEUE_VERB_PAUSE: return pause_queue(r, true);
	case MRF_QUEUE_VERB_RESUME: return pause_queue(r, false);
	case MRF_QUEUE_VERB_REDRIVE: return command_redrive(r);
	case MRF_QUEUE_VERB_PEEK: return command_peek(r);
	case MRF_QUEUE_VERB_DELETE: return command_delete(r);
	case MRF_QUEUE_VERB_EDIT: return command_edit(r);
	case MRF_QUEUE_VERB_PAUSE_CONSUMER: return pause_consumer(r, true);
	case MRF_QUEUE_VERB_RESUME_CONSUMER: return pause_consumer(r, false);
	case MRF_QUEUE_VERB_KEYS: return command_keys(r);
	case MRF_QUEUE_VERB_WITHDRAW: return command_withdraw(r);
	case MRF_QUEUE_VERB_SCHEDULES: return mr_request_schedules(r);
	case MRF_QUEUE_VERB_DELIVER_EARLY: return mr_request_early(r);
	case MRF_QUEUE_VERB_DETAILS: return mr_request_details(r);
	case MRF_QUEUE_VERB_PURGE_OLDER: return command_purge_older(r);
	default: return -EINVAL;
	}
}

static const char *text_of(const struct mr_queue_request *r, int code)
{
	bool service = r->kind == MRF_QUEUE_KIND_SERVICE;

	if (code != 0 && r->q->limits.why != NULL)
		return r->q->limits.why;
	switch (code) {
	case 0: return NULL;
	case -ENOENT: return service ? "no such service" : "no such queue";
	case -EEXIST: return "it exists already with other options, or this client has it already";
	case -ENOSPC: return "too many queues or consumers";
	case -ENOMEM: return "no memory left for queues (queues.memory_mib)";
	case -EBUSY: return "it has consumers";
	case -EHOSTUNREACH: return "nobody serves it";
	case -ENOTCONN: return "the session is closed";
	default: return "the request is malformed";
	}
}

uint32_t mr_queues_command(
	struct mr_queues *q, struct mrf_table command, struct mrf_builder *b, uint64_t now_ms)
{
	struct mr_queue_request r = {
		.q = q,
		.command = command,
		.name = mrf_queue_command_name(command),
		.kind = mrf_queue_command_kind(command),
		.session = mrf_queue_command_session(command),
		.b = b,
		.looks = LOOKS_MAX,
	};

	mr_queues_at(q, now_ms);
	q->limits.why = NULL;
	r.answer.code = execute_command(&r);
	r.answer.text = mrf_str(text_of(&r, r.answer.code));
	r.answer.rows = r.rows;
	r.answer.keys = r.rows;
	r.answer.messages = r.messages;
	return mrf_queue_answer_write(b, &r.answer);
}
