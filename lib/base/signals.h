/* SPDX-License-Identifier: Apache-2.0 */
/* signals: SIGTERM and SIGINT end a process of the bus; its loop reads them from a descriptor.
 *
 * Threads   block: the first thread, before others exist, which inherit the mask. open: any.
 * Errors    -errno.
 */
#ifndef MILLRACE_BASE_SIGNALS_H
#define MILLRACE_BASE_SIGNALS_H

/* Blocks both signals. Ignores SIGPIPE and SIGXFSZ, so that a write to a closed peer or beyond
 * the limit of file sizes is only an error. Ignores SIGHUP, SIGUSR1 and SIGUSR2, so that a
 * terminal that closes does not end a bus. */
void mr_signals_block(void);
/* Returns a signalfd that delivers both; `flags` as for signalfd, SFD_CLOEXEC is added. */
int mr_signals_open(int flags);

#endif
