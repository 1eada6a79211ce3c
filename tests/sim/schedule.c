/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ttl.h"
#include "tests/sim/bus_far.h"
#include "tests/sim/cover.h"
#include "tests/sim/schedule_model.h"
#include "tests/sim/world.h"

#define MAGIC    0x4b434954u
#define LIVE_MAX 64u
#define LATE_MS  5u /* a tick has a limit for its work */
#define BACK_MS  (3 * 3600000ull)
#define STEP_MS  1100u /* a worker looks at the clock of Unix time each second */

/* A schedule that the bus has. Those of another host may have the same ticket. */
struct live {
	uint32_t wish; /* 0: free */
	uint64_t peer;
	uint64_t due_ms;     /* by the worker's clock, or Unix time */
	uint64_t planned_ms; /* by cron: Unix time at which due_ms was found */
	uint64_t wrong_ms;   /* since when that was by a wrong clock; 0: it was not */
	uint64_t seen_ms;    /* when it was first seen to be due, and had not fired; 0: not */
	uint64_t fired;      /* the bus's counts */
	uint64_t skipped;
	bool stepped; /* its worker may not have seen a step of the clock */
	uint64_t stepped_ms;
};

static struct {
	bool on;
	bool turns_back;
	uint32_t limit;
	uint32_t numbers[2];
	uint32_t wishes_count;
	struct schedule_wish wishes[SCHEDULE_MAX];
	struct live lives[LIVE_MAX];
	uint64_t fired;
	uint64_t acked;
	uint64_t handed;
	uint64_t purged;
	uint64_t expired;
	uint64_t expired_seen[2];       /* the queues' counts at the last look */
	uint64_t made_ms[SCHEDULE_MAX]; /* when the last copy of a wish was made, worker's clock */
} all;

static const char *const names[2] = {"ticks", "ticks-far"};

void schedule_open(void)
{
	memset(&all, 0, sizeof(all));
	all.wishes_count = 1;
}

bool schedule_is_on(void)
{
	return all.on;
}

bool schedule_turns_back(void)
{
	return all.turns_back;
}

const char *schedule_name(bool far)
{
	return names[far];
}

uint32_t schedule_limit(void)
{
	return all.limit;
}

void schedule_make(void)
{
	const struct mrf_queue_options options = {
		.max_deliver = UINT16_MAX,
		.ack_timeout_ms = 300 + world_draw(1500),
		.messages_max = world_chance(50) ? 2 + world_draw(6) : 1000000,
	};

	all.on = true;
	all.turns_back = world_chance(50);
	all.limit = (uint32_t)options.messages_max;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(names); i++)
		if (bus_make(names[i], &options) != 0)
			world_fail("%s cannot be made", names[i]);
}

bool schedule_is_one(struct mrf_string name)
{
	for (unsigned i = 0; i < MR_ARRAY_COUNT(names); i++)
		if (name.bytes == strlen(names[i]) && memcmp(name.data, names[i], name.bytes) == 0)
			return true;
	return false;
}

void schedule_named(struct mrf_string name, uint32_t number)
{
	if (schedule_is_one(name))
		all.numbers[name.bytes == strlen(names[1])] = number;
}

bool schedule_has(uint32_t queue)
{
	return queue != 0 && (queue == all.numbers[0] || queue == all.numbers[1]);
}

uint32_t schedule_new(struct schedule_wish w)
{
	if (all.wishes_count == SCHEDULE_MAX)
		return 0;
	all.wishes[all.wishes_count] = w;
	return all.wishes_count++;
}

const struct schedule_wish *schedule_wish(uint32_t number)
{
	return &all.wishes[number];
}

struct schedule_body schedule_body(uint32_t number)
{
	return (struct schedule_body){MAGIC, number};
}

uint32_t schedule_number(const void *at, size_t bytes)
{
	struct schedule_body b;

	if (bytes == sizeof(b))
		memcpy(&b, at, sizeof(b));
	if (bytes != sizeof(b) || b.magic != MAGIC || b.number == 0 || b.number >= all.wishes_count)
		world_fail("a copy that no schedule has made");
	return b.number;
}

void schedule_handed(uint32_t number)
{
	(void)number;
	all.handed++;
	cover(COVER_SCHEDULE_HANDED);
}

void schedule_settled(uint64_t acked)
{
	all.acked += acked;
}

/* The bus's schedules. */

static struct mr_queues *home_of(bool far)
{
	return far ? bus.far : bus.queues;
}

static uint64_t clock_ms(bool far)
{
	return bus_now_ms() - mr_queues_lost_ms(home_of(far));
}

static struct mr_queue *queue_of(bool far)
{
	const char *name = names[far];

	return mr_queue_by_name(home_of(far), MRF_QUEUE_KIND_QUEUE, name, (uint32_t)strlen(name));
}

static const struct mr_queue_schedule *first_of(const struct mr_queue *q)
{
	return q != NULL && mr_schedules_any(q) ? q->times->schedules : NULL;
}

static const struct mr_queue_schedule *find(
	const struct mr_queue *q, uint64_t peer, uint64_t ticket)
{
	const struct mr_queue_schedule *s = first_of(q);

	while (s != NULL && (s->peer != peer || s->ticket != ticket))
		s = s->next;
	return s;
}

/* Schedules that it must have. */

static const struct schedule_wish *wish_of(const struct live *l)
{
	return &all.wishes[l->wish];
}

static bool is_of(const struct live *l, bool far, uint64_t ticket)
{
	return l->wish != 0 && wish_of(l)->far == far && wish_of(l)->ticket == ticket;
}

static struct live *find_live(bool far, uint64_t peer, uint64_t ticket)
{
	for (unsigned i = 0; i < LIVE_MAX; i++)
		if (is_of(&all.lives[i], far, ticket) && all.lives[i].peer == peer)
			return &all.lives[i];
	return NULL;
}

static struct live *free_live(void)
{
	for (unsigned i = 0; i < LIVE_MAX; i++)
		if (all.lives[i].wish == 0)
			return &all.lives[i];
	world_fail("too many schedules");
}

static void fail(const struct live *l, const char *what)
{
	const struct schedule_wish *w = wish_of(l);

	world_fail("schedule %" PRIu64 " of %s, %s, every %u ms, due at %" PRIu64
		   " ms: it is %" PRIu64 " ms, Unix time %" PRIu64 ": %s",
		w->ticket, names[w->far], w->every_ms != 0 ? "" : schedule_cron_text(w->cron),
		w->every_ms, l->due_ms, clock_ms(w->far), bus_unix_ms(), what);
}

/* Returns the clock that its time is of. */
static uint64_t now_of(const struct live *l)
{
	return wish_of(l)->every_ms != 0 ? clock_ms(wish_of(l)->far) : bus_unix_ms();
}

static void made(struct live *l, uint32_t wish, uint64_t peer)
{
	const struct schedule_wish *w = &all.wishes[wish];

	*l = (struct live){.wish = wish, .peer = peer};
	l->due_ms = w->every_ms != 0 ? clock_ms(w->far) + w->every_ms
				     : schedule_cron_next(w->cron, bus_unix_ms());
	l->planned_ms = bus_unix_ms();
	world_trace("%s: ticket %" PRIu64 " is every %u ms, or %s, due at %" PRIu64, names[w->far],
		w->ticket, w->every_ms, schedule_cron_text(w->cron), l->due_ms);
	cover(w->every_ms != 0 ? COVER_SCHEDULE_EVERY : COVER_SCHEDULE_CRON);
}

static uint64_t refused(const struct mrf_worker_stats *n)
{
	return n->queue_duplicates + n->refused_push_full + n->refused_push_memory +
	       n->refused_push_share + n->refused_push_unknown + n->refused_push_old +
	       n->drop_bad_message;
}

void schedule_push(uint64_t session, const struct mr_message_view *m)
{
	uint32_t number = schedule_number(m->payload, m->payload_bytes);
	const struct schedule_wish *w = &all.wishes[number];
	const struct mrf_worker_stats *n = w->far ? &bus.far_stats : &bus.stats;
	uint64_t before = refused(n), peer = bus_peer(session);
	struct live *l = find_live(w->far, peer, w->ticket);

	mr_queues_push_with(home_of(w->far), session, m, bus_now_ms());
	if (refused(n) != before)
		return;
	if (find(queue_of(w->far), peer, w->ticket) == NULL)
		world_fail("%s took a schedule, and does not have it", names[w->far]);
	if (l != NULL)
		cover(COVER_SCHEDULE_REPLACED);
	made(l != NULL ? l : free_live(), number, peer);
}

/* The bus refused nothing that it had to do. */
void schedule_withdrawn(struct mrf_string name, uint64_t session, uint64_t ticket, int code)
{
	bool far = name.bytes == strlen(names[1]), foreign = false;
	struct live *l = find_live(far, bus_peer(session), ticket);

	for (unsigned i = 0; i < LIVE_MAX; i++)
		foreign |= is_of(&all.lives[i], far, ticket);
	if (code == -ENOENT && queue_of(far) == NULL && l == NULL)
		return;
	if (code != (l != NULL ? 0 : foreign ? -EACCES : -ESRCH))
		world_fail("%s: the cancel of ticket %" PRIu64 " was answered %d", names[far],
			ticket, code);
	cover(l != NULL ? COVER_UNSCHEDULE : COVER_UNSCHEDULE_NONE);
	if (l != NULL)
		*l = (struct live){0};
}

/* The next time after now: one copy is made for all that have passed. */
static void set_next(struct live *l)
{
	const struct schedule_wish *w = wish_of(l);
	uint64_t now_ms = now_of(l), late_ms = now_ms - l->due_ms;

	if (w->every_ms == 0) {
		if (schedule_cron_next(w->cron, l->due_ms) <= now_ms)
			cover(COVER_SCHEDULE_MADE_UP);
		l->due_ms = schedule_cron_next(w->cron, now_ms);
		l->planned_ms = now_ms;
	} else {
		if (late_ms >= w->every_ms)
			cover(COVER_SCHEDULE_MADE_UP);
		l->due_ms += (late_ms / w->every_ms + 1) * w->every_ms;
	}
	l->seen_ms = 0;
	l->stepped = false;
}

static void check_fired(struct live *l, const struct mr_queue *q, const struct mr_queue_schedule *s)
{
	bool far = wish_of(l)->far, large = far || bus.store_is_large;

	if (s->fired + s->skipped > l->fired + l->skipped + 1)
		fail(l, "it fired twice");
	if (now_of(l) < l->due_ms)
		fail(l, "it fired before its time");
	/* After a long pause a schedule comes due before copies that end in the same tick. */
	if (s->skipped > l->skipped && large && q->expired == all.expired_seen[far] &&
		mr_queue_depth(q) < q->options.messages_max)
		fail(l, "its copy was left out, and its queue has room");
	if (s->fired > l->fired && mr_queue_depth(q) > q->options.messages_max)
		fail(l, "its copy went into a full queue");
	world_trace(
		"%s: ticket %" PRIu64 " fires, due at %" PRIu64, names[far], s->ticket, l->due_ms);
	if (wish_of(l)->every_ms == 0)
		cover(l->stepped ? COVER_SCHEDULE_STEPPED : COVER_SCHEDULE_CRON_FIRED);
	cover(s->skipped > l->skipped ? COVER_SCHEDULE_SKIPPED : COVER_SCHEDULE_FIRED);
	all.fired += s->fired - l->fired;
	if (s->fired > l->fired)
		all.made_ms[l->wish] = clock_ms(far);
	l->fired = s->fired;
	l->skipped = s->skipped;
	set_next(l);
}

/* Cron begins anew when the clock has stepped back by hours: it was wrong before. */
static void check_anew(struct live *l, const struct mr_queue_schedule *s)
{
	const struct schedule_wish *w = wish_of(l);
	uint64_t unix_ms = bus_unix_ms();
	bool wrong = w->every_ms == 0 && unix_ms + BACK_MS < l->planned_ms;

	if (w->every_ms == 0 && s->planned_ms != l->planned_ms) {
		if (!wrong)
			fail(l, "it begins anew, and the clock has not stepped back by hours");
		l->due_ms = schedule_cron_next(w->cron, unix_ms);
		l->planned_ms = unix_ms;
		wrong = false;
		cover(COVER_SCHEDULE_ANEW);
	}
	if (!wrong || l->wrong_ms == 0)
		l->wrong_ms = wrong ? clock_ms(w->far) : 0;
	if (wrong && clock_ms(w->far) > l->wrong_ms + STEP_MS)
		fail(l, "the clock has stepped back by hours, and it does not begin anew");
	if (s->due_ms != l->due_ms)
		fail(l, "the bus has found another time for it");
}

static void check_late(struct live *l)
{
	bool far = wish_of(l)->far;

	if (now_of(l) < l->due_ms) {
		l->seen_ms = 0;
		l->stepped &= clock_ms(far) <= l->stepped_ms + STEP_MS;
		return;
	}
	if (l->seen_ms == 0)
		l->seen_ms = clock_ms(far);
	if (clock_ms(far) > l->seen_ms + (l->stepped ? STEP_MS : LATE_MS))
		fail(l, "it is due, and has not fired");
}

void schedule_ticked(bool far)
{
	const struct mr_queue *q = queue_of(far);
	unsigned count = 0, has = 0;

	for (unsigned i = 0; i < LIVE_MAX && all.on; i++) {
		struct live *l = &all.lives[i];
		const struct mr_queue_schedule *s;

		if (l->wish == 0 || wish_of(l)->far != far)
			continue;
		count++;
		s = find(q, l->peer, wish_of(l)->ticket);
		if (s == NULL)
			fail(l, "the bus does not have it any more");
		if (s->fired + s->skipped != l->fired + l->skipped)
			check_fired(l, q, s);
		check_anew(l, s);
		check_late(l);
	}
	for (const struct mr_queue_schedule *s = first_of(q); s != NULL && all.on; s = s->next)
		has++;
	if (has != count)
		world_fail("%s has %u schedules, and %u are known", names[far], has, count);
	all.expired_seen[far] = q != NULL ? q->expired : 0;
}

/* The clock. */

static const struct live *draw_cron(void)
{
	const struct live *l = &all.lives[world_draw(LIVE_MAX)];

	for (unsigned i = 0; i < LIVE_MAX;
		i++, l = l + 1 == &all.lives[LIVE_MAX] ? all.lives : l + 1)
		if (l->wish != 0 && wish_of(l)->every_ms == 0)
			return l;
	return NULL;
}

static int64_t draw_clock_ms(void)
{
	const struct live *l = draw_cron();
	int64_t true_ms = (int64_t)(bus_unix_ms()) - bus.clock_ms;
	uint32_t r = world_draw(100);

	if (r < 60 && l != NULL) /* near its time */
		return (int64_t)l->due_ms - true_ms + (int64_t)world_draw(4000) - 3500;
	if (r < 80) /* several times pass */
		return bus.clock_ms + 1000 * (int64_t)world_draw(7200);
	if (r < 92)
		return bus.clock_ms - 1000 * (int64_t)world_draw(7200);
	return ((int64_t)world_draw(80 * 86400) - 40 * 86400) * 1000;
}

int64_t schedule_draw_clock_ms(void)
{
	int64_t ms = draw_clock_ms();

	return ms >= 0 || all.turns_back ? ms : -(int64_t)world_draw(2000);
}

void schedule_stepped(void)
{
	for (unsigned i = 0; i < LIVE_MAX; i++) {
		struct live *l = &all.lives[i];

		l->stepped = true;
		l->stepped_ms = l->wish != 0 ? clock_ms(wish_of(l)->far) : 0;
	}
}

/* The copies. */

/* The last one that was made is the youngest. */
void schedule_sent(const struct mr_message_plan *plan)
{
	uint32_t header_bytes = plan->sections >> 16;
	uint32_t number = schedule_number(
		(const uint8_t *)plan->body + header_bytes, plan->body_bytes - header_bytes);
	const struct schedule_wish *w = &all.wishes[number];
	uint64_t age_ms = clock_ms(w->far) - all.made_ms[number];

	if (plan->extra->delivery.queue != all.numbers[w->far])
		world_fail("%s sends a copy of another queue", names[w->far]);
	if (w->ttl_ms != 0 && all.made_ms[number] != 0 && age_ms >= w->ttl_ms)
		world_fail("%s sends a copy of ticket %" PRIu64 ", which is %" PRIu64
			   " ms old at least, after its %u ms",
			names[w->far], w->ticket, age_ms, w->ttl_ms);
}

/* The schedules stay: schedule_ticked looks for them. */
void schedule_purge(void)
{
	bool far = world_chance(50);
	struct mr_queue *q = queue_of(far);
	uint64_t ready, expected;
	uint64_t count;

	if (q == NULL || (far && !bus_far_runs()))
		return;
	ready = q->ready_count;
	expected = mr_queue_depth(q) - q->outstanding_count;
	count = bus_purge(names[far]);
	if (count < ready || count > expected)
		world_fail("%s: a purge took %" PRIu64 " copies of %" PRIu64 " to %" PRIu64,
			names[far], count, ready, expected);
	if (mr_queue_depth(q) != q->outstanding_count + mr_ttl_waiting(q))
		world_fail("%s: a purge has left copies", names[far]);
	all.purged += count;
	cover(COVER_SCHEDULE_PURGED);
}

static uint64_t expired(void)
{
	uint64_t sum = 0;

	for (unsigned far = 0; far < 2; far++)
		sum += queue_of(far != 0) != NULL ? queue_of(far != 0)->expired : 0;
	return sum;
}

/* The end. */

static void end_one(const struct live *l)
{
	uint64_t ticket = wish_of(l)->ticket;
	bool far = wish_of(l)->far;
	int code = bus_unschedule(names[far], ticket);

	if (code != 0)
		fail(l, "it cannot be ended");
	for (unsigned i = 0; i < LIVE_MAX; i++) /* those of all hosts */
		if (is_of(&all.lives[i], far, ticket))
			all.lives[i] = (struct live){0};
}

void schedule_end_all(void)
{
	if (!all.on)
		return;
	bus_tick();
	bus_tick_far();
	for (unsigned i = 0; i < LIVE_MAX; i++)
		if (all.lives[i].wish != 0)
			end_one(&all.lives[i]);
	bus_tick();
	bus_tick_far();
}

bool schedule_is_empty(void)
{
	for (unsigned far = 0; far < 2 && all.on; far++) {
		const struct mr_queue *q = queue_of(far != 0);

		if (q != NULL && mr_queue_depth(q) > 0)
			return false;
	}
	all.expired = all.on ? expired() : 0;
	return true;
}

void schedule_finish(void)
{
	if (all.fired != all.acked + all.purged + all.expired || all.handed < all.acked)
		world_fail("schedules have made %" PRIu64 " copies, %" PRIu64
			   " were settled, %" PRIu64 " purged, %" PRIu64
			   " ended by time, and %" PRIu64 " handed out",
			all.fired, all.acked, all.purged, all.expired, all.handed);
}
