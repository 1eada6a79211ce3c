/* SPDX-License-Identifier: Apache-2.0 */
/* The faults that control reports of the data plane, stepped by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/watch/watch.h"
#include "lib/base/log.h"

#define WORKERS 2u
#define SLOTS   4u

static struct {
	struct mrf_table_stats table;
	struct mrf_worker_stats workers[WORKERS];
	struct mrf_session_stats sessions[WORKERS * SLOTS];
} stats;

static struct mr_worker_page pages[WORKERS];
static struct mr_link link_;
static struct mr_config config;
static struct mr_watch watch;
static uint64_t now_ns;
static bool main_runs, worker_runs[WORKERS];

static int set_up(void **state)
{
	struct mr_dataplane *d = &link_.dataplane;

	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(pages, 0, sizeof(pages));
	memset(&link_, 0, sizeof(link_));
	link_.state = MR_LINK_UP;
	d->workers_count = WORKERS;
	d->stats = (const uint8_t *)&stats;
	d->stats_bytes = sizeof(stats);
	d->layout = (struct mrf_stats_header){
		.slots = SLOTS,
		.table_offset = 0,
		.worker_offset = (uint32_t)((uint8_t *)stats.workers - (uint8_t *)&stats),
		.worker_stride = sizeof(stats.workers[0]),
		.session_offset = (uint32_t)((uint8_t *)stats.sessions - (uint8_t *)&stats),
		.session_stride = sizeof(stats.sessions[0]),
	};
	for (unsigned i = 0; i < WORKERS; i++) {
		d->workers[i].page = &pages[i];
		d->workers[i].channel.worker_bell_fd = eventfd(0, EFD_NONBLOCK);
		worker_runs[i] = true;
	}
	config = (struct mr_config){0};
	/* For each worker. */
	config.channels.clients_max = 10 / WORKERS;
	config.sessions.sessions_max = 20 / WORKERS;
	main_runs = true;
	now_ns = 1000000000000ull;
	memset(&watch, 0, sizeof(watch));
	watch.link = &link_;
	watch.config = &config;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		close(link_.dataplane.workers[i].channel.worker_bell_fd);
	return 0;
}

/* A sleeping worker makes a round only when its doorbell rang. */
static void run_worker(unsigned i)
{
	uint64_t rung = 0;

	if (!worker_runs[i])
		return;
	if (atomic_load(&pages[i].asleep) != 0 &&
		read(link_.dataplane.workers[i].channel.worker_bell_fd, &rung, sizeof(rung)) < 0)
		return;
	stats.workers[i].loops++;
}

static void pass_ms(unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 250) {
		now_ns += 250 * MR_NS_PER_MS;
		stats.table.rounds += main_runs;
		for (unsigned w = 0; w < WORKERS; w++)
			run_worker(w);
		mr_watch_look(&watch, now_ns);
	}
}

static unsigned troubles(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MR_TROUBLE_KINDS; i++)
		count += watch.troubles.at[i].on;
	return count;
}

static bool on(unsigned kind)
{
	return watch.troubles.at[kind].on;
}

static void running_or_sleeping_threads_are_no_trouble(void **state)
{
	(void)state;
	pass_ms(10000);
	assert_int_equal(troubles(), 0);
	atomic_store(&pages[0].asleep, 1);
	atomic_store(&pages[1].asleep, 1);
	pass_ms(10000);
	assert_int_equal(troubles(), 0);
}

static void stopped_process_is_reported_within_two_seconds_and_no_worker_blamed(void **state)
{
	(void)state;
	atomic_store(&pages[1].asleep, 1);
	pass_ms(5000);
	main_runs = worker_runs[0] = worker_runs[1] = false;
	for (unsigned i = 0; i < 7; i++) {
		pass_ms(250);
		assert_false(on(MR_TROUBLE_MAIN_SILENT));
		assert_false(on(MR_TROUBLE_WORKER_SILENT));
		assert_false(on(MR_TROUBLE_WORKER_SILENT + 1));
	}
	assert_true(on(MR_TROUBLE_DATAPLANE_STOPPED));
	assert_int_equal(troubles(), 1);
	assert_true(mr_watch_dataplane_silent_ms(&watch) >= 1500);
	main_runs = worker_runs[0] = worker_runs[1] = true;
	pass_ms(250);
	assert_int_equal(troubles(), 0);
	assert_int_equal(mr_watch_dataplane_silent_ms(&watch), 0);
}

static void frozen_worker_is_reported_awake_and_asleep(void **state)
{
	(void)state;
	for (unsigned asleep = 0; asleep < 2; asleep++) {
		atomic_store(&pages[1].asleep, asleep);
		pass_ms(5000);
		worker_runs[1] = false;
		pass_ms(2000);
		assert_true(on(MR_TROUBLE_WORKER_SILENT + 1));
		assert_int_equal(troubles(), 1);
		assert_int_equal(mr_watch_worker_silent_ms(&watch, 0), 0);
		assert_true(mr_watch_worker_silent_ms(&watch, 1) >= 1250);
		worker_runs[1] = true;
		pass_ms(500);
		assert_int_equal(troubles(), 0);
	}
}

static void main_thread_that_hangs_is_blamed_alone(void **state)
{
	(void)state;
	pass_ms(5000);
	main_runs = false;
	pass_ms(2000);
	assert_true(on(MR_TROUBLE_MAIN_SILENT));
	assert_int_equal(troubles(), 1);
}

static void frozen_control_blames_no_worker(void **state)
{
	(void)state;
	pass_ms(5000);
	now_ns += 60000 * MR_NS_PER_MS;
	mr_watch_look(&watch, now_ns);
	assert_int_equal(troubles(), 0);
	pass_ms(5000);
	assert_int_equal(troubles(), 0);
}

static void slow_receiver_is_named_and_ends_when_calm(void **state)
{
	struct mrf_session_stats *s = &stats.sessions[SLOTS + 2];

	(void)state;
	/* From the time before control connected. */
	stats.workers[1].drop_receiver_full = 1000;
	pass_ms(1000);
	assert_int_equal(troubles(), 0);
	s->session = 0x0100000000000002ull;
	s->missed_last_ns = now_ns;
	stats.workers[1].drop_receiver_full++;
	pass_ms(250);
	assert_true(on(MR_TROUBLE_RECEIVER_SLOW));
	assert_int_equal(watch.troubles.at[MR_TROUBLE_RECEIVER_SLOW].worker, 1);
	assert_int_equal(watch.troubles.at[MR_TROUBLE_RECEIVER_SLOW].session, s->session);
	pass_ms(4500);
	stats.workers[1].drop_receiver_full++;
	pass_ms(4500);
	assert_true(on(MR_TROUBLE_RECEIVER_SLOW));
	pass_ms(1000);
	assert_int_equal(troubles(), 0);
}

static void paused_publisher_is_named(void **state)
{
	(void)state;
	pass_ms(1000);
	stats.sessions[1].session = 1;
	stats.sessions[1].blocked_since_ns = now_ns;
	stats.workers[0].publisher_blocks = 7;
	pass_ms(250);
	assert_true(on(MR_TROUBLE_PUBLISHER_HELD));
	assert_int_equal(watch.troubles.at[MR_TROUBLE_PUBLISHER_HELD].session, 1);
	assert_int_equal(troubles(), 1);
}

/* A full queue that makes producers wait gets no pushes any more: the waiting ones are the sign. */
static void full_queue_is_reported_while_pushes_wait(void **state)
{
	(void)state;
	stats.workers[0].store_bytes_max = 1000;
	stats.workers[0].store_bytes = 100;
	pass_ms(1000);
	stats.workers[0].pushes_waiting = 1;
	pass_ms(30000);
	assert_true(on(MR_TROUBLE_QUEUE_FULL));
	assert_int_equal(troubles(), 1);
	stats.workers[0].pushes_waiting = 0;
	pass_ms(5000);
	assert_int_equal(troubles(), 0);
	stats.workers[0].refused_push_full++;
	stats.workers[0].store_bytes = 800;
	pass_ms(250);
	assert_true(on(MR_TROUBLE_QUEUE_MEMORY_FULL));
	assert_int_equal(troubles(), 1);
}

static void full_tables_are_reported(void **state)
{
	(void)state;
	stats.table.sessions = 29;
	stats.table.remote_sessions = 19;
	pass_ms(1000);
	assert_true(on(MR_TROUBLE_CLIENTS_FULL));
	assert_int_equal(troubles(), 1);
	stats.table.sessions = 29;
	stats.table.remote_sessions = 20;
	pass_ms(6000);
	assert_true(on(MR_TROUBLE_SESSIONS_FULL));
	assert_int_equal(troubles(), 1);
	mr_troubles_forget(&watch.troubles);
	assert_int_equal(troubles(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(running_or_sleeping_threads_are_no_trouble),
		T(stopped_process_is_reported_within_two_seconds_and_no_worker_blamed),
		T(frozen_worker_is_reported_awake_and_asleep),
		T(main_thread_that_hangs_is_blamed_alone),
		T(frozen_control_blames_no_worker),
		T(slow_receiver_is_named_and_ends_when_calm),
		T(paused_publisher_is_named),
		T(full_queue_is_reported_while_pushes_wait),
		T(full_tables_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
