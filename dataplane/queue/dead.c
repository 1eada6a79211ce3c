/* SPDX-License-Identifier: Apache-2.0 */
/* dead: dead letters: the queue NAME.dead, the lines in their header blocks, and redrive. */
#include <stdio.h>

#include "dataplane/queue/dead.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/lines.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/work.h"

#define RETRY_MS        1000u
#define LINES_BYTES_MAX 512u /* all added lines together */
#define TIME_BYTES      32u
#define DAY_MS          86400000ull

void mr_dead_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue *dead)
{
	mr_limit_uncount(q, dead);
	queue->dead = dead;
	dead->dead = queue;
}

static bool is_needed(const struct mr_queue *dead)
{
	return mr_queue_in_use(dead) || dead->paused || dead->is_set || dead->kept ||
	       dead->maker != 0;
}

void mr_dead_part(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue *other = queue->dead;

	if (other == NULL)
		return;
	queue->dead = other->dead = NULL;
	if (queue->is_dead)
		return;
	if (is_needed(other))
		mr_limit_made(q, other, other->peer);
	else
		mr_queue_remove(q, other);
}

/* Dead letters count with their queue against the largest part of the store
 * (mr_push_share_used_up), and have a slot beside it: there is one for each possible queue. */
struct mr_queue *mr_dead_of(struct mr_queues *q, struct mr_queue *queue)
{
	char name[MR_SUBJECT_BYTES_MAX];
	struct mrf_queue_options options = q->c.queue;
	uint32_t bytes = queue->name_bytes + (uint32_t)MR_QUEUE_DEAD_BYTES;
	struct mr_queue *dead;

	if (queue->dead != NULL)
		return queue->dead;
	assert(bytes <= MR_SUBJECT_BYTES_MAX); /* names leave room for it */
	memcpy(name, queue->name, queue->name_bytes);
	memcpy(name + queue->name_bytes, MR_QUEUE_DEAD, MR_QUEUE_DEAD_BYTES);
	dead = mr_queue_by_name(q, MRF_QUEUE_KIND_QUEUE, name, bytes);
	options.messages_max = UINT64_MAX / 2;
	options.bytes_max = 0;
	options.age_max_ms = 0;
	options.aging_ms = 0;
	if (dead == NULL) {
		if (mr_queue_make(q, MRF_QUEUE_KIND_QUEUE, name, bytes, &options, &dead) != 0)
			return NULL;
		dead->peer = queue->peer;
	}
	mr_dead_join(q, queue, dead);
	return dead;
}

/* Writes a time of the calendar, RFC 3339. Days of 400 years from March on, see "days_from_civil"
 * (Howard Hinnant, chrono-compatible low-level date algorithms). */
static void write_time(char out[TIME_BYTES], uint64_t unix_ms)
{
	uint32_t days = (uint32_t)(unix_ms / DAY_MS) + 719468;
	uint32_t in_day_ms = (uint32_t)(unix_ms % DAY_MS);
	uint32_t era = days / 146097, of_era = days % 146097;
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint32_t from_march = (5 * of_year + 2) / 153;
	uint32_t day = of_year - (153 * from_march + 2) / 5 + 1;
	uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;

	snprintf(out, TIME_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		(year + era * 400 + (month <= 2)) % 10000, month, day, in_day_ms / 3600000,
		in_day_ms / 60000 % 60, in_day_ms / 1000 % 60, in_day_ms % 1000);
}

bool mr_dead_tell(struct mr_queues *q, const struct mr_queue *queue, struct mr_queue_entry **e,
	const char *reason)
{
	char lines[LINES_BYTES_MAX], time[TIME_BYTES];
	uint64_t unix_ms = q->c.ops->unix_ms != NULL ? q->c.ops->unix_ms(q->c.arg) : 0;
	int bytes = snprintf(lines, sizeof(lines),
		MR_LINE_DEAD "Reason: %s\r\n" MR_LINE_DEAD "Queue: %.*s\r\n" MR_LINE_DEAD
			     "Count: %u\r\n",
		reason, (int)queue->name_bytes, queue->name, (*e)->attempts);

	if (unix_ms != 0) {
		write_time(time, unix_ms);
		bytes += snprintf(lines + bytes, sizeof(lines) - (size_t)bytes,
			MR_LINE_DEAD "Time: %s\r\n", time);
	}
	return mr_lines_dead(q, e, lines, (uint32_t)bytes);
}

void mr_dead_keep(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (!mr_delivery_delay(q, queue, e, RETRY_MS))
		mr_queue_put_back(q, queue, e);
}

void mr_dead_letter(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason)
{
	struct mr_queue *dead;

	if (mr_dead_to_named(q, queue, e, reason))
		return;
	dead = mr_dead_of(q, queue);
	if (dead == NULL) { /* no memory for another queue: keep the message */
		mr_dead_keep(q, queue, e);
		return;
	}
	mr_work(q, MR_WORK_DEAD + (e->body_bytes >> MR_WORK_LARGE));
	if (e->flags & MR_ENTRY_TIME)
		mr_key_leave(q, queue, e);
	queue->body_bytes -= e->body_bytes;
	queue->dead_count++;
	mr_count(q->c.stats->queue_dead, 1);
	mr_dead_forget_times(e);
	/* The move itself takes no memory, the lines do. */
	if (mr_unlikely(mr_push_share_used_up(q, queue) || !mr_dead_tell(q, queue, &e, reason))) {
		mr_count(q->c.stats->queue_dead_bare, 1);
		mr_lines_rename_forged(e);
	}
	dead->body_bytes += e->body_bytes;
	mr_queue_put(q, dead, e);
	mr_queue_has_room(q, queue);
}

static void move_back(struct mr_queues *q, struct mr_queue *dead, struct mr_queue *queue)
{
	struct mr_queue_entry *e = mr_queue_next(q, dead);

	mr_work(q, MR_WORK_DEAD + (e->body_bytes >> MR_WORK_LARGE));
	mr_queue_take(q, dead, e);
	dead->body_bytes -= e->body_bytes;
	(void)mr_lines_take(q, &e);
	e->attempts = 0;
	e->spared = 0;
	queue->body_bytes += e->body_bytes;
	mr_queue_put(q, queue, e);
}

void mr_dead_redrive(struct mr_queues *q, struct mr_queue *queue, uint32_t floor)
{
	if (queue->redrives_each) {
		mr_dead_redrive_each(q, queue, floor);
		return;
	}
	while (q->work > floor && queue->redriving > 0) {
		if (queue->dead == NULL || queue->dead->ready_count == 0) {
			queue->redriving = 0;
			break;
		}
		/* The redrive continues when an entry has left the queue. */
		if (mr_push_is_full(queue, mr_queue_next(q, queue->dead)->body_bytes)) {
			queue->redrive_waits = true;
			break;
		}
		move_back(q, queue->dead, queue);
		queue->redriving--;
	}
}
