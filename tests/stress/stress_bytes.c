/* SPDX-License-Identifier: Apache-2.0 */
/* stress_bytes: a whole channel under three threads. One pushes records up, the worker copies them
 * down, the third checks number, length and every byte of each arrival.
 *
 * Both ways of sleeping are used. The worker's flag is in its page, and its doorbell is polled
 * edge-triggered and never read. The receiver's flag is in the ring, and its doorbell is a socket.
 * Full rings wait for room with wants_bell. Positions wrap past 2^64 within the first megabyte. Now
 * and then a producer waits until the other side sleeps, so that sleeping and waking surely happen.
 */
#include <string.h>
#include <sys/epoll.h>

#include "lib/channel/channel.h"
#include "tests/stress/stress.h"

#define NEAR_WRAP   (UINT64_MAX - (1u << 20) + 1)
#define STILL_EVERY 4096u

struct record {
	uint64_t number;
	uint32_t bytes; /* bytes of the record */
	uint32_t zero;
};

struct stress {
	struct mr_channel channel;
	struct mr_worker_page page;
	struct mr_bytes_producer up_in, down_in;
	struct mr_bytes_consumer up, down;
	uint64_t records;
	/* Each thread counts its own; read after the threads have ended. */
	uint64_t worker_sleeps, receiver_sleeps, waits_for_room;
};

/* Mostly small, sometimes as large as messages get. */
static uint32_t record_bytes(uint64_t number)
{
	uint64_t r = stress_number(number);

	if (r % 512 == 0)
		return (uint32_t)(sizeof(struct record) + (r >> 32) % 64000);
	return (uint32_t)(sizeof(struct record) + (r >> 32) % 200);
}

static void fill(uint8_t *to, uint64_t number, uint32_t bytes)
{
	struct record r = {.number = number, .bytes = bytes};

	memcpy(to, &r, sizeof(r));
	memset(to + sizeof(r), (int)(uint8_t)(number * 31), bytes - sizeof(r));
}

static void check(const uint8_t *at, size_t ready, uint64_t number)
{
	struct record r;

	stress_expect(ready >= sizeof(r), "record %ju: %zu bytes ready", (uintmax_t)number, ready);
	memcpy(&r, at, sizeof(r));
	stress_expect(r.number == number && r.bytes == record_bytes(number) && r.bytes <= ready,
		"record %ju came as %ju with %u bytes, %zu ready", (uintmax_t)number,
		(uintmax_t)r.number, r.bytes, ready);
	for (uint32_t i = sizeof(r); i < r.bytes; i++)
		stress_expect(at[i] == (uint8_t)(number * 31), "record %ju: byte %u is wrong",
			(uintmax_t)number, i);
}

static void publish_up(struct stress *s)
{
	/* [bytes.sleep] The page is the worker's: it clears the flag itself. */
	if (mr_bytes_publish(&s->up_in)) /* [bytes.sleep] */
		mr_bell_ring(s->channel.worker_bell_fd);
}

/* Waits until the worker sleeps, and the receiver too if `both`: with nothing in flight it surely
 * will. */
static void hold_still(struct stress *s, bool both)
{
	const _Atomic uint32_t *receiver = &s->channel.down_shared->asleep;

	publish_up(s);
	while (atomic_load_explicit(&s->page.asleep, memory_order_relaxed) == 0 ||
		(both && atomic_load_explicit(receiver, memory_order_relaxed) == 0))
		sched_yield();
}

static void *push_up(void *context)
{
	struct stress *s = context;

	for (uint64_t n = 0; n < s->records; n++) {
		uint32_t bytes = record_bytes(n);
		uint8_t *to;

		while ((to = mr_bytes_claim(&s->up_in, bytes)) == NULL) {
			publish_up(s);
			sched_yield();
		}
		fill(to, n, bytes);
		mr_bytes_push(&s->up_in, bytes);
		if (stress_number(n) >> 58 == 0)
			publish_up(s);
		if (n % STILL_EVERY == 0)
			hold_still(s, n == 0);
	}
	publish_up(s);
	return NULL;
}

static void publish_down(struct stress *s)
{
	if (!mr_bytes_publish(&s->down_in)) /* [bytes.sleep] */
		return;
	atomic_store_explicit(&s->channel.down_shared->asleep, 0, memory_order_relaxed);
	mr_peer_bell_ring(s->channel.peer_bell_fd);
}

/* Sleeps without limit while there is nothing to read; only for a while if there is no room. */
static void worker_sleep(struct stress *s, int epoll_fd, bool for_room)
{
	struct epoll_event e;

	mr_bytes_want_bell(&s->down_in, for_room);
	atomic_store_explicit(&s->page.asleep, 1, memory_order_seq_cst); /* [bytes.sleep] */
	if (for_room) {
		s->waits_for_room++;
		(void)epoll_wait(epoll_fd, &e, 1, 1);
	} else if (mr_bytes_empty(&s->up)) {
		s->worker_sleeps++;
		(void)epoll_wait(epoll_fd, &e, 1, -1);
	}
	atomic_store_explicit(&s->page.asleep, 0, memory_order_relaxed);
	mr_bytes_want_bell(&s->down_in, false);
}

/* Copies ready records until there are none, there is no room, or the burst is full. */
static bool copy_burst(struct stress *s, size_t ready, uint64_t *next)
{
	for (unsigned burst = 0; ready > 0 && burst < 32; burst++) {
		struct record r;
		void *to;

		memcpy(&r, mr_bytes_peek(&s->up), sizeof(r));
		stress_expect(r.number == *next && mr_align_up(r.bytes, 8) <= ready,
			"worker: record %ju came as %ju", (uintmax_t)*next, (uintmax_t)r.number);
		to = mr_bytes_claim(&s->down_in, r.bytes);
		if (to == NULL)
			return false;
		memcpy(to, mr_bytes_peek(&s->up), r.bytes);
		mr_bytes_push(&s->down_in, r.bytes);
		mr_bytes_skip(&s->up, r.bytes);
		ready -= mr_align_up(r.bytes, 8);
		++*next;
	}
	return true;
}

static void *work(void *context)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct stress *s = context;
	uint64_t next = 0;

	stress_expect(
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->channel.worker_bell_fd, &e) == 0, "no epoll");
	while (next < s->records) {
		size_t ready = mr_bytes_readable(&s->up);
		bool room;

		stress_expect(ready != MR_BYTES_CORRUPT, "worker: corrupt ring");
		if (ready == 0) {
			worker_sleep(s, epoll_fd, false);
			continue;
		}
		room = copy_burst(s, ready, &next);
		(void)mr_bytes_release(&s->up);
		publish_down(s);
		if (!room)
			worker_sleep(s, epoll_fd, true);
	}
	close(epoll_fd);
	return NULL;
}

static void receiver_sleep(struct stress *s)
{
	if (!mr_bytes_sleep(&s->down)) /* [bytes.sleep] */
		return;
	s->receiver_sleeps++;
	stress_wait(s->channel.peer_bell_far_fd, -1);
	(void)mr_bell_clear(s->channel.peer_bell_far_fd);
	mr_bytes_wake(&s->down);
}

static void *receive(void *context)
{
	struct stress *s = context;

	for (uint64_t n = 0; n < s->records;) {
		size_t ready = mr_bytes_readable(&s->down);

		stress_expect(ready != MR_BYTES_CORRUPT, "receiver: corrupt ring");
		if (ready == 0)
			receiver_sleep(s);
		while (ready > 0) {
			check(mr_bytes_peek(&s->down), ready, n);
			mr_bytes_skip(&s->down, record_bytes(n));
			ready -= mr_align_up(record_bytes(n++), 8);
			/* Sometimes keeps the records that it has read, so that the ring fills. */
			if (stress_number(n) >> 60 == 0 && mr_bytes_release(&s->down))
				mr_bell_ring(s->channel.worker_bell_fd);
			if (stress_number(n) >> 53 == 0)
				for (unsigned i = 0; i < 64; i++)
					sched_yield();
		}
		if (mr_bytes_release(&s->down))
			mr_bell_ring(s->channel.worker_bell_fd);
	}
	return NULL;
}

static void open_near_wrap(struct stress *s)
{
	stress_expect(mr_channel_new(&s->channel, "stress", MR_CHANNEL_RING_BYTES_MIN,
			      MR_CHANNEL_RING_BYTES_MIN) == 0,
		"no channel");
	atomic_store(&s->channel.up_shared->tail, NEAR_WRAP);
	atomic_store(&s->channel.up_shared->head, NEAR_WRAP);
	atomic_store(&s->channel.down_shared->tail, NEAR_WRAP);
	atomic_store(&s->channel.down_shared->head, NEAR_WRAP);
	mr_channel_worker_side(&s->channel, &s->up, &s->down_in);
	mr_channel_peer_side(&s->channel, &s->page, &s->up_in, &s->down);
}

int main(int argc, char **argv)
{
	static struct stress s;
	pthread_t threads[3];

	s.records = stress_begin(argc, argv, 1500000);
	open_near_wrap(&s);
	threads[0] = stress_start(receive, &s);
	threads[1] = stress_start(work, &s);
	threads[2] = stress_start(push_up, &s);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("%ju records; worker slept %ju times and waited %ju times for room, receiver slept "
	       "%ju times\n",
		(uintmax_t)s.records, (uintmax_t)s.worker_sleeps, (uintmax_t)s.waits_for_room,
		(uintmax_t)s.receiver_sleeps);
	stress_expect(s.worker_sleeps > 0 && s.receiver_sleeps > 0, "sleeping was not tried");
	stress_expect(atomic_load(&s.channel.up_shared->tail) < NEAR_WRAP, "no wrap was tried");
	mr_channel_close(&s.channel);
	return 0;
}
