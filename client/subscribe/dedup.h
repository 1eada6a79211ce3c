/* SPDX-License-Identifier: Apache-2.0 */
/* dedup: deduplication of messages from publishers that promise exactly once: for each publisher a
 * window of its last ids. When there are too many publishers, the one that has been silent longest
 * is forgotten.
 *
 * Owns      The caller owns it.
 * Threads   One at a time.
 */
#ifndef MILLRACE_CLIENT_SUBSCRIBE_DEDUP_H
#define MILLRACE_CLIENT_SUBSCRIBE_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

struct mr_dedup;

/* NULL: no memory. */
struct mr_dedup *mr_dedup_new(void);
void mr_dedup_free(struct mr_dedup *s);
/* Notes the id. False: it was received before, or is older than the window. */
bool mr_dedup_first(struct mr_dedup *s, uint64_t publisher, uint64_t id);

#endif
