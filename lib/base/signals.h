/* SPDX-License-Identifier: Apache-2.0 */
/* signals: SIGTERM and SIGINT end a process of the bus, and are read from a descriptor in its loop.
 *
 * Threads   block: the first one, before there are others, which inherit it. open: any.
 * Errors    -errno.
 */
#ifndef MILLRACE_BASE_SIGNALS_H
#define MILLRACE_BASE_SIGNALS_H

/* They interrupt nothing any more; nor does writing to somebody who has gone. */
void mr_signals_block(void);
/* A descriptor to read them from; `flags` as of signalfd, beside SFD_CLOEXEC. */
int mr_signals_open(int flags);

#endif
