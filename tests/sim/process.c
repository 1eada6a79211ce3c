/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "tests/sim/world.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (512u << 10)
#define CLOCK_NS    40u /* duration of a look at the clock */

struct process {
	char name[32];
	process_main_fn *run;
	void *arg;
	ucontext_t context;
	ucontext_t outside;
	void *stack;
	const void *outside_stack;
	size_t outside_bytes;
	bool ended;
	bool killed;
	uint64_t wait; /* number of its current wait; 0: none */
	uint64_t waits;
	uint64_t frozen_until_ns;
	uint32_t sends_left; /* until it is killed; 0: it is not to be */
	uint64_t limbo_ns;   /* the clock of a killed process */
};

struct process *process_now;

/* Tells the sanitizer of each change of stacks. */
static void switch_begin(void **fake, const void *bottom, size_t bytes)
{
#ifdef HAS_ASAN
	__sanitizer_start_switch_fiber(fake, bottom, bytes);
#else
	(void)fake;
	(void)bottom;
	(void)bytes;
#endif
}

static void switch_end(void *fake, const void **bottom, size_t *bytes)
{
#ifdef HAS_ASAN
	__sanitizer_finish_switch_fiber(fake, bottom, bytes);
#else
	(void)fake;
	(void)bottom;
	(void)bytes;
#endif
}

static void enter(unsigned high, unsigned low)
{
	struct process *p = (struct process *)((uintptr_t)high << 32 | low);

	switch_end(NULL, &p->outside_stack, &p->outside_bytes);
	p->run(p, p->arg);
	p->ended = true;
	switch_begin(NULL, p->outside_stack, p->outside_bytes);
	swapcontext(&p->context, &p->outside);
}

static void go_on(struct process *p)
{
	void *fake = NULL;

	p->wait = 0;
	process_now = p;
	switch_begin(&fake, p->stack, STACK_BYTES);
	swapcontext(&p->outside, &p->context);
	switch_end(fake, NULL, NULL);
	process_now = NULL;
}

static void wake(void *arg, uint64_t wait)
{
	struct process *p = arg;

	if (p->ended || p->wait != wait)
		return;
	if (!p->killed && p->frozen_until_ns > world_now_ns())
		world_at(p->frozen_until_ns, wake, p, wait);
	else
		go_on(p);
}

struct process *process_start(const char *name, process_main_fn *run, void *arg)
{
	struct process *p = calloc(1, sizeof(*p));
	uintptr_t at = (uintptr_t)p;

	if (p == NULL || (p->stack = malloc(STACK_BYTES)) == NULL)
		world_fail("no memory");
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->run = run;
	p->arg = arg;
	getcontext(&p->context);
	p->context.uc_stack.ss_sp = p->stack;
	p->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&p->context, (void (*)(void))enter, 2, (unsigned)(at >> 32), (unsigned)at);
	p->wait = ++p->waits;
	world_at(world_now_ns(), wake, p, p->wait);
	return p;
}

void process_free(struct process *p)
{
	if (!p->ended)
		world_fail("%s was to be freed before its end", p->name);
	free(p->stack);
	free(p);
}

const char *process_name(const struct process *p)
{
	return p->name;
}

bool process_ended(const struct process *p)
{
	return p->ended;
}

bool process_killed(const struct process *p)
{
	return p->killed;
}

static void leave(struct process *p)
{
	void *fake = NULL;

	switch_begin(&fake, p->outside_stack, p->outside_bytes);
	swapcontext(&p->context, &p->outside);
	switch_end(fake, &p->outside_stack, &p->outside_bytes);
}

void process_wait_until(uint64_t at_ns)
{
	struct process *p = process_now;

	if (p->killed) {
		if (at_ns == UINT64_MAX || at_ns <= p->limbo_ns)
			at_ns = p->limbo_ns + WORLD_S;
		p->limbo_ns = at_ns;
		return;
	}
	p->wait = ++p->waits;
	if (at_ns != UINT64_MAX)
		world_at(at_ns, wake, p, p->wait);
	leave(p);
}

void process_sleep(uint64_t ns)
{
	uint64_t until_ns = process_clock_ns() + ns;

	while (process_clock_ns() < until_ns)
		process_wait_until(until_ns);
}

uint64_t process_clock_ns(void)
{
	if (process_now != NULL && process_now->killed)
		return process_now->limbo_ns += CLOCK_NS;
	world_pass(CLOCK_NS);
	return world_now_ns();
}

void process_wake(struct process *p)
{
	if (!p->ended && p->wait != 0)
		world_at(world_now_ns(), wake, p, p->wait);
}

void process_freeze(struct process *p, uint64_t until_ns)
{
	p->frozen_until_ns = until_ns;
}

void process_kill(struct process *p)
{
	if (p->ended || p->killed)
		return;
	p->killed = true;
	p->limbo_ns = world_now_ns();
	process_wake(p);
}

/* A process that sends runs now, and goes on in limbo. */
bool process_sends(struct process *p)
{
	if (p->sends_left > 0 && --p->sends_left == 0)
		process_kill(p);
	return !p->killed;
}

void process_kill_at_send(struct process *p, uint32_t number)
{
	p->sends_left = number;
}
