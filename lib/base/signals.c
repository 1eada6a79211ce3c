/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

static void fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

void mr_signals_block(void)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` fails with EFBIG */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
}

int mr_signals_open(int flags)
{
	sigset_t set;
	int fd;

	fill(&set);
	fd = signalfd(-1, &set, flags | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
