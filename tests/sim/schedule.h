/* SPDX-License-Identifier: Apache-2.0 */
/* schedule: messages that two queues push into themselves: each period, or by cron. One queue is of
 * the second worker.
 *
 *   schedulers ──▶ ticks, ticks-far ──▶ tickers
 *
 * Checked here, after each tick of a worker: a schedule fires when it is due, not before, and once,
 * however many times have passed; a period counts the time in which the worker runs; cron follows
 * the clock of Unix time, within a second of its step; no other schedule is there than was made,
 * replaced and cancelled; a copy is left out only if the queue is full. In the end each copy was
 * settled.
 *
 * Threads   The world's and its processes'.
 */
#ifndef MILLRACE_TESTS_SIM_SCHEDULE_H
#define MILLRACE_TESTS_SIM_SCHEDULE_H

#include <stdbool.h>

#include "tests/sim/bus.h"
#include "tests/sim/process.h"

void schedule_open(void);
/* Makes the queues. */
void schedule_make(void);
bool schedule_is_on(void);
/* Ends all schedules. Both workers run. */
void schedule_end_all(void);
/* True if the queues are empty. */
bool schedule_is_empty(void);
/* True if the clock of Unix time may step far back. */
bool schedule_turns_back(void);
/* Returns a new difference of the clock of Unix time, often near the time of a schedule. */
int64_t schedule_draw_clock_ms(void);
/* The clock of Unix time has stepped. */
void schedule_stepped(void);
/* Checks the end of a run. */
void schedule_finish(void);

/* For the bus. A queue was opened by its name. */
void schedule_named(struct mrf_string name, uint32_t number);
/* True if the queue is one of these. */
bool schedule_has(uint32_t queue);
bool schedule_is_one(struct mrf_string name);
/* Pushes a schedule. */
void schedule_push(uint64_t session, const struct mr_message_view *m);
/* A worker has done what was due. */
void schedule_ticked(bool far);
/* A request to cancel the ticket was answered. */
void schedule_withdrawn(struct mrf_string name, uint64_t session, uint64_t ticket, int code);
/* A worker sends a copy to a consumer. */
void schedule_sent(const struct mr_message_plan *plan);
/* Purges a queue: its copies, not its schedules. */
void schedule_purge(void);
/* Copies were settled. */
void schedule_settled(uint64_t acked);

/* The programs. */
process_main_fn schedule_produce, schedule_take;

#endif
