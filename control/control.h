/* SPDX-License-Identifier: Apache-2.0 */
/* control: the modules of the slow path, opened in order and closed in reverse.
 *
 * Owns      All of them.
 * Threads   One.
 */
#ifndef MILLRACE_CONTROL_CONTROL_H
#define MILLRACE_CONTROL_CONTROL_H

#include "control/admin/admin.h"
#include "control/handoff/exception.h"
#include "control/handoff/handoff.h"
#include "control/session/attach.h"
#include "control/session/ended.h"
#include "control/watch/watch.h"

struct mr_control {
	const struct mr_config *config;
	struct mr_control_counters counters;
	struct mr_loop loop;
	struct mr_link link;
	struct mr_handoff handoff;
	struct mr_exceptions exceptions;
	struct mr_hello hello;
	struct mr_queue_commands queue_commands;
	struct mr_attach attach;
	struct mr_ended ended;
	struct mr_watch watch;
	struct mr_admin admin;
	struct mr_doorbell signals;
	struct mr_loop_timer watchdog;
	uint64_t watchdog_ns; /* 0: the service manager asked for no watchdog */
	int lock_fd;
	int signal_fd;
	bool stopping;
};

/* Opens everything. Logs a failure. Returns 0 or -errno. */
int mr_control_open(struct mr_control *c, const struct mr_config *config);
/* Runs until SIGTERM or SIGINT. */
void mr_control_run(struct mr_control *c);
void mr_control_close(struct mr_control *c);

#endif
