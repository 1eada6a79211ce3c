/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/push.h"
#include "tests/sim/bus.h"
#include "tests/sim/model.h"
#include "tests/sim/world.h"

#define SOON_MS     100u /* time of the queues, in which the bus makes rounds */
#define BEYOND_MAX  2u   /* pushes of one client in a queue that is far beyond its limit */
#define LATE_MAX    16u  /* messages of one client that are being reassembled */
#define WINDOW_PART 8u
#define COUNT_MS    10u /* between two counts of all messages */
#define END_LATE_MS 20u /* a tick has a limit for its work */

static struct watched {
	uint32_t number; /* the queue's number */
	uint64_t accepted;
	/* While it is full: the most messages but for those of single clients, and the number of
	 * clients so far. */
	bool full;
	uint64_t base;
	uint64_t clients;
	/* Since when something waits that need not wait; 0: nothing does. */
	uint64_t withheld_ms;
	uint64_t old_ms;
	uint64_t counted_ms; /* when its messages were last counted */
	uint64_t excess_ms;  /* since when it has more than the model; 0: it has not */
	/* Its limits were lowered, or a promised publish came: it had so much then, or less. */
	uint64_t messages;
	uint64_t bytes;
	uint64_t over_ms; /* since when old messages have not made room */
} watched[MODEL_QUEUES_MAX];

void watch_open(void)
{
	memset(watched, 0, sizeof(watched));
}

static void may_have(unsigned queue);

void watch_edited(unsigned queue)
{
	watched[queue].full = false;
	may_have(queue);
}

static struct mr_queue *queue_of(unsigned i)
{
	const char *name = model_queues[i].name;

	return mr_queue_by_name(bus.queues, MRF_QUEUE_KIND_QUEUE, name, (uint32_t)strlen(name));
}

bool watch_is_empty(unsigned queue)
{
	char name[16];
	int bytes = snprintf(name, sizeof(name), "letters-%u", queue);
	const struct mr_queue *q = queue_of(queue);
	const struct mr_queue *letters =
		mr_queue_by_name(bus.queues, MRF_QUEUE_KIND_QUEUE, name, (uint32_t)bytes);

	return (q == NULL || mr_queue_depth(q) == 0) &&
	       (letters == NULL || mr_queue_depth(letters) == 0);
}

/* The queue may keep its present messages, also beyond its limits. */
static void may_have(unsigned queue)
{
	const struct mr_queue *q = queue_of(queue);

	watched[queue].messages = q != NULL ? mr_queue_depth(q) : 0;
	watched[queue].bytes = q != NULL ? q->body_bytes : 0;
}

void watch_grown(unsigned queue)
{
	may_have(queue);
}

static const struct mrf_queue_options *holds(unsigned i)
{
	return &model_queues[i].holds;
}

static bool has_room(unsigned i, uint64_t messages, uint64_t bytes)
{
	return messages < holds(i)->messages_max &&
	       (holds(i)->bytes_max == 0 || bytes < holds(i)->bytes_max);
}

static uint64_t clients_so_far(void)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		open += bus.sessions[i].open;
	return bus.generation + open;
}

/* The queue was full by messages before this push. */
static void check_beyond(unsigned i, const struct mr_queue *queue, bool late)
{
	struct watched *w = &watched[i];
	uint64_t depth = mr_queue_depth(queue), max = holds(i)->messages_max, clients;

	if (!w->full) {
		w->full = true;
		w->base = max + max / WINDOW_PART + 1;
		w->base = depth > w->base ? depth : w->base;
		w->clients = bus.generation;
	}
	clients = clients_so_far() - w->clients;
	if (depth > w->base + clients * (BEYOND_MAX + LATE_MAX * late))
		world_fail("%s has %" PRIu64 " messages, and its limit is %" PRIu64, queue->name,
			depth, max);
}

void watch_taken(unsigned queue, bool late)
{
	const struct mr_queue *q = queue_of(queue);

	if (q == NULL)
		world_fail("a queue that is not there took a push");
	if (holds(queue)->when_full == MRF_QUEUE_FULL_WAIT &&
		mr_queue_depth(q) > holds(queue)->messages_max)
		check_beyond(queue, q, late);
	else
		watched[queue].full = false;
}

void watch_published(unsigned queue)
{
	struct watched *w = &watched[queue];

	w->base += w->full;
	/* The publish was accepted before. */
	if (holds(queue)->when_full < MRF_QUEUE_FULL_DROP_OLDEST)
		may_have(queue);
	w->accepted = queue_of(queue)->accepted;
	w->number = queue_of(queue)->number;
}

/* Accepted messages are within the limits that hold now. */
static void check_accepted(unsigned i, const struct mr_queue *queue)
{
	struct watched *w = &watched[i];
	uint64_t depth = mr_queue_depth(queue);

	bool accepted = queue->number == w->number && queue->accepted != w->accepted &&
			holds(i)->when_full < MRF_QUEUE_FULL_DROP_OLDEST;

	if (accepted && depth > queue->withheld_count + holds(i)->messages_max)
		world_fail("%s accepted a push: it has %" PRIu64 " messages, %" PRIu64
			   " of them not accepted, and its limit is %" PRIu64,
			queue->name, depth, queue->withheld_count, holds(i)->messages_max);
	/* The bodies of pushes that are not accepted yet count, too. */
	if (accepted && depth > 1 && queue->withheld_count == 0 && holds(i)->bytes_max != 0 &&
		queue->body_bytes > holds(i)->bytes_max)
		world_fail("%s accepted a push: it has %" PRIu64
			   " bytes, and its limit is %" PRIu64,
			queue->name, queue->body_bytes, holds(i)->bytes_max);
	w->number = queue->number;
	w->accepted = queue->accepted;
}

/* Fails if `waits` is true for long; `since_ms` remembers since when. */
static void check_soon(
	const struct mr_queue *queue, bool waits, uint64_t *since_ms, const char *what)
{
	uint64_t now_ms = bus_queues_ms();

	if (!waits || *since_ms == 0)
		*since_ms = waits ? now_ms : 0;
	if (waits && now_ms > *since_ms + SOON_MS)
		world_fail("%s: %s", queue->name, what);
}

static bool has_too_old(unsigned i, const struct mr_queue *queue)
{
	uint32_t max = holds(i)->age_max_ms;

	for (unsigned priority = 0; max != 0 && priority < mr_queue_ranks(queue); priority++) {
		const struct mr_queue_entry *e = mr_queue_oldest(queue, priority);

		if (e != NULL && (uint32_t)bus_queues_ms() - e->born_ms > max)
			return true;
	}
	return false;
}

/* A message that has left the queue takes up no room in it. */
static void check_depth(unsigned i, const struct mr_queue *queue)
{
	uint64_t depth = mr_queue_depth(queue), live;

	if (!model_queues[i].exactly_once || !bus.store_is_large || model_letters_wait(i) ||
		bus_queues_ms() < watched[i].counted_ms + COUNT_MS)
		return;
	live = model_live(i);
	if (depth <= live) {
		watched[i].counted_ms = bus_queues_ms();
		watched[i].excess_ms = 0;
	} else if (watched[i].excess_ms == 0) {
		watched[i].excess_ms = bus_queues_ms(); /* messages end in the tick that comes */
	} else if (bus_queues_ms() > watched[i].excess_ms + END_LATE_MS) {
		world_fail("%s has %" PRIu64 " messages, and %" PRIu64 " at most are not settled",
			model_queues[i].name, depth, live);
	}
}

/* Dead letters wait in their queue while the place that it has named for them is full. */
static bool letters_have_room(const struct mr_queue *queue)
{
	return queue->dead_to == NULL || !mr_push_is_full(queue->dead_to, 1);
}

/* A queue that does not wait never has more than its limits. */
static void check_exact(unsigned i, const struct mr_queue *queue)
{
	struct watched *w = &watched[i];
	uint64_t depth = mr_queue_depth(queue), max = holds(i)->messages_max;
	uint64_t bytes = queue->body_bytes, bytes_max = holds(i)->bytes_max;
	bool over = depth > max || (bytes_max != 0 && bytes > bytes_max);

	if (holds(i)->when_full == MRF_QUEUE_FULL_WAIT) {
		may_have(i);
		return;
	}
	if (depth > max && depth > w->messages)
		world_fail("%s has %" PRIu64 " messages, and its exact limit is %" PRIu64,
			queue->name, depth, max);
	if (bytes_max != 0 && bytes > bytes_max && bytes > w->bytes)
		world_fail("%s has %" PRIu64 " bytes, and its exact limit is %" PRIu64, queue->name,
			bytes, bytes_max);
	w->messages = depth < w->messages ? depth : w->messages;
	w->bytes = bytes < w->bytes ? bytes : w->bytes;
	check_soon(queue,
		over && holds(i)->when_full >= MRF_QUEUE_FULL_DROP_OLDEST &&
			queue->ready_count > 0 && bus.store_is_large && letters_have_room(queue),
		&w->over_ms, "it is above its limits, and old messages do not leave");
}

static void watch(unsigned i)
{
	const struct mr_queue *queue = queue_of(i);
	uint64_t depth;

	if (queue == NULL)
		return;
	depth = mr_queue_depth(queue);
	check_exact(i, queue);
	check_accepted(i, queue);
	check_soon(queue,
		queue->withheld_count > 0 &&
			has_room(i, depth - queue->withheld_count, queue->body_bytes),
		&watched[i].withheld_ms, "it has room, and pushes wait");
	check_soon(queue, has_too_old(i, queue), &watched[i].old_ms,
		"it has a message that is too old");
	if (queue->ready_count > 0 && queue->heap_count > 0 && !queue->paused && !queue->active &&
		holds(i)->policy != MRF_QUEUE_POLICY_KEY_SHARED)
		world_fail("%s: %" PRIu64 " messages and %u consumers are ready, and wait",
			queue->name, queue->ready_count, queue->heap_count);
}

/* True if keys that may go on must be delivered by now: a consumer has room, and the others have
 * taken nothing for long. A dead letter that waits for room holds its key. */
static bool keys_go_on(unsigned i, const struct mr_queue *queue)
{
	bool room = false;

	if (queue->paused || model_letters_wait(i) ||
		holds(i)->policy != MRF_QUEUE_POLICY_KEY_SHARED ||
		holds(i)->single_active == MRF_SINGLE_ACTIVE_YES || !bus.store_is_large)
		return false;
	for (uint32_t n = 0; n < queue->consumers_count; n++) {
		const struct mr_queue_consumer *c = queue->consumers[n];

		room |= c->ready;
		if (!c->ready && (c->blocked || model_took_lately(c->session)))
			return false;
	}
	return room;
}

void watch_depths(void)
{
	for (unsigned i = 0; i < model_queues_count; i++) {
		const struct mr_queue *queue = queue_of(i);

		if (queue == NULL || !model_queues[i].exactly_once)
			continue;
		check_depth(i, queue);
		model_keys_watch(i, keys_go_on(i, queue));
	}
}

void watch_all(void)
{
	for (unsigned i = 0; i < model_queues_count; i++)
		watch(i);
}
