/* SPDX-License-Identifier: Apache-2.0 */
/* stress_sleep: the moment in which a consumer goes to sleep while its producer pushes.
 *
 * The producer pushes one thing, waits until it has been taken, lingers a few cycles and pushes the
 * next. That is just when the consumer, having found nothing, announces its sleep and looks once
 * more. Nothing follows that would wake the consumer by luck, so one lost wake-up hangs the
 * program. Covers a byte ring with its own flag, one whose consumer has one flag for all its rings,
 * and a ring of descriptors.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "lib/channel/channel.h"
#include "lib/ring/spsc.h"
#include "tests/stress/stress.h"

#define ENTRIES    8u
#define LINGER_MAX 4096u

struct stress {
	struct mr_channel channel;
	struct mr_spsc spsc;
	struct mr_worker_page page;
	struct mr_bytes_producer in, down_in;
	struct mr_bytes_consumer out, down;
	alignas(MR_CACHE_LINE) _Atomic uint64_t taken; /* w: consumer, r: producer */
	int bell_fd;
	uint64_t count, sleeps;
};

struct way {
	const char *name;
	bool (*push)(struct stress *s, uint64_t n); /* true: the consumer must be woken */
	bool (*pop)(struct stress *s, uint64_t *n); /* false: there is nothing */
	/* false: something has arrived; or wakes */
	bool (*may_sleep)(struct stress *s, bool sleep);
};

struct turn {
	struct stress *s;
	const struct way *way;
};

static bool push_bytes(struct stress *s, uint64_t n)
{
	void *to = mr_bytes_claim(&s->in, sizeof(n));

	stress_expect(to != NULL, "no room for one record");
	memcpy(to, &n, sizeof(n));
	mr_bytes_push(&s->in, sizeof(n));
	return mr_bytes_publish(&s->in); /* [bytes.sleep] */
}

static bool pop_bytes(struct stress *s, uint64_t *n)
{
	size_t ready = mr_bytes_readable(&s->out);

	stress_expect(ready == 0 || ready == sizeof(*n), "%zu bytes ready", ready);
	if (ready == 0)
		return false;
	memcpy(n, mr_bytes_peek(&s->out), sizeof(*n));
	mr_bytes_skip(&s->out, sizeof(*n));
	(void)mr_bytes_release(&s->out);
	return true;
}

static bool sleep_by_ring(struct stress *s, bool sleep)
{
	if (sleep)
		return mr_bytes_sleep(&s->out);
	mr_bytes_wake(&s->out);
	return true;
}

static bool push_bytes_to_worker(struct stress *s, uint64_t n)
{
	s->in.asleep = &s->page.asleep;
	return push_bytes(s, n);
}

static bool sleep_by_page(struct stress *s, bool sleep)
{
	if (sleep) {
		atomic_store_explicit(&s->page.asleep, 1, memory_order_seq_cst); /* [bytes.sleep] */
		if (mr_bytes_empty(&s->out))
			return true;
	}
	atomic_store_explicit(&s->page.asleep, 0, memory_order_relaxed);
	return !sleep;
}

static bool push_descriptor(struct stress *s, uint64_t n)
{
	struct mr_descriptor d = {.tag = n};

	stress_expect(mr_spsc_push(&s->spsc, &d, 1) == 1, "no room for one descriptor");
	/* [spsc.sleep] */
	return atomic_load_explicit(&s->page.asleep, memory_order_seq_cst) != 0;
}

static bool pop_descriptor(struct stress *s, uint64_t *n)
{
	struct mr_descriptor d;

	if (mr_spsc_pop(&s->spsc, &d, 1) == 0)
		return false;
	*n = d.tag;
	return true;
}

static bool sleep_by_descriptors(struct stress *s, bool sleep)
{
	if (sleep) {
		atomic_store_explicit(&s->page.asleep, 1, memory_order_seq_cst); /* [spsc.sleep] */
		if (mr_spsc_empty(&s->spsc))
			return true;
	}
	atomic_store_explicit(&s->page.asleep, 0, memory_order_relaxed);
	return !sleep;
}

static const struct way ways[] = {
	{"byte ring, own flag", push_bytes, pop_bytes, sleep_by_ring},
	{"byte ring, flag for all", push_bytes_to_worker, pop_bytes, sleep_by_page},
	{"descriptors", push_descriptor, pop_descriptor, sleep_by_descriptors},
};

/* Waits a few cycles, a different number each time. */
static void linger(uint64_t n)
{
	for (uint64_t delay = stress_number(n) % LINGER_MAX; delay > 0; delay--)
		/* An empty loop would be removed. */
		atomic_signal_fence(memory_order_seq_cst);
}

static void *consume(void *context)
{
	struct turn *t = context;
	struct stress *s = t->s;

	for (uint64_t want = 0; want < s->count;) {
		uint64_t n;

		if (t->way->pop(s, &n)) {
			stress_expect(n == want, "%s: %ju came as %ju", t->way->name,
				(uintmax_t)want, (uintmax_t)n);
			atomic_store_explicit(&s->taken, ++want, memory_order_release);
			continue;
		}
		/* The producer learns only after a while that it was taken. */
		linger(~want);
		if (!t->way->may_sleep(s, true))
			continue;
		s->sleeps++;
		stress_wait(s->bell_fd, -1);
		(void)mr_bell_clear(s->bell_fd);
		t->way->may_sleep(s, false);
	}
	return NULL;
}

static void await_taken(struct stress *s, uint64_t n)
{
	for (unsigned spins = 0; atomic_load_explicit(&s->taken, memory_order_acquire) < n; spins++)
		if (spins > 2000)
			sched_yield();
	linger(n);
}

static void try_way(struct stress *s, const struct way *way)
{
	struct turn t = {.s = s, .way = way};
	pthread_t consumer;

	s->sleeps = 0;
	atomic_store(&s->taken, 0);
	consumer = stress_start(consume, &t);
	for (uint64_t n = 0; n < s->count; n++) {
		if (way->push(s, n))
			mr_bell_ring(s->bell_fd);
		await_taken(s, n + 1);
	}
	pthread_join(consumer, NULL);
	printf("%s: %ju pushes, slept %ju times\n", way->name, (uintmax_t)s->count,
		(uintmax_t)s->sleeps);
}

int main(int argc, char **argv)
{
	static struct stress s;

	s.count = stress_begin(argc, argv, 100000);
	s.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	stress_expect(s.bell_fd >= 0, "no bell");
	stress_expect(mr_channel_new(&s.channel, "stress", MR_CHANNEL_RING_BYTES_MIN,
			      MR_CHANNEL_RING_BYTES_MIN) == 0,
		"no channel");
	stress_expect(mr_spsc_init(&s.spsc, ENTRIES, UINT32_MAX - 1000) == 0, "no ring");
	mr_channel_worker_side(&s.channel, &s.out, &s.down_in);
	mr_bytes_producer_init(&s.in, s.channel.up_shared, s.channel.up_map, s.channel.up_bytes);
	for (size_t i = 0; i < MR_ARRAY_COUNT(ways); i++)
		try_way(&s, &ways[i]);
	mr_spsc_fini(&s.spsc);
	mr_channel_close(&s.channel);
	close(s.bell_fd);
	return 0;
}
