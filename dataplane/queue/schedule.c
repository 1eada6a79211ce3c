/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/schedule.h"

#include <strings.h>

#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/ticket.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

#define CRON_NAME  "Millrace-Cron:"
#define CRON_BYTES (sizeof(CRON_NAME) - 1)
#define END_WORK   4u  /* steps */
#define CRON_WORK  16u /* steps of looking for the next day that fits */
/* A clock that steps back by more was wrong before: cron begins anew. After a smaller step, a time
 * that comes twice counts the first time. */
#define STEP_BACK_MS (3 * 3600000ull)
/* A time of day that is waited for by the clock of the queues is looked at this often. */
#define LOOK_MS 1000u

/* Returns the value of the header Millrace-Cron, and its length; NULL: there is none. */
static const char *cron_of(const char *headers, uint32_t bytes, size_t *value_bytes)
{
	const char *line = headers, *end = headers + bytes;

	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t length = (size_t)((stop == NULL ? end : stop) - line);

		if (length > CRON_BYTES && strncasecmp(line, CRON_NAME, CRON_BYTES) == 0) {
			*value_bytes = length - CRON_BYTES;
			if (line[length - 1] == '\r')
				--*value_bytes;
			return line + CRON_BYTES;
		}
		line += length + 1;
	}
	return NULL;
}

static bool read_cron(const struct mr_message_view *m, struct mr_cron *out)
{
	size_t bytes;
	const char *value = cron_of((const char *)m->headers, m->header_bytes, &bytes);

	return value != NULL && mr_cron_parse(value, bytes, out) == NULL;
}

static struct mr_queue_schedule *schedule_new(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_queue_client *client)
{
	struct mr_queue_schedule *s =
		mr_slab_alloc_for(q->store, (uint32_t)sizeof(*s), client->account);

	if (s == NULL)
		return NULL;
	*s = (struct mr_queue_schedule){.next = queue->times->schedules, .peer = client->peer};
	if (s->next != NULL)
		s->next->prev = s;
	queue->times->schedules = s;
	q->schedules_count++;
	return s;
}

/* Frees a schedule whose place in its peer's count another has taken. */
static void schedule_drop(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		queue->times->schedules = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	q->schedules_count--;
	mr_slab_release(q->store, s, (uint32_t)sizeof(*s));
}

static void schedule_free(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	mr_limit_schedule_gone(q, s->peer);
	schedule_drop(q, queue, s);
}

void mr_schedule_end(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	schedule_free(q, queue, e->schedule);
	mr_entry_free(q, e);
	if (queue->consumers_count == 0)
		mr_limit_idle(q, queue);
}

/* True if the schedule waits in the wheel of times of day. It does not if that wheel has passed its
 * time, before the clock stepped back, or ends before it, in 2109. */
static bool is_dated(const struct mr_queue *queue, const struct mr_queue_schedule *s)
{
	const struct mr_wheel *w = queue->times->dated;

	return s->period_ms == 0 && (w->count == 0 || s->due_ms >= w->now_ms) &&
	       s->due_ms < MR_WHEEL_LAST_MS;
}

/* Lets the entry wait until its schedule is due. */
static void wait(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	struct mr_queue_time *t = mr_entry_time(s->entry);
	uint64_t left_ms;

	t->place = MR_TIME_WAIT;
	t->dated = is_dated(queue, s);
	t->ticketed = true;
	t->node.due_ms = s->due_ms;
	if (s->period_ms == 0 && !t->dated) {
		left_ms = mr_schedule_left_ms(q, s);
		t->node.due_ms = q->now_ms + (left_ms < LOOK_MS ? left_ms : LOOK_MS);
	}
	mr_ttl_wait(q, queue, s->entry);
}

/* Sets the next time: one, however many have passed unseen. */
static void set_next(const struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	uint64_t late_ms;

	if (s->period_ms == 0) {
		s->planned_ms = mr_ttl_unix_ms(q);
		if (s->planned_ms > queue->times->planned_ms)
			queue->times->planned_ms = s->planned_ms;
		s->due_ms = mr_cron_next(&s->cron, s->planned_ms);
		return;
	}
	late_ms = q->now_ms > s->due_ms ? (q->now_ms - s->due_ms) % s->period_ms : 0;
	s->due_ms = (s->due_ms > q->now_ms ? s->due_ms : q->now_ms) + s->period_ms - late_ms;
}

/* Finds the schedule with that ticket that the client may replace. False: the ticket is that of a
 * message of its own. Whatever others have under that number is not looked at, but by root. */
static bool find_own(struct mr_queues *q, struct mr_queue *queue, uint64_t ticket, uint32_t account,
	struct mr_queue_entry **found)
{
	struct mr_queue_entry *e = NULL;

	*found = NULL;
	while ((e = mr_ticket_find(q, queue, ticket, e)) != NULL) {
		if (account != 0 && mr_entry_account(e) != account)
			continue;
		*found = e;
		return mr_entry_time(e)->repeats;
	}
	return true;
}

/* Ends a schedule in whose place a new one came. */
static void end_old(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *old)
{
	mr_ttl_take_waiting(q, queue, old);
	schedule_drop(q, queue, old->schedule);
	mr_entry_free(q, old);
}

static uint32_t make(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options,
	const struct mr_cron *cron)
{
	const struct mr_queue_client *client = mr_client_find(q, session);
	uint32_t body_bytes = m->header_bytes + m->payload_bytes;
	struct mr_queue_entry *e = mr_push_entry(q, session, m, MR_ENTRY_TIME, body_bytes);
	struct mr_queue_schedule *s = e == NULL ? NULL : schedule_new(q, queue, client);

	if (s == NULL) {
		if (e != NULL)
			mr_entry_free(q, e);
		return mr_entry_refusal(q, client->account, MR_ENTRY_TIME, body_bytes);
	}
	mr_message_copy(mr_entry_body(e), m->headers, body_bytes);
	mr_entry_time(e)->level = options->priority;
	mr_entry_time(e)->key = options->key;
	s->entry = e;
	s->ticket = (uint64_t)options->ticket_high << 32 | options->ticket_low;
	s->period_ms = options->repeat == MRF_PUSH_REPEAT_EVERY ? options->delay_ms : 0;
	s->ttl_ms = options->ttl_ms;
	s->cron = *cron;
	s->due_ms = q->now_ms;
	set_next(q, queue, s);
	e->schedule = s;
	mr_entry_time(e)->repeats = true;
	wait(q, queue, s);
	return MRF_STATUS_CODE_OK;
}

uint32_t mr_schedule_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options,
	const struct mr_push_facts *facts)
{
	const struct mr_queue_client *client = mr_client_find(q, session);
	uint64_t ticket = (uint64_t)options->ticket_high << 32 | options->ticket_low;
	struct mr_cron cron = {0};
	struct mr_queue_entry *old;
	uint32_t status = MRF_STATUS_CODE_OK;

	if (options->repeat == MRF_PUSH_REPEAT_CRON && !read_cron(m, &cron))
		return MRF_STATUS_CODE_BAD;
	if (!find_own(q, queue, ticket, client->account, &old))
		return MRF_STATUS_CODE_BAD;
	if (old != NULL && old->schedule->peer != client->peer) { /* root ends another's */
		mr_ttl_take_waiting(q, queue, old);
		mr_schedule_end(q, queue, old);
		old = NULL;
	}
	if (old == NULL)
		status = mr_limit_schedule(q, client->peer);
	if (status != MRF_STATUS_CODE_OK)
		return status;
	status = make(q, session, queue, m, options, &cron);
	if (status != MRF_STATUS_CODE_OK) { /* the old one stays */
		if (old == NULL)
			mr_limit_schedule_gone(q, client->peer);
		return status;
	}
	if (old != NULL)
		end_old(q, queue, old);
	if (facts->entry_flags & MR_ENTRY_ORIGIN)
		mr_window_note(q, queue, facts->origin);
	if (facts->origin != NULL)
		mr_push_accept(q, session, queue, facts->origin);
	return MRF_STATUS_CODE_OK;
}

/* Returns a copy without an origin, or NULL: there is no room for it. */
static struct mr_queue_entry *copy(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	struct mr_queue_entry *e = s->entry, *to = NULL;
	const struct mr_queue_time *t = mr_entry_time(e);
	bool timed = s->ttl_ms != 0 || t->level != 0 || t->key != 0;
	uint32_t account = mr_entry_account(e);

	if (mr_queue_depth(queue) < queue->options.messages_max &&
		!mr_push_is_full(queue, e->body_bytes) && !mr_push_share_used_up(q, queue) &&
		!mr_limit_account_full(q, account, s->peer, e->body_bytes))
		to = mr_entry_new(q, account, timed ? MR_ENTRY_TIME : 0, NULL, e->header_bytes,
			e->body_bytes);
	if (to == NULL)
		return NULL;
	mr_message_copy(mr_entry_body(to), mr_entry_body(e), e->body_bytes);
	to->priority = e->priority;
	if (!timed)
		return to;
	mr_entry_time(to)->level = t->level;
	mr_entry_time(to)->key = t->key;
	if (s->ttl_ms != 0)
		mr_entry_time(to)->ends_ms = q->now_ms + s->ttl_ms;
	if (mr_key_admit(q, queue, to))
		return to;
	mr_entry_free(q, to);
	return NULL;
}

/* True if cron found the next time by a clock that has stepped back far since. */
static bool has_wrong_time(const struct mr_queue_schedule *s, uint64_t unix_ms)
{
	return s->period_ms == 0 && unix_ms + STEP_BACK_MS < s->planned_ms;
}

void mr_schedules_clock(struct mr_queues *q, struct mr_queue *queue, uint64_t unix_ms)
{
	struct mr_queue_schedule *s = queue->times->schedules;

	if (mr_likely(unix_ms + STEP_BACK_MS >= queue->times->planned_ms))
		return;
	for (; s != NULL && mr_work_left(q); s = s->next) {
		if (!has_wrong_time(s, unix_ms))
			continue;
		mr_work(q, CRON_WORK);
		mr_ttl_take_waiting(q, queue, s->entry);
		set_next(q, queue, s);
		wait(q, queue, s);
	}
	if (s == NULL)
		queue->times->planned_ms = unix_ms;
}

/* Waits on if the time of day has not come. False: it has. */
static bool is_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_schedule *s)
{
	if (s->period_ms != 0 || mr_schedule_left_ms(q, s) == 0)
		return false;
	if (has_wrong_time(s, mr_ttl_unix_ms(q)))
		set_next(q, queue, s);
	wait(q, queue, s);
	return true;
}

void mr_schedule_fire(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_schedule *s = e->schedule;
	struct mr_queue_entry *to;

	if (mr_unlikely(is_early(q, queue, s)))
		return;
	to = copy(q, queue, s);
	if (to != NULL) {
		mr_work(q, to->body_bytes >> MR_WORK_LARGE);
		s->fired++;
		queue->body_bytes += to->body_bytes;
		queue->pushed++;
		queue->accepted++;
		mr_count(q->c.stats->pushed, 1);
		mr_queue_put(q, queue, to);
	} else {
		s->skipped++;
		mr_count(q->c.stats->drop_scheduled, 1);
	}
	if (s->period_ms == 0)
		mr_work(q, CRON_WORK);
	set_next(q, queue, s);
	wait(q, queue, s);
}

uint64_t mr_schedule_left_ms(const struct mr_queues *q, const struct mr_queue_schedule *s)
{
	uint64_t now_ms = s->period_ms == 0 ? mr_ttl_unix_ms(q) : q->now_ms;

	return s->due_ms > now_ms ? s->due_ms - now_ms : 0;
}

void mr_schedules_end(struct mr_queues *q, struct mr_queue *queue)
{
	while (mr_schedules_any(queue)) {
		struct mr_queue_entry *e = queue->times->schedules->entry;

		mr_work(q, END_WORK);
		mr_ttl_take_waiting(q, queue, e);
		schedule_free(q, queue, e->schedule);
		mr_entry_free(q, e);
	}
}

void mr_schedules_pause(struct mr_queues *q, struct mr_queue *queue)
{
	for (struct mr_queue_schedule *s = queue->times->schedules; s != NULL; s = s->next) {
		mr_entry_time(s->entry)->ticketed = false; /* the table is freed */
		mr_ttl_take_waiting(q, queue, s->entry);
	}
}

void mr_schedules_resume(struct mr_queues *q, struct mr_queue *queue)
{
	for (struct mr_queue_schedule *s = queue->times->schedules; s != NULL; s = s->next)
		wait(q, queue, s);
}
