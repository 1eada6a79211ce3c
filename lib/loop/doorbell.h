/* SPDX-License-Identifier: Apache-2.0 */
/* bell: reads a descriptor for ever, and tells that something came: doorbells, signals.
 *
 * Owns      Not the descriptor, which must outlive the watch: close it in `stopped`.
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
	/* Last call: after mr_doorbell_stop, or by itself with the error that ended the reading. */
	void (*stopped)(struct mr_doorbell *b, int error);
};

/* `received` and `stopped` are set. Makes the descriptor's reads wait, as the ring wants them. */
int mr_doorbell_start(struct mr_doorbell *b, struct mr_loop *l, int fd);
void mr_doorbell_stop(struct mr_doorbell *b);

#endif
