/* SPDX-License-Identifier: Apache-2.0 */
/* options: pushes with options: a block of fixed size in front of the body of a Push. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ticket.h"
#include "dataplane/queue/ttl.h"

#define BLOCK_BYTES ((uint32_t)sizeof(struct mrf_push_options))

/* Takes the block out of the lengths of a fragment. False: it is not in them. */
static bool shorten_fragment(struct mr_message_view *m)
{
	struct mrf_message_fragment *f = &m->extra.fragment;

	if (f->total_bytes < BLOCK_BYTES || (f->offset != 0 && f->offset < BLOCK_BYTES))
		return false;
	f->total_bytes -= BLOCK_BYTES;
	f->offset -= f->offset != 0 ? BLOCK_BYTES : 0;
	return true;
}

static uint64_t ticket_of(const struct mrf_push_options *o)
{
	return (uint64_t)o->ticket_high << 32 | o->ticket_low;
}

/* True if what repeats has a ticket and a period, or a header with its times. */
static bool repeats_well(const struct mrf_push_options *o)
{
	if (o->repeat == MRF_PUSH_REPEAT_NONE)
		return true;
	if (o->at_ms != 0 || ticket_of(o) == 0)
		return false;
	return o->repeat == MRF_PUSH_REPEAT_EVERY
		       ? o->delay_ms >= MR_SCHEDULE_EVERY_MS_MIN
		       : o->repeat == MRF_PUSH_REPEAT_CRON && o->delay_ms == 0;
}

/* True if the bus knows all that the block asks for. */
static bool is_known(const struct mrf_push_options *o)
{
	if (o->priority > MR_LEVELS)
		return false;
	if (o->at_ms != 0 && o->delay_ms != 0)
		return false;
	return repeats_well(o);
}

uint32_t mr_options_take(struct mr_message_view *m, struct mrf_push_options *out)
{
	bool fragment = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	bool first = !fragment || m->extra.fragment.offset == 0;

	*out = (struct mrf_push_options){0};
	if (fragment && !shorten_fragment(m))
		return MRF_STATUS_CODE_BAD;
	if (!first)
		return m->extra.fragment.offset != 0 ? MRF_STATUS_CODE_OK : MRF_STATUS_CODE_BAD;
	if (m->header_bytes < BLOCK_BYTES)
		return MRF_STATUS_CODE_BAD;
	memcpy(out, m->headers, BLOCK_BYTES);
	m->headers += BLOCK_BYTES;
	m->header_bytes -= BLOCK_BYTES;
	if (out->priority != 0 &&
		(m->header.flags & (MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW)) != 0)
		return MRF_STATUS_CODE_BAD;
	return is_known(out) ? MRF_STATUS_CODE_OK : MRF_STATUS_CODE_BAD;
}

bool mr_options_has_time(const struct mrf_push_options *options)
{
	return options->ttl_ms != 0 || options->delay_ms != 0 || options->at_ms != 0 ||
	       options->key != 0 || options->priority != 0 ||
	       options->repeat != MRF_PUSH_REPEAT_NONE;
}

uint32_t mr_options_prepare(
	struct mr_queues *q, struct mr_queue *queue, const struct mrf_push_options *options)
{
	bool dated = options->at_ms != 0 || options->repeat == MRF_PUSH_REPEAT_CRON;

	if (dated ? !mr_ttl_prepare_dated(q, queue) : !mr_ttl_prepare(q, queue))
		return MRF_STATUS_CODE_NO_MEMORY;
	return ticket_of(options) == 0 ? (uint32_t)MRF_STATUS_CODE_OK
				       : mr_ticket_admit(q, queue, ticket_of(options));
}

/* Lets the entry wait for a time of day, which follows the steps of the system's clock. Two kinds
 * wait as long as that time is away now: an entry with a time to live, which must end exactly, and
 * one for a time that the wheel has passed before its clock stepped back. */
static void wait_until(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_time *t,
	uint64_t at_ms, uint64_t unix_ms)
{
	uint64_t left_ms = at_ms - unix_ms;
	const struct mr_wheel *w = queue->times->dated;

	t->place = MR_TIME_WAIT;
	t->dated = t->ends_ms == MR_TIME_NEVER && (w->count == 0 || at_ms >= w->now_ms);
	t->node.due_ms = t->dated                     ? at_ms
			 : left_ms < MR_WHEEL_LAST_MS ? q->now_ms + left_ms
						      : MR_WHEEL_LAST_MS;
}

void mr_options_apply(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mrf_push_options *options)
{
	struct mr_queue_time *t = mr_entry_time(e);
	uint64_t unix_ms;

	if ((e->flags & MR_ENTRY_TIME) == 0)
		return;
	t->level = options->priority;
	t->key = options->key;
	if (options->ttl_ms != 0)
		t->ends_ms = q->now_ms + options->ttl_ms;
	if (options->delay_ms != 0) {
		t->place = MR_TIME_WAIT;
		t->node.due_ms = q->now_ms + options->delay_ms;
	} else if (options->at_ms != 0) {
		unix_ms = mr_ttl_unix_ms(q);
		if (unix_ms != 0 && options->at_ms > unix_ms)
			wait_until(q, queue, t, options->at_ms, unix_ms);
	}
	e->ticket = t->place == MR_TIME_WAIT ? ticket_of(options) : 0;
	t->ticketed = e->ticket != 0;
}

/* Takes a whole message: 0, or the StatusCode to refuse with. */
static uint32_t push_whole(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options)
{
	uint32_t body_bytes = m->header_bytes + m->payload_bytes;
	struct mr_push_facts facts;
	uint32_t status = mr_push_check(q, session, queue, m, body_bytes, &facts);
	struct mr_queue_entry *e;

	if (status != MRF_STATUS_CODE_OK)
		return status;
	if (facts.known) {
		mr_push_known(q, session, queue, facts.origin);
		return MRF_STATUS_CODE_OK;
	}
	if (mr_options_has_time(options))
		facts.entry_flags |= MR_ENTRY_TIME;
	if (facts.entry_flags & MR_ENTRY_TIME)
		status = mr_options_prepare(q, queue, options);
	if (status != MRF_STATUS_CODE_OK)
		return status;
	if (options->repeat != MRF_PUSH_REPEAT_NONE)
		return mr_schedule_push(q, session, queue, m, options, &facts);
	e = mr_push_entry(q, session, m, facts.entry_flags, body_bytes);
	if (e == NULL)
		return mr_entry_refusal(
			q, mr_client_find(q, session)->account, facts.entry_flags, body_bytes);
	mr_options_apply(q, queue, e, options);
	if (!mr_key_admit(q, queue, e)) {
		mr_entry_free(q, e);
		return MRF_STATUS_CODE_NO_MEMORY;
	}
	mr_message_copy(mr_entry_body(e), m->headers, body_bytes);
	mr_push_finish(q, session, queue, e, facts.origin);
	return MRF_STATUS_CODE_OK;
}

void mr_options_push_keyed(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m)
{
	const struct mrf_push_options options = {.key = mr_key_of(queue, m)};
	uint32_t status;

	if (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) {
		mr_fragment_push(q, session, queue, m, &options);
		return;
	}
	status = push_whole(q, session, queue, m, &options);
	if (status != MRF_STATUS_CODE_OK)
		mr_push_refuse(q, session, queue, m->header.target, m, status);
}

void mr_queues_push_with(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue *queue = mr_queue_by_number(q, m->header.target);
	struct mr_message_view push = *m;
	struct mrf_push_options options;
	uint32_t status = MRF_STATUS_CODE_NOT_FOUND;

	mr_queues_at(q, now_ms);
	if (queue != NULL)
		status = queue->kind == MRF_QUEUE_KIND_QUEUE && !queue->is_dead
				 ? mr_options_take(&push, &options)
				 : MRF_STATUS_CODE_BAD;
	if (status == MRF_STATUS_CODE_OK && queue->takes_key && options.key == 0)
		options.key = mr_key_of(queue, &push);
	if (status == MRF_STATUS_CODE_OK && (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT)) {
		mr_fragment_push(q, session, queue, &push, &options);
		return;
	}
	if (status == MRF_STATUS_CODE_OK)
		status = push_whole(q, session, queue, &push, &options);
	if (status != MRF_STATUS_CODE_OK)
		mr_push_refuse(q, session, queue, m->header.target, m, status);
}
