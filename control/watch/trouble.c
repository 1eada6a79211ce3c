/* SPDX-License-Identifier: Apache-2.0 */
#include "control/watch/trouble.h"

#include <string.h>
#include <time.h>

#include "lib/base/compiler.h"
#include "lib/base/log.h"

static const struct {
	const char *name;
	const char *text;
	const char *end;
	enum mr_log_level level;
} words[] = {
	[MR_TROUBLE_DATAPLANE_STOPPED] = {"dataplane_stopped",
		"data plane does not run: none of its threads makes rounds",
		"data plane runs again", MR_LOG_ERROR},
	[MR_TROUBLE_MAIN_SILENT] = {"main_silent",
		"main thread of the data plane makes no rounds: nobody can attach",
		"main thread of the data plane makes rounds again", MR_LOG_ERROR},
	[MR_TROUBLE_RECEIVER_SLOW] = {"receiver_slow",
		"receivers are slow: they miss messages, or messages wait for them",
		"receivers are no longer slow", MR_LOG_WARN},
	[MR_TROUBLE_PUBLISHER_HELD] = {"publisher_held",
		"publishers are paused: receivers of promised messages are full",
		"publishers are no longer paused", MR_LOG_WARN},
	[MR_TROUBLE_QUEUE_FULL] = {"queue_full", "queues are full: pushes wait or are refused",
		"queues are no longer full", MR_LOG_WARN},
	[MR_TROUBLE_QUEUE_MEMORY_FULL] = {"queue_memory_full",
		"the memory of the queues is full: pushes wait or are refused",
		"the memory of the queues is no longer full", MR_LOG_WARN},
	[MR_TROUBLE_CLIENTS_FULL] = {"clients_full",
		"channels.clients_max is reached: no client of this host can attach",
		"clients of this host can attach again", MR_LOG_WARN},
	[MR_TROUBLE_SESSIONS_FULL] = {"sessions_full",
		"sessions.sessions_max is reached: no client can connect over UDP",
		"clients can connect over UDP again", MR_LOG_WARN},
	[MR_TROUBLE_WORKER_SILENT] = {"worker_silent", "worker makes no rounds",
		"worker makes rounds again", MR_LOG_ERROR},
};

static unsigned word(unsigned kind)
{
	return kind < MR_TROUBLE_WORKER_SILENT ? kind : MR_TROUBLE_WORKER_SILENT;
}

const char *mr_trouble_name(unsigned kind)
{
	return words[word(kind)].name;
}

const char *mr_trouble_text(unsigned kind)
{
	return words[word(kind)].text;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void log_begin(unsigned kind, const struct mr_trouble *x)
{
	enum mr_log_level level = words[word(kind)].level;
	const char *text = mr_trouble_text(kind);

	if (x->session != 0)
		mr_log(level, text, MR_LOG_I64("worker", x->worker),
			MR_LOG_HEX("session", x->session));
	else if (x->worker >= 0)
		mr_log(level, text, MR_LOG_I64("worker", x->worker));
	else
		mr_log(level, text);
}

void mr_trouble_sign(struct mr_troubles *t, unsigned kind, int worker, uint64_t session)
{
	struct mr_trouble *x = &t->at[kind];

	x->quiet_ns = 0;
	if (x->on)
		return;
	*x = (struct mr_trouble){
		.on = true, .since_ns = realtime_ns(), .worker = worker, .session = session};
	log_begin(kind, x);
}

void mr_trouble_quiet(struct mr_troubles *t, unsigned kind, uint64_t elapsed_ns, uint64_t calm_ns)
{
	struct mr_trouble *x = &t->at[kind];
	const char *end = words[word(kind)].end;
	uint64_t lasted_ms;

	if (!x->on)
		return;
	x->quiet_ns += elapsed_ns;
	if (x->quiet_ns < calm_ns)
		return;
	x->on = false;
	lasted_ms = (realtime_ns() - x->since_ns) / 1000000;
	if (x->worker >= 0)
		mr_log(MR_LOG_INFO, end, MR_LOG_I64("worker", x->worker),
			MR_LOG_U64("lasted_ms", lasted_ms));
	else
		mr_log(MR_LOG_INFO, end, MR_LOG_U64("lasted_ms", lasted_ms));
}

void mr_troubles_forget(struct mr_troubles *t)
{
	memset(t, 0, sizeof(*t));
}
