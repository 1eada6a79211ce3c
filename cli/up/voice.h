/* SPDX-License-Identifier: Apache-2.0 */
/* voice: lets stdout and stderr of `up` go out without waiting for the terminal, so that a Ctrl-S does
 * not keep it from starting a process that died again.
 *
 * Threads   The main thread's.
 */
#ifndef MILLRACE_CLI_UP_VOICE_H
#define MILLRACE_CLI_UP_VOICE_H

/* Without memory or threads both stay as they are. */
void mr_cli_voice_open(void);
/* Waits for what is not out yet, half a second at most. Nothing can be said afterwards. */
void mr_cli_voice_close(void);

#endif
