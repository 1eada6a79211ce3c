/* SPDX-License-Identifier: Apache-2.0 */
/* schedule_list: the schedules of a queue, for operators. */
#include <errno.h>

#include "dataplane/queue/command.h"
#include "dataplane/queue/schedule.h"

/* The most bytes of headers, and of a payload, in a row. */
#define SCHEDULE_PART_BYTES 1024u

static uint32_t part_of(uint32_t bytes)
{
	return bytes < SCHEDULE_PART_BYTES ? bytes : SCHEDULE_PART_BYTES;
}

static uint32_t write_schedule(struct mr_queue_request *r, const struct mr_queue_schedule *s)
{
	struct mr_queue_entry *e = s->entry;
	const uint8_t *body = mr_entry_body(e);

	return mrf_queue_message_row_write(
		r->b, &(struct mrf_queue_message_row){
			      .priority = e->priority,
			      .bytes = e->body_bytes,
			      .headers = mrf_bytes_n(body, part_of(e->header_bytes)),
			      .payload = mrf_bytes_n(body + e->header_bytes,
				      part_of(e->body_bytes - e->header_bytes)),
			      .ticket = s->ticket,
			      .every_ms = (uint32_t)s->period_ms,
			      .next_ms = mr_schedule_left_ms(r->q, s),
			      .fired = s->fired,
			      .skipped = s->skipped,
		      });
}

int mr_request_schedules(struct mr_queue_request *r)
{
	struct mr_queue *queue = mr_request_queue(r);
	uint32_t skip = mrf_queue_command_cursor(r->command);

	if (queue == NULL)
		return -ENOENT;
	r->answer.queue = queue->number;
	for (struct mr_queue_schedule *s = mr_schedules_any(queue) ? queue->times->schedules : NULL;
		s != NULL; s = s->next) {
		r->answer.count++;
		if (skip > 0)
			skip--;
		else if (r->answer.messages_count < MR_QUEUE_PEEK_MAX)
			r->messages[r->answer.messages_count++] = write_schedule(r, s);
	}
	return 0;
}
