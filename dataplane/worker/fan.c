/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/fan.h"

#include <errno.h>
#include <sys/mman.h>

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/promise_deliver.h"

#define FANS_PER_PEER (MR_FANS_MAX / 4)
/* log2 of the skipped sinks that cost as much as one look. Removed sinks are skipped, and those of
 * a session that was found full. */
#define PASSED_SHIFT 3u
/* Members of a queue group that are tried. */
#define GROUP_TRIES         8u
#define GROUP_PROMISE_TRIES MR_GROUP_PROMISE_TRIES_MAX
#define PAGE_BYTES          4096u

/* Bytes of a burst, the last message complete. */
#define MESSAGES_BYTES (MR_BURST_BYTES + 2 * MR_MESSAGE_BYTES_MAX)

static size_t fan_bytes(void)
{
	return mr_align_up(
		sizeof(struct mr_fan) + mr_route_copy_bytes_max() + MESSAGES_BYTES, PAGE_BYTES);
}

int mr_fans_new(unsigned workers, struct mr_fans **out)
{
	uint32_t count = MR_FANS_MAX + workers;
	size_t bytes = PAGE_BYTES + count * fan_bytes();
	uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct mr_fans *fans = (struct mr_fans *)base;

	if (base == MAP_FAILED)
		return -ENOMEM;
	fans->bytes = bytes;
	for (uint32_t i = 0; i < count; i++) {
		struct mr_fan *f = (struct mr_fan *)(base + PAGE_BYTES + i * fan_bytes());

		f->next = fans->free;
		fans->free = f;
	}
	*out = fans;
	return 0;
}

void mr_fans_free(struct mr_fans *f)
{
	if (f != NULL)
		munmap(f, f->bytes);
}

uint64_t mr_fan_work_max(const struct mr_route *r, const struct mr_fan_load *l)
{
	uint64_t tries = l->promised ? GROUP_PROMISE_TRIES : GROUP_TRIES;
	uint64_t sinks = 0;

	for (uint32_t i = 0; i < r->span_count; i++)
		sinks += r->spans[i].count;
	return sinks * (l->count + (l->bytes >> MR_FAN_BYTES_SHIFT)) +
	       (uint64_t)r->group_count * tries * l->count;
}

bool mr_fan_may_be_kept(const struct mr_worker *w, const struct mr_fan_load *l, uint64_t peer)
{
	const struct mr_fans *fans = w->fans;
	uint32_t same = 0;

	if (fans->of_clients == MR_FANS_MAX)
		return false;
	if (l->promised && fans->promised_bytes > 0 &&
		fans->promised_bytes + l->bytes > MR_FAN_PROMISED_BYTES)
		return false;
	for (const struct mr_fan *f = fans->used; f != NULL; f = f->next)
		same += f->load.from != 0 && f->peer == peer;
	return same < FANS_PER_PEER;
}

/* The session that was last found full, and how its sinks are recognised. */
struct full_session {
	struct mr_session *session; /* NULL: none */
	uint32_t slot;              /* slot of the last session looked at */
	uint32_t generation;
	uint32_t passed; /* skipped sinks that were not counted as work yet */
	uint32_t missed; /* live ones among them that were not counted as missed yet */
};

static bool is_of(const struct full_session *full, const struct mr_sink *sink)
{
	return sink->slot == full->slot && sink->generation == full->generation;
}

/* Skips consecutive sinks of a full session; returns the sink behind them. */
static inline const struct mr_sink *skip_full_session(
	struct full_session *full, const struct mr_sink *sink, const struct mr_sink *end)
{
	const struct mr_sink *first = sink;

	for (; sink < end && is_of(full, sink); sink++)
		full->missed += mr_sink_live(sink);
	full->passed += (uint32_t)(sink - first);
	return sink;
}

static void count_missed(
	struct mr_worker *w, const struct mr_fan_load *l, struct full_session *full)
{
	if (full->session != NULL && full->passed > 0)
		mr_worker_charge_receiver(w, full->session, full->passed * MR_SHARE_LOOK);
	if (full->missed > 0)
		mr_worker_missed_many(w, full->session, l->count * full->missed);
	full->missed = 0;
	w->share.turn_work += full->passed >> PASSED_SHIFT;
	full->passed &= (1u << PASSED_SHIFT) - 1;
}

static const struct mr_session *deliver_one(struct mr_worker *w, struct mr_session *s,
	const struct mr_fan_load *l, struct mr_fan_at *at, const struct mr_message_plan *plan,
	uint32_t sub_id)
{
	if (!mr_worker_copy(w, s, plan, sub_id))
		return mr_worker_missed(w, s, plan->stride);
	w->share.turn_work += l->bytes >> MR_FAN_BYTES_SHIFT;
	w->round.delivered++;
	at->delivered++;
	return NULL;
}

static const struct mr_session *deliver_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_fan_load *l, uint32_t sub_id)
{
	uint32_t delivered = mr_worker_deliver_run(w, s, r, l->run, l->count, sub_id);

	w->round.delivered += delivered;
	if (delivered > 0)
		w->share.turn_work += l->count + (l->bytes >> MR_FAN_BYTES_SHIFT);
	return s->missed_unreported != 0 && mr_worker_has_no_room(s) ? s : NULL;
}

/* Delivers a best-effort message, or one to a subscription that drops. Returns the session if it
 * has no room for any message. */
static const struct mr_session *deliver_plain(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_fan_load *l, struct mr_fan_at *at,
	const struct mr_message_plan *plan, uint32_t sub_id)
{
	return l->view != NULL ? deliver_one(w, s, l, at, plan, sub_id)
			       : deliver_run(w, s, r, l, sub_id);
}

static void deliver_promised(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_fan_load *l, struct mr_fan_at *at, const struct mr_message_plan *plan,
	const struct mr_sink *sink, uint32_t high_water)
{
	w->share.turn_work += l->count + (l->bytes >> MR_FAN_BYTES_SHIFT);
	if (l->view != NULL)
		at->delivered += mr_worker_promise_sink(w, s, r, high_water, plan, sink->sub_id);
	else
		mr_worker_promise_run_sink(w, s, r, high_water, l->run, l->count, sink->sub_id);
}

static void to_sink(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, const struct mr_message_plan *plan, const struct mr_sink *sink,
	struct full_session *full)
{
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
	uint32_t high_water = l->promised ? mr_sink_high_water(flags) : 0;
	struct mr_message_stamp_room room;
	struct mr_message_plan stamped;
	struct mr_session *s;

	if (flags & MR_SINK_GONE) {
		full->passed++;
		return;
	}
	w->share.turn_work++;
	if (l->stamp != NULL && (flags & MR_SINK_ASKS) != 0) {
		stamped = *plan;
		mr_stamp_add(&stamped, l->stamp, flags, &room);
		plan = &stamped;
	}
	s = mr_directory_find(&w->directory, sink->slot, sink->generation);
	if (s == NULL || (l->promised && mr_worker_is_closed(s))) {
		mr_count(w->stats->drop_session_gone, l->count);
	} else if (high_water != 0) {
		deliver_promised(w, s, r, l, at, plan, sink, high_water);
	} else {
		if (is_of(full, sink))
			mr_worker_charge_receiver(
				w, s, (uint64_t)l->count * MR_SHARE_FAR + l->bytes / 8);
		full->session =
			(struct mr_session *)deliver_plain(w, s, r, l, at, plan, sink->sub_id);
		full->slot = sink->slot;
		full->generation = sink->generation;
	}
}

/* Delivers to the span at->span, from at->sink on. False: the turn's work is used up. */
static bool deliver_span(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, const struct mr_message_plan *plan, struct full_session *full,
	bool whole)
{
	const struct mr_sink *first = r->spans[at->span].sinks;
	const struct mr_sink *sink = first + at->sink, *end = first + r->spans[at->span].count;

	for (;;) {
		if (full->session != NULL)
			sink = skip_full_session(full, sink, end);
		if (sink == end)
			return true;
		count_missed(w, l, full);
		if (!whole && mr_worker_turn_is_over(w))
			break;
		to_sink(w, r, l, at, plan, sink++, full);
	}
	at->sink = (uint32_t)(sink - first);
	return false;
}

bool mr_fan_deliver(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole)
{
	struct mr_message_plan plan; /* unused for a run */
	struct mr_message_extra extra;
	struct full_session full = {0};

	if (l->view != NULL) {
		plan = mr_worker_delivery(r, l->view, l->token);
		if (l->view->header.flags & MR_MESSAGE_FLAGS_EXTRA) {
			extra = mr_worker_passed_on(l->view);
			mr_message_plan_extra(&plan, &extra);
		}
	}
	for (; at->span < r->span_count; at->span++, at->sink = 0)
		if (!deliver_span(w, r, l, at, &plan, &full, whole))
			return false;
	count_missed(w, l, &full);
	return true;
}

/* Tells the table writer which quiescence report the oldest fan-out depends on. */
static void tell_oldest(struct mr_worker *w)
{
	uint64_t oldest = 0;

	for (const struct mr_fan *f = w->fans->used; f != NULL; f = f->next)
		if (oldest == 0 || f->reported < oldest)
			oldest = f->reported;
	mr_router_hold(w->router, oldest);
}

static uint8_t *copy_to(uint8_t *at, const uint8_t **what, uint32_t bytes)
{
	memcpy(at, *what, bytes);
	*what = at;
	return at + mr_align_up(bytes, MR_MESSAGE_ALIGN);
}

/* Copies the messages out of the client's ring or the packet. */
static void copy_messages(struct mr_fan *f, uint8_t *at)
{
	if (f->load.view != NULL) {
		at = copy_to(at, &f->view.subject, f->view.subject_bytes);
		at = copy_to(at, &f->view.headers, f->view.header_bytes);
		(void)copy_to(at, &f->view.payload, f->view.payload_bytes);
		return;
	}
	for (uint32_t i = 0; i < f->load.count; i++)
		at = copy_to(at, &f->run[i].at, f->run[i].header.bytes);
}

static void copy_load(struct mr_fan *f, const struct mr_fan_load *l)
{
	f->load = *l;
	if (l->view != NULL) {
		f->view = *l->view;
		f->load.view = &f->view;
	} else {
		memcpy(f->run, l->run, l->count * sizeof(f->run[0]));
	}
	f->load.run = f->run;
	if (l->token != NULL) {
		f->token = *l->token;
		f->load.token = &f->token;
	}
	if (l->stamp != NULL) {
		f->stamp = *l->stamp;
		f->load.stamp = &f->stamp;
	}
}

struct mr_fan *mr_fan_keep(struct mr_worker *w, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at, uint64_t peer)
{
	struct mr_fans *fans = w->fans;
	struct mr_fan *f = fans->free;

	fans->free = f->next;
	f->next = fans->used;
	fans->used = f;
	f->route = mr_route_copy(r, f->memory);
	f->at = *at;
	f->peer = peer;
	f->number = ++fans->number;
	f->reported = mr_router_reported(w->router);
	copy_load(f, l);
	if (l->from != 0) {
		copy_messages(f, f->memory + mr_route_copy_bytes(r));
		fans->of_clients++;
		fans->promised_bytes += l->promised ? l->bytes : 0;
	}
	tell_oldest(w);
	return f;
}

bool mr_fan_is_older(const struct mr_worker *w, uint64_t number)
{
	for (const struct mr_fan *f = w->fans->used; f != NULL; f = f->next)
		if (f->number <= number)
			return true;
	return false;
}

void mr_fan_end(struct mr_worker *w, struct mr_fan *f)
{
	struct mr_fans *fans = w->fans;
	struct mr_fan **at = &fans->used;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->next = fans->free;
	fans->free = f;
	if (f->load.from != 0) {
		fans->of_clients--;
		fans->promised_bytes -= f->load.promised ? f->load.bytes : 0;
	}
	tell_oldest(w);
}
