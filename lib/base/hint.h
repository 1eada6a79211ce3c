/* SPDX-License-Identifier: Apache-2.0 */
/* hint: the next step after an error of start-up, for the reader of the message.
 *
 * Owns      Nothing; the texts are constants.
 * Threads   Any.
 */
#ifndef MILLRACE_BASE_HINT_H
#define MILLRACE_BASE_HINT_H

/* Returns the next step after -errno from making or opening a file in the run directory, or from
 * taking memory or descriptors. Never NULL. */
const char *mr_hint_start(int error);

#endif
