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

/* Returns the ticket; 0: none, or it is the number of failed attempts. */
static uint64_t ticket_of(const struct mrf_push_options *o)
{
	if (o->repeat == MRF_PUSH_REPEAT_RESTORED)
		return 0;
	return (uint64_t)o->ticket_high << 32 | o->ticket_low;
}

/* True if what repeats has a ticket and a period, or a header with its times; and if what is
 * restored has none of them. */
static bool repeats_well(const struct mrf_push_options *o)
{
	if (o->repeat == MRF_PUSH_REPEAT_NONE)
		return true;
	if (o->repeat == MRF_PUSH_REPEAT_RESTORED)
		return o->at_ms == 0 && o->delay_ms == 0 && o->ticket_high == 0;
	if (o->at_ms != 0 || ticket_of(o) == 0)
		return false;
	return o->repeat == MRF_PUSH_REPEAT_EVERY
		       ? o->delay_ms >= MR_SCHEDULE_EVERY_MS_MIN
		       : o->repeat == MRF_PUSH_REPEAT_CRON && o->delay_ms == 0;
}

bool mr_options_are_good(const struct mr_message_view *m, const struct mrf_push_options *o)
{
	if (o->priority != 0 &&
		(m->header.flags & (MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW)) != 0)
		return false;
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
	return mr_options_are_good(m, out) ? MRF_STATUS_CODE_OK : MRF_STATUS_CODE_BAD;
}

uint32_t mr_options_prepare(struct mr_queues *q, struct mr_queue *queue,
	const struct mrf_push_options *options, uint32_t account)
{
	bool dated = options->at_ms != 0 || options->repeat == MRF_PUSH_REPEAT_CRON;

	if (dated ? !mr_ttl_prepare_dated(q, queue) : !mr_ttl_prepare(q, queue))
		return MRF_STATUS_CODE_NO_MEMORY;
	return ticket_of(options) == 0 ? (uint32_t)MRF_STATUS_CODE_OK
				       : mr_ticket_admit(q, queue, ticket_of(options), account);
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
	if (options->repeat == MRF_PUSH_REPEAT_RESTORED)
		e->attempts = options->ticket_low < UINT16_MAX ? (uint16_t)options->ticket_low
							       : UINT16_MAX;
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
