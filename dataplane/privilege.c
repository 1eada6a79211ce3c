/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_alarm.h>

#include "lib/base/log.h"

void mr_privilege_drop(bool keep_net_admin)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct had[2], keep[2];
	uint32_t net_admin = keep_net_admin ? CAP_TO_MASK(CAP_NET_ADMIN) : 0;

	memset(keep, 0, sizeof(keep));
	if (syscall(SYS_capget, &h, had) < 0)
		memset(had, 0, sizeof(had));
	/* Ask for no capability that the process did not have: started by a user it has none. */
	keep[0].effective = had[0].effective & net_admin;
	keep[0].permitted = had[0].permitted & net_admin;
	if (syscall(SYS_capset, &h, keep) < 0)
		mr_log(MR_LOG_WARN, "cannot drop capabilities", MR_LOG_ERR(-errno));
}

static void drop_here(void *done)
{
	mr_privilege_drop(false);
	sem_post(done);
}

void mr_privilege_drop_interrupts(void)
{
	sem_t done;

	sem_init(&done, 0, 0);
	if (rte_eal_alarm_set(1, drop_here, &done) != 0) {
		mr_log(MR_LOG_WARN, "cannot drop the interrupt thread's capabilities");
		return;
	}
	while (sem_wait(&done) < 0 && errno == EINTR)
		;
	sem_destroy(&done);
}
