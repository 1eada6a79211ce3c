/* SPDX-License-Identifier: Apache-2.0 */
/* stage: a pipeline: inputs of one queue, and outputs in two others, one of them of another worker.
 * Its programs settle each input and push its outputs in one step.
 *
 *   producer ──▶ stage-in ──▶ stages ──▶ stage-near ──▶ sinks
 *                                └─────▶ stage-far, of another worker ──▶ sinks
 *
 * Checked here: an input is acknowledged only when each of its outputs was taken; each output is
 * taken once; outputs have an input that was handed out; a settled input does not come again.
 *
 * Threads   The world's and its processes'.
 */
#ifndef MILLRACE_TESTS_SIM_STAGE_H
#define MILLRACE_TESTS_SIM_STAGE_H

#include <stdbool.h>

#include "tests/sim/bus.h"
#include "tests/sim/process.h"

void stage_open(void);
/* Makes the queues. */
void stage_make(void);
bool stage_is_on(void);
/* True if the queues are empty. */
bool stage_is_empty(void);
/* The network works, nothing is killed any more, and from that time on nothing is frozen. */
void stage_calm(uint64_t from_ns);
/* Changes the limits of the queues of outputs. */
void stage_edit(void);
/* Checks the end of a run. */
void stage_finish(void);

/* For the bus. A queue was opened by its name. */
void stage_named(struct mrf_string name, uint32_t number);
/* True if the queue is one of these. */
bool stage_has(uint32_t queue);
/* A push to one of the queues was taken, or not. */
void stage_pushed(const struct mr_message_view *m, bool taken);
void stage_sent(uint64_t session, const struct mr_message_plan *plan);
void stage_settled(uint64_t session, const struct mrf_settlement *s, uint64_t acked);

/* The programs. */
process_main_fn stage_produce, stage_work, stage_sink;

#endif
