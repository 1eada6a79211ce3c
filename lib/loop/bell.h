/* SPDX-License-Identifier: Apache-2.0 */
/* bell: reads a descriptor for ever, and tells that something came: doorbells, signals.
 *
 * Owns      Not the descriptor, which must outlive the watch: close it in `stopped`.
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_LOOP_BELL_H
#define MILLRACE_CONTROL_LOOP_BELL_H

#include "lib/loop/loop.h"

struct mr_bell {
	struct mr_op op;
	struct mr_loop *loop;
	int fd;
	bool stopping;
	uint8_t data[256];
	void (*rung)(struct mr_bell *b, size_t bytes);
	/* Last call: after mr_bell_stop, or by itself with the error that ended the reading. */
	void (*stopped)(struct mr_bell *b, int error);
};

/* `rung` and `stopped` are set. Makes the descriptor's reads wait, as the ring wants them. */
int mr_bell_start(struct mr_bell *b, struct mr_loop *l, int fd);
void mr_bell_stop(struct mr_bell *b);

#endif
