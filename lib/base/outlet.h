/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: writes lines to a descriptor that may stand still, without waiting for it.
 *
 * A terminal stopped with Ctrl-S, a full pipe or a stuck log shipper blocks whoever writes to it. Here
 * a line goes into a bounded ring, and a thread of its own writes the ring out. What finds the ring
 * full is dropped and counted; the count is said where the lines are missing. O_NONBLOCK would not do:
 * the open file description belongs to others too (the user's shell).
 *
 * Owns      Its memory and its thread. The descriptor stays the caller's.
 * Threads   put: any; it holds a mutex for the time of a memcpy. open, close: one.
 * Errors    open: -errno. Errors of the descriptor itself drop what was to be written.
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
/* A write of at most so many bytes to a pipe is never mixed with another's (PIPE_BUF). */
#define MR_OUTLET_WRITE_BYTES_MAX 4096u

struct mr_outlet {
	/* set before open */
	/* Writes the line that says how many were dropped; returns its bytes. */
	size_t (*say_dropped)(char *out, size_t bytes, uint64_t count);
	/* Called by the thread a second after it was asked for; may put. */
	void (*tick)(void);
	/* the outlet's own */
	int fd;
	bool open;
	/* guarded by mutex */
	bool stopping;
	bool dropping;    /* since the ring was full, until half of it is free */
	uint64_t dropped; /* lines not told of yet */
	bool ticking;
	struct timespec tick_at;      /* CLOCK_MONOTONIC */
	_Atomic uint64_t put_bytes;   /* w: put */
	_Atomic uint64_t taken_bytes; /* w: thread */
	_Atomic bool writing;         /* w: thread: what was taken is not written yet */
	pthread_mutex_t mutex;
	pthread_cond_t more;
	pthread_t thread;
	char *ring;
};

/* Starts the thread, without signals and without capabilities. */
int mr_outlet_open(struct mr_outlet *o, int fd);
/* Takes a line with its newline, or nothing of it: false, and it is counted as dropped. After close it
 * takes nothing. */
bool mr_outlet_put(struct mr_outlet *o, const char *line, size_t bytes);
/* Asks for one tick, in a second. */
void mr_outlet_tick_ask(struct mr_outlet *o);
/* Waits until all is written, but no longer than that. Async-signal-safe. */
bool mr_outlet_flush(struct mr_outlet *o, unsigned wait_ms);
/* Flushes, then ends the thread. One that is stuck in a write is left to the process's end. */
void mr_outlet_close(struct mr_outlet *o, unsigned flush_ms);
/* A stdio stream whose lines go to the outlet; NULL: no memory. */
FILE *mr_outlet_stream(struct mr_outlet *o);

#endif
