/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: writes lines to a descriptor that may block, without making the caller wait.
 *
 * A terminal stopped with Ctrl-S, a full pipe or a stuck log shipper blocks every writer. Here a
 * line goes into a bounded ring, and a thread writes the ring out. A line that finds the ring full
 * is dropped and counted; the count is written at the place where the lines are missing. O_NONBLOCK
 * would not do: the open file description is shared with others (the user's shell).
 *
 * Owns      Its memory and its thread. The descriptor stays the caller's.
 * Threads   put: any; it holds a mutex for the time of a memcpy. open, close: one.
 * Ordering  [outlet.flush] release of taken_bytes when the thread takes lines, of writing = false
 *           when it has written them -> acquire of both in flush. A flush that sees the ring empty
 *           also sees whether the last lines are still being written.
 * Errors    open: -errno. After an error of the descriptor the affected bytes are dropped.
 * Hot path  Never.
 */
#ifndef MILLRACE_BASE_OUTLET_H
#define MILLRACE_BASE_OUTLET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define MR_OUTLET_RING_BYTES (256u << 10)
/* A pipe write of at most this size is never mixed with another writer's (PIPE_BUF). */
#define MR_OUTLET_WRITE_BYTES_MAX 4096u

struct mr_outlet {
	/* set by the caller before open */
	/* Formats the line that reports `count` dropped lines; returns its bytes. */
	size_t (*say_dropped)(char *out, size_t bytes, uint64_t count);
	/* Runs on the thread one second after mr_outlet_tick_ask; may put lines. */
	void (*tick)(void);
	/* private to the outlet */
	int fd;
	bool open;
	/* guarded by mutex */
	bool stopping;
	bool dropping;    /* from the time the ring is full until half of it is free */
	uint64_t dropped; /* lines not reported yet */
	bool ticking;
	struct timespec tick_at;      /* CLOCK_MONOTONIC */
	_Atomic uint64_t put_bytes;   /* w: put */
	_Atomic uint64_t taken_bytes; /* w: the outlet's thread */
	_Atomic bool writing;         /* w: the outlet's thread; lines taken but not yet written */
	pthread_mutex_t mutex;
	pthread_cond_t more;
	pthread_t thread;
	char *ring;
};

/* Starts the thread, with all signals blocked and without capabilities. 0 or -errno. */
int mr_outlet_open(struct mr_outlet *o, int fd);
/* Puts a whole line, newline included. False: there was no room, and the line is counted as
 * dropped; or the outlet is closed. */
bool mr_outlet_put(struct mr_outlet *o, const char *line, size_t bytes);
/* Requests one tick, a second from now. */
void mr_outlet_tick_ask(struct mr_outlet *o);
/* Waits up to `wait_ms` until all is written; true if it is. Async-signal-safe. */
bool mr_outlet_flush(struct mr_outlet *o, unsigned wait_ms);
/* Flushes, then ends the thread. A thread stuck in a write is detached and ends with the
 * process. */
void mr_outlet_close(struct mr_outlet *o, unsigned flush_ms);
/* Returns a stdio stream whose lines go to the outlet. NULL: no memory. */
FILE *mr_outlet_stream(struct mr_outlet *o);

#endif
