/* SPDX-License-Identifier: Apache-2.0 */
/* lossy: a lossy path to a bus over UDP: a relay in a thread of this process.
 *
 * Owns      open starts the thread, close ends it.
 * Threads   The caller's; the relay belongs to its thread.
 * Errors    -EINVAL: not an address. Others come from sockets and threads.
 */
#ifndef MILLRACE_CLI_BENCH_LOSSY_H
#define MILLRACE_CLI_BENCH_LOSSY_H

struct mr_lossy;

/* Opens a relay to "udp://HOST[:PORT]" that loses `percent` in each direction. */
int mr_lossy_open(const char *server, double percent, struct mr_lossy **out);
/* Returns the relay's address, to which clients connect. */
const char *mr_lossy_address(const struct mr_lossy *l);
void mr_lossy_close(struct mr_lossy *l);

#endif
