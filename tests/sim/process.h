/* SPDX-License-Identifier: Apache-2.0 */
/* process: programs of the simulated machine. Each has a stack of its own and runs until it waits.
 *
 * A killed process sends and receives nothing more. Its code goes on in a time of its own until it
 * has returned, so that its memory is freed. Its actions then do not count.
 *
 * Threads   One: exactly one process runs at a time, or the world itself.
 */
#ifndef MILLRACE_TESTS_SIM_PROCESS_H
#define MILLRACE_TESTS_SIM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process;
typedef void process_main_fn(struct process *p, void *arg);

/* The process that runs now; NULL: the world. */
extern struct process *process_now;

struct process *process_start(const char *name, process_main_fn *run, void *arg);
/* Frees a process that has ended. */
void process_free(struct process *p);
const char *process_name(const struct process *p);
bool process_ended(const struct process *p);
bool process_killed(const struct process *p);

/* Waits in the running process until then, or until it is woken. */
void process_wait_until(uint64_t at_ns);
void process_sleep(uint64_t ns);
/* The clock that the process sees. */
uint64_t process_clock_ns(void);

/* Called from outside: wakes the process; stops it for a while; kills it. */
void process_wake(struct process *p);
void process_freeze(struct process *p, uint64_t until_ns);
void process_kill(struct process *p);
/* Kills it at its send of that number from now, before it is done; 0: not any more. */
void process_kill_at_send(struct process *p, uint32_t number);
/* A send of the process; false: it is killed. */
bool process_sends(struct process *p);

#endif
