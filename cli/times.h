/* SPDX-License-Identifier: Apache-2.0 */
/* times: the options of push that say when a message is delivered.
 *
 * Owns      Texts of struct mr_cli_times.
 * Threads   One.
 */
#ifndef MILLRACE_CLI_TIMES_H
#define MILLRACE_CLI_TIMES_H

#include "client/millrace.h"
#include "cli/cli.h"
#include "lib/base/cron.h"

/* The values of the options; 0 or NULL: not given. */
struct mr_cli_times {
	uint64_t delay_ms;
	const char *at;
	uint64_t every_ms;
	const char *cron;
	const char *zone;
	uint64_t ticket;
	char cron_text[2 * MR_CRON_BYTES_MAX]; /* with the zone */
};

/* Copies the times to the message; an exit code. */
int mr_cli_times_take(const struct mr_cli *cli, struct mr_cli_times *t, struct mr_push *out);

#endif
