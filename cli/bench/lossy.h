/* SPDX-License-Identifier: Apache-2.0 */
/* lossy: a path to a bus over UDP that loses packets: a relay in a thread of this process.
 *
 * Owns      open starts the thread, close ends it.
 * Threads   The caller's; the relay is its thread's.
 * Errors    -EINVAL: no such address. Others as of sockets and threads.
 */
#ifndef MILLRACE_CLI_BENCH_LOSSY_H
#define MILLRACE_CLI_BENCH_LOSSY_H

struct mr_lossy;

/* To "udp://HOST[:PORT]", losing `percent` each way. */
int mr_lossy_open(const char *server, double percent, struct mr_lossy **out);
/* Where clients connect to in its place. */
const char *mr_lossy_address(const struct mr_lossy *l);
void mr_lossy_close(struct mr_lossy *l);

#endif
