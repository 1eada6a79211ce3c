/* SPDX-License-Identifier: Apache-2.0 */
/* doorbell: reads a descriptor for ever and reports each read: doorbells, signals.
 *
 * Owns      Not the descriptor. It must stay open until `stopped`, where the user may close it.
 * Threads   The loop's.
 */
#ifndef MILLRACE_LIB_LOOP_DOORBELL_H
#define MILLRACE_LIB_LOOP_DOORBELL_H

#include "lib/loop/loop.h"

struct mr_doorbell {
	struct mr_op op;
	struct mr_loop *loop;
	int fd;
	bool stopping;
	uint8_t data[256];
	void (*received)(struct mr_doorbell *b, size_t bytes);
	/* The last call: after mr_doorbell_stop (error 0), or because of the error that ended the
	 * reading. */
	void (*stopped)(struct mr_doorbell *b, int error);
};

/* Starts to read; `received` and `stopped` must be set. Makes the descriptor blocking, as io_uring
 * needs it. 0 or -errno. */
int mr_doorbell_start(struct mr_doorbell *b, struct mr_loop *l, int fd);
void mr_doorbell_stop(struct mr_doorbell *b);

#endif
