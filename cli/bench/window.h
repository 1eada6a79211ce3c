/* SPDX-License-Identifier: Apache-2.0 */
/* window: the default window of a closed loop: messages under way, so few that nothing need be
 * lost. */
#ifndef MILLRACE_CLI_BENCH_WINDOW_H
#define MILLRACE_CLI_BENCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* Returns the window of all publishers together, for payloads of `bytes`. */
uint64_t mr_bench_window(bool udp, uint64_t bytes);
/* Returns the default batch for a publisher's window. */
uint32_t mr_bench_batch(bool udp, uint64_t window);

#endif
