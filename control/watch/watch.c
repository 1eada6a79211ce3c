/* SPDX-License-Identifier: Apache-2.0 */
#include "control/watch/watch.h"

#include <string.h>

#include "lib/base/compiler.h"

/* A running worker counts its loops all the time; a sleeping one is woken after this time. */
#define WAKE_NS          (500 * MR_NS_PER_MS)
#define WORKER_SILENT_NS (1250 * MR_NS_PER_MS)
/* The main thread makes a round at least every 400 ms: TICK_IDLE_MS of
 * dataplane/writer/writer.c. */
#define MAIN_LATE_NS   (900 * MR_NS_PER_MS)
#define MAIN_SILENT_NS (1500 * MR_NS_PER_MS)

static void fire(struct mr_loop_timer *t)
{
	struct mr_watch *w = mr_container_of(t, struct mr_watch, timer);

	mr_watch_look(w, mr_loop_now_ns());
	mr_loop_timer_start(w->loop, &w->timer, MR_WATCH_PERIOD_NS);
}

void mr_watch_open(struct mr_watch *w, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop;
	w->link = link;
	w->config = config;
	w->timer.fire = fire;
}

void mr_watch_close(struct mr_watch *w)
{
	mr_loop_timer_stop(w->loop, &w->timer);
}

static void start_anew(struct mr_watch *w)
{
	w->last_ns = 0;
	w->main_silent_ns = 0;
	for (unsigned i = 0; i < MR_DATAPLANE_WORKERS_MAX; i++)
		w->workers[i].silent_ns = 0;
}

void mr_watch_up(struct mr_watch *w)
{
	start_anew(w);
	mr_loop_timer_start(w->loop, &w->timer, MR_WATCH_PERIOD_NS);
}

void mr_watch_down(struct mr_watch *w)
{
	mr_loop_timer_stop(w->loop, &w->timer);
	start_anew(w);
	mr_troubles_forget(&w->troubles);
}

static void look_at_main(struct mr_watch *w, uint64_t elapsed_ns)
{
	struct mrf_table_stats table;

	(void)mr_dataplane_table_stats(&w->link->dataplane, &table);
	w->main_silent_ns = table.rounds == w->main_rounds ? w->main_silent_ns + elapsed_ns : 0;
	w->main_rounds = table.rounds;
}

static void look_at_worker(struct mr_watch *w, unsigned i, uint64_t elapsed_ns)
{
	const struct mr_dataplane *d = &w->link->dataplane;
	struct mr_watch_worker *x = &w->workers[i];
	struct mrf_worker_stats stats;

	(void)mr_dataplane_worker_stats(d, i, &stats);
	x->silent_ns = stats.loops == x->loops ? x->silent_ns + elapsed_ns : 0;
	x->loops = stats.loops;
	/* Wake a sleeping worker: it makes a round then, unless it was stopped in its sleep. */
	if (x->silent_ns >= WAKE_NS &&
		atomic_load_explicit(&d->workers[i].page->asleep, memory_order_relaxed) != 0)
		mr_bell_ring(d->workers[i].channel.worker_bell_fd);
}

static bool all_workers_silent(const struct mr_watch *w)
{
	for (unsigned i = 0; i < w->link->dataplane.workers_count; i++) {
		if (w->workers[i].silent_ns < WORKER_SILENT_NS)
			return false;
	}
	return true;
}

/* Records a sign of trouble if the thread is silent, else ends the trouble at once. */
static void update_silent(
	struct mr_watch *w, unsigned kind, bool silent, int worker, uint64_t elapsed_ns)
{
	if (silent)
		mr_trouble_sign(&w->troubles, kind, worker, 0);
	else
		mr_trouble_quiet(&w->troubles, kind, elapsed_ns, 0);
}

/* Decides which thread to report. While the main thread may be stopped too, no worker is reported:
 * the whole process may be stopped. */
static void report_silent(struct mr_watch *w, uint64_t elapsed_ns)
{
	bool main_silent = w->main_silent_ns >= MAIN_SILENT_NS;
	bool all = main_silent && all_workers_silent(w);

	update_silent(w, MR_TROUBLE_DATAPLANE_STOPPED, all, -1, elapsed_ns);
	update_silent(w, MR_TROUBLE_MAIN_SILENT, main_silent && !all, -1, elapsed_ns);
	for (unsigned i = 0; i < w->link->dataplane.workers_count; i++) {
		bool silent = w->workers[i].silent_ns >= WORKER_SILENT_NS;
		unsigned kind = MR_TROUBLE_WORKER_SILENT + i;

		if (silent && (all || (w->main_silent_ns >= MAIN_LATE_NS && !main_silent)) &&
			!w->troubles.at[kind].on)
			continue;
		update_silent(w, kind, silent, (int)i, elapsed_ns);
	}
}

void mr_watch_look(struct mr_watch *w, uint64_t now_ns)
{
	uint64_t elapsed_ns = w->last_ns != 0 ? now_ns - w->last_ns : 0;

	if (!mr_link_is_up(w->link))
		return;
	/* After a long pause of control itself (frozen container, suspended laptop), count only two
	 * periods: it did not observe the others in between. */
	if (elapsed_ns > 2 * MR_WATCH_PERIOD_NS)
		elapsed_ns = 2 * MR_WATCH_PERIOD_NS;
	w->last_ns = now_ns;
	look_at_main(w, elapsed_ns);
	for (unsigned i = 0; i < w->link->dataplane.workers_count; i++)
		look_at_worker(w, i, elapsed_ns);
	report_silent(w, elapsed_ns);
	mr_watch_load(w, elapsed_ns);
}

uint32_t mr_watch_dataplane_silent_ms(const struct mr_watch *w)
{
	return w->main_silent_ns >= MAIN_SILENT_NS ? (uint32_t)(w->main_silent_ns / MR_NS_PER_MS)
						   : 0;
}

uint32_t mr_watch_worker_silent_ms(const struct mr_watch *w, unsigned worker)
{
	uint64_t ns = w->workers[worker].silent_ns;

	return ns >= WORKER_SILENT_NS ? (uint32_t)(ns / MR_NS_PER_MS) : 0;
}
