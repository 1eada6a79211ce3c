/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The clock starts neither at 0 nor at a round number: the low 32 bits of milliseconds soon
 * wrap. */
#define START_NS ((UINT32_MAX - 7000ull) * WORLD_MS + 123457)

struct event {
	uint64_t at_ns;
	uint64_t order;
	world_event_fn *run;
	void *arg;
	uint64_t tag;
};

static struct {
	uint64_t seed;
	uint64_t chance;
	uint64_t now_ns;
	uint64_t order;
	uint64_t hash;
	struct event *heap;
	uint32_t count;
	uint32_t room;
} world;
static uint64_t steps;

bool world_traced;

void world_open(uint64_t seed)
{
	world.seed = world.chance = seed;
	world.now_ns = START_NS;
	world.order = 0;
	world.count = 0;
	world.hash = seed;
}

void world_close(void)
{
	free(world.heap);
	memset(&world, 0, sizeof(world));
}

uint64_t world_now_ns(void)
{
	return world.now_ns;
}

void world_pass(uint64_t ns)
{
	world.now_ns += ns;
}

/* Splitmix64. */
uint64_t world_draw_64(void)
{
	uint64_t z = world.chance += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t world_draw(uint32_t below)
{
	return (uint32_t)((world_draw_64() >> 32) * below >> 32);
}

bool world_chance(uint32_t percent)
{
	return world_draw(100) < percent;
}

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(uint32_t a, uint32_t b)
{
	struct event kept = world.heap[a];

	world.heap[a] = world.heap[b];
	world.heap[b] = kept;
}

void world_at(uint64_t at_ns, world_event_fn *run, void *arg, uint64_t tag)
{
	uint32_t i = world.count;

	if (world.count == world.room) {
		world.room = world.room == 0 ? 1024 : 2 * world.room;
		world.heap = realloc(world.heap, world.room * sizeof(*world.heap));
		if (world.heap == NULL)
			world_fail("no memory");
	}
	world.count++;
	world.heap[i] = (struct event){
		at_ns > world.now_ns ? at_ns : world.now_ns, ++world.order, run, arg, tag};
	for (; i > 0 && earlier(&world.heap[i], &world.heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event pop(void)
{
	struct event first = world.heap[0];
	uint32_t i = 0;

	world.heap[0] = world.heap[--world.count];
	for (;;) {
		uint32_t least = i;

		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < world.count; k++)
			if (earlier(&world.heap[k], &world.heap[least]))
				least = k;
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

static void mix(uint64_t value)
{
	world.hash = (world.hash ^ value) * 0x9e3779b97f4a7c15ull;
	world.hash ^= world.hash >> 29;
}

uint64_t world_hash(void)
{
	return world.hash;
}

bool world_step(void)
{
	struct event e;

	if (world.count == 0)
		return false;
	e = pop();
	if (e.at_ns > world.now_ns)
		world.now_ns = e.at_ns;
	steps++;
	e.run(e.arg, e.tag);
	mix(world.now_ns);
	mix(world.chance);
	return true;
}

uint64_t world_steps(void)
{
	return steps;
}

static void print(FILE *to, const char *format, va_list list)
{
	fprintf(to, "%10.3f ms  ", (double)(world.now_ns - START_NS) / 1e6);
	vfprintf(to, format, list);
	fputc('\n', to);
}

void world_trace(const char *format, ...)
{
	va_list list;

	if (!world_traced)
		return;
	va_start(list, format);
	print(stdout, format, list);
	va_end(list);
}

void world_fail(const char *format, ...)
{
	va_list list;

	fflush(stdout);
	va_start(list, format);
	print(stderr, format, list);
	va_end(list);
	fprintf(stderr, "seed %" PRIu64 ", after %" PRIu64 " steps\n", world.seed, steps);
	exit(1);
}
