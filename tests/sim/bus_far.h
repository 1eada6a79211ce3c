/* SPDX-License-Identifier: Apache-2.0 */
/* bus_far: the second worker, which can stand still alone. Meanwhile its ring keeps the messages
 * of sessions and the requests of control, in order.
 *
 * Owns      The kept messages.
 * Threads   The world's.
 */
#ifndef MILLRACE_TESTS_SIM_BUS_FAR_H
#define MILLRACE_TESTS_SIM_BUS_FAR_H

#include "tests/sim/bus.h"

void bus_far_open(void);
void bus_far_close(void);
/* False: it stands still. */
bool bus_far_runs(void);
/* Keeps a message, or a request, of the session until the worker goes on. */
void bus_far_keep(uint64_t session, const struct mr_message_view *m);
/* Takes the kept messages, if the worker runs. */
void bus_far_take_kept(void);

#endif
