/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/outlet.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_S          1
#define LOOK_NS         1000000
#define DROP_LINE_BYTES 512u

static size_t used_bytes(const struct mr_outlet *o)
{
	return (size_t)(atomic_load_explicit(&o->put_bytes, memory_order_relaxed) -
			atomic_load_explicit(&o->taken_bytes, memory_order_relaxed));
}

static void copy_in(struct mr_outlet *o, const char *data, size_t bytes)
{
	uint64_t at = atomic_load_explicit(&o->put_bytes, memory_order_relaxed);
	size_t offset = (size_t)(at % MR_OUTLET_RING_BYTES);
	size_t first =
		MR_OUTLET_RING_BYTES - offset < bytes ? MR_OUTLET_RING_BYTES - offset : bytes;

	memcpy(o->ring + offset, data, first);
	memcpy(o->ring, data + first, bytes - first);
	atomic_store_explicit(&o->put_bytes, at + bytes, memory_order_relaxed);
}

/* Reports the number of dropped lines at the place where they are missing. */
static void put_dropped(struct mr_outlet *o)
{
	char line[DROP_LINE_BYTES];

	copy_in(o, line, o->say_dropped(line, sizeof(line), o->dropped));
	o->dropped = 0;
	o->dropping = false;
}

bool mr_outlet_put(struct mr_outlet *o, const char *line, size_t bytes)
{
	bool taken;

	pthread_mutex_lock(&o->mutex);
	if (o->stopping) {
		pthread_mutex_unlock(&o->mutex);
		return false;
	}
	if (o->dropping && used_bytes(o) <= MR_OUTLET_RING_BYTES / 2)
		put_dropped(o);
	taken = !o->dropping && used_bytes(o) + bytes + DROP_LINE_BYTES <= MR_OUTLET_RING_BYTES;
	if (taken) {
		copy_in(o, line, bytes);
		pthread_cond_signal(&o->more);
	} else {
		o->dropping = true;
		o->dropped++;
	}
	pthread_mutex_unlock(&o->mutex);
	return taken;
}

void mr_outlet_tick_ask(struct mr_outlet *o)
{
	pthread_mutex_lock(&o->mutex);
	if (!o->ticking) {
		clock_gettime(CLOCK_MONOTONIC, &o->tick_at);
		o->tick_at.tv_sec += TICK_S;
		o->ticking = true;
		pthread_cond_signal(&o->more);
	}
	pthread_mutex_unlock(&o->mutex);
}

/* Takes whole lines, as many as one write may hold. A longer line is taken in parts. */
static size_t copy_out(struct mr_outlet *o, char out[MR_OUTLET_WRITE_BYTES_MAX])
{
	uint64_t at = atomic_load_explicit(&o->taken_bytes, memory_order_relaxed);
	size_t used = used_bytes(o);
	size_t bytes = used < MR_OUTLET_WRITE_BYTES_MAX ? used : MR_OUTLET_WRITE_BYTES_MAX;
	size_t whole;

	for (size_t i = 0; i < bytes; i++)
		out[i] = o->ring[(at + i) % MR_OUTLET_RING_BYTES];
	whole = bytes;
	while (whole > 0 && out[whole - 1] != '\n')
		whole--;
	bytes = whole > 0 ? whole : bytes;
	atomic_store_explicit(&o->writing, true, memory_order_relaxed);
	/* [outlet.flush] */
	atomic_store_explicit(&o->taken_bytes, at + bytes, memory_order_release);
	return bytes;
}

/* Waits until there is something to write or a tick is due. */
static void wait_for_more(struct mr_outlet *o)
{
	if (o->ticking)
		(void)pthread_cond_timedwait(&o->more, &o->mutex, &o->tick_at);
	else
		(void)pthread_cond_wait(&o->more, &o->mutex);
}

static bool tick_due(struct mr_outlet *o)
{
	struct timespec now;

	if (!o->ticking)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > o->tick_at.tv_sec ||
	       (now.tv_sec == o->tick_at.tv_sec && now.tv_nsec >= o->tick_at.tv_nsec);
}

static void run_tick(struct mr_outlet *o)
{
	o->ticking = false;
	pthread_mutex_unlock(&o->mutex);
	o->tick();
	pthread_mutex_lock(&o->mutex);
}

/* Returns the bytes to write next; 0: the outlet stops. */
static size_t next(struct mr_outlet *o, char out[MR_OUTLET_WRITE_BYTES_MAX])
{
	size_t bytes = 0;

	pthread_mutex_lock(&o->mutex);
	while (bytes == 0) {
		if (o->dropping && used_bytes(o) <= MR_OUTLET_RING_BYTES / 2)
			put_dropped(o);
		if (tick_due(o))
			run_tick(o);
		if (used_bytes(o) > 0)
			bytes = copy_out(o, out);
		else if (o->stopping)
			break;
		else
			wait_for_more(o);
	}
	pthread_mutex_unlock(&o->mutex);
	return bytes;
}

/* Writes all bytes. A failed log write has nowhere to be reported. */
static void write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);
		struct pollfd p = {.fd = fd, .events = POLLOUT};

		if (n > 0) {
			data += n;
			bytes -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			/* Another holder of the file description made it non-blocking. */
			(void)poll(&p, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			return;
		}
	}
}

/* Drops all capabilities: a write needs none, and an attacker inside the process could reach this
 * thread. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	(void)syscall(SYS_capset, &h, none);
}

static void *run(void *outlet)
{
	struct mr_outlet *o = outlet;
	char out[MR_OUTLET_WRITE_BYTES_MAX];
	size_t bytes;

	drop_capabilities();
	while ((bytes = next(o, out)) > 0) {
		write_all(o->fd, out, bytes);
		atomic_store_explicit(
			&o->writing, false, memory_order_release); /* [outlet.flush] */
	}
	return NULL;
}

static int start_thread(struct mr_outlet *o)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&o->thread, NULL, run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int mr_outlet_open(struct mr_outlet *o, int fd)
{
	pthread_condattr_t attr;
	int error;

	o->ring = malloc(MR_OUTLET_RING_BYTES);
	if (o->ring == NULL)
		return -ENOMEM;
	o->fd = fd;
	pthread_mutex_init(&o->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->more, &attr);
	pthread_condattr_destroy(&attr);
	error = start_thread(o);
	o->open = error == 0;
	if (error != 0) {
		free(o->ring);
		o->ring = NULL;
	}
	return error;
}

static bool all_written(struct mr_outlet *o)
{
	return atomic_load_explicit(&o->taken_bytes, memory_order_acquire) == /* [outlet.flush] */
		       atomic_load_explicit(&o->put_bytes, memory_order_relaxed) &&
	       !atomic_load_explicit(&o->writing, memory_order_acquire); /* [outlet.flush] */
}

bool mr_outlet_flush(struct mr_outlet *o, unsigned wait_ms)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};

	for (unsigned i = 0; i < wait_ms && !all_written(o); i++)
		(void)nanosleep(&look, NULL);
	return all_written(o);
}

void mr_outlet_close(struct mr_outlet *o, unsigned flush_ms)
{
	bool ends;

	if (!o->open)
		return;
	ends = mr_outlet_flush(o, flush_ms);
	pthread_mutex_lock(&o->mutex);
	o->stopping = true;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->mutex);
	o->open = false;
	if (ends) {
		pthread_join(o->thread, NULL);
		free(o->ring);
		o->ring = NULL;
	} else {
		pthread_detach(o->thread);
	}
}

static ssize_t stream_write(void *outlet, const char *text, size_t bytes)
{
	(void)mr_outlet_put(outlet, text, bytes);
	return (ssize_t)bytes;
}

FILE *mr_outlet_stream(struct mr_outlet *o)
{
	static const cookie_io_functions_t functions = {.write = stream_write};
	FILE *f = fopencookie(o, "w", functions);

	if (f != NULL)
		setvbuf(f, NULL, _IOLBF, MR_OUTLET_WRITE_BYTES_MAX);
	return f;
}
