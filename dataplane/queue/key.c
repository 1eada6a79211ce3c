/* SPDX-License-Identifier: Apache-2.0 */
/* key: the records of the keys of a queue, and the choice of the next entry. */
#include "dataplane/queue/key.h"
#include "dataplane/queue/dead.h"

#include <errno.h>

#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

#define RETRY_MS 1000u
/* An end is as much work as this many steps of a wheel. */
#define END_STEPS 4u
/* Freeing a purged record with its entry: each touches a few lines that no cache has. */
#define FREE_STEPS 4u

static unsigned level_of(struct mr_queue_entry *e)
{
	static const uint8_t levels[] = {[MRF_PRIORITY_NORMAL] = MR_LEVEL_NORMAL,
		[MRF_PRIORITY_HIGH] = MR_LEVEL_HIGH,
		[MRF_PRIORITY_LOW] = MR_LEVEL_LOW};

	return mr_likely(e->priority != MR_ENTRY_LEVEL) ? levels[e->priority]
							: mr_entry_time(e)->level - 1u;
}

static inline uint32_t ref_of(const struct mr_queue_keys *keys, const void *chunk)
{
	return (uint32_t)((uint64_t)((const uint8_t *)chunk - keys->wheel.base) / 16) + 1;
}

int mr_keys_new(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_keys *keys;

	if (mr_key_table_new(q) != 0)
		return -ENOMEM;
	keys = mr_slab_alloc(q->store, (uint32_t)sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	memset(keys, 0, sizeof(*keys));
	keys->look_ms = UINT64_MAX;
	mr_key_link_init(&keys->held);
	mr_key_link_init(&keys->loose);
	mr_wheel_init(&keys->wheel, mr_slab_base(q->store), MR_TIME_OFFSET, q->now_ms);
	queue->keys = keys;
	queue->takes_key = true;
	if (queue->options.in_flight_per_key == 0)
		queue->options.in_flight_per_key = 1;
	mr_key_from_set(queue, queue->options.key_from);
	return 0;
}

void mr_keys_free(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->keys == NULL)
		return;
	mr_key_from_set(queue, (struct mrf_string){0});
	mr_slab_release(q->store, queue->keys, (uint32_t)sizeof(*queue->keys));
	queue->keys = NULL;
	queue->takes_key = false;
}

/* Returns the memory of a record; NULL: there is none. Spare ones are those that were used last:
 * their lines are in the cache. */
static inline struct mr_queue_key *record_alloc(struct mr_queues *q)
{
	struct mr_queue_key *k = q->key_spare;

	if (mr_likely(k != NULL)) {
		q->key_spare = (struct mr_queue_key *)k->link.next;
		q->key_spares--;
		return k;
	}

	if (mr_likely(!mr_queue_full(q)))
		k = mr_slab_alloc(q->store, (uint32_t)sizeof(*k));
	if (mr_unlikely(k == NULL))
		mr_count(q->c.stats->queue_keys_refused, 1);
	return k;
}

/* Makes the record of a key, without entries. NULL: no memory. */
static struct mr_queue_key *record_new(
	struct mr_queues *q, struct mr_queue *queue, uint64_t key, uint64_t hash)
{
	struct mr_queue_key *k = record_alloc(q);

	if (mr_unlikely(k == NULL))
		return NULL;
	*k = (struct mr_queue_key){.key = key, .hash = hash, .epoch = queue->keys->epoch};
	mr_key_table_add(q, mr_key_table_bucket_of(q->key_table, hash), k, ref_of(queue->keys, k));
	queue->keys->count++;
	return k;
}

static inline void record_free(struct mr_queues *q, struct mr_queue_key *k)
{
	mr_key_table_remove(q, k);
	if (mr_unlikely(q->key_spares == MR_KEY_SPARES_MAX)) {
		mr_slab_release(q->store, k, (uint32_t)sizeof(*k));
		return;
	}
	k->link.next = (struct mr_key_link *)q->key_spare;
	q->key_spare = k;
	q->key_spares++;
}

/* Spares may each keep a slab of the store from being free, so they are not kept for long. */
void mr_keys_free_spares(struct mr_queues *q)
{
	struct mr_queue_key *k;

	while ((k = q->key_spare) != NULL) {
		q->key_spare = (struct mr_queue_key *)k->link.next;
		mr_slab_release(q->store, k, (uint32_t)sizeof(*k));
	}
	q->key_spares = 0;
}

/* Hands the ready entries of a record over to be freed. */
static void discard_entries(struct mr_queues *q, struct mr_queue_key *k)
{
	mr_returned_merge(q, &q->garbage_tree, mr_entry_of_ref(q, k->returned));
	if (k->head != 0) {
		mr_entry_of_ref(q, k->tail)->next = q->garbage;
		q->garbage = mr_entry_of_ref(q, k->head);
	}
	k->head = k->tail = k->returned = 0;
	k->ready_count = 0;
}

/* Makes a record that was purged one of the queue again: it has unsettled entries still, or a new
 * one. */
static void __attribute__((noinline))
renew(struct mr_queues *q, struct mr_queue_keys *keys, struct mr_queue_key *k)
{
	discard_entries(q, k);
	if (k->state != MR_KEY_IDLE)
		mr_key_unlink(&k->link);
	k->state = MR_KEY_IDLE;
	k->epoch = keys->epoch;
	keys->count += k->out_count == 0; /* counted else */
}

static inline struct mr_queue_key *key_of(
	struct mr_queues *q, struct mr_queue_keys *keys, struct mr_queue_entry *e)
{
	struct mr_queue_key *k = mr_key_at_ref(keys, mr_entry_time(e)->key_at);

	if (mr_unlikely(k->epoch != keys->epoch))
		renew(q, keys, k);
	return k;
}

static void __attribute__((noinline)) count_moved(struct mr_queues *q, struct mr_queue_keys *keys)
{
	keys->moved++;
	mr_count(q->c.stats->queue_keys_moved, 1);
}

/* Appends a key to the list of a consumer. */
static inline void enlist(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k,
	struct mr_queue_consumer *c)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_key_link *list;
	uint32_t ref;

	if (mr_unlikely(c == NULL)) {
		mr_key_link_behind(&keys->loose, &k->link);
		return;
	}
	ref = ref_of(keys, c);
	list = &c->keys->lists[k->level];
	if (k->consumer != ref) {
		if (mr_unlikely(k->consumer != 0))
			count_moved(q, keys);
		k->consumer = ref;
	}
	if (mr_key_link_empty(list) &&
		((c->keys->used & ~(1u << k->level)) == 0 || !mr_key_waits_for(c)))
		c->keys->took_ms = q->now_ms;
	mr_key_link_behind(list, &k->link);
	c->keys->used |= 1u << k->level;
	if (mr_likely(c->ready))
		keys->can[c->index / 64] |= 1ull << (c->index % 64);
	else
		mr_key_look_later(q, queue);
}

/* Returns the consumer that the next entry of the key goes to. */
static inline struct mr_queue_consumer *consumer_for(
	const struct mr_queue *queue, const struct mr_queue_key *k)
{
	return k->out_count > 0 ? mr_key_at_ref(queue->keys, k->consumer) : mr_key_home(queue, k);
}

static inline bool may_go_on(const struct mr_queue *queue, const struct mr_queue_key *k)
{
	return k->delayed_count == 0 && k->out_count < queue->options.in_flight_per_key;
}

static inline void leave_state(struct mr_queue_keys *keys, struct mr_queue_key *k)
{
	if (k->state != MR_KEY_IDLE)
		mr_key_unlink(&k->link);
	keys->held_count -= k->state == MR_KEY_HELD;
	k->state = MR_KEY_IDLE;
}

static inline void hold(struct mr_queues *q, struct mr_queue_keys *keys, struct mr_queue_key *k)
{
	k->state = MR_KEY_HELD;
	mr_key_link_behind(&keys->held, &k->link);
	keys->held_count++;
	mr_count(q->c.stats->queue_keys_held, 1);
}

/* Puts a key in no list where it belongs: behind the others of a consumer if it may go on. */
static inline void find_state(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k,
	struct mr_queue_entry *oldest)
{
	if (oldest == NULL)
		return;
	if (!may_go_on(queue, k)) {
		hold(q, queue->keys, k);
		return;
	}
	k->state = MR_KEY_WAITS;
	k->level = level_of(oldest) & 15;
	enlist(q, queue, k, consumer_for(queue, k));
}

/* Lists a key that may go on, although something of it is unsettled. */
static void __attribute__((noinline))
list_again(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k)
{
	k->state = MR_KEY_IDLE;
	find_state(q, queue, k, mr_key_oldest(queue->keys, k));
}

/* True if a listed key stands where it belongs. */
static bool is_in_place(
	const struct mr_queue *queue, const struct mr_queue_key *k, struct mr_queue_entry *e)
{
	const struct mr_queue_consumer *c = consumer_for(queue, k);

	return level_of(e) == k->level && c != NULL && k->consumer == ref_of(queue->keys, c);
}

/* Decides again where the key stands, because something of it has changed; frees its record if it
 * is empty. */
static void __attribute__((noinline))
update(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_entry *oldest = mr_key_oldest(keys, k);

	if (k->state == MR_KEY_WAITS && oldest != NULL && may_go_on(queue, k) &&
		is_in_place(queue, k, oldest))
		return;
	leave_state(keys, k);
	if (oldest == NULL && k->out_count == 0) {
		keys->count--;
		record_free(q, k);
	} else {
		find_state(q, queue, k, oldest);
	}
}

/* Returns the record of a key, and makes it if there is none. NULL: no memory. */
static inline struct mr_queue_key *record_of(
	struct mr_queues *q, struct mr_queue *queue, uint64_t key)
{
	uint64_t hash = mr_key_hash(q, queue, key);
	struct mr_queue_key *k = mr_key_table_find(q, hash);

	if (k == NULL)
		return record_new(q, queue, key, hash);
	if (mr_unlikely(k->epoch != queue->keys->epoch))
		renew(q, queue->keys, k);
	return k;
}

static inline bool attach(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k;

	if (t->key_at != 0)
		return true;
	k = record_of(q, queue, t->key);
	if (mr_unlikely(k == NULL))
		return false;
	t->key_at = ref_of(queue->keys, k);
	queue->keys->out_count += k->out_count++ == 0;
	return true;
}

bool mr_key_attach(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	return attach(q, queue, e);
}

void mr_key_charge(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_key_has(queue, e))
		mr_entry_charge(q, e, (uint32_t)sizeof(struct mr_queue_key));
}

bool mr_key_admit(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (!mr_key_has(queue, e))
		return true;
	mr_key_charge(q, queue, e);
	return mr_entry_time(e)->place == MR_TIME_WAIT || attach(q, queue, e);
}

/* Puts a ready entry into the wheel, if it has a time to live or the queue an age limit. */
static void watch_end(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	uint64_t age_left = mr_queue_age_left(q, queue, e), ttl_left = mr_ttl_left(q, e);
	uint64_t left_ms = age_left < ttl_left ? age_left : ttl_left;
	struct mr_wheel *w = &queue->keys->wheel;

	if (mr_likely(left_ms == UINT64_MAX))
		return;
	mr_wheel_at(w, q->now_ms);
	mr_wheel_add(w, &mr_entry_time(e)->node, q->now_ms + left_ms);
	mr_queue_timer_set(&q->timers, &queue->timer, mr_wheel_due_ms(w));
}

static inline void append(
	const struct mr_queue_keys *keys, struct mr_queue_key *k, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_entry *last = mr_key_at_ref(keys, k->tail);
	uint32_t ref = ref_of(keys, e);

	t->place = MR_TIME_KEY_LIST;
	t->up = k->tail;
	e->next = NULL;
	if (last == NULL)
		k->head = ref;
	else
		last->next = e;
	k->tail = ref;
}

static void insert(struct mr_queues *q, struct mr_queue_key *k, struct mr_queue_entry *e)
{
	mr_entry_time(e)->place = MR_TIME_KEY_HEAP;
	mr_entry_time(e)->up = 0;
	e->tree.left = 0;
	e->tree.right = 0;
	k->returned = mr_entry_ref(q, mr_returned_join(q, mr_entry_of_ref(q, k->returned), e));
}

bool mr_key_put(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, bool came_back)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_key *k;

	if (mr_unlikely(mr_entry_time(e)->key_at == 0) && !mr_key_attach(q, queue, e))
		return mr_delivery_delay(q, queue, e, RETRY_MS);
	k = key_of(q, keys, e);
	if (mr_unlikely(came_back))
		insert(q, k, e);
	else
		append(keys, k, e);
	watch_end(q, queue, e);
	keys->out_count -= --k->out_count == 0;
	k->ready_count++;
	keys->ready_count++;
	queue->ready_count++;
	if (mr_unlikely(e->priority != MRF_PRIORITY_NORMAL))
		queue->ready_of[mr_entry_rank(e)]++;
	queue->apart_count++;
	if (k->ready_count == 1 && k->state == MR_KEY_IDLE)
		find_state(q, queue, k, e);
	else if (came_back || (k->state == MR_KEY_WAITS) != may_go_on(queue, k))
		update(q, queue, k); /* else it is behind others, and changes nothing */
	if (queue->heap_count > 0 && !queue->paused)
		mr_queue_activate(q, queue);
	return true;
}

/* Makes the record of a key with its first entry, which may go at once. False: no memory. */
MR_ALWAYS_INLINE bool push_first(struct mr_queues *q, struct mr_queue *queue,
	struct mr_queue_entry *e, uint32_t *bucket, uint64_t hash)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k = record_alloc(q);
	uint32_t ref = ref_of(keys, e);

	if (mr_unlikely(k == NULL))
		return false;
	*k = (struct mr_queue_key){.key = t->key,
		.hash = hash,
		.head = ref,
		.tail = ref,
		.ready_count = 1,
		.state = MR_KEY_WAITS,
		.level = level_of(e) & 15,
		.epoch = keys->epoch};
	ref = ref_of(keys, k);
	mr_key_table_add(q, bucket, k, ref);
	keys->count++;
	t->key_at = ref;
	t->place = MR_TIME_KEY_LIST;
	enlist(q, queue, k, mr_key_home(queue, k));
	return true;
}

/* Puts an entry behind those of its key. */
static void push_behind(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	struct mr_queue_key *k)
{
	struct mr_queue_keys *keys = queue->keys;

	if (mr_unlikely(k->epoch != keys->epoch))
		renew(q, keys, k);
	mr_entry_time(e)->key_at = ref_of(keys, k);
	append(keys, k, e);
	if (k->ready_count++ == 0)
		find_state(q, queue, k, e);
	else if (mr_unlikely((k->state == MR_KEY_WAITS) != may_go_on(queue, k)))
		update(q, queue, k);
}

bool mr_key_push(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	uint64_t hash, uint32_t *bucket)
{
	struct mr_queue_key *k = mr_key_table_find_at(q->key_table, bucket, hash);

	if (mr_unlikely((e->flags & MR_ENTRY_OWNED) != 0))
		mr_entry_charge(q, e, (uint32_t)sizeof(*k));
	e->born_ms = (uint32_t)q->now_ms;
	e->order = ++q->order;
	if (k != NULL)
		push_behind(q, queue, e, k);
	else if (mr_unlikely(!push_first(q, queue, e, bucket, hash)))
		return false;
	if (mr_unlikely(queue->options.age_max_ms != 0))
		watch_end(q, queue, e);
	queue->keys->ready_count++;
	queue->ready_count++;
	if (mr_unlikely(e->priority != MRF_PRIORITY_NORMAL))
		queue->ready_of[mr_entry_rank(e)]++;
	queue->apart_count++;
	if (!queue->active && queue->heap_count > 0 && !queue->paused)
		mr_queue_activate(q, queue);
	return true;
}

/* The first of the list may still name an entry before it, which has left. */
static void unlink_listed(
	const struct mr_queue_keys *keys, struct mr_queue_key *k, struct mr_queue_entry *e)
{
	uint32_t up = mr_entry_time(e)->up;

	if (k->head == ref_of(keys, e)) {
		k->head = e->next == NULL ? 0 : ref_of(keys, e->next);
		k->tail = e->next == NULL ? 0 : k->tail;
		return;
	}
	((struct mr_queue_entry *)mr_key_at_ref(keys, up))->next = e->next;
	if (e->next == NULL)
		k->tail = up;
	else
		mr_entry_time(e->next)->up = up;
}

static void remove_returned(struct mr_queues *q, struct mr_queue_key *k, struct mr_queue_entry *e)
{
	struct mr_queue_entry *root = mr_entry_of_ref(q, k->returned);

	mr_returned_remove(q, &root, e);
	k->returned = root == NULL ? 0 : mr_entry_ref(q, root);
}

/* Counts an entry that was taken out of the list or heap of its key, and finds the key's state. */
static inline void taken(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k)
{
	struct mr_queue_keys *keys = queue->keys;

	k->ready_count--;
	keys->ready_count--;
	if (k->out_count++ == 0) {
		k->since_ms = (uint32_t)q->now_ms;
		keys->out_count++;
	}
	if ((k->returned | k->head) == 0)
		k->state = MR_KEY_IDLE;
	else if (mr_likely(!may_go_on(queue, k)))
		hold(q, keys, k);
	else
		list_again(q, queue, k);
}

/* Takes an entry that is not the first of a list, or that is in the wheel. */
static void __attribute__((noinline))
take_rare(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k = key_of(q, keys, e);

	if (t->place == MR_TIME_KEY_LIST)
		unlink_listed(keys, k, e);
	else
		remove_returned(q, k, e);
	t->place = MR_TIME_OUT;
	if (mr_wheel_has(&t->node))
		mr_wheel_remove(&keys->wheel, &t->node);
	leave_state(keys, k);
	taken(q, queue, k);
}

/* Mostly the first of its key's list goes. The one behind it still names it, and need not be
 * touched. */
void mr_key_take(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k = mr_key_at_ref(keys, t->key_at);
	struct mr_queue_entry *next = e->next;

	if (mr_unlikely(t->place != MR_TIME_KEY_LIST || k->head != ref_of(keys, e) ||
			k->state != MR_KEY_WAITS || k->epoch != keys->epoch ||
			mr_wheel_has(&t->node))) {
		take_rare(q, queue, e);
		return;
	}
	mr_prefetch(next == NULL ? (const void *)k : next);
	k->head = next == NULL ? 0 : ref_of(keys, next);
	k->tail = next == NULL ? 0 : k->tail;
	t->place = MR_TIME_OUT;
	mr_key_unlink(&k->link);
	taken(q, queue, k);
}

/* Lists a held key again, because one of its entries has left the queue. */
static void __attribute__((noinline))
go_on(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_key *k)
{
	if (k->ready_count == 0)
		return;
	if (mr_likely(k->state == MR_KEY_HELD && may_go_on(queue, k))) {
		leave_state(queue->keys, k);
		find_state(q, queue, k, mr_key_oldest(queue->keys, k));
	} else {
		update(q, queue, k);
	}
	if (queue->keys->ready_count > 0 && queue->heap_count > 0 && !queue->paused)
		mr_queue_activate(q, queue);
}

void mr_key_leave(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k;

	if (t->key_at == 0)
		return;
	k = mr_key_at_ref(keys, t->key_at);
	if (mr_unlikely(k->epoch != keys->epoch))
		renew(q, keys, k);
	t->key_at = 0;
	keys->out_count -= --k->out_count == 0;
	if ((k->ready_count | k->out_count) != 0) {
		go_on(q, queue, k);
		return;
	}
	keys->count--;
	record_free(q, k);
}

void mr_key_delayed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, int by)
{
	struct mr_queue_key *k;

	if (mr_entry_time(e)->key_at == 0)
		return;
	k = key_of(q, queue->keys, e);
	k->delayed_count = (uint8_t)(k->delayed_count + by);
	if (by > 0) /* the end of a delay is followed by a change of the entry's place */
		update(q, queue, k);
}

void mr_key_run_loose(struct mr_queues *q, struct mr_queue *queue, uint32_t floor)
{
	struct mr_queue_keys *keys = queue->keys;

	while (q->work > floor && mr_keys_are_loose(queue)) {
		struct mr_queue_key *k = (struct mr_queue_key *)keys->loose.next;

		q->work--;
		mr_key_unlink(&k->link);
		enlist(q, queue, k, consumer_for(queue, k));
	}
}

/* Returns the first key of the most urgent list, as its age counts. */
static __attribute__((noinline)) struct mr_queue_key *first_by_age(
	const struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_consumer *c)
{
	struct mr_queue_key *first = NULL;
	unsigned most = 0;

	for (unsigned level = MR_LEVELS; level-- > 0;) {
		struct mr_key_link *list = &c->keys->lists[level];
		struct mr_queue_key *k = (struct mr_queue_key *)list->next;
		unsigned aged;

		if (mr_key_link_empty(list))
			continue;
		aged = mr_level_aged(q, queue, mr_key_oldest(queue->keys, k), level);
		if (first == NULL || aged > most) {
			first = k;
			most = aged;
		}
	}
	return first;
}

/* Returns the next key that waits for the consumer, or NULL. */
static inline struct mr_queue_key *first_of(
	const struct mr_queues *q, const struct mr_queue *queue, struct mr_queue_consumer *c)
{
	if (mr_unlikely(queue->options.aging_ms != 0))
		return first_by_age(q, queue, c);
	while (c->keys->used != 0) {
		unsigned level = 31u - (unsigned)__builtin_clz(c->keys->used);

		if (mr_likely(!mr_key_link_empty(&c->keys->lists[level])))
			return (struct mr_queue_key *)c->keys->lists[level].next;
		c->keys->used &= ~(1u << level);
	}
	return NULL;
}

/* Returns the index of the next consumer with a bit, from the cursor on; MR_QUEUE_NONE: none has
 * one. */
static __attribute__((noinline)) uint32_t next_of_many(const struct mr_queue *queue)
{
	const struct mr_queue_keys *keys = queue->keys;
	uint32_t words = (queue->consumers_count + 63) / 64;
	uint32_t from = keys->cursor < queue->consumers_count ? keys->cursor : 0;
	uint32_t word = from / 64;
	uint64_t bits = keys->can[word] & (~0ull << (from % 64));

	for (uint32_t i = 0; bits == 0 && i < words; i++) {
		word = word + 1 == words ? 0 : word + 1;
		bits = keys->can[word];
	}
	return bits == 0 ? MR_QUEUE_NONE : word * 64 + (uint32_t)__builtin_ctzll(bits);
}

static inline uint32_t next_that_can(const struct mr_queue *queue)
{
	return mr_unlikely(queue->consumers_count > MR_KEY_FEW) ? next_of_many(queue)
								: mr_key_next_of_few(queue->keys);
}

/* Returns the next key that may go on at a consumer with credit, or NULL. */
static inline struct mr_queue_key *next_key(
	const struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer **consumer)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_key *k;
	uint32_t at;

	while ((at = next_that_can(queue)) != MR_QUEUE_NONE) {
		*consumer = queue->consumers[at];
		k = first_of(q, queue, *consumer);
		if (mr_likely(k != NULL)) {
			mr_key_fetch_next(keys, *consumer, k);
			return k;
		}
		keys->can[at / 64] &= ~(1ull << (at % 64));
	}
	return NULL;
}

/* True if the entry without a key goes before the key: by priority, else in turn; with priorities
 * that age, in turn. */
static bool plain_is_first(
	struct mr_queue *queue, struct mr_queue_entry *plain, const struct mr_queue_key *k)
{
	struct mr_queue_keys *keys = queue->keys;
	unsigned level = level_of(plain);

	if (level != k->level && queue->options.aging_ms == 0)
		return level > k->level;
	keys->plain_turn = !keys->plain_turn;
	return keys->plain_turn;
}

/* Returns the entry without a key that goes before the key, or NULL; and its consumer. */
static __attribute__((noinline)) struct mr_queue_entry *next_plain(struct mr_queues *q,
	struct mr_queue *queue, const struct mr_queue_key *k, struct mr_queue_consumer **consumer)
{
	struct mr_queue_consumer *c = mr_policy_choose(q, queue);
	struct mr_queue_entry *plain = c != NULL ? mr_queue_next(q, queue) : NULL;

	if (plain == NULL || (k != NULL && !plain_is_first(queue, plain, k)))
		return NULL;
	*consumer = c;
	return plain;
}

struct mr_queue_entry *mr_key_next_rare(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer **consumer)
{
	struct mr_queue_consumer *c = NULL;
	struct mr_queue_key *k = next_key(q, queue, &c);
	struct mr_queue_entry *plain;

	if (mr_unlikely(queue->ready_count > queue->keys->ready_count)) {
		plain = next_plain(q, queue, k, consumer);
		if (plain != NULL)
			return plain;
	}
	if (k == NULL)
		return NULL;
	*consumer = c;
	queue->keys->cursor = c->index + 1;
	return mr_key_oldest(queue->keys, k);
}

/* An entry of the key is about to be taken that no consumer gets. The last consumer of a key with
 * nothing unsettled may be gone. */
static void forget_consumer(struct mr_queue_key *k)
{
	if (k->out_count == 0)
		k->consumer = 0;
}

/* Ends an entry whose time is over, or watches it again: its age limit has changed. */
static void end_of_time(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	bool over = mr_ttl_left(q, e) == 0;

	if (!over && mr_queue_age_left(q, queue, e) != 0) {
		watch_end(q, queue, e);
		return;
	}
	forget_consumer(key_of(q, queue->keys, e));
	mr_key_take(q, queue, e);
	mr_queue_ready_less(queue, e);
	queue->apart_count--;
	if (over) {
		mr_ttl_end(q, queue, e);
	} else {
		queue->expired++;
		mr_dead_letter(q, queue, e, "expired");
	}
	mr_work(q, END_STEPS);
}

void mr_keys_on_timer(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_wheel_node *n;

	while ((n = mr_wheel_pop(&queue->keys->wheel, q->now_ms, &q->work)) != NULL)
		end_of_time(q, queue, mr_entry_of_node(n));
	if (queue->keys->look_ms <= q->now_ms)
		mr_key_look(q, queue);
}

uint64_t mr_keys_due_ms(const struct mr_queue *queue)
{
	uint64_t due = mr_wheel_due_ms(&queue->keys->wheel);

	return due < queue->keys->look_ms ? due : queue->keys->look_ms;
}

/* Only the lists are handed over. A record is found to be purged by its epoch; one with unsettled
 * entries stays. */
void mr_keys_discard(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_keys *keys = queue->keys;

	keys->epoch++;
	keys->count = keys->out_count;
	keys->ready_count = keys->held_count = 0;
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		for (unsigned level = 0; level < MR_LEVELS; level++)
			mr_key_link_splice(
				&q->key_garbage, &queue->consumers[i]->keys->lists[level]);
	mr_key_link_splice(&q->key_garbage, &keys->held);
	mr_key_link_splice(&q->key_garbage, &keys->loose);
	memset(keys->can, 0, sizeof(keys->can));
	mr_wheel_init(&keys->wheel, mr_slab_base(q->store), MR_TIME_OFFSET, q->now_ms);
}

bool mr_keys_has_garbage(const struct mr_queues *q)
{
	return q->key_table != NULL && !mr_key_link_empty(&q->key_garbage);
}

void mr_keys_free_some(struct mr_queues *q)
{
	while (mr_keys_has_garbage(q) && mr_work_left(q)) {
		struct mr_queue_key *k = (struct mr_queue_key *)q->key_garbage.next;

		mr_work(q, FREE_STEPS);
		discard_entries(q, k);
		mr_key_unlink(&k->link);
		k->state = MR_KEY_IDLE;
		if (k->out_count == 0)
			record_free(q, k);
	}
}
