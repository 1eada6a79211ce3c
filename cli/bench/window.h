/* SPDX-License-Identifier: Apache-2.0 */
/* window: how many messages a closed loop has under way when nobody says, so that nothing need be lost. */
#ifndef MILLRACE_CLI_BENCH_WINDOW_H
#define MILLRACE_CLI_BENCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* Of all publishers together, for payloads of `bytes`. */
uint64_t mr_bench_window(bool udp, uint64_t bytes);
/* Messages to show to the bus at once, for a publisher's window. */
uint32_t mr_bench_batch(bool udp, uint64_t window);

#endif
