/* SPDX-License-Identifier: Apache-2.0 */
/* stress_spsc: one ring of descriptors under two threads, bursts of any size, indices that wrap
 * early. Every field of every descriptor is checked, so that a lost, doubled or torn descriptor is
 * found at once. */
#include <string.h>

#include "lib/ring/spsc.h"
#include "tests/stress/stress.h"

#define ENTRIES   64u
#define BURST_MAX 80u /* more than the ring holds */

struct stress {
	struct mr_spsc ring;
	uint64_t descriptors;
	uint64_t full, empty;
};

static struct mr_descriptor numbered(uint64_t n)
{
	uint64_t r = stress_number(n);

	return (struct mr_descriptor){
		.buffer = (void *)(uintptr_t)r,
		.offset = (uint32_t)n,
		.bytes = (uint32_t)(r >> 7),
		.messages = (uint32_t)(r >> 32),
		.source = (uint32_t)(r >> 17),
		.tag = n,
	};
}

static uint32_t burst(uint64_t step, uint64_t left)
{
	uint64_t n = 1 + stress_number(step) % BURST_MAX;

	return (uint32_t)(n < left ? n : left);
}

static void *push(void *context)
{
	struct stress *s = context;
	uint64_t step = 1, done = 0;

	while (done < s->descriptors) {
		struct mr_descriptor d[BURST_MAX];
		uint32_t count = burst(step++, s->descriptors - done), pushed;

		for (uint32_t i = 0; i < count; i++)
			d[i] = numbered(done + i);
		pushed = mr_spsc_push(&s->ring, d, count);
		done += pushed;
		if (pushed < count) {
			s->full++;
			sched_yield();
		}
	}
	return NULL;
}

static void pop_all(struct stress *s)
{
	uint64_t step = 2, done = 0;

	while (done < s->descriptors) {
		struct mr_descriptor d[BURST_MAX];
		uint32_t count = burst(step++, s->descriptors - done);

		count = mr_spsc_pop(&s->ring, d, count);
		if (count == 0) {
			s->empty++;
			sched_yield();
		}
		for (uint32_t i = 0; i < count; i++, done++) {
			struct mr_descriptor want = numbered(done);

			stress_expect(memcmp(&d[i], &want, sizeof(want)) == 0,
				"descriptor %ju came as %ju", (uintmax_t)done, (uintmax_t)d[i].tag);
		}
	}
}

int main(int argc, char **argv)
{
	static struct stress s;
	pthread_t producer;

	s.descriptors = stress_begin(argc, argv, 20000000);
	stress_expect(mr_spsc_init(&s.ring, ENTRIES, UINT32_MAX - 1000) == 0, "no ring");
	producer = stress_start(push, &s);
	pop_all(&s);
	pthread_join(producer, NULL);
	stress_expect(mr_spsc_empty(&s.ring), "something is left in the ring");
	printf("%ju descriptors; found it full %ju times, empty %ju times\n",
		(uintmax_t)s.descriptors, (uintmax_t)s.full, (uintmax_t)s.empty);
	mr_spsc_fini(&s.ring);
	return 0;
}
