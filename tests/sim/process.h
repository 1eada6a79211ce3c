/* SPDX-License-Identifier: Apache-2.0 */
/* process: programs of the simulated machine. Each has a stack of its own and runs until it waits.
 *
 * A process that is killed sends nothing any more and hears nothing; its code goes on in a time of its
 * own until it has returned, so that its memory is freed. Nothing that it does then counts.
 *
 * Threads   One: exactly one process runs at a time, or the world itself.
 */
#ifndef MILLRACE_TESTS_SIM_PROCESS_H
#define MILLRACE_TESTS_SIM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process;
typedef void process_main_fn(struct process *p, void *arg);

/* The one that runs now; NULL: the world. */
extern struct process *process_now;

struct process *process_start(const char *name, process_main_fn *run, void *arg);
/* It must have ended. */
void process_free(struct process *p);
const char *process_name(const struct process *p);
bool process_ended(const struct process *p);
bool process_killed(const struct process *p);

/* Of the process that runs: waits until then, or until it is woken. */
void process_wait_until(uint64_t at_ns);
void process_sleep(uint64_t ns);
/* The clock that the process sees. */
uint64_t process_clock_ns(void);

/* From outside: something came for it; it is to stop for a while; it is to end at once. */
void process_wake(struct process *p);
void process_freeze(struct process *p, uint64_t until_ns);
void process_kill(struct process *p);

#endif
