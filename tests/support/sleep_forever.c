/* SPDX-License-Identifier: Apache-2.0 */
/* sleep_forever: lets a worker sleep without a bound, so that only what comes can wake it. Without
 * it a lost wake-up would only be late. Loaded with LD_PRELOAD; for scenarios. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *time,
	const sigset_t *mask)
{
	(void)time;
	return (int)syscall(SYS_epoll_pwait2, fd, events, count, NULL, mask, _NSIG / 8);
}
