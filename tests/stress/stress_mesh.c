/* SPDX-License-Identifier: Apache-2.0 */
/* stress_mesh: three workers, a ring for each ordered pair, blocks counted by reference.
 *
 * Each worker fills blocks of its own and gives one reference to each other worker, as the mesh
 * does with the buffers of a burst. Receivers check every byte and the order for each sender, and
 * return their reference; a block is filled again only when all have. Workers sleep on an eventfd
 * when they have found nothing, with one flag for all their rings; a lost wake-up would hang them.
 *
 * Ordering  [mesh.block] release of a reference -> acquire by the owner: the readers are done.
 *           [mesh.sleep] tail stored, then asleep loaded, by the pusher, against asleep stored,
 *           then every tail loaded, by the sleeper; all seq_cst.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "lib/ring/spsc.h"
#include "tests/stress/stress.h"

#define WORKERS      3u
#define ENTRIES      16u
#define BLOCKS       24u
#define BLOCK_BYTES  256u
#define STILL_EVERY  2048u
#define POP_MAX      8u
#define EMPTY_ROUNDS 2u

struct block {
	alignas(MR_CACHE_LINE) _Atomic uint32_t references;
	uint8_t data[BLOCK_BYTES];
};

struct worker {
	alignas(MR_CACHE_LINE) _Atomic uint32_t asleep; /* w: this worker, r: the others */
	alignas(MR_CACHE_LINE) uint32_t index;
	int bell_fd;
	struct block blocks[BLOCKS];
	uint64_t sent, sleeps;
	uint64_t received[WORKERS];
};

static struct worker workers[WORKERS];
static struct mr_spsc rings[WORKERS][WORKERS]; /* from, to */
static uint64_t blocks_each;

static uint8_t content(uint32_t from, uint64_t n)
{
	return (uint8_t)(stress_number(n) + from);
}

static bool room_everywhere(const struct worker *w)
{
	for (uint32_t to = 0; to < WORKERS; to++)
		if (to != w->index && mr_spsc_room(&rings[w->index][to], 1) == 0)
			return false;
	return true;
}

static void give(struct worker *w, struct block *b)
{
	struct mr_descriptor d = {
		.buffer = b,
		.bytes = BLOCK_BYTES,
		.source = w->index,
		.tag = w->sent,
	};

	for (uint32_t to = 0; to < WORKERS; to++) {
		if (to == w->index)
			continue;
		stress_expect(mr_spsc_push(&rings[w->index][to], &d, 1) == 1, "room was promised");
		/* [mesh.sleep] */
		if (atomic_load_explicit(&workers[to].asleep, memory_order_seq_cst) != 0) {
			uint64_t one = 1;

			stress_expect(write(workers[to].bell_fd, &one, 8) == 8, "no bell");
		}
	}
}

static bool send_one(struct worker *w)
{
	struct block *b = &w->blocks[w->sent % BLOCKS];

	if (w->sent == blocks_each || !room_everywhere(w))
		return false;
	/* [mesh.block] */
	if (atomic_load_explicit(&b->references, memory_order_acquire) != 0)
		return false;
	memset(b->data, content(w->index, w->sent), sizeof(b->data));
	atomic_store_explicit(&b->references, WORKERS - 1, memory_order_relaxed);
	give(w, b);
	w->sent++;
	return true;
}

static void check(struct worker *w, const struct mr_descriptor *d)
{
	struct block *b = d->buffer;
	uint64_t n = w->received[d->source]++;

	stress_expect(d->tag == n, "worker %u: block %ju of worker %u came as %ju", w->index,
		(uintmax_t)n, d->source, (uintmax_t)d->tag);
	for (uint32_t i = 0; i < d->bytes; i++)
		stress_expect(b->data[i] == content(d->source, n), "block %ju: byte %u is wrong",
			(uintmax_t)n, i);
	/* [mesh.block] */
	stress_expect(atomic_fetch_sub_explicit(&b->references, 1, memory_order_release) > 0,
		"a reference too many");
}

static uint32_t receive_some(struct worker *w)
{
	uint32_t total = 0;

	for (uint32_t from = 0; from < WORKERS; from++) {
		struct mr_descriptor d[POP_MAX];
		uint32_t count;

		if (from == w->index)
			continue;
		count = mr_spsc_pop(&rings[from][w->index], d, POP_MAX);
		for (uint32_t i = 0; i < count; i++)
			check(w, &d[i]);
		total += count;
	}
	return total;
}

static bool all_received(const struct worker *w)
{
	for (uint32_t from = 0; from < WORKERS; from++)
		if (from != w->index && w->received[from] < blocks_each)
			return false;
	return true;
}

static bool nothing_waits(const struct worker *w)
{
	for (uint32_t from = 0; from < WORKERS; from++)
		if (from != w->index && !mr_spsc_empty(&rings[from][w->index]))
			return false;
	return true;
}

/* A worker with messages left to send must look for room, so it sleeps only for a while. */
static void sleep_until_rung(struct worker *w)
{
	bool for_good = w->sent == blocks_each;
	uint64_t rung;

	atomic_store_explicit(&w->asleep, 1, memory_order_seq_cst); /* [mesh.sleep] */
	if (nothing_waits(w)) {
		w->sleeps++;
		stress_wait(w->bell_fd, for_good ? -1 : 1);
	}
	atomic_store_explicit(&w->asleep, 0, memory_order_relaxed);
	while (read(w->bell_fd, &rung, sizeof(rung)) == 8)
		;
}

/* Waits until one of the others sleeps or has ended, so that sleepers surely occur. */
static void let_others_sleep(struct worker *w)
{
	for (unsigned i = 0; i < 200 && nothing_waits(w); i++) {
		for (uint32_t to = 0; to < WORKERS; to++)
			if (to != w->index &&
				atomic_load_explicit(&workers[to].asleep, memory_order_relaxed))
				return;
		sched_yield();
	}
}

static void *work(void *context)
{
	struct worker *w = context;
	unsigned idle = 0;

	while (w->sent < blocks_each || !all_received(w)) {
		bool moved = receive_some(w) > 0;

		while (send_one(w)) {
			moved = true;
			if (w->sent % STILL_EVERY == 0)
				let_others_sleep(w);
		}
		idle = moved ? 0 : idle + 1;
		if (idle > EMPTY_ROUNDS)
			sleep_until_rung(w);
	}
	return NULL;
}

static void open_mesh(void)
{
	for (uint32_t from = 0; from < WORKERS; from++) {
		workers[from].index = from;
		workers[from].bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		stress_expect(workers[from].bell_fd >= 0, "no bell");
		for (uint32_t to = 0; to < WORKERS; to++)
			stress_expect(mr_spsc_init(&rings[from][to], ENTRIES,
					      UINT32_MAX - 100 * (from + 1)) == 0,
				"no ring");
	}
}

static void close_mesh(void)
{
	for (uint32_t from = 0; from < WORKERS; from++) {
		for (uint32_t i = 0; i < BLOCKS; i++)
			stress_expect(atomic_load(&workers[from].blocks[i].references) == 0,
				"worker %u: block %u is still referred to", from, i);
		for (uint32_t to = 0; to < WORKERS; to++)
			mr_spsc_fini(&rings[from][to]);
		close(workers[from].bell_fd);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[WORKERS];
	uint64_t sleeps = 0;

	blocks_each = stress_begin(argc, argv, 200000);
	open_mesh();
	for (uint32_t i = 0; i < WORKERS; i++)
		threads[i] = stress_start(work, &workers[i]);
	for (uint32_t i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		sleeps += workers[i].sleeps;
	}
	close_mesh();
	printf("%ju blocks from each of %u workers to each other; slept %ju times\n",
		(uintmax_t)blocks_each, WORKERS, (uintmax_t)sleeps);
	stress_expect(sleeps > 0, "sleeping was not tried");
	return 0;
}
