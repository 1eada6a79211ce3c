/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Failed readings in a row before it gives up. */
#define FAILURES_MAX 10

void mr_cli_watch_head(const struct mr_cli *cli, bool in_place)
{
	char when[32];
	time_t date = time(NULL);
	struct tm local;

	localtime_r(&date, &local);
	strftime(when, sizeof(when), "%F %T", &local);
	if (in_place)
		fputs("\033[H\033[J", stdout);
	printf("millrace %s  %s  ", cli->server, when);
}

static bool is_last(const struct mr_cli_watch *w, uint64_t taken)
{
	/* The first reading is only a base for comparison. */
	return mr_cli_interrupted() || (w->count && taken > w->count);
}

int mr_cli_watch(const struct mr_cli_watch *w)
{
	bool in_place =
		isatty(STDOUT_FILENO) && getenv("TERM") && strcmp(getenv("TERM"), "dumb") != 0;
	unsigned failures = 0;
	uint64_t taken = 0;

	mr_cli_catch_interrupts();
	while (!is_last(w, taken)) {
		struct mr_cli_admin admin = {.fd = -1};
		int rc = w->take(w, &admin);

		/* A bus that was reached once may come back. */
		if (rc && !mr_cli_interrupted() && (taken == 0 || ++failures > FAILURES_MAX)) {
			rc = mr_cli_admin_fail(w->cli, &admin, rc);
			mr_cli_admin_close(&admin);
			return rc;
		}
		mr_cli_admin_close(&admin);
		if (rc == 0) {
			failures = 0;
			if (taken++ > 0)
				w->show(w, in_place);
		}
		if (!mr_cli_flush() || is_last(w, taken))
			break;
		poll(NULL, 0, (int)w->interval_ms);
	}
	return MR_EXIT_OK;
}
