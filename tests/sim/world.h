/* SPDX-License-Identifier: Apache-2.0 */
/* world: time, random numbers and the next event of a simulated run.
 *
 *   event heap ──▶ world_step ──▶ a datagram arrives, a process goes on, the bus makes a round
 *
 * A run depends only on its seed: simultaneous events happen in the order in which they were
 * entered. Time passes between events, and a little with each look at a clock.
 *
 * Owns      The event heap.
 * Threads   One.
 * Units     Nanoseconds since the start of the simulated machine.
 * Errors    world_fail ends the program: it prints the seed that shows the fault again, and the
 *           number of steps.
 */
#ifndef MILLRACE_TESTS_SIM_WORLD_H
#define MILLRACE_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_MS 1000000ull
#define WORLD_S  (1000 * WORLD_MS)
/* Unix time at the start of the simulated machine. */
#define WORLD_UNIX_MS 1700000000000ull

/* Starts a run anew. */
void world_open(uint64_t seed);
void world_close(void);

uint64_t world_now_ns(void);
/* Lets time pass within an event. */
void world_pass(uint64_t ns);

/* Random numbers from the seed: 0 .. below - 1; true in so many of a hundred cases. */
uint32_t world_draw(uint32_t below);
bool world_chance(uint32_t percent);
uint64_t world_draw_64(void);

typedef void world_event_fn(void *arg, uint64_t tag);
/* Calls `run` at that time, or at once if it is past. */
void world_at(uint64_t at_ns, world_event_fn *run, void *arg, uint64_t tag);
/* Runs the next event; false: there is none. */
bool world_step(void);
/* Returns the hash of the run's trace: of the time and the random numbers after each event. Runs
 * with the same hash went the same way. */
uint64_t world_hash(void);
/* Events since the start of the program. */
uint64_t world_steps(void);

/* Prints an event, with the time, if the run is traced. */
extern bool world_traced;
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
