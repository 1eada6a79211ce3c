/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's wait, in the form of newer kernels and in that of older ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/loop/doorbell.h"
#include "lib/loop/loop.h"

#define FEAT_NO_IOWAIT (1u << 17)
#define WAITS_MAX      1000

static struct mr_loop loop;
static struct mr_doorbell bell;
static struct mr_loop_timer timer;
static unsigned rings, fires;
static bool stopped;

static void count_ring(struct mr_doorbell *b, size_t bytes)
{
	(void)b;
	assert_int_equal(bytes, sizeof(uint64_t));
	rings++;
}

static void note_stop(struct mr_doorbell *b, int error)
{
	(void)b;
	(void)error;
	stopped = true;
}

static void count_fire(struct mr_loop_timer *t)
{
	(void)t;
	fires++;
}

static void *ring_later(void *fd)
{
	const uint64_t one = 1;

	usleep(20000);
	assert_int_equal(write(*(int *)fd, &one, sizeof(one)), sizeof(one));
	return NULL;
}

static void timer_ends_the_wait(void)
{
	uint64_t before = mr_loop_now_ns();

	timer = (struct mr_loop_timer){.fire = count_fire};
	mr_loop_timer_start(&loop, &timer, 30 * MR_NS_PER_MS);
	for (unsigned i = 0; i < WAITS_MAX && fires == 0; i++)
		(void)mr_loop_wait(&loop);
	assert_int_equal(fires, 1);
	assert_true(mr_loop_now_ns() - before >= 30 * MR_NS_PER_MS);
}

static void bell_ends_the_wait(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	pthread_t thread;

	bell.received = count_ring;
	bell.stopped = note_stop;
	assert_int_equal(mr_doorbell_start(&bell, &loop, fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, ring_later, &fd), 0);
	/* No timer is set: only the doorbell can end this. */
	for (unsigned i = 0; i < WAITS_MAX && rings == 0; i++)
		(void)mr_loop_wait(&loop);
	assert_int_equal(rings, 1);
	pthread_join(thread, NULL);
	mr_doorbell_stop(&bell);
	for (unsigned i = 0; i < WAITS_MAX && !stopped; i++)
		(void)mr_loop_wait(&loop);
	assert_true(stopped);
	close(fd);
}

static void wait_ends(bool older_kernel)
{
	int error = mr_loop_open(&loop, 16);

	if (error == -EPERM || error == -ENOSYS)
		skip();
	assert_int_equal(error, 0);
	if (older_kernel)
		loop.ring.features &= ~FEAT_NO_IOWAIT;
	rings = fires = 0;
	stopped = false;
	timer_ends_the_wait();
	bell_ends_the_wait();
	mr_loop_close(&loop);
}

static void wait_ends_with_timers_and_bells(void **state)
{
	(void)state;
	wait_ends(false);
}

static void wait_ends_with_kernels_before_6_15(void **state)
{
	(void)state;
	wait_ends(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_ends_with_timers_and_bells),
		cmocka_unit_test(wait_ends_with_kernels_before_6_15),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
