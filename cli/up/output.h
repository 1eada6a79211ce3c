/* SPDX-License-Identifier: Apache-2.0 */
/* output: writes stdout and stderr of `up` without blocking on the terminal. So a Ctrl-S does not
 * stop `up` from restarting a process that died.
 *
 * Threads   The main thread's.
 */
#ifndef MILLRACE_CLI_UP_OUTPUT_H
#define MILLRACE_CLI_UP_OUTPUT_H

/* Redirects both streams; without memory or threads they stay as they are. */
void mr_cli_output_open(void);
/* Waits up to half a second for the remaining output. Nothing can be printed afterwards. */
void mr_cli_output_close(void);

#endif
